#!/usr/bin/env bash
# A scenario of ops and groups is told before it runs, refused where it cannot be played, and told again by `show`.
. "$(dirname "$0")/lib.sh"

matrix told <<'EOF'
[[scenario]]
name = "moves"
about = "Finds schedulers that lose a worker on the way."
duration = "10s"
samples = 1
[scenario.backdrop]
cgroup = [{ name = "bg", cpuset = "0", workers_pct = 2.0, work = "pipe" }]
[[scenario.step]]
hold = { loop = "4s", for = "full" }
cgroup = [{ name = "cg", cpuset = "1", cpu_max = "50%", workers = 1, work = "bursty", params = { run = "1ms" } }]
ops = [{ swap_cpusets = ["bg", "cg"] }, { capture = "swapped" }]
EOF

exits 0 ktcoord plan "$WORK/told.toml" --steps
says '^  moves, 10s$'
says '^    Finds schedulers that lose a worker on the way\.$'
says '^      cgroup bg: cpuset 0$'
says '^        2 per CPU pipe, rounded up to a multiple of 2$'
says '^      cgroup cg: cpuset 1, cpu\.max 50000 100000$'
says '^        1 bursty \(run = 1ms\)$'
says '^      every 4s: swap_cpusets bg, cg$'
exits 0 ktcoord plan "$WORK/told.toml" --json
says '"kind":"capture"'

exits 0 ktcoord "$WORK/told.toml" --runner scripted
exits 0 ktcoord show last moves/any/scx_kt/small#0
says '  op  at \+0\.000 s, took 0ns: swap_cpusets bg$'
says '  op  at \+4\.000 s, took 0ns: capture swapped$'
says '  op  at \+8\.000 s, took 0ns: capture swapped$'

# What cannot be played starts nothing; what does not fit a topology names a cell.
refused() { # sed expression, expected line
	sed "$1" "$WORK/told.toml" >"$WORK/bad.toml"
	exits 2 ktcoord "$WORK/bad.toml" --runner scripted
	says "$2"
	nothing_left
}
refused 's/"bg", "cg"/"bg", "gc"/' "bad.toml:[0-9]+:[0-9]+: there is no cgroup 'gc' at this moment; did you mean 'cg'\?"
refused 's/loop = "4s", for = "full"/loop = "4s", for = "2s"/' 'the step has ended before its ops are done again'
refused 's/cpuset = "1"/cpuset = "llc(2)"/' 'llc\(2\): the guest has 1 LLC, counted from 0, in cell moves/any/scx_kt/small#0'
refused 's/swap_cpusets = \["bg", "cg"\]/freeze_cgroup = "cg"/' "cgroup 'cg' is frozen already at this moment, when the loop comes round"
