"""Real guests on namespaced hosts: kernels that are fetched, QEMUs that must die with their worker."""
import contextlib
import glob
import hashlib
import json
import os
import shutil
import subprocess

from case import bounded, case, dismiss, nothing_left, wait_judged
from lab import Skip, command_of, descendants, is_alive, must, wait
import sweepfile

ALL = "I1 I2 I3 I4 I5 I7 I8"
SHARED = os.path.join(os.environ.get("XDG_CACHE_HOME", os.path.expanduser("~/.cache")), "ktcoord-tests")


def kernel(lab):
    """As tests/e2e/guest.sh: one for all tests and runs, fetched once."""
    os.makedirs(SHARED, exist_ok=True)
    done = subprocess.run([f"{lab.bin}/ktcoord", "kernels", "get", "--json", "--state", SHARED], capture_output=True,
                          text=True)
    try:
        told = json.loads(done.stdout)
        return told["path"] if "path" in told else told["kernels"][0]["path"]
    except (ValueError, KeyError, IndexError):
        raise Skip(f"no kernel with sched_ext can be had here: {done.stderr.strip()[-200:]}") from None


def guest_matrix(path, repeats, duration="2s", fails=0):
    text = f"""[sweep]
name = "guests"
attempts = 6
[[kernel]]
name = "k"
path = "{path}"
[[topology]]
name = "small"
cpus = "1n1l2c1t"
[[scheduler]]
name = "eevdf"
"""
    for name, n, least in (("passes", repeats, 0), ("fails", fails, 1000)):
        if n:
            text += f"""[[scenario]]
name = "{name}"
duration = "{duration}"
samples = 1
repeats = {n}
[[scenario.step]]
hold = "full"
cgroup = [{{ name = "cg_0", workers = 2, work = "spin" }}]
[[scenario.assert]]
series = "monitor:cpus[0].nr_running"
each = {{ at_least = {least} }}
"""
    return text


def qemus(worker):
    return [pid for pid in descendants(worker.pid) if "qemu-system" in command_of(pid)]


def finish(lab, truth, status=0, seconds=280):
    """As case.end(); series of real guests are never the same, so there is no I6."""
    got = lab.coordinator.wait(seconds)
    must(got == status, f"ktcoord ended with {got}, not {status}:\n{lab.coordinator.tail()}")
    stored = sweepfile.Stored(lab)
    stored.i1()
    stored.i2()
    stored.i3()
    stored.i7(truth)
    dismiss(lab)
    nothing_left(lab)
    bounded(lab, rss_mib=1500)
    wait("I4: no cgroup of a dead attempt is left", 15, lambda: not dead_cages(os.stat(f"{lab.folder}/lock").st_ctime))
    return stored


def dead_cages(since):
    found = []
    for path in glob.glob("/sys/fs/cgroup/**/ktcoord-*", recursive=True):
        number = path.rpartition("-")[2]
        with contextlib.suppress(OSError):
            if number.isdigit() and not is_alive(int(number)) and os.stat(path).st_ctime > since:
                found.append(path)
    return found


TRUTH = {"passes": "pass", "fails": "fail"}


@case(rows=[], checks=ALL, guests=True, seconds=500)
def three_hosts_with_real_guests(lab):
    """A sweep of real guests over 3 namespaced hosts, with keys: all hosts take part, the kernel reaches each of them
    once, verdicts are right."""
    text = guest_matrix(kernel(lab), 7, fails=2)
    lab.start_all(slots=1, runner="qemu")
    lab.run(text, runner="qemu")
    lab.join_bulk()
    stored = finish(lab, TRUTH, status=1, seconds=450)
    hosts = {each["host"] for each in stored.of("granted")}
    must(len(hosts) == 3, f"only {hosts} took part")
    print(f"over {lab.path}: {len(stored.of('judged'))} cells, {len(stored.of('failed'))} tried again")


@case(rows=[6, 1], checks=ALL, hosts=2, guests=True, seconds=500)
def a_killed_workers_guests_die(lab):
    """kill -9 of a worker while its guests run: QEMU and all are dead at once, its next life removes what lay about."""
    text = guest_matrix(kernel(lab), 4, duration="4s")
    host = lab.hosts[0]
    host.start(slots=1, runner="qemu")
    lab.run(text, runner="qemu")
    lab.join_bulk()
    wait("a guest runs a cell", 200, lambda: qemus(host.worker) and lab.coordinator.says(r": run"))
    below = descendants(host.worker.pid)
    guests = qemus(host.worker)
    must(guests, "no guest runs")
    host.worker.kill()
    wait("its guests are dead", 20, lambda: not any(is_alive(pid) for pid in below))
    host.start(slots=1, runner="qemu")
    stored = finish(lab, TRUTH, seconds=400)
    must(stored.of("failed"), "the kill cost nothing")
    print(f"{len(below)} processes died with it, {len(guests)} of them QEMU")


