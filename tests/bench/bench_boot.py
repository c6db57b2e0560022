#!/usr/bin/env python3
"""What a guest costs: one JSON line per measure, with its unit; medians.

    tests/bench/bench_boot.py [--n 10] [--cpus 1,2,8] [--build build]

In one run, interleaved, for each number of vCPUs:
  floor      bare QEMU, the same kernel, machine and kernel options, the smallest initramfs: exec to its first instruction
  cold       our boot: attempt asked for to guest_ready
  restore    from a template that is in memory: attempt asked for to the guest's first answer
  worker     the same to the first worker running
  memory     PSS of each additional guest, all processes of it counted, beside its nominal memory

Timings say nothing by themselves: machines are shared. Compare within one run.
"""
import argparse
import json
import os
import pathlib
import select
import signal
import stat
import statistics
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]

# Says one byte on the console and sleeps for ever: nothing smaller can be PID 1.
INIT = r"""
#define CALL(n, a, b, c) ({ long r; __asm__ volatile("syscall" : "=a"(r) \
	: "a"((long)(n)), "D"((long)(a)), "S"((long)(b)), "d"((long)(c)) : "rcx", "r11", "memory"); r; })
void _start(void)
{
	CALL(1, 1, "@", 1);
	for (;;)
		CALL(34, 0, 0, 0);
}
"""


def say(measure, value, unit, **more):
    print(json.dumps({"bench": "boot", "measure": measure, "value": round(value, 4), "unit": unit, **more}), flush=True)


def cpio_entry(name, mode, body=b"", rdev=(0, 0)):
    """One file of a newc archive (kernel: Documentation/driver-api/early-userspace/buffer-format.rst)."""
    fields = [0, mode, 0, 0, 1, 0, len(body), 0, 0, rdev[0], rdev[1], len(name) + 1, 0]
    head = b"070701" + b"".join(b"%08X" % f for f in fields) + name.encode() + b"\0"
    head += b"\0" * (-len(head) % 4)
    return head + body + b"\0" * (-len(body) % 4)


def smallest_initramfs(folder):
    (folder / "init.c").write_text(INIT)
    subprocess.run(["cc", "-O2", "-static", "-nostdlib", "-nostartfiles", "-ffreestanding", "-fno-stack-protector",
                    "-o", folder / "init", folder / "init.c"], check=True)
    subprocess.run(["strip", folder / "init"], check=True)
    path = folder / "init.cpio"
    path.write_bytes(cpio_entry("dev", stat.S_IFDIR | 0o755)
                     + cpio_entry("dev/console", stat.S_IFCHR | 0o600, rdev=(5, 1))
                     + cpio_entry("init", stat.S_IFREG | 0o755, (folder / "init").read_bytes())
                     + cpio_entry("TRAILER!!!", 0))
    return path


def command_of_a_cold_guest(bench, cpus):
    """The command line that our own cold guest of this size was started with, read from /proc while it runs."""
    process = subprocess.Popen(bench.attempt_command(cpus, 1, "--cold"), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
                               text=True)
    try:
        while True:
            for pid in descendants(process.pid):
                words = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes().decode().split("\0")[:-1]
                if words and "qemu-system" in words[0] and "-append" in words:
                    return words
            time.sleep(0.01)
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate()


def descendants(pid):
    found, todo = [], [pid]
    while todo:
        try:
            children = pathlib.Path(f"/proc/{todo[0]}/task/{todo[0]}/children").read_text().split()
        except OSError:
            children = []
        todo = todo[1:] + [int(c) for c in children]
        found += [int(c) for c in children]
    return found


def floor_command(ours, vmlinux, initramfs):
    """The same machine without what is ours: our wires, random-number device and sandbox."""
    dropped = ("-add-fd", "-sandbox", "-chardev", "-mon", "-object", "-kernel", "-initrd", "-S")
    words, i = [ours[0]], 1
    while i < len(ours):
        has_value = i + 1 < len(ours) and not ours[i + 1].startswith("-")
        value = ours[i + 1] if has_value else None
        keep = ours[i] not in dropped and not (ours[i] == "-device" and ("virt" in value or "vmgenid" in value
                                                                         or "isa-serial" in value))
        if keep:
            words.append(ours[i])
            if value is not None:
                words.append(value.replace(",memory-backend=ram0", ""))
        i += 1 + has_value
    return words + ["-serial", "stdio", "-monitor", "none", "-kernel", str(vmlinux), "-initrd", str(initramfs)]


def time_floor(command):
    began = time.monotonic()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    seen = b""
    try:
        while b"@" not in seen:
            ready, _, _ = select.select([process.stdout], [], [], 120)
            piece = os.read(process.stdout.fileno(), 4096) if ready else b""
            if not piece:
                sys.exit(f"the floor's guest did not come up: {seen!r} {process.stderr.read1(4096)!r}")
            seen += piece
        return time.monotonic() - began
    finally:
        process.kill()
        process.communicate()


