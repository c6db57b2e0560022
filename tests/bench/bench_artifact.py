#!/usr/bin/env python3
"""What it costs to bring an artifact to several hosts.

usage: tests/bench/bench_artifact.py [--build DIR] [--hosts N] [--mb N] [--rate RATE] [--no-links] [--no-sync]

Hosts are network namespaces behind links that tbf limits (tests/chaos/lab.py); ktcoord and ktworker are real, cells are
scripted and bring one file along (KT_TEST_SHIP). One JSON line per measure:

  links, bare      every host gets the bytes over a bare TCP connection, all at the same time: until the last has them
  links, fleet     the same bytes to every host's cache, verified and synced; ratio = fleet / bare
  links, again     what goes over the links to all hosts during a second sweep that needs the same file
  links, slow      one of the hosts has a hundredth of the rate: until the last of the others has the file; ratio to fleet
  sync             round trips SYNC -> STATE of a session that does nothing else, beside hosts that fetch without a link's
                   limit: idle, while they fetch, and while they fetch with --bandwidth; ratio to idle
"""
import argparse
import json
import os
import subprocess
import sys
import threading
import time

HERE = os.path.dirname(os.path.realpath(__file__))
sys.path.insert(0, os.path.join(os.path.dirname(HERE), "chaos"))
sys.dont_write_bytecode = True
import lab as lab_module  # noqa: E402
from lab import Lab, wait  # noqa: E402

MATRIX = """[sweep]
name = "artifact"
[[kernel]]
name = "any"
path = "/nonexistent/vmlinuz"
[[scheduler]]
name = "scx_kt"
binary = "scx_kt"
[[topology]]
name = "small"
cpus = "1n1l2c1t"
[[scenario]]
name = "cell"
duration = "10s"
samples = 1
repeats = %d
script = "wait %dms; sample"
[[scenario.step]]
hold = "full"
cgroup = [{ name = "cg", workers = 2, work = "spin" }]
"""

SENDER = """
import os, socket, sys
file = open(sys.argv[2], "rb")
with socket.create_server((sys.argv[1], 7900)) as listening:
    print("ready", flush=True)
    for _ in range(int(sys.argv[3])):
        peer, _ = listening.accept()
        if os.fork() == 0:
            at, size = 0, os.fstat(file.fileno()).st_size
            while at < size:
                at += os.sendfile(peer.fileno(), file.fileno(), at, size - at)
            os._exit(0)
        peer.close()
for _ in range(int(sys.argv[3])):
    os.wait()
"""

RECEIVER = """
import socket, sys
peer = socket.create_connection((sys.argv[1], 7900))
room = bytearray(1 << 18)
with open(sys.argv[2], "wb") as file:
    while True:
        n = peer.recv_into(room)
        if not n:
            break
        file.write(memoryview(room)[:n])
"""


def say(measure, value, unit, **more):
    print(json.dumps({"bench": "artifact", "measure": measure, "value": value, "unit": unit, **more}), flush=True)


