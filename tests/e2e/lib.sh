# lib.sh - what every end-to-end test begins with. Sourced, not run.
#
# A test gets a state folder of its own, and at its end no process and no file of it may be left.
set -euo pipefail

: "${KT_BIN:?is set by ctest: the folder of the programs}"
: "${KT_SOURCE:?is set by ctest: the source tree}"
export PATH="$KT_BIN:$PATH"

WORK=$(mktemp -d /tmp/kt-e2e.XXXXXX)
export KTCOORD_STATE="$WORK/state"

finish() {
	local status=$?
	pkill -KILL -f "$WORK" 2>/dev/null || true
	# What the asan preset finds in a process that nobody waits for stands in a log only.
	if grep -rhsE 'ERROR: (Address|Leak)Sanitizer|runtime error:' "$WORK" --include='*.log' --include=run --include=out; then
		status=1
	fi
	[ "$status" -eq 0 ] || { echo "--- kept: $WORK" >&2; exit "$status"; }
	rm -rf "$WORK"
}
trap finish EXIT

fail() {
	echo "FAIL: $*" >&2
	exit 1
}

# exits STATUS COMMAND...: the command must end with that status; its output is in $WORK/out.
exits() {
	local want=$1 got=0
	shift
	"$@" >"$WORK/out" 2>&1 || got=$?
	[ "$got" -eq "$want" ] || { cat "$WORK/out" >&2; fail "exit status $got, not $want: $*"; }
}

# says PATTERN: the last output holds a line that matches.
says() {
	grep -qE -- "$1" "$WORK/out" || { cat "$WORK/out" >&2; fail "no line matches: $1"; }
}

says_not() {
	! grep -qE -- "$1" "$WORK/out" || { cat "$WORK/out" >&2; fail "a line matches: $1"; }
}

# nothing_left: no process works for this test any more, and no socket, RAM file or run folder is there.
nothing_left() {
	local i
	for i in $(seq 50); do
		pgrep -f "$WORK" >/dev/null || break
		sleep 0.1
	done
	! pgrep -af "$WORK" >&2 || fail "processes are left"
	! find "$KTCOORD_STATE" -type s | grep . >&2 || fail "sockets are left"
	! find "$KTCOORD_STATE/worker/run" -mindepth 1 2>/dev/null | grep . >&2 || fail "run folders are left"
	! find /dev/shm -name 'kt*' | grep . >&2 || fail "files in /dev/shm are left"
}

# children PID: its descendants, a line each: the pid and the command.
children() {
	local c line
	for c in $(pgrep -P "$1" || true); do
		line=$(tr '\0' ' ' 2>/dev/null <"/proc/$c/cmdline") || continue # it has ended
		echo "$c $line"
		children "$c"
	done
}

# matrix NAME: a scripted matrix of one scenario, from standard input the [[scenario]] lines.
matrix() {
	cat >"$WORK/$1.toml" <<-'EOF'
		[sweep]
		name = "e2e"
		[[kernel]]
		name = "any"
		path = "/nonexistent/vmlinuz"
		[[scheduler]]
		name = "scx_kt"
		binary = "scx_kt"
		[[topology]]
		name = "small"
		cpus = "1n1l2c1t"
	EOF
	cat >>"$WORK/$1.toml"
}
