#!/bin/sh
# The threads under ThreadSanitizer: Plumb built by clang with -fsanitize=thread and LLVM's OpenMP runtime, whose
# tool Archer tells the sanitizer of each fork, join and barrier; then runs of the tiny models with 2, 3 and 4
# threads and the kernels' own cases. Arguments: the folder to build in, make, the packages that this needs.
# OpenBLAS is not instrumented; it has no threads of its own (ref/library_threads.h).
set -eu
build=$1 make=$2 packages=$3

archer=$(find /usr/lib/llvm-*/lib -name libarcher.so 2>/dev/null | sort -V | tail -n 1)
if ! command -v clang >/dev/null || [ -z "$archer" ]; then
    echo "make tsan needs clang and LLVM's OpenMP runtime with Archer: apt-get install $packages" >&2
    exit 1
fi

$make --no-print-directory BUILD="$build" CC=clang OPTIMISE='-O1 -g' SANITIZE='-fsanitize=thread' MANUAL= COMPLETION= \
    OPENMP="-fopenmp=libomp" LDFLAGS="-L$(dirname "$archer")" "$build/plumb" "$build/tests/checkkernels"

# Without Archer a race would be reported at each barrier; verbose says whether it is there.
export OMP_TOOL_LIBRARIES="$archer" ARCHER_OPTIONS=verbose=1 OMP_WAIT_POLICY=passive
export TSAN_OPTIONS="ignore_noninstrumented_modules=1 exitcode=66 halt_on_error=0 log_path=$build/race"
rm -f "$build"/race.*

runs=0
plumb() {
    runs=$((runs + 1))
    "$build/plumb" "$@" >"$build/out" 2>"$build/err" || {
        echo "plumb $*: status $?" >&2
        cat "$build/err" "$build"/race.* >&2 2>/dev/null
        exit 1
    }
}

small="--prompt fox --steps 2 --height 64 --width 64"
for threads in 2 3 4; do
    plumb run golden/models/tiny-sd $small --threads $threads --out "$build/o.png"
    plumb run golden/models/tiny-sdxl $small --threads $threads --precision bf16 --range --out "$build/o.png"
    plumb run golden/models/tiny-sdxl $small --threads $threads --precision f64 --out "$build/o.png"
    plumb run golden/models/tiny-sd $small --threads $threads --cpu scalar --out "$build/o.png"
    plumb run golden/models/tiny-sd $small --threads $threads --gemm openblas --out "$build/o.png"
    plumb verify golden/models/tiny-sd golden/models/traces/sd-ddim5.safetensors --threads $threads
    rm -rf "$build/synth"
    plumb synth tiny-sdxl "$build/synth" --threads $threads
    plumb bench --stages --architecture tiny-sd15 --size 64x64 --repeat 1 --threads $threads
done
if ! grep -q 'Archer detected' "$build/out" "$build/err"; then
    echo "make tsan: Archer was not at work" >&2
    exit 1
fi
OMP_NUM_THREADS=3 PLUMB_CHECK_EFFORT=brief "$build/tests/checkkernels" >"$build/out" 2>"$build/err" || {
    cat "$build/err" "$build"/race.* >&2 2>/dev/null
    exit 1
}
echo "ThreadSanitizer: $runs runs of the program with 2, 3 and 4 threads, and every kernel's cases: no data race."
