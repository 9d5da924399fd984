# Plumb: build, test, demo. `make help` lists the targets.

BUILD ?= build
PREFIX ?= /usr/local
CC ?= cc

# The packages, by the names that pkg-config and Debian know them under.
PKGS := openblas libcjson libpng zlib libutf8proc
TEST_PKGS := check
DEBIAN_PACKAGES := gcc libc6-dev pkg-config libopenblas-dev libcjson-dev libpng-dev zlib1g-dev libutf8proc-dev check

WARNINGS := -Wall -Wextra -Wshadow -Wconversion -Wstrict-prototypes -Wmissing-prototypes -Wvla
# The sampler's numbers must not depend on what a compiler fuses: contraction is off, fused operations are written so.
NUMERICS := -ffp-contract=off -fno-fast-math -fexcess-precision=standard
ifneq (,$(findstring clang,$(CC)))
NUMERICS := -ffp-contract=off -fno-fast-math
endif
OPTIMISE ?= -O2 -g
SANITIZE ?=
OPENMP ?= -fopenmp

PKG_CFLAGS = $(shell pkg-config --cflags $(PKGS))
PKG_LIBS = $(shell pkg-config --libs $(PKGS))
CPPFLAGS += -D_GNU_SOURCE -I. -MMD -MP
CFLAGS_ALL = -std=c17 $(WARNINGS) $(NUMERICS) $(OPTIMISE) $(SANITIZE) $(OPENMP) $(PKG_CFLAGS) $(CFLAGS)
LDLIBS_ALL = $(PKG_LIBS) -lm

# --- Sources -------------------------------------------------------------------------------------------------------
# A file that includes real.h itself is compiled twice: for float (_f32) and for double (_f64).
compiled_twice = $(shell grep -lE '^.include "((sched|kernels)/)?real\.h"' $(1) /dev/null)
objects = $(patsubst %.c,$(BUILD)/%.o,$(filter-out $(call compiled_twice,$(1)),$(1))) \
          $(patsubst %.c,$(BUILD)/%_f32.o,$(call compiled_twice,$(1))) \
          $(patsubst %.c,$(BUILD)/%_f64.o,$(call compiled_twice,$(1)))

SCHED := $(wildcard sched/*.c)
KERNELS := $(wildcard kernels/*.c)
# One folder for each architecture, each file with its own flags, chosen at run time.
MACHINE := $(shell $(CC) -dumpmachine | cut -d- -f1)
ifeq ($(MACHINE),x86_64)
KERNELS_ARCH := $(wildcard kernels/x86/*.c)
$(BUILD)/kernels/x86/%.o: ARCH_FLAGS := -mavx2 -mfma -mf16c
endif
ifeq ($(MACHINE),aarch64)
KERNELS_ARCH := $(wildcard kernels/arm/*.c)
endif
REF := $(filter-out ref/main.c,$(wildcard ref/*.c))

# Tests: tests/test_*.c are programs of their own; the other files of the folder are shared between them.
TEST_MAINS := $(wildcard tests/test_*.c)
TEST_SHARED := $(filter-out $(TEST_MAINS),$(wildcard tests/*.c))
TESTS := $(patsubst tests/%.c,$(BUILD)/tests/%,$(TEST_MAINS))

LIBS := $(BUILD)/libplumb_ref.a $(BUILD)/libplumb_kernels.a $(BUILD)/libplumb_sched.a

.PHONY: all
all: $(BUILD)/plumb

# --- Rules ---------------------------------------------------------------------------------------------------------
$(BUILD)/%_f32.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -DPLUMB_REAL_IS_DOUBLE=0 $(CFLAGS_ALL) -c $< -o $@

$(BUILD)/%_f64.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -DPLUMB_REAL_IS_DOUBLE=1 $(CFLAGS_ALL) -c $< -o $@

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(CC) $(CPPFLAGS) -DPLUMB_REAL_IS_DOUBLE=0 $(CFLAGS_ALL) $(ARCH_FLAGS) -c $< -o $@

$(BUILD)/libplumb_sched.a: $(call objects,$(SCHED))
$(BUILD)/libplumb_kernels.a: $(call objects,$(KERNELS)) $(patsubst %.c,$(BUILD)/%.o,$(KERNELS_ARCH))
$(BUILD)/libplumb_ref.a: $(call objects,$(REF))
$(BUILD)/libplumb_tests.a: $(call objects,$(TEST_SHARED))
$(BUILD)/%.a:
	@mkdir -p $(@D)
	@rm -f $@
	ar rcs $@ $^

$(BUILD)/plumb: $(BUILD)/ref/main.o $(LIBS)
	$(CC) $(SANITIZE) $(OPENMP) $(LDFLAGS) $^ $(LDLIBS_ALL) -o $@

$(TESTS): $(BUILD)/tests/%: $(BUILD)/tests/%.o $(BUILD)/libplumb_tests.a $(LIBS)
	$(CC) $(SANITIZE) $(OPENMP) $(LDFLAGS) $^ $(shell pkg-config --libs $(TEST_PKGS)) $(LDLIBS_ALL) -o $@

.PHONY: clean
clean:
	rm -rf $(BUILD)

-include $(shell find $(BUILD) -name '*.d' 2>/dev/null)
