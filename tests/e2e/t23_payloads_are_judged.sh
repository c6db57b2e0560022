#!/usr/bin/env bash
# What payloads printed becomes numbers, numbers become verdicts, and another matrix judges them again.
. "$(dirname "$0")/lib.sh"

# bench METRICS SCRIPT: one cell that runs a payload.
bench() {
	matrix bench <<-END
		[[payload]]
		name = "bench"
		program = "bench"
		metric = [$1]
		[[scenario]]
		name = "one"
		duration = "10s"
		script = '''$2'''
		[[scenario.step]]
		hold = "full"
		ops = [{ run_payload = "bench" }]
	END
}

done='payload bench exited wall_ns=2s out_bytes=28 out="{\"rate\": 152.5, \"nan\": null}"'
rate='{ name = "rate", json = "rate", min = 100 }'
ops='{ name = "ops", pattern = "([0-9]+) ops", max = 9 }'

bench "$rate" "$done"
exits 0 ktcoord "$WORK/bench.toml" --runner scripted
exits 0 ktcoord show last one
says '^payloads:$'
says '^  bench, step 0: exited with status 0 after 2s; 28 bytes of output$'
says '^    rate +152.5$'
says '^  note +payload bench, rate: 152.5$'
says_not 'bench\|'
exits 0 ktcoord show last one --logs
says '^  bench\| \{"rate": 152.5, "nan": null\}$'
ktcoord show last one --json >"$WORK/json"
python3 - "$WORK/json" <<'END' || fail "show --json has no metrics"
import json, sys
cell = json.load(open(sys.argv[1]))
assert cell["payloads"][0]["metrics"] == {"rate": 152.5}, cell["payloads"]
assert "out" not in cell["payloads"][0]
END
ktcoord report last --json | grep -q '"rate": *152.5' || fail "report --json has no metrics"

# A bound that it does not keep; then the same series with another bound, without a guest.
bench "${rate/100/200}" "$done"
exits 1 ktcoord judge last "$WORK/bench.toml"
says 'payload bench, rate: 152.5 is less than 200 \(min\)'
exits 0 ktcoord judge last

# What cannot be read decides nothing, unless it must exist.
bench "$rate, $ops" "$done"
exits 4 ktcoord "$WORK/bench.toml" --runner scripted
says 'payload bench, ops: cannot be read: nothing in its output matches "\(\[0-9\]\+\) ops"'
bench "$rate, ${ops/max = 9/exists = true}" "$done"
exits 1 ktcoord "$WORK/bench.toml" --runner scripted
says 'payload bench, ops: does not exist'
bench '{ name = "nan", json = "nan" }' "$done"
exits 4 ktcoord "$WORK/bench.toml" --runner scripted
says 'payload bench, nan: cannot be read: nan is nil, no number'

# How it ended.
bench '' 'payload bench exited status=2 wall_ns=1s errors="no such option\n"'
exits 1 ktcoord "$WORK/bench.toml" --runner scripted
says 'payload bench: exited with status 2 after 1s, not with status 0; its last words: no such option'
bench '' 'payload bench deadline wall_ns=5s'
exits 1 ktcoord "$WORK/bench.toml" --runner scripted
says 'payload bench: still ran at its deadline and was killed after 5s'
bench '' 'payload bench killed wall_ns=5s'
exits 0 ktcoord "$WORK/bench.toml" --runner scripted
bench '' 'end'
exits 4 ktcoord "$WORK/bench.toml" --runner scripted
says 'payload bench: the guest reported nothing of it'

# A failure that was expected is a pass, this one too.
bench '' 'payload bench exited status=2'
sed -i 's/^duration = .*/&\nexpect = "fail"/' "$WORK/bench.toml"
exits 0 ktcoord "$WORK/bench.toml" --runner scripted

# Names that nobody has, and programs, are refused before anything starts.
bench '' 'end'
sed -i 's/run_payload = "bench"/run_payload = "bensh"/' "$WORK/bench.toml"
exits 2 ktcoord plan "$WORK/bench.toml"
says "bench.toml:22:24: unknown payload 'bensh' in .*; did you mean 'bench'\?"
bench '' 'end'
exits 2 ktcoord plan "$WORK/bench.toml"
says "bench.toml:14:11: payload 'bench': no program 'bench' beside the matrix or on PATH; install it"
