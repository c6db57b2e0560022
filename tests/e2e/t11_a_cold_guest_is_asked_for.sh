#!/usr/bin/env bash
# --cold and guest = "cold": what was asked for is in the sweep, and a resume asks for the same.
. "$(dirname "$0")/lib.sh"

matrix guests <<'END'
[[scenario]]
name = "any_guest"
duration = "1s"
script = "boot 1ms; run; wait 500ms; sample; end"
samples = 1
repeats = 6
[[scenario]]
name = "a_new_boot"
guest = "cold"
duration = "1s"
script = "boot 1ms; run; sample; end"
samples = 1
END

# asked WARM COLD: the guests that the cells of the last sweep ask for.
asked() {
	ktcoord report last --json --allow-inconclusive >"$WORK/report.json" || true
	python3 - "$WORK/report.json" "$1" "$2" <<-'END' || fail "not $1 warm and $2 cold cells"
		import json, sys
		cells = [cell["guest"] for cell in json.load(open(sys.argv[1]))["cells"]]
		assert [cells.count("warm"), cells.count("cold")] == [int(n) for n in sys.argv[2:]], cells
	END
}

exits 0 ktcoord plan "$WORK/guests.toml"
says ' warm  any_guest/any/scx_kt/small#0$'
says ' cold  a_new_boot/any/scx_kt/small#0$'
exits 0 ktcoord plan --cold "$WORK/guests.toml"
says_not ' warm '

exits 0 ktcoord "$WORK/guests.toml" --runner scripted
asked 6 1

# Killed and resumed, every cell still asks for a cold guest; resume has no say in it.
ktcoord "$WORK/guests.toml" --cold --runner scripted --slots 1 >"$WORK/out" 2>&1 &
pid=$!
for _ in $(seq 100); do
	grep -q '^PASS' "$WORK/out" && break
	sleep 0.1
done
kill -KILL "$pid"
wait "$pid" || true
says '^PASS'
exits 2 ktcoord resume last --cold
says 'no option --cold'
asked 0 7
exits 0 ktcoord resume last
says '^7 cells: 7 pass'
asked 0 7
nothing_left
