#!/bin/sh
# run.sh BUILD SECONDS JOBS TARGET...: runs each target's libFuzzer program for so long, JOBS at a time, and prints a
# line a target. It starts from tests/fuzz/corpus/TARGET and regressions/TARGET; what it keeps of its own goes into
# BUILD/corpus/TARGET, the log into BUILD/TARGET.log, and what breaks it into BUILD/found/TARGET/. Fails where
# something did. PLUMB_FUZZ_SEED is libFuzzer's; by default each run has another.

# What takes 25 seconds hangs; what is slow for less may be a busy machine, and is no finding.
#
# One target: run.sh --one BUILD SECONDS SCRATCH TARGET.
if [ "$1" = --one ]; then
    build=$2 seconds=$3 scratch=$4/$5 target=$5
    mkdir -p "$build/corpus/$target" "$scratch"
    inputs=tests/fuzz/corpus/$target
    [ ! -d "tests/fuzz/regressions/$target" ] || inputs="$inputs tests/fuzz/regressions/$target"
    dictionary=tests/fuzz/dictionaries/$target.dict
    [ -f "$dictionary" ] || dictionary=tests/fuzz/dictionaries/json.dict
    # shellcheck disable=SC2086 # the folders of $inputs are words of their own
    OPENBLAS_NUM_THREADS=1 OMP_NUM_THREADS=1 TMPDIR=$scratch "$build/tests/fuzz/$target" \
        -seed="${PLUMB_FUZZ_SEED:-0}" -max_total_time="$seconds" -timeout=25 -report_slow_units=25 -rss_limit_mb=2560 \
        -print_final_stats=1 -reload=0 -artifact_prefix="$build/found/$target/" -dict="$dictionary" \
        "$build/corpus/$target" $inputs >"$build/$target.log" 2>&1
    exit 0
fi

build=$1 seconds=$2 jobs=$3
shift 3
root=/tmp
[ ! -w /dev/shm ] || root=/dev/shm
scratch=$(mktemp -d "$root/plumb-fuzzers-XXXXXX") || exit 3
trap 'rm -rf "$scratch"' EXIT
trap 'exit 130' INT TERM

# From a target's log: the last progress line and the statistics at the end.
report() {
    awk -v name="$1" -v found="$(find "$build/found/$1" -type f | wc -l)" '
        /^#[0-9]+/ && / cov: / {
            for (i = 1; i < NF; i++) {
                if ($i == "cov:") edges = $(i + 1)
                if ($i == "ft:") features = $(i + 1)
                if ($i == "corp:") { split($(i + 1), part, "/"); corpus = part[1] }
            }
        }
        /^stat::number_of_executed_units:/ { executions = $2 }
        /^stat::average_exec_per_sec:/ { rate = $2 }
        END { printf "%-12s %12d %8d %8d %9d %7d %8d\n", name, executions, rate, edges, features, corpus, found }
    ' "$build/$1.log"
}

echo "Fuzzing for $seconds seconds a target, $jobs at a time; logs are in $build/."
for target; do
    rm -rf "$build/found/$target"
    mkdir -p "$build/found/$target"
done
printf '%s\n' "$@" | xargs -n 1 -P "$jobs" "$0" --one "$build" "$seconds" "$scratch"
printf '%-12s %12s %8s %8s %9s %7s %8s\n' target executions 'exec/s' edges features corpus crashes
broken=
for target; do
    report "$target"
    [ -z "$(find "$build/found/$target" -type f)" ] && grep -q '^stat::number_of_exec' "$build/$target.log" ||
        broken="$broken $target"
done
[ -n "$broken" ] || exit 0

# What is printed is all that is left of a run on a machine that is gone.
for target in $broken; do
    echo "$target broke; the end of $build/$target.log, and what broke it, from $build/found/$target/, in base64:"
    grep -v -e '^#[0-9]' -e '^stat::' "$build/$target.log" | tail -n 30
    find "$build/found/$target" -type f -size -16k -exec base64 {} +
done >&2
exit 1
