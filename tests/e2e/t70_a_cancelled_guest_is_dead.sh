#!/usr/bin/env bash
# `ktcoord cancel` of a cell and of a sweep with real guests: the QEMU of what was cancelled is gone when the command
# returns, the other one runs on.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/guest.sh"

guest_matrix cancel <<'EOF'
[[scheduler]]
name = "eevdf"
[[scenario]]
name = "one"
duration = "10m"
samples = 1
[[scenario.step]]
hold = "full"
cgroup = [{ name = "cg_0", workers = 1, work = "spin" }]
[[scenario]]
name = "two"
duration = "10m"
samples = 1
[[scenario.step]]
hold = "full"
cgroup = [{ name = "cg_0", workers = 1, work = "spin" }]
EOF

# qemus: the guests that live below the coordinator. What has ended and waits for its parent does not.
qemus() {
	local pid
	children "$coordinator" | awk '/qemu-system/ { print $1 }' | while read -r pid; do
		[ ! -e "/proc/$pid/exe" ] || echo "$pid"
	done
}

# Cold: no guest stands by, so each QEMU is a cell's.
ktcoord "$WORK/cancel.toml" --slots 2 --cold >"$WORK/run" 2>&1 &
coordinator=$!
for _ in $(seq 1200); do
	if ktcoord workers >"$WORK/out" 2>/dev/null && [ "$(grep -c ': run, ' "$WORK/out")" = 2 ]; then
		break
	fi
	kill -0 "$coordinator" 2>/dev/null || { cat "$WORK/run" >&2; fail "it ended"; }
	sleep 0.1
done
says '^  one/.*: run, '
[ "$(qemus | wc -l)" -eq 2 ] || { children "$coordinator" >&2; fail "not two guests"; }

exits 0 ktcoord cancel one
[ "$(qemus | wc -l)" -eq 1 ] || { children "$coordinator" >&2; fail "$(qemus | wc -l) guests live when cancel has returned"; }
says '^1 cell of sweep cancel-.* cancelled, 1 guest killed'
exits 0 ktcoord workers
says '^  two/.*: run, '

exits 0 ktcoord cancel
[ -z "$(qemus)" ] || { children "$coordinator" >&2; fail "a guest lives when cancel has returned"; }
status=0
wait "$coordinator" || status=$?
[ "$status" -eq 130 ] || { cat "$WORK/run" >&2; fail "exit status $status"; }
exits 130 ktcoord report last
says '^2 cells: 2 cancelled'
nothing_left
