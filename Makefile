# Plumb: a CPU reference of the Diffusers text-to-image pipelines.
#
#   make demo              draws the documented recipes into build/demo/
#   make pictures          draws README.md's pictures anew, into configs/pictures/
#   make check             builds and runs every test
#   make checkkernels      every kernel in every instruction set, a line each; CHECK="--kernel 'linear*' --bench"
#   make                   builds build/plumb
#   make bench-peer        PyTorch's operators beside ours; PEER="--architecture sdxl --threads 1"
#   make install           PREFIX=/usr/local, LIBDIR=PREFIX/lib, DESTDIR=; make uninstall takes the same out again
#   make deb               Debian packages in build/debian/
#   make check-deb         installs, uses and removes them in a clean Debian; as root, with debootstrap and a network
#   make check-cluster     a list of runs shared by GNU parallel, and by a job array of Slurm on this machine
#   make check-fresh       the way of somebody new: README's commands in a clean Debian, the packages, the guide; as check-deb
#   make sanitize          every test again under AddressSanitizer and UndefinedBehaviorSanitizer
#   make faults            allocations, writes and reads of every command fail, on each chain of calls that leads to one:
#                          an hour; FAULTS=all every single one, days; FAULTS=100 points of each command
#   make tsan              the threads under ThreadSanitizer, with clang and an OpenMP runtime that it understands
#   make valgrind          the commands with the tiny models under Valgrind
#   make check-builds      the sampler's bits as gcc and clang build it at every level of optimisation
#   make check-aarch64   what depends on the processor, built for AArch64 and run under qemu
#   make fuzz              TIME=60 seconds of libFuzzer a target, two at a time; FUZZ="schedule npz", JOBS=2, SEED=1;
#                          needs clang
#   make fuzz-afl          the same targets for AFL++, in build/afl/tests/fuzz/; tests/README.md has the command line
#   make mistakes          what the program says to the likeliest mistakes, written into tests/mistakes.txt
#   make lint              formatting, who may include whom, warnings as errors with gcc and clang, cppcheck and clang-tidy
#                          where installed; make tidy is the last of them alone
#   make coverage          the tests in a build for gcov: lines and error messages that they reach (python3)
#   make format            clang-format over the tree
#   make clean

BUILD ?= build
PREFIX ?= /usr/local
LIBDIR ?= $(PREFIX)/lib
DESTDIR ?=

# --- Packages ------------------------------------------------------------------------------------------------------
PKGS := openblas libcjson libpng zlib libutf8proc
TEST_PKGS := check
PKG_CONFIG ?= pkg-config
DEBIAN_PACKAGES := gcc libc6-dev pkg-config libopenblas-dev libcjson-dev libpng-dev zlib1g-dev libutf8proc-dev check
# Continuous integration fuzzes too (make fuzz).
FUZZ_PACKAGES := clang libclang-rt-dev libomp-dev
ifneq ($(CI),)
DEBIAN_PACKAGES += $(FUZZ_PACKAGES)
endif
READY := $(shell $(PKG_CONFIG) --exists $(PKGS) $(TEST_PKGS) 2>/dev/null && command -v $(CC) >/dev/null && echo yes)
NEEDS_NOTHING := clean format help
GOALS := $(filter-out $(NEEDS_NOTHING),$(or $(MAKECMDGOALS),all))

ifneq ($(READY),yes)
# Something is missing: install it, then run make again with the same goals.
.PHONY: $(GOALS) install-packages
$(GOALS): install-packages
	@:
install-packages:
	@echo "Installing the packages that Plumb needs: $(DEBIAN_PACKAGES)"
	@command -v apt-get >/dev/null || { \
	    echo "This is not Debian: install $(PKGS) $(TEST_PKGS) (as pkg-config names them) by hand." >&2; exit 1; }
	@as_root=; [ "$$(id -u)" = 0 ] || as_root=sudo; yes=; { [ -n "$$CI" ] || [ ! -t 0 ]; } && yes=-y; \
	export DEBIAN_FRONTEND=$${yes:+noninteractive}; \
	$$as_root apt-get update -qq && $$as_root apt-get install $$yes -qq --no-install-recommends $(DEBIAN_PACKAGES)
	@$(MAKE) --no-print-directory $(GOALS)
else

# --- Flags ---------------------------------------------------------------------------------------------------------
WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla
# The numbers must not depend on what a compiler fuses: contraction is off, fused operations are written as such.
NUMERICS := -ffp-contract=off -fno-fast-math
OPTIMISE ?= -O2 -g
SANITIZE ?=
OPENMP ?= -fopenmp

