#!/bin/sh
# The examples of configs/cluster, run: GNU parallel on this machine, and a job array of Slurm on one node whose daemons
# are started here and stopped again. What the parts leave together must be the bytes of a single run.
#
#     check_cluster.sh FOLDER PLUMB
set -eu
folder=$1 PLUMB=$(realpath "$2")
export PLUMB
checkpoint=golden/models/shapes-xl list=configs/cluster/list.jsonl
options='--seeds 1-3 --traces'
export OMP_WAIT_POLICY=passive

fail() { echo "check_cluster: $*" >&2; exit 1; }

missing=
for program in parallel munged slurmctld slurmd sbatch squeue sinfo scontrol; do
    PATH=$PATH:/usr/sbin command -v $program >/dev/null || missing="$missing $program"
done
[ -z "$missing" ] || fail "needs GNU parallel and Slurm (missing:$missing): apt-get install parallel slurm-wlm munge"
PATH=$PATH:/usr/sbin

rm -rf "$folder"
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
chmod 755 "$folder"

# Names and bytes of what a folder holds, but for the status files, which say how long each item took.
contents() { (cd "$1" && find . -type f ! -name 'status*' | LC_ALL=C sort | xargs sha256sum); }
expect_same() {
    contents "$folder/$1" >"$folder/$1.sums"
    cmp -s "$folder/single.sums" "$folder/$1.sums" || { diff "$folder/single.sums" "$folder/$1.sums"; fail "$1: not the files of a single run"; }
    [ "$(cat "$folder/$1"/status-*.jsonl | grep -c '"status": "done"')" = "$items" ] || fail "$1: not every item is done once"
}

# shellcheck disable=SC2086
"$PLUMB" run $checkpoint --recipes $list --out-dir "$folder/single" $options >"$folder/single.log"
contents "$folder/single" >"$folder/single.sums"
items=$(grep -c '^done' "$folder/single.log")
[ "$items" = 12 ] || fail "single: expected 12 items, got $items"

# --- GNU parallel ---------------------------------------------------------------------------------------------------
# shellcheck disable=SC2086
PARTS=5 configs/cluster/parallel.sh $checkpoint $list "$folder/parallel" $options >"$folder/parallel.log" 2>&1 ||
    { cat "$folder/parallel.log"; fail "parallel: a part failed"; }
expect_same parallel
echo "GNU parallel: $items items in 5 parts, the bytes of a single run"

# --- Slurm ----------------------------------------------------------------------------------------------------------
# One node, this one. Nothing of it touches the machine's own Slurm, if there is one: keys, sockets, ports, states and
# logs are the folder's.
slurm=$folder/slurm
mkdir -p "$slurm/state" "$slurm/spool"
chmod 700 "$slurm"
me=$(id -un) node=$(hostname -s) processors=$(nproc)
port=$((20000 + $$ % 20000))
cat >"$slurm/slurm.conf" <<END
ClusterName=plumb
SlurmctldHost=$node(127.0.0.1)
SlurmctldPort=$port
SlurmdPort=$((port + 1))
SlurmUser=$me
SlurmdUser=$me
AuthType=auth/munge
AuthInfo=socket=$slurm/munge.socket
StateSaveLocation=$slurm/state
SlurmdSpoolDir=$slurm/spool
SlurmctldPidFile=$slurm/slurmctld.pid
SlurmdPidFile=$slurm/slurmd.pid
SlurmctldLogFile=$slurm/slurmctld.log
SlurmdLogFile=$slurm/slurmd.log
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
SelectType=select/cons_tres
SelectTypeParameters=CR_CPU
JobAcctGatherType=jobacct_gather/none
MpiDefault=none
ReturnToService=2
NodeName=$node NodeAddr=127.0.0.1 CPUs=$processors State=UNKNOWN
PartitionName=all Nodes=$node Default=YES MaxTime=INFINITE State=UP
END
export SLURM_CONF="$slurm/slurm.conf"

processes=
stop() {
    for process in $processes; do kill "$process" 2>/dev/null || true; done
    for process in $processes; do wait "$process" 2>/dev/null || true; done
}
trap stop EXIT INT TERM
start() { "$@" >"$slurm/$1.out" 2>&1 & processes="$! $processes"; }

head -c 1024 /dev/urandom >"$slurm/munge.key"
chmod 400 "$slurm/munge.key"
start munged --foreground --force --key-file="$slurm/munge.key" --socket="$slurm/munge.socket" \
    --pid-file="$slurm/munge.pid" --seed-file="$slurm/munge.seed" --log-file="$slurm/munge.log"
start slurmctld -D -i
start slurmd -D -N "$node"
waited=0
until sinfo -h -o %T 2>/dev/null | grep -Eq 'idle|mixed|allocated'; do
    waited=$((waited + 1))
    [ $waited -lt 60 ] || { tail -n 5 "$slurm"/*.log "$slurm"/*.out; fail "Slurm: the node did not come up in a minute"; }
    sleep 1
done

# shellcheck disable=SC2086
sbatch --wait --array=1-5 --output="$slurm/job-%a.log" configs/cluster/slurm_array.sh $checkpoint $list \
    "$folder/array" $options || { tail -n 5 "$slurm"/job-*.log; fail "Slurm: the array failed"; }
expect_same array
[ "$(find "$folder/array" -name 'status-*-of-5.jsonl' | wc -l)" = 5 ] || fail "Slurm: expected the status of five parts"
echo "Slurm: $items items in an array of 5 jobs on one node, the bytes of a single run"
