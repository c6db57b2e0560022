#!/usr/bin/env bash
# The example plug-in, built with pkg-config alone, judges; one that crashes, hangs, lies or eats memory is contained.
. "$(dirname "$0")/lib.sh"

build=$(dirname "$KT_BIN")
for tool in cc make pkg-config; do
	command -v "$tool" >/dev/null || { echo "no $tool here"; exit 77; }
done
grep -q '^KT_SANITIZE:STRING=.' "$build/CMakeCache.txt" && sanitized=1 || sanitized=

exits 0 env DESTDIR="$WORK/root" cmake --install "$build" --component ktassert
pc=$(find "$WORK/root" -name ktassert.pc)
export PKG_CONFIG_PATH=${pc%/*}
cp -r "$KT_SOURCE/examples/verdict-plugin" "$WORK/example"
rm -f "$WORK/example/verdict.so"
exits 0 make -C "$WORK/example"
mkdir "$WORK/plugins"
cp "$WORK/example/verdict.so" "$WORK/plugins/"

# plugin NAME BODY: a plug-in of one function.
plugin() {
	cat >"$WORK/$1.c" <<-END
		#include <ktassert_plugin.h>
		#include <errno.h>
		#include <signal.h>
		#include <stdio.h>
		#include <stdlib.h>
		#include <string.h>
		#include <sys/mman.h>
		#include <sys/socket.h>
		#include <unistd.h>
		KT_ASSERT_PLUGIN(const struct kt_assert_series *series, struct kt_assert_verdict *verdict)
		{
			(void)series;
			(void)verdict;
			$2
		}
	END
	# shellcheck disable=SC2046 # one argument per word
	exits 0 cc -shared -fPIC "$WORK/$1.c" -o "$WORK/plugins/$1.so" $(pkg-config --cflags --libs ktassert)
}
# cell PLUGIN [SCRIPT [MORE]]
cell() {
	matrix one <<-END
		[[scenario]]
		name = "one"
		duration = "10s"
		samples = 3
		script = '''${2:-sample bpf.nr_dispatched=10 stats.nr_dispatched=9; sample bpf.nr_dispatched=20 stats.nr_dispatched=19}'''
		verdict = { plugin = "$1", deadline = "${deadline:-1s}" }
		${3:-}
	END
}
judged() {
	exits "$1" ktcoord "$WORK/one.toml" --runner scripted
}

# The example: passes, fails with messages that say what and when, and is not asked about what nobody measured.
cell plugins/verdict.so
exits 0 ktcoord plan "$WORK/one.toml" --asserts
says 'plug-in plugins/verdict.so judges too, within 1(\.0)?s$'
judged 0
exits 0 ktcoord show last
says 'pass +same story \(plugin\): at periodic_001 the scheduler says 19 dispatches, its memory 20$'
says 'bpf:nr_dispatched: 2 of 2 samples carry a value: 10 at periodic_000'
cell plugins/verdict.so 'sample bpf.nr_dispatched=10 stats.nr_dispatched=9; sample bpf.nr_dispatched=5 stats.nr_dispatched=8'
judged 1
says 'bpf:nr_dispatched \(nondecreasing\): fell at periodic_001 .*: 5 after 10 at periodic_000'
says 'same story \(plugin\): at periodic_001 the scheduler says 8 dispatches, its memory 5'
cell plugins/verdict.so 'sample bpf.nr_dispatched=10; fail scheduler_stalled "runnable task stall"'
judged 1
says '^ +scheduler_stalled: runnable task stall'
# It cannot make a failed cell pass; an assertion beside it counts.
cell plugins/verdict.so '' '[[scenario.assert]]
series = "bpf:nr_dispatched"
each = { at_most = 15 }'
judged 1
says 'above 15 at periodic_001'

# What goes wrong in it is nobody's failure: inconclusive, with what to do.
contained() {
	judged 4
	says '^INCO +one/any/scx_kt/small#0'
	says "plug-in plugins/$1.so $2: it has not judged this cell; mend it, then: ktcoord judge"
}
plugin crashes 'fputs("here I go\n", stderr); return *(volatile int *)0;'
plugin aborts 'abort();'
plugin hangs 'for (;;) pause();'
plugin spins 'for (;;) ;'
plugin exits 'exit(0);'
plugin fails 'kt_assert_verdict_say(verdict, KT_ASSERT_FAIL, "", "half done"); return -5;'
plugin lies 'if (write(3, "nonsense", 8) < 0) return 1; _exit(0);'
plugin mumbles 'printf("%s", "no line ends here"); return 0;'
plugin chatters 'for (int i = 0; i < 100000; i++) puts("blah blah blah"); fflush(stdout); return 0;'
plugin verbose 'static char text[4000]; memset(text, 97, 3999); for (int i = 0; i < 10000; i++) kt_assert_verdict_say(verdict, KT_ASSERT_NOTE, "", "%s", text); kt_assert_verdict_say(verdict, KT_ASSERT_FAIL, "", "after all"); return 0;'
plugin escapes 'int held = fork() < 0 && errno == EPERM; held += socket(AF_UNIX, SOCK_STREAM, 0) < 0; held += !fopen("/tmp/'"${WORK##*/}"'.was-here", "w"); execl("/bin/true", "true", (char *)0); held += kill(getppid(), 0) < 0 && errno == EPERM; kt_assert_verdict_say(verdict, KT_ASSERT_PASS, "jail", "%d of 4 held", held); return 0;'
cell plugins/crashes.so
[ -n "$sanitized" ] || contained crashes 'crashed \(signal 11, Segmentation fault; it may use 1024 MiB of memory\); it printed: here I go'
cell plugins/aborts.so
contained aborts 'crashed \(signal 6, Aborted; .*\)'
cell plugins/hangs.so
contained hangs 'came to no end \(killed after 1 s\)'
cell plugins/spins.so
contained spins 'came to no end \(killed after 1 s\)'
cell plugins/exits.so # where exit() has a sanitizer's work to do, that has no rights either
[ -n "$sanitized" ] || contained exits 'ended without a verdict that can be read \(exit status 0\)'
cell plugins/fails.so
contained fails 'gave up \(its function returned -5\)'
exits 0 ktcoord show last
says 'note +half done$'
cell plugins/lies.so
contained lies 'ended without a verdict that can be read \(.*\)'
if [ -z "$sanitized" ]; then # which needs more address space than any limit allows
	plugin eats 'for (;;) { char *more = malloc(1 << 20); memset(more, 1, 1 << 20); }'
	plugin maps 'while (mmap(0, 1 << 24, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0) != MAP_FAILED); return -ENOMEM;'
	deadline=30s
	cell plugins/eats.so
	contained eats 'crashed \(signal 11, .*\)'
	cell plugins/maps.so
	contained maps 'gave up \(its function returned -12\)'
	deadline=1s
