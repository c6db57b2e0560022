#!/usr/bin/env bash
# What this kernel cannot run is skipped, whatever is asked of it.
. "$(dirname "$0")/lib.sh"

matrix lack <<'END'
[[scenario]]
name = "lacks"
duration = "10s"
samples = 3
repeats = 2
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
says_not 'must_progress.*(fail|inconclusive)'
exits 2 ktcoord plan <(sed 's/expect = "fail"/expect = { cause = "scenario_unsupported" }/' "$WORK/lack.toml")
says "cause 'scenario_unsupported' is no failure: the cell is skipped"
nothing_left
