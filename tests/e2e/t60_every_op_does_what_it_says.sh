#!/usr/bin/env bash
# Every op of a scenario but those of payloads, on a real guest: what each says that it did stands on the timeline, and
# samples and workers' reports show that it really happened. Each worker of the backdrop is there for one op.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/guest.sh"

guest_matrix ops <<'MATRIX'
[[topology]]
name = "two_llcs"
cpus = "1n2l2c1t"
[[scheduler]]
name = "scx_kt"
binary = "scx_kt"
[[scheduler]]
name = "slow"
binary = "scx_kt"
args = ["--slow"]

[[scenario]]
name = "every_op"
duration = "7s"
schedulers = ["scx_kt"]
topologies = ["two_llcs"]

[scenario.backdrop]
ops = [{ add_cgroup = { name = "first", workers = 1, work = "bursty" } }]
cgroup = [
  { name = "moves", cpuset = "0", workers = 1, work = "bursty" },
  { name = "cleared", cpuset = "3", workers = 1, work = "bursty" },
  { name = "left", cpuset = "0", workers = 1, work = "bursty" },
  { name = "right", cpuset = "2", workers = 1, work = "bursty" },
  { name = "grows", workers = 1, work = "bursty" },
  { name = "stops", workers = 1, work = "bursty" },
  { name = "pinned", affinity = "1", workers = 1, work = "bursty" },
  { name = "from", cpuset = "0", workers = 1, work = "bursty" },
  { name = "to", cpuset = "3" },
  { name = "gone", workers = 1, work = "bursty" },
  { name = "frozen", workers = 1, work = "bursty" },
  { name = "plugged", cpuset = "3", workers = 1, work = "bursty" },
]

[[scenario.step]]
hold = "500ms"
cgroup = [
  { name = "own", cpuset = "llc(0)", cpu_weight = 50, workers = 1, work = "bursty" },
  { name = "up/down", cpuset = "llc(1)", workers_pct = 0.5, work = "bursty" },
]

[[scenario.step]]
hold = "1500ms"
ops = [
  { set_cpuset = "moves", to = "llc(1)" },
  { clear_cpuset = "cleared" },
  { set_affinity = "cleared", to = "1" },
  { swap_cpusets = ["left", "right"] },
  { spawn = "grows", workers = 2, work = "bursty" },
  { stop_cgroup = "stops" },
  { set_affinity = "pinned", to = "range(0.7, 1.0)" },
  { move_all_tasks = ["from", "to"] },
  { remove_cgroup = "gone" },
  { add_cgroup = { name = "gone", cpuset = "1", workers = 1, work = "bursty" } },
  { freeze_cgroup = "frozen" },
]

[[scenario.step]]
hold = "500ms"
ops = [
  { unfreeze_cgroup = "frozen" },
  { capture = "before" },
  { write_map = "scx_kt.bss", variable = "nr_held", value = 123456789 },
  { write_map = "stats", key = 1, value = 1099511627776 },
  { capture = "written" },
  { restart_scheduler = true },
  { capture = "restarted" },
]

[[scenario.step]]
hold = "500ms"
ops = [
  { detach_scheduler = true },
  { hotplug_cpu = 3, online = false },
  { capture = "detached" },
]

[[scenario.step]]
hold = "500ms"
ops = [
  { hotplug_cpu = 3, online = true },
  { set_cpuset = "plugged", to = "3" },
  { attach_scheduler = true },
  { capture = "attached" },
  { replace_scheduler = "slow" },
  { capture = "replaced" },
]

[[scenario.step]]
hold = { loop = "400ms", for = "3s" }
cgroup = [{ name = "own", workers = 1, work = "bursty" }]
ops = [
  { add_cgroup = { name = "again", workers = 1, work = "bursty" } },
  { remove_cgroup = "again" },
  { set_cpuset = "own", to = "disjoint(1, 3)" },
]
MATRIX

