"""Partitions, half-open links, losses."""
import time

from case import case, end, judged, matrix, wait, wait_fact, wait_judged
from lab import LEASE_S, must

ALL = "I1 I2 I3 I4 I5 I6 I7 I8"


def expired(stored):
    return [each for each in stored.of("failed") if each["cause"] == "lease_expired"]


@case(rows=[13], checks=ALL, fast=True)
def partition_shorter_than_a_lease(lab):
    """No packet either way for a part of a lease: nothing expires, what was done meanwhile is delivered."""
    text = matrix(passes=30, fails=6, ms=200)
    lab.start_all()
    lab.run(text)
    wait_judged(lab, 3)
    lab.hosts[0].partition()
    time.sleep(4)
    lab.hosts[0].heal()
    stored = end(lab, text)
    must(not expired(stored), f"expired: {expired(stored)}")


@case(rows=[13], checks=ALL)
def partition_longer_than_a_lease(lab):
    """Its cells are judged elsewhere; when it heals, what it did is late and judges nothing."""
    text = matrix(passes=12, fails=4, ms=200)
    lab.start_all()
    lab.run(text)
    wait_judged(lab, 2)
    lab.hosts[0].partition()
    wait_fact(lab, "fact_failed", seconds=LEASE_S + 60)
    lab.hosts[0].heal()
    stored = end(lab, text)
    must(expired(stored), "no lease expired")


@case(rows=[14], checks=ALL)
def worker_is_heard_and_hears_nothing(lab):
    """Only worker to coordinator passes: half-open, no endless lease on work whose acknowledgement never comes."""
    text = matrix(passes=12, fails=4, ms=150)
    lab.start_all()
    lab.run(text)
    wait_judged(lab, 2)
    lab.hosts[0].deaf()
    end(lab, text)


@case(rows=[14], checks=ALL)
def worker_hears_and_is_not_heard(lab):
    """Only coordinator to worker passes."""
    text = matrix(passes=12, fails=4, ms=150)
    lab.start_all()
    lab.run(text)
    wait_judged(lab, 2)
    lab.hosts[0].mute()
    end(lab, text)
