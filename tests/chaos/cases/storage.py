"""Disks that are full, journals that are torn, bits that are wrong."""
import os
import random
import shutil
import sqlite3
import subprocess
import time

from case import TRUTH, case, dismiss, end, matrix, nothing_left, wait_fact, wait_judged
from lab import Process, call, must
import sweepfile

ALL = "I1 I2 I3 I4 I5 I6 I7 I8"


def fill(path):
    """Until nothing fits any more, not even a byte."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT, 0o600)
    for size in (65536, 4096, 1):
        try:
            while os.write(file, bytes(size)) > 0:
                pass
        except OSError:
            pass
    os.close(file)


@case(rows=[30], checks=ALL, fast=True)
def coordinators_disk_is_full(lab):
    """The journal's disk is full in mid-sweep: ktcoord stops, says what to do, and goes on when there is room."""
    text = matrix(passes=60, fails=10, ms=80)
    disk = f"{lab.folder}/disk"
    os.mkdir(disk)
    call("mount", "-t", "tmpfs", "-o", "size=32m", "kt-chaos", disk)
    lab.file = f"{disk}/sweep.db"
    lab.start_all()
    lab.run(text)
    wait_judged(lab, 3)
    fill(f"{disk}/ballast")
    status = lab.coordinator.wait(60)
    must(status == 3 and lab.coordinator.says("resume"), f"status {status}:\n{lab.coordinator.tail()}")
    before = sweepfile.count(lab.file, "fact_judged")
    os.remove(f"{disk}/ballast")
    lab.resume()
    stored = end(lab, text)
    must(before >= 3 and len(stored.of("judged")) == 70, "what was judged before was lost")


@case(rows=[30], checks=ALL, fast=True)
def a_workers_disk_is_full(lab):
    """One host cannot keep what it should: that is the host's trouble, its cells go elsewhere."""
    text = matrix(passes=24, fails=6, ms=60)
    full = lab.hosts[0]
    keys = {name: open(f"{full.state}/{name}", "rb").read() for name in os.listdir(full.state)}
    full.full_disk("600k")
    for name, bytes_ in keys.items():
        with open(f"{full.state}/{name}", "wb", opener=lambda path, flags: os.open(path, flags, 0o600)) as file:
            file.write(bytes_)
    full.start()
    lab.run(text)
    full.worker.wait_says("welcome", 30)
    fill(f"{full.state}/ballast")
    wait_fact(lab, "fact_failed", seconds=60)
    for host in lab.hosts[1:]:
        host.start()
    stored = end(lab, text)
    causes = {each["cause"] for each in stored.of("failed")}
    must(causes <= {"disk_full", "host_trouble"} and "disk_full" in causes, f"it was called {causes}")
    must(full.worker.popen.returncode in (0, 3), f"it ended with {full.worker.popen.returncode}")


@case(rows=[32], checks="I1 I2 I3 I6 I7", hosts=2)
def journal_torn_at_many_bytes(lab):
    """The coordinator's machine lost power: the end of the journal's log is missing from some byte on. Whatever byte: what
    is before it is a sweep, and it can be finished."""
    text = matrix(passes=8, fails=4, ms=40)
    lab.start_all()
    lab.run(text)
    wait_judged(lab, 6)
    lab.coordinator.kill()
    torn = f"{lab.folder}/torn.db"
    size = os.path.getsize(lab.file + "-wal")
    draw = random.Random(int(os.environ.get("KT_SEED", "4711")))
    offsets = sorted({size, size - 1, size - 8192, 0, 31, 32, 33, 56, 57, *(draw.randrange(size) for _ in range(140))})
    judged_at, resumed = [], []
    for n, offset in enumerate(offsets):
        shutil.copy(lab.file, torn)
        shutil.copy(lab.file + "-wal", torn + "-wal")
        os.truncate(torn + "-wal", max(0, offset))
        if os.path.exists(torn + "-shm"):
            os.remove(torn + "-shm")
        done = lab.coordinator_run("report", torn, "--json", check=False)
        if done.returncode in (2, 3) and not done.stdout:  # the sweep itself was not yet there
            must(not judged_at and done.stderr, f"torn at {offset}: {done.stderr}")
            continue
        must(done.returncode in (0, 1, 3), f"torn at {offset}: status {done.returncode}: {done.stderr}")
        stored = sweepfile.Stored(lab, torn)
        stored.i2()
        judged_at.append(len(stored.of("judged")))
        if n % 20 == 0:
            mine = f"{lab.folder}/torn{offset}.db"
            shutil.copy(torn, mine)
            shutil.copy(torn + "-wal", mine + "-wal")
            # beside each other: each waits a grace for the workers of then
            resumed.append((offset, mine, Process(lab, f"resume{offset}", [
                f"{lab.bin}/ktcoord", "resume", mine, "--state", f"{lab.folder}/r{n}", "--quiet"])))
    must(judged_at == sorted(judged_at) and judged_at[-1] >= 6, "what is longer holds less")
    for offset, mine, process in resumed:
        status = process.wait(200)
        must(status == 1, f"torn at {offset}, resumed: status {status}:\n{process.tail()}")
        sweepfile.Stored(lab, mine).check(text, TRUTH)
    must(len(resumed) >= 5, f"only {len(resumed)} were finished")
    print(f"torn at {len(offsets)} bytes, {len(resumed)} finished")
    dismiss(lab)
    nothing_left(lab, killed=True)


