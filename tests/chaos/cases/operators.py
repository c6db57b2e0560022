"""What people do to a fleet, and what they must not be able to do: poison, small hosts, keys, drain, cancel, upgrades."""
import json
import os
import time

from case import TRUTH, case, dismiss, end, judged, matrix, nothing_left, scenario, wait, wait_fact, wait_judged
from lab import call, must
from wire import FLEET
import sweepfile

ALL = "I1 I2 I3 I4 I5 I6 I7 I8"
TAG = FLEET.tags


def tend(lab, hosts, **how):
    """Whoever supervises the hosts: a worker that ended is started again."""
    for host in hosts:
        if not host.worker or not host.worker.is_alive():
            host.start(**how)


@case(rows=[7], checks="I1 I2 I3 I4 I5 I7 I8", hosts=4, fast=True)
def a_cell_that_kills_every_worker(lab):
    """A cell that aborts whichever worker takes it: after three hosts nobody tries it again, it is called poison, and all
    others are judged."""
    text = matrix(passes=16, fails=4, ms=100) + scenario("crash", "boot 20ms; sample; crash")
    tend(lab, lab.hosts)
    lab.run(text)
    wait("the sweep ends", 200, lambda: tend(lab, lab.hosts) or not lab.coordinator.is_alive())
    must(lab.coordinator.wait(1) == 1, f"status {lab.coordinator.popen.returncode}:\n{lab.coordinator.tail()}")
    stored = sweepfile.Stored(lab)
    stored.i1()
    stored.i2()
    stored.i3()
    stored.i7(TRUTH)
    (given_up,) = stored.of("errored")
    must(given_up["cause"] == "poison", f"it was called {given_up}")
    poison = given_up["cell"]
    hosts = {each["host"] for each in stored.of("granted") if each["cell"] == poison}
    must(len(hosts) == 3, f"{len(hosts)} hosts tried it, not 3")
    dismiss(lab)
    nothing_left(lab)


@case(rows=[43], checks="I1 I2 I3 I4 I5 I7 I8", hosts=2, fast=True)
def a_cell_that_no_host_can_run(lab):
    """A topology of 64 CPUs in a fleet of small hosts: said at once and given up as unschedulable, with the reason; the
    others are judged."""
    text = matrix(passes=6, fails=2).replace('cpus = "1n1l2c1t"', 'cpus = "1n1l2c1t"\n[[topology]]\nname = "huge"\n'
                                             'cpus = "1n4l16c1t"')
    for host in lab.hosts:
        host.start("--overcommit=4")
    lab.run(text)
    status = lab.coordinator.wait(120)
    must(status == 1, f"status {status}:\n{lab.coordinator.tail()}")
    stored = sweepfile.Stored(lab)
    stored.i1()
    stored.i2()
    stored.i3()
    for cell in stored.cells:
        huge = cell["topology"] == "huge"
        want = None if huge else TRUTH[cell["scenario"]]
        must(huge == (cell["outcome"] == "error") and (huge or cell["outcome"] == want), f"I7: {cell['name']}: {cell['outcome']}")
    for each in stored.of("errored"):
        must(each["cause"] == "unschedulable" and "64 CPUs" in each["line"], f"it was called {each}")
    must(len(stored.of("errored")) == 8, "not all of them were given up")
    dismiss(lab)
    nothing_left(lab)


