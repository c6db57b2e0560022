#!/usr/bin/env bash
# `ktcoord workers` and `status` ask the running coordinator over its socket, as tables and as JSON; when none runs
# they say so, and the last sweep tells out of its journal.
. "$(dirname "$0")/lib.sh"

matrix asked <<'EOF'
[[scenario]]
name = "asked"
duration = "10s"
samples = 1
repeats = 6
script = "sample; wait 300ms"
[[scenario.step]]
hold = "full"
cgroup = [{ name = "cg", workers = 2, work = "spin" }]
EOF

# value EXPRESSION: of `d`, the JSON of the last output.
value() {
	python3 -c 'import json, sys; d = json.load(open(sys.argv[1])); print(eval(sys.argv[2]))' "$WORK/out" "$1"
}

exits 3 ktcoord workers
says 'no coordinator runs in '
exits 3 ktcoord workers --json
says '"running": false'
exits 2 ktcoord status
says "no sweep 'last'"

ktcoord "$WORK/asked.toml" --runner scripted --listen "ipc://$WORK/control" >"$WORK/run" 2>&1 &
coordinator=$!
until ktcoord status >"$WORK/out" 2>&1 && grep -q ': running' "$WORK/out"; do
	kill -0 "$coordinator" || fail "it ended before anybody came"
	sleep 0.05
done
says '^0/6 cells done'
says "^6 cells wait: no host is connected"
says "workers connect to ipc://$WORK/control"
exits 0 ktcoord workers
says '^no host has been here'
[ "$(stat -c %a "$KTCOORD_STATE/run/ktcoord.sock")" = 600 ] || fail "the socket is not ours alone"

ktworker --connect "ipc://$WORK/control" --state "$WORK/w" --id lab1 --slots 2 --runner scripted >"$WORK/w.log" 2>&1 &
until ktcoord workers --json >"$WORK/out" 2>&1 && [ "$(value 'len(d["workers"]) and len(d["workers"][0]["running"])')" = 2 ]; do
	kill -0 "$coordinator" || fail "it ended before it was seen"
	sleep 0.02
done
[ "$(value 'd["workers"][0]["host"]')" = lab1 ] || fail "another host"
[ "$(value 'd["workers"][0]["connected"]')" = True ] || fail "it is not connected"
[ "$(value 'd["workers"][0]["slots"]')" = "{'used': 2, 'total': 2}" ] || fail "slots"
[ "$(value 'd["workers"][0]["cpus"]["given"]')" = 4 ] || fail "CPUs"
[ "$(value 'd["workers"][0]["mem_bytes"]["given"]')" = $((512 << 20)) ] || fail "memory"
[ "$(value 'd["workers"][0]["admission"]')" = open ] || fail "admission"
[ "$(value 'd["workers"][0]["heard_s"] < 60')" = True ] || fail "heard_s"
[ "$(value 'd["workers"][0]["address"]')" = "" ] || fail "an address over a local socket"
[[ "$(value 'd["workers"][0]["running"][0]["cell"]')" = asked/any/scx_kt/small#* ]] || fail "the cell it runs"
[ "$(value '"sweep" in d and "ask" not in d')" = True ] || fail "the socket's own words are in it"

wait "$coordinator" || { cat "$WORK/run" >&2; fail "exit status $?"; }
exits 0 ktcoord status
says 'no coordinator runs in '
says '^sweep e2e-.*: finished'
says '^6/6 cells done'
says '^6 pass'
exits 0 ktcoord status --json
sed -i '/^ktcoord:/d' "$WORK/out"
[ "$(value 'd["running"], d["closed"], d["done"], d["waits"]')" = "(False, True, 6, [])" ] || fail "$(value d)"
pkill -TERM -f "ktworker .*$WORK" || true
nothing_left

# Each event is one line, and every line is logfmt.
exits 0 "$KT_SOURCE/tests/e2e/logfmt.py" "$KT_SOURCE" "$KTCOORD_STATE/coordinator.log"
for event in granted ended judged; do
	says "^$event 6\$"
done
for event in sweep_opened started term_begun host_joined sweep_closed stopped; do
	says "^$event 1\$"
done
exits 0 "$KT_SOURCE/tests/e2e/logfmt.py" "$KT_SOURCE" "$WORK/w.log"
says '^lease_taken 6$'
says '^attempt_ended 6$'
