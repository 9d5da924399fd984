#!/bin/sh
# Builds the sampler in several ways and compares what each computes, case by case.
#
#     check_builds.sh FOLDER MAKE AARCH64_PKG_CONFIG
set -eu
folder=$1 make=$2 aarch64_pkg_config=$3
mkdir -p "$folder"
reference=

# one NAME RUNNER VARIABLE=VALUE...: builds, runs, and compares with the first that was built.
one() {
    name=$1 runner=$2
    shift 2
    "$make" --no-print-directory -s BUILD="$folder/$name" "$@" "$folder/$name/tests/builds/sampler_bits" >/dev/null
    $runner "$folder/$name/tests/builds/sampler_bits" golden/sched/*.json > "$folder/$name.txt"
    if [ -z "$reference" ]; then
        reference=$folder/$name.txt
        echo "$name: $(wc -l < "$reference") cases, $(grep -c ' 0000000000000000' "$reference" || true) of them not run"
    elif cmp -s "$reference" "$folder/$name.txt"; then
        echo "$name: the same bits"
    else
        echo "$name: differs"
        diff "$reference" "$folder/$name.txt" | head -20
        exit 1
    fi
}

for level in -O2 -O0 -O3; do one "gcc$level" "" CC=gcc OPTIMISE="$level"; done
if command -v clang >/dev/null; then
    for level in -O0 -O2 -O3; do one "clang$level" "" CC=clang OPTIMISE="$level"; done
else
    echo "clang: left out, not installed"
fi
if command -v aarch64-linux-gnu-gcc >/dev/null && command -v qemu-aarch64 >/dev/null; then
    for level in -O0 -O2; do
        one "aarch64$level" qemu-aarch64 CC=aarch64-linux-gnu-gcc PKG_CONFIG="$aarch64_pkg_config" OPTIMISE="$level"
    done
else
    echo "aarch64: left out, no cross compiler or no qemu"
fi
