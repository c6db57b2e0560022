#!/usr/bin/env bash
# Every work type and every policy on a real guest under sched_ext: each worker did something, where it was allowed to,
# stopped in time and reported; what the unit tests cannot show on a machine with one node (tests/unit/worker/guest/work).
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/guest.sh"

guest_matrix work <<'MATRIX'
[[topology]]
name = "nodes"
cpus = "2n2l2c1t"
memory = "1G"
[[scheduler]]
name = "scx_kt"
binary = "scx_kt"

[[scenario]]
name = "every_work_type"
duration = "16s"
topologies = ["nodes"]

[[scenario.step]]
hold = "3s"
cgroup = [
  { name = "alone", cpuset = "0-1", groups = [
    { workers = 1, work = "spin" }, { workers = 1, work = "yield" }, { workers = 1, work = "mixed" },
    { workers = 1, work = "alu" }, { workers = 1, work = "bursty" }, { workers = 1, work = "idle_churn" } ] },
  { name = "timers", cpuset = "2", groups = [
    { workers = 1, work = "timer_latency" }, { workers = 1, work = "io_sync" }, { workers = 1, work = "io_rand_read" } ] },
]

[[scenario.step]]
hold = "4s"
cgroup = [
  { name = "memory", cpuset = "numa(0)", groups = [
    { workers = 1, work = "cache_pressure" }, { workers = 1, work = "cache_yield" }, { workers = 1, work = "page_fault" } ] },
  { name = "bound", cpuset = "numa(0)", workers = 1, work = "cache_pressure", mem_policy = "bind", mem_nodes = "1" },
  { name = "sweepers", cpuset = "numa(0)", workers = 3, work = "numa_sweep", params = { run = "0s" } },
]

[[scenario.step]]
hold = "3s"
cgroup = [
  { name = "churn", cpuset = "1-2", groups = [
    { workers = 1, work = "fork_exit" }, { workers = 1, work = "nice_sweep" }, { workers = 1, work = "affinity_churn" },
    { workers = 1, work = "policy_churn", params = { ext = 1 } }, { workers = 1, work = "cgroup_churn" },
    { workers = 1, work = "sequence", phases = [
      { work = "spin", duration = "100ms" }, { work = "bursty", duration = "100ms" } ] } ] },
]

[[scenario.step]]
hold = "3s"
cgroup = [
  { name = "wakers", groups = [
    { workers = 2, work = "pipe" }, { workers = 2, work = "cache_pipe" }, { workers = 2, work = "futex_ping_pong" },
    { workers = 5, work = "futex_fan_out" }, { workers = 5, work = "fan_out_compute" }, { workers = 4, work = "wake_chain" },
    { workers = 5, work = "thundering_herd" }, { workers = 2, work = "producer_consumer" },
    { workers = 4, work = "mutex" }, { workers = 2, work = "signal_storm" } ] },
]

[[scenario.step]]
hold = "3s"
cgroup = [
  { name = "ranks", groups = [
    { workers = 3, work = "priority_inversion", params = { inherit = 1 } },
    { workers = 3, work = "preempt_storm", params = { victims = 2 } },
    { workers = 2, work = "rt_starvation", params = { run = "5ms", sleep = "5ms" } } ] },
  { name = "policies", groups = [
    { workers = 1, work = "bursty", policy = "batch", nice = 3 }, { workers = 1, work = "bursty", policy = "idle" },
    { workers = 1, work = "bursty", policy = "fifo", priority = 1 }, { workers = 1, work = "bursty", policy = "rr", priority = 1 },
    { workers = 1, work = "bursty", policy = "deadline", runtime = "5ms", deadline = "50ms", period = "50ms" },
    { workers = 1, work = "bursty", policy = "ext" }, { workers = 1, work = "bursty", uid = 1000, gid = 1000 },
    { workers = 1, work = "bursty", affinity = "3" } ] },
]

[[scenario]]
name = "cannot_be"
duration = "1s"
topologies = ["nodes"]
expect = { outcome = "fail", cause = "op_failed" }
[[scenario.step]]
hold = "full"
cgroup = [
  { name = "c", workers = 1, work = "nice_sweep", uid = 1000 },
]

