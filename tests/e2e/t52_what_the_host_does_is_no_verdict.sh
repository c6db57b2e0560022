#!/usr/bin/env bash
# QEMU killed from outside is infra trouble, retried, and green when the retry is. A kernel image that is cut,
# a guest that is too large: exit 3 with the cause, no verdict.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/guest.sh"

scenario='
[[scheduler]]
name = "scx_kt"
binary = "scx_kt"
[[scenario]]
name = "short"
duration = "2s"
samples = 2
[[scenario.step]]
hold = "full"
cgroup = [{ name = "cg_0", workers = 2, work = "spin" }]
[[scenario.assert]]
series = "bpf:nr_dispatched"
must_progress = true
nondecreasing = true
'
guest_matrix kill <<<"$scenario"

qemu_of() { # the QEMU below this ktcoord
	local p=$1 c
	for c in $(pgrep -P "$p"); do
		if [ "$(cat "/proc/$c/comm" 2>/dev/null)" = qemu-system-x86 ]; then
			echo "$c"
		else
			qemu_of "$c"
		fi
	done
}

ktcoord "$WORK/kill.toml" >"$WORK/run" 2>&1 &
coordinator=$!
for _ in $(seq 600); do
	grep -q ': load' "$WORK/run" && break
	sleep 0.1
done
# The run's own comes first; one that stands by for the next cell was started later.
read -r qemu _ <<<"$(qemu_of "$coordinator" | tr '\n' ' ')"
[ -n "$qemu" ] || { cat "$WORK/run" >&2; fail "no QEMU is running"; }
kill -KILL "$qemu"
wait "$coordinator" || { cat "$WORK/run" >&2; fail "exit status $?"; }
cp "$WORK/run" "$WORK/out"
says 'infra .*qemu_died'
says '^PASS .*attempt 2'
nothing_left

head -c 5000000 "$KERNEL" >"$WORK/cut"
sed "s|^path = .*|path = \"$WORK/cut\"|" "$WORK/kill.toml" >"$WORK/cut.toml"
exits 3 ktcoord "$WORK/cut.toml"
says 'cut'
says_not '^(PASS|FAIL)'

sed 's|^cpus = .*|cpus = "1n1l2c1t"\nmemory = "60G"|; s|^name = "kill"|name = "large"\nattempts = 1|' "$WORK/kill.toml" >"$WORK/large.toml"
exits 3 ktcoord "$WORK/large.toml"
says 'unschedulable: needs 60 GiB of memory, the largest host \(local\) gives'
nothing_left

# A host without QEMU is asked once, and says what to install.
if unshare -m true 2>/dev/null; then
	exits 3 unshare -m bash -c "mount --bind /dev/null \"\$(readlink -f \"\$(command -v qemu-system-x86_64)\")\" &&
		ktcoord '$WORK/kill.toml'"
	says 'qemu_missing.*qemu-system-x86'
	[ "$(grep -c qemu_missing "$WORK/out")" -eq 1 ] || fail "it was asked more than once"
	says_not '^(PASS|FAIL|ERROR)'
	nothing_left
fi
