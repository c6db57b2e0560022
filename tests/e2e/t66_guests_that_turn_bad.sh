#!/usr/bin/env bash
# A guest can go wrong without its scheduler: memory runs out, ktguest is killed, the kernel dies, a worker is killed. Each
# is told by its name, the last one by a note, and the next cell is as good as ever.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/guest.sh"

# payload NAME SCRIPT
payload() {
	printf "[[payload]]\nname = \"%s\"\nprogram = \"sh\"\nargs = [\"-c\", '''%s''']\n" "$1" "$2"
}

# attacked NAME: two spinners; after half a second a payload of that name does its worst.
attacked() {
	cat <<-EOS
		[[scenario]]
		name = "$1"
		duration = "1s"
		[scenario.backdrop]
		cgroup = [{ name = "cg_0", workers = 2, work = "spin" }]
		[[scenario.step]]
		hold = "500ms"
		[[scenario.step]]
		hold = "500ms"
		ops = [{ run_payload = "$1" }, { wait_payload = "$1", deadline = "5s" }]
	EOS
}

# shellcheck disable=SC2016 # the guest's shell expands them
{
	printf '[[scheduler]]\nname = "eevdf"\n'
	payload ktguest_dies 'kill -SEGV 1'
	payload kernel_dies 'echo c >/proc/sysrq-trigger'
	payload worker_dies 'for p in /proc/[0-9]*; do read c <$p/comm; [ "$c" != spin ] || { kill -9 ${p#/proc/}; exit 0; }; done; exit 1'
	attacked ktguest_dies
	attacked kernel_dies
	cat <<-'EOS'
		[[scenario]]
		name = "memory_ends"
		duration = "1s"
		[[scenario.step]]
		hold = "full"
		cgroup = [{ name = "cg_0", workers = 2, work = "page_fault", params = { bytes = "64M" }, memory_max = "4M" }]
	EOS
	attacked worker_dies
} | guest_matrix bad

# says_of SCENARIO PATTERN...
says_of() {
	local pattern
	ktcoord show last "$1/k/eevdf/small#0" >"$WORK/out"
	shift
	for pattern in "$@"; do
		says "$pattern"
	done
}

exits 1 ktcoord "$WORK/bad.toml"
says_not '^ERROR|infra '
says_of ktguest_dies ': fail$' 'guest_hung: the guest powered itself off while the scenario ran' 'ktguest: fatal signal'
says_of kernel_dies ': fail$' 'kernel_panic: .*Kernel panic - not syncing: sysrq triggered crash'
says_of memory_ends ': fail$' 'guest_oom: .*killed a worker: Memory cgroup out of memory: Killed process [0-9]+ \(page_fault\)' 'oom-kill:'
says_of worker_dies ': pass$' 'note: 1 of 2 workers gave no report: cg_0/[01]: it was ended by signal 9'
nothing_left
