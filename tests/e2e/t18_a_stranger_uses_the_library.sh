#!/usr/bin/env bash
# libktassert, installed elsewhere, is enough: its headers, its pkg-config file and nothing of the source tree.
. "$(dirname "$0")/lib.sh"

build=$(dirname "$KT_BIN")
for tool in cc pkg-config nm readelf; do
	command -v "$tool" >/dev/null || { echo "no $tool here"; exit 77; }
done
[ -f "$build/CMakeCache.txt" ] || fail "$build is no build folder"
grep -q '^KT_SANITIZE:STRING=.' "$build/CMakeCache.txt" && sanitized=1 || sanitized=

# cmake --install into a folder of its own, as packagers do.
exits 0 env DESTDIR="$WORK/root" cmake --install "$build" --component ktassert --prefix /usr
lib=$(dirname "$(find "$WORK/root" -name libktassert.so)")
include=$WORK/root/usr/include
for file in "$lib/libktassert.so.0" "$lib/libktassert.a" "$lib/pkgconfig/ktassert.pc" "$include/ktassert.h" \
	"$include/ktassert_plugin.h" "$WORK"/root/usr/share/doc/*/series-format.md; do
	[ -e "$file" ] || fail "not installed: $file"
done
readelf -d "$lib/libktassert.so.0" >"$WORK/out"
says 'SONAME.*\[libktassert\.so\.0\]'
! grep -qE 'NEEDED.*(czmq|zmq|uv|sqlite|json|archive|toml)' "$WORK/out" || fail "it drags in the coordinator's libraries"

# What the headers declare, the map names, and the two libraries show: the same list, all below one version.
cc -E -P "$include/ktassert.h" | grep -oE '\bkt_assert_[a-z0-9_]+ ?\(' | tr -d ' (' | sort -u >"$WORK/declared"
[ "$(wc -l <"$WORK/declared")" -gt 40 ] || fail "the headers were not read"
nm -D --defined-only "$lib/libktassert.so.0" | awk '$2 != "A" { print $3 }' | sort >"$WORK/versioned"
grep -v '@@KTASSERT_0$' "$WORK/versioned" && fail "exported without a version"
sed 's/@@.*//' "$WORK/versioned" | diff "$WORK/declared" - || fail "the shared library exports something else"
nm -g --defined-only "$lib/libktassert.a" | awk 'NF == 3 { print $3 }' | grep -v '^__' | sort | diff "$WORK/declared" - ||
	fail "the static library exports something else"
sed -n 's/^\t\(kt_[a-z0-9_]*\);$/\1/p' "$KT_SOURCE/assertions/libktassert.map" | sort | diff "$WORK/declared" - ||
	fail "the map names something else"

matrix one <<'END'
[[scenario]]
name = "one"
duration = "10s"
samples = 3
script = "sample bpf.n=100; sample bpf.n=200; sample bpf.n=150"
END
exits 0 ktcoord "$WORK/one.toml" --runner scripted
exits 0 ktcoord show last one --series "$WORK/one.series"

cat >"$WORK/stranger.c" <<'END'
#include <ktassert.h>
#include <ktassert_plugin.h>
#include <stdio.h>

int main(int argc, char **argv)
{
	struct kt_assert_series *series;
	struct kt_assert_verdict *verdict = kt_assert_verdict_new();
	struct kt_assert_error error;

	if (argc != 3 || kt_assert_series_read(argv[1], &series, &error) < 0 ||
	    kt_assert_judge(verdict, series, argv[2], &error) < 0) {
		puts(error.text);
		return 2;
	}
	printf("%s: %s\n", kt_assert_series_cell(series),
	       kt_assert_outcome_name(kt_assert_verdict_outcome(verdict)));
	for (size_t i = 0; i < kt_assert_verdict_size(verdict); i++)
		printf("  %s\n", kt_assert_verdict_text(verdict, i));
	kt_assert_verdict_destroy(&verdict);
	kt_assert_series_destroy(&series);
	return 0;
}
END
[ -z "$sanitized" ] || exit 0 # a stranger's program has no sanitizer to offer

export PKG_CONFIG_PATH="$lib/pkgconfig"
cd "$WORK"
# shellcheck disable=SC2046 # one argument per word
exits 0 cc -std=c11 -Wall -Wextra -Werror stranger.c -o shared $(pkg-config --cflags --libs ktassert)
# shellcheck disable=SC2046
exits 0 cc -std=c11 -Wall -Werror -I"$include" stranger.c -o static "$lib/libktassert.a" \
	$(pkg-config --libs msgpack libsodium) -lm
cat >plus.cc <<'END'
#include <ktassert_plugin.h>
KT_ASSERT_PLUGIN(const kt_assert_series *series, kt_assert_verdict *verdict)
{
	kt_assert_verdict_say(verdict, KT_ASSERT_NOTE, "", "%zu", kt_assert_series_size(series));
	return 0;
}
int main() { return !kt_assert_version(); }
END
exits 0 c++ -Wall -Wextra -Werror -I"$include" plus.cc -o plus -L"$lib" -lktassert
exits 0 env LD_LIBRARY_PATH="$lib" ./plus
nm plus | grep -q " T kt_assert_plugin_v1$" || fail "a plug-in in C++ has another name"
for program in shared static; do
	exits 0 env LD_LIBRARY_PATH="$lib" "./$program" one.series 'series = "bpf:n", nondecreasing = true'
	says '^one/any/scx_kt/small#0: fail$'
	says 'bpf:n \(nondecreasing\): fell at periodic_002 .*: 150 after 200 at periodic_001'
	exits 2 env LD_LIBRARY_PATH="$lib" "./$program" one.toml 'series = "bpf:n", nondecreasing = true'
	says 'one.toml: byte 0: this is no series file'
done
ldd static | grep -q libktassert && fail "the static one needs the shared library"
nothing_left