class Bench:
    def __init__(self, build, folder):
        self.build, self.folder = build, folder
        cache = pathlib.Path(os.environ.get("XDG_CACHE_HOME", pathlib.Path.home() / ".cache")) / "ktcoord-tests"
        kernel = json.loads(subprocess.run([build / "bin/ktcoord", "kernels", "get", "--json", "--state", cache],
                                           stdout=subprocess.PIPE, check=True).stdout)
        self.kernel = kernel["path"]

    def attempt_command(self, cpus, repeat, *more):
        return [self.build / "tests/ktattempt", "--kernel", self.kernel, "--ktguest", self.build / "bin/ktguest",
                "--cpus", f"1n1l{cpus}c1t", "--mem", str(max(256, 64 * cpus)), "--duration", "100ms", "--samples", "0",
                "--workers", "1", "--cache", self.folder / "cache", "--repeat", str(repeat), *more]

    def attempts(self, cpus, repeat, *more):
        """[(ready, worker running)] in seconds since each attempt was asked for."""
        done = subprocess.run(self.attempt_command(cpus, repeat, *more), stdout=subprocess.PIPE, stderr=subprocess.PIPE,
                              text=True)
        if done.returncode != 0:
            sys.exit(f"ktattempt ended with {done.returncode}: {done.stdout[-2000:]} {done.stderr[-2000:]}")
        times, start, load = [], None, None
        for line in map(json.loads, done.stdout.splitlines()):
            if "start" in line:
                start = line["at_ms"]
            elif line.get("phase", {}).get("phase") == "load":
                load = line["at_ms"]
            elif "result" in line:
                at = {m["name"]: m["at_ns"] / 1e6 for m in line["result"]["timeline"]}
                # The attempt's own clock begins with its process: what lies before is in the phase's time of arrival.
                times.append(((load - start) / 1e3, (load - start + at["anchor"] - at["load"]) / 1e3))
        return times

    def memory(self, cpus, count):
        """PSS in bytes of `count` restored guests that run at the same time, and of all their processes."""
        matrix = self.folder / f"memory-{cpus}-{count}.toml"
        matrix.write_text(f"""
[sweep]
name = "memory"
[[kernel]]
name = "k"
path = "{self.kernel}"
[[scheduler]]
name = "eevdf"
[[topology]]
name = "t"
cpus = "1n1l{cpus}c1t"
[[scenario]]
name = "idle"
duration = "20s"
repeats = {count}
[[scenario.step]]
hold = "full"
cgroup = [{{ name = "cg_0", workers = 1, work = "spin" }}]
""")
        process = subprocess.Popen([self.build / "bin/ktcoord", matrix, "--state", self.folder / f"state-{cpus}", "--slots",
                                    str(count), "--out", self.folder / f"{matrix.stem}.sweep"],
                                   stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        running = 0
        for line in process.stdout:
            running += ": run," in line
            if running == count:
                break
        time.sleep(2)
        pss, qemus = 0, 0
        for pid in descendants(process.pid):
            try:
                name = pathlib.Path(f"/proc/{pid}/cmdline").read_bytes()
                if b"qemu-system" in name or b"attempt" in name.split(b"\0")[1:2]:
                    rollup = pathlib.Path(f"/proc/{pid}/smaps_rollup").read_text()
                    pss += 1024 * int(next(l for l in rollup.splitlines() if l.startswith("Pss:")).split()[1])
                    qemus += b"qemu-system" in name
            except (OSError, IndexError):
                pass
        process.send_signal(signal.SIGINT)
        process.communicate()
        return pss, qemus


def bench(options, folder):
    runner = Bench(options.build.resolve(), folder)
    initramfs = smallest_initramfs(folder)
    for cpus in [int(c) for c in options.cpus.split(",")]:
        runner.attempts(cpus, 1)  # makes the vmlinux and the template
        ours = command_of_a_cold_guest(runner, cpus)
        vmlinux = next((folder / "cache").glob("vmlinux-*"))
        bare = floor_command(ours, vmlinux, initramfs)
        floor, cold, restored = [], [], []
        for _ in range(options.n):
            floor.append(time_floor(bare))
            cold += runner.attempts(cpus, 1, "--cold")
            restored += runner.attempts(cpus, 2)[1:]  # the first one loads the template from disk
        more = {"vcpus": cpus, "n": options.n, "accel": "tcg"}
        middle = {"floor": statistics.median(floor), "cold": statistics.median(c[0] for c in cold),
                  "restore": statistics.median(r[0] for r in restored),
                  "worker": statistics.median(r[1] for r in restored)}
        for measure, label in (("floor", "bare QEMU to init's first instruction"), ("cold", "cold start to ready"),
                               ("restore", "restore to ready"), ("worker", "restore to first worker running")):
            say(label, middle[measure], "s, median", **more)
        say("cold / floor", middle["cold"] / middle["floor"], "ratio", **more)
        say("restore / cold", middle["restore"] / middle["cold"], "ratio", **more)
        few, n_few = runner.memory(cpus, 1)
        many, n_many = runner.memory(cpus, 4)
        if n_many > n_few:
            each = (many - few) / (n_many - n_few)
            nominal = max(256, 64 * cpus) << 20
            say("memory of each additional guest (PSS)", each / (1 << 20), "MiB", nominal_mib=nominal >> 20, **more)
            say("additional guest / nominal memory", each / nominal, "ratio", **more)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--n", type=int, default=10, help="of each, interleaved")
    parser.add_argument("--cpus", default="1,2,8", help="numbers of vCPUs")
    parser.add_argument("--build", type=pathlib.Path, default=ROOT / "build")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="kt-bench.") as name:
        bench(options, pathlib.Path(name))


if __name__ == "__main__":
    main()
