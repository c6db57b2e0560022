#!/usr/bin/env bash
# Every mistake in a matrix or on the command line is one line with its place, exit 2, and nothing starts.
. "$(dirname "$0")/lib.sh"

good_scenario='
[[scenario]]
name = "s"
duration = "10s"
samples = 3
[[scenario.step]]
hold = "full"
cgroup = [{ name = "cg", workers = 2, work = "spin" }]
[[scenario.assert]]
series = "bpf:nr_dispatched"
nondecreasing = true
'

# refused LINE PATTERN: the good matrix with one scenario line replaced must be refused with that message.
refused() {
	printf '%s' "$good_scenario" | sed "$1" | matrix bad
	exits 2 ktcoord "$WORK/bad.toml" --runner scripted
	says "bad\.toml:[0-9]+:[0-9]+: .*$2"
	[ ! -e "$KTCOORD_STATE/sweeps" ] || [ -z "$(ls "$KTCOORD_STATE/sweeps")" ] || fail "a sweep was opened"
}

refused 's/samples = 3/samplse = 3/' "samplse.*samples"
refused 's/samples = 3/samples = "three"/' "samples"
refused 's/samples = 3/samples = 65/' "64"
refused 's/duration = "10s"/duration = "300ms"/' "100 ?ms"
refused 's/"spin"/"spni"/' "spin"
refused 's/bpf:nr_dispatched/bfp:nr_dispatched/' "bpf"
refused 's/nondecreasing = true/nondecreasin = true/' "nondecreasing"
refused 's/workers = 2/workers = -2/' "workers"

matrix missing_binary <<<"$good_scenario"
sed -i 's/binary = "scx_kt"/binary = "scx_nowhere"/' "$WORK/missing_binary.toml"
exits 2 ktcoord "$WORK/missing_binary.toml"
says 'missing_binary\.toml:8:[0-9]+: .*scx_nowhere'

matrix missing_kernel <<<"$good_scenario"
exits 2 ktcoord "$WORK/missing_kernel.toml"
says 'missing_kernel\.toml:5:[0-9]+: .*/nonexistent/vmlinuz'

exits 2 ktcoord "$WORK/not_there.toml"
says 'not_there\.toml'
exits 2 ktcoord --frobnicate "$WORK/bad.toml"
says 'frobnicate'
exits 2 ktcoord rnu
says "did you mean 'run'"
exits 2 ktcoord "$WORK/bad.toml" --runner magic
says 'magic'
exits 2 ktcoord resume no-such-sweep
says 'no-such-sweep'
exits 0 ktcoord --help
says 'exit status'
exits 0 ktcoord --version
nothing_left