fi
cell plugins/mumbles.so
judged 0
exits 0 ktcoord show last
says 'plug-in plugins/mumbles.so printed: no line ends here$'
cell plugins/chatters.so
judged 0
exits 0 ktcoord show last
says 'plug-in plugins/chatters.so printed: .*blah blah blah$'
[ "$(wc -c <"$WORK/out")" -lt 3000 ] || fail "all of what it printed was kept"
cell plugins/verbose.so
judged 1
says 'after all'
exits 1 ktcoord judge last # of what does not fit into a fact the end is left out, here as there
says ' 1 cell, 0 with another outcome$'
cell plugins/escapes.so
judged 0
exits 0 ktcoord show last
says 'pass +jail \(plugin\): 4 of 4 held$'
[ ! -e "/tmp/${WORK##*/}.was-here" ] || fail "a plug-in wrote a file"

# Refused before anything runs, with the place.
refused() {
	judged 2
	says "one.toml:[0-9]+:[0-9]+: $1"
	exits 2 ktcoord plan "$WORK/one.toml"
	says "one.toml:[0-9]+:[0-9]+: $1"
}
cell plugins/nowhere.so
refused "plug-in 'plugins/nowhere.so': opening .*/plugins/nowhere.so: No such file"
cell one.toml
refused "plug-in 'one.toml': it cannot be loaded: .*(file too short|invalid ELF header)"
echo 'int kt_assert_plugin_v0(void) { return 0; }' >"$WORK/old.c"
exits 0 cc -shared -fPIC "$WORK/old.c" -o "$WORK/plugins/old.so"
cell plugins/old.so
refused "plug-in 'plugins/old.so': it has no function kt_assert_plugin_v1: it is no verdict plug-in, or one of another version"
echo 'void missing(void); __attribute__((constructor)) void begin(void) { missing(); }' >"$WORK/missing.c"
exits 0 cc -shared -fPIC "$WORK/missing.c" -o "$WORK/plugins/missing.so"
cell plugins/missing.so
refused "plug-in 'plugins/missing.so': it cannot be loaded: undefined symbol: missing"
cell plugins/verdict.so
sed -i 's/plugin = /plug = /' "$WORK/one.toml"
judged 2
says "one.toml:[0-9]+:[0-9]+: .*unknown key 'plug' in verdict of \[\[scenario\]\]; did you mean 'plugin'"
sed -i 's/plug = /plugin = /; s/"1s"/"1h"/' "$WORK/one.toml"
judged 2
says "'deadline' in verdict of \[\[scenario\]\] is \"1h\"; it goes from 100ms to 5m"