def percentile(values, p):
    ranked = sorted(values)
    return ranked[min(max(-(-len(ranked) * p // 100) - 1, 0), len(ranked) - 1)]


def make_file(folder, megabytes):
    path = f"{folder}/shipped"
    with open(path, "wb") as file:
        for _ in range(megabytes):
            file.write(os.urandom(1 << 20))
    return path


def bare(lab, path):
    into = lambda netns: ["nsenter", f"--net=/run/netns/{netns}", sys.executable, "-c"]
    sender = subprocess.Popen(into(lab.netns) + [SENDER, "10.77.0.1", path, str(len(lab.hosts))],
                              stdout=subprocess.PIPE, text=True)
    sender.stdout.readline()
    began = time.monotonic()
    receivers = [subprocess.Popen(into(host.netns) + [RECEIVER, "10.77.0.1", f"{host.state}/bare"])
                 for host in lab.hosts]
    for receiver in receivers:
        receiver.wait()
    took = time.monotonic() - began
    sender.wait()
    for host in lab.hosts:
        assert os.path.getsize(f"{host.state}/bare") == os.path.getsize(path)
        os.unlink(f"{host.state}/bare")
    return took


def names_in(host):
    try:
        return os.listdir(f"{host.state}/cache")
    except OSError:
        return []


def is_whole(host):
    return any(len(name) == 64 for name in names_in(host))


def bytes_out(lab):
    """What has left the coordinator's side of the links."""
    links = json.loads(lab_module.call("ip", "-n", lab.netns, "-s", "-j", "link").stdout)
    return {link["ifname"]: link["stats64"]["tx"]["bytes"] for link in links}


def sent_bytes(lab):
    """Of artifacts, as the coordinator says when it ends."""
    with open(f"{lab.state}/coordinator.log") as file:
        said = [line for line in file if "feeder_closed" in line]
    return int(said[-1].split("sent_bytes=")[1].split()[0]) if said else None


def sweep(lab, path, name, wait_ms=500, repeats=None, *options):
    lab.file = f"{lab.folder}/{name}.db"
    coordinator = lab.run(MATRIX % (repeats or len(lab.hosts), wait_ms), *options, env={"KT_TEST_SHIP": path})
    lab.join_bulk()
    return coordinator


def fetch(lab, path, name, hosts, *options):
    """Seconds from the first piece asked for until the last of these hosts has the whole file, verified."""
    coordinator = sweep(lab, path, name, 500, None, *options)
    wait("somebody fetches", 60, lambda: any(names_in(host) for host in lab.hosts))
    began = time.monotonic()
    wait("every host has the file", 600, lambda: all(is_whole(host) for host in hosts))
    return time.monotonic() - began, coordinator


def forget(lab):
    for host in lab.hosts:
        host.worker.kill()
        host.worker.wait(10)
        for name in names_in(host):
            os.unlink(f"{host.state}/cache/{name}")


def links(args):
    with Lab(args.build, args.hosts) as lab:
        path = make_file(lab.folder, args.mb)
        for host in lab.hosts:
            host.limit(args.rate)
        how = {"hosts": args.hosts, "megabytes": args.mb, "rate": args.rate, "path": lab.path}
        plain = bare(lab, path)
        say("links, bare", round(plain, 2), "s", **how)
        lab.start_all(slots=1)
        took, coordinator = fetch(lab, path, "first", lab.hosts)
        say("links, fleet", round(took, 2), "s", ratio=round(took / plain, 3), **how)
        coordinator.wait(120)
        first = sent_bytes(lab)
        for host in lab.hosts:  # a finished sweep's workers wait for the next
            if not host.worker.is_alive():
                host.start(slots=1)
        before = bytes_out(lab)
        sweep(lab, path, "again").wait(120)
        after = bytes_out(lab)
        over = sum(after[host.cable] - before[host.cable] for host in lab.hosts)
        say("links, again", sent_bytes(lab), "bytes of artifacts", first=first, all_bytes_over_the_links=over, **how)
        forget(lab)
        lab.hosts[0].limit("%dkbit" % (rate_in_kbit(args.rate) // 100))
        lab.start_all(slots=1)
        others, coordinator = fetch(lab, path, "slow", lab.hosts[1:])
        say("links, slow", round(others, 2), "s", ratio=round(others / took, 3), **how)
        coordinator.kill()


def rate_in_kbit(rate):
    return int(rate[:-4]) * {"kbit": 1, "mbit": 1000, "gbit": 1000000}[rate[-4:]]


class Prober(threading.Thread):
    """A session without a slot that SYNCs as fast as it is answered, with a short pause."""

    def __init__(self, lab):
        super().__init__(daemon=True)
        self.peer = lab.peer("prober", timeout=30)
        self.peer.join(lab.digest())
        self.took_ms, self.going = [], True

    def run(self):
        seq = 0
        while self.going:
            seq += 1
            began = time.monotonic()
            self.peer.send("sync", session=self.peer.session, seq=seq, slots_free=0)
            while self.peer.await_("state")[1].get("seq") not in (seq, None):
                pass
            self.took_ms.append((time.monotonic() - began) * 1000)
            time.sleep(0.01)

    def end(self):
        self.going = False
        self.join(30)
        return self.took_ms


def sync(args):
    with Lab(args.build, args.hosts, path="local") as lab:
        path = make_file(lab.folder, args.mb)
        lab.digest()
        idle = {}

        def measure(name, *options):
            """The prober is there before the hosts are: first idle, then beside them."""
            coordinator = sweep(lab, path, name.replace(" ", "_"), 2000, 2 * args.hosts, *options)
            prober = wait("the coordinator listens", 30, lambda: try_prober(lab))
            prober.start()
            time.sleep(3)
            quiet = list(prober.took_ms)
            for host in lab.hosts:
                host.start(slots=1)
            wait("somebody fetches", 60, lambda: any(names_in(host) for host in lab.hosts))
            at, began = len(prober.took_ms), time.monotonic()
            wait("every host has the file", 600, lambda: all(is_whole(host) for host in lab.hosts))
            took = time.monotonic() - began
            busy = prober.took_ms[at:]
            prober.end()
            if not idle:
                idle.update(p50=percentile(quiet, 50), p99=percentile(quiet, 99))
                say("sync, idle", round(idle["p50"], 2), "ms p50", p99_ms=round(idle["p99"], 2), n=len(quiet))
            say(f"sync, {name}", round(percentile(busy, 50), 2), "ms p50", ratio=round(percentile(busy, 50) / idle["p50"], 2),
                p99_ms=round(percentile(busy, 99), 2), ratio_p99=round(percentile(busy, 99) / idle["p99"], 2),
                max_ms=round(max(busy), 2), n=len(busy), fetch_s=round(took, 2),
                mb_per_s=round(args.hosts * args.mb / took), hosts=args.hosts)
            coordinator.kill()
            forget(lab)

        measure("all fetch")
        measure("all fetch at 50M", "--bandwidth", "50M")


def try_prober(lab):
    try:
        return Prober(lab)
    except OSError:
        return None


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", default=os.path.join(os.path.dirname(os.path.dirname(HERE)), "build"))
    parser.add_argument("--hosts", type=int, default=4)
    parser.add_argument("--mb", type=int, default=100)
    parser.add_argument("--rate", default="50mbit")
    parser.add_argument("--no-links", action="store_true")
    parser.add_argument("--no-sync", action="store_true")
    args = parser.parse_args()
    if not args.no_links:
        links(args)
    if not args.no_sync:
        sync(args)


if __name__ == "__main__":
    main()
