#!/usr/bin/env bash
# `ktcoord judge`: a new verdict beside the old one, from the series alone, all or nothing.
. "$(dirname "$0")/lib.sh"

# cells MATRIX LIMIT [MORE]: the sweep's cells, of which "high" reaches 50.
cells() {
	matrix "$1" <<-END
		[[scenario]]
		name = "low"
		duration = "10s"
		samples = 3
		script = "sample bpf.n=1; sample bpf.n=2; sample bpf.n=3"
		[[scenario.assert]]
		name = "limit"
		series = "bpf:n"
		each = { at_most = $2 }
		[[scenario]]
		name = "high"
		duration = "10s"
		samples = 3
		script = "sample bpf.n=1; sample bpf.n=20; sample bpf.n=50"
		[[scenario.assert]]
		name = "limit"
		series = "bpf:n"
		each = { at_most = $2 }
		${3:-}
	END
}
# As JSON, without the kernel's name for the moment it was printed.
report() {
	ktcoord report last --json >"$1" || true
}

cells one 10
exits 1 ktcoord "$WORK/one.toml" --runner scripted
report "$WORK/before"

# The same matrix: the same verdicts, and it is known that it was judged again.
exits 1 ktcoord judge last
says 'judged again \(judgement 1, with the sweep.s own matrix\): 2 cells, 0 with another outcome$'
says '^2 cells: 1 pass, 1 fail'
report "$WORK/after"
sed -e 's/"judgement": 1,/"judgement": 0,/' "$WORK/after" | python3 -c '
import json, sys
before, after = json.load(open(sys.argv[1])), json.load(sys.stdin)
for old, new in zip(before["cells"], after["cells"]):
    assert [e["outcome"] for e in new["earlier"]] == [old["outcome"]], new["earlier"]
    assert new["earlier"][0]["details"] == old["details"]
    assert new["details"] == old["details"]
' "$WORK/before" || fail "the same matrix gives other verdicts"

# A changed limit: what changed, cell by cell, and the exit status of the sweep as it is now.
cells changed 100
exits 0 ktcoord judge last "$WORK/changed.toml"
says '^PASS +high/any/scx_kt/small#0 .*judged again, was fail$'
says_not '^PASS +low/'
says 'judgement 2, with .*changed.toml\): 2 cells, 1 with another outcome, 1 with the same outcome for other reasons$'
says '^2 cells: 2 pass'
exits 0 ktcoord report last
says '^PASS +high/.*judged again, was fail$'
says '^2 of them judged again since it ran'
exits 0 ktcoord sweeps
says '2 pass  0 fail'
exits 0 ktcoord show last high
says '^high/any/scx_kt/small#0: pass \(judged again: judgement 2\)$'
says '^before, in judgement 1: fail$'
says '^before, when it ran: fail$'
says 'limit \(each at_most 10\): above 10 at periodic_001'
says_not '<- fails' # the column is shown as the newest matrix judges it
exits 0 ktcoord show last high --json
says '"text": "bpf:n: each at_most 100"'
exits 0 ktcoord resume last # a finished sweep stays finished
says '^2 cells: 2 pass'

cells worse 2
exits 1 ktcoord judge last "$WORK/worse.toml" --json
python3 - "$WORK/out" <<'END' || fail "JSON"
import json, sys
said = json.load(open(sys.argv[1]))
assert said["judgement"] == 3 and said["judged"] == 2 and said["changed"] == 2, said
assert said["matrix"].endswith("worse.toml") and said["unmatched"] == said["without_series"] == []
low = said["cells"][0]
assert low["cell"] == "low/any/scx_kt/small#0" and low["changed"]
assert low["was"]["outcome"] == "pass" and low["is"]["outcome"] == "fail", low
END

# Cells that only one side has; nothing in common; a matrix that is wrong; another ktcoord at work.
cells other 10
sed -i 's/name = "high"/name = "highest"/' "$WORK/other.toml"
exits 1 ktcoord judge last "$WORK/other.toml"
says '^high/any/scx_kt/small#0: not in .*other.toml, keeps its verdict$'
says ': 1 cell, 1 with another outcome; 1 not in that matrix$'
says '^2 cells: 1 pass, 1 fail'
sed -i 's/scx_kt/scx_other/' "$WORK/other.toml"
cp "$(find "$KTCOORD_STATE/sweeps" -name '*.sweep')" "$WORK/kept"
exits 2 ktcoord judge last "$WORK/other.toml"
says 'no cell of .*other.toml has the name of one of the sweep.s: there it is for example low/any/scx_other/small#0, in the sweep low/any/scx_kt/small#0'
cells bad '"ten"'
exits 2 ktcoord judge last "$WORK/bad.toml"
says 'bad.toml:[0-9]+:[0-9]+: .*at_most must be a number'
cmp "$WORK/kept" "$(find "$KTCOORD_STATE/sweeps" -name '*.sweep')" || fail "a refused judgement wrote something"

# Over the repeats; and what had no verdict has nothing to judge.
matrix repeats <<'END'
[[scenario]]
name = "one"
duration = "10s"
samples = 3
repeats = 2
script = "sample bpf.n=1; sample bpf.n=2; sample bpf.n=3"
[[scenario.assert]]
series = "bpf:n"
over = "all"
each = { at_most = 3 }
[[scenario]]
name = "lost"
duration = "10s"
script = "die qemu_died"
END
exits 3 ktcoord "$WORK/repeats.toml" --runner scripted
sed 's/at_most = 3/at_most = 2/' "$WORK/repeats.toml" >"$WORK/repeats2.toml"
exits 1 ktcoord judge last "$WORK/repeats2.toml"
says '^FAIL +one/any/scx_kt/small  over 2 repeats'
says '^       was pass'
says '^lost/any/scx_kt/small#0: has no series that could be judged$'
sed '/^over/d; s/at_most = 3/at_most = 4/' "$WORK/repeats.toml" >"$WORK/repeats3.toml"
exits 3 ktcoord judge last "$WORK/repeats3.toml"
says 'over their repeats: 1 skip'

# Killed before or behind the commit: nothing, or all of it.
cells again 10
exits 1 ktcoord "$WORK/again.toml" --runner scripted
sed -i 's/at_most = 10/at_most = 100/' "$WORK/again.toml"
exits 137 env KT_TEST_KILL_AT=0 ktcoord judge last "$WORK/again.toml"
exits 1 ktcoord report last
says_not 'judged again'
exits 137 env KT_TEST_KILL_AT=1 ktcoord judge last "$WORK/again.toml"
says_not . # what a person has seen is on disk, not the other way round
exits 0 ktcoord report last
says '^PASS +high/.*judged again, was fail$'

# A series that is damaged is not judged, and nothing else is either.
sweep=$(find "$KTCOORD_STATE/sweeps" -name '*.sweep' -printf '%T@ %p\n' | sort -n | tail -1 | cut -d' ' -f2)
sqlite3 "$sweep" "UPDATE sample SET body = zeroblob(length(body)) WHERE cell = 1 AND seq = 2" ||
	fail "sqlite3"
exits 3 ktcoord judge last
says 'nothing was judged: its series: what arrived is not what the worker recorded'
nothing_left