exits 0 ktcoord "$WORK/ops.toml"
says '^PASS +every_op/k/scx_kt/two_llcs#0 '
nothing_left
show_json >"$WORK/cell.json"
python3 - "$WORK/cell.json" <<'EOF'
import collections
import json
import sys

cell = json.load(open(sys.argv[1]))
result = cell["attempts"][0]["result"]
S = 1_000_000_000

# What the guest says it did, in its own words.
ops = [m for m in result["timeline"] if m["name"] == "op"]
assert not any(m["failed"] for m in ops), ops
said = [m["detail"] for m in ops]
once = [
    "add_cgroup first: 1 bursty",
    "set_cpuset moves = llc(1) = 2-3",
    "clear_cpuset cleared = those of its parent (may use 0-3)",
    "set_affinity cleared = 1: 1 workers",
    "swap_cpusets left = 2, right = 0",
    "spawn grows: 2 bursty",
    "stop_cgroup stops: 1 workers",
    "set_affinity pinned = range(0.7, 1) = 2: 1 workers",
    "move_all_tasks from to to: 1 tasks",
    "remove_cgroup gone",
    "add_cgroup gone: 1 bursty, cpuset 1",
    "freeze_cgroup frozen",
    "unfreeze_cgroup frozen",
    "capture before",
    "write_map scx_kt.bss: nr_held = 123456789",
    "write_map stats[1] = 1099511627776",
    "capture written",
    "restart_scheduler scx_kt: epoch 1",
    "capture restarted",
    "detach_scheduler scx_kt",
    "hotplug_cpu 3 offline",
    "capture detached",
    "hotplug_cpu 3 online",
    "set_cpuset plugged = 3",
    "attach_scheduler scx_kt: epoch 2",
    "capture attached",
    "replace_scheduler scx_kt by slow: epoch 3",
    "capture replaced",
]
assert said[:len(once)] == once, "\n".join(said)
again = said[len(once):]
one_round = ["add_cgroup again: 1 bursty", "remove_cgroup again", "set_cpuset own = disjoint(1, 3) = 1"]
n_rounds = len(again) // 3
assert 2 <= n_rounds <= 8 and again == one_round * n_rounds, again
for a, b in zip(ops, ops[1:]):
    assert a["elapsed_ns"] <= b["elapsed_ns"] and a["took_ns"] >= 0, (a, b)
rounds = [m["elapsed_ns"] for m in ops[len(once)::3]]
print("rounds of the loop after", [round((b - a) / S, 3) for a, b in zip(rounds, rounds[1:])], "s")
assert all(b - a > 0.1 * S for a, b in zip(rounds, rounds[1:])), rounds

# What the workers measured.
by_cgroup = collections.defaultdict(list)
for worker in sorted(result["reports"], key=lambda w: w["step"]):
    assert not worker["missing"], worker
    assert worker["cpus_used"], worker
    by_cgroup[worker["cgroup"]].append(worker)


def only(cgroup):
    assert len(by_cgroup[cgroup]) == 1, by_cgroup[cgroup]
    return by_cgroup[cgroup][0]


def cpus(text):
    parts = [part.partition("-") for part in text.split(",")]
    return {cpu for first, _, last in parts for cpu in range(int(first), int(last or first) + 1)}


total = only("first")["wall_ns"]
print("the whole took", round(total / S, 2), "s;", {c: [w["cpus_used"] for w in ws] for c, ws in by_cgroup.items()})
assert total > 6.4 * S
for cgroup, used, allowed in (
        ("moves", {0}, {0, 2, 3}),  # where it was, and where it may be now
        ("cleared", {1, 3}, {0, 1, 2, 3}),
        ("left", {0, 2}, {0, 2}),
        ("right", {0, 2}, {0, 2}),
        ("from", {0, 3}, {0, 1, 2, 3})):  # without CPU 3 its new cgroup has all others
    worker = only(cgroup)
    assert cpus(worker["cpus_used"]) >= used and cpus(worker["cpus_allowed"]) == allowed, worker
