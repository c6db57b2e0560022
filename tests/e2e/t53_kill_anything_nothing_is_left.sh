#!/usr/bin/env bash
# kill -9 of ktcoord, of the worker, of the attempt process while a real guest runs or is made, and ^C: its QEMU dies, no RAM
# file, socket or folder stays after the next start, and the sweep can be resumed.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/guest.sh"

guest_matrix kill <<'EOF'
[[scheduler]]
name = "eevdf"
[[scenario]]
name = "short"
duration = "3s"
samples = 1
[[scenario.step]]
hold = "full"
cgroup = [{ name = "cg_0", workers = 2, work = "spin" }]
[[scenario.assert]]
series = "monitor:cpus[0].nr_running"
each = { at_least = 0 }
EOF

children() {
	local c
	for c in $(pgrep -P "$1"); do
		echo "$c $(tr '\0' ' ' <"/proc/$c/cmdline")"
		children "$c"
	done
}

# victim, its guest, and from which line on it is killed: what runs from a template, what makes one (t56 kills
# the maker itself), and what boots.
for row in "ktcoord warm making" "interrupt warm run" "ktworker warm run" "attempt warm run" "attempt cold run"; do
	read -r victim guest when <<<"$row"
	rm -f "$WORK/$victim.sweep"
	# shellcheck disable=SC2046
	setsid ktcoord "$WORK/kill.toml" --out "$WORK/$victim.sweep" $([ "$guest" = warm ] || echo --cold) >"$WORK/run" 2>&1 &
	coordinator=$!
	for _ in $(seq 600); do
		grep -qE ": run,|$when a" "$WORK/run" 2>/dev/null && break
		sleep 0.1
	done
	sleep 0.5
	case $victim in
	ktcoord | interrupt) pid=$coordinator ;;
	ktworker) pid=$(children "$coordinator" | awk '/ktworker --embedded/ { print $1; exit }') ;;
	attempt) pid=$(children "$coordinator" | awk '/ attempt/ { print $1; exit }') ;; # the run's: spares come later
	esac
	[ -n "$pid" ] || { children "$coordinator" >&2; fail "no $victim process"; }
	qemu=$(children "$coordinator" | awk '/qemu-system/ { print $1; exit }')
	if [ "$victim" = interrupt ]; then
		kill -INT "$pid"
	else
		kill -KILL "$pid"
	fi
	for _ in $(seq 50); do
		kill -0 "$qemu" 2>/dev/null || break
		sleep 0.1
	done
	! kill -0 "$qemu" 2>/dev/null || fail "QEMU outlives $victim"
	if [ "$victim" = ktcoord ] || [ "$victim" = interrupt ]; then
		status=0
		wait "$coordinator" || status=$?
		if [ "$victim" = interrupt ]; then
			[ "$status" -eq 130 ] || fail "exit status $status after ^C"
			nothing_left
		fi
		exits 0 ktcoord resume "$WORK/$victim.sweep"
	else
		wait "$coordinator" || { cat "$WORK/run" >&2; fail "exit status $? after $victim was killed"; }
		cp "$WORK/run" "$WORK/out"
		says 'infra '
	fi
	says '^1 cell: 1 '
	nothing_left
done