# Judged again: by the plug-in as it was when the sweep ran, and by a mended one when a matrix names it.
plugin mended 'return -5;'
cell plugins/mended.so
judged 4
sweep=$(find "$KTCOORD_STATE/sweeps" -name '*.sweep' -printf '%T@ %p\n' | sort -n | tail -1 | cut -d' ' -f2)
digest=$(sha256sum "$WORK/plugins/mended.so" | cut -d' ' -f1)
sqlite3 "$sweep" "SELECT lower(hex(value)) FROM meta WHERE key = 'manifest'" | grep -q "$digest" ||
	fail "the plug-in's digest is not in the journal"
plugin mended 'kt_assert_verdict_say(verdict, KT_ASSERT_PASS, "", "now it works"); return 0;'
exits 4 ktcoord judge last
says ' 1 cell, 0 with another outcome$'
exits 0 ktcoord judge last "$WORK/one.toml"
says '^PASS +one/any/scx_kt/small#0 .*judged again, was inconclusive$'
digest=$(sha256sum "$WORK/plugins/mended.so" | cut -d' ' -f1)
sqlite3 "$sweep" "SELECT lower(hex(value)) FROM meta WHERE key = 'manifest.2'" | grep -q "$digest" ||
	fail "the mended plug-in's digest is not in the journal"
rm "$WORK/plugins/mended.so"
exits 4 ktcoord judge last
says 'was pass$'
exits 2 ktcoord judge last "$WORK/one.toml"

# Nobody waits for a plug-in but its own cell.
cell plugins/hangs.so
sed -i 's/deadline = "1s"/deadline = "3s"/' "$WORK/one.toml"
cat >>"$WORK/one.toml" <<'END'
[[scenario]]
name = "two"
duration = "10s"
script = "wait 300ms"
END
judged 4
grep -E '^(PASS|INCO) ' "$WORK/out" >"$WORK/order"
sed -n 1p "$WORK/order" | grep -q '^PASS *two/' || fail "a cell waited for the plug-in of another"
sed -n 2p "$WORK/order" | grep -q '^INCO *one/' || fail "the plug-in's own cell"

# Killed while a plug-in judges: nothing is lost, and a resume asks it again.
plugin slow 'usleep(700000); kt_assert_verdict_say(verdict, KT_ASSERT_PASS, "", "slow but sure"); return 0;'
cell plugins/slow.so '' 'repeats = 6'
ktcoord "$WORK/one.toml" --runner scripted >"$WORK/out" 2>&1 &
pid=$!
for _ in $(seq 100); do
	grep -q '^PASS' "$WORK/out" && break
	sleep 0.1
done
kill -KILL "$pid"
wait "$pid" || true
exits 0 ktcoord resume last
says '^6 cells: 6 pass'
exits 0 ktcoord report last --json
[ "$(grep -c '"slow but sure"' "$WORK/out")" -eq 6 ] || fail "not every cell was judged once"
nothing_left
