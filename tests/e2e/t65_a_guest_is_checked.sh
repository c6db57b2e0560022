#!/usr/bin/env bash
# Checks on what real workers and a real kernel measured: too strict they fail with what was measured, judged again with
# sensible limits they hold. One guest.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/guest.sh"

# checked NAME CHECKS: spinners on a CPU of their own, a pair that wakes one another.
checked() {
	guest_matrix "$1" <<-EOF
		[[scheduler]]
		name = "scx_kt"
		binary = "scx_kt"
		[[scenario]]
		name = "checked"
		duration = "5s"
		samples = 1
		checks = { ${2//$'\n'/ } }
		[[scenario.step]]
		hold = "full"
		cgroup = [
		  { name = "spinners", cpuset = "0", workers = 2, work = "spin" },
		  { name = "pair", workers = 2, work = "pipe" },
		]
	EOF
	sed -i 's/^name = "strict"\|^name = "sensible"/name = "t65"/' "$WORK/$1.toml"
}

checked strict 'not_stuck = true, gap = "1us", spread = 100.0, isolation = true, max_throughput_cv = 0, min_work_rate = 1e15,
	max_p99_wake_latency = "1ns", max_wake_latency_cv = 0, min_iteration_rate = 1e15, max_migration_ratio = 1e6,
	events_clean = true, imbalance = 0.5, dsq_depth = true, stuck = true, fallback = true, keep_last = 1e6'
exits 1 ktcoord "$WORK/strict.toml"
exits 0 ktcoord show last checked
says '^  fail +gap \(at most 0.001 ms\): spinners/[01]: [0-9.]+ ms, until \+[0-9.]+ ms on CPU 0$'
says '^  fail +max_throughput_cv \(at most 0\): spinners \(2 x spin\): .* mean [0-9.e+]+/s$'
says '^  fail +min_work_rate \(at least 1e\+15/s\): spinners/0: [0-9.e+]+/s, [0-9]+ work units in [0-9.]+ ms of CPU time$'
says '^  fail +min_iteration_rate \(at least 1e\+15/s\): pair/[01]: '
says '^  fail +max_p99_wake_latency \(at most 0.000001 ms\): pair: [0-9.]+ ms of [0-9]+ wake-ups'
says '^  fail +max_wake_latency_cv \(at most 0\): pair: '
says '^  fail +imbalance \(at most 0.5\): 5 looks in a row did not fall below [0-9.]+, until \+[0-9.]+ ms'
says '^  pass +not_stuck: holds for 4 workers$'
says '^  pass +isolation: holds for [24] workers$'
says '^  pass +spread \(at most 100%\): holds for 2 groups; the nearest: '
says '^  pass +events_clean: holds for 5 counters$'
says '^  pass +stuck: holds$'
says '^  pass +dsq_depth \(at most 50\): holds: '
says '^  pass +fallback \(at most 200/s\): holds: '
says '^  spinners/0 +0 +spin +[0-9]+ .* 0 +[0-9]+ +[0-9.]+[mu]?s +CPU 0 \+[0-9.]+s'
says '^run queues, looked at [0-9]+ times from outside:$'
show_json >"$WORK/cell.json"
python3 - "$WORK/cell.json" <<'END'
import json, sys
cell = json.load(open(sys.argv[1]))
result = [a for a in cell["attempts"] if a["judged"]][0]["result"]
monitor = result["monitor"]
print("looks", monitor["looks"], {m["name"]: (m["values"], m["highest"], m["sustained"]) for m in monitor["measures"]})
assert 25 <= monitor["looks"] <= 200 and monitor["enabled"] == monitor["looks"], monitor
assert monitor["invalid"] == 0 and monitor["error"] == "" and monitor["vcpu_time"] in ("shared", "thread"), monitor
assert {m["name"] for m in monitor["measures"]} == {"imbalance", "dsq_depth", "stuck", "fallback", "keep_last"}
# What is enabled before the anchor is not held against the scheduler, but a sample shows it.
assert {e["name"]: e["count"] for e in monitor["events"]}["bypass_activate"] == 0, monitor["events"]
events = cell["samples"][0]["axes"]["monitor"]["value"]["events"]
assert events["bypass_activate"] >= 1 and "select_cpu_fallback" in events, events
reports = {(r["cgroup"], r["index"]): r for r in result["reports"]}
assert all(reports["spinners", i]["cpus_used"] == "0" == reports["spinners", i]["cpus_allowed"] for i in (0, 1)), reports
assert any(w["cgroup"] == "pair" and w["total"] > 0 for w in result["wakes"]), result["wakes"]
END

# The same result, sensible limits: no guest runs, and all holds.
checked sensible 'not_stuck = true, gap = "4s", spread = 60.0, isolation = true, max_throughput_cv = 2.0, min_work_rate = 1,
	max_p99_wake_latency = "4s", max_wake_latency_cv = 1000, min_iteration_rate = 0.1, max_migration_ratio = 1e6,
	events_clean = true, imbalance = 20.0, dsq_depth = true, stuck = true, fallback = true, keep_last = 1e6'
exits 0 ktcoord judge last "$WORK/sensible.toml"
says '^PASS .*judged again, was fail$'
nothing_left
