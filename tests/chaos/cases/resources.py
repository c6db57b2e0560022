"""Clocks that jump, descriptors that run out, hosts that are too small or come and go."""
import resource
import signal
import time

from case import case, end, judged, matrix, wait_judged
from lab import must

ALL = "I1 I2 I3 I4 I5 I6 I7 I8"
FAKETIME = "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1"


class Clock:
    """A wall clock that the test sets; the monotonic ones stay as they are."""

    def __init__(self, lab, name):
        self.path = f"{lab.folder}/{name}.clock"
        self.set("+0")
        self.env = {"LD_PRELOAD": FAKETIME, "FAKETIME_TIMESTAMP_FILE": self.path, "FAKETIME_NO_CACHE": "1",
                    "FAKETIME_DONT_FAKE_MONOTONIC": "1", "DONT_FAKE_MONOTONIC": "1"}

    def set(self, offset):
        with open(self.path, "w") as file:
            file.write(offset + "\n")


@case(rows=[37], checks=ALL, fast=True, hosts=2)
def wall_clocks_jump(lab):
    """The coordinator's and the workers' wall clocks jump an hour on, an hour back, and to 1970: no lease expires, nothing
    is tried again."""
    text = matrix(passes=60, fails=10, ms=200)
    clocks = [Clock(lab, host.name) for host in lab.hosts]
    mine = Clock(lab, "coordinator")
    for host, clock in zip(lab.hosts, clocks):
        host.start(env=clock.env)
    lab.run(text, env=mine.env)
    for n, (where, offset) in enumerate(((mine, "+3600"), (clocks[0], "-3600"), (mine, "-3600"), (clocks[1], "+86400"),
                                         (clocks[0], "-1700000000"), (mine, "+0"))):
        wait_judged(lab, 5 * n + 3)
        where.set(offset)
        time.sleep(0.3)
    stored = end(lab, text)
    must(not stored.of("failed"), f"tried again: {stored.of('failed')}")


@case(rows=[41], checks=ALL, fast=True)
def descriptors_run_out(lab):
    """A worker with too few descriptors, and a coordinator whose last ones are taken by strangers: words, no crash; who is
    at work stays at work."""
    text = matrix(passes=60, fails=10, ms=200)
    for host in lab.hosts[:2]:
        host.start()
    lab.run(text, limits={resource.RLIMIT_NOFILE: 64})
    wait_judged(lab, 3)
    poor = lab.hosts[2].start(limits={resource.RLIMIT_NOFILE: 12})
    strangers = []
    for _ in range(100):
        try:
            strangers.append(lab.connect())
        except OSError:
            break
    wait_judged(lab, 20)
    status = poor.popen.poll()
    must(status is None or status in (2, 3, 70, -signal.SIGABRT), f"status {status}")
    if status is not None:
        must(status == 3 and poor.tail(), f"a worker without descriptors ended with {status}:\n{poor.tail()}")
    for stranger in strangers:
        stranger.close()
    end(lab, text)


@case(rows=[48], checks=ALL, fast=True, hosts=2)
def hosts_come_and_go(lab):
    """During a sweep one worker is drained by SIGTERM, one is added, then the last one goes, and another comes."""
    text = matrix(passes=60, fails=12, ms=120)
    lab.start_all()
    lab.run(text)
    wait_judged(lab, 6)
    lab.hosts[0].worker.kill(signal.SIGTERM)
    must(lab.hosts[0].worker.wait(60) == 0, "it did not drain")
    lab.add_host().start()
    wait_judged(lab, 20)
    for host in lab.hosts[1:]:
        host.worker.kill(signal.SIGTERM)
        must(host.worker.wait(60) == 0, "it did not drain")
    before = judged(lab)
    time.sleep(1)
    must(lab.coordinator.is_alive() and judged(lab) == before < 72, "without workers it went on, or ended")
    lab.hosts[0].start()
    stored = end(lab, text)
    must(not [each for each in stored.of("failed") if each.get("charged")], "a drained worker cost somebody a try")


@case(rows=[48], checks=ALL, hosts=2)
def the_last_worker_is_killed(lab):
    """The only worker dies for good: the sweep waits, and another one ends it."""
    text = matrix(passes=12, fails=4, ms=150)
    lab.hosts[0].start()
    lab.run(text)
    wait_judged(lab, 3)
    lab.hosts[0].worker.kill()
    time.sleep(3)
    must(lab.coordinator.is_alive(), f"it did not wait:\n{lab.coordinator.tail()}")
    lab.hosts[1].start()
    end(lab, text)
