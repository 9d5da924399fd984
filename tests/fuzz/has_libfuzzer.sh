#!/bin/sh
# Whether clang is there with all that `make fuzz` needs of it: libFuzzer, the sanitizers, OpenMP.
object=$(mktemp) || exit 1
trap 'rm -f "$object"' EXIT
command -v clang >/dev/null || exit 1
printf '#include <omp.h>\n#include <stddef.h>\nint LLVMFuzzerTestOneInput(const char *data, size_t size);\n%s\n' \
    'int LLVMFuzzerTestOneInput(const char *data, size_t size) { return data && size ? omp_get_max_threads() * 0 : 0; }' |
    clang -x c -fopenmp -fsanitize=fuzzer,address,undefined - -o "$object" 2>/dev/null
