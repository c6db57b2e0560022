"""What would make all other cases worthless: a lab that leaves something, checkers that cannot fail."""
import contextlib
import glob
import os
import shutil
import signal
import sqlite3
import subprocess
import sys

from case import TRUTH, case, end, matrix
from lab import HERE, PREFIX, Failed, is_alive, must, processes_of, wait
import lab as lab_module
import sweepfile


@case(rows=[0], checks="I1 I2 I3 I6 I7", fast=True, hosts=1)
def checkers_can_fail(lab):
    """Each invariant is broken once in a copy of a good journal, and its checker says so."""
    text = matrix(passes=3, fails=2)
    lab.hosts[0].start()
    lab.run(text)
    good = end(lab, text)
    tag = sweepfile.TAG
    plants = [
        # a cell without its end, one judged twice, a sweep that does not end
        ("I1", f"DELETE FROM fact WHERE tag = {tag['fact_judged']} AND cell = 1"),
        ("I1", "INSERT INTO fact SELECT 99999, wall_ns, tag, cell, body FROM fact "
               f"WHERE tag = {tag['fact_judged']} AND cell = 1"),
        ("I1", f"DELETE FROM fact WHERE tag = {tag['fact_closed']}"),
        # a verdict out of nothing; a grant while another is out
        ("I2", f"DELETE FROM fact WHERE tag = {tag['fact_ended']} AND cell = 2"),
        ("I2", "UPDATE fact SET seq = -seq WHERE cell = 2"),
        # a byte of a sample
        ("I3", "UPDATE sample SET body = substr(body, 1, 9) || X'00' || substr(body, 11) WHERE cell = 0 AND seq = 1"),
        ("I3", "DELETE FROM sample WHERE cell = 0 AND seq = 1"),
    ]
    for invariant, sql in plants:
        path = f"{lab.folder}/planted.db"
        shutil.copy(lab.file, path)
        with contextlib.closing(sqlite3.connect(path)) as db:
            must(db.execute(sql).rowcount > 0, f"planted nothing: {sql}")
            db.commit()
        try:
            # the report of a broken journal may not be had: the facts are what is broken
            stored = sweepfile.Stored.__new__(sweepfile.Stored)
            stored.__dict__.update(good.__dict__, path=path, facts=sweepfile.facts(path))
            getattr(stored, invariant.lower())()
        except Failed as why:
            must(invariant in str(why), f"{sql}: {why}")
        else:
            raise Failed(f"{invariant} holds in spite of: {sql}")
    for invariant, break_it in (("I6", lambda cell: cell["details"][0].update(text="holds over 4 values")),
                                ("I7", lambda cell: cell.update(outcome="pass", scenario="fails"))):
        told = sweepfile.report(good.ktcoord, good.path, lab.state)
        break_it(told["cells"][0])
        bad = sweepfile.Stored.__new__(sweepfile.Stored)
        bad.__dict__.update(good.__dict__, report=told, cells=told["cells"])
        try:
            bad.i6(text) if invariant == "I6" else bad.i7(TRUTH)
        except Failed:
            continue
        raise Failed(f"{invariant} holds in spite of a changed report")


@case(rows=[0], checks="I4", fast=True, hosts=0)
def a_killed_run_leaves_nothing(lab):
    """kill -9 of a case in its middle: its processes, namespaces and files are gone soon after."""
    child = subprocess.Popen([sys.executable, f"{HERE}/run", "--one", "worker_stopped_for_ever", "--build", lab.build],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    folder = f"{PREFIX}{child.pid}"
    wait("the inner lab is at work", 60, lambda: sweepfile.count(f"{folder}/sweep.db", "fact_judged") > 0)
    inside = processes_of(folder)
    must(len(inside) >= 4, f"only {len(inside)} processes are marked")
    child.send_signal(signal.SIGKILL)
    child.wait()
    wait("its folder is gone", 30, lambda: not os.path.exists(folder))
    must(not any(is_alive(pid) for pid in inside), "processes are left")
    must(not glob.glob(f"/run/netns/kt{child.pid}*"), "namespaces are left")


@case(rows=[0], checks="I4", fast=True, hosts=0)
def leftovers_of_a_dead_run_are_swept(lab):
    """The reaper was killed as well: the next lab removes what is left."""
    child = subprocess.Popen([sys.executable, f"{HERE}/run", "--one", "worker_stopped_for_ever", "--build", lab.build],
                             stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    folder = f"{PREFIX}{child.pid}"
    wait("the inner lab is at work", 60, lambda: sweepfile.count(f"{folder}/sweep.db", "fact_judged") > 0)
    reaper = [pid for pid in lab_module.pids() if lab_module.command_of(pid).endswith(f"lab.py reap {folder}")]
    must(len(reaper) == 1, f"its reaper is not one process: {reaper}")
    os.kill(reaper[0], signal.SIGKILL)
    child.send_signal(signal.SIGKILL)
    child.wait()
    lab_module.sweep()  # or that of a case beside this one
    must(not os.path.exists(folder) and not glob.glob(f"/run/netns/kt{child.pid}*"), "it is not swept")
    must(not processes_of(folder), "processes are left")
