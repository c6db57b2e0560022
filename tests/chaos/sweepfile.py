"""Invariants of a stored sweep (facts-fleet.md section 4, I1 to I3, I6, I7), out of its journal and its report."""
import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import sqlite3
import subprocess

from lab import Failed, must
from wire import FACTS, unpack

TAG = FACTS.tags
FINAL = ("judged", "errored", "cancelled", "left_out")


def facts(path):
    """[(name, fields)] in order; may be read while a coordinator writes."""
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=20)) as db:
        rows = db.execute("SELECT tag, body FROM fact ORDER BY seq").fetchall()
    return [(FACTS.names[tag], FACTS.named(FACTS.names[tag], unpack(body)[0])) for tag, body in rows]


def count(path, *names):
    """Facts of these names so far; 0 when there is no journal yet."""
    if not os.path.exists(path):
        return 0
    try:
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=20)) as db:
            return db.execute("SELECT count(*) FROM fact WHERE tag IN (%s)" % ",".join(
                str(TAG[name]) for name in names)).fetchone()[0]
    except sqlite3.OperationalError:
        return 0


def samples(path):
    if not os.path.exists(path):
        return 0
    try:
        with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True, timeout=20)) as db:
            return db.execute("SELECT count(*) FROM sample").fetchone()[0]
    except sqlite3.OperationalError:
        return 0


def report(ktcoord, path, state):
    done = subprocess.run([ktcoord, "report", path, "--json", "--state", state], capture_output=True, text=True,
                          errors="replace")
    try:
        return json.loads(done.stdout)
    except ValueError:
        raise Failed(f"no report of {path}: {done.stderr.strip()}") from None


def essence(told):
    """What no fault may change: names, outcomes, details, series; not attempts, hosts, times."""
    lines = []
    for cell in told["cells"]:
        judged = [each for each in cell.get("attempts", []) if each.get("judged")]
        lines.append("%s %s %d %s %s" % (cell["name"], cell.get("outcome"), len(judged),
                                         judged and judged[0]["result"]["series_digest"],
                                         [detail["text"] for detail in cell.get("details", [])]))
    return lines


