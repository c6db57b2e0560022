#!/usr/bin/env bash
# A scenario asks for captures and changes its scheduler: captures carry their tag and stand where they were asked for;
# every scheduler that is attached begins an epoch, which tells a counter that begins anew from one that fell; one that
# is detached is not there, and not lost; the next one gets sched_ext's watchdog as the scenario wants it.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/guest.sh"

# step OPS [HOLD]
step() {
	printf '[[scenario.step]]\nhold = "%s"\ncgroup = [{ name = "cg_0", workers = 2, work = "spin" }]\nops = [%s]\n' \
		"${2:-1s}" "$1"
}

# scenario NAME SCHEDULER DURATION SAMPLES [MORE]
scenario() {
	printf '[[scenario]]\nname = "%s"\nschedulers = ["%s"]\nduration = "%s"\nsamples = %s\n%s\n' "$1" "$2" "$3" "$4" "${5:-}"
}

guest_matrix changes <<EOF
[[scheduler]]
name = "scx_kt"
binary = "scx_kt"
[[scheduler]]
name = "slow"
binary = "scx_kt"
args = ["--slow"]
[[scheduler]] # looks at its tasks after 6, 12, 18 s, for such that wait for 12 s
name = "stalls"
binary = "scx_kt"
args = ["--stall-after", "3", "--watchdog-ms", "12000"]

$(scenario restart scx_kt 3s 2)
$(step '')
$(step '{ capture = "before" }, { restart_scheduler = true }, { capture = "after" }')
$(step '')
[[scenario.assert]]
series = "bpf:nr_dispatched"
nondecreasing = true
must_progress = true
reset = "epoch"

$(scenario replace scx_kt 2s 0)
$(step '{ capture = "own" }, { replace_scheduler = "slow" }')
$(step '{ capture = "slow" }')

$(scenario detach scx_kt 2s 0)
$(step '{ detach_scheduler = true }')
$(step '{ capture = "detached" }, { attach_scheduler = true }, { capture = "attached" }')

$(scenario watchdog stalls 12s 0 'watchdog = "1s"')
$(step '{ restart_scheduler = true }' 12s)
EOF

exits 1 ktcoord "$WORK/changes.toml" # the last one fails, as it should
for name in restart replace detach; do
	says "^PASS +$name/k/scx_kt/small#0"
done
says '^FAIL +watchdog/k/stalls/small#0'
nothing_left

# samples CELL: tag, epoch, step, and what is known of the scheduler; those of periodic samples are where they are.
samples() {
	show_json "$1" | python3 -c '
import json, sys
for s in json.load(sys.stdin)["samples"]:
    axes = s["axes"]
    bpf, stats = axes["bpf"], axes["stats"]
    maps = bpf["value"]["maps"] if not bpf["error"] else []
    burned = any(m["running"] and m.get("vars", {}).get("nr_burned") for m in maps)
    print(s["tag"], s["epoch"], s["step"], bpf["error"] or "read", stats["error"] or "answered", "burned" if burned else "honest")
' >"$WORK/out"
}

samples restart/k/scx_kt/small#0
says '^periodic_000 0 0 read answered honest$'
says '^before 0 0 read answered honest$'
says '^after 1 0 read answered honest$'
says '^periodic_001 1 [12] read answered honest$'
[ "$(wc -l <"$WORK/out")" -eq 4 ] || fail "other samples as well"
samples replace/k/scx_kt/small#0
says '^own 0 0 read answered honest$'
says '^slow 1 0 read answered burned$'
samples detach/k/scx_kt/small#0
says '^detached 0 0 no_scheduler no_scheduler honest$'
says '^attached 1 0 read answered honest$'

# Its counters began anew: without epochs that is a counter that fell.
sed 's/^reset = "epoch"$//' "$WORK/changes.toml" >"$WORK/without.toml"
exits 1 ktcoord judge last "$WORK/without.toml"
says 'nr_dispatched.*fell at after'

# 6 s after the restart, where the scheduler's own 12 s would have been over after 18.
ktcoord show last watchdog/k/stalls/small#0 >"$WORK/out"
says 'scheduler_stalled: .*failed to run for [1-6]\.[0-9]'
says 'op .*restart_scheduler'
