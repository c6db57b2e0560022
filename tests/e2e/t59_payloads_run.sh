#!/usr/bin/env bash
# Programs of the user's run in a real guest with every library they need, end as they should or are ended, leave nothing
# behind, and what they print is judged.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/guest.sh"

command -v stress-ng >/dev/null || { echo "SKIP: stress-ng is not installed"; exit 77; }

# A program with a library of its own, which lies where nobody would look.
mkdir "$WORK/lib"
echo 'int own(void) { return 42; }' | gcc -shared -fPIC -o "$WORK/lib/libown.so.1" -Wl,-soname,libown.so.1 -x c -
cat >"$WORK/own.c" <<-'END'
	#include <stdio.h>
	#include <stdlib.h>
	int own(void);
	int main(int argc, char **argv)
	{
		char data[16] = "";
		FILE *file = fopen("/kt/data/x.txt", "r");

		if (file && fgets(data, sizeof(data), file))
			printf("{\"own\": [%d], \"args\": %d, \"data.x\": %s, \"env\": \"%s\"}\n", own(), argc, data, getenv("A"));
		return 3;
	}
END
gcc -o "$WORK/own" "$WORK/own.c" "$WORK/lib/libown.so.1"
echo 17 >"$WORK/x.txt"

own='[[payload]]
name = "own"
program = "own"
args = ["one", "two"]
env = { A = "5.5" }
files = [{ path = "x.txt", to = "/kt/data/x.txt" }]
exit = 3
metric = [
  { name = "own", json = "own[0]", range = [42, 42] },
  { name = "args", json = "args", range = [3, 3] },
  { name = "data", json = "data.x", range = [17, 17] },
  { name = "env", json = "env", range = [5.5, 5.5] },
]'

# A library that is not there is missed before anything starts.
guest_matrix missing <<END
[[scheduler]]
name = "eevdf"
$own
[[scenario]]
name = "one"
duration = "1s"
[[scenario.step]]
hold = "full"
ops = [{ run_payload = "own" }]
END
exits 2 ktcoord plan "$WORK/missing.toml"
says "missing.toml:13:11: payload 'own': .*/own needs libown.so.1, which the loader would not find on this machine: install it"
exits 2 ktcoord "$WORK/missing.toml"
says "needs libown.so.1"
export LD_LIBRARY_PATH="$WORK/lib"
exits 0 ktcoord plan "$WORK/missing.toml"

guest_matrix payloads <<END
[[scheduler]]
name = "scx_kt"
binary = "scx_kt"

$own

[[payload]]
name = "stress"
program = "stress-ng"
args = ["--cpu", "1", "--cpu-method", "int64", "--timeout", "1s", "--metrics-brief", "--yaml", "/dev/stdout"]
deadline = "60s"
metric = [
  { name = "ops", pattern = "metrc: .* cpu +([0-9]+) ", min = 1 },
  { name = "rate", pattern = "bogo-ops-per-second-real-time: ([0-9.]+)", min = 0.001, exists = true },
]

[[payload]] # ten megabytes: the first and the last line are there, those between are not
name = "flood"
program = "seq"
args = ["1000001", "2310000"]
metric = [
  { name = "first", pattern = "^100000[0-9]\$", range = [1000001, 1000001] },
  { name = "last", pattern = "^2310000\$", exists = true },
  { name = "middle", pattern = "^1500000\$", exists = false },
]

[[payload]] # what it leaves behind would run for ever
name = "daemons"
program = "/bin/sh"
args = ["-c", "for i in 1 2 3; do (trap '' TERM HUP; while :; do :; done) & done; exit 0"]

[[payload]] # counts the tasks that are called as it is
name = "census"
program = "/bin/sh"
args = ["-c", "n=0; for p in /proc/[0-9]*; do read -r c <\$p/comm && [ \"\$c\" = sh ] && n=\$((n+1)); done; echo shells: \$n"]
metric = [{ name = "shells", pattern = "shells: ([0-9]+)", range = [1, 1] }]

[[payload]] # works until it is told that it is over, then says what it did
name = "background"
program = "/bin/sh"
args = ["-c", "trap 'echo rounds: \$n; exit 0' TERM; n=0; while :; do n=\$((n+1)); done"]
metric = [{ name = "rounds", pattern = "rounds: ([0-9]+)", min = 1 }]

[[payload]]
name = "slow"
program = "sleep"
args = ["1000"]
deadline = "500ms"

[[payload]]
name = "forever"
program = "/bin/sh"
args = ["-c", "echo words of forever; while :; do :; done"]

[[scenario]]
name = "good"
duration = "6s"
[scenario.backdrop]
cgroup = [{ name = "cg_0", workers = 1, work = "spin", payload = "stress" }]
[[scenario.step]]
hold = "50%"
ops = [{ run_payload = "daemons" }, { wait_payload = "daemons", deadline = "30s" }, { run_payload = "own" },
       { run_payload = "background" }]
[[scenario.step]]
hold = "50%"
cgroup = [{ name = "cg_1", payload = "background" }]
ops = [{ run_payload = "census" }, { wait_payload = "census", deadline = "30s" },
       { run_payload = "flood" }, { wait_payload = "flood", deadline = "60s" }, { wait_payload = "stress", deadline = "60s" }]

[[scenario]]
name = "bad"
duration = "3s"
schedulers = ["scx_kt"]
[[scenario.step]]
hold = "full"
ops = [{ run_payload = "slow" }, { run_payload = "own" }, { run_payload = "forever" }, { kill_payload = "forever" }]

[[scenario]]
name = "stuck"
duration = "2s"
expect = { outcome = "fail", cause = "payload_failed", log = "words of forever" }
[[scenario.step]]
hold = "full"
ops = [{ run_payload = "forever" }, { wait_payload = "forever", deadline = "300ms" }]
END
sed 's/range = \[42, 42\]/min = 43/' "$WORK/payloads.toml" >"$WORK/bound.toml"

exits 1 ktcoord "$WORK/payloads.toml"
says '^PASS +good/'
says '^FAIL +bad/'
says '^PASS +stuck/'
says_not '^ERROR|infra '
nothing_left

exits 0 ktcoord show last good --logs
says '^  stress in cg_0, step 0: exited with status 0 after'
says '^    ops +[0-9]+$'
says '^    rate +[0-9.]+$'
says '^  own, step 0: exited with status 3 after'
says '^  own\| \{"own": \[42\], "args": 3, "data.x": 17$'
says '^  daemons, step 0: exited with status 0 after'
says '^  flood, step 1: exited with status 0 after .*; 10480000 bytes of output, of which 6[0-9]+ are kept$'
says '^  flood\| \[104[0-9]+ bytes are left out\]$'
says '^    shells +1$'
says '^  background, step 0: was killed after .*, as its time was over; '
says '^  background in cg_1, step 1: was killed after '
says ' payload +daemons: exited with status 0$'
says ' op +at .*: wait_payload flood: exited with status 0$'

exits 0 ktcoord show last bad
says '^  fail +payload slow: still ran at its deadline and was killed after [0-9.]+m?s'
says '^  forever, step 0: was killed after '
says ' op +at .*: kill_payload forever$'

exits 0 ktcoord show last stuck
says 'payload_failed.*step 0: wait_payload forever: it did not end by itself in 0.3 s; read its output'
says '^words of forever$'

# Another bound, judged again without a guest.
exits 1 ktcoord judge last "$WORK/bound.toml"
says 'payload own, own: 42 is less than 43 \(min\)'
