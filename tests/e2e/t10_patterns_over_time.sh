#!/usr/bin/env bash
# Every pattern of the table can be written in a matrix, is judged, and is refused with its place when wrong.
. "$(dirname "$0")/lib.sh"

scenario='
[[scenario]]
name = "one"
duration = "10s"
samples = 3
script = "sample bpf.n=100 bpf.m=50; sample bpf.n=2100 bpf.m=1000; sample bpf.n=4100 bpf.m=2000"
[[scenario.step]]
hold = "full"
cgroup = [{ name = "cg", workers = 2, work = "spin" }]
[[scenario.assert]]
series = "bpf:n"
rate_within = { lo = 0.5, hi = 2, per = "ms" }
steady_within = { warmup_ms = 4000, tol = 0.5 }
converges_to = { target = 4000, tol = 2000, deadline_ms = 8000, run = 2, stays = true }
ratio_across_steps = { early = 0, late = 0, at_most = 1 }
ratio_within = { other = "bpf:m", lo = 2, hi = 2.1 }
eventually = { gt = 4000, within_ms = 8000 }
always = { at_least = 2000, from_ms = 4000 }
until = { hold = { at_most = 3000 }, then = { gt = 4000 }, within_ms = 8000 }
'

# judged EXIT SED: the matrix with one line replaced ends with that status.
judged() {
	printf '%s' "$scenario" | sed "$2" | matrix one
	exits "$1" ktcoord "$WORK/one.toml" --runner scripted
}

# refused SED PATTERN: nothing starts; the message has the place.
refused() {
	printf '%s' "$scenario" | sed "$1" | matrix bad
	exits 2 ktcoord plan "$WORK/bad.toml"
	says "bad\.toml:$2"
}

judged 0 ''
says '^PASS'
exits 0 ktcoord plan "$WORK/one.toml"

judged 1 's/hi = 2,/hi = 0.7,/'
says 'rate_within lo 0.5, hi 0.7, per ms\): [01]\.[0-9]+ per ms, above 0.7, at periodic_001 \(\+50[0-9.]+ ms\): 2100 after 100 at periodic_000 \(\+30[0-9.]+ ms\)'
judged 1 's/tol = 0.5/tol = 0.1/'
says 'steady_within .*below 2790 \(mean 3100 of 2\) at periodic_001 \(\+50[0-9.]+ ms\): 2100'
judged 1 's/deadline_ms = 8000/deadline_ms = 6000/; s/run = 2/run = 1/; s/tol = 2000/tol = 1/'
says 'converges_to .*not 1 in a row by \+6000 ms: none, the last value is 2100 at periodic_001'
judged 1 's/at_most = 1/at_most = 0.5/'
says 'ratio_across_steps .*1 times, above 0.5,'
judged 1 's/hi = 2.1/hi = 2.05/'
says 'ratio_within other bpf:m, lo 2, hi 2.05\): 2.1, above 2.05, at periodic_001 \(\+50[0-9.]+ ms\): 2100 over 1000 of bpf:m'
judged 1 's/within_ms = 8000/within_ms = 6000/'
says 'eventually .*never, last seen at periodic_001 \(\+50[0-9.]+ ms\): 2100'
judged 1 's/at_least = 2000/at_least = 2101/'
says 'always .*below 2101 at periodic_001 \(\+50[0-9.]+ ms\): 2100'
judged 1 's/at_most = 3000/at_most = 2000/'
says 'until .*broken before then is reached: above 2000 at periodic_001 \(\+50[0-9.]+ ms\): 2100'
judged 1 's/at_least = 2000, from_ms = 4000/eventually = { gt = 2000, within_ms = 1000 }, to_ms = 5000/'
says 'always .*eventually from periodic_000 \(\+30[0-9.]+ ms\): never, last 100 at periodic_000'
# A restart of the scheduler begins a new segment, when the assertion says so.
judged 1 's/2100 bpf.m=1000; sample bpf.n=4100 bpf.m=2000/2100 bpf.m=1000; sample epoch=1 bpf.n=100 bpf.m=50/; /^[a-z_]* = {/d; /^series/a nondecreasing = true'
says 'fell at periodic_002 .*; the scheduler restarted in between \(reset = "epoch"'
judged 0 's/2100 bpf.m=1000; sample bpf.n=4100 bpf.m=2000/2100 bpf.m=1000; sample epoch=1 bpf.n=100 bpf.m=50/; /^[a-z_]* = {/d; /^series/a nondecreasing = true\nreset = "epoch"'
judged 4 's/late = 0/late = 1/'
says 'no value in step 1'
judged 4 's/bpf.m=50/bpf.m=0/'
says 'nothing to divide by'

refused 's/per = "ms"/per = "minute"/' '[0-9]+:[0-9]+: .*rate_within: per must be one of "ms", "s", not "minute"'
refused 's/lo = 0.5/lo = 3/' '[0-9]+:[0-9]+: .*lo 3 is above hi 2'
refused 's/tol = 0.5/tol = -0.5/' '[0-9]+:[0-9]+: .*tol must not be negative, it is -0.5'
refused 's/, deadline_ms = 8000//' '[0-9]+:[0-9]+: .*converges_to needs deadline_ms'
refused 's/gt = 4000, //' '[0-9]+:[0-9]+: .*eventually needs at least one of: at_least'
refused 's/early = 0/erly = 0/' "[0-9]+:[0-9]+: .*erly.*did you mean 'early'"
refused 's/"bpf:m"/"bpf:m..n"/' '[0-9]+:[0-9]+: .*ratio_within: '
refused 's/gt = 4000 }, within/gr = 4000 }, within/' "[0-9]+:47: .*until: then: unknown parameter 'gr'; did you mean 'gt'"
refused 's/at_most = 3000/at_most = "3000"/' '[0-9]+:30: .*until: hold: at_most must be a number, not a string'
refused 's/{ gt = 4000 }, within_ms = 8000 }/{ any_of = [{ gt = 1 }, { between = [2, 1] }] } }/' '[0-9]+:81: .*until: then: any_of: between .2, 1. is empty'
nothing_left
