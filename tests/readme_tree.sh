#!/bin/sh
# A copy of the tree in which the commands of the READMEs can be run as they stand: tests/test_readme.c does.
#
#     readme_tree.sh FOLDER PLUMB       makes FOLDER/tree, FOLDER/build (what tree/build is made of), FOLDER/bin
#
# FOLDER/bin goes in front of PATH. Its commands stand in for what would take long, install something or is often not there.
# Each says so by writing a line into FOLDER/stood_in, and still checks what it can: `make` that the Makefile has the target.
set -eu
folder=$1
plumb=$(cd "$(dirname "$2")" && pwd)/$(basename "$2")

mkdir -p "$folder/tree" "$folder/build/tests" "$folder/bin"
cp -R Makefile README.md LICENSE sched kernels ref configs golden tests "$folder/tree"
ln -s "$plumb" "$folder/build/plumb"
for library in libplumb_sched.so.0 libplumb_sched.a; do ln -s "${plumb%/*}/$library" "$folder/build/$library"; done
ln -s libplumb_sched.so.0 "$folder/build/libplumb_sched.so"

# stand_in PATH : the rest of a script, from standard input
stand_in() {
    { echo '#!/bin/sh'; echo "folder='$folder'"; echo 'echo "${0##*/}" >> "$folder/stood_in"'; cat; } > "$1"
    chmod +x "$1"
}

# `make -n` would run what a recipe gives to $(MAKE); the list of targets runs nothing.
(cd "$folder/tree" && unset MAKEFLAGS MFLAGS MAKELEVEL && make -np help BUILD=build) > "$folder/targets" 2>/dev/null
rm -rf "$folder/tree/build"
stand_in "$folder/bin/make" <<'END'
fail() { echo "make: $*" >&2; exit 2; }
for word; do
    case $word in
    -*) ;;
    *=*) grep -qE "\b${word%%=*}\b" "$folder/tree/Makefile" || fail "the Makefile knows no variable ${word%%=*}" ;;
    *) awk -v target="$word:" 'index($0, target) == 1 { found = 1 } END { exit !found }' "$folder/targets" ||
        fail "the Makefile has no target $word" ;;
    esac
done
END

# The suites, which `make check` runs.
for suite in "$folder"/tree/tests/test_*.c "$folder/tree/tests/checkkernels.c"; do
    name=${suite##*/}
    stand_in "$folder/build/tests/${name%.c}" < /dev/null
done

# What was made with Diffusers or by training is not made again here, but the scripts are there and are Python.
if python=$(command -v python3); then
    echo "python='$python'"
else
    echo "python=true"
fi > "$folder/python"
{ cat "$folder/python"; cat; } <<'END' > "$folder/python3"
[ -f "$1" ] || { echo "python3: there is no $1" >&2; exit 2; }
"$python" -c 'import ast, sys; ast.parse(open(sys.argv[1], encoding="utf-8").read())' "$1"
END
stand_in "$folder/bin/python3" < "$folder/python3"

stand_in "$folder/bin/sudo" <<'END'
exec "$@"
END
stand_in "$folder/bin/sbatch" <<'END'
for word; do case $word in -*) ;; *) [ -f "$word" ] || { echo "sbatch: there is no $word" >&2; exit 2; }; exit 0 ;; esac; done
END
stand_in "$folder/bin/afl-fuzz" <<'END'
for word; do
    case $word in tests/*) [ -e "$word" ] || { echo "afl-fuzz: there is no $word" >&2; exit 2; } ;; esac
done
END
for command in apt apt-get dpkg ldconfig git pip; do stand_in "$folder/bin/$command" < /dev/null; done
for command in man parallel; do
    command -v "$command" >/dev/null || stand_in "$folder/bin/$command" < /dev/null
done
touch "$folder/stamp"
