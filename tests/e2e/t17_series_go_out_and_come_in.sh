#!/usr/bin/env bash
# The series of a cell can be written to a file that any msgpack library reads.
. "$(dirname "$0")/lib.sh"

matrix one <<'END'
[[scenario]]
name = "one"
duration = "10s"
samples = 3
script = "sample bpf.n=100; sample bpf.n=18446744073709551615; sample stats!deadline"
[[scenario]]
name = "lost"
duration = "10s"
script = "die qemu_died"
END
exits 3 ktcoord "$WORK/one.toml" --runner scripted
exits 0 ktcoord show last one --series "$WORK/out.series"
says 'one/any/scx_kt/small#0: 3 samples in .*/out.series$'

# Read by a stranger: the format's page is all that it knows.
python3 - "$WORK/out.series" >"$WORK/out" <<'END'
import hashlib, struct, sys

def value(data, at):
    """The msgpack value at an offset, and where it ends."""
    b = data[at]
    at += 1
    def number(form):
        return struct.unpack_from(">" + form, data, at)[0], at + struct.calcsize(form)
    def items(n, at, keys):
        found = []
        for _ in range(n * (2 if keys else 1)):
            item, at = value(data, at)
            found.append(item)
        return (dict(zip(found[::2], found[1::2])) if keys else found), at
    if b < 0x80: return b, at
    if b < 0x90: return items(b & 15, at, True)
    if b < 0xa0: return items(b & 15, at, False)
    if b < 0xc0: return data[at:at + (b & 31)].decode(), at + (b & 31)
    if b in (0xc0, 0xc2, 0xc3): return {0xc0: None, 0xc2: False, 0xc3: True}[b], at
    if b in (0xc4, 0xc5, 0xc6, 0xd9, 0xda, 0xdb):
        n, at = number({0xc4: "B", 0xc5: "H", 0xc6: "I", 0xd9: "B", 0xda: "H", 0xdb: "I"}[b])
        raw = data[at:at + n]
        return (raw if b < 0xd0 else raw.decode()), at + n
    if b in (0xcb, 0xcc, 0xcd, 0xce, 0xcf): return number({0xcb: "d", 0xcc: "B", 0xcd: "H", 0xce: "I", 0xcf: "Q"}[b])
    raise SystemExit(f"byte {b:#x} at {at - 1}")

data = open(sys.argv[1], "rb").read()
assert data[:9] == bytes.fromhex("a84b545345524945 53"), data[:9]
at, bins = 9, []
while at < len(data):
    body, at = value(data, at)
    bins.append(body)
header, *samples = bins
header = value(header, 0)[0]
print("version", header[1], "samples", header[2], "cell", header[6], "cause", header[7])
assert header[2] == len(samples) == 3
assert header[4] == hashlib.sha256(b"".join(samples)).digest()
samples = [value(body, 0)[0] for body in samples]
print("tags", *[sample[1] for sample in samples])
print("n", samples[1][8][0][2]["maps"][0]["vars"]["n"])
print("error", samples[2][8][0][1], samples[2][8][0][3])
END
says '^version 1 samples 3 cell one/any/scx_kt/small#0 cause finished$'
says '^tags periodic_000 periodic_001 periodic_002$'
says '^n 18446744073709551615$'
says '^error stats deadline$'

# What has none says so; what cannot be written leaves nothing behind.
exits 2 ktcoord show last lost --series "$WORK/none"
says 'lost/any/scx_kt/small#0: no attempt of it ended with a result'
exits 2 ktcoord show last one --series "$WORK/nowhere/out"
says 'writing .*/nowhere/out: No such file'
[ ! -e "$WORK/none" ] || fail "a file was left behind"
nothing_left
