#!/usr/bin/env bash
# Cells get guests from one template: none shares a random number with another, each knows the time, and the
# verdicts are those of guests that were booted. The next process finds the template on disk.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/guest.sh"
LOG="$KTCOORD_STATE/worker/worker.log"

# logged N EVENT: the worker said it so often.
logged() {
	local n
	n=$(grep -c " $2 " "$LOG" || true)
	[ "$n" -eq "$1" ] || { cat "$LOG" >&2; fail "$n times $2, not $1"; }
}

guest_matrix draw <<EOF
[[scheduler]]
name = "draws"
binary = "$KT_BIN/../tests/ktdraw"
[[scenario]]
name = "draw"
duration = "1s"
samples = 1
repeats = 4
[[scenario.step]]
hold = "full"
cgroup = [{ name = "cg_0", workers = 1, work = "spin" }]
EOF
before=$(date +%s)
exits 1 ktcoord "$WORK/draw.toml"
after=$(date +%s)
says '^4 cells: 4 fail'
logged 1 template_made
logged 1 template_kept
ktcoord report last --json >"$WORK/draw.json" || true # its status is the sweep's
python3 - "$WORK/draw.json" "$before" "$after" <<'EOF'
import json, re, sys
cells = json.load(open(sys.argv[1]))["cells"]
results = [c["attempts"][-1]["result"] for c in cells]
assert [r["machine"]["guest"] for r in results] == ["warm"] * 4, results
assert len({r["machine"]["template"] for r in results}) == 1
drawn = [re.search(r"draw random=(\w{64}) uuid=(\S+) wall_ns=(\d+) monotonic_ns=(\d+)", r["line"]).groups() for r in results]
assert len({d[0] for d in drawn}) == 4, f"guests drew the same numbers: {drawn}"
assert len({d[1] for d in drawn}) == 4, f"guests drew the same numbers: {drawn}"
for d in drawn:
    assert int(sys.argv[2]) - 1 <= int(d[2]) / 1e9 <= int(sys.argv[3]) + 1, f"a guest's clock is wrong: {d}"
    assert int(d[3]) < 120e9, f"monotonic time jumped: {d}"
EOF

guest_matrix pair <<'EOF'
[[scheduler]]
name = "eevdf"
[[scheduler]]
name = "scx_kt"
binary = "scx_kt"
[[scheduler]]
name = "crashes"
binary = "scx_kt"
args = ["--crash-after", "1"]
[[scenario]]
name = "spin"
duration = "2s"
watchdog = "15s"
samples = 3
[[scenario.step]]
hold = "full"
cgroup = [{ name = "cg_0", workers = 2, work = "spin" }]
[[scenario.assert]]
series = "bpf:nr_dispatched"
nondecreasing = true
must_progress = true
[[scenario.assert]]
series = "monitor:cpus[1].nr_running"
each = { at_least = 0 }
EOF
exits 1 ktcoord "$WORK/pair.toml" --out "$WORK/warm.sweep"
exits 1 ktcoord "$WORK/pair.toml" --out "$WORK/cold.sweep" --cold
logged 1 template_made
logged 1 template_loaded
ktcoord report "$WORK/warm.sweep" --json >"$WORK/warm.json" || true
ktcoord report "$WORK/cold.sweep" --json >"$WORK/cold.json" || true
python3 - "$WORK" <<'EOF'
import json, sys
def read(kind):
    cells = json.load(open(f"{sys.argv[1]}/{kind}.json"))["cells"]
    for cell in cells:
        result = cell["attempts"][-1]["result"]
        assert result["machine"]["guest"] == kind, (cell["name"], result["machine"])
        assert bool(result["machine"].get("template")) == (kind == "warm")
        assert not result["note"], (cell["name"], result["note"])
    return [(cell["name"], cell["outcome"], cell["attempts"][-1]["cause"]) for cell in cells]
warm, cold = read("warm"), read("cold")
assert warm == cold, f"warm {warm}\ncold {cold}"
assert len(warm) == 3
EOF

# A guest may use all of its memory, also what its template has not touched: no cgroup limit is in its way.
guest_matrix eats <<'EOF'
[[scheduler]]
name = "eats"
binary = "/bin/dd"
args = ["if=/dev/zero", "of=/dev/null", "bs=1500M", "count=1"]
[[scenario]]
name = "eat"
duration = "1s"
samples = 1
[[scenario.step]]
hold = "full"
cgroup = [{ name = "cg_0", workers = 1, work = "spin" }]
EOF
sed -i 's|^cpus = .*|&\nmemory = "2G"|' "$WORK/eats.toml"
exits 1 ktcoord "$WORK/eats.toml"
says 'scheduler_rejected'
says ' warm$' # at the first attempt
nothing_left