assert cpus(only("moves")["cpus_used"]) & {2, 3}, only("moves")
assert cpus(only("pinned")["cpus_used"]) == {1, 2}, only("pinned")
assert cpus(only("plugged")["cpus_used"]) > {3}, "CPU 3 went, and its worker elsewhere"
assert all(w["work_units"] > 0 for w in by_cgroup["grows"]), by_cgroup["grows"]
assert sorted((w["group"], w["index"], w["step"]) for w in by_cgroup["grows"]) == [(0, 0, 0), (1, 1, 1), (1, 2, 1)]
assert only("stops")["wall_ns"] < total - 2 * S, only("stops")
old, new = by_cgroup["gone"]
assert old["wall_ns"] < total - 2 * S and (old["step"], new["step"]) == (0, 1) and cpus(new["cpus_used"]) == {1}, (old, new)
assert new["wall_ns"] < total - 1.5 * S, "what an op of a step brought ends with the step"
frozen = only("frozen")
others = max(only(c)["gap_ns_max"] for c in ("first", "left", "right", "pinned"))
print("frozen: a gap of", round(frozen["gap_ns_max"] / S, 2), "s; others at most", round(others / S, 2))
assert frozen["gap_ns_max"] > 1.4 * S and frozen["gap_ns_max"] > others, frozen
first_own, last_own = by_cgroup["own"]
assert first_own["step"] == 0 and cpus(first_own["cpus_used"]) <= {0, 1} and first_own["wall_ns"] < 2 * S, first_own
assert last_own["step"] == 5 and cpus(last_own["cpus_allowed"]) == {0, 1, 2, 3} and 1 in cpus(last_own["cpus_used"]), last_own
assert cpus(only("up/down")["cpus_used"]) <= {2, 3}, only("up/down")
assert len(by_cgroup["again"]) == n_rounds, by_cgroup["again"]

# What the host saw from outside.
samples = {s["tag"]: s for s in cell["samples"]}


def axis(tag, name):
    return samples[tag]["axes"][name]


def variable(tag, name):
    hits = [m["vars"][name] for m in axis(tag, "bpf")["value"]["maps"] if m["running"] and name in m.get("vars", {})]
    assert len(hits) == 1, (tag, name, axis(tag, "bpf"))
    return hits[0]


def is_online(tag, cpu):
    return axis(tag, "monitor")["value"]["cpus"][cpu]["scx_flags"] & 1  # SCX_RQ_ONLINE


assert [s["tag"] for s in cell["samples"]] == ["before", "written", "restarted", "detached", "attached", "replaced"]
assert [s["epoch"] for s in cell["samples"]] == [0, 0, 1, 1, 2, 3], cell["samples"]
# A step begins with its hold: its ops are before it.
assert [s["step"] for s in cell["samples"]] == [1, 1, 1, 2, 3, 3], cell["samples"]
assert (variable("before", "nr_held"), variable("written", "nr_held")) == (0, 123456789)
stats = next(m for m in axis("written", "bpf")["value"]["maps"] if m["name"] == "stats" and m["running"])["entries"]
assert all(n >= 1 << 40 for n in stats[1]) and all(n < 1 << 40 for n in stats[0]), stats
assert variable("restarted", "nr_held") == 0, "a scheduler that was restarted counts anew"
assert variable("restarted", "started_at_ns") > variable("written", "started_at_ns")
assert axis("detached", "monitor")["value"]["scx_state"] == "disabled" and axis("detached", "bpf")["error"]
assert axis("attached", "monitor")["value"]["scx_state"] == "enabled"
assert not is_online("detached", 3) and is_online("before", 3) and is_online("attached", 3)
assert variable("attached", "slow") is False and variable("replaced", "slow") is True
EOF
