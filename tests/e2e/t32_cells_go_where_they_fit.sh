#!/usr/bin/env bash
# Three hosts of 4, 8 and 16 CPUs: a cell goes where its guest fits, and no host ever holds more than it gives. What is
# too large for all of them is told at once, and errored with that reason; a resume finds it again when a larger host
# has come.
. "$(dirname "$0")/lib.sh"

cat >"$WORK/fleet.toml" <<'EOM'
[sweep]
name = "e2e"
[[kernel]]
name = "any"
path = "/nonexistent/vmlinuz"
[[scheduler]]
name = "eevdf"
[[topology]]
name = "c2"
cpus = "1n1l2c1t"
[[topology]]
name = "c8"
cpus = "1n1l8c1t"
[[topology]]
name = "c16"
cpus = "1n2l8c1t"
[[topology]]
name = "c32"
cpus = "1n4l8c1t"
[[scenario]]
name = "work"
duration = "10s"
repeats = 5
script = "wait 150ms"
[[scenario.step]]
hold = "full"
cgroup = [{ name = "cg", workers = 2, work = "spin" }]
[[scenario]]
name = "fast"
duration = "10s"
topologies = ["c2"]
accel = "kvm"
script = "wait 50ms"
[[scenario.step]]
hold = "full"
cgroup = [{ name = "cg", workers = 2, work = "spin" }]
EOM
mkdir -p "$KTCOORD_STATE"
port=$((20000 + $$ % 12000)) # below the ephemeral ports: nobody else is given it
printf 'listen = "tcp://127.0.0.1:%d"\nunschedulable_after = "2s"\n' "$port" >"$KTCOORD_STATE/fleet.toml"

# worker CPUS: a host that gives guests so many.
worker() {
	ktworker --connect "tcp://127.0.0.1:$port" --state "$WORK/h$1" --id "h$1" --slots 6 --overcommit="$1" \
		--runner scripted >"$WORK/h$1.log" 2>&1 &
}

exits 2 ktworker --connect "tcp://127.0.0.1:$port" --reserve-cpus 999
says 'reserve-cpus 999 leaves guests nothing'
exits 2 ktworker --connect "tcp://127.0.0.1:$port" --reserve-mem 1T
says 'reserve-mem is a size'
ktworker check --reserve-mem 128M --overcommit=3 >"$WORK/out" || true # it may have no QEMU
says '^guests get +3 CPUs together \(--overcommit\)'
says '128 MiB kept'

# sweep STATUS CPUS... -- COMMAND...: the command listens first, so that those workers find it at once.
sweep() {
	local want=$1 got=0 cpus=() coordinator i
	shift
	while [ "$1" != -- ]; do
		cpus+=("$1")
		shift
	done
	shift
	"$@" >"$WORK/out" 2>&1 &
	coordinator=$!
	for i in $(seq 100); do
		grep -q '^listening on' "$WORK/out" && break
		sleep 0.1
	done
	for i in "${cpus[@]}"; do
		worker "$i"
	done
	wait "$coordinator" || got=$?
	[ "$got" -eq "$want" ] || { cat "$WORK/out" >&2; fail "exit status $got, not $want: $*"; }
}

sweep 3 4 8 16 -- ktcoord "$WORK/fleet.toml" --runner scripted
says '^work/any/eevdf/c32#0 and 4 more like it: needs 32 CPUs, the largest host \(h16\) gives 16$'
says '^fast/any/eevdf/c2#0: needs kvm, and no host has it$'
says '^ERROR +work/any/eevdf/c32#4 '
says '^ +unschedulable: needs 32 CPUs, the largest host \(h16\) gives 16$'
says '^21 cells: 15 pass, 6 error'

cat >"$WORK/held.py" <<'EOP'
"""What each host ran at every moment, out of its own log: who granted it cannot know better."""
import pathlib
import re
import sys

where = {}
for log in sorted(pathlib.Path(sys.argv[1]).glob("h*.log")):
    held, most, slots = {}, 0, 0
    for line in log.read_text().splitlines():
        event = re.search(r" (lease_taken|attempt_ended) cell=(\d+) .*?(?:name=\S*/c(\d+)#|$)", line)
        if not event:
            continue
        cell, cpus = event.group(2), event.group(3)
        if event.group(1) == "lease_taken":
            held[cell] = int(cpus)
            where.setdefault(int(cpus), set()).add(log.stem)
            most, slots = max(most, sum(held.values())), max(slots, len(held))
        else:
            del held[cell]
    print(f"{log.stem} ran {most} CPUs in {slots} slots at most")
    assert most <= int(log.stem[1:]) and slots <= 6, f"{log.stem} was oversubscribed"
assert where[2] and where[8] <= {"h8", "h16", "h32"} and where[16] <= {"h16", "h32"}, where
assert where.get(32, {"h32"}) == {"h32"}, where
EOP
python3 "$WORK/held.py" "$WORK" || fail "the hosts say otherwise"

# The workers are daemons: they wait for the next coordinator. So does, in a resume, the larger one.
sweep 3 32 -- ktcoord resume last
says '6 cells without a verdict: tried again'
says '^21 cells: 20 pass, 1 error'
says_not 'needs 32 CPUs'
python3 "$WORK/held.py" "$WORK" || fail "the hosts say otherwise"
pkill -TERM -f "ktworker .*$WORK" || true
nothing_left
