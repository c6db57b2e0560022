#!/usr/bin/env bash
# ktcoord shell: one command in a guest with its input, outputs and exit status; the guest of a stored cell, looked
# at beside a sweep that runs; a prompt on a terminal; what the guest does to itself is told apart from what
# the command says; whatever is killed, no guest is left and the terminal is as it was.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/guest.sh"

[ -x /bin/busybox ] || { echo "SKIP: no busybox-static on this machine"; exit 77; }
RELEASE=$(ktcoord kernels get --json --state "$SHARED" | sed -n 's/.*"version": *"\([^"]*\)".*/\1/p' | head -n 1)

# shell ARGS...: no terminal, no input; both outputs in files.
shell() {
	local status=0
	ktcoord shell --kernel "$KERNEL" "$@" >"$WORK/stdout" 2>"$WORK/stderr" </dev/null || status=$?
	echo "$status" >"$WORK/status"
}

# gives STATUS STDOUT: the last shell did, and said nothing on standard error.
gives() {
	if [ "$(cat "$WORK/status")" != "$1" ] || [ "$(cat "$WORK/stdout")" != "$2" ] || [ -s "$WORK/stderr" ]; then
		cat "$WORK/status" "$WORK/stdout" "$WORK/stderr" >&2
		fail "not status $1 with '$2'"
	fi
}

# ---- what is wrong is said before anything boots

exits 2 ktcoord shell --cell last --kernel "$KERNEL"
says 'already'
exits 2 ktcoord shell no-option
says 'one word too many'
exits 2 ktcoord shell --kernel "$KERNEL" --scheduler no_such_scheduler
says "^ktcoord: --scheduler: no program 'no_such_scheduler'"
exits 2 ktcoord shell --kernel "$KERNEL" --scheduler "scx_kt 'open"
says 'quote is not closed'
exits 2 ktcoord shell --kernel "$KERNEL" --topology 1n1l
says "^ktcoord: --topology: "
exits 2 ktcoord shell --kernel "$KERNEL" --memory much
says "'much' is no size"
exits 2 ktcoord shell --kernel ./nothing
says 'nothing'
exits 2 ktcoord shell --cell last
says "no sweep 'last'"

# ---- a command

shell --exec "uname -r"
gives 0 "$RELEASE"
shell --exec "echo out >/dev/stdout; echo err >/dev/stderr; exit 7"
[ "$(cat "$WORK/status")" = 7 ] && [ "$(cat "$WORK/stdout")" = out ] && [ "$(cat "$WORK/stderr")" = err ] ||
	fail "streams or status: $(cat "$WORK/status" "$WORK/stdout" "$WORK/stderr")"
shell --exec 'kill -9 $$'
gives 137 ""
shell --scheduler "scx_kt --slow" --exec 'cat /sys/kernel/sched_ext/root/ops; echo $KT_SCHEDULER; grep -c . /proc/sys/kernel/osrelease'
gives 0 "scx_kt
scx_kt
1"
shell --topology 1n2l2c1t --memory 400M --exec 'nproc; awk "/MemTotal/ { print (\$2 > 300000) }" /proc/meminfo'
gives 0 "4
1"
sum=$(seq 1 50000 | md5sum)
got=$(seq 1 50000 | ktcoord shell --kernel "$KERNEL" --exec md5sum)
[ "$got" = "$sum" ] || fail "standard input: $got"
got=$(ktcoord shell --kernel "$KERNEL" --exec "seq 1 50000" </dev/null | md5sum)
[ "$got" = "$sum" ] || fail "standard output: $got"
got=$(printf 'cd /sys/kernel\npwd\nexit 3\n' | ktcoord shell --kernel "$KERNEL") && fail "status of a script"
[ "$got" = /sys/kernel ] || fail "a script on standard input: $got"
# A reader that goes ends it, as it ends any program.
(set +o pipefail; ktcoord shell --kernel "$KERNEL" --exec yes </dev/null 2>"$WORK/stderr" | head -n 1) >"$WORK/out"
says '^y$'
[ ! -s "$WORK/stderr" ] || fail "it complains: $(cat "$WORK/stderr")"
# A program of the host's, with its libraries.
if [ -x /usr/sbin/bpftool ]; then
	shell --with bpftool --with scx_kt --scheduler scx_kt --exec 'bpftool prog show | grep -c struct_ops; scx_kt --help | head -n 1'
	[ "$(sed -n 1p "$WORK/stdout")" -gt 3 ] || fail "bpftool: $(cat "$WORK/stdout" "$WORK/stderr")"
	grep -q '^usage: scx_kt' "$WORK/stdout" || fail "scx_kt: $(cat "$WORK/stdout" "$WORK/stderr")"
