#!/usr/bin/env bash
# A shell's soft limit of descriptors does not bound the fleet: ktcoord takes what the hard limit allows.
. "$(dirname "$0")/lib.sh"

matrix many <<'END'
[[scenario]]
name = "many"
duration = "1s"
samples = 2
repeats = 10000
[[scenario.step]]
hold = "full"
cgroup = [{ name = "cg", workers = 1, work = "spin" }]
[[scenario.assert]]
series = "bpf:nr_dispatched"
nondecreasing = true
END

[ "$(ulimit -Hn)" = unlimited ] || [ "$(ulimit -Hn)" -ge 512 ] || {
	echo "skipped: the hard limit of descriptors is $(ulimit -Hn), this needs 512"
	exit 77
}
(
	ulimit -Sn 100
	exec ktcoord "$WORK/many.toml" --runner scripted --listen "ipc://$WORK/sock" --out "$WORK/many.sweep"
) >"$WORK/run" 2>&1 &
coordinator=$!
(
	ulimit -Sn "$(ulimit -Hn)"
	exec "$KT_BIN/../tests/ktswarm" --connect "ipc://$WORK/sock" --sessions 150 --slots 1 --seconds 300
) >"$WORK/swarm" 2>"$WORK/swarm.log" &
swarm=$!
joined=0
for _ in $(seq 600); do
	joined=$(grep -c ' host_joined ' "$KTCOORD_STATE/coordinator.log" 2>/dev/null) || true
	[ "${joined:-0}" -lt 150 ] && kill -0 "$coordinator" 2>/dev/null || break
	sleep 0.1
done
kill -TERM "$coordinator" 2>/dev/null || true
wait "$coordinator" || true
kill -TERM "$swarm" 2>/dev/null || true
wait "$swarm" || true
[ "${joined:-0}" -ge 150 ] || { tail -n 3 "$WORK/run" "$WORK/swarm.log" >&2; fail "${joined:-0} of 150 workers were taken in"; }
nothing_left
