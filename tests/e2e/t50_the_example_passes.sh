#!/usr/bin/env bash
# examples/temporal.toml on a real guest: three samples where they belong, both axes, and the numbers are the
# guest's: what is read from outside lies between what the scheduler said before and says later.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/guest.sh"

sed "s|^debian = .*|path = \"$KERNEL\"|" "$KT_SOURCE/examples/temporal.toml" >"$WORK/temporal.toml"
exits 0 ktcoord "$WORK/temporal.toml"
says '^PASS +temporal_assertions_over_periodic_samples/sid/scx_kt/small#0  samples 3/3  wall .*(tcg|kvm) (cold|warm)'
says '^1 cell: 1 pass'
for phase in fetch boot load run judge; do
	says ": $phase"
done
nothing_left
show_json >"$WORK/cell.json"
python3 - "$WORK/cell.json" <<'EOF'
import json, sys

cell = json.load(open(sys.argv[1]))
samples = cell["samples"]
assert [s["offset_ns"] for s in samples] == [3_000_000_000, 5_000_000_000, 7_000_000_000], samples
for s in samples:
    late = (s["elapsed_ns"] - s["offset_ns"]) / 1e6
    print(f'{s["tag"]}: taken {late:+.2f} ms off its time, guest stood still {s["frozen_ns"] / 1e6:.2f} ms')
    assert late >= 0, "taken before its time"
    assert not s["placeholder"], s["placeholder"]


def own(sample):
    maps = sample["axes"]["bpf"]["value"]["maps"]
    hits = [m["vars"]["nr_dispatched"] for m in maps if m["running"] and "nr_dispatched" in m.get("vars", {})]
    assert len(hits) == 1, maps
    return hits[0]


bpf = [own(s) for s in samples]
stats = [s["axes"]["stats"]["value"]["nr_dispatched"] for s in samples]
print("bpf", bpf, "stats", stats)
assert 0 < bpf[0] < bpf[1] < bpf[2], bpf
for i in range(3):
    # The scheduler was asked right before the freeze: nothing can have been uncounted in between.
    assert stats[i] <= bpf[i], (stats, bpf)
    assert i == 0 or stats[i] > bpf[i - 1], (stats, bpf)
workers = cell["attempts"][0]["result"]["reports"]
assert len(workers) == 2 and all(w["work_units"] > 0 and not w["missing"] for w in workers), workers
EOF
