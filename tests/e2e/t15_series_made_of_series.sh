#!/usr/bin/env bash
# A series may be reckoned from others and be narrowed to steps; both are refused with their place when wrong.
. "$(dirname "$0")/lib.sh"

scenario='
[[scenario]]
name = "one"
duration = "10s"
samples = 4
script = "sample bpf.q=10 bpf.d=5; sample bpf.q=20 bpf.d=14; sample bpf.q=30 bpf.d=29; sample bpf.q=40 bpf.d=30"
[[scenario.step]]
hold = "50%"
[[scenario.step]]
hold = "50%"
[[scenario.assert]]
name = "waiting"
series = { difference = [{ of = "bpf:q", unit = "tasks" }, "bpf:d"] }
each = { between = [0, 10] }
[[scenario.assert]]
series = { rate = "bpf:q" }
each = { between = [6, 7] }
[[scenario.assert]]
series = "bpf:d"
steps = 0
each = { at_most = 14 }
'

# judged EXIT SED, refused SED PATTERN: as in t10.
judged() {
	printf '%s' "$scenario" | sed "$2" | matrix one
	exits "$1" ktcoord "$WORK/one.toml" --runner scripted
}
refused() {
	printf '%s' "$scenario" | sed "$1" | matrix bad
	exits 2 ktcoord plan "$WORK/bad.toml"
	says "bad\.toml:$2"
}

judged 0 ''
exits 0 ktcoord show last
says 'waiting \[tasks\]: 4 of 4 samples carry a value: 5 at periodic_000'
says 'bpf:q per s: 3 of 3 samples'
says 'bpf:d: 2 of 2 samples'
judged 1 's/between = .0, 10./between = [0, 9]/'
says 'waiting \[tasks\] \(each between 0 and 9\): above 9 at periodic_003'
judged 1 's/between = .6, 7./between = [7, 8]/'
says 'bpf:q per s \(each between 7 and 8\): below 7 at periodic_001'
judged 1 's/steps = 0/steps = [0, 1]/'
says 'bpf:d .*above 14 at periodic_002'

refused 's/steps = 0/steps = 2/' '[0-9]+:9: there is no step 2: scenario .one. has 2'
refused 's/difference/diference/' "[0-9]+:12: .*unknown key 'diference' of a series; did you mean 'difference'"
refused 's/"bpf:d"\]/"bfp:d"]/' "[0-9]+:60: .*unknown axis 'bfp'; did you mean 'bpf'"
refused 's/, "bpf:d"\]/, { of = "bpf:d", unit = "ns" }]/' '[0-9]+:10: .*a difference of tasks and ns: their units differ'
nothing_left
