#!/usr/bin/env bash
# Every fault knob of scx_kt ends as a failure with the right cause and the evidence, never as infra
# trouble; the kernel's own scheduler beside them passes.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/guest.sh"

guest_matrix knobs <<'EOF'
[[scheduler]]
name = "eevdf"
[[scheduler]]
name = "stalls"
binary = "scx_kt"
args = ["--stall-after", "2"]
[[scheduler]]
name = "crashes"
binary = "scx_kt"
args = ["--crash-after", "2"]
[[scheduler]]
name = "exits"
binary = "scx_kt"
args = ["--exit-after", "2"]
[[scheduler]]
name = "unverifiable"
binary = "scx_kt"
args = ["--fail-verify"]
[[scheduler]]
name = "panics"
binary = "scx_kt"
args = ["--panic-after", "2"]
[[scenario]]
name = "spin"
duration = "8s"
watchdog = "2s"
samples = 3
[[scenario.step]]
hold = "full"
cgroup = [{ name = "cg_0", workers = 2, work = "spin" }]
[[scenario.assert]]
series = "bpf:nr_dispatched"
nondecreasing = true
EOF

exits 1 ktcoord "$WORK/knobs.toml"
says_not '^ERROR|infra '
says '^(PASS|SKIP) +spin/k/eevdf/small#0'
nothing_left
# cause SCHEDULER CAUSE EVIDENCE
cause() {
	ktcoord show last "spin/k/$1/small#0" >"$WORK/out"
	says "^spin/k/$1/small#0: fail"
	says "^ +1  host local .*  $2  \(judged\)"
	says "$3"
}
cause stalls scheduler_stalled 'runnable task stall|failed to run for'
cause crashes scheduler_crashed 'scx_bpf_error|runtime error'
cause exits scheduler_exited 'unregistered|exit'
cause unverifiable scheduler_rejected 'processed [0-9]+ insns|invalid|R[0-9]'
cause panics kernel_panic 'Kernel panic - not syncing'