class Stored:
    def __init__(self, lab, path=None):
        self.lab, self.path = lab, path or lab.file
        self.ktcoord = f"{lab.bin}/ktcoord"
        self.facts = facts(self.path)
        self.report = report(self.ktcoord, self.path, lab.state)
        self.cells = self.report["cells"]

    def of(self, *names):
        return [fields for name, fields in self.facts if name in ("fact_" + each for each in names)]

    def at(self, name):
        """(wall clock, fields) of the facts of that name."""
        with contextlib.closing(sqlite3.connect(f"file:{self.path}?mode=ro", uri=True, timeout=20)) as db:
            rows = db.execute("SELECT wall_ns, body FROM fact WHERE tag = ? ORDER BY seq", (TAG["fact_" + name],)).fetchall()
        return [(wall_ns, FACTS.named("fact_" + name, unpack(body)[0])) for wall_ns, body in rows]

    # I1: every matrix cell ends with exactly one accepted verdict or an explicit error or cancellation
    def i1(self):
        n_cells = self.of("opened")[0]["n_cells"]
        ends = {}
        for name, fields in self.facts:
            if name in ("fact_judged", "fact_errored", "fact_cancelled"):
                ends.setdefault(fields["cell"], []).append(name)
            elif name == "fact_reopened":
                must(ends.get(fields["cell"], [])[-1:] == ["fact_errored"], f"I1: a cell with {ends} was reopened")
                ends[fields["cell"]].pop()
        for cell in range(n_cells):
            must(len(ends.get(cell, [])) == 1, f"I1: cell {cell} has the ends {ends.get(cell, [])}, not one")
        must(len(self.cells) == n_cells, f"I1: the report has {len(self.cells)} cells of {n_cells}")
        must(len(self.of("closed")) == 1, "I1: the sweep was not closed once")

    # I2: a verdict never comes from an epoch that is not the cell's; late results are evidence
    def i2(self):
        current, ended, epochs = {}, {}, set()
        for name, fields in self.facts:
            cell, epoch = fields.get("cell"), fields.get("epoch")
            if name == "fact_granted":
                must(epoch not in epochs, f"I2: epoch {epoch} was given twice")
                must(cell not in current, f"I2: cell {cell} was granted while it was out")
                epochs.add(epoch)
                current[cell] = epoch
            elif name == "fact_failed" and fields["cause"] == "series_damaged" and ended.get(cell) == epoch:
                del ended[cell]  # what came is not what was recorded: no verdict of it
            elif name in ("fact_ended", "fact_failed"):
                must(current.get(cell) == epoch, f"I2: {name} of epoch {epoch}, cell {cell} has {current.get(cell)}")
                del current[cell]
                ended[cell] = epoch if name == "fact_ended" else None
            elif name == "fact_judged":
                must(ended.get(cell) == epoch, f"I2: judged epoch {epoch} of cell {cell}, ended was {ended.get(cell)}")
            elif name == "fact_late":
                must(current.get(cell) != epoch, f"I2: the live epoch {epoch} of cell {cell} was called late")
            elif name in ("fact_errored", "fact_cancelled"):
                current.pop(cell, None)

    # I3: what is judged is byte for byte what the worker recorded: `judge` reads each series again and compares digests
    def i3(self):
        copy = self.path + ".again"
        shutil.copy(self.path, copy)
        if os.path.exists(self.path + "-wal"):
            shutil.copy(self.path + "-wal", copy + "-wal")
        before = essence(self.report)
        done = subprocess.run([self.ktcoord, "judge", copy, "--state", self.lab.state], capture_output=True, text=True)
        must(done.returncode in (0, 1, 3, 4) and "nothing was judged" not in done.stderr,
             f"I3: judging again: {done.returncode}: {done.stderr[-500:]}")
        must(essence(report(self.ktcoord, copy, self.lab.state)) == before, "I3: judged again, another report")
        for end in ("", "-wal", "-shm"):
            with contextlib.suppress(FileNotFoundError):
                os.remove(copy + end)

    # I6: the report is that of an undisturbed run. but: cells whose end is not compared
    def i6(self, matrix, but=()):
        quiet = undisturbed(self.lab, matrix)
        for mine, theirs in zip(essence(self.report), quiet, strict=True):
            name = mine.split()[0]
            if name.split("/")[0] not in but:
                must(mine == theirs, f"I6: disturbed and undisturbed:\n  {mine}\n  {theirs}")

    # I7: outcomes of cells whose truth is known, by their scenario
    def i7(self, truth):
        for cell in self.cells:
            want = truth.get(cell["scenario"])
            must(want is None or cell.get("outcome") == want,
                 f"I7: {cell['name']} is {cell.get('outcome')}, not {want}")
            must(cell.get("outcome") != "pass" or any(each.get("judged") for each in cell["attempts"]),
                 f"I7: {cell['name']} is green and never ran")

    def check(self, matrix, truth, but=()):
        self.i1()
        self.i2()
        self.i3()
        self.i6(matrix, but)
        self.i7(truth)
        return self


def undisturbed(lab, matrix):
    """The essence of the same matrix on one machine, in peace. Kept for the other cases of a run."""
    shelf = os.environ.get("KT_CHAOS_SHELF") or lab.folder
    path = f"{shelf}/quiet-{hashlib.sha256(matrix.encode()).hexdigest()[:16]}"
    with open(path + ".lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if os.path.exists(path):
            with open(path) as file:
                return json.load(file)
        with open(path + ".toml", "w") as file:
            file.write(matrix)
        state = f"{lab.folder}/quiet"
        done = subprocess.run([f"{lab.bin}/ktcoord", path + ".toml", "--runner", "scripted", "--slots", "16", "--state",
                               state, "--out", path + ".db", "--quiet"], capture_output=True, text=True,
                              env={**os.environ, "KT_LAB": lab.folder})
        if done.returncode not in (0, 1, 3, 4):
            raise Failed(f"the undisturbed run ended with {done.returncode}: {done.stderr[-800:]}")
        lines = essence(report(f"{lab.bin}/ktcoord", path + ".db", state))
        with open(path + ".new", "w") as file:
            json.dump(lines, file)
        os.rename(path + ".new", path)
        return lines