@case(rows=[44, 16], checks=ALL, hosts=5, path="keys", fast=True)
def who_has_no_right_key_is_refused(lab):
    """An unknown key, no key, a key that may only observe, another host's name: each is refused, in words, and the sweep
    goes on with the two that belong here."""
    text = matrix(passes=20, fails=4, ms=150)
    good, unknown, none, observer = lab.hosts[0], lab.hosts[1], lab.hosts[2], lab.hosts[3]
    lab.revoke("h1")  # nobody knows it
    lab.allow(observer, "h3", role="observe")
    good.start()
    lab.hosts[4].start()
    lab.run(text)
    wait_judged(lab, 1)
    server_key = lab.trust_of(good, "h0")[-1]
    unknown.start(trust=["--key", lab.key_of(unknown, "h1"), "--server-key", server_key])
    unknown.worker.wait_says(r"refused|allow", 30)
    bare = none.start(trust=[])
    must(bare.wait(20) == 2 and "key" in bare.text(), f"without a key: {bare.popen.returncode}: {bare.tail()}")
    observer.start()
    observer.worker.wait_says("observe|role", 30)
    thief = none.start(ident="h0", trust=["--key", lab.key_of(lab.hosts[4], "h4"), "--server-key", server_key])
    thief.wait_says("h4", 30)
    stored = end(lab, text)
    must({each["host"] for each in stored.of("granted")} <= {"h0", "h4"}, "somebody else was given a cell")
    for process in (unknown.worker, observer.worker):
        must(not process.says(r"lease_taken"), "it took a lease")


@case(rows=[44], checks=ALL, path="keys", fast=True)
def a_revoked_key_is_out_at_once(lab):
    """Its session ends although it is at work, its cells go elsewhere, what it says is not heard."""
    text = matrix(passes=30, fails=6, ms=400)
    lab.start_all()
    lab.run(text)
    wait_judged(lab, 3)
    lab.revoke("h1")
    revoked = time.time()
    wait_fact(lab, "fact_failed", seconds=60)
    stored = end(lab, text)
    for wall_ns, each in stored.at("granted"):
        must(each["host"] != "h1" or wall_ns / 1e9 < revoked + 3, "it was given a cell afterwards")


@case(rows=[46], checks="I1 I6", path="local", fast=True, hosts=1)
def names_lead_nowhere(lab):
    """Worker names and cell names with slashes and dots make no files anywhere."""
    text = matrix(passes=4, ms=200)
    lab.run(text)
    wait("it listens", 20, lambda: lab.coordinator.says("listening"))
    for name in ("../../evil", "/tmp/evil", "..", "a/../../evil", "evil\n/x", "x" * 129):
        peer = lab.peer(name)
        try:
            peer.hello(lab.digest())
            peer.socket.settimeout(1)
            peer.await_("welcome", "refuse")
        except (OSError, Exception):  # refused without a word is as good
            pass
        peer.close()
    lab.hosts[0].start()
    bad = lab.hosts[0]
    for name in ("../evil", "a/b", ".hidden", ""):
        done = call(f"{lab.bin}/ktworker", "--connect", lab.listen, "--state", bad.state, "--id", name, "--runner",
                    "scripted", check=False)
        must(done.returncode == 2, f"--id {name!r}: {done.returncode}")
    with open(f"{lab.folder}/evil.toml", "w") as file:
        file.write(text.replace('name = "chaos"', 'name = "../../evil"'))
    done = lab.coordinator_run(f"{lab.folder}/evil.toml", "--runner", "scripted", check=False, state=f"{lab.folder}/e")
    must(done.returncode == 2, f"a sweep's name with slashes: {done.returncode}: {done.stderr}")
    end(lab, text, status=0)
    evil = [f"{root}/{name}" for root, folders, names in os.walk("/tmp") for name in folders + names
            if name.startswith("evil") and not name.endswith(".toml")]
    must(not evil, f"files were made: {evil}")


@case(rows=[47], checks=ALL, path="middle", fast=True, hosts=2)
def another_build_gets_no_cells(lab):
    """A rolling upgrade: a worker that speaks the same protocol with other messages is taken in, told why it gets nothing,
    and the sweep goes on without it; as the only one it does not end the sweep either."""
    text = matrix(passes=12, fails=4, ms=100)
    lab.middle.order(f"rule up {TAG['hello']} 100 set 12 0")  # a byte of the schema's digest
    lab.middle.order(f"rule up {TAG['hello']} 100 set 13 0")
    old = lab.hosts[0].start()
    lab.run(text)
    old.wait_says("ktworker note .*(schema|install)", 30)
    time.sleep(1)
    must(judged(lab) == 0 and lab.coordinator.is_alive(), "it was given work, or the sweep ended")
    lab.hosts[1].start(endpoint=lab.listen)
    stored = end(lab, text)
    must({each["host"] for each in stored.of("granted")} == {"h1"}, "the other build was given a cell")