@case(rows=[1, 18, 33, 35], checks=ALL, hosts=2, guests=True, seconds=600)
def artifacts_over_a_bad_line(lab):
    """The kernel comes over 20 Mbit/s and its source changes meanwhile; the worker is killed in the fetch and goes on by
    offset; a bit of the cached file rots, and it is fetched anew. No lease expires behind the bulk."""
    path = f"{lab.folder}/vmlinuz"
    shutil.copy(kernel(lab), path)
    host = lab.hosts[0]
    host.limit("20mbit")
    host.start(slots=1, runner="qemu")
    text = guest_matrix(path, 2)
    lab.run(text, runner="qemu")
    lab.join_bulk()

    def on_its_way():
        return sum(os.path.getsize(part) for part in glob.glob(f"{host.state}/cache/*.part"))
    wait("a part of it is there", 60, lambda: on_its_way() > 1 << 20)
    with open(path, "r+b") as file:
        file.write(b"another kernel")  # under the same name
    host.worker.kill()
    before = on_its_way()
    host.start(slots=1, runner="qemu")
    host.worker.wait_says(r"lease_taken(.*\n)*.*lease_taken", 60)
    must(on_its_way() >= before or not on_its_way(), "what had come was thrown away")
    wait_judged(lab, 1, seconds=250)
    host.limit("1gbit")
    must(lab.coordinator.wait(250) == 0, f"not all passed:\n{lab.coordinator.tail()}")
    stored = sweepfile.Stored(lab)
    must(not [each for each in stored.of("failed") if each["cause"] == "lease_expired"], "a lease expired behind the bulk")
    # a bit of all that is cached: kernel, what was made of it, template
    host.worker.kill()
    before = {file: digest(file) for file in glob.glob(f"{host.state}/cache/*")}
    must(len(before) >= 2, f"only {list(before)} is cached")
    for cached in before:
        with open(cached, "r+b") as file:
            file.seek(os.path.getsize(cached) // 2)
            byte = file.read(1)
            file.seek(-1, 1)
            file.write(bytes([byte[0] ^ 4]))
    shutil.copy(kernel(lab), path)
    lab.file = f"{lab.folder}/second.db"
    host.start(slots=1, runner="qemu")
    lab.run(text, runner="qemu")
    lab.join_bulk()
    finish(lab, TRUTH, seconds=250)
    for cached, was in before.items():
        if not cached.endswith(".template"):  # which is another one whenever it is made
            must(digest(cached) == was, f"{cached} is still rotten")


def digest(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


@case(rows=[34, 23], checks=ALL, hosts=1, guests=True, seconds=600)
def two_workers_share_a_small_cache(lab):
    """Two workers of one host want the same kernel at the same moment, then another that does not fit beside it: what is in
    use is not evicted, each piece comes once, and all pass."""
    first = kernel(lab)
    second = f"{lab.folder}/vmlinuz-again"
    shutil.copy(first, second)
    with open(second, "ab") as file:
        file.write(bytes(512))  # another digest, the same kernel
    text = guest_matrix(first, 2).replace("[[topology]]", f'[[kernel]]\nname = "again"\npath = "{second}"\n[[topology]]')
    host = lab.hosts[0]
    workers = [host.start("--cache-bytes", os.path.getsize(first) * 3 // 2, slots=1, runner="qemu", ident=ident)
               for ident in ("h0a", "h0b")]
    lab.run(text, runner="qemu")
    lab.join_bulk()
    stored = finish(lab, TRUTH, seconds=500)
    must({each["host"] for each in stored.of("granted")} == {"h0a", "h0b"}, "only one worker was given cells")
    must(len(stored.of("judged")) == 4 and all(worker.popen.returncode == 0 for worker in workers), "not all passed")
    bad = [each for each in stored.of("failed") if each["cause"].startswith("artifact")]
    must(not bad, f"an artifact was lost under somebody's hands: {bad}")


@case(rows=[41], checks="I1 I4 I7", hosts=1, guests=True, seconds=400)
def no_cgroups_no_kvm(lab):
    """A host that has neither cgroups nor /dev/kvm says so, and runs guests all the same."""
    host = lab.hosts[0]
    netns = host.netns
    # `ip netns exec` mounts a /sys of its own, in which no cgroup is
    checked = subprocess.run(["ip", "netns", "exec", netns, f"{lab.bin}/ktworker", "check", "--state", host.state],
                             capture_output=True, text=True)
    must("none" in next((line for line in checked.stdout.splitlines() if line.startswith("cgroups")), ""),
         f"it does not say that there are no cgroups:\n{checked.stdout}")
    text = guest_matrix(kernel(lab), 1)
    host.start(slots=1, runner="qemu", prefix=["ip", "netns", "exec", netns])
    lab.run(text, runner="qemu")
    lab.join_bulk()
    finish(lab, TRUTH, seconds=300)
