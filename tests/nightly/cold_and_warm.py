#!/usr/bin/env python3
"""Does a scheduler behave the same in a restored guest as in a freshly booted one?

    tests/nightly/cold_and_warm.py [-n 30] [--renew K] [--slots N] [--again] [--minded 0.1] [--save FILE] [--bin build/bin]
    tests/nightly/cold_and_warm.py --read FILE      judge again what was saved
    tests/nightly/cold_and_warm.py --prove          show that it finds a difference, and none where there is none

Runs one scenario n times cold and n times warm, one of each after the other in an order that is drawn, so that
whatever else the host does meets both alike: batches of five were told apart by what a shared host did meanwhile. The
verdicts must be the same multiset. Every counter of the scheduler at every sample, and what
the workers measured, must not be apart: where they lie (Mann-Whitney U), how widely they are spread (the same of the
distances from the middle), or in any other way (Kolmogorov-Smirnov), at the 0.01 level after Holm's correction over all
tests, with an effect that is not small (|Cliff's delta|, or the D of Kolmogorov-Smirnov, of 0.33 and more) and that
somebody would mind: some quartile of the one is a tenth away from the other's, at least (--minded 0.1).

--again measures once more when something is apart, and only what is apart both times counts: for a gate that runs every
day on a shared machine.

Each warm guest gets a template of its own (--renew 1), so that the warm cells come from as many boots as the cold
ones. Guests of one template share what their boot drew: 15 of them had 63 or 64 tasks to hand to the scheduler, 15
cold ones 62 or 63, and 15 of 13 templates 62 or 63 again. --renew 0 shows what one template hides.

Exit status: 0 the same; 1 apart; 2 wrong command line, or a sweep that could not run; 3 too few cells to tell;
77 no kernel can be had here.
"""
import argparse
import collections
import json
import os
import pathlib
import random
import statistics
import subprocess
import sys
import tempfile

import twosample

ROOT = pathlib.Path(__file__).resolve().parents[2]
ALPHA = 0.01
EFFECT = 0.33
SAME, APART, WRONG, TOO_FEW, NO_KERNEL = 0, 1, 2, 3, 77
TESTS = ("place", "spread", "any")
INFORMATIVE = ("ready ms", "pause us")  # of the host's making: shown, not judged

MATRIX = """
[sweep]
name = "cold_and_warm"
{renew}
[[kernel]]
name = "k"
path = "{kernel}"
[[scheduler]]
name = "scx_kt"
binary = "scx_kt"
[[topology]]
name = "small"
cpus = "1n1l2c1t"
[[scenario]]
name = "two_spinners"
duration = "1s"
samples = 3
repeats = {repeats}
[[scenario.step]]
hold = "full"
cgroup = [{{ name = "cg_0", workers = 2, work = "spin" }}]
[[scenario.assert]]
series = "bpf:nr_dispatched"
nondecreasing = true
must_progress = true
min_samples = 2
"""


# ---- what is measured ----

def numbers(value, name):
    """The numbers of a value tree, by name. Per-CPU values are summed. Moments of the guest's clock (..._at_ns) are
    left out: a guest from a template is as old as its template was, and that is meant.
    """
    if isinstance(value, bool) or name.endswith("_at_ns"):
        return {}
    if isinstance(value, (int, float)):
        return {name: value}
    if isinstance(value, dict):
        return {k: v for key, item in value.items() for k, v in numbers(item, f"{name}.{key}" if name else key).items()}
    if isinstance(value, list) and value and all(isinstance(item, (int, float)) for item in value):
        return {f"{name}.cpu_sum": sum(value)}
    return {}


def counters(sample):
    """Of the running scheduler, as they were read out of the frozen guest's memory."""
    found = {}
    for bpf_map in (sample["axes"].get("bpf", {}).get("value") or {}).get("maps", []):
        if not bpf_map.get("running"):
            continue
        found.update(numbers(bpf_map.get("vars", {}), ""))
        for i, entry in enumerate(bpf_map.get("entries", [])):
            found.update(numbers(entry, f"{bpf_map['name']}[{i}]"))
    return found


def measures(shown):
    """Of one judged cell, as `ktcoord show --json` tells it: name -> number."""
    result = next(a["result"] for a in shown["attempts"] if a["judged"])
    reports = [r for r in result["reports"] if not r["missing"]]
    found = {}
    for i, sample in enumerate(shown["samples"]):
        for name, value in counters(sample).items():
            found[f"{name} @{i}"] = value
    for name in ("work_units", "cpu_ns", "run_delay_ns", "migrations"):
        if reports:
            found[f"workers {name}"] = sum(r[name] for r in reports)
    if reports:
        found["workers gap_ns_max"] = max(r["gap_ns_max"] for r in reports)
    ready = [m["at_ns"] for m in result["timeline"] if m["name"] == "ready"]
    if ready:
        found["ready ms"] = ready[0] / 1e6
    if shown["samples"]:
        found["pause us"] = statistics.median(s["frozen_ns"] for s in shown["samples"]) / 1e3
    return found