def ask(lab, *words):
    done = lab.coordinator_run(*words, check=False)
    must(done.returncode == 0, f"ktcoord {' '.join(words)}: {done.returncode}: {done.stderr}")
    return done.stdout


@case(rows=[48], checks=ALL, fast=True)
def a_host_is_drained(lab):
    """`ktcoord drain`: what it runs is finished there, it gets nothing more, it stays; with --undo it works again."""
    text = matrix(passes=60, fails=10, ms=150)
    lab.start_all()
    lab.run(text)
    wait_judged(lab, 4)
    ask(lab, "drain", "h1")
    drained = time.time()
    wait_judged(lab, judged(lab) + 16)
    must(lab.hosts[1].worker.is_alive(), "a drained worker left")
    host = next(each for each in json.loads(ask(lab, "workers", "--json"))["workers"] if each["host"] == "h1")
    must("drain" in json.dumps(host), f"ktcoord workers does not say so: {host}")
    stored = end(lab, text)
    late = [wall_ns / 1e9 - drained for wall_ns, each in stored.at("granted")
            if each["host"] == "h1" and wall_ns / 1e9 > drained + 2]
    must(not late, f"it was given {len(late)} cells after it was drained")
    must(not [each for each in stored.of("failed") if each.get("charged")], "it cost somebody a try")


@case(rows=[12, 28], checks="I1 I2 I3 I4 I5 I7 I8", fast=True)
def cells_are_cancelled(lab):
    """`ktcoord cancel`: cells that run, wait or are lost in a partition are cancelled at once and for good; what their
    workers say later is evidence; the others are judged."""
    text = matrix(passes=24, fails=6, ms=1200)
    lab.start_all()
    lab.run(text)
    wait("six run", 60, lambda: sweepfile.count(lab.file, "fact_granted") >= 6)
    running = [fields for name, fields in sweepfile.facts(lab.file) if name == "fact_granted"]
    names = {n: f"{'passes' if n < 24 else 'fails'}/any/scx_kt/small#{n if n < 24 else n - 24}" for n in range(30)}
    away = next(each for each in running if each["host"] == "h2")
    running = [each for each in running if each["host"] != "h2"]
    lab.hosts[2].partition()
    for cell in (running[0]["cell"], 20, 28):
        ask(lab, "cancel", names[cell])
    # nobody can say whether a guest behind a partition is dead, and nobody says so
    done = lab.coordinator_run("cancel", names[away["cell"]], check=False)
    must(done.returncode == 3 and "h2" in done.stderr, f"of the one behind the partition: {done.returncode}: {done.stderr}")
    cancelled = {running[0]["cell"], away["cell"], 20, 28}
    time.sleep(2)
    lab.hosts[2].heal()
    status = lab.coordinator.wait(200)
    stored = sweepfile.Stored(lab)
    stored.i1()
    stored.i2()
    stored.i3()
    must({each["cell"] for each in stored.of("cancelled")} == cancelled, f"cancelled: {stored.of('cancelled')}")
    must(not cancelled & {each["cell"] for each in stored.of("judged")}, "a cancelled cell was judged")
    must(len(stored.of("judged")) == 26, f"{len(stored.of('judged'))} were judged, not 26 (status {status})")
    dismiss(lab)
    nothing_left(lab)


@case(rows=[12], checks="I1 I4", fast=True)
def a_whole_sweep_is_cancelled(lab):
    """`ktcoord cancel` without a cell: everything that is not finished is cancelled, guests are dead soon, ktcoord ends."""
    text = matrix(passes=40, ms=2000)
    lab.start_all()
    lab.run(text)
    wait("six run", 60, lambda: sweepfile.count(lab.file, "fact_granted") >= 6)
    ask(lab, "cancel")
    status = lab.coordinator.wait(60)
    stored = sweepfile.Stored(lab)
    stored.i1()
    must(len(stored.of("cancelled")) + len(stored.of("judged")) == 40, "not each has its end")
    must(status != 0, "a cancelled sweep is not green")
    dismiss(lab)
    nothing_left(lab)
