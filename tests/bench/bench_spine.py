#!/usr/bin/env python3
"""What the spine costs: one JSON line per measure, with its unit.

    tests/bench/bench_spine.py [--guests N] [--cells N] [--bin build/bin]

Real guests: lease to first guest instruction of ours, to scheduler enabled, guest pause per sample, bytes per
sample. Scripted: coordinator and worker time per cell. Timings say nothing by themselves: compare within one run.
"""
import argparse
import json
import os
import pathlib
import resource
import sqlite3
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]

SCENARIO = """
[[scheduler]]
name = "scx_kt"
binary = "scx_kt"
[[topology]]
name = "small"
cpus = "1n1l2c1t"
[[scenario]]
name = "bench"
duration = "{duration}"
samples = {samples}
repeats = {repeats}
{script}
[[scenario.step]]
hold = "full"
cgroup = [{{ name = "cg_0", workers = 2, work = "spin" }}]
[[scenario.assert]]
series = "bpf:nr_dispatched"
nondecreasing = true
"""


def say(measure, value, unit, **more):
    print(json.dumps({"bench": "spine", "measure": measure, "value": value, "unit": unit, **more}), flush=True)


def percentile(values, p):
    """Nearest rank, as in semantics.md section 6."""
    ranked = sorted(values)
    index = min(max(-(-len(ranked) * p // 100) - 1, 0), len(ranked) - 1)
    return ranked[int(index)]


def run(binary, folder, matrix, *options):
    path = folder / "bench.toml"
    path.write_text('[sweep]\nname = "bench"\n[[kernel]]\nname = "sid"\n' + matrix)
    started = time.monotonic()
    done = subprocess.run([binary, path, "--state", folder / "state", "--out", folder / "bench.sweep", "--quiet",
                           "--json", *options], stdout=subprocess.PIPE, text=True)
    wall = time.monotonic() - started
    if done.returncode != 0:
        sys.exit(f"ktcoord ended with {done.returncode}")
    return json.loads(done.stdout), wall


def moment(result, name):
    return next((m["at_ns"] for m in result["timeline"] if m["name"] == name), None)


def bench_guests(binary, n):
    with tempfile.TemporaryDirectory(prefix="kt-bench.") as name:
        folder = pathlib.Path(name)
        cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "ktcoord-tests"
        kernel = json.loads(subprocess.run([binary, "kernels", "get", "--json", "--state", cache],
                                           stdout=subprocess.PIPE, check=True).stdout)
        matrix = f'path = "{kernel["path"]}"\n' + SCENARIO.format(duration="5s", samples=16, repeats=n, script="")
        sweep, _ = run(binary, folder, matrix, "--slots", "1")
        results = [c["attempts"][-1]["result"] for c in sweep["cells"]]
        more = {"n": n, "accel": results[0]["machine"]["accel"], "guest": results[0]["machine"]["guest"]}
        with sqlite3.connect(folder / "bench.sweep") as db:  # facts 4 and 5: granted, ended
            granted = dict(db.execute("SELECT cell, wall_ns FROM fact WHERE tag = 4 ORDER BY seq"))
            ended = dict(db.execute("SELECT cell, wall_ns FROM fact WHERE tag = 5"))
        # The attempt's timeline begins when its process does: what lies between the lease and that is added.
        before = [max(ended[i] - r["wall_ns"] - granted[i], 0) for i, r in enumerate(results)]
        for what, label in (("ready", "lease to first instruction of ktguest"), ("enabled", "lease to scheduler enabled"),
                            ("anchor", "lease to first worker running")):
            at = [moment(r, what) for r in results]
            if None not in at:
                say(label, percentile([a + b for a, b in zip(at, before)], 50) / 1e9, "s, median", **more)
        pauses, late, sizes = [], [], []
        for cell in sweep["cells"]:
            shown = json.loads(subprocess.run([binary, "show", folder / "bench.sweep", cell["name"], "--json", "--state",
                                               folder / "state"], stdout=subprocess.PIPE, check=True).stdout)
            pauses += [s["frozen_ns"] for s in shown["samples"]]
            late += [s["elapsed_ns"] - s["offset_ns"] for s in shown["samples"]]
        with sqlite3.connect(folder / "bench.sweep") as db:
            sizes = [raw or stored for raw, stored in db.execute("SELECT raw, length(body) FROM sample")]
            disk = [stored for (stored,) in db.execute("SELECT length(body) FROM sample")]
        more["samples"] = len(pauses)
        say("guest pause per sample", percentile(pauses, 50) / 1e6, "ms, p50", **more)
        say("guest pause per sample", percentile(pauses, 99) / 1e6, "ms, p99", **more)
        say("sample taken after its time", percentile(late, 50) / 1e6, "ms, p50", **more)
        say("sample taken after its time", percentile(late, 99) / 1e6, "ms, p99", **more)
        say("bytes per sample on the wire", sum(sizes) / len(sizes), "bytes, mean", **more)
        say("bytes per sample on disk", sum(disk) / len(disk), "bytes, mean", **more)


def bench_scripted(binary, n):
    with tempfile.TemporaryDirectory(prefix="kt-bench.") as name:
        matrix = 'path = "/none"\n' + SCENARIO.format(duration="10s", samples=3, repeats=n,
                                                      script='script = "sample; sample; sample"')
        before = resource.getrusage(resource.RUSAGE_CHILDREN)
        _, wall = run(binary, pathlib.Path(name), matrix, "--runner", "scripted", "--slots", "64")
        after = resource.getrusage(resource.RUSAGE_CHILDREN)
        cpu = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
        say("wall time per cell, scripted", wall / n * 1e6, "us", cells=n, durable=True, slots=64)
        say("CPU time per cell, scripted, coordinator and worker", cpu / n * 1e6, "us", cells=n)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--guests", type=int, default=3, help="cells with real guests (0: none)")
    parser.add_argument("--cells", type=int, default=2000, help="scripted cells (0: none)")
    parser.add_argument("--bin", type=pathlib.Path, default=ROOT / "build/bin")
    options = parser.parse_args()
    binary = options.bin.resolve() / "ktcoord"
    if options.cells:
        bench_scripted(binary, options.cells)
    if options.guests:
        bench_guests(binary, options.guests)


if __name__ == "__main__":
    main()
