#!/usr/bin/env bash
# At every start a key that is in no list must be refused by both endpoints, or nothing starts. The environment leaves
# ZeroMQ's enforcement out, which is what czmq's call for it does here; without it the same command runs. (No network is
# needed.)
. "$(dirname "$0")/lib.sh"

matrix one <<'END'
[[scenario]]
name = "one"
duration = "10s"
samples = 3
script = "sample; sample; sample"
[[scenario.step]]
hold = "full"
cgroup = [{ name = "cg", workers = 2, work = "spin" }]
[[scenario.assert]]
series = "bpf:nr_dispatched"
nondecreasing = true
END

port=$((20000 + $$ % 12000)) # below the ephemeral ports: nobody else is given it
at="tcp://127.0.0.1:$port"
exits 0 ktcoord keys new
server=$(sed -n 's/^public //p' "$KTCOORD_STATE/keys/coordinator.key")
ktworker key --state "$WORK/lab1" >/dev/null 2>&1
exits 0 ktcoord keys allow lab1 "$WORK/lab1/host.key"
ktworker --connect "$at" --state "$WORK/lab1" --id lab1 --runner scripted --server-key "$server" \
	>"$WORK/lab1.log" 2>&1 &
worker=$!

exits 3 env KTCOORD_TEST_LETS_STRANGERS_IN=1 timeout 60 \
	ktcoord "$WORK/one.toml" --runner scripted --listen "$at" --keys --verbose
says 'strangers_are_refused proven=no '
says "^ktcoord: $at lets strangers in: a key that is in no list was taken.*nothing is started"
says_not 'PASS'
! grep -q ' welcome ' "$WORK/lab1.log" || fail "somebody was let in all the same"

exits 0 timeout 60 ktcoord "$WORK/one.toml" --runner scripted --listen "$at" --keys --verbose
says 'strangers_are_refused proven=yes '
says '^1 cells?: 1 pass'
kill -INT "$worker"
wait "$worker" || true
nothing_left
