#!/usr/bin/env bash
# 300 cells over three tcp workers while workers and the coordinator are killed again and again, in an order
# drawn from one seed (KT_SEED). At the end every cell was judged exactly once, and names, verdicts and the
# digests of the series are those of an undisturbed sweep (I1, I3, I6, I7).
. "$(dirname "$0")/lib.sh"

RANDOM=${KT_SEED:-4711}
echo "KT_SEED=${KT_SEED:-4711}"

matrix many <<'EOF'
[[scenario]]
name = "passes"
duration = "10s"
samples = 3
repeats = 150
script = "boot 20ms; sample; wait 40ms; sample; wait 40ms; sample"
[[scenario.step]]
hold = "full"
cgroup = [{ name = "cg", workers = 2, work = "spin" }]
[[scenario.assert]]
series = "bpf:nr_dispatched"
nondecreasing = true

[[scenario]]
name = "fails"
duration = "10s"
samples = 2
repeats = 150
script = "boot 20ms; sample bpf.nr_dispatched=9; wait 80ms; sample bpf.nr_dispatched=8"
[[scenario.step]]
hold = "full"
cgroup = [{ name = "cg", workers = 2, work = "spin" }]
[[scenario.assert]]
series = "bpf:nr_dispatched"
nondecreasing = true
EOF
# Each kill of a worker costs what it runs an attempt: the tries must outlast the kills.
sed -i 's/^name = "e2e"/name = "e2e"\nattempts = 50/' "$WORK/many.toml"

# essence FILE: what must not depend on kills, one line per cell.
essence() {
	{ ktcoord report "$1" --json || true; } | python3 -c '
import json, sys
for cell in json.load(sys.stdin)["cells"]:
    judged = [a for a in cell["attempts"] if a["judged"]]
    print(cell["name"], cell["outcome"], len(judged), judged and judged[0]["result"]["series_digest"],
          [d["text"] for d in cell["details"]])'
}

exits 1 ktcoord "$WORK/many.toml" --runner scripted --slots 4 --out "$WORK/quiet.sweep"
essence "$WORK/quiet.sweep" >"$WORK/quiet"

port=$((20000 + $$ % 12000)) # below the ephemeral ports: nobody else is given it
worker() {
	ktworker --connect "tcp://127.0.0.1:$port" --state "$WORK/w$1" --id "w$1" --slots 2 --runner scripted \
		>>"$WORK/w$1.log" 2>&1 &
	workers[$1]=$!
}
coordinator() {
	ktcoord "$@" --listen "tcp://127.0.0.1:$port" >>"$WORK/run" 2>&1 &
	coordinator=$!
}
gone() { # waits without a word of the shell about the kill
	{ wait "$1"; } 2>/dev/null || true
}

workers=()
coordinator "$WORK/many.toml" --runner scripted --out "$WORK/loud.sweep"
for i in 0 1 2; do worker "$i"; done
for _ in $(seq 600); do # killed before its first commit it would have nothing to resume
	grep -q 'listening on' "$WORK/run" && break
	sleep 0.1
done
kills=0
for _ in $(seq 400); do
	kill -0 "$coordinator" 2>/dev/null || break
	sleep "0.$((RANDOM % 4))$((RANDOM % 10))"
	victim=$((RANDOM % 5))
	if [ "$kills" -ge 30 ]; then
		continue # enough: let it end
	fi
	if [ "$victim" -lt 3 ]; then
		kill -KILL "${workers[$victim]}" 2>/dev/null || true
		gone "${workers[$victim]}"
		worker "$victim"
	elif kill -KILL "$coordinator" 2>/dev/null; then
		gone "$coordinator"
		coordinator resume "$WORK/loud.sweep"
	fi
	kills=$((kills + 1))
done
status=0
wait "$coordinator" || status=$?
[ "$status" -eq 1 ] || { tail "$WORK/run" >&2; fail "exit status $status, not 1"; }
kill -TERM "${workers[@]}" 2>/dev/null || true
[ "$kills" -ge 12 ] || fail "only $kills kills"
essence "$WORK/loud.sweep" >"$WORK/loud"
cmp "$WORK/quiet" "$WORK/loud" || { diff "$WORK/quiet" "$WORK/loud" | head >&2; fail "another report"; }
[ "$(grep -c ' 1 ' "$WORK/loud")" -eq 300 ] || fail "a cell was not judged exactly once"
echo "$kills kills, $(sqlite3 "$WORK/loud.sweep" 'SELECT count(*) FROM fact WHERE tag = 6') attempts lost, $(sqlite3 "$WORK/loud.sweep" 'SELECT count(*) FROM fact WHERE tag = 9') late results"
nothing_left
