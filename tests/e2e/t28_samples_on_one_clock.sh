#!/usr/bin/env bash
# A host whose clock is an hour ahead: its samples are told by the coordinator's clock all the same.
. "$(dirname "$0")/lib.sh"

command -v faketime >/dev/null || { echo "SKIP: faketime is not installed" && exit 77; }
matrix clock <<'EOT'
[[scenario]]
name = "clock"
duration = "10s"
samples = 3
repeats = 4
script = "sample; wait 600ms; sample; wait 600ms; sample"
[[scenario.step]]
hold = "full"
cgroup = [{ name = "cg", workers = 2, work = "spin" }]
EOT

socket="ipc://$WORK/clock.sock"
FAKETIME_DONT_FAKE_MONOTONIC=1 faketime -f +3600s "$KT_BIN/ktworker" --connect "$socket" --state "$WORK/ahead" --id ahead \
	--slots 1 --runner scripted --once >"$WORK/ahead.log" 2>&1 &
began=$(date +%s%N)
ktcoord "$WORK/clock.toml" --runner scripted --listen "$socket" >"$WORK/run" 2>&1 ||
	{ cat "$WORK/run" "$WORK/ahead.log" >&2; fail "exit status $?"; }
ended=$(date +%s%N)
ktcoord show last 'clock/any/scx_kt/small#3' --json >"$WORK/shown"
python3 - "$WORK/shown" "$began" "$ended" <<'EOP' || fail "samples are not told by the coordinator's clock"
import json
import sys

shown, began, ended = json.load(open(sys.argv[1])), int(sys.argv[2]), int(sys.argv[3])
attempt = next(a for a in shown["attempts"] if a["judged"])
assert abs(attempt["clock"]["ahead_ns"] - 3600e9) <= attempt["clock"]["error_ns"] + 50e6, attempt["clock"]
assert attempt["result"]["began_wall_ns"] > ended, "the host itself thinks that it is later"
error = attempt["clock"]["error_ns"]
at = [s["at_wall_ns"] for s in shown["samples"]]
assert at == sorted(at) and len(at) == 3, at
# What a script says of its samples' elapsed time is made up: the first one is at the anchor.
assert began - error <= at[0] - shown["samples"][0]["elapsed_ns"] <= ended + error, (began, at, ended, error)
EOP
nothing_left
