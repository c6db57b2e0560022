#!/usr/bin/env bash
# The same protocol over tcp://127.0.0.1 with three workers that come and go; a name that is taken is
# refused in words; other addresses are refused as long as there are no keys (t31).
. "$(dirname "$0")/lib.sh"

matrix many <<'EOF'
[[scenario]]
name = "many"
duration = "10s"
samples = 3
repeats = 60
script = "sample; wait 20ms; sample; wait 20ms; sample"
[[scenario.step]]
hold = "full"
cgroup = [{ name = "cg", workers = 2, work = "spin" }]
[[scenario.assert]]
series = "bpf:nr_dispatched"
nondecreasing = true
EOF

exits 2 ktcoord "$WORK/many.toml" --runner scripted --listen tcp://0.0.0.0:7000
says 'ktcoord keys new'

port=$((20000 + $$ % 12000)) # below the ephemeral ports: nobody else is given it
ktcoord "$WORK/many.toml" --runner scripted --listen "tcp://127.0.0.1:$port" >"$WORK/run" 2>&1 &
coordinator=$!
for host in a b c; do
	ktworker --connect "tcp://127.0.0.1:$port" --state "$WORK/$host" --id "$host" --slots 4 --runner scripted \
		>"$WORK/$host.log" 2>&1 &
done
sleep 0.7
pkill -KILL -f "ktworker .*--state $WORK/b " || true
wait "$coordinator" || { cat "$WORK/run" >&2; fail "exit status $?"; }
grep -q '^60 cells: 60 pass' "$WORK/run" || { cat "$WORK/run" >&2; fail "not all passed"; }
hosts=$(sqlite3 "$KTCOORD_STATE"/sweeps/e2e-*.sweep 'SELECT count(*) FROM fact WHERE tag = 3')
[ "$hosts" -ge 2 ] || fail "only $hosts hosts took part"
pkill -TERM -f "ktworker .*$WORK" || true
nothing_left
