# guest.sh - for tests with real guests (t50 and up). Sourced after lib.sh.
#
# Kernels are taken from a folder shared by all tests and runs: fetched once, through the machine's own apt.
# A machine that cannot reach its archive and has no kernel yet skips these tests, and says so.

SHARED=${XDG_CACHE_HOME:-$HOME/.cache}/ktcoord-tests
mkdir -p "$SHARED"

kernel_image() {
	local out
	if ! out=$(ktcoord kernels get --json --state "$SHARED" 2>"$WORK/kernels.err"); then
		echo "SKIP: no kernel with sched_ext can be had here: $(tail -n 1 "$WORK/kernels.err")"
		exit 77
	fi
	sed -n 's/.*"path": *"\([^"]*\)".*/\1/p' <<<"$out" | head -n 1
}

KERNEL=$(kernel_image) || { echo "$KERNEL"; exit 77; }

# guest_matrix NAME: kernel and topology are set; the rest comes from standard input.
guest_matrix() {
	cat >"$WORK/$1.toml" <<-EOF
		[sweep]
		name = "$1"
		[[kernel]]
		name = "k"
		path = "$KERNEL"
		[[topology]]
		name = "small"
		cpus = "1n1l2c1t"
	EOF
	cat >>"$WORK/$1.toml"
}

# spin_matrix NAME DURATION: one cell that passes, whatever the guest: the kernel's own scheduler, two busy workers.
spin_matrix() {
	guest_matrix "$1" <<-EOF
		[[scheduler]]
		name = "eevdf"
		[[scenario]]
		name = "short"
		duration = "$2"
		samples = 1
		[[scenario.step]]
		hold = "full"
		cgroup = [{ name = "cg_0", workers = 2, work = "spin" }]
		[[scenario.assert]]
		series = "monitor:cpus[0].nr_running"
		each = { at_least = 0 }
	EOF
}

# field CELL-PART JQ...: from the sweep that ran last.
show_json() {
	ktcoord show last "$@" --json
}
