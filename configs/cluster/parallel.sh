#!/bin/sh
# The same with GNU parallel: on this machine, a part for each of PARTS processes (by default one a processor).
#
#   PARTS=8 configs/cluster/parallel.sh CHECKPOINT LIST.jsonl DIR [options of plumb run]
#
# With --sshloginfile NODES in PARALLEL, on the machines that the file names, which need the same folders. Where a part
# fails the others go on, and the exit status says how many did. Started again, it goes on with what is left.
set -eu
checkpoint=$1 list=$2 folder=$3
shift 3
parts=${PARTS:-$(nproc)}
seq "$parts" | parallel --will-cite --jobs "$parts" --line-buffer --quote "${PLUMB:-plumb}" run "$checkpoint" \
    --recipes "$list" --out-dir "$folder" --shard "{}/$parts" --threads 1 "$@"
