#!/usr/bin/env bash
# The whole way with the scripted runner: real processes, sockets, journal; guests are played.
. "$(dirname "$0")/lib.sh"

matrix sweep <<'EOF'
[[scenario]]
name = "passes"
duration = "10s"
samples = 3
repeats = 20
[[scenario.step]]
hold = "full"
cgroup = [{ name = "cg", workers = 2, work = "spin" }]
[[scenario.assert]]
series = "bpf:nr_dispatched"
nondecreasing = true
must_progress = true
min_samples = 2
[[scenario.assert]]
series = "stats:nr_dispatched"
each = { at_most = 1_000_000_000_000 }
EOF

exits 0 ktcoord "$WORK/sweep.toml" --runner scripted
says '^PASS +passes/any/scx_kt/small#0  samples 3/3 .*SCRIPTED'
says '^20 cells: 20 pass'
nothing_left
exits 0 ktcoord report last
says '^20 cells: 20 pass'
exits 0 ktcoord show last 'passes/any/scx_kt/small#7'
says 'periodic_002'
exits 0 ktcoord report last --json
says '"runner": "scripted"'
exits 0 ktcoord sweeps
says '20 pass'
# A second sweep on the same state folder is refused while one works there.
exits 0 flock "$KTCOORD_STATE/lock" true
flock "$KTCOORD_STATE/lock" sleep 2 &
sleep 0.3
exits 2 ktcoord "$WORK/sweep.toml" --runner scripted
says 'another ktcoord'
wait