[[scenario]]
name = "no_memory"
duration = "1s"
topologies = ["nodes"]
expect = { outcome = "fail", cause = "guest_oom" }
[[scenario.step]]
hold = "full"
cgroup = [{ name = "c", memory_max = "8M", workers = 1, work = "page_fault", params = { bytes = "64M" } }]
MATRIX

exits 0 ktcoord "$WORK/work.toml"
says '^3 cells: 3 pass'
nothing_left
ktcoord show last cannot_be/k/scx_kt/nodes#0 >"$WORK/out"
says 'c: nice_sweep cannot begin: the kernel refused nice -20: Permission denied'

show_json every_work_type/k/scx_kt/nodes#0 >"$WORK/cell.json"
ktcoord work --json >"$WORK/types.json"
python3 - "$WORK/cell.json" "$WORK/types.json" <<'EOF'
import json
import sys

result = json.load(open(sys.argv[1]))["attempts"][0]["result"]
types = {w["name"] for w in json.load(open(sys.argv[2]))["work"]}
reports = result["reports"]


def cpus(text):
    found = set()
    for piece in filter(None, text.split(",")):
        first, _, last = piece.partition("-")
        found |= set(range(int(first), int(last or first) + 1))
    return found


def of(cgroup, work=None):
    return [r for r in reports if r["cgroup"] == cgroup and (work is None or r["work"] == work)]


assert {r["work"] for r in reports} == types, types - {r["work"] for r in reports}
for r in reports:
    who = f"{r['cgroup']}/{r['index']} {r['work']}"
    assert not r["missing"], f"{who}: {r['missing']}"
    assert r["work_units"] > 0, f"{who} did nothing"
    assert 0 < r["cpu_ns"] <= r["wall_ns"] * 1.01, f"{who}: {r['cpu_ns']} of {r['wall_ns']} ns"
    assert r["cpus_used"] and cpus(r["cpus_used"]) <= cpus(r["cpus_allowed"]), f"{who}: {r['cpus_used']}"
    assert 0 < r["gap_ns_max"] <= r["wall_ns"] and r["gap_at_ns"] > 0, f"{who}: gap {r['gap_ns_max']}"
    assert r["gap_cpu"] in cpus(r["cpus_used"]), who
    assert r["wake_p50_ns"] <= r["wake_p99_ns"] <= r["wake_ns_max"], who

allowed = {"alone": "0-1", "timers": "2", "memory": "0-1", "churn": "1-2", "wakers": "0-3"}
for cgroup, text in allowed.items():
    assert {r["cpus_allowed"] for r in of(cgroup)} == {text}, (cgroup, {r["cpus_allowed"] for r in of(cgroup)})
assert {r["cpus_used"] for r in of("policies") if r["index"] == 7} == {"3"}

# Where pages are: on the node of the cpuset, on the node of the memory policy, on the way from one to the other.
for r in of("memory"):
    assert r["pages"] and r["pages_local"] == r["pages"], (r["work"], r["pages_local"], r["pages"])
[bound] = of("bound")
assert bound["mem_policy"] == "bind" and bound["pages"] == bound["pages_local"] == 64, bound
sweepers = of("sweepers")
assert all(r["pages"] == 256 for r in sweepers), sweepers
assert any(r["pages_local"] < 256 for r in sweepers), "no page ever left node 0"

# Who wakes or is woken measured it, and each cgroup has its distribution.
woken = set("""bursty idle_churn timer_latency io_sync io_rand_read pipe cache_pipe futex_ping_pong futex_fan_out
    fan_out_compute wake_chain thundering_herd sequence""".split())
for work in woken:
    assert all(r["wakes"] for r in reports if r["work"] == work), work
wakes = {w["cgroup"]: w for w in result["wakes"]}
assert wakes[""]["total"] == sum(r["wakes"] for r in reports)
for cgroup in ("timers", "wakers", "policies"):
    w = wakes[cgroup]
    assert w["total"] == sum(r["wakes"] for r in of(cgroup)) and 0 < w["kept"] <= w["total"], w
    assert 0 < w["p50_ns"] <= w["p90_ns"] <= w["p99_ns"] <= w["p999_ns"] <= w["ns_max"], w
print(f"{len(types)} work types, {len(reports)} workers, {wakes['']['total']} wake-ups")
EOF
