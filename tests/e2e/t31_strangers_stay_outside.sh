#!/usr/bin/env bash
# A sweep over TCP with keys passes on two hosts, while every kind of stranger knocks: each is refused, is told why, and
# is a line in the coordinator's log that says who, why and what to do. A key that is revoked ends its session at once.
. "$(dirname "$0")/lib.sh"

matrix many <<'END'
[[scenario]]
name = "many"
duration = "10s"
samples = 3
repeats = 800
script = "sample; wait 150ms; sample; wait 150ms; sample"
[[scenario.step]]
hold = "full"
cgroup = [{ name = "cg", workers = 2, work = "spin" }]
[[scenario.assert]]
series = "bpf:nr_dispatched"
nondecreasing = true
END

log="$WORK/coordinator.log"
port=$((20000 + $$ % 12000)) # below the ephemeral ports: nobody else is given it
at="tcp://127.0.0.1:$port"
public() { sed -n 's/^public //p' "$1"; }

exits 0 ktcoord keys new
server=$(public "$KTCOORD_STATE/keys/coordinator.key")
for host in lab1 lab2 lab3 spy stranger; do
	ktworker key --state "$WORK/$host" >/dev/null 2>&1
done
for host in lab1 lab2 lab3; do
	exits 0 ktcoord keys allow "$host" "$WORK/$host/host.key"
done
exits 0 ktcoord keys allow spy "$WORK/spy/host.key" --role observe

# until SECONDS FILE PATTERN
until_says() {
	local i
	for ((i = 0; i < $1 * 10; i++)); do
		! grep -qE -- "$3" "$2" 2>/dev/null || return 0
		sleep 0.1
	done
	tail -n 20 "$2" >&2 || true
	fail "no line of $2 matches: $3"
}
# logged PATTERN
logged() { until_says 10 "$log" "$1"; }

pids=()
# worker HOST ARGS...: as a daemon, its log in $WORK/HOST.log
worker() {
	local host=$1
	shift
	ktworker --connect "$at" --state "$WORK/$host" --id "$host" --slots 4 --runner scripted \
		--server-key "$server" "$@" >"$WORK/$host.log" 2>&1 &
	pids+=($!)
}
# knock NAME PATTERN ARGS...: a worker that is refused with words like these, and told to leave then
knock() {
	local name=$1 pattern=$2 pid
	shift 2
	ktworker --connect "$at" --slots 4 --runner scripted "$@" >"$WORK/$name.log" 2>&1 &
	pid=$!
	until_says 20 "$WORK/$name.log" "$pattern"
	kill -INT "$pid" 2>/dev/null || true
	wait "$pid" || true
	! grep -q lease_taken "$WORK/$name.log" || fail "$name was given work"
	! grep -q ' welcome ' "$WORK/$name.log" || fail "$name was let in"
}

ktcoord "$WORK/many.toml" --runner scripted --listen "$at" --keys --verbose >"$WORK/run" 2>"$log" &
coordinator=$!
logged 'strangers_are_refused proven=yes took_ms=1?[0-9]?[0-9] ' # < 200 ms; a loaded machine has its own idea of time
worker lab1
worker lab2
until_says 10 "$WORK/lab1.log" ' welcome '
until_says 10 "$WORK/lab2.log" ' lease_taken '

# ---- an unknown key ----
key=$(public "$WORK/stranger/host.key")
knock unknown "refuses this host: its key is not in the coordinator.s allow-list: run .ktcoord keys allow NAME " \
	--state "$WORK/stranger" --id lab1 --server-key "$server"
logged 'stranger_refused address=127\.0\.0\.1 key="?[^ ]{40}"? why="its key is not in the allow-list" do="if it belongs here: ktcoord keys allow NAME '
grep 'stranger_refused' "$log" | grep -qF -- "$key" || fail "the stranger's key is not in the log"

# ---- a wrong role ----
knock observer "has the role observe, which gets no work: revoke it and allow it again with --role work" \
	--state "$WORK/spy" --id spy --server-key "$server"

