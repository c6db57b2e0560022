#!/usr/bin/env bash
# Assertions attached further out, groups of them, over repeats, and failures that are expected.
. "$(dirname "$0")/lib.sh"

# cell SCRIPT [SCENARIO-LINES]: a scripted scenario; the sweep and its scheduler assert something as well.
cell() {
	cat >"$WORK/one.toml" <<-EOF
		[sweep]
		name = "e2e"
		repeats = 3
		[[sweep.assert]]
		name = "limit"
		series = "bpf:n"
		each = { at_most = 10 }
		[[kernel]]
		name = "any"
		path = "/nonexistent/vmlinuz"
		[[scheduler]]
		name = "scx_kt"
		binary = "scx_kt"
		[[scheduler.assert]]
		name = "rises"
		series = "bpf:n"
		nondecreasing = true
		[[topology]]
		name = "small"
		cpus = "1n1l2c1t"
		[[scenario]]
		name = "one"
		duration = "10s"
		samples = 3
		script = '''$1'''
		[[scenario.step]]
		hold = "full"
		${2:-}
	EOF
}
judged() {
	exits "$1" ktcoord "$WORK/one.toml" --runner scripted
}

rising='sample bpf.n=1; sample bpf.n=5; sample bpf.n=9'
cell "$rising"
judged 0
exits 0 ktcoord plan "$WORK/one.toml" --asserts
says 'limit: bpf:n: each at_most 10'
says '\[\[sweep.assert\]\] .*one.toml:4$'
says '\[\[scheduler.assert\]\] .*one.toml:14$'
exits 0 ktcoord plan "$WORK/one.toml" --json --asserts
says '"from":"scheduler"'
exits 0 ktcoord plan "$WORK/one.toml" --json
says '"assertions":2'
says_not '"from"'

# The scenario's own assertion of a name takes the place of the sweep's; off takes it away.
cell "$rising" '[[scenario.assert]]
name = "limit"
series = "bpf:n"
each = { at_most = 8 }'
judged 1
says 'limit \(each at_most 8\): above 8 at periodic_002'
exits 0 ktcoord plan "$WORK/one.toml" --asserts
says 'limit: bpf:n: each at_most 8'
says 'instead of \[\[sweep.assert\]\] :4'
cell 'sample bpf.n=1; sample bpf.n=50; sample bpf.n=60' '[[scenario.assert]]
name = "limit"
off = true'
judged 0
exits 0 ktcoord plan "$WORK/one.toml" --asserts
says 'limit: off'
cell "$rising" '[[scenario.assert]]
name = "limt"
off = true'
judged 2
says "one.toml:29:8: off, but nothing of the name 'limt'"

# Branches.
cell "$rising" '[[scenario.assert]]
name = "either"
series = "bpf:n"
because = "nobody reads the rest"
any_of = [{ each = { at_most = 3 } }, { each = { at_least = 1 } }]'
judged 0
cell "$rising" '[[scenario.assert]]
name = "either"
series = "bpf:n"
because = "nobody reads the rest"
any_of = [{ each = { at_most = 3 } }, { each = { at_least = 2 } }]'
judged 1
says 'either: none of 2 branches holds; the first: bpf:n \(each at_most 3\): above 3 at periodic_001'
exits 0 ktcoord show last 'one/any/scx_kt/small#0'
says 'either: it must hold because nobody reads the rest'
says 'periodic_001 .* 5 +\| +\* +\|  <- fails$'
says 'periodic_000 .* 1 +\|\* +\|$'
exits 0 ktcoord show last 'one/any/scx_kt/small#0' --json
says '"mark": "fail"'

# Over the repeats: one may be bad. What decides is their verdict together, and it survives a kill.
over() {
	cell 'sample; sample; sample' "[[scenario.assert]]
series = \"bpf:nr_dispatched\"
over = $1
each = { at_least = $2 }
[[scenario.assert]]
name = \"limit\"
off = true
[[scenario.assert]]
name = \"rises\"
off = true"
}
over '"all"' 1000
judged 0
says '^PASS +one/any/scx_kt/small  over 3 repeats'
says '3 cells: 3 pass; over their repeats: 1 pass'
exits 0 ktcoord report last
says '^PASS +one/any/scx_kt/small  over 3 repeats'
over '{ at_least = 2 }' 1000000
judged 1
says '^PASS +one/any/scx_kt/small#2'
says '^FAIL +one/any/scx_kt/small  over 3 repeats'
says 'bpf:nr_dispatched \(over at least 2 repeats\): holds in 0 of 3, fails in 3, unknown in 0'
says 'e.g. bpf:nr_dispatched \(each at_least 1000000\): '
exits 1 ktcoord report last --json
says '"fail": 1'
exits 0 ktcoord show last 'one/any/scx_kt/small#1'
says 'fail in this repeat; judged over at least 2 repeats'
says '^FAIL +one/any/scx_kt/small  over 3 repeats'
over '{ at_least = 4 }' 1
judged 2
says 'one.toml:30:8: 4 repeats can never hold: scenario .one. has 3'

# A cell that cannot be had is unknown: it matters when it could decide.
cell 'die qemu_died "gone"' '[[scenario.assert]]
series = "bpf:n"
nondecreasing = true
over = "any"'
judged 3
says '^INCO +one/any/scx_kt/small  over 3 repeats'
says 'unknown in 3'
# Tried again with success, the verdict over the repeats comes again and replaces the first.
cell 'die qemu_died "gone" x3; sample bpf.n=1; sample bpf.n=2; sample bpf.n=3' '[[scenario.assert]]
series = "bpf:n"
nondecreasing = true
over = "any"'
judged 3
says 'over their repeats: 1 inconclusive'
exits 0 ktcoord resume last
says '3 cells: 3 pass; over their repeats: 1 pass'

# Expected failures.
cell "$rising; fail scheduler_stalled \"runnable task stall (3.1s)\"" \
	'[scenario.expect]
outcome = "fail"
cause = "scheduler_stalled"
log = "task*stall"'
judged 0
exits 0 ktcoord show last 'one/any/scx_kt/small#0'
says 'failed as expected: scheduler_stalled: runnable task stall'
cell "$rising" '[scenario.expect]
cause = "scheduler_stalled"'
judged 1
says 'expected to fail as scheduler_stalled, but the outcome is pass'
cell "$rising; fail kernel_panic \"boom\"" '[scenario.expect]
cause = "scheduler_stalled"'
judged 1
says 'expected to fail as scheduler_stalled, but the cause is kernel_panic: kernel_panic: boom'

# The example shows all of it, and passes.
exits 0 ktcoord "$KT_SOURCE/examples/asserts.toml" --runner scripted
says '6 cells: 6 pass; over their repeats: 1 pass'
nothing_left