PKG_CFLAGS := $(shell $(PKG_CONFIG) --cflags $(PKGS))
PKG_LIBS := $(shell $(PKG_CONFIG) --libs $(PKGS))
TEST_LIBS := $(shell $(PKG_CONFIG) --libs $(TEST_PKGS))
CPPFLAGS += -D_GNU_SOURCE -I. -MMD -MP
ALL_CFLAGS = -std=c17 $(WARNINGS) $(NUMERICS) $(OPTIMISE) $(SANITIZE) $(OPENMP) $(PKG_CFLAGS) $(CFLAGS)
ALL_LDFLAGS = $(SANITIZE) $(OPENMP) $(LDFLAGS)

# --- Sources -------------------------------------------------------------------------------------------------------
# A file that includes real.h itself is compiled twice: for float (_f32) and for double (_f64).
twice = $(shell grep -lE '^.include "((sched|kernels)/)?real\.h"' $(1) /dev/null)
once = $(filter-out $(call twice,$(1)),$(1))
objects = $(patsubst %.c,$(BUILD)/%.o,$(call once,$(1))) \
          $(foreach type,f32 f64,$(patsubst %.c,$(BUILD)/%_$(type).o,$(call twice,$(1))))

SCHED := $(wildcard sched/*.c)
KERNELS := $(wildcard kernels/*.c)
REF := $(filter-out ref/main.c,$(wildcard ref/*.c))
# Tests: tests/test_*.c are programs of their own; the other files of the folder are shared between them.
TEST_MAINS := $(wildcard tests/test_*.c)
TEST_SHARED := $(filter-out $(TEST_MAINS) tests/checkkernels.c,$(wildcard tests/*.c))
TESTS := $(patsubst tests/%.c,$(BUILD)/tests/%,$(TEST_MAINS))
# Suites that call the program's main() in forked processes, with faults in them: linked with tests/faults/.
FAULT_TESTS := $(addprefix $(BUILD)/tests/test_faults_,memory calls)

# Fuzz targets: one file each. test_fuzz_corpus calls them by names of their own; a fuzzer is linked to one of them.
FUZZ_SHARED := tests/fuzz/fuzz_support.c tests/fuzz/scheduler_input.c tests/fuzz/mutate_json.c
FUZZ_TARGETS := $(filter-out $(FUZZ_SHARED) tests/fuzz/seeds.c,$(wildcard tests/fuzz/*.c))
TEST_SHARED += $(FUZZ_SHARED) $(FUZZ_TARGETS)
FUZZ_ENGINE ?=
ifeq ($(FUZZ_ENGINE),)
$(BUILD)/tests/fuzz/%.o: CPPFLAGS += -DLLVMFuzzerTestOneInput=fuzz_$(*F)
endif

# Vector kernels: a folder for each instruction set, compiled with its own flags and chosen at run time.
MACHINE := $(firstword $(subst -, ,$(shell $(CC) -dumpmachine)))
ifeq ($(MACHINE),x86_64)
VECTOR_KERNELS := $(wildcard kernels/x86/*.c kernels/x86_512/*.c)
$(BUILD)/kernels/x86/%.o: ALL_CFLAGS += -mavx2 -mfma -mf16c
$(BUILD)/kernels/x86_512/%.o: ALL_CFLAGS += -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mf16c
else ifeq ($(MACHINE),aarch64)
VECTOR_KERNELS := $(wildcard kernels/arm/*.c)
endif
VECTOR_OBJECTS := $(patsubst %.c,$(BUILD)/%.o,$(VECTOR_KERNELS))

# The architectures that the program knows by name: their files as strings.
ARCHITECTURES := $(sort $(wildcard configs/architectures/*.json))
ARCHITECTURE_TEXTS := $(BUILD)/ref/architecture_texts

SCHED_OBJECTS := $(call objects,$(SCHED))
KERNEL_OBJECTS := $(call objects,$(KERNELS)) $(VECTOR_OBJECTS)
REF_OBJECTS := $(call objects,$(REF)) $(ARCHITECTURE_TEXTS).o
TEST_OBJECTS := $(call objects,$(TEST_SHARED))
LIBS := $(addprefix $(BUILD)/libplumb_,ref.a kernels.a sched.a)

# The sampler is a library of its own for other programs: static and shared, with sched/plumb_sched.h.
SCHED_ABI := 0
SCHED_VERSION := $(shell sed -n 's/.*PLUMB_SCHED_VERSION "\(.*\)".*/\1/p' sched/plumb_sched.h)
SCHED_SHARED := $(BUILD)/libplumb_sched.so.$(SCHED_ABI)
EXAMPLES := $(patsubst %.c,$(BUILD)/%,$(wildcard sched/examples/*.c))
$(SCHED_OBJECTS): ALL_CFLAGS += -fPIC
# gcc makes vectors of a step's loops at -O3 only, and of roots and comparisons where nobody reads errno or the flags of
# exceptions; the bits are the same at every level.
$(SCHED_OBJECTS): OPTIMISE := $(OPTIMISE:-O2=-O3)
$(SCHED_OBJECTS): ALL_CFLAGS += -fno-math-errno -fno-trapping-math

# --- Building ------------------------------------------------------------------------------------------------------
.PHONY: all
all: $(BUILD)/plumb $(SCHED_SHARED)

# The flags that objects were made with: they are made again where these change.
FLAGS_STAMP := $(BUILD)/flags
FLAGS_NOW := $(CC) $(CPPFLAGS) $(ALL_CFLAGS)
$(shell mkdir -p $(BUILD); echo '$(FLAGS_NOW)' | cmp -s - $(FLAGS_STAMP) || echo '$(FLAGS_NOW)' > $(FLAGS_STAMP))

# Short lines; V=1 shows the commands themselves.
quiet = $(if $(V),,@echo "  $(1) $@";)
define compile
@mkdir -p $(@D)
$(call quiet,CC) $(CC) $(CPPFLAGS) -DPLUMB_REAL_IS_DOUBLE=$(1) $(ALL_CFLAGS) -c $< -o $@
endef

$(BUILD)/%_f32.o: %.c $(FLAGS_STAMP)
	$(call compile,0)
$(BUILD)/%_f64.o: %.c $(FLAGS_STAMP)
	$(call compile,1)
$(BUILD)/%.o: %.c $(FLAGS_STAMP)
	$(call compile,0)

$(ARCHITECTURE_TEXTS).c: $(ARCHITECTURES) Makefile
	@mkdir -p $(@D)
	@{ echo '#include "ref/architecture.h"'; echo 'const struct architecture_text architecture_texts[] = {'; \
	for file in $(ARCHITECTURES); do \
	    name=$${file##*/}; echo "{\"$${name%.json}\","; sed 's/[\"]/\\&/g; s/.*/"&\\n"/' $$file; echo '},'; \
	done; echo '{0},'; echo '};'; } > $@
$(ARCHITECTURE_TEXTS).o: $(ARCHITECTURE_TEXTS).c
	$(call compile,0)

$(BUILD)/libplumb_sched.a: $(SCHED_OBJECTS)
$(BUILD)/libplumb_kernels.a: $(KERNEL_OBJECTS)
$(BUILD)/libplumb_ref.a: $(REF_OBJECTS)
$(BUILD)/libplumb_tests.a: $(TEST_OBJECTS)
$(BUILD)/%.a:
	@rm -f $@
	$(call quiet,AR) ar rcs $@ $^

# Only what the header declares is seen from outside.
$(SCHED_SHARED): $(SCHED_OBJECTS) sched/plumb_sched.map
	$(call quiet,LD) $(CC) -shared $(ALL_LDFLAGS) -Wl,-soname,$(@F) -Wl,--version-script=sched/plumb_sched.map \
	    $(SCHED_OBJECTS) $(shell $(PKG_CONFIG) --libs libcjson) -lm -o $@

$(EXAMPLES): $(BUILD)/%: %.c $(SCHED_SHARED)
	@mkdir -p $(@D)
	$(call quiet,LD) $(CC) -std=c17 $(WARNINGS) $(OPTIMISE) $(SANITIZE) $(CFLAGS) -Isched $(LDFLAGS) $^ -lm \
	    -Wl,-rpath,'$$ORIGIN/../..' -o $@

$(BUILD)/plumb: $(BUILD)/ref/main.o $(LIBS)
	$(call quiet,LD) $(CC) $(ALL_LDFLAGS) $^ $(PKG_LIBS) -lm -o $@

$(BUILD)/tests/faults/plumb_main.o: ref/main.c $(FLAGS_STAMP)
	$(call compile,0) -Dmain=plumb_main -include tests/faults/plumb_main.h
$(BUILD)/tests/faults/allocations.o: ALL_CFLAGS += -fno-builtin
FAULT_OBJECTS := $(call objects,$(wildcard tests/faults/*.c)) $(BUILD)/tests/faults/plumb_main.o

$(FAULT_TESTS): $(BUILD)/tests/%: $(BUILD)/tests/%.o $(FAULT_OBJECTS) $(BUILD)/libplumb_tests.a $(LIBS)
	$(call quiet,LD) $(CC) $(ALL_LDFLAGS) $^ $(TEST_LIBS) $(PKG_LIBS) -lm -ldl -o $@

$(filter-out $(FAULT_TESTS),$(TESTS)): $(BUILD)/tests/%: $(BUILD)/tests/%.o $(BUILD)/libplumb_tests.a $(LIBS)
	$(call quiet,LD) $(CC) $(ALL_LDFLAGS) $^ $(TEST_LIBS) $(PKG_LIBS) -lm -o $@

# --- Running -------------------------------------------------------------------------------------------------------
# EMULATOR runs programs that were built for another processor.
EMULATOR ?=
ifneq ($(EMULATOR),)
PLUMB_RUN := $(BUILD)/emulated/plumb
$(PLUMB_RUN): $(BUILD)/plumb
	@mkdir -p $(@D)
	@printf '#!/bin/sh\nexec $(EMULATOR) $(abspath $(BUILD))/plumb "$$@"\n' > $@ && chmod +x $@
else
PLUMB_RUN := $(BUILD)/plumb
endif

# Threads that wait sleep soon: as libgomp is installed they spin, and two busy cores make a minute of a test's seconds.
.PHONY: check
check: $(PLUMB_RUN) $(TESTS) $(EXAMPLES)
	@export GOMP_SPINCOUNT=1000; failed=; for test in $(TESTS); do \
	    PLUMB=$(PLUMB_RUN) PLUMB_GOLDEN=golden $(EMULATOR) $$test || failed="$$failed $${test##*/}"; \
	done; \
	if [ -n "$$failed" ]; then echo "Failed:$$failed"; exit 1; fi; \
	echo "Every test of $(words $(TESTS)) suites passed."
	@$(if $(EMULATOR),:,tests/check_install.sh $(BUILD)/check-install $(MAKE) '$(CC) $(SANITIZE)')
	@$(if $(CI),$(if $(EMULATOR)$(SANITIZE),:,$(MAKE) --no-print-directory fuzz-in-ci),:)

# What is said to each mistake of tests/mistakes.txt, written into it anew: to be read with git diff.
.PHONY: mistakes
mistakes: $(PLUMB_RUN) $(BUILD)/tests/test_mistakes
	@PLUMB=$(PLUMB_RUN) PLUMB_GOLDEN=golden $(EMULATOR) $(BUILD)/tests/test_mistakes --write

# The kernels' cases once more, as a program with a line a kernel; CHECK="--kernel 'linear*' --seed 7 --bench".
CHECK ?=
$(BUILD)/tests/checkkernels: $(BUILD)/tests/checkkernels.o $(BUILD)/libplumb_tests.a $(LIBS)
	$(call quiet,LD) $(CC) $(ALL_LDFLAGS) $^ $(PKG_LIBS) -lm -o $@
.PHONY: checkkernels
checkkernels: $(BUILD)/tests/checkkernels
	@OMP_WAIT_POLICY=passive $(EMULATOR) $< $(CHECK)

# Debian's own Python, which python3-torch is installed for; another Python that has torch does as well.
PEER ?=
PEER_PYTHON ?= /usr/bin/python3
.PHONY: bench-peer
bench-peer: $(BUILD)/plumb
	@$(PEER_PYTHON) tests/bench_peer.py --plumb $(BUILD)/plumb $(PEER)

# The sampler computes the same bits however it is built: with gcc and clang (where it is there), at every level of
# optimisation, and for AArch64 (where its compiler and qemu are there).
SAMPLER_BITS := $(BUILD)/tests/builds/sampler_bits
$(SAMPLER_BITS): tests/builds/sampler_bits.c $(BUILD)/libplumb_sched.a
	@mkdir -p $(@D)
	$(call quiet,LD) $(CC) $(CPPFLAGS) $(ALL_CFLAGS) $^ $(shell $(PKG_CONFIG) --libs libcjson) -lm -o $@
.PHONY: check-builds
check-builds:
	@tests/builds/check_builds.sh $(BUILD)/builds $(MAKE) '$(AARCH64_PKG_CONFIG)'

# AArch64 with Debian's cross compiler and arm64 libraries, under qemu: what depends on the processor.
AARCH64_TESTS := kernels elementary sched_golden sched_tables convergence generators \
    generator_definitions hash
AARCH64_PACKAGES := gcc-aarch64-linux-gnu libc6-dev-arm64-cross qemu-user $(addsuffix :arm64,libgomp1 libopenblas-dev \
    libcjson-dev libpng-dev zlib1g-dev libutf8proc-dev check)
AARCH64_PKG_CONFIG := env PKG_CONFIG_LIBDIR=/usr/lib/aarch64-linux-gnu/pkgconfig pkg-config
.PHONY: check-aarch64
check-aarch64:
	@command -v aarch64-linux-gnu-gcc >/dev/null && command -v qemu-aarch64 >/dev/null && \
	    $(AARCH64_PKG_CONFIG) --exists $(PKGS) $(TEST_PKGS) || { \
	    echo "make check-aarch64 needs Debian's cross compiler, qemu and the arm64 libraries:" >&2; \
	    echo "  dpkg --add-architecture arm64 && apt-get update && apt-get install $(AARCH64_PACKAGES)" >&2; exit 1; }
	@OMP_NUM_THREADS=2 OMP_WAIT_POLICY=passive PLUMB_CHECK_EFFORT=brief \
	    $(MAKE) --no-print-directory BUILD=$(BUILD)/aarch64 CC=aarch64-linux-gnu-gcc PKG_CONFIG='$(AARCH64_PKG_CONFIG)' \
	    EMULATOR=qemu-aarch64 EXAMPLES= TESTS='$(AARCH64_TESTS:%=$(BUILD)/aarch64/tests/test_%)' check

.PHONY: demo pictures
demo: $(BUILD)/plumb
	@PLUMB=$(BUILD)/plumb sh configs/demo.sh $(BUILD)/demo
pictures: $(BUILD)/plumb
	@PLUMB=$(BUILD)/plumb sh configs/pictures.sh configs/pictures

.PHONY: sanitize
sanitize:
	$(MAKE) BUILD=$(BUILD)/sanitize OPTIMISE="-O1 -g" \
	    SANITIZE="-fsanitize=address,undefined -fno-omit-frame-pointer -fno-sanitize-recover=undefined" check

# --- Fuzzing -------------------------------------------------------------------------------------------------------
# `make fuzz` builds the targets with clang, libFuzzer and both sanitizers in a folder of their own, and runs them.
TIME ?= 60
JOBS ?= 2
SEED ?= 0
FUZZ ?= $(FUZZ_TARGETS:tests/fuzz/%.c=%)
FUZZ_SANITIZE := -fno-sanitize-recover=undefined -fno-omit-frame-pointer
FUZZ_PARTS := $(call objects,tests/fuzz/fuzz_support.c tests/fuzz/scheduler_input.c tests/schedule_check.c)
# Changes documents rather than bytes; AFL++ has mutators of its own.
FUZZ_MUTATOR := $(if $(findstring afl,$(CC)),,$(call objects,tests/fuzz/mutate_json.c tests/mutation_support.c))
JSON_FUZZERS := $(patsubst %,$(BUILD)/tests/fuzz/%,case config map recipe schedule)
$(JSON_FUZZERS): MUTATOR := $(FUZZ_MUTATOR)
$(JSON_FUZZERS): $(FUZZ_MUTATOR)
$(patsubst tests/fuzz/%.c,$(BUILD)/tests/fuzz/%,$(FUZZ_TARGETS)): %: %.o $(FUZZ_PARTS) $(LIBS)
	$(call quiet,LD) $(CC) $(FUZZ_ENGINE) $(ALL_LDFLAGS) $@.o $(MUTATOR) $(FUZZ_PARTS) $(LIBS) $(TEST_LIBS) $(PKG_LIBS) \
	    -lm -o $@

.PHONY: fuzz fuzz-afl fuzz-corpus fuzz-in-ci
fuzz:
	@tests/fuzz/has_libfuzzer.sh || { echo "make fuzz needs clang with libFuzzer and OpenMP;" \
	    "on Debian: apt-get install $(FUZZ_PACKAGES)" >&2; exit 1; }
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/fuzz CC=clang CFLAGS=-Wno-pass-failed OPTIMISE="-O1 -g" \
	    FUZZ_ENGINE=-fsanitize=fuzzer SANITIZE="-fsanitize=fuzzer-no-link,address,undefined $(FUZZ_SANITIZE)" \
	    $(FUZZ:%=$(BUILD)/fuzz/tests/fuzz/%)
	@PLUMB_FUZZ_SEED=$(SEED) tests/fuzz/run.sh $(BUILD)/fuzz $(TIME) $(JOBS) $(FUZZ)
fuzz-afl:
	@command -v afl-clang-fast >/dev/null || { \
	    echo "make fuzz-afl needs AFL++; on Debian: apt-get install afl++ clang libomp-dev" >&2; exit 1; }
	@AFL_QUIET=1 AFL_USE_ASAN=1 AFL_USE_UBSAN=1 $(MAKE) --no-print-directory BUILD=$(BUILD)/afl CC=afl-clang-fast \
	    OPTIMISE="-O1 -g" FUZZ_ENGINE=-fsanitize=fuzzer SANITIZE="$(FUZZ_SANITIZE)" $(FUZZ:%=$(BUILD)/afl/tests/fuzz/%)

# Where make check runs as CI: a minute each, three at a time, since somebody waits; where clang is there. A seed that
# stays, so that what one change is told is not chance, and is found again elsewhere.
fuzz-in-ci:
	@if tests/fuzz/has_libfuzzer.sh; then $(MAKE) --no-print-directory fuzz SEED=1 JOBS=3; \
	else echo "Skipped: the fuzzers (make fuzz), since there is no clang with libFuzzer; their corpus was run."; fi

# The corpus that the fuzzers start from, made anew of golden/ and configs/.
fuzz-corpus: $(BUILD)/tests/fuzz/seeds
	@PLUMB_GOLDEN=golden $< tests/fuzz/corpus
$(BUILD)/tests/fuzz/seeds: $(BUILD)/tests/fuzz/seeds.o $(BUILD)/libplumb_tests.a $(LIBS)
	$(call quiet,LD) $(CC) $(ALL_LDFLAGS) $^ $(TEST_LIBS) $(PKG_LIBS) -lm -o $@

# Each chain of calls that leads to a point, when it first and last does; FAULTS=all takes every point, FAULTS=100 that
# many of each command, FAULTS_OF='schedule' keeps to commands with the text.
FAULTS ?= paths
FAULTS_OF ?=
.PHONY: faults
faults: $(FAULT_TESTS)
	@PLUMB_FAULTS='$(FAULTS)' PLUMB_FAULTS_OF='$(FAULTS_OF)'; export PLUMB_FAULTS PLUMB_FAULTS_OF; \
	for test in $(FAULT_TESTS); do $$test || failed=yes; done; [ -z "$$failed" ]

# ThreadSanitizer cannot see the synchronisation of gcc's libgomp. LLVM's runtime tells it, by its tool Archer.
TSAN_PACKAGES := clang libomp-dev
.PHONY: tsan
tsan:
	@tests/faults/check_tsan.sh $(BUILD)/tsan $(MAKE) '$(TSAN_PACKAGES)'
.PHONY: valgrind
valgrind: $(BUILD)/plumb
	@tests/faults/check_valgrind.sh $(BUILD)/plumb $(BUILD)/valgrind

# --- Installing ----------------------------------------------------------------------------------------------------
# The program writes its own manual pages and completion, from the tables that it reads command lines by.
MANUAL := $(BUILD)/man/made
COMPLETION := $(BUILD)/plumb.bash
$(MANUAL): $(PLUMB_RUN)
	@rm -rf $(@D) && mkdir -p $(@D)
	$(call quiet,MAN) $< help --format man > $(@D)/plumb.1; \
	commands=$$($< help | sed -n 's/^  plumb \([a-z]*\) .*/\1/p'); [ -n "$$commands" ] || exit 1; \
	for command in $$commands; do $< help $$command --format man > $(@D)/plumb-$$command.1 || exit 1; done; touch $@
$(COMPLETION): $(PLUMB_RUN)
	@$< help --format bash > $@

# With the rest, so that `sudo make install` builds nothing; not where the program that was built cannot run here.
ifneq ($(EMULATOR)$(filter $(MACHINE),$(shell uname -m)),)
all: $(MANUAL) $(COMPLETION)
endif

INTO = $(DESTDIR)$(PREFIX)
.PHONY: install uninstall
install: $(BUILD)/plumb $(SCHED_SHARED) $(BUILD)/libplumb_sched.a $(MANUAL) $(COMPLETION)
	install -d $(INTO)/bin $(INTO)/include $(DESTDIR)$(LIBDIR)/pkgconfig $(INTO)/share/man/man1 \
	    $(INTO)/share/bash-completion/completions $(addprefix $(INTO)/share/plumb/,cluster recipes schedulers examples) \
	    $(addprefix $(INTO)/share/doc/plumb/,golden sched configs/pictures)
	install -m 755 $(BUILD)/plumb $(INTO)/bin
	install -m 644 sched/plumb_sched.h $(INTO)/include
	install -m 644 $(BUILD)/libplumb_sched.a $(DESTDIR)$(LIBDIR)
	install -m 644 $(SCHED_SHARED) $(DESTDIR)$(LIBDIR)/libplumb_sched.so.$(SCHED_VERSION)
	ln -sf libplumb_sched.so.$(SCHED_VERSION) $(DESTDIR)$(LIBDIR)/$(notdir $(SCHED_SHARED))
	ln -sf $(notdir $(SCHED_SHARED)) $(DESTDIR)$(LIBDIR)/libplumb_sched.so
	sed 's|@PREFIX@|$(PREFIX)|; s|@LIBDIR@|$(LIBDIR)|; s|@VERSION@|$(SCHED_VERSION)|' sched/plumb_sched.pc.in \
	    > $(DESTDIR)$(LIBDIR)/pkgconfig/plumb_sched.pc
	install -m 644 $(dir $(MANUAL))*.1 $(INTO)/share/man/man1
	install -m 644 $(COMPLETION) $(INTO)/share/bash-completion/completions/plumb
	sed 's|configs/||' configs/cluster/list.jsonl > $(INTO)/share/plumb/cluster/list.jsonl
	install -m 755 configs/cluster/*.sh $(INTO)/share/plumb/cluster
	install -m 644 configs/recipes/*.json $(INTO)/share/plumb/recipes
	install -m 644 configs/schedulers/*.json $(INTO)/share/plumb/schedulers
	install -m 644 sched/examples/* $(INTO)/share/plumb/examples
	install -m 644 README.md LICENSE $(INTO)/share/doc/plumb
	install -m 644 configs/pictures/*.png $(INTO)/share/doc/plumb/configs/pictures
	install -m 644 golden/README.md $(INTO)/share/doc/plumb/golden
	install -m 644 sched/DEVIATIONS.md $(INTO)/share/doc/plumb/sched

# What an installation into an empty folder puts there is removed, and the folders that are Plumb's own.
uninstall:
	@rm -rf $(BUILD)/installed
	@$(MAKE) --no-print-directory -s install DESTDIR=$(abspath $(BUILD))/installed
	@cd $(BUILD)/installed && find . ! -type d | sed 's|^\.||' | while read -r file; do rm -f "$(DESTDIR)$$file"; done
	@cd $(BUILD)/installed && find .$(PREFIX)/share/plumb .$(PREFIX)/share/doc/plumb -depth -type d | sed 's|^\.||' | \
	    while read -r own; do [ ! -d "$(DESTDIR)$$own" ] || rmdir --ignore-fail-on-non-empty "$(DESTDIR)$$own"; done
	@rm -rf $(BUILD)/installed

# An installation into a folder, used from there and taken out again.
.PHONY: check-install
check-install: $(BUILD)/plumb $(SCHED_SHARED) $(MANUAL) $(COMPLETION)
	@tests/check_install.sh $(BUILD)/check-install $(MAKE) '$(CC) $(SANITIZE)'

# The examples of configs/cluster, run on this machine.
.PHONY: check-cluster
check-cluster: $(PLUMB_RUN)
	@tests/check_cluster.sh $(BUILD)/check-cluster $(PLUMB_RUN)

# Debian packages in $(BUILD)/debian/, and what becomes of them in a clean Debian.
.PHONY: deb check-deb check-fresh
deb:
	@configs/debian/build.sh $(BUILD)/debian $(MAKE)
check-deb: deb
	@tests/check_deb.sh $(BUILD)/debian
check-fresh:
	@tests/check_fresh.sh $(BUILD)/fresh

# The folders' layers: sched/ knows itself, libm and cJSON; kernels/ itself, the BLAS and OpenMP; ref/ these two.
outside = "(\.\./)*($(1))/
SCHED_KEEPS_OUT := <(omp|cblas|openblas|png|zlib|utf8proc|check)
KERNELS_KEEP_OUT := <(cjson/|png|zlib|utf8proc|check)
# What cppcheck does not see, since it reads no system header: a macro that is a loop, and the order of bytes.
CPPCHECK_KNOWS := -D__BYTE_ORDER__=1234 -D__ORDER_LITTLE_ENDIAN__=1234 \
    '-DcJSON_ArrayForEach(item,array)=while ((item = (array) ? (array)->child : NULL) != NULL)'

.PHONY: lint
lint:
	@clang-format --dry-run -Werror $(C_FILES)
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/lint-gcc CC=gcc CFLAGS=-Werror $(BUILD)/lint-gcc/plumb $(patsubst $(BUILD)/%,$(BUILD)/lint-gcc/%,$(TESTS))
	@$(MAKE) --no-print-directory BUILD=$(BUILD)/lint-clang CC=clang CFLAGS=-Werror $(BUILD)/lint-clang/plumb \
	    $(patsubst $(BUILD)/%,$(BUILD)/lint-clang/%,$(TESTS))
	! grep -nE '^#include ($(call outside,kernels|ref|tests)|$(SCHED_KEEPS_OUT))' sched/*.[ch]
	! grep -nE '^#include ($(call outside,sched|ref|tests)|$(KERNELS_KEEP_OUT))' kernels/*.[ch] kernels/*/*.[ch]
	! grep -nE '^#include $(call outside,tests)' ref/*.[ch]
	! command -v cppcheck >/dev/null || cppcheck -q --std=c11 --error-exitcode=1 --inline-suppr \
	    --suppress=missingIncludeSystem $(CPPCHECK_KNOWS) -I. -DPLUMB_REAL_IS_DOUBLE=0 sched kernels/*.c ref
	! command -v clang-tidy >/dev/null || $(MAKE) --no-print-directory tidy

# clang-tidy with the checks of .clang-tidy, as many files at once as there are processors: some minutes on two. A file
# that is compiled twice is read in float. Left out are NEON's files, which want their processor's headers, and the one
# that defines the C library's own names.
TIDY_FILES ?= $(filter-out kernels/arm/% tests/faults/allocations.c,$(filter %.c,$(C_FILES)))
.PHONY: tidy
tidy:
	@command -v clang-tidy >/dev/null || { echo "make tidy needs clang-tidy: apt-get install clang-tidy" >&2; exit 1; }
	@printf '%s\n' $(TIDY_FILES) | xargs -P $$(nproc) -I {} sh -c 'case {} in \
	    kernels/x86/*) set -- -mavx2 -mfma -mf16c;; \
	    kernels/x86_512/*) set -- -mavx512f -mavx512bw -mavx512dq -mavx512vl -mfma -mf16c;; \
	    sched/examples/*) set -- -Isched;; esac; \
	    clang-tidy --quiet {} -- -D_GNU_SOURCE -I. -DPLUMB_REAL_IS_DOUBLE=0 -std=c17 $(OPENMP) $(PKG_CFLAGS) "$$@" 2>/dev/null'

# Lines and error messages that the tests reach, of a build of its own; tests/coverage.py says what it prints. The tests
# whose files may not be written whole would damage gcov's: theirs lie apart, and what is damaged of them is not read.
COVERAGE := $(BUILD)/coverage
SABOTAGE := bad_requests faults interruption output_file synth_command tensor_files
.PHONY: coverage
coverage:
	@command -v gcov >/dev/null && command -v python3 >/dev/null || { \
	    echo "make coverage needs gcov, which comes with gcc, and python3: apt-get install python3" >&2; exit 1; }
	@$(MAKE) --no-print-directory BUILD=$(COVERAGE) OPTIMISE="-O1 -g" SANITIZE=--coverage $(COVERAGE)/plumb \
	    $(patsubst $(BUILD)/%,$(COVERAGE)/%,$(TESTS) $(EXAMPLES))
	@find $(COVERAGE) -name '*.gcda' -delete
	@export OMP_WAIT_POLICY=passive PLUMB_CHECK_EFFORT=brief CK_TIMEOUT_MULTIPLIER=20 PLUMB=$(COVERAGE)/plumb PLUMB_GOLDEN=golden \
	    GCOV_ERROR_FILE=/dev/null; failed=; \
	for test in $(notdir $(TESTS)); do \
	    prefix=; for one in $(SABOTAGE:%=test_%); do [ $$one != $$test ] || prefix=$(abspath $(COVERAGE))/apart; done; \
	    $${prefix:+env GCOV_PREFIX=$$prefix} $(COVERAGE)/tests/$$test >$(COVERAGE)/said 2>&1 || { \
	    failed="$$failed $$test"; tail -n 20 $(COVERAGE)/said; }; \
	done; [ -z "$$failed" ] || echo "Failed:$$failed"
	@tests/coverage.py $(COVERAGE) $(COVERAGE)/apart$(abspath $(COVERAGE))

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
endif

C_FILES = $(wildcard sched/*.[ch] sched/examples/*.c kernels/*.[ch] kernels/*/*.[ch] ref/*.[ch] tests/*.[ch] tests/*/*.[ch])
.PHONY: format clean help
format:
	clang-format -i $(C_FILES)
clean:
	rm -rf $(BUILD)
help:
	@sed -n '3,/^$$/s/^# \{0,1\}//p' Makefile
