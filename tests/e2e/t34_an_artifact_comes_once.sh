#!/usr/bin/env bash
# A file that every cell needs, three workers on two hosts, a limit on the bandwidth. The file comes once to each host,
# goes on where it was cut when the coordinator, then the worker that fetches it is killed, and is what it was when the
# sweep was begun although its source changes meanwhile (fault 35). The next sweep costs no byte of it; what rots is
# fetched anew.
. "$(dirname "$0")/lib.sh"

size=$((24 << 20))
matrix ship <<'EOM'
[[scenario]]
name = "ship"
duration = "10s"
samples = 1
repeats = 12
script = "wait 100ms; sample"
[[scenario.step]]
hold = "full"
cgroup = [{ name = "cg", workers = 2, work = "spin" }]
EOM
head -c "$size" /dev/urandom >"$WORK/shipped"
digest=$(sha256sum <"$WORK/shipped" | cut -d' ' -f1)
port=$((20000 + $$ % 12000)) # below the ephemeral ports: nobody else is given it
listen=tcp://127.0.0.1:$port
a=$WORK/a/cache b=$WORK/b/cache

worker() { # HOST NAME: its pid is in $pid
	ktworker --connect "$listen" --state "$WORK/$1" --id "$2" --slots 2 --runner scripted >>"$WORK/$2.log" 2>&1 &
	pid=$!
}

# until WHAT COMMAND...: waits for as long as a loaded machine may take.
until_() {
	local what=$1
	shift
	for _ in $(seq 600); do
		"$@" && return
		sleep 0.1
	done
	fail "waited in vain until $what"
}

part() { stat -c %s "$1/$digest.part" 2>/dev/null || echo 0; }
part_beyond() { [ "$(part "$1")" -gt "$2" ]; }
is_there() { [ -f "$1/$digest" ]; }
sent() { grep -o 'feeder_closed.*sent_bytes=[0-9]*' "$KTCOORD_STATE/coordinator.log" | tail -1 | grep -o '[0-9]*$'; }

exits 2 ktcoord "$WORK/ship.toml" --runner scripted --listen "$listen" --bandwidth 5x
says 'bandwidth.*100M'

worker a a1
a1=$pid
worker a a2
a2=$pid
worker b b1
b1=$pid
KT_TEST_SHIP="$WORK/shipped" ktcoord "$WORK/ship.toml" --runner scripted --listen "$listen" --bandwidth 6M \
	--out "$WORK/one.sweep" >"$WORK/run" 2>&1 &
coordinator=$!
until_ "both hosts fetch" part_beyond "$a" $((4 << 20))
until_ "both hosts fetch" part_beyond "$b" $((2 << 20))
kill -KILL "$coordinator"
wait "$coordinator" 2>/dev/null || true
head -c 1000 /dev/zero >"$WORK/shipped" # whoever rebuilds it changes nothing
sleep 0.3 # what was under way has come
left=$((2 * size - $(part "$a") - $(part "$b")))
[ "$left" -lt $((2 * size - (6 << 20))) ] || fail "nothing had come before the kill"
ktcoord resume "$WORK/one.sweep" --listen "$listen" --bandwidth 6M >"$WORK/run" 2>&1 &
coordinator=$!
before=$(part "$a")
until_ "host a goes on" part_beyond "$a" $((before + (2 << 20)))
# One of the two workers of host a holds the lock; whichever it is, the other one goes on.
kill -KILL "$a1"
wait "$a1" 2>/dev/null || true
before=$(part "$a")
until_ "the other worker goes on" part_beyond "$a" $((before + (1 << 20)))
[ "$(part "$a")" -ge "$before" ] || fail "it began anew"
worker a a1
a1=$pid
wait "$coordinator" || { cat "$WORK/run" >&2; fail "exit status $?"; }
grep -q '^12 cells: 12 pass' "$WORK/run" || { cat "$WORK/run" >&2; fail "not all passed"; }
for cache in "$a" "$b"; do
	is_there "$cache" || fail "$cache has no artifact"
	[ "$(sha256sum <"$cache/$digest" | cut -d' ' -f1)" = "$digest" ] || fail "$cache: damaged"
	[ "$(part "$cache")" -eq 0 ] || fail "$cache: something is left on its way"
done
# What was under way to the killed worker was lost: its window, and a socket's queue.
[ "$(sent)" -le $((left + (6 << 20))) ] || fail "$(sent) bytes were sent, $left were missing"

again() { # one more sweep of the same file
	head -c "$size" "$a/$digest" >"$WORK/shipped"
	rm -f "$WORK/two.sweep"
	KT_TEST_SHIP="$WORK/shipped" ktcoord "$WORK/ship.toml" --runner scripted --listen "$listen" \
		--out "$WORK/two.sweep" >"$WORK/run" 2>&1 || { cat "$WORK/run" >&2; fail "exit status $?"; }
	grep -q '^12 cells: 12 pass' "$WORK/run" || fail "not all passed"
}

again
[ "$(sent)" -eq 0 ] || fail "the second time $(sent) bytes were sent"

# Rot is found by the next life, and costs one fetch.
kill -KILL "$b1"
wait "$b1" 2>/dev/null || true
chmod u+w "$b/$digest"
printf rot | dd of="$b/$digest" bs=1 seek=1000000 conv=notrunc status=none
worker b b1
b1=$pid
again_with_b() {
	again
	[ "$(sent)" -gt 0 ]
}
until_ "host b takes part" again_with_b
[ "$(sent)" -eq "$size" ] || fail "after rot $(sent) bytes were sent, not $size"
[ "$(sha256sum <"$b/$digest" | cut -d' ' -f1)" = "$digest" ] || fail "host b: still rotten"

kill -TERM "$a1" "$a2" "$b1"
nothing_left
