#!/usr/bin/env bash
# kill -9 of ktcoord right before and right after every commit of its journal; `resume` finishes the
# sweep, every cell is judged once, and the report is that of an undisturbed sweep (I6).
. "$(dirname "$0")/lib.sh"

matrix sweep <<'EOF'
[[scenario]]
name = "passes"
duration = "10s"
samples = 3
repeats = 3
[[scenario.step]]
hold = "full"
cgroup = [{ name = "cg", workers = 2, work = "spin" }]
[[scenario.assert]]
series = "bpf:nr_dispatched"
nondecreasing = true
EOF

# verdicts FILE: what must not depend on kills: names, outcomes, details; not attempts, times, hosts.
verdicts() {
	ktcoord report "$1" --json | grep -E '^ *"(name|outcome|text|kind|series_digest)":' | grep -v '"name": "[a-z]*",$' || true
}

# judged FILE: how often each cell was judged (tag 7 is fact_judged).
judged() {
	sqlite3 "$1" 'SELECT count(*), count(DISTINCT cell) FROM fact WHERE tag = 7'
}

exits 0 ktcoord "$WORK/sweep.toml" --runner scripted --out "$WORK/quiet.sweep"
verdicts "$WORK/quiet.sweep" >"$WORK/quiet.verdicts"
[ "$(judged "$WORK/quiet.sweep")" = "3|3" ] || fail "undisturbed: $(judged "$WORK/quiet.sweep")"

kills=0
for at in $(seq 0 200); do
	status=0
	# shellcheck disable=SC2016 # the inner shell takes the kill's message on itself
	KT_TEST_KILL_AT=$at bash -c '"$@"; exit $?' - ktcoord "$WORK/sweep.toml" --runner scripted \
		--out "$WORK/$at.sweep" >"$WORK/out" 2>&1 || status=$?
	if [ "$status" -eq 0 ]; then
		break # it needed fewer commits than this
	fi
	[ "$status" -eq 137 ] || { cat "$WORK/out" >&2; fail "kill point $at: exit status $status"; }
	kills=$((kills + 1))
	if [ "$at" -eq 0 ]; then
		# The very first commit opens the sweep: before it there is nothing to resume.
		exits 2 ktcoord resume "$WORK/$at.sweep"
		continue
	fi
	exits 0 ktcoord resume "$WORK/$at.sweep"
	[ "$(judged "$WORK/$at.sweep")" = "3|3" ] || fail "kill point $at: $(judged "$WORK/$at.sweep")"
	verdicts "$WORK/$at.sweep" >"$WORK/$at.verdicts"
	cmp "$WORK/quiet.verdicts" "$WORK/$at.verdicts" || fail "kill point $at: another report"
	rm -f "$WORK/$at.sweep"*
done
[ "$kills" -ge 10 ] || fail "only $kills kill points"
echo "killed at $kills points"
nothing_left
