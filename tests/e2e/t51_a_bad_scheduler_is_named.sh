#!/usr/bin/env bash
# Every fault knob of scx_kt ends as a failure with its cause, a first line that says what happened, and the evidence,
# never as infra trouble; a healthy cell after each of them, on the same slot, passes; the host is clean afterwards.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/guest.sh"

# name | arguments of scx_kt | cause | first line | evidence. What takes long only waits: it goes beside the others.
quick=(
	"stalls|--stall-after 0.7 --watchdog-ms 1500|scheduler_stalled|runnable task was not run for longer than the watchdog.*failed to run for|runnable task stall"
	"starves|--starve-one 0.7|scheduler_stalled|worker [01] of cg_0 \(spin, pid [0-9]+\) was runnable and did not run for [1-9]\.[0-9] s, it last ran on CPU [01]; sched_ext's own watchdog has not spoken|dsq_id=0x1"
	"crashes|--crash-after 0.7|scheduler_crashed|gave up with scx_bpf_error: .*told to crash after 700 ms|SCX_EV_SUB_BYPASS_DISPATCH"
	"exits|--exit-after 0.7|scheduler_exited|program took it out; its program ended with status 0|unregistered from user space"
	"dies|--die-after 0.7|scheduler_crashed|is lost: its program was ended by signal 9|state=enabled"
	"unverifiable|--fail-verify|scheduler_rejected|verifier refused the scheduler, in kt_init: invalid unbounded|BEGIN PROG LOAD LOG"
	"unverifiable_late|--fail-verify-late|scheduler_rejected|verifier refused the scheduler, in kt_init: invalid unbounded|lines above [0-9]+ more times, with other values"
	"uninitialised|--fail-init|scheduler_rejected|could not enable the scheduler: .*ops.init\(\) failed|nr_rejected="
	"panics|--panic-after 0.7|kernel_panic|kernel died while the scenario ran|Kernel panic - not syncing"
)
slow=(
	"hangs_at_load|--hang-at-load|scheduler_load_timeout|hangs while it is loaded: .*still runs and sleeps|state=disabled"
	"hangs_at_unload|--linger 100|scheduler_unload_timeout|hangs while it is unloaded: .*sched_ext is disabled and its program still runs|unregistered from user space"
)

# schedulers HEALTHY ROW...: one scheduler per row; HEALTHY = yes: and a good one before each, and at the end.
schedulers() {
	local healthy=$1 row name args n=0
	shift
	for row in "$@"; do
		IFS='|' read -r name args _ <<<"$row"
		[ "$healthy" = no ] || printf '[[scheduler]]\nname = "healthy%d"\nbinary = "scx_kt"\n' $n
		printf '[[scheduler]]\nname = "%s"\nbinary = "scx_kt"\nargs = [%s]\n' "$name" \
			"$(sed 's/[^ ]*/"&"/g; s/ /, /g' <<<"$args")"
		n=$((n + 1))
	done
	[ "$healthy" = no ] || printf '[[scheduler]]\nname = "eevdf"\n'
}

scenario() {
	cat <<-'EOS'
		[[scenario]]
		name = "spin"
		duration = "1500ms"
		samples = 2
		stall = "2s"
		[[scenario.step]]
		hold = "full"
		cgroup = [{ name = "cg_0", workers = 2, work = "spin" }]
		[[scenario.assert]]
		series = "bpf:nr_dispatched"
		nondecreasing = true
		must_progress = true
	EOS
}

# Workers that may not run are not starved: with 40 ms of CPU per second, 24 of them wait for the rest of it.
# (A matrix has shorter periods, in which 7.2 lets each run for some microseconds.)
limited() {
	cat >"$WORK/limited.json" <<-'EOS'
		{"scenario": {"name": "limited", "duration_ns": 4000000000, "stall_ns": 700000000, "steps": [{"hold_ns": 4000000000,
		 "cgroups": [
		  {"name": "throttled", "limits": [{"file": "cpu.max", "text": "40000 1000000"}],
		   "groups": [{"workers": 24, "work": "spin"}]},
		  {"name": "free", "groups": [{"workers": 2, "work": "spin"}]}]}]}}
	EOS
	mkdir "$WORK/limited"
	"$KT_BIN/../tests/ktattempt" --kernel "$KERNEL" --ktguest "$KT_BIN/ktguest" --cache "$WORK/limited" \
		--job "$WORK/limited.json"
}

# is_named STATE ROW: the cell of that row has its cause, one line that says it, and the evidence.
is_named() {
	local name cause line evidence
	IFS='|' read -r name _ cause line evidence <<<"$2"
	KTCOORD_STATE=$1 ktcoord show last "spin/k/$name/small#0" >"$WORK/out"
	says "^spin/k/$name/small#0: fail"
	says "^ +1  host local .*  $cause  \(judged\)"
	says "^  fail +$cause: .*$line.*; [a-z]"
	says "$evidence"
}

# What a killed guest could leave behind on the host, of nobody who lives.
leftovers() {
	local cage
	find /sys/fs/cgroup -maxdepth 8 -type d -name 'ktcoord-*' 2>/dev/null | while read -r cage; do
		[ -d "/proc/${cage##*-}" ] || echo "$cage"
	done
	find /run/netns -mindepth 1 2>/dev/null || true
	pgrep -P 1 -a qemu-system || true
	find "$TMPDIR" -mindepth 1
}

export TMPDIR="$WORK/tmp"
mkdir "$TMPDIR"
before=$(leftovers)
{ schedulers no "${slow[@]}" && scenario; } | guest_matrix slow
{ schedulers yes "${quick[@]}" && scenario; } | guest_matrix knobs
KTCOORD_STATE="$WORK/slow" ktcoord "$WORK/slow.toml" >"$WORK/slow.out" 2>&1 &
beside=$!
exits 1 ktcoord "$WORK/knobs.toml"
says_not '^ERROR|infra '
for i in "${!quick[@]}"; do
	says "^PASS +spin/k/healthy$i/small#0"
done
says '^(PASS|SKIP) +spin/k/eevdf/small#0'
for row in "${quick[@]}"; do
	is_named "$KTCOORD_STATE" "$row"
done
wait "$beside" && fail "the slow ones passed"
for row in "${slow[@]}"; do
	is_named "$WORK/slow" "$row"
done
exits 0 limited
says '"cause": *"finished"'
nothing_left
[ "$(leftovers)" = "$before" ] || { leftovers >&2; fail "something is left on the host"; }