def record(shown):
    attempt = next(a for a in shown["attempts"] if a["judged"])
    machine = attempt["result"]["machine"]
    return {"guest": machine["guest"], "template": machine.get("template", ""), "accel": machine["accel"],
            "verdict": f"{shown['outcome']} ({attempt['result']['cause']})", "measures": measures(shown)}


# ---- running ----

class Sweeps:
    def __init__(self, options, folder):
        self.options, self.folder, self.n = options, folder, 0
        self.binary = options.bin.resolve() / "ktcoord"
        cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "ktcoord-tests"
        got = subprocess.run([self.binary, "kernels", "get", "--json", "--state", cache], stdout=subprocess.PIPE)
        if got.returncode != 0:
            print("SKIP: no kernel with sched_ext can be had here")  # it said why
            sys.exit(NO_KERNEL)
        self.kernel = json.loads(got.stdout)["path"]

    def ask(self, *arguments):
        done = subprocess.run([self.binary, *arguments, "--state", self.folder / "state"], stdout=subprocess.PIPE)
        if done.returncode in (0, 1, 3, 4) and done.stdout:  # whatever became of the cells, each tells it
            return json.loads(done.stdout)
        print(f"cold_and_warm: ktcoord {arguments[0]} ended with {done.returncode}", file=sys.stderr)
        sys.exit(WRONG)

    def run(self, guest, repeats):
        """The records of the cells that got a verdict."""
        self.n += 1
        matrix = self.folder / "matrix.toml"
        sweep = self.folder / f"{self.n}.sweep"
        renew = f"template_renew = {self.options.renew}" if self.options.renew else ""
        matrix.write_text(MATRIX.format(kernel=self.kernel, repeats=repeats, renew=renew))
        more = ["--slots", str(self.options.slots)] if self.options.slots else []
        if guest == "cold":
            more.append("--cold")
        told = self.ask("run", matrix, "--json", "--quiet", "--out", sweep, *more)
        judged = [c["name"] for c in told["cells"] if c["state"] == "judged"]
        return [record(self.ask("show", sweep, name, "--json")) for name in judged]


