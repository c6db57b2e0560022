#!/usr/bin/env python3
"""Deliberate mistakes in the code that judges: each must be caught by a unit test of assertions/.

    tests/mutation/mutate.py [--build DIR] [--sample N [--seed S]] [--list] [FILE...]

One comparison (< <= > >= == !=) or one logical operator (&& ||) is turned round at a time; the file is
compiled, linked before the library of the built tree with all unit tests of assertions/, and these are
run. A mutant that they do not notice is a hole in the tests and fails the run. Those that mean the same
as the code stand in equivalent.txt, each with its reason; a line there that fits no mutant fails as well.

Comparisons that only bound a loop (`for (...; i < n; ...)`) are left to the sanitizers.
"""
import argparse
import concurrent.futures
import os
import random
import re
import shutil
import subprocess
import sys
import tempfile

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
FILES = """checks checks_judge checks_monitor checks_talk checks_workers comparison condition expect formula group
    judge pattern pattern_band pattern_each pattern_pairs pattern_ratio pattern_talk pattern_temporal quantifier truth
    verdict""".split()
TURNED = {"<": "<=", "<=": "<", ">": ">=", ">=": ">", "==": "!=", "!=": "==", "&&": "||", "||": "&&"}
OPERATOR = re.compile(r"(?<![<>=!\-&|])(<=|>=|==|!=|&&|\|\||<|>)(?![<>=])")
SAME = [re.compile(r"\bkt_must\([^;]*;"),  # internal misuse: aborts, and no test is to see it
        re.compile(r"([\w.>\[\]-]+) [<>] ([\w.>\[\]-]+) \? (?:\1 : \2|\2 : \1)(?![\w.\[-])")]  # the lower, the higher: equal is either
LOOP_BOUND = re.compile(r"for \([^;]*; [^;<]*(<)[^;=]*;")
SECONDS = 20  # for one run of the tests, which takes one or two; a mutant that hangs is caught


def blank(text):
    """text without comments, strings and preprocessor lines; every character keeps its place."""
    def spaces(match):
        return re.sub(r"[^\n]", " ", match.group(0))
    return re.sub(r'/\*.*?\*/|"(?:\\.|[^"\\\n])*"|\'(?:\\.|[^\'\\\n])*\'|^[ \t]*#(?:[^\n]*\\\n)*[^\n]*', spaces, text,
                  flags=re.S | re.M)


class Mutant:
    def __init__(self, stem, text, at, operator):
        self.stem, self.at, self.operator = stem, at, operator
        self.line = text.count("\n", 0, at) + 1
        start = text.rfind("\n", 0, at) + 1
        self.code = text[start:text.find("\n", at)].strip()
        self.nth = len(re.findall(re.escape(operator), text[start:at]))
        self.text = text[:at] + TURNED[operator] + text[at + len(operator):]

    def name(self):
        return f"{self.stem}.c: {self.operator} {self.nth} in: {self.code}"

    def place(self):
        return f"assertions/{self.stem}.c:{self.line}: {self.operator} to {TURNED[self.operator]}: {self.code}"


def mutants_of(stem):
    with open(f"{ROOT}/assertions/{stem}.c") as file:
        text = file.read()
    code = blank(text)
    left = {match.start(1) for match in LOOP_BOUND.finditer(code)}
    for same in SAME:
        for match in same.finditer(code):
            left.update(range(*match.span()))
    return [Mutant(stem, text, match.start(1), match.group(1)) for match in OPERATOR.finditer(code)
            if match.start(1) not in left]


def equivalents():
    """name of a mutant: why it means the same."""
    found, reason = {}, ""
    with open(f"{HERE}/equivalent.txt") as file:
        for line in file.read().splitlines():
            if line.startswith("# "):
                reason = line[2:]
            elif line:
                found[line] = reason
    return found


class Tree:
    """How the built tree compiles a file of assertions/ and links its tests."""
    def __init__(self, build):
        self.build = build
        tests = sorted(os.listdir(f"{ROOT}/tests/unit/assertions"))
        self.objects = [f"tests/CMakeFiles/{t[:-2]}.dir/unit/assertions/{t}.o" for t in tests if t.startswith("test_")]
        link = self.command("tests/test_pattern")
        self.libraries = [w for w in link if w.endswith((".a", ".so")) or w == "-lm"]
        compile_ = self.command("assertions/CMakeFiles/kt_assertions.dir/pattern.c.o")
        self.compiler = [w for w in compile_ if not w.endswith("ccache")][0]
        self.flags = [w for w in compile_ if w.startswith(("-I", "-D", "-std"))]

    def command(self, target):
        lines = subprocess.run(["ninja", "-C", self.build, "-t", "commands", target], check=True, text=True,
                               capture_output=True).stdout.splitlines()
        return lines[-1].split()

    def link(self, first, program):
        return subprocess.run([self.compiler, "-o", program, *first, *self.objects, *self.libraries], cwd=self.build,
                              capture_output=True, text=True)

    def caught(self, mutant):
        """By what; None when nothing noticed it."""
        folder = tempfile.mkdtemp(prefix="kt-mutant.")
        try:
            source, object_, program = (f"{folder}/{mutant.stem}.c", f"{folder}/m.o", f"{folder}/tests")
            with open(source, "w") as file:
                file.write(mutant.text)
            done = subprocess.run([self.compiler, *self.flags, "-w", "-O1", "-c", source, "-o", object_],
                                  capture_output=True, text=True)
            if done.returncode:
                return "compiler"
            done = self.link([object_], program)
            if done.returncode:
                sys.exit(f"{mutant.place()}: does not link\n{done.stderr}")
            try:
                done = subprocess.run([program, "-f", "-j1"], capture_output=True, timeout=SECONDS, cwd=folder)
            except subprocess.TimeoutExpired:
                return "time"
            return "tests" if done.returncode else None
        finally:
            shutil.rmtree(folder)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--build", default=f"{ROOT}/build", help="a tree built with the release preset")
    parser.add_argument("--sample", type=int, help="only so many, drawn by --seed")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--list", action="store_true", help="print the mutants, run nothing")
    parser.add_argument("files", nargs="*", default=FILES, help="stems of assertions/")
    options = parser.parse_args()
    known = equivalents()
    mutants = [m for stem in options.files for m in mutants_of(stem)]
    stale = [name for name in known if name.split(".c: ")[0] in options.files and name not in {m.name() for m in mutants}]
    mutants = [m for m in mutants if m.name() not in known]
    if options.sample:
        mutants = random.Random(options.seed).sample(mutants, min(options.sample, len(mutants)))
    if options.list:
        print("\n".join(m.place() for m in mutants))
        return 0
    tree = Tree(options.build)
    with tempfile.TemporaryDirectory() as folder:  # unmutated, the tests pass: else everything is "caught"
        if tree.link([], f"{folder}/tests").returncode or subprocess.run([f"{folder}/tests"], capture_output=True).returncode:
            sys.exit("the tests do not pass as they are; build the tree first")
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = list(pool.map(tree.caught, mutants))
    missed = [m for m, by in zip(mutants, results) if by is None]
    for mutant in missed:
        print(f"not caught: {mutant.place()}\n            {mutant.name()}")
    for name in stale:
        print(f"equivalent.txt: no such mutant: {name}")
    print(f"{len(mutants)} mutants, {len(mutants) - len(missed)} caught, {len(missed)} not; "
          f"{len(known)} known to mean the same")
    return 1 if missed or stale else 0


if __name__ == "__main__":
    sys.exit(main())
