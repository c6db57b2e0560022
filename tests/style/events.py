#!/usr/bin/env python3
"""Every event that the code logs has its row in docs/operating.md, and every row has its code.

Operators search logs by these names. What a run really says is checked by tests/e2e/logfmt.py.
"""
import re
import subprocess
import sys

CALL = re.compile(r"\bKT_LOG\(\s*((?:[^,\"]*)(?:\"[a-z_]+\"[^,\"]*)+),")


def logged(sources):
    events = {}
    for path in sources:
        with open(path, encoding="utf-8") as source:
            for call in CALL.findall(source.read()):
                for event in re.findall(r'"([a-z_]+)"', call):
                    events.setdefault(event, path)
    return events


def documented(page):
    with open(page, encoding="utf-8") as text:
        rows = re.findall(r"^\| ([a-z_]+(?:, [a-z_]+)*) \| [^|]*\| [^|]*\|$", text.read(), re.M)
    return {event for row in rows for event in row.split(", ")}


def main():
    files = subprocess.run(["git", "ls-files", "-co", "--exclude-standard", "coordinator/*.c", "worker/*.c",
                            "proto/*.c"], check=True, capture_output=True, text=True).stdout.split()
    events = logged(files)
    page = documented("docs/operating.md") - {"event"}
    findings = [f"{events[event]}: docs/operating.md has no row for {event}" for event in sorted(events.keys() - page)]
    findings += [f"docs/operating.md: nobody logs {event}" for event in sorted(page - events.keys())]
    for finding in findings:
        print(finding)
    if len(events) < 20:
        print("hardly an event was found: is this run in the project's folder?")
        return 1
    return 1 if findings else 0


sys.exit(main())
