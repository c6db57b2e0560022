#!/usr/bin/env bash
# drain: a host finishes what it runs, gets nothing more, and takes part again after --undo. cancel: a cell or the sweep
# has its end; when the command returns the worker has killed what ran, or the host that did not answer is named, and
# kills it when it is back. Cancelled cells are neither pass nor fail, and run again when somebody asks.
. "$(dirname "$0")/lib.sh"

cat >"$WORK/steps" <<'EOF'
[[scenario.step]]
hold = "full"
cgroup = [{ name = "cg", workers = 2, work = "spin" }]
[[scenario.assert]]
series = "bpf:nr_dispatched"
nondecreasing = true
EOF

# scenario NAME REPEATS SCRIPT: its lines.
scenario() {
	cat <<-END
		[[scenario]]
		name = "$1"
		duration = "10s"
		samples = 2
		repeats = $2
		script = "$3"
	END
	cat "$WORK/steps"
}

control="ipc://$WORK/control"
mkdir -p "$KTCOORD_STATE"
echo "listen = \"$control\"" >"$KTCOORD_STATE/fleet.toml"

pid_w1='' pid_w2=''
# The runner is scripted: cells are played within their worker, which says in its log when one was killed.
for host in w1 w2; do
	ktworker --connect "$control" --state "$WORK/$host" --id "$host" --slots 2 --runner scripted >"$WORK/$host.log" 2>&1 &
	printf -v "pid_$host" %d $!
done
pid_1=$pid_w1 pid_2=$pid_w2

# value EXPRESSION: of `d`, the newest answer of `ktcoord workers`, and of host(NAME) in it.
value() {
	ktcoord workers --json >"$WORK/json" 2>/dev/null || { echo none; return; }
	python3 -c '
import json, sys
d = json.load(open(sys.argv[1]))
def host(name):
    return next((w for w in d["workers"] if w["host"] == name), {"running": [], "admission": "", "connected": False})
print(eval(sys.argv[2]))' "$WORK/json" "$1"
}

# until_is WANTED EXPRESSION: at most a minute.
until_is() {
	for _ in $(seq 300); do
		[ "$(value "$2")" = "$1" ] && return
		sleep 0.1
	done
	cat "$WORK/json" >&2
	fail "never $1: $2"
}

killed() { grep -c ' ktworker attempt_killed ' "$WORK/$1.log" || true; }
leases() { grep -c ' ktworker lease_taken ' "$WORK/$1.log" || true; }

begin() {
	ktcoord "$@" >"$WORK/run" 2>&1 &
	coordinator=$!
}

# ends STATUS: the coordinator does.
ends() {
	local got=0
	wait "$coordinator" || got=$?
	[ "$got" -eq "$1" ] || { cat "$WORK/run" >&2; fail "exit status $got, not $1"; }
}

# ---- drain

scenario many 100 "sample; wait 200ms; sample" | matrix many
begin "$WORK/many.toml" --runner scripted
until_is True 'len(host("w1")["running"]) == 2 and len(host("w2")["running"]) == 2'
exits 2 ktcoord drain w3
says "no host 'w3'"
exits 0 ktcoord drain w1
says '^host w1 is drained'
until_is 0 'len(host("w1")["running"])'
had=$(leases w1)
others=$(leases w2)
until [ "$(leases w2)" -ge $((others + 4)) ]; do sleep 0.05; done
[ "$(leases w1)" -eq "$had" ] || fail "a drained host was given a cell"
[ "$(value 'host("w1")["admission"], host("w1")["connected"], "ktcoord drain" in host("w1")["why"]')" = "('drained', True, True)" ] ||
	fail "it is not told as drained: $(value 'host("w1")')"
exits 0 ktcoord workers
says '^w1 +drained '
exits 0 ktcoord status
says '^hosts: 2 connected, 1 open, 1 drained'
exits 0 ktcoord drain w1 --undo
says '^host w1 is open'
until [ "$(leases w1)" -gt "$had" ]; do
	kill -0 "$coordinator" || fail "the sweep ended before it was given a cell again"
	sleep 0.05
