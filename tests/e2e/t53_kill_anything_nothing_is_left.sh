#!/usr/bin/env bash
# kill -9 of ktcoord, of the worker, of the attempt process while a real guest runs or is made, and ^C: its QEMU dies, no RAM
# file, socket or folder stays after the next start, and the sweep can be resumed.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/guest.sh"

spin_matrix kill 4s

# victim, its guest, and from which line on it is killed: what runs from a template, what makes one (t56 kills
# the maker itself), and what boots.
for row in "ktcoord warm making" "interrupt warm run" "ktworker warm run" "attempt warm run" "attempt cold run"; do
	read -r victim guest when <<<"$row"
	rm -f "$WORK/$victim.sweep" "$WORK/run"
	# shellcheck disable=SC2046
	setsid ktcoord "$WORK/kill.toml" --out "$WORK/$victim.sweep" $([ "$guest" = warm ] || echo --cold) >"$WORK/run" 2>&1 &
	coordinator=$!
	for _ in $(seq 600); do
		if grep -qE ": run,|$when a" "$WORK/run" 2>/dev/null; then
			case $(children "$coordinator") in *qemu-system*) break ;; esac
		fi
		sleep 0.1
	done
	sleep 0.3
	case $victim in
	ktcoord | interrupt) pid=$coordinator ;;
	ktworker) pid=$(children "$coordinator" | awk '/ktworker --embedded/ { print $1; exit }') ;;
	attempt) pid=$(children "$coordinator" | awk '/ attempt/ { print $1; exit }') ;; # the run's: spares come later
	esac
	[ -n "$pid" ] || { children "$coordinator" >&2; fail "no $victim process"; }
	# Those of its descendants that must die: a killed attempt leaves the guest that stands by.
	guests=$(children "$([ "$victim" = attempt ] && echo "$pid" || echo "$coordinator")" | awk '/qemu-system/ { print $1 }')
	[ -n "$guests" ] || fail "no QEMU below $victim"
	if [ "$victim" = interrupt ]; then
		kill -INT "$pid"
	else
		kill -KILL "$pid"
	fi
	for qemu in $guests; do
		for _ in $(seq 50); do
			kill -0 "$qemu" 2>/dev/null || break
			sleep 0.1
		done
		! kill -0 "$qemu" 2>/dev/null || fail "QEMU outlives $victim"
	done
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