@case(rows=[33], checks="I3", fast=True, hosts=1)
def a_bit_of_a_sweep_is_wrong(lab):
    """Bits flip in a stored sweep: reading it is told so or unharmed, never a crash; a wrong sample is never judged."""
    text = matrix(passes=6, fails=3)
    lab.hosts[0].start()
    lab.run(text)
    end(lab, text)
    good = sweepfile.essence(sweepfile.report(f"{lab.bin}/ktcoord", lab.file, lab.state))
    flipped = f"{lab.folder}/flipped.db"
    call("sqlite3", lab.file, "PRAGMA wal_checkpoint(TRUNCATE)")
    draw = random.Random(int(os.environ.get("KT_SEED", "4711")))
    refused = 0
    with open(lab.file, "rb") as file:
        whole = file.read()
    for _ in range(60):
        wrong = bytearray(whole)
        for _ in range(draw.choice([1, 1, 40])):
            wrong[draw.randrange(len(wrong))] ^= 1 << draw.randrange(8)
        with open(flipped, "wb") as file:
            file.write(wrong)
        for command in (["report"], ["judge"]):
            done = lab.coordinator_run(*command, flipped, check=False)
            must(done.returncode in (0, 1, 2, 3, 4), f"{command}: status {done.returncode}: {done.stderr[-800:]}")
            refused += done.returncode in (2, 3)
        for end_ in ("-wal", "-shm"):
            if os.path.exists(flipped + end_):
                os.remove(flipped + end_)
    shutil.copy(lab.file, flipped)
    with sqlite3.connect(flipped) as db:
        db.execute("UPDATE sample SET body = substr(body, 1, 12) || X'7f' || substr(body, 14) WHERE cell = 2 AND seq = 0")
    done = lab.coordinator_run("judge", flipped, check=False)
    must("not what the worker recorded" in done.stderr, f"a wrong sample was judged: {done.stderr}")
    must(sweepfile.essence(sweepfile.report(f"{lab.bin}/ktcoord", flipped, lab.state)) == good, "the verdict changed")
    print(f"{refused} of 120 readings were refused")


@case(rows=[33], checks=ALL, hosts=2)
def a_workers_spool_is_rotten(lab):
    """A worker dies with results that nobody has, and its spool rots: it starts all the same, its cells are tried again."""
    text = matrix(passes=10, fails=4, ms=60)
    host = lab.hosts[0]
    lab.add_proxy(host)
    host.start(slots=4)
    lab.run(text)
    wait_judged(lab, 2)
    host.proxy.order("hold up")
    time.sleep(1)
    host.worker.kill()
    spool = f"{host.state}/workers/{host.name}/spool.db"
    with open(spool, "r+b") as file:
        size = os.path.getsize(spool)
        for at in range(100, size, 512):
            file.seek(at)
            file.write(os.urandom(64))
    for end_ in ("-wal", "-shm"):
        if os.path.exists(spool + end_):
            os.remove(spool + end_)
    host.proxy.order("cut")
    host.proxy.order("free up")
    host.start(slots=4)
    lab.hosts[1].start()
    end(lab, text)
    must(host.worker.says("spool_set_aside|result_waits|welcome"), "it said nothing")