fi
nothing_left

# ---- what the guest does is told apart from what the command says

shell --scheduler "scx_kt --fail-verify" --exec "echo not reached"
[ "$(cat "$WORK/status")" = 1 ] && [ ! -s "$WORK/stdout" ] || fail "a refused scheduler: $(cat "$WORK/stdout")"
tail -n 1 "$WORK/stderr" | grep -q '^ktcoord: scheduler_rejected: ' || fail "$(cat "$WORK/stderr")"
shell --scheduler "scx_kt --stall-after 1 --watchdog-ms 2000" --exec \
	'while [ "$(cat /sys/kernel/sched_ext/state)" = enabled ]; do sleep 0.2; done; sleep 3; echo went on; exit 5'
[ "$(cat "$WORK/status")" = 5 ] && [ "$(cat "$WORK/stdout")" = "went on" ] || fail "$(cat "$WORK/stdout" "$WORK/stderr")"
grep -q "^ktcoord: the scheduler is gone, the kernel's own goes on: a runnable task was not run" "$WORK/stderr" || fail "$(cat "$WORK/stderr")"
shell --exec 'echo c >/proc/sysrq-trigger; sleep 60'
[ "$(cat "$WORK/status")" = 1 ] || fail "a panic: $(cat "$WORK/status")"
tail -n 1 "$WORK/stderr" | grep -q '^ktcoord: kernel_panic: .*while the shell was open' || fail "$(cat "$WORK/stderr")"
nothing_left

# ---- a stored cell, and a sweep that runs beside it

guest_matrix cells <<-'INNER'
	[[scheduler]]
	name = "slow"
	binary = "scx_kt"
	args = ["--slow"]
	[[scenario]]
	name = "short"
	duration = "6s"
	samples = 1
	[[scenario.step]]
	hold = "full"
	cgroup = [{ name = "cg_0", workers = 2, work = "spin" }]
	[[scenario.assert]]
	series = "monitor:cpus[0].nr_running"
	each = { at_least = 0 }
INNER
sed -i 's/"1n1l2c1t"/"1n2l2c1t"/' "$WORK/cells.toml"
ktcoord "$WORK/cells.toml" >"$WORK/run" 2>&1 &
sweep=$!
for _ in $(seq 300); do
	grep -q ': run' "$WORK/run" && break
	sleep 0.1
done
kill -0 "$sweep" || { cat "$WORK/run" >&2; fail "the sweep is over already"; }
shell --exec "nproc"
gives 0 2
wait "$sweep" || { cat "$WORK/run" >&2; fail "the sweep beside a shell"; }
ktcoord shell --cell last short/k/slow/small#0 --exec 'uname -r; nproc; cat /sys/kernel/sched_ext/root/ops
	tr "\0" " " </proc/$(pidof scx_kt)/cmdline | grep -o -e --slow; [ "$KT_SEED" != 0 ] && echo seed' >"$WORK/stdout" 2>"$WORK/stderr" </dev/null ||
	fail "--cell: $(cat "$WORK/stdout" "$WORK/stderr")"
[ "$(cat "$WORK/stdout")" = "$RELEASE
4
scx_kt
--slow
seed" ] || fail "--cell: $(cat "$WORK/stdout" "$WORK/stderr")"
exits 2 ktcoord shell --cell last no/such/cell --exec true
says "no cell 'no/such/cell'"
nothing_left

# ---- somebody at a terminal; whatever is killed

python3 "$KT_SOURCE/tests/e2e/at_a_terminal.py" "$KERNEL" "$RELEASE" "$WORK" || fail "at a terminal"
nothing_left