# ---- another host's name ----
knock foreign "the key of this host is that of .lab3., but it calls itself .lab2.: start it with --id lab3" \
	--state "$WORK/lab3" --id lab2 --server-key "$server"

# ---- no keys at all ----
# Both sides see it, and one hangs up first; who has hung up before the coordinator looks has no address any more.
knock plain "(wants keys: connect with --key FILE and|as a coordinator without keys: if it is one with keys, add) --server-key" \
	--state "$WORK/plain" --id lab1
logged 'stranger_refused address=[^ ]+ key="" why="it (does not speak CURVE|hung up or fell silent before the handshake was over)" do=".*connect with ktworker --key'

# ---- keys, but another coordinator's ----
knock wrong_server "it has not the key that --server-key names \(compare with .ktcoord keys list. there\)" \
	--state "$WORK/lab3" --id lab3 --server-key "$key"
logged 'stranger_refused address=[^ ]+ key="" why="what it sent does not fit this coordinator.s key'

# ---- no ZeroMQ at all: it is hung up on ----
python3 - "$port" <<'END'
import socket, sys
with socket.create_connection(("127.0.0.1", int(sys.argv[1]))) as s:
    s.settimeout(10)
    try:
        s.sendall(b"GET / HTTP/1.1\r\nHost: here\r\n\r\n" + b"x" * 200)
        while s.recv(4096):
            pass
    except ConnectionResetError:
        pass
END

# ---- what was overheard, said again ----
"$KT_SOURCE/tests/tools/replay_handshake.py" $((port + 1)) "$port" >"$WORK/replay" 2>&1 &
replay=$!
sleep 0.3
ktworker --connect "tcp://127.0.0.1:$((port + 1))" --state "$WORK/lab3" --id lab3 --slots 1 --runner scripted \
	--server-key "$server" >"$WORK/overheard.log" 2>&1 &
pids+=($!)
wait "$replay" || { cat "$WORK/replay" >&2; fail "the replay did not work"; }
grep -qx refused "$WORK/replay" || { cat "$WORK/replay" >&2; fail "a handshake was taken twice"; }
grep -q ' welcome ' "$WORK/overheard.log" || fail "the one that was overheard was no session"
kill -INT "${pids[-1]}"

# ---- a key file that others can read ----
chmod 644 "$WORK/lab3/host.key"
exits 2 ktworker --connect "$at" --state "$WORK/lab3" --id lab3 --runner scripted --server-key "$server"
says "chmod 600 $WORK/lab3/host.key"

# ---- revoked in the middle of a session ----
kill -0 "$coordinator" 2>/dev/null || fail "the sweep was over before the key was revoked: the test has no say"
exits 0 ktcoord keys revoke lab2
logged 'key_revoked peer=[0-9]+ host=lab2 address=127\.0\.0\.1 why="its key is not in the allow-list any more'
until_says 10 "$WORK/lab2.log" 'refused .*its key is not in the allow-list any more'
kill -INT "${pids[1]}"
wait "${pids[1]}" || true
! sed '1,/refused .*not in the allow-list any more/d' "$WORK/lab2.log" | grep -q lease_taken ||
	fail "lab2 was given work after it was revoked"
knock revoked "refuses this host: its key is not in the coordinator" --state "$WORK/lab2" --id lab2 --server-key "$server"

# ---- and another comes in while the sweep runs ----
ktworker key --state "$WORK/lab4" >/dev/null 2>&1
exits 0 ktcoord keys allow lab4 "$WORK/lab4/host.key"
worker lab4 --slots 64
until_says 10 "$WORK/lab4.log" ' lease_taken '

wait "$coordinator" || { tail -n 20 "$WORK/run" "$log" >&2; fail "exit status $?"; }
grep -q '^800 cells: 800 pass' "$WORK/run" || { tail "$WORK/run" >&2; fail "not all passed"; }
for pid in "${pids[@]}"; do
	kill -INT "$pid" 2>/dev/null || true
done
wait "${pids[@]}" || true
nothing_left
