#!/bin/sh
# Debian packages of what `make install` installs:
#
#     plumb               the program, its manual, completion, scheduler configs and recipes
#     libplumb-sched0     the sampler's shared library, under its soname's name as Debian's policy asks, so that a
#     libplumb-sched-dev  program that links it needs neither the command nor OpenBLAS; header and static library apart
#
#     build.sh FOLDER MAKE
#
# Needs dpkg-dev and no network. debhelper is not used: the few steps that it would take stand here, and no folder
# debian/ need be at the top of the source. The same source gives the same bytes.
set -eu
folder=$1 make=$2
command -v dpkg-shlibdeps >/dev/null || { echo "make deb needs dpkg-dev: apt-get install dpkg-dev" >&2; exit 1; }
here=$(cd "$(dirname "$0")" && pwd)
version=$(sed -n 's/.*PLUMB_SCHED_VERSION "\(.*\)".*/\1/p' sched/plumb_sched.h)
date=$(sed -n 's/.*PLUMB_DATE "\(.*\)".*/\1/p' ref/version.h)
libdir=/usr/lib/$(dpkg-architecture -qDEB_HOST_MULTIARCH)
SOURCE_DATE_EPOCH=$(date -u -d "$date" +%s)
export SOURCE_DATE_EPOCH
umask 022
mkdir -p "$folder"
folder=$(cd "$folder" && pwd)
rm -rf "$folder"/*.deb "$folder/source" "$folder/all"
for package in plumb libplumb-sched0 libplumb-sched-dev; do rm -rf "${folder:?}/$package"; done

# Debian's flags for hardening; the levels of optimisation are our own.
export DEB_BUILD_MAINT_OPTIONS=hardening=+bindnow
flags() { dpkg-buildflags --get "$1" | tr ' ' '\n' | grep -vE '^-(O.|g)$' | tr '\n' ' '; }
CFLAGS=$(flags CFLAGS) CPPFLAGS=$(flags CPPFLAGS) LDFLAGS=$(flags LDFLAGS) \
    "$make" --no-print-directory -s install BUILD="$folder/build" DESTDIR="$folder/all" PREFIX=/usr LIBDIR="$libdir"

# --- Which file goes into which package ---
take() { # PACKAGE PATTERN...: those of $folder/all
    package=$1
    shift
    for pattern in "$@"; do
        for file in "$folder/all"$pattern; do
            to=$folder/$package${file#"$folder/all"}
            mkdir -p "$(dirname "$to")"
            mv "$file" "$to"
        done
    done
}
rm "$folder/all/usr/share/doc/plumb/LICENSE" # that is the file "copyright" of each package
mkdir -p "$folder/libplumb-sched-dev/usr/share/doc/libplumb-sched-dev"
mv "$folder/all/usr/share/plumb/examples" "$folder/libplumb-sched-dev/usr/share/doc/libplumb-sched-dev"
take libplumb-sched0 "$libdir/libplumb_sched.so.*"
take libplumb-sched-dev "$libdir/*" "/usr/include/*"
take plumb /usr/bin/plumb '/usr/share/*'
left=$(find "$folder/all" ! -type d)
[ -z "$left" ] || { echo "build.sh: in no package: $left" >&2; exit 1; }

# --- What every package has ---
mkdir -p "$folder/source/debian"
cp "$here/control" "$folder/source/debian"
cat > "$folder/source/debian/changelog" <<END
plumb ($version) unstable; urgency=medium

  * Version $version.

 -- $(sed -n 's/^Maintainer: //p' "$here/control")  $(LC_ALL=C date -u -R -d "$date")
END
strip --strip-unneeded --remove-section=.comment --remove-section=.note \
    "$folder/plumb/usr/bin/plumb" "$folder/libplumb-sched0$libdir/libplumb_sched.so.$version"
strip --strip-debug --remove-section=.comment --enable-deterministic-archives "$folder/libplumb-sched-dev$libdir/libplumb_sched.a"
find "$folder/plumb/usr/share/man" -type f -exec gzip -9n {} +
mkdir -p "$folder/libplumb-sched0/DEBIAN"
echo "libplumb_sched 0 libplumb-sched0 (>= $version)" > "$folder/libplumb-sched0/DEBIAN/shlibs"
echo "activate-noawait ldconfig" > "$folder/libplumb-sched0/DEBIAN/triggers"

cd "$folder/source"
for package in libplumb-sched0 libplumb-sched-dev plumb; do
    tree=$folder/$package doc=$folder/$package/usr/share/doc/$package
    mkdir -p "$tree/DEBIAN" "$doc"
    cp "$here/copyright" "$doc"
    gzip -9n < debian/changelog > "$doc/changelog.gz"
    chmod -R u=rwX,go=rX "$tree"
    binaries=$(find "$tree" -type f \( -path '*/usr/bin/*' -o -name '*.so.*' \))
    : > debian/substvars
    # shellcheck disable=SC2086 # a list of paths that this script has made
    [ -z "$binaries" ] || dpkg-shlibdeps -Tdebian/substvars $binaries
    dpkg-gencontrol -p"$package" -P"$tree" -Tdebian/substvars -fdebian/files
    (cd "$tree" && find usr -type f -print0 | LC_ALL=C sort -z | xargs -0 md5sum) > "$tree/DEBIAN/md5sums"
    dpkg-deb --root-owner-group --build "$tree" "$folder" >/dev/null
done
cd "$folder"
rm -rf all source plumb libplumb-sched0 libplumb-sched-dev
ls "$folder"/*.deb