def collect(options):
    """{"cold": [record], "warm": [record]}, at most n of each. What a cell's guest was, its result says."""
    groups = {"cold": [], "warm": []}
    with tempfile.TemporaryDirectory(prefix="kt-cold-warm.") as name:
        sweeps = Sweeps(options, pathlib.Path(name))
        sweeps.run("warm", 1)  # makes the template, and counts for neither
        rng = random.Random()
        for _ in range(options.n + options.n // 2 + 2):  # some may be missed
            for guest in rng.sample(("cold", "warm"), 2):
                if len(groups[guest]) == options.n:
                    continue
                got = sweeps.run(guest, 1)
                groups[guest] += [r for r in got if r["guest"] == guest]
                other = any(r["guest"] != guest for r in got)
                print(f"{guest}: {len(groups[guest])} of {options.n}"
                      + (f" (the last one was not {guest})" if other else ""), file=sys.stderr)
    return groups


# ---- judging ----

def columns(groups):
    """metric -> (cold values, warm values), in the order in which they were first seen."""
    found = {}
    for side, guest in enumerate(("cold", "warm")):
        for cell in groups[guest]:
            for name, value in cell["measures"].items():
                found.setdefault(name, ([], []))[side].append(value)
    return found


def is_minded(cold, warm, minded):
    """Whether a quartile differs by a share of it that somebody would mind."""
    return any(abs(a - b) >= minded * max(abs(a), abs(b)) and a != b
               for a, b in zip(statistics.quantiles(cold, n=4), statistics.quantiles(warm, n=4)))


def compare(groups, minded):
    """One row per metric that is not the same number in every cell; p values as Holm leaves them."""
    rows = []
    for name, (cold, warm) in columns(groups).items():
        if cold and warm and len(set(cold + warm)) == 1:
            continue
        tests = ((0.0, 1.0),) * 3  # effect and p, as in TESTS
        if cold and warm:
            far = twosample.distances(cold, warm)
            tests = ((twosample.cliffs_delta(cold, warm), twosample.mann_whitney(cold, warm)),
                     (twosample.cliffs_delta(*far), twosample.mann_whitney(*far)),
                     twosample.kolmogorov_smirnov(cold, warm))
        rows.append({"name": name, "cold": cold, "warm": warm, "judged": name not in INFORMATIVE, "tests": tests})
    judged = [row for row in rows if row["judged"]]
    adjusted = iter(twosample.holm([p for row in judged for _, p in row["tests"]]))
    for row in judged:
        row["holm"] = [next(adjusted) for _ in TESTS]
        row["apart"] = [test for test, (effect, _), p in zip(TESTS, row["tests"], row["holm"])
                        if p < ALPHA and abs(effect) >= EFFECT and is_minded(row["cold"], row["warm"], minded)]
        row["told"] = twosample.least_p(len(row["cold"]), len(row["warm"])) * len(TESTS) * len(judged) < ALPHA
    return rows


def print_rows(rows, out):
    """Medians; effect and p of each test; the least p after Holm."""
    print(f"{'metric':<28} {'n':>7} {'cold':>12} {'warm':>12}" + "".join(f" {test:>14}" for test in TESTS)
          + f" {'Holm':>7}", file=out)
    for row in rows:
        cold, warm = (f"{statistics.median(v):.6g}" if v else "-" for v in (row["cold"], row["warm"]))
        tests = "".join(f" {effect:>6.2f} {p:>7.2g}" for effect, p in row["tests"])
        least = f"{min(row['holm']):7.2g}" if row["judged"] else f"{'-':>7}"
        mark = ""
        if row["judged"]:
            mark = f"  APART ({', '.join(row['apart'])})" if row["apart"] else "" if row["told"] else "  too few"
        print(f"{row['name']:<28} {len(row['cold']):>3}/{len(row['warm']):<3} {cold:>12} {warm:>12}{tests} {least}{mark}",
              file=out)


def verdicts_of(groups):
    n = min(len(groups["cold"]), len(groups["warm"]))
    return {g: collections.Counter(r["verdict"] for r in groups[g][:n]) for g in groups}


def judge(groups, out=sys.stdout, minded=0.1, suspects=None):
    """suspects: the metrics that alone can be apart; None: all."""
    n = min(len(groups["cold"]), len(groups["warm"]))
    if n == 0:
        print(f"TOO FEW cells: {len(groups['cold'])} cold, {len(groups['warm'])} warm", file=out)
        return TOO_FEW
    verdicts = verdicts_of(groups)
    rows = compare(groups, minded)
    judged = [row for row in rows if row["judged"]]
    apart = [row["name"] for row in judged if row["apart"] and (suspects is None or row["name"] in suspects)]
    print_rows(rows, out)
    for guest in ("cold", "warm"):
        templates = len({r["template"] for r in groups[guest] if r["template"]})
        print(f"{guest}: {len(groups[guest])} cells"
              + (f" of {templates} template{'s' if templates != 1 else ''}" if guest == "warm" else "") + ", verdicts "
              + (", ".join(f"{count} {word}" for word, count in sorted(verdicts[guest].items())) or "none"), file=out)
    if verdicts["cold"] != verdicts["warm"]:
        print(f"APART: the verdicts of the first {n} of each differ", file=out)
        return APART
    if apart:
        print(f"APART: {len(apart)} of {len(judged)} metrics: {', '.join(apart)}", file=out)
        return APART
    if not judged or not all(row["told"] for row in judged):
        print("TOO FEW cells: even sets without overlap would not be told apart", file=out)
        return TOO_FEW
    print(f"the same: none of {len(judged)} metrics is apart, nor are the verdicts", file=out)
    return SAME


# ---- the proof that it can fail ----

def synthetic(rng, n, shift=0.0, spread=1.0, whole=False, verdicts=None, metrics=24, scale=120):
    """n cells a side; the warm ones' last metric is moved by shift and stretched by spread (in standard deviations)."""
    groups = {}
    for guest in ("cold", "warm"):
        groups[guest] = []
        for i in range(n):
            values = {}
            common = rng.gauss(0, 1)  # metrics of one cell hang together, as real counters do
            for k in range(metrics):
                value = 0.6 * common + 0.8 * rng.gauss(0, 1)
                if guest == "warm" and k == metrics - 1:
                    value = value * spread + shift
                values[f"m{k}"] = round(50 + 6 * value) if whole else 1000 + scale * value
            verdict = verdicts[guest][i] if verdicts else "pass (finished)"
            groups[guest].append({"guest": guest, "template": "t" if guest == "warm" else "", "accel": "tcg",
                                  "verdict": verdict, "measures": values})
    return groups


def prove_tests():
    """Against the definition: all ways to deal out the values, counted one by one."""
    import itertools
    rng = random.Random(1)

    def ecdf_distance(a, b):
        return max(abs(sum(x <= v for x in a) * len(b) - sum(x <= v for x in b) * len(a)) for v in a + b)

    def rank_distance(a, b):
        ranks = twosample.doubled_ranks(a + b)
        return abs(sum(ranks[:len(a)]) - len(a) * (len(a) + len(b) + 1))

    for _ in range(200):
        a = [rng.randint(0, 5) for _ in range(rng.randint(1, 5))]
        b = [rng.randint(0, 5) for _ in range(rng.randint(1, 5))]
        for distance, p in ((rank_distance, twosample.mann_whitney(a, b)),
                            (ecdf_distance, twosample.kolmogorov_smirnov(a, b)[1])):
            pooled, seen = a + b, []
            for chosen in itertools.combinations(range(len(pooled)), len(a)):
                rest = [pooled[i] for i in range(len(pooled)) if i not in chosen]
                seen.append(distance([pooled[i] for i in chosen], rest) >= distance(a, b))
            if abs(sum(seen) / len(seen) - p) > 1e-9:
                return f"{distance.__name__} of {a} and {b}: p {p}, counted {sum(seen) / len(seen)}"
    a, b = ([rng.gauss(mean, 1) for _ in range(60)] for mean in (0, 0.5))
    exact, twosample.EXACT_MAX = twosample.mann_whitney(a, b), 0
    approximate, twosample.EXACT_MAX = twosample.mann_whitney(a, b), 120
    if abs(exact - approximate) > 0.02 * exact + 1e-4:
        return f"exact p {exact}, approximate {approximate}"
    if twosample.holm([0.01, 0.04, 0.03]) != [0.03, 0.06, 0.06] or twosample.cliffs_delta([1, 2], [2, 3]) != 0.75:
        return "Holm or Cliff"
    return None


def prove(n):
    """(claim, arguments of synthetic, status wanted, how often of how many at least)"""
    odd = {"cold": ["pass (finished)"] * n, "warm": ["pass (finished)"] * (n - 1) + ["fail (finished)"]}
    claims = [
        ("equal sets are the same", {}, SAME, 98, 100),
        ("one metric moved by 1.5 standard deviations, which are a fiftieth of it, is the same", {"shift": 1.5, "scale": 20},
         SAME, 50, 50),
        ("equal sets of few whole numbers are the same", {"whole": True}, SAME, 29, 30),
        ("one metric of 24 moved by 1.5 standard deviations is found", {"shift": 1.5}, APART, 45, 50),
        ("so it is by 2 among whole numbers", {"shift": 2.0, "whole": True}, APART, 10, 10),
        ("and when it is moved down by 2", {"shift": -2.0}, APART, 49, 50),
        ("one that lies 8 times as wide around the same middle is found", {"spread": 8.0}, APART, 48, 50),
        ("one that hardly varies any more is found", {"spread": 0.05, "scale": 200}, APART, 42, 50),
        ("one verdict that differs is found", {"verdicts": odd}, APART, 50, 50),
        ("6 cells a side are too few to tell", {"n": 6}, TOO_FEW, 20, 20),
        ("no cells are too few to tell", {"n": 0}, TOO_FEW, 1, 1),
    ]
    rng = random.Random(20)
    wrong = prove_tests()
    print(f"{'FAIL' if wrong else 'ok'}: p values are those of all permutations counted{': ' + wrong if wrong else ''}")
    failed = bool(wrong)
    for claim, arguments, wanted, least, times in claims:
        with open(os.devnull, "w") as nowhere:
            hits = sum(judge(synthetic(rng, **{"n": n, **arguments}), nowhere) == wanted for _ in range(times))
        failed |= hits < least
        print(f"{'ok' if hits >= least else 'FAIL'}: {claim}: {hits} of {times}")
    return APART if failed else SAME


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("-n", type=int, default=30, help="cells of each kind (default: 30)")
    parser.add_argument("--renew", type=int, default=1, help="a new template every so many cells (default: 1; 0: never)")
    parser.add_argument("--slots", type=int, default=0, help="guests at the same time (default: ktcoord's)")
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "build/bin", help="folder of the programs")
    parser.add_argument("--again", action="store_true", help="what is apart is measured once more, and must be again")
    parser.add_argument("--minded", type=float, default=0.1, help="least difference of a quartile that counts (0.1)")
    parser.add_argument("--save", type=pathlib.Path, help="keep what was measured there")
    parser.add_argument("--read", type=pathlib.Path, help="run nothing: judge what was saved there")
    parser.add_argument("--prove", action="store_true", help="run nothing: show that the check can fail")
    options = parser.parse_args()
    if options.prove:
        return prove(options.n)
    groups = json.loads(options.read.read_text()) if options.read else collect(options)
    if options.save:
        options.save.write_text(json.dumps(groups))
    status = judge(groups, minded=options.minded)
    verdicts = verdicts_of(groups)
    if status != APART or not options.again or options.read or verdicts["cold"] != verdicts["warm"]:
        return status
    suspects = {row["name"] for row in compare(groups, options.minded) if row.get("apart")}
    print("once more, to see whether it was the host")
    return judge(collect(options), minded=options.minded, suspects=suspects)


if __name__ == "__main__":
    sys.exit(main())
