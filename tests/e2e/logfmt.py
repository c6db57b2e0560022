#!/usr/bin/env python3
"""Every line of the given logs is logfmt, and says an event that docs/operating.md lists.

usage: logfmt.py SOURCE_TREE LOG...    prints how many lines there were of each event
"""
import collections
import re
import sys

VALUE = r'(?:[^\s"=\\]+|"(?:[^"\\\x00-\x1f\x7f]|\\(?:["\\n]|x[0-9a-f]{2}))*")'
LINE = re.compile(
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z (ktcoord|ktworker) ([a-z][a-z0-9_]*)"
    rf"((?: [a-z][a-z0-9_]*={VALUE})*)\n")


def documented(tree):
    with open(f"{tree}/docs/operating.md", encoding="utf-8") as page:
        rows = re.findall(r"^\| ([a-z_, ]+) \|", page.read(), re.M)
    return {event for row in rows for event in row.split(", ")}


def main():
    events = documented(sys.argv[1])
    seen = collections.Counter()
    bad = 0
    for path in sys.argv[2:]:
        with open(path, encoding="utf-8", errors="surrogateescape", newline="\n") as log:
            for number, line in enumerate(log, 1):
                match = LINE.fullmatch(line)
                if not match:
                    print(f"{path}:{number}: no logfmt: {line!r}", file=sys.stderr)
                    bad += 1
                    continue
                keys = re.findall(rf" ([a-z][a-z0-9_]*)={VALUE}", match[3])
                if len(keys) != len(set(keys)):
                    print(f"{path}:{number}: a key twice: {line!r}", file=sys.stderr)
                    bad += 1
                if match[2] not in events:
                    print(f"{path}:{number}: docs/operating.md does not list {match[2]}", file=sys.stderr)
                    bad += 1
                seen[match[2]] += 1
    for event, n in sorted(seen.items()):
        print(event, n)
    return 1 if bad or not seen else 0


sys.exit(main())
