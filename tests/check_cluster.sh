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
for program in parallel munged slurmctld slurmd sbatch scancel squeue sinfo; do
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
# expect_same FOLDER SINGLE ITEMS
expect_same() {
    contents "$folder/$1" >"$folder/$1.sums"
    contents "$folder/$2" >"$folder/$2.sums"
    cmp -s "$folder/$2.sums" "$folder/$1.sums" ||
        { diff "$folder/$2.sums" "$folder/$1.sums"; fail "$1: not the files of a single run"; }
    [ "$(cat "$folder/$1"/status-*.jsonl | grep -c '"status": "done"')" = "$3" ] || fail "$1: not every item is done once"
}

# shellcheck disable=SC2086
"$PLUMB" run $checkpoint --recipes $list --out-dir "$folder/single" $options >"$folder/single.log"
items=$(grep -c '^done' "$folder/single.log")
[ "$items" = 12 ] || fail "single: expected 12 items, got $items"

# --- GNU parallel ---------------------------------------------------------------------------------------------------
# shellcheck disable=SC2086
PARTS=5 configs/cluster/parallel.sh $checkpoint $list "$folder/parallel" $options >"$folder/parallel.log" 2>&1 ||
    { cat "$folder/parallel.log"; fail "parallel: a part failed"; }
expect_same parallel single "$items"
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
expect_same array single "$items"
[ "$(find "$folder/array" -name 'status-*-of-5.jsonl' | wc -l)" = 5 ] || fail "Slurm: expected the status of five parts"
echo "Slurm: $items items in an array of 5 jobs on one node, the bytes of a single run"

# An array that is cancelled in the middle of its items, and submitted again.
long='--seeds 7 --steps 250'
# shellcheck disable=SC2086
"$PLUMB" run $checkpoint --recipes $list --out-dir "$folder/long" $long >"$folder/long.log"
submit() {
    # shellcheck disable=SC2086
    sbatch "$@" --array=1-2 --output="$slurm/cancelled-%a.log" configs/cluster/slurm_array.sh $checkpoint $list \
        "$folder/cancelled" $long
}
submit >"$slurm/submitted" || fail "Slurm: not submitted"
waited=0
until find "$folder/cancelled" -name '*.partial' 2>/dev/null | grep -q .; do
    waited=$((waited + 1))
    [ $waited -lt 600 ] || fail "Slurm: no item of the array began"
    sleep 0.1
done
scancel "$(sed 's/.* //' "$slurm/submitted")"
while squeue -h | grep -q .; do sleep 0.2; done
kept=$(find "$folder/cancelled" -name '*.partial' | wc -l)
[ "$kept" -gt 0 ] || fail "Slurm: a cancelled array kept no steps"
grep -q 'the same command goes on with them' "$slurm"/cancelled-*.log || fail "Slurm: the cancelled items do not say how to go on"
submit --wait || { tail -n 5 "$slurm"/cancelled-*.log; fail "Slurm: the array failed"; }
grep -q 'goes on after' "$slurm"/cancelled-*.log || fail "Slurm: no item went on"
expect_same cancelled long 4
echo "Slurm: an array that was cancelled in $kept items went on to the bytes of a single run"
