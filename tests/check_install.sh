#!/bin/sh
# Installs into a folder, uses what is there as somebody would who has it in /usr, and takes it out again.
#
#     check_install.sh FOLDER MAKE 'CC FLAGS'
set -eu
folder=$1 make=$2 cc=$3
rm -rf "$folder"
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
root=$folder/root
prefix=/opt/plumb
lib=$root$prefix/lib

fail() { echo "check_install: $*" >&2; exit 1; }
run_make() { "$make" --no-print-directory -s "$1" DESTDIR="$root" PREFIX="$prefix" LIBDIR="$prefix/lib"; }
in_root() { PKG_CONFIG_PATH=$lib/pkgconfig PKG_CONFIG_SYSROOT_DIR=$root "$@"; }

run_make install
plumb=$root$prefix/bin/plumb

# One version, in all places.
version=$("$plumb" --version | sed 's/^plumb //')
echo "$version" | grep -Eqx '[0-9]+\.[0-9]+\.[0-9]+' || fail "version: expected three numbers, got $version"
[ "$(in_root pkg-config --modversion plumb_sched)" = "$version" ] || fail "pkg-config: expected $version, got $(in_root pkg-config --modversion plumb_sched)"
[ -f "$lib/libplumb_sched.so.$version" ] || fail "libplumb_sched.so.$version is missing"
grep -q "^\.TH .* \"Plumb $version\"" "$root$prefix/share/man/man1/plumb.1" || fail "man plumb: expected $version"
grep -q "of plumb $version," "$root$prefix/share/bash-completion/completions/plumb" || fail "completion: expected $version"
for link in libplumb_sched.so.0 libplumb_sched.so; do
    [ "$(readlink -f "$lib/$link")" = "$(readlink -f "$lib/libplumb_sched.so.$version")" ] || fail "$link leads elsewhere"
done
grep -rlF "$root" "$root$prefix/share" "$lib/pkgconfig" && fail "these name the folder that they were put together in"

# A page of the manual for the program and for each command, and no others.
{ echo plumb.1; "$plumb" help | sed -n 's/^  plumb \([a-z]*\) .*/plumb-\1.1/p'; } | sort > "$folder/pages"
find "$root$prefix/share/man" -type f -printf '%f\n' | sort | diff "$folder/pages" - || fail "the pages are not those of the commands"

# The program finds nothing in the folder that it was built in.
(cd "$root" && "$plumb" schedule ".$prefix/share/plumb/schedulers/sdxl.json" --steps 3 --format csv 2>/dev/null) > "$folder/schedule.csv"
[ "$(wc -l < "$folder/schedule.csv")" -ge 4 ] || fail "schedule: expected a heading and 3 rows"
bash -c 'source "$1" && COMP_WORDS=(plumb sched) COMP_CWORD=1 && _plumb && [ "${COMPREPLY[*]}" = schedule ]' \
    - "$root$prefix/share/bash-completion/completions/plumb" || fail "bash does not complete schedule"

# The library, linked by the command that its example says: shared, then static.
example=$root$prefix/share/plumb/examples
command=$(sed -n 's/^ \*     cc \(.*\) && .*/\1/p' "$example/sample.c")
[ -n "$command" ] || fail "sample.c: expected the command that builds it"
in_root sh -c "cd '$example' && $cc $command && mv sample '$folder/shared'"
LD_LIBRARY_PATH=$lib "$folder/shared" > "$folder/shared.txt"
[ -s "$folder/shared.txt" ] || fail "the example says nothing"
rm "$lib/libplumb_sched.so" # so that the linker takes the static one
command=$(echo "$command" | sed 's/--libs/--libs --static/')
in_root sh -c "cd '$example' && $cc $command && mv sample '$folder/static'"
"$folder/static" | cmp - "$folder/shared.txt" || fail "the static library computes something else"

# What somebody else has put into the same folders stays.
echo kept > "$root$prefix/bin/other"
run_make uninstall >/dev/null
left=$(cd "$root" && find . ! -type d)
[ "$left" = ".$prefix/bin/other" ] || fail "left or taken by make uninstall: $left"
for own in share/plumb share/doc/plumb; do
    [ ! -e "$root$prefix/$own" ] || fail "make uninstall leaves $own"
done
rm -rf "$folder"
echo "Installed, used and removed: plumb and libplumb_sched $version."