done
ends 0
grep -q '^100 cells: 100 pass' "$WORK/run" || fail "not all passed"
# What was granted in that very moment, and never heard of, may go elsewhere; nothing else is touched.
crossed=$(grep -c ' ktcoord failed .*charged=no why="the worker is being drained"' "$KTCOORD_STATE/coordinator.log" || true)
[ "$(killed w1)" -le "$crossed" ] && [ "$(killed w2)" -eq 0 ] || fail "drain killed what ran"
crossed_killed=$(killed w1)

# ---- cancel a cell; a host that does not answer

{ scenario hangs 2 "sample; hang" && scenario goes_on 1 "sample; hang"; } | matrix cells
begin "$WORK/cells.toml" --runner scripted
until_is 3 'len(host("w1")["running"]) + len(host("w2")["running"])'
# Clocks are compared by what is said anyway; here all of them are one and the same.
until_is True 'all(w["clock"] for w in d["workers"])'
until_is True 'all(abs(w["clock"]["ahead_s"]) <= w["clock"]["error_s"] < 5 for w in d["workers"])'
exits 2 ktcoord cancel nonsense
says "no cell 'nonsense'"
exits 2 ktcoord cancel hangs
says "more than one cell has 'hangs'"
exits 0 ktcoord cancel 'hangs/any/scx_kt/small#0'
[ "$(($(killed w1) + $(killed w2)))" -eq $((crossed_killed + 1)) ] || fail "it returned before its guest was dead"
says '^1 cell of sweep e2e-.* cancelled, 1 guest killed'
exits 0 ktcoord cancel 'hangs/any/scx_kt/small#0'
says '^nothing of sweep e2e-.* was left to be cancelled'
until_is 2 'len(host("w1")["running"]) + len(host("w2")["running"])'

host=$(value 'next(w["host"] for w in d["workers"] if any("hangs" in c["cell"] for c in w["running"]))')
pid=pid_$host
before=$(killed "$host")
kill -STOP "${!pid}"
exits 3 ktcoord cancel hangs/any/scx_kt/small#1
says "^host $host does not answer: the guest of hangs/any/scx_kt/small#1 dies when it comes back"
[ "$(killed "$host")" -eq "$before" ] || fail "it was not stopped at all"
kill -CONT "${!pid}"
until [ "$(killed "$host")" -gt "$before" ]; do sleep 0.1; done

# ---- cancel the sweep

until_is 1 'sum(len(w["running"]) for w in d["workers"])'
exits 0 ktcoord cancel --json
[ "$(python3 -c 'import json, sys; d = json.load(sys.stdin); print(d["cancelled"], d["guests_dead"], d["guests_alive"])' \
	<"$WORK/out")" = "1 1 []" ] || fail "$(cat "$WORK/out")"
ends 130
grep -q '^3 cells: 3 cancelled' "$WORK/run" || { cat "$WORK/run" >&2; fail "the totals"; }
exits 130 ktcoord report last
says '^CANCELLED +hangs/any/scx_kt/small#0'
says 'uid [0-9]+ asked \(ktcoord cancel\)'
[ "$(($(killed w1) + $(killed w2)))" -eq $((crossed_killed + 3)) ] || fail "3 were under way, not as many were killed"

# ---- what was cancelled runs again when somebody asks

scenario slow 8 "sample; wait 2s; sample" | matrix slow
begin "$WORK/slow.toml" --runner scripted
until_is 4 'sum(len(w["running"]) for w in d["workers"])'
exits 0 ktcoord cancel e2e
ends 130
exits 130 ktcoord resume last
says 'of its cells were cancelled: nothing is run again without --cancelled'
begin resume last --cancelled
ends 0
grep -q '^8 cells: 8 pass' "$WORK/run" || { cat "$WORK/run" >&2; fail "not all passed"; }
exits 3 ktcoord cancel
says 'no coordinator runs'
exits 3 ktcoord drain w1
says 'no coordinator runs'

exits 0 "$KT_SOURCE/tests/e2e/logfmt.py" "$KT_SOURCE" "$KTCOORD_STATE/coordinator.log"
says '^cancelled ([4-9]|1[01])$' # on a slow machine some of the last 8 have ended before
says '^host_admission 2$'
kill -TERM "$pid_1" "$pid_2"
wait "$pid_1" "$pid_2"
nothing_left
