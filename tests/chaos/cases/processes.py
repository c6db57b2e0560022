"""Workers and coordinators that die, stand still, hang, come twice."""
import signal
import time

from case import case, end, judged, matrix, wait, wait_fact, wait_judged
from lab import LEASE_S, Failed, Hang, must
import sweepfile

ALL = "I1 I2 I3 I4 I5 I6 I7 I8"


@case(rows=[1], checks=ALL, fast=True)
def worker_killed_idle(lab):
    """kill -9 of a worker that runs nothing: nobody notices."""
    text = matrix(passes=12, fails=4)
    lab.hosts[0].start()
    lab.run(text)
    lab.hosts[0].worker.wait_says("event=welcome|welcome ")
    idle = lab.hosts[1].start(slots=1)
    idle.kill()
    end(lab, text)


@case(rows=[1], checks=ALL, fast=True)
def worker_killed_in_mid_cell(lab):
    """kill -9 in boot and while samples come; the worker comes back at once and owns up: its cells go on elsewhere."""
    text = matrix(passes=24, fails=8, ms=150)
    lab.start_all()
    lab.run(text)
    for round_ in range(3):
        wait_judged(lab, 4 * (round_ + 1))
        victim = lab.hosts[round_]
        victim.worker.kill()
        victim.start()
    stored = end(lab, text)
    lost = [each for each in stored.of("failed") if each["cause"] in ("worker_lost", "lease_expired")]
    must(lost, "no attempt was lost: the case killed nothing")


@case(rows=[1], checks=ALL)
def worker_killed_after_the_verdict(lab):
    """The result reached the coordinator, its acknowledgement never came, and the worker dies: it says it again in its
    next life, and nothing is judged twice."""
    text = matrix(passes=6, ms=60)
    host = lab.hosts[0]
    lab.add_proxy(host)
    host.start(slots=2)
    lab.run(text)
    wait_judged(lab, 1)
    host.proxy.order("hold down")
    before = judged(lab)
    time.sleep(0.5)  # what runs ends, and is said into the silence
    host.worker.kill()
    host.proxy.order("free down")
    host.start(slots=2)
    stored = end(lab, text, status=0)
    must(before <= len(stored.of("judged")) == 6, "not each was judged once")


@case(rows=[2], checks=ALL, fast=True)
def worker_stopped_for_a_second(lab):
    """SIGSTOP for less than a lease: nothing is lost, nothing is tried again."""
    text = matrix(passes=24, ms=120)
    lab.start_all()
    lab.run(text)
    wait_judged(lab, 3)
    lab.hosts[0].worker.stop()
    time.sleep(1.5)
    lab.hosts[0].worker.go_on()
    stored = end(lab, text, status=0)
    expired = [each for each in stored.of("failed") if each["cause"] == "lease_expired"]
    must(not expired, f"a lease expired within 1.5 s: {expired}")


@case(rows=[2], checks=ALL)
def worker_stopped_beyond_its_lease(lab):
    """SIGSTOP until its leases are gone, then SIGCONT: what it ran is judged elsewhere, its late results are evidence."""
    text = matrix(passes=10, fails=4, ms=150)
    lab.start_all()
    lab.run(text)
    wait_judged(lab, 2)
    zombie = lab.hosts[0].worker
    zombie.stop()
    wait_fact(lab, "fact_failed", seconds=LEASE_S + 60)
    zombie.go_on()
    stored = end(lab, text)
    must(any(each["cause"] == "lease_expired" for each in stored.of("failed")), "no lease expired")


@case(rows=[2], checks=ALL)
def worker_stopped_for_ever(lab):
    """SIGSTOP without end: the sweep ends without it."""
    text = matrix(passes=10, fails=4, ms=100)
    lab.start_all()
    lab.run(text)
    wait_judged(lab, 2)
    lab.hosts[1].worker.stop()
    end(lab, text)


@case(rows=[3], checks=ALL)
def worker_hangs_while_zeromq_answers(lab):
    """The loop of a worker hangs, ZeroMQ's thread still answers heartbeats: its leases expire all the same."""
    text = matrix(passes=10, fails=4, ms=150)
    lab.start_all()
    lab.run(text)
    wait_judged(lab, 2)
    hang = Hang(lab.hosts[0].worker.pid)
    wait_fact(lab, "fact_failed", seconds=LEASE_S + 60)
    hang.end()
    stored = end(lab, text)
    must(any(each["cause"] == "lease_expired" for each in stored.of("failed")), "no lease expired")


@case(rows=[8], checks=ALL)
def coordinator_killed_at_its_commits(lab):
    """kill -9 right before or after a commit of the journal, again and again until the sweep is through."""
    text = matrix(passes=8, fails=4, panics=2, unlucky=2, ms=30)
    lab.start_all(slots=4)
    kills = 0
    lab.run(text, env={"KT_TEST_KILL_AT": "2"})
    for at in [1, 3, 2, 5, 4, 7, 6, 9, 8, 11] + list(range(10, 200, 7)):
        status = lab.coordinator.wait(120)
        if status != -signal.SIGKILL:
            break
        kills += 1
        lab.resume(env={"KT_TEST_KILL_AT": str(at)})
    else:
        raise Failed("it never came through")
    must(kills >= 10, f"only {kills} kills")
    print(f"{kills} kills")
    end(lab, text)


@case(rows=[10], checks=ALL)
def coordinator_stopped_beyond_all_leases(lab):
    """SIGSTOP of the coordinator for longer than a lease: when it wakes no lease has expired."""
    text = matrix(passes=40, fails=8, ms=300)
    lab.start_all()
    lab.run(text)
    wait_judged(lab, 4)
    lab.coordinator.stop()
    time.sleep(LEASE_S + 4)
    lab.coordinator.go_on()
    stored = end(lab, text)
    expired = [each for each in stored.of("failed") if each["cause"] == "lease_expired"]
    must(not expired, f"{len(expired)} leases expired while the coordinator itself was away")


@case(rows=[11], checks=ALL, fast=True)
def two_coordinators(lab):
    """A second coordinator on the state folder, or on the sweep's file, is refused and disturbs nobody."""
    text = matrix(passes=16, ms=150)
    lab.start_all()
    lab.run(text)
    wait_judged(lab, 1)
    same_state = lab.coordinator_run(f"{lab.folder}/sweep.toml", "--runner", "scripted", "--listen",
                                     "tcp://127.0.0.1:7999", check=False)
    must(same_state.returncode == 2 and "another ktcoord" in same_state.stderr,
         f"the same state: {same_state.returncode} {same_state.stderr}")
    same_file = lab.coordinator_run("resume", lab.file, "--listen", "tcp://127.0.0.1:7999", check=False,
                                    state=f"{lab.folder}/other")
    must(same_file.returncode == 2, f"the same file: {same_file.returncode} {same_file.stderr}")
    end(lab, text, status=0)
