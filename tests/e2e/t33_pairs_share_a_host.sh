#!/usr/bin/env bash
# paired = true: the schedulers of one scenario run on the same host, one after the other, repeat by repeat, in an order
# that the seed draws: the same again in the next sweep, whatever host a pair comes to, and another with another seed.
. "$(dirname "$0")/lib.sh"

# paired SEED
paired() {
	cat <<EOM
[sweep]
name = "e2e"
seed = $1
paired = true
[[kernel]]
name = "any"
path = "/nonexistent/vmlinuz"
[[scheduler]]
name = "eevdf"
[[scheduler]]
name = "scx_a"
binary = "true"
[[scheduler]]
name = "scx_b"
binary = "true"
[[topology]]
name = "tiny"
cpus = "1n1l2c1t"
[[scenario]]
name = "paired"
duration = "1s"
repeats = 8
script = "wait 30ms"
[[scenario.step]]
hold = "full"
cgroup = [{ name = "cg", workers = 2, work = "spin" }]
[[scenario]]
name = "alone"
paired = false
duration = "1s"
repeats = 8
script = "wait 30ms"
[[scenario.step]]
hold = "full"
cgroup = [{ name = "cg", workers = 2, work = "spin" }]
EOM
}

# order: of the last sweep, a line per repeat: the schedulers in the order in which they were granted. Fails when those
# of one repeat were on different hosts, or at the same time.
cat >"$WORK/order.py" <<'EOP'
import json
import subprocess
import sys

rows = []
for scheduler in ("eevdf", "scx_a", "scx_b"):
    for repeat in range(8):
        cell = f"paired/any/{scheduler}/tiny#{repeat}"
        shown = json.loads(subprocess.check_output(["ktcoord", "show", sys.argv[1], cell, "--json"]))
        attempts = shown["attempts"]
        assert len(attempts) == 1, f"{cell}: {attempts}"
        rows.append((repeat, attempts[0]["epoch"], attempts[0]["host"], scheduler))
for repeat in range(8):
    pair = sorted(row for row in rows if row[0] == repeat)
    assert len({row[2] for row in pair}) == 1, f"not on one host: {pair}"
    print(" ".join(row[3] for row in pair))
print(*sorted({row[2] for row in rows}), file=sys.stderr)
EOP

paired 7 >"$WORK/seven.toml"
paired 8 >"$WORK/eight.toml"
exits 0 ktcoord plan "$WORK/seven.toml"
says '^  paired: its 3 schedulers run on one host .* in an order drawn from seed 7$'
says_not '^  alone: '
printf 'paired 7\n' | sed 's/.*/[sweep]\nname = "e"\npaired = 1/' >"$WORK/wrong.toml"
exits 2 ktcoord plan "$WORK/wrong.toml"
says "'paired' in \[sweep\]"

# One host, one slot.
exits 0 ktcoord "$WORK/seven.toml" --runner scripted --slots 1
says '^48 cells: 48 pass'
python3 "$WORK/order.py" last >"$WORK/one" 2>"$WORK/hosts" || { cat "$WORK/hosts" >&2; fail "pairs"; }
[ "$(sort -u "$WORK/one" | wc -l)" -ge 3 ] || { cat "$WORK/one" >&2; fail "the order is not drawn anew"; }

# Three hosts with three slots each.
port=$((20000 + $$ % 12000)) # below the ephemeral ports: nobody else is given it
for host in a b c; do
	ktworker --connect "tcp://127.0.0.1:$port" --state "$WORK/$host" --id "$host" --slots 3 --runner scripted \
		>"$WORK/$host.log" 2>&1 &
done
sleep 1 # state folders are named by the second
exits 0 ktcoord "$WORK/seven.toml" --runner scripted --listen "tcp://127.0.0.1:$port"
python3 "$WORK/order.py" last >"$WORK/three" 2>"$WORK/hosts" || { cat "$WORK/hosts" >&2; fail "pairs"; }
cmp "$WORK/one" "$WORK/three" >&2 || fail "the same seed gave another order"
[ "$(wc -w <"$WORK/hosts")" -ge 2 ] || fail "only one host took part"
sleep 1
exits 0 ktcoord "$WORK/eight.toml" --runner scripted --listen "tcp://127.0.0.1:$port"
python3 "$WORK/order.py" last >"$WORK/other" 2>"$WORK/hosts" || { cat "$WORK/hosts" >&2; fail "pairs"; }
! cmp -s "$WORK/one" "$WORK/other" || fail "another seed gave the same order"
pkill -TERM -f "ktworker .*$WORK" || true
nothing_left
