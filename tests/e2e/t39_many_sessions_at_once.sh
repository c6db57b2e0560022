#!/usr/bin/env bash
# 16 worker sessions in one process share 500 cells: every cell is judged, none twice, and no lease is given to two.
. "$(dirname "$0")/lib.sh"

matrix many <<'EOF'
[[scenario]]
name = "many"
duration = "1s"
samples = 2
repeats = 500
[[scenario.step]]
hold = "full"
cgroup = [{ name = "cg", workers = 1, work = "spin" }]
[[scenario.assert]]
series = "bpf:nr_dispatched"
nondecreasing = true
EOF

ktcoord "$WORK/many.toml" --runner scripted --listen "ipc://$WORK/sock" --out "$WORK/many.sweep" >"$WORK/run" 2>&1 &
coordinator=$!
"$KT_BIN/../tests/ktswarm" --connect "ipc://$WORK/sock" --sessions 16 --slots 4 --seconds 120 >"$WORK/swarm" 2>"$WORK/swarm.log" &
swarm=$!
wait "$coordinator" || { cat "$WORK/run" >&2; fail "exit status $?"; }
# Its last word to a session may be lost with the connection; then it would wait for the next coordinator.
kill -TERM "$swarm" 2>/dev/null || true
wait "$swarm" || true
grep -q '^500 cells: 500 pass' "$WORK/run" || { tail -3 "$WORK/run" >&2; fail "not all passed"; }

count() {
	sqlite3 "$WORK/many.sweep" "SELECT count($1) FROM fact WHERE tag = $2"
}
[ "$(count '*' 7)" -eq 500 ] && [ "$(count 'DISTINCT cell' 7)" -eq 500 ] ||
	fail "$(count '*' 7) verdicts on $(count 'DISTINCT cell' 7) cells"
[ "$(count '*' 4)" -eq 500 ] || fail "$(count '*' 4) leases for 500 cells that all ended well"
[ "$(count '*' 3)" -eq 16 ] || fail "$(count '*' 3) hosts, not 16"
[ "$(sqlite3 "$WORK/many.sweep" 'SELECT count(*) FROM sample')" -eq 1000 ] || fail "samples are missing, or twice there"
grep -q '"broken": 0' "$WORK/swarm" || { cat "$WORK/swarm" >&2; fail "a frame was broken"; }
nothing_left
