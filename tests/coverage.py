#!/usr/bin/env python3
"""Which lines, and which error messages, a run of the tests has reached.

    tests/coverage.py BUILD [MORE ...]

BUILD and the others are folders with gcov's files, of which the first has the objects' .gcno (`make coverage` makes
them). A line counts as reached where any object reached it: many files are compiled for float and for double.
Prints a table of the folders, the lines that are not reached, and the messages that were never produced.
tests/unreached_messages.txt has the messages that no test can produce on every machine, each with its reason. Exit
status 1 where fewer than 95 lines of 100 are reached, a message is missing that is not in that list, or the list names
one that is not there.
"""
import collections
import json
import os
import re
import subprocess
import sys
import tempfile

FOLDERS = ("sched", "kernels", "kernels/x86", "kernels/x86_512", "ref")
LEAST = 95  # lines of a hundred
UNREACHED = "tests/unreached_messages.txt"


def processor_has(flag):
    with open("/proc/cpuinfo") as lines:
        return any(line.startswith("flags") and flag in line.split() for line in lines)


class Line:
    def __init__(self):
        self.reached = False
        self.whole = False  # some object reached every block that it has of the line


def read_counts(folders):
    """{path: {line number: Line}} of all .gcda below the folders; gcov reads those of the others in the first one's
    place, where the .gcno are."""
    files = collections.defaultdict(lambda: collections.defaultdict(Line))
    for folder in folders:
        found = [os.path.join(at, name) for at, _, names in os.walk(folder) for name in names if name.endswith(".gcda")]
        for path in sorted(found):
            object_name = os.path.splitext(path)[0]
            if folder != folders[0]:
                object_name = os.path.join(folders[0], os.path.relpath(object_name, folder))
            if not os.path.exists(object_name + ".gcno") or "/tests/" in object_name:
                continue
            with tempfile.TemporaryDirectory() as place:
                for source, ending in ((object_name, ".gcno"), (os.path.splitext(path)[0], ".gcda")):
                    os.symlink(os.path.abspath(source + ending), os.path.join(place, "x" + ending))
                said = subprocess.run(["gcov", "--json-format", "--stdout", os.path.join(place, "x.gcda")],
                                      stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True).stdout
            for document in filter(None, said.splitlines()):
                take(json.loads(document), files)
    return files


def take(document, files):
    for file in document["files"]:
        if os.path.dirname(file["file"]) not in FOLDERS:
            continue
        lines = files[file["file"]]
        by_number = collections.defaultdict(list)
        for line in file["lines"]:
            by_number[line["line_number"]].append(line)
        for number, parts in by_number.items():  # a part for each function that has the line
            if any(part["count"] > 0 for part in parts):
                lines[number].reached = True
                if not any(part["unexecuted_block"] for part in parts if part["count"] > 0):
                    lines[number].whole = True
            else:
                lines[number]


def excluded(path):
    return os.path.dirname(path) == "kernels/x86_512" and not processor_has("avx512f")


# --- Lines ----------------------------------------------------------------------------------------------------------

def show_table(files):
    """Prints the table, and returns the lines of a hundred that are reached."""
    rows = []
    for folder in FOLDERS:
        lines = [line for path, of_file in files.items() if os.path.dirname(path) == folder
                 for line in of_file.values()]
        if folder == "kernels/x86_512" and not processor_has("avx512f"):
            rows.append((folder, "", "", "not counted: this processor has no AVX-512"))
            continue
        rows.append((folder, len(lines), sum(line.reached for line in lines), ""))
    counted = [row for row in rows if row[1] != ""]
    rows.append(("all", sum(row[1] for row in counted), sum(row[2] for row in counted), ""))
    print("folder             lines  reached        %")
    for folder, lines, reached, note in rows:
        share = note if note else "%.1f" % (100 * reached / lines) if lines else "-"
        print("%-16s %7s  %7s  %7s" % (folder, lines, reached, share))
    return 100 * rows[-1][2] / rows[-1][1]


def ranges(numbers, lines):
    """12, 14-17: lines without code of their own between two do not part them."""
    coded, parts = sorted(lines), []
    for number in numbers:
        before = coded.index(number) - 1
        if parts and before >= 0 and coded[before] == parts[-1][1]:
            parts[-1][1] = number
        else:
            parts.append([number, number])
    return ", ".join(str(a) if a == b else "%d-%d" % (a, b) for a, b in parts)


def show_unreached(files):
    print("\nLines that are not reached:")
    for path in sorted(files):
        missing = sorted(number for number, line in files[path].items() if not line.reached)
        if missing and not excluded(path):
            print("  %s: %s" % (path, ranges(missing, files[path])))


# --- Messages -------------------------------------------------------------------------------------------------------

CALL = re.compile(r"\b(error_input|error_machine|error_file)\s*\(")


def end_of_call(text, at):
    """The place behind the parenthesis that closes the one at `at`."""
    depth, quote = 0, None
    while at < len(text):
        c = text[at]
        if quote:
            at += c == "\\"
            quote = None if c == quote else quote
        elif c in "\"'":
            quote = c
        elif c == "(":
            depth += 1
        elif c == ")":
            depth -= 1
            if depth == 0:
                return at + 1
        at += 1
    return at


def messages():
    """(path, first line, last line, format) of each call that fills in a message."""
    for folder in FOLDERS:
        for name in sorted(os.listdir(folder)):
            path = os.path.join(folder, name)
            if not name.endswith(".c"):
                continue
            text = open(path, encoding="utf-8").read()
            for call in CALL.finditer(text):
                end = end_of_call(text, call.end() - 1)
                # The first string and those that go on with it; behind it come arguments.
                first = re.search(r'"(?:[^"\\]|\\.)*"(?:\s*"(?:[^"\\]|\\.)*")*', text[call.end():end])
                if first:
                    words = "".join(re.findall(r'"((?:[^"\\]|\\.)*)"', first.group()))
                    yield path, text.count("\n", 0, call.start()) + 1, text.count("\n", 0, end) + 1, words


def was_produced(lines, first, last):
    """gcov gives a call the line of its name or of one of its arguments; a line that a condition shares with it is
    reached by the condition alone, and then has a block that is not."""
    own = [lines[number] for number in range(first, last + 1) if number in lines]
    return any(line.whole for line in own)


def show_messages(files):
    known, produced = {}, 0
    with open(UNREACHED, encoding="utf-8") as lines:
        for line in lines:
            if line.strip() and not line.startswith("#"):
                place, text = line.rstrip("\n").split(": ", 1)
                known[place, text] = False
    count, missing = 0, []
    for path, first, last, text in messages():
        count += 1
        was = was_produced(files.get(path, {}), first, last)
        produced += was
        if (path, text) in known:
            known[path, text] = True
        elif not was:
            missing.append("  %s:%d: %s" % (path, first, text))
    stale = ["  %s: %s" % place for place, is_there in known.items() if not is_there]
    print("\nError messages: %d, of which %d were produced; of the others %d should be, and are not:" % (
        count, produced, len(missing)))
    print("\n".join(missing))
    if stale:
        print("Named by %s, but not there:\n%s" % (UNREACHED, "\n".join(stale)))
    return not missing and not stale


def main():
    files = read_counts(sys.argv[1:])
    share = show_table(files)
    show_unreached(files)
    complete = show_messages(files)
    if share < LEAST:
        print("Fewer than %d lines of 100 are reached." % LEAST)
    return 0 if complete and share >= LEAST else 1


if __name__ == "__main__":
    sys.exit(main())
