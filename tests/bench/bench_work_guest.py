#!/usr/bin/env python3
"""bench_work in a real guest, as a payload: the telemetry's share of guest CPU time. JSON lines, as bench_work prints them.

    tests/bench/bench_work_guest.py [--ms 300] [--cpus 1n1l2c1t] [--build build]

Under TCG a clock reading costs some ten times what it does on hardware.
"""
import argparse
import json
import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
SHARED = pathlib.Path.home() / ".cache" / "ktcoord-tests"
MATRIX = """
[sweep]
name = "bench_work"
[[kernel]]
name = "newest"
path = "{kernel}"
[[scheduler]]
name = "eevdf"
[[topology]]
name = "guest"
cpus = "{cpus}"
memory = "1G"
[[payload]]
name = "bench_work"
program = "{build}/bench/bench_work"
args = ["{ms}"]
[[scenario]]
name = "telemetry"
duration = "300s"
[[scenario.step]]
hold = "1s"
ops = [{{ run_payload = "bench_work" }}, {{ wait_payload = "bench_work", deadline = "240s" }}]
"""


def run(*words):
    done = subprocess.run([str(word) for word in words], text=True, capture_output=True)
    if done.returncode:
        sys.exit(f"{' '.join(map(str, words))}: {done.stdout[-500:]}{done.stderr[-500:]}")
    return done.stdout


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--ms", type=int, default=300, help="how long each work type works")
    parser.add_argument("--cpus", default="1n1l2c1t", help="the guest's topology")
    parser.add_argument("--build", default=ROOT / "build", type=pathlib.Path)
    options = parser.parse_args()
    build = options.build.resolve()
    ktcoord = build / "bin" / "ktcoord"
    kernel = json.loads(run(ktcoord, "kernels", "get", "--json", "--state", SHARED))["path"]
    with tempfile.TemporaryDirectory() as folder:
        matrix = pathlib.Path(folder) / "bench.toml"
        matrix.write_text(MATRIX.format(kernel=kernel, build=build, cpus=options.cpus, ms=options.ms))
        run(ktcoord, matrix, "--state", f"{folder}/state", "--quiet")
        cell = json.loads(run(ktcoord, "show", "last", "--json", "--state", f"{folder}/state"))
    [payload] = cell["attempts"][-1]["result"]["payloads"]
    accel = cell["attempts"][-1]["result"]["machine"]["accel"]
    for line in bytes.fromhex(payload["out"]).decode().splitlines():
        print(json.dumps({**json.loads(line), "where": f"guest, {accel}"}), flush=True)


if __name__ == "__main__":
    main()
