#!/usr/bin/env bash
# kill -9 of the worker, ^C and SIGTERM of ktcoord in mid-sweep: nothing is left, nothing is lost.
. "$(dirname "$0")/lib.sh"

matrix slow <<'EOF'
[[scenario]]
name = "slow"
duration = "10s"
samples = 3
repeats = 4
script = "boot 100ms; sample; wait 400ms; sample; wait 400ms; sample"
[[scenario.step]]
hold = "full"
cgroup = [{ name = "cg", workers = 2, work = "spin" }]
[[scenario.assert]]
series = "bpf:nr_dispatched"
nondecreasing = true
EOF

worker_pid() {
	pgrep -f "^$KT_BIN/ktworker --embedded .*$WORK"
}

wait_for() {
	for _ in $(seq 100); do
		"$@" >/dev/null 2>&1 && return
		sleep 0.05
	done
	fail "waited too long for: $*"
}

# The worker dies: another is started, the cell it ran is tried again, all pass.
ktcoord "$WORK/slow.toml" --runner scripted --slots 1 >"$WORK/run" 2>&1 &
coordinator=$!
wait_for grep -q '^PASS' "$WORK/run"
kill -KILL "$(worker_pid)"
wait "$coordinator" || { cat "$WORK/run" >&2; fail "exit status $?"; }
grep -q 'infra .*worker_lost' "$WORK/run" || { cat "$WORK/run" >&2; fail "the loss was not said"; }
grep -q '^4 cells: 4 pass' "$WORK/run" || { cat "$WORK/run" >&2; fail "not all passed"; }
nothing_left

# ^C: exit 130, what is finished is kept, resume goes on.
for signal in INT TERM; do
	rm -f "$WORK/run"
	setsid ktcoord "$WORK/slow.toml" --runner scripted --slots 1 --out "$WORK/$signal.sweep" >"$WORK/run" 2>&1 &
	coordinator=$!
	wait_for grep -q '^PASS' "$WORK/run"
	kill "-$signal" "$(pgrep -f "^ktcoord $WORK/slow.toml")"
	status=0
	wait "$coordinator" || status=$?
	[ "$status" -eq 130 ] || { cat "$WORK/run" >&2; fail "exit status $status after SIG$signal"; }
	nothing_left
	exits 0 ktcoord resume "$WORK/$signal.sweep"
	says '^4 cells: 4 pass'
	[ "$(sqlite3 "$WORK/$signal.sweep" 'SELECT count(*), count(DISTINCT cell) FROM fact WHERE tag = 7')" = "4|4" ] ||
		fail "judged twice"
done
nothing_left
