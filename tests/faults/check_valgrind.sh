#!/bin/sh
# The commands with the tiny models under Valgrind's memcheck: no use of memory that was not written, none out of
# bounds, no leak. Arguments: the program, a folder for what it writes. Valgrind 3.19 does not know AVX-512, so the
# AVX2 kernels are taken, and Haswell's of OpenBLAS.
set -eu
program=$1 folder=$2
if ! command -v valgrind >/dev/null; then
    echo "make valgrind needs valgrind: apt-get install valgrind libc6-dbg" >&2
    exit 1
fi
rm -rf "$folder"
mkdir -p "$folder"
export OPENBLAS_CORETYPE=Haswell OPENBLAS_NUM_THREADS=1 OMP_WAIT_POLICY=passive GOMP_SPINCOUNT=0

runs=0
# The exit status that is expected, and the arguments.
check() {
    expected=$1
    shift
    runs=$((runs + 1))
    status=0
    valgrind -q --error-exitcode=99 --leak-check=full --show-leak-kinds=definite,indirect,possible \
        --errors-for-leak-kinds=definite,indirect --log-file="$folder/log" \
        "$program" "$@" >"$folder/out" 2>"$folder/err" || status=$?
    if [ $status -ne "$expected" ]; then
        echo "plumb $*: status $status under Valgrind" >&2
        head -n 60 "$folder/log" "$folder/err" >&2
        exit 1
    fi
}

sd=golden/models/tiny-sd xl=golden/models/tiny-sdxl traces=golden/models/traces
small="--prompt fox --steps 2 --height 16 --width 16 --threads 1 --cpu avx2"
check 0 run $sd $small --out "$folder/o.png" --trace "$folder/t.safetensors" --noise-log "$folder/n.json"
check 0 run $xl $small --trace "$folder/t.npz" --trace-modules --seed 1,2 --images 2
check 0 run $xl $small --precision bf16 --range --out "$folder/o.png"
check 0 run $sd $small --precision f64 --out "$folder/o.png"
check 0 run $sd $small --gemm openblas --out "$folder/o.png"
check 0 run $sd $small --cpu scalar --out "$folder/o.png"
check 0 run $sd $small --scheduler DPMSolverSDE --generator torch-cpu --out "$folder/o.png"
check 0 run $sd $small --seeds 1,2 --traces --out-dir "$folder/many"
check 0 run $sd $small --seeds 1,2 --traces --out-dir "$folder/many"
check 0 verify $sd $traces/sd-ddim5.safetensors --threads 1 --cpu avx2 --no-diagnose
check 1 verify $sd golden/faults/sd-ddim5-halves-swapped-in-guidance.safetensors --threads 1 --cpu avx2 --html "$folder/v.html"
check 0 compare $traces/sd-ddim5.safetensors "$traces/sd-ddim5.safetensors" --heatmap "$folder/h.png"
check 0 inspect $xl --tensors
check 0 info
check 0 info --plan sdxl
check 0 synth tiny-sd15 "$folder/synth" --threads 1
check 0 hash $traces/sd-ddim5.safetensors --tensors
check 0 sheet "$folder/s.png" "$folder/o.png" "$folder/o.png"
check 0 bench --list --architecture tiny-sdxl
check 0 help --format bash
check 0 schedule --list --format json
check 0 schedule --tables
check 0 schedule configs/schedulers/sdxl.json --steps 5 --coefficients --plot "$folder/p.png"
check 0 schedule DPMSolverMultistep --steps 4 --explain
check 2 schedule DDIMM --steps 4
check 2 run $sd --promt fox
for class in $("$program" help --format bash | sed -n "s/^_plumb_classes='\(.*\)'/\1/p"); do
    case $class in ScoreSde*) ;; *) check 0 schedule "$class" --steps 4 --format json ;; esac
done
for case in golden/sched/*.json; do
    check 0 sample "$case" --tensors "${case%.json}.safetensors" --out "$folder/o.safetensors"
done
echo "Valgrind: $runs runs without an error or a leak."
