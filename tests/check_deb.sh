#!/bin/sh
# Installs the Debian packages in a clean Debian, uses them there, removes them, and sees that nothing is left.
#
#     check_deb.sh FOLDER       of the packages
#
# Needs root, debootstrap and a network (Debian's mirror, or DEBIAN_MIRROR).
set -eu
folder=$(cd "$1" && pwd)
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}
packages="plumb libplumb-sched0 libplumb-sched-dev"

fail() { echo "check_deb: $*" >&2; exit 1; }
inside() { env -u TMPDIR LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive chroot "$root" "$@"; }
apt() { inside apt-get -q -y --no-install-recommends "$@" >> "$folder/apt.log" 2>&1 </dev/null || fail "see $folder/apt.log"; }
# Everything but what apt and dpkg write of their own work.
list_files() { (cd "$root" && find . \( -path ./proc -o -path ./sys -o -path ./var/cache -o -path ./var/log -o -path ./var/lib/apt \
    -o -path ./var/lib/dpkg -o -path ./tmp \) -prune -o -print | LC_ALL=C sort); }

[ "$(id -u)" = 0 ] || fail "must be root, for debootstrap and chroot"
command -v debootstrap >/dev/null || fail "needs debootstrap: apt-get install debootstrap"
root=$(mktemp -d)
chmod 755 "$root"
trap 'rm -rf "$root"' EXIT
rm -f "$folder/apt.log"
debootstrap --variant=minbase bookworm "$root" "$mirror" > "$folder/debootstrap.log" || fail "see $folder/debootstrap.log"

# --- Install ---
mkdir "$root/tmp/packages"
cp "$folder"/*.deb "$root/tmp/packages"
# What they depend on, and what the use below needs, from the mirror; then they alone, with dpkg, which
# refuses them where a dependency is not named.
for deb in "$folder"/*.deb; do
    dpkg-deb -f "$deb" Depends | tr ',' '\n' | sed 's/^ *//' | grep -v '^libplumb-sched' || true
done | sort -u > "$folder/depends"
apt update
apt install gcc libc6-dev pkg-config python3 man-db
while read -r depends; do apt satisfy "$depends"; done < "$folder/depends"
list_files > "$folder/before"
inside sh -c 'dpkg -i /tmp/packages/*.deb' >/dev/null

# --- Use ---
# grep reads to the end here: -q would leave before the writer has said all.
version=$(sed -n 's/.*PLUMB_SCHED_VERSION "\(.*\)".*/\1/p' sched/plumb_sched.h)
[ "$(inside plumb --version)" = "plumb $version" ] || fail "plumb --version: got $(inside plumb --version)"
inside plumb --help | grep '^usage: plumb COMMAND' >/dev/null || fail "plumb --help"
inside man -w plumb-run | grep -x /usr/share/man/man1/plumb-run.1.gz >/dev/null || fail "man does not find plumb-run"
inside man -P cat plumb-run | grep -- '--num-inference-steps' >/dev/null || fail "man plumb-run has no options"
inside sh -c 'cd /usr/share/plumb && plumb schedule schedulers/*.json --plot /tmp/plot.png' >/dev/null 2>&1 || fail "plumb schedule"

# A run of a tiny model, which gives the numbers that it gives here.
cp -r golden/models/tiny-sd "$root/tmp/tiny-sd"
inside plumb run /tmp/tiny-sd --prompt 'a fox' --steps 4 --seed 7 --height 64 --width 64 --out /tmp/fox.png \
    --trace /tmp/fox.safetensors
"$folder/build/plumb" run golden/models/tiny-sd --prompt 'a fox' --steps 4 --seed 7 --height 64 --width 64 \
    --trace "$folder/fox.safetensors"
here=$("$folder/build/plumb" hash "$folder/fox.safetensors" | cut -d' ' -f1)
there=$(inside plumb hash /tmp/fox.safetensors | cut -d' ' -f1)
[ "$here" = "$there" ] || fail "the run's hash: expected $here, got $there"

# README.md's guide to verifying a port, as it stands there but for the program that is installed. A command ends with the
# status behind it, 0 where none is stated; the faults are found.
mkdir -p "$root/tmp/guide/build"
cp -r golden configs "$root/tmp/guide"
awk '/^## /{guide = /^## Verify a port/} /^```/{fence = guide && /^```sh$/; next} fence' README.md |
    sed 's|build/plumb|plumb|
        s|^\(.*\) # exit status \([0-9]*\)$|\1 \&\& got=0 \|\| got=$?; [ $got = \2 ]|' > "$root/tmp/guide/guide.sh"
[ "$(grep -c '^plumb verify' "$root/tmp/guide/guide.sh")" -ge 3 ] || fail "README.md: the guide has too few commands"
inside sh -c 'cd /tmp/guide && sh -e guide.sh' > "$folder/guide.txt" 2>&1 || fail "the guide: see $folder/guide.txt"
grep -q '^43 tensors, 43 rounding' "$folder/guide.txt" || fail "the guide: expected a right port to be found right"
[ "$(grep -c '^Diagnosis: equals ours' "$folder/guide.txt")" = 2 ] || fail "the guide: expected two faults to be named"

# The library, linked by the command that its example says, from C and from Python.
examples=/usr/share/doc/libplumb-sched-dev/examples
command=$(sed -n 's/^ \*     \(cc .*\)/\1/p' "$root$examples/sample.c")
[ -n "$command" ] || fail "sample.c: expected the command that builds it"
inside sh -c "cp $examples/* /tmp && cd /tmp && $command" | grep . >/dev/null || fail "the example says nothing"
inside python3 "$examples/sample.py" | grep . >/dev/null || fail "the example in Python says nothing"

# --- Remove ---
# shellcheck disable=SC2086 # a list of names
apt purge $packages
list_files > "$folder/after"
diff "$folder/before" "$folder/after" || fail "the packages leave (>) or take away (<) these"
inside dpkg -l | grep plumb && fail "dpkg still knows these"
echo "Installed, used and removed in a clean Debian: $(echo "$packages" | sed 's/ /, /g') $version."
