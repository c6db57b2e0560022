#!/usr/bin/env bash
# What the guest's kernel or a scheduler refuses in the middle of a scenario ends the cell, with the op in its first line
# and on its timeline; what a scenario leaves lying about (frozen workers, workers in a step's cgroup) ends nothing.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/guest.sh"

guest_matrix refused <<'MATRIX'
[[topology]]
name = "two_llcs"
cpus = "1n2l2c1t"
[[scheduler]]
name = "eevdf"
[[scheduler]]
name = "scx_kt"
binary = "scx_kt"
[[scheduler]]
name = "bad"
binary = "scx_kt"
args = ["--fail-verify"]

[[scenario]]
name = "left_lying"
duration = "3s"
schedulers = ["eevdf"]
topologies = ["two_llcs"]
[scenario.backdrop]
cgroup = [
  { name = "bg", cpuset = "0", workers = 1, work = "bursty" },
  { name = "slow", cpu_max = "20%", workers = 1, work = "spin" },
  { name = "icy", workers = 1, work = "bursty" },
]
[[scenario.step]]
hold = "1s"
ops = [
  { add_cgroup = { name = "visited", cpuset = "1" } },
  { move_all_tasks = ["bg", "visited"] },
  { restart_scheduler = true },
]
[[scenario.step]]
hold = "1s"
ops = [{ set_cpuset = "bg", to = "2" }]
[[scenario.step]]
hold = "1s"
ops = [{ freeze_cgroup = "icy" }]

[[scenario]]
name = "no_such_variable"
duration = "1s"
schedulers = ["scx_kt"]
topologies = ["small"]
[[scenario.step]]
hold = "full"
cgroup = [{ name = "cg", workers = 1, work = "bursty" }]
ops = [{ write_map = "scx_kt.bss", variable = "nr_nothing", value = 1 }]

[[scenario]]
name = "bad_replacement"
duration = "1s"
schedulers = ["scx_kt"]
topologies = ["small"]
[[scenario.step]]
hold = "full"
cgroup = [{ name = "cg", workers = 1, work = "bursty" }]
ops = [{ replace_scheduler = "bad" }]
MATRIX

exits 1 ktcoord "$WORK/refused.toml"
says '^PASS +left_lying/'
says '^FAIL +no_such_variable/'
says 'op_failed: step 0: write_map scx_kt.bss: nr_nothing = 1: there is no nr_nothing in .bss; there are .*nr_'
says '^FAIL +bad_replacement/'
says 'scheduler_rejected: step 0: replace_scheduler scx_kt by bad: the BPF verifier refused'
nothing_left
for part in left_lying no_such_variable bad_replacement; do
	show_json "$part" >"$WORK/$part.json"
done
python3 - "$WORK" <<'EOF'
import json
import sys


def result(cell):
    return json.load(open(f"{sys.argv[1]}/{cell}.json"))["attempts"][0]["result"]


left = result("left_lying")
assert not any(m["failed"] for m in left["timeline"]), left["timeline"]
said = [m["detail"] for m in left["timeline"] if m["name"] == "op"]
assert said[2] == "restart_scheduler: the kernel's own scheduler stays", said
workers = {w["cgroup"]: w for w in left["reports"]}
print({c: (w["cpus_used"], round(w["cpu_ns"] / w["wall_ns"], 2)) for c, w in workers.items()})
assert not any(w["missing"] for w in left["reports"]), workers
# At the step's end it went home: there it could be given other CPUs. (On CPU 0 it was for a moment only, or not at all.)
assert workers["bg"]["cpus_used"] in ("0-2", "1-2") and workers["bg"]["cpus_allowed"] == "0-2", workers["bg"]
assert workers["slow"]["cpu_ns"] < 0.4 * workers["slow"]["wall_ns"], workers["slow"]
assert workers["icy"]["gap_ns_max"] > 0.9e9, "it was frozen until it was told to stop, and thawed for that"

for cell, op in (("no_such_variable", "write_map"), ("bad_replacement", "replace_scheduler")):
    failed = [m for m in result(cell)["timeline"] if m["failed"]]
    assert len(failed) == 1 and failed[0]["name"] == "op" and failed[0]["detail"].startswith(op), (cell, failed)
assert "invalid" in result("bad_replacement")["evidence"] or "verifier" in result("bad_replacement")["evidence"]
EOF
