#!/bin/sh
# The way of somebody new, from a clean Debian to a port verified: the README's two commands in a new Debian 12 with git
# and make, the packages made there, and then, in another new one, the packages used as README.md's guide says (check_deb.sh).
#
#     check_fresh.sh FOLDER [COMMAND...]      for the packages and logs; of the README's commands (demo check) these
#
# Needs root, debootstrap and a network (Debian's mirror, or DEBIAN_MIRROR). What is tried is what is committed.
set -eu
mkdir -p "$1"
folder=$(cd "$1" && pwd)
shift
# shellcheck disable=SC2046 # words
[ $# -gt 0 ] || set -- $(sed -n 's/^make \([a-z]*\) .*/\1/p' README.md)
mirror=${DEBIAN_MIRROR:-http://deb.debian.org/debian}

fail() { echo "check_fresh: $*" >&2; exit 1; }
inside() {
    env -u TMPDIR -u MAKEFLAGS -u MFLAGS -u MAKELEVEL LC_ALL=C.UTF-8 DEBIAN_FRONTEND=noninteractive chroot "$root" "$@"
}

[ "$(id -u)" = 0 ] || fail "must be root, for debootstrap and chroot"
command -v debootstrap >/dev/null || fail "needs debootstrap: apt-get install debootstrap"
root=$(mktemp -d)
chmod 755 "$root"
mounted=
leave() {
    [ -z "$mounted" ] || umount "$root/proc"
    rm -rf "$root"
}
trap leave EXIT
debootstrap --variant=minbase bookworm "$root" "$mirror" > "$folder/debootstrap.log" || fail "see $folder/debootstrap.log"
# As in any Debian that runs; where a container may not mount, what needs it says so.
mount -t proc proc "$root/proc" 2>/dev/null && mounted=yes || echo "check_fresh: /proc cannot be mounted here; going on without"

# A Debian 12 machine with git and make.
inside sh -c 'apt-get -q update && apt-get -q -y --no-install-recommends install git make' > "$folder/apt.log" 2>&1 </dev/null ||
    fail "see $folder/apt.log"
git clone -q --no-hardlinks . "$root/srv/plumb"

for command; do
    echo "In a new Debian 12: make $command"
    inside sh -c "cd /srv/plumb && make $command" > "$folder/$command.log" 2>&1 </dev/null || {
        tail -n 30 "$folder/$command.log" >&2
        fail "make $command fails: see $folder/$command.log"
    }
done
[ ! -d "$root/srv/plumb/build/demo" ] || [ -s "$root/srv/plumb/build/demo/options/sde.png" ] || fail "make demo drew nothing"
[ -z "$(inside git -C /srv/plumb status --porcelain)" ] || fail "these commands change the tree: see git status"

# What make deb asks for where it is missing.
inside apt-get -q -y --no-install-recommends install dpkg-dev >> "$folder/apt.log" 2>&1 </dev/null || fail "see $folder/apt.log"
inside sh -c 'cd /srv/plumb && make -j"$(nproc)" deb' > "$folder/deb.log" 2>&1 </dev/null || fail "make deb fails: see $folder/deb.log"
rm -rf "$folder/packages"
cp -R "$root/srv/plumb/build/debian" "$folder/packages"
tests/check_deb.sh "$folder/packages"
