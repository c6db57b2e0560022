#!/usr/bin/env bash
# Checks of workers and run queues: off unless asked for, judged from what was reported, judged again with other limits.
. "$(dirname "$0")/lib.sh"

# Every row of docs/checks.md is a cell: its checks, its reports, and the sentence that must be said.
python3 - "$KT_SOURCE/docs/checks.md" "$WORK/rows.json" >"$WORK/scenarios" <<'END'
import json, re, sys
rows, checks, check = [], "", ""
for line in open(sys.argv[1]):
    if line.startswith("### "):
        check = line[4:].strip()
    elif line.startswith("    checks = ") and check:
        checks = line.strip()
    elif row := re.match(r"\| (pass|fail|inconclusive|skip) \| `(.*)` \| (.*) \|$", line):
        name = f"{check}-{row[1]}"
        rows.append({"scenario": name, "check": check, "outcome": row[1], "text": row[3]})
        print(f"[[scenario]]\nname = '{name}'\nduration = '10s'\n{checks}\nscript = '''{row[2]}'''")
json.dump(rows, open(sys.argv[2], "w"))
END
matrix rows <"$WORK/scenarios"
exits 1 ktcoord "$WORK/rows.toml" --runner scripted
ktcoord report last --json >"$WORK/report" || true
python3 - "$WORK/rows.json" "$WORK/report" <<'END' || fail "what docs/checks.md shows is not what is said"
import json, sys
rows = json.load(open(sys.argv[1]))
cells = {cell["scenario"]: cell for cell in json.load(open(sys.argv[2]))["cells"]}
assert len(rows) > 60 and len(rows) == len(cells), len(rows)
for row in rows:
    cell = cells[row["scenario"]]
    said = [d["text"] for d in cell["details"] if (d["assertion"], d["outcome"]) == (row["check"], row["outcome"])]
    assert said[:1] == [row["text"]], (row, cell["details"])
    if cell["attempts"][0]["cause"] == "finished" and row["outcome"] != "skip":
        assert cell["outcome"] == row["outcome"], cell["details"]
END

# worker CHECKS [SWEEP-CHECKS]: one cell whose worker stood still for 2.3 s and used a CPU of others.
worker() {
	matrix one <<-END
		[[scenario]]
		name = "one"
		duration = "10s"
		samples = 1
		$1
		script = '''sample bpf.n=1; report cg_0 work=spin work_units=9 cpu_ns=5s wall_ns=10s gap_ns_max=2.3s gap_at_ns=5.1s gap_cpu=1 cpus_used=0-1 cpus_allowed=0; report cg_0 work=spin work_units=9 cpu_ns=5s wall_ns=10s cpus_used=0 cpus_allowed=0; wakes cg_0 total=5 kept=5 p99_ns=3ms; latency cg_0 1ms=3 2ms=6'''
		[[scenario.assert]]
		series = "bpf:n"
		each = { at_most = 5 }
	END
	sed -i "s/^name = \"e2e\"/&\n${2:-}/" "$WORK/one.toml"
}

# Nothing is checked unless asked for; then the checks stand beside the assertions.
worker ''
exits 0 ktcoord "$WORK/one.toml" --runner scripted
worker 'checks = { not_stuck = true, isolation = true }'
exits 1 ktcoord "$WORK/one.toml" --runner scripted
says '^FAIL'
says '^       gap \(at most 2000 ms\): cg_0/0: 2300 ms, until \+5100 ms on CPU 1$'
says '^       isolation: cg_0/0: ran on CPU 1, outside of its cpuset 0$'
exits 0 ktcoord show last one
says '^  pass +bpf:n'
says '^  pass +not_stuck: holds for 2 workers$'
says '^  pass +spread \(at most 15%\): holds for 1 group: cg_0 \(2 x spin\): 0%'
says '^ +step +work +work units +cpu +wall +CPUs +migr +gap max +until +wakes +p99 +run delay$'
says '^  cg_0/0 +0 +spin +9 +5s +10s +0-1 +0 +2.3s +CPU 1 \+5.100s +0 +- +0ns$'
says '^  cg_0 +5 +5 .* 3ms '
says '^    < 2ms +6  #{40}$'
exits 0 ktcoord show last one --json
says '"gap_ns_max": 2300000000'
says '"cpus_used": "0-1"'

# The sweep's word counts where the scenario says nothing; false takes it away.
worker 'checks = { gap = "3s" }' 'checks = { not_stuck = true, isolation = true }'
exits 0 ktcoord plan "$WORK/one.toml" --asserts
says '^    checks: not_stuck, gap \(at most 3000 ms\), spread \(at most 15%\), isolation$'
exits 1 ktcoord "$WORK/one.toml" --runner scripted
says_not 'gap \('
worker 'checks = { isolation = false, gap = "3s" }' 'checks = { not_stuck = true, isolation = true }'
exits 0 ktcoord "$WORK/one.toml" --runner scripted

# Judged again with other limits, from what is stored.
worker 'checks = { gap = "1s" }'
exits 1 ktcoord judge last "$WORK/one.toml"
says '^FAIL .*judged again, was pass$'
says 'gap \(at most 1000 ms\): cg_0/0: 2300 ms'

# An expected failure may be that of a check; a mistake has its place.
worker 'checks = { gap = true }
expect = "fail"'
exits 0 ktcoord "$WORK/one.toml" --runner scripted
worker 'checks = { gap = 3 }'
exits 2 ktcoord "$WORK/one.toml" --runner scripted
says 'one.toml:[0-9]+:18: .checks. in \[\[scenario\]\]: gap takes a time of more than 0, e.g. "2s", true for 2000 ms or false$'

# What this kernel cannot run is skipped, whatever is asked of it.
matrix lack <<'END'
[[scenario]]
name = "lacks"
duration = "10s"
samples = 3
repeats = 2
checks = { not_stuck = true }
script = '''boot 1ms; fail scenario_unsupported "no SCHED_DEADLINE in this kernel"'''
[[scenario.assert]]
series = "bpf:n"
nondecreasing = true
must_progress = true
[[scenario.assert]]
name = "together"
series = "bpf:n"
over = "all"
each = { at_most = 3 }
[[scenario]]
name = "expects"
duration = "10s"
samples = 3
expect = "fail"
script = '''sample; fail scenario_unsupported'''
END
exits 0 ktcoord "$WORK/lack.toml" --runner scripted
says '^SKIP +lacks/any/scx_kt/small#0 '
says '^       scenario_unsupported: no SCHED_DEADLINE in this kernel$'
says '^SKIP +lacks/any/scx_kt/small  over 2 repeats$'
says '^SKIP +expects/any/scx_kt/small#0 '
says '^3 cells: 3 skip; over their repeats: 1 skip$'
exits 0 ktcoord judge last
says '3 cells, 0 with another outcome$'
exits 0 ktcoord show last 'lacks/any/scx_kt/small#0'
says '^  skip +scenario_unsupported: no SCHED_DEADLINE in this kernel$'
says_not '^  (pass|fail|inconclusive|note) '
exits 2 ktcoord plan <(sed 's/expect = "fail"/expect = { cause = "scenario_unsupported" }/' "$WORK/lack.toml")
says "cause 'scenario_unsupported' is no failure: the cell is skipped"
nothing_left
