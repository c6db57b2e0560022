"""What cases are made of: matrices whose truth is known, and what is checked of a fleet in the end."""
import glob
import os
import signal

from lab import Failed, Lab, Middleman, command_of, is_alive, must, processes_of, wait  # noqa: F401
import sweepfile

CASES = {}

HEAD = """[sweep]
name = "chaos"
attempts = {attempts}
[[kernel]]
name = "any"
path = "/nonexistent/vmlinuz"
[[scheduler]]
name = "scx_kt"
binary = "scx_kt"
[[topology]]
name = "small"
cpus = "1n1l2c1t"
"""
SCENARIO = """
[[scenario]]
name = "{name}"
duration = "10s"
samples = {samples}
repeats = {repeats}
script = "{script}"
[[scenario.step]]
hold = "full"
cgroup = [{{ name = "cg", workers = 2, work = "spin" }}]
[[scenario.assert]]
series = "bpf:nr_dispatched"
nondecreasing = true
"""
# scenario: (samples, script, its truth). {ms}: how long each of its two waits is
SCRIPTS = {
    "passes": (3, "boot 20ms; sample; wait {ms}ms; sample; wait {ms}ms; sample", "pass"),
    "fails": (2, "boot 20ms; sample bpf.nr_dispatched=9; wait {ms}ms; wait {ms}ms; sample bpf.nr_dispatched=8", "fail"),
    "panics": (2, "boot 20ms; sample; wait {ms}ms; fail kernel_panic", "fail"),
    "unlucky": (2, "boot 20ms; sample; wait {ms}ms; die boot_timeout x1; sample", "pass"),
}
TRUTH = {name: truth for name, (_, _, truth) in SCRIPTS.items()}


def matrix(attempts=50, ms=40, **repeats):
    """matrix(passes=20, fails=5): so many repeats of those scenarios."""
    text = HEAD.format(attempts=attempts)
    for name, n in repeats.items():
        samples, script, _ = SCRIPTS[name]
        text += SCENARIO.format(name=name, samples=samples, repeats=n, script=script.format(ms=ms))
    return text


def scenario(name, script, samples=1, repeats=1):
    return SCENARIO.format(name=name, script=script, samples=samples, repeats=repeats)


class case:
    """Registers a function: which fault rows it is, which invariants it checks, whether it is of the fast subset."""

    def __init__(self, rows, checks, fast=False, hosts=3, path=None, seconds=300, guests=False):
        self.guests = guests  # real ones: they have deadlines, so nothing else runs beside it
        self.rows, self.checks, self.fast, self.hosts, self.path, self.seconds = rows, checks, fast, hosts, path, seconds

    def __call__(self, function):
        self.function, self.name = function, function.__name__
        CASES[self.name] = self
        return function


# ---- what a case waits for ----

def judged(lab):
    return sweepfile.count(lab.file, "fact_judged")


def wait_judged(lab, n, seconds=120):
    wait(f"{n} cells are judged", seconds, lambda: judged(lab) >= n or not lab.coordinator.is_alive())
    must(lab.coordinator.is_alive() or judged(lab) >= n, f"ktcoord ended:\n{lab.coordinator.tail()}")


def wait_fact(lab, name, n=1, seconds=90):
    wait(f"the journal has {n} {name}", seconds, lambda: sweepfile.count(lab.file, name) >= n)


# ---- the end ----

def nothing_left(lab, seconds=25, killed=False):
    """I4: no process, socket, run folder of the lab is left once its workers have ended. killed: the coordinator was, for good,
    and what removes its socket is its next start."""
    middlemen = {each.pid for each in lab.processes if isinstance(each, Middleman)}

    def left():
        return [pid for pid in processes_of(lab.folder) if pid not in middlemen]
    try:
        wait("no process is left", seconds, lambda: not left())
    except Failed:
        raise Failed("I4: left: " + "; ".join(f"{pid} {command_of(pid)}" for pid in left())) from None
    for host in lab.hosts:
        for folder in glob.glob(f"{host.state}/workers/*/run"):
            must(not os.listdir(folder), f"I4: {folder} holds {os.listdir(folder)}")
    sockets = [f"{root}/{name}" for root, _, names in os.walk(lab.state) for name in names if name.endswith(".sock")]
    must(killed or not sockets, f"I4: sockets are left: {sockets}")


def bounded(lab, rss_mib=400, fds=400):
    """I5: what the processes took at most."""
    for name, (rss, open_fds) in lab.watched.items():
        must(rss < rss_mib, f"I5: {name} took {rss:.0f} MiB")
        must(open_fds < fds, f"I5: {name} had {open_fds} fds")


def dismiss(lab):
    """All workers leave, as at a shutdown."""
    for process in lab.processes:
        if process.is_alive() and "ktworker" in process.argv[0]:
            process.go_on()
            process.kill(signal.SIGTERM)
    for process in lab.processes:
        if "ktworker" in process.argv[0]:
            try:
                process.wait(20)
            except Failed:
                process.kill(signal.SIGTERM)  # asked again: at once
                process.wait(20)


def end(lab, text, status=1, seconds=150, but=(), truth=None):
    """Waits for the sweep's end (I8), then everything: I1 to I7. The stored sweep."""
    got = lab.coordinator.wait(seconds)
    must(got == status, f"ktcoord ended with {got}, not {status}:\n{lab.coordinator.tail()}")
    stored = sweepfile.Stored(lab).check(text, truth or TRUTH, but)
    dismiss(lab)
    nothing_left(lab)
    bounded(lab)
    return stored
