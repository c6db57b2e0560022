#!/usr/bin/env bash
# --budget runs the cells that tell most within a time, and says of every other one that it was left out: in the plan, in
# the totals, in the report. Killed and resumed it is the same cells. What they took is known the next time.
. "$(dirname "$0")/lib.sh"

matrix spend <<'EOF'
[[topology]]
name = "smt"
cpus = "1n2l2c2t"
[[scenario]]
name = "one"
duration = "10s"
samples = 3
repeats = 3
[[scenario.step]]
hold = "full"
cgroup = [{ name = "cg", workers = 2, work = "spin" }]
[[scenario]]
name = "two"
duration = "10s"
samples = 3
repeats = 3
[[scenario.step]]
hold = "full"
cgroup = [{ name = "cg", workers = 2, work = "spin" }]
[[scenario.assert]]
series = "bpf:nr_dispatched"
over = { at_least = 3 }
nondecreasing = true
EOF
budget=(--runner scripted --slots 1)

# 12 cells of 11 s and two boots. Three cells: both scenarios would need the whole group of `two`.
exits 0 ktcoord plan "$WORK/spend.toml" --slots 1 --budget 40s
says '^e2e: 12 cells, '
says '^budget 40s: 3 of them, about 3[0-9].*s with 1 guest at a time; the time of 0 was measured'
says '^left out by the budget$'
says '  3 of 6 cells of one$'
says '  6 of 6 cells of two$'
exits 0 ktcoord plan "$WORK/spend.toml" --slots 1 --budget 40s --all
says '^ +two/any/scx_kt/smt#2$'
exits 0 ktcoord plan "$WORK/spend.toml" --slots 1 --budget 40s --json
says '"taken":3,"left_out":9,"measured":0'
[ "$(grep -c '"taken":true' "$WORK/out")" -eq 3 ] || fail "not three are taken"

exits 2 ktcoord "$WORK/spend.toml" "${budget[@]}" --budget 3s
says 'a budget of 3s is too short: the shortest cell takes about 1[0-9]'
exits 2 ktcoord "$WORK/spend.toml" "${budget[@]}" --budget soon
says "takes a time of at most 24h, e.g. 20m, not 'soon'"
! ls "$KTCOORD_STATE"/sweeps/*.sweep 2>/dev/null || fail "a sweep was made"

exits 0 ktcoord "$WORK/spend.toml" "${budget[@]}" --budget 40s --out "$WORK/quiet.sweep"
says '^budget 40s: 3 of 12 cells, '
says '^12 cells: 3 pass, 9 left out by --budget 40s$'
exits 0 ktcoord report "$WORK/quiet.sweep"
[ "$(grep -c '^PASS' "$WORK/out")" -eq 3 ] || fail "three passed"
[ "$(grep -c '^-  .*  left out by --budget 40s$' "$WORK/out")" -eq 9 ] || fail "nine are listed"
says '^- +two/any/scx_kt/small#0  left out by --budget 40s$'
grep '^-' "$WORK/out" >"$WORK/quiet.left"
exits 0 ktcoord report "$WORK/quiet.sweep" --json
says '"left_out": 9'
[ "$(grep -c '"outcome": "left_out"' "$WORK/out")" -eq 9 ] || fail "nine in JSON"
exits 0 ktcoord show "$WORK/quiet.sweep" two/any/scx_kt/smt#2
says 'left out by --budget 40s'
exits 0 ktcoord judge "$WORK/quiet.sweep"
says '^12 cells: 3 pass, 9 left out by --budget 40s$'

# Killed before and after its first commits, then resumed without saying anything of a budget.
for at in 1 2 5 8; do
	status=0
	# shellcheck disable=SC2016 # the inner shell takes the kill's message on itself
	KT_TEST_KILL_AT=$at bash -c '"$@"; exit $?' - ktcoord "$WORK/spend.toml" "${budget[@]}" --budget 40s \
		--out "$WORK/$at.sweep" >"$WORK/out" 2>&1 || status=$?
	[ "$status" -eq 137 ] || { cat "$WORK/out" >&2; fail "kill point $at: exit status $status"; }
	exits 0 ktcoord resume "$WORK/$at.sweep"
	exits 0 ktcoord report "$WORK/$at.sweep"
	grep '^-' "$WORK/out" | cmp - "$WORK/quiet.left" || fail "kill point $at: other cells"
done

# Scripted cells take no time, as a sweep in the state folder tells: the same budget is enough for all of them.
exits 0 ktcoord "$WORK/spend.toml" "${budget[@]}"
says '^12 cells: 12 pass'
exits 0 ktcoord "$WORK/spend.toml" "${budget[@]}" --budget 40s
says '^budget 40s: 12 of 12 cells, about .*; the time of 12 was measured$'
says '^12 cells: 12 pass; over their repeats: 2 pass$'
nothing_left
