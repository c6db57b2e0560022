#!/usr/bin/env bash
# ^C is nobody's trouble, a narrow terminal shows what moves, a damaged sweep hides no other, and a folder that
# cannot be written can be read.
. "$(dirname "$0")/lib.sh"

matrix slow <<'END'
[[scenario]]
name = "a_scenario_with_so_many_words_in_its_name_that_no_terminal_holds_it"
duration = "3s"
repeats = 8
script = "boot 1s; load 1s; run; wait 3s; end"
END

# ^C goes to the whole process group of a terminal.
setsid ktcoord "$WORK/slow.toml" --runner scripted --slots 4 >"$WORK/out" 2>&1 &
pid=$!
for _ in $(seq 100); do
	grep -q ': run' "$WORK/out" && break
	sleep 0.1
done
kill -INT -- "-$pid"
status=0
wait "$pid" || status=$?
[ "$status" -eq 130 ] || fail "exit status $status, not 130, after ^C"
says '^8 cells: 8 not finished'
says 'ktcoord resume e2e-'
says_not '^infra'
nothing_left

# On 40 columns the phase is on the screen, and no row is folded.
sed -i 's/repeats = 8/repeats = 2/' "$WORK/slow.toml"
exits 0 script -qec "stty cols 40 rows 12; TERM=xterm ktcoord $WORK/slow.toml --runner scripted --slots 2" /dev/null
tr '\r' '\n' <"$WORK/out" | sed 's/\x1b\[[0-9]*[A-Za-z]//g' >"$WORK/rows"
grep -qE '^  \.\.[^ ]*#1: run, [0-9] s to go$' "$WORK/rows" || fail "the phase is not on a narrow screen"
! grep -E '^  |cells done' "$WORK/rows" | grep -E '.{40}' || fail "a row is wider than the screen"

# A reason belongs to a wrong word.
exits 2 ktcoord "$WORK/slow.toml" --runner scripted --slots 1025
says '1024'
exits 2 ktcoord "$WORK/slow.toml" --sate x
says '\-\-state'
exits 2 ktcoord report last --state
says 'lacks its value'
exits 0 ktcoord show --help
says '\-\-logs'
says_not '\-\-listen'

: >"$KTCOORD_STATE/sweeps/a-damaged-one.sweep"
ktcoord sweeps --json 2>"$WORK/out" >"$WORK/sweeps.json" || fail "sweeps --json"
says 'a-damaged-one'
python3 -c 'import json, sys; assert len(json.load(open(sys.argv[1]))) == 2' "$WORK/sweeps.json"
rm "$KTCOORD_STATE/sweeps/a-damaged-one.sweep"

if unshare -m true 2>/dev/null; then
	exits 0 unshare -m bash -c "mount --bind '$KTCOORD_STATE' '$KTCOORD_STATE' &&
		mount -o remount,ro,bind '$KTCOORD_STATE' && ktcoord report last"
	says '^2 cells: 2 pass'
fi

# What was given up for want of a healthy host is tried again by a resume: here room is made on the worker's disk.
if unshare -m true 2>/dev/null; then
	matrix full <<-'END'
		[[scenario]]
		name = "room"
		duration = "10s"
		samples = 3
		repeats = 3
		[[scenario.step]]
		hold = "full"
		cgroup = [{ name = "cg", workers = 2, work = "spin" }]
		[[scenario.assert]]
		series = "bpf:nr_dispatched"
		nondecreasing = true
	END
	sed -i 's/name = "e2e"/name = "full"/' "$WORK/full.toml"
	export KTCOORD_STATE="$WORK/small"
	mkdir -p "$KTCOORD_STATE/worker"
	exits 3 unshare -m bash -c "mount -t tmpfs -o size=100k none '$KTCOORD_STATE/worker' &&
		ktcoord '$WORK/full.toml' --runner scripted"
	says_not '^(PASS|FAIL)'
	exits 0 ktcoord resume last
	says '^3 cells: 3 pass'
	exits 0 ktcoord report last
	says '^3 cells: 3 pass'
	exits 0 ktcoord resume last
	says 'is finished: nothing is run again'
	nothing_left
fi
