#!/usr/bin/env bash
# Pass, fail, inconclusive, infra trouble: each is said as what it is, none as another (I7).
. "$(dirname "$0")/lib.sh"

# outcome EXIT SCRIPT: runs one scripted cell that must end so.
outcome() {
	matrix one <<-EOF
		[[scenario]]
		name = "one"
		duration = "10s"
		samples = 3
		script = '''$2'''
		[[scenario.step]]
		hold = "full"
		cgroup = [{ name = "cg", workers = 2, work = "spin" }]
		[[scenario.assert]]
		series = "bpf:nr_dispatched"
		nondecreasing = true
		must_progress = true
		min_samples = 2
	EOF
	exits "$1" ktcoord "$WORK/one.toml" --runner scripted
}

outcome 0 'sample bpf.nr_dispatched=1; sample bpf.nr_dispatched=2; sample bpf.nr_dispatched=2'
says '^PASS .* samples 3/3'

outcome 1 'sample bpf.nr_dispatched=1; sample bpf.nr_dispatched=5; sample bpf.nr_dispatched=4'
says '^FAIL'
says 'nondecreasing.*fell at periodic_002 \(\+7000[.0-9]* ms\): 4 after 5 at periodic_001 \(\+5000[.0-9]* ms\)'

outcome 1 'sample bpf.nr_dispatched=0; sample bpf.nr_dispatched=0; sample bpf.nr_dispatched=0'
says '^FAIL'

outcome 4 'sample bpf!unmapped; sample bpf!unmapped; sample bpf!unmapped'
says '^INCO'
exits 0 ktcoord "$WORK/one.toml" --runner scripted --allow-inconclusive

outcome 1 'sample; sample; fail scheduler_stalled "runnable task stall"'
says '^FAIL'
says 'runnable task stall'

outcome 1 'sample; fail kernel_panic "Kernel panic - not syncing: boom"'
says 'boom'

# Infra trouble: retried, green when the retry is; without a verdict when the tries are used up.
outcome 0 'die qemu_died "killed" x1; sample; sample; sample'
says 'infra .*qemu_died'
says '^PASS .*attempt 2'

outcome 3 'die qemu_died "killed by signal 9"'
says '^ERROR'
says 'qemu_died: killed by signal 9'
says '1 error \(infra trouble, no verdict\)'
says_not '^(PASS|FAIL)'
nothing_left
