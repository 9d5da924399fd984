#!/bin/sh
# A job array of Slurm that shares a list of recipes: each task takes its part of it.
#
#   sbatch --array=1-16 configs/cluster/slurm_array.sh CHECKPOINT LIST.jsonl DIR [options of plumb run]
#
# The array begins at 1 and has no gaps. DIR is on a file system that all nodes have. A task that Slurm ends (its time is
# over, its node is wanted) has kept its finished steps: submitted again, the same array goes on with what is left.
#SBATCH --job-name=plumb
#SBATCH --array=1-4
#SBATCH --cpus-per-task=1
#SBATCH --requeue
#SBATCH --open-mode=append
#SBATCH --output=plumb-%A-%a.log
set -eu
checkpoint=$1 list=$2 folder=$3
shift 3
exec "${PLUMB:-plumb}" run "$checkpoint" --recipes "$list" --out-dir "$folder" \
    --shard "$SLURM_ARRAY_TASK_ID/$SLURM_ARRAY_TASK_COUNT" --threads "${SLURM_CPUS_PER_TASK:-1}" "$@"
