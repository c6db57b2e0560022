#!/usr/bin/env python3
"""What a scenario's own machinery costs: one JSON line per measure, with its unit.

    tests/bench/bench_scenario.py [--n 5] [--cpus 1n2l2c1t] [--kernel VMLINUZ] [--build build]

  ready to first worker    guest_ready to the gate's opening, on the host's clock: the job's scenario is sent, its
                           cgroup made, 1, 10 or 100 workers forked, moved and let go (the kernel's own scheduler)
  op latency               took_ns of an op, on the guest's clock, by kind: from its beginning until it was really done,
                           two busy workers beside it (scx_kt)

Medians and the worst of each. Timings say nothing by themselves: machines are shared. Compare within one run.
"""
import argparse
import collections
import json
import pathlib
import statistics
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHARED = pathlib.Path.home() / ".cache" / "ktcoord-tests"
MS = 1_000_000


def say(measure, value, unit, **more):
    print(json.dumps({"bench": "scenario", "measure": measure, "value": round(value, 4), "unit": unit, **more}), flush=True)


def spin(workers):
    return {"workers": workers, "work": "spin"}


def exact(cpus):
    return {"kind": "exact", "list": cpus}


def job_of_workers(workers):
    """One cgroup, one step, as short as it can be."""
    cgroup = {"name": "cg", "groups": [spin(workers)]}
    return {"scenario": {"name": "gate", "duration_ns": 500 * MS, "samples": 0,
                         "steps": [{"hold_ns": 500 * MS, "cgroups": [cgroup]}]}}


def job_of_ops(rounds):
    """Every op that can be done again and again, in a loop; those of the scheduler, which take longest, in steps."""
    backdrop = {"cgroups": [{"name": "one", "cpuset": exact("0-1"), "groups": [spin(1)]},
                            {"name": "two", "cpuset": exact("2-3"), "groups": [spin(1)]}, {"name": "four"}]}
    cheap = [{"kind": "set_cpuset", "cgroup": "one", "cpuset": exact("0-2")},
             {"kind": "clear_cpuset", "cgroup": "one"},
             {"kind": "set_cpuset", "cgroup": "one", "cpuset": exact("0-1")},
             {"kind": "swap_cpusets", "cgroup": "one", "other": "two"},
             {"kind": "set_affinity", "cgroup": "one", "cpuset": exact("0-3")},
             {"kind": "freeze_cgroup", "cgroup": "one"},
             {"kind": "unfreeze_cgroup", "cgroup": "one"},
             {"kind": "add_cgroup", "make": {"name": "three", "groups": [spin(1)]}},
             {"kind": "spawn", "cgroup": "three", "group": spin(1)},
             {"kind": "move_all_tasks", "cgroup": "three", "other": "four"},
             {"kind": "stop_cgroup", "cgroup": "four"},
             {"kind": "remove_cgroup", "cgroup": "three"},
             {"kind": "write_map", "name": "stats", "key": 0, "value": 1},
             {"kind": "write_map", "name": "scx_kt.bss", "variable": "nr_held", "value": 1},
             {"kind": "capture", "name": "bench"}]
    scheduler = [{"kind": "restart_scheduler"}, {"kind": "detach_scheduler"},
                 {"kind": "hotplug_cpu", "cpu": 3, "online": False}, {"kind": "hotplug_cpu", "cpu": 3, "online": True},
                 {"kind": "attach_scheduler"}]
    loop = {"hold_ns": rounds * 1000 * MS, "loop_ns": 1000 * MS, "ops": cheap}
    steps = [loop] + [{"hold_ns": 200 * MS, "ops": scheduler} for _ in range(3)]
    return {"scenario": {"name": "ops", "duration_ns": sum(s["hold_ns"] for s in steps), "samples": 0,
                         "backdrop": backdrop, "steps": steps}}


class Bench:
    def __init__(self, options, folder):
        self.options, self.folder = options, folder
        self.kernel = options.kernel or newest_kernel(options.build)

    def attempts(self, job, n, scheduler=False):
        """The results of n attempts in a row, all in warm guests of one template."""
        path = self.folder / "job.json"
        path.write_text(json.dumps(job))
        command = [self.options.build / "tests/ktattempt", "--kernel", self.kernel, "--ktguest",
                   self.options.build / "bin/ktguest", "--cpus", self.options.cpus, "--cache", self.folder / "cache",
                   "--job", path, "--repeat", str(n)]
        if scheduler:
            command += ["--scheduler", self.options.build / "bin/scx_kt"]
        run = subprocess.run([str(w) for w in command], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True)
        results = [line["result"] for line in map(json.loads, run.stdout.splitlines()) if "result" in line]
        bad = [r for r in results if r["cause"] != "finished"]
        if bad or len(results) != n:
            sys.exit(f"bench_scenario: an attempt failed: {bad[0]['cause'] + ': ' + bad[0]['line'] if bad else run}")
        return results


def newest_kernel(build):
    out = subprocess.run([build / "bin/ktcoord", "kernels", "get", "--json", "--state", SHARED], check=True,
                         stdout=subprocess.PIPE, text=True).stdout
    return json.loads(out)["path"]


def moment(result, name):
    return next(m["at_ns"] for m in result["timeline"] if m["name"] == name)


def measure_workers(bench):
    for workers in (1, 10, 100):
        results = bench.attempts(job_of_workers(workers), bench.options.n + 1)[1:]  # the first one loads the template
        took = [(moment(r, "anchor") - moment(r, "ready")) / MS for r in results]
        say("ready to first worker", statistics.median(took), "ms, median", workers=workers, worst=round(max(took), 4),
            n=len(took), cpus=bench.options.cpus)


def measure_ops(bench):
    took = collections.defaultdict(list)
    for result in bench.attempts(job_of_ops(bench.options.n), 1, scheduler=True):
        for m in result["timeline"]:
            if m["name"] == "op":
                words = m["detail"].split()
                kind = words[0] + (" " + words[2] if words[0] == "hotplug_cpu" else "")
                took[kind + (" variable" if ".bss" in m["detail"] else "")].append(m["took_ns"] / MS)
    for kind, values in sorted(took.items()):
        say("op latency", statistics.median(values), "ms, median", op=kind, worst=round(max(values), 4), n=len(values),
            cpus=bench.options.cpus)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=5, help="attempts for each number of workers, and rounds of ops")
    parser.add_argument("--cpus", default="1n2l2c1t", help="the guest's topology; at least four CPUs")
    parser.add_argument("--kernel", type=pathlib.Path, help="a boot image; else the newest of the tests' own")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kt-bench.") as name:
        bench = Bench(options, pathlib.Path(name))
        measure_workers(bench)
        measure_ops(bench)


if __name__ == "__main__":
    main()
