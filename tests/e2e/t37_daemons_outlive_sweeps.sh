#!/usr/bin/env bash
# The same two daemons serve one sweep after the other and wait for the next coordinator in between. What they finished
# for a coordinator that was killed is delivered when its sweep is resumed, although they served another one meanwhile
# and one of them was killed as well: nothing is lost, nothing runs twice.
. "$(dirname "$0")/lib.sh"

# sweep_of NAME REPEATS SCRIPT: $WORK/NAME.toml, of that name.
sweep_of() {
	matrix "$1" <<-END
		[[scenario]]
		name = "$1"
		duration = "10s"
		samples = 2
		repeats = $2
		script = "$3"
		[[scenario.step]]
		hold = "full"
		cgroup = [{ name = "cg", workers = 2, work = "spin" }]
		[[scenario.assert]]
		series = "bpf:nr_dispatched"
		nondecreasing = true
	END
	sed -i "s/name = \"e2e\"/name = \"$1\"/" "$WORK/$1.toml"
}

port=$((20000 + $$ % 12000)) # below the ephemeral ports: nobody else is given it
mkdir -p "$KTCOORD_STATE"
echo "listen = \"tcp://127.0.0.1:$port\"" >"$KTCOORD_STATE/fleet.toml"

# daemon NAME: starts it; its pid is in pid_NAME.
daemon() {
	ktworker --connect "tcp://127.0.0.1:$port" --state "$WORK/$1" --id "$1" --slots 2 --runner scripted \
		>>"$WORK/$1.log" 2>&1 &
	printf -v "pid_$1" %d $!
}

# count EVENT: such lines in the logs of both.
count() {
	cat "$WORK"/w[12].log | grep -c " ktworker $1 " || true
}

# wait_for CONDITION...: at most a minute.
wait_for() {
	for _ in $(seq 600); do
		"$@" && return
		sleep 0.1
	done
	tail -n 20 "$WORK"/*.log >&2
	fail "waited in vain: $*"
}

has_leases() { [ "$(count lease_taken)" -ge "$1" ]; }
has_ended() { [ "$(count attempt_ended)" -ge "$1" ]; }

# facts NAME TAG: how many of that kind the sweep's journal has.
facts() {
	sqlite3 "$KTCOORD_STATE"/sweeps/"$1"-*.sweep "SELECT count(*) FROM fact WHERE tag = $2"
}

sweep_of first 10 "sample; wait 50ms; sample"
sweep_of second 4 "sample; wait 1s; sample"
sweep_of third 10 "sample; wait 50ms; sample"

# Nobody is there yet.
pid_w1='' pid_w2=''
daemon w1
daemon w2
pid_1=$pid_w1 pid_2=$pid_w2
wait_for grep -q ' ktworker started ' "$WORK/w2.log"

exits 0 ktcoord "$WORK/first.toml" --runner scripted
says '^10 cells: 10 pass'
base=$(count lease_taken)
[ "$base" -eq 10 ] || fail "$base leases for 10 cells"

# The second one's coordinator is killed while all of its cells run; they come to their end without it.
ktcoord "$WORK/second.toml" --runner scripted >"$WORK/run" 2>&1 &
coordinator=$!
wait_for has_leases $((base + 4))
kill -KILL "$coordinator"
wait "$coordinator" || true
wait_for has_ended $((base + 4))
[ "$(facts second 5)" -lt 4 ] || fail "all results were there before the kill: this tests nothing"
kill -KILL "$pid_w1"
wait "$pid_w1" || true
daemon w1
wait_for grep -q ' ktworker result_waits ' "$WORK/w1.log"

exits 0 ktcoord "$WORK/third.toml" --runner scripted
says '^10 cells: 10 pass'

exits 0 ktcoord resume second
says '^4 cells: 4 pass'
[ "$(facts second 4)" -eq 4 ] || fail "$(facts second 4) grants for 4 cells: something ran twice"
[ "$(facts second 7)" -eq 4 ] || fail "$(facts second 7) verdicts for 4 cells"
[ "$(facts second 6)" -eq 0 ] || fail "attempts failed"

kill -0 "$pid_w1" && kill -0 "$pid_2" || fail "a daemon left by itself"
[ "$pid_1" != "$pid_w1" ] || fail "it was not restarted"
for host in w1 w2; do
	exits 0 "$KT_SOURCE/tests/e2e/logfmt.py" "$KT_SOURCE" "$WORK/$host.log"
done
exits 0 "$KT_SOURCE/tests/e2e/logfmt.py" "$KT_SOURCE" "$KTCOORD_STATE/coordinator.log"
says '^sweep_closed 3$'

# SIGTERM drains: with nothing to finish they leave.
kill -TERM "$pid_w1" "$pid_w2"
wait "$pid_w1" || fail "w1: exit status $?"
wait "$pid_w2" || fail "w2: exit status $?"
nothing_left
