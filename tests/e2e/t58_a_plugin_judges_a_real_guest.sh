#!/usr/bin/env bash
# examples/verdict-plugin on a real guest: a program of a stranger's judges what was read out of it, and judges it again.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/guest.sh"

for tool in cc make pkg-config; do
	command -v "$tool" >/dev/null || { echo "no $tool here"; exit 77; }
done
exits 0 env DESTDIR="$WORK/root" cmake --install "$(dirname "$KT_BIN")" --component ktassert
pc=$(find "$WORK/root" -name ktassert.pc)
cp -r "$KT_SOURCE/examples/verdict-plugin" "$WORK/example"
rm -f "$WORK/example/verdict.so"
exits 0 env PKG_CONFIG_PATH="${pc%/*}" make -C "$WORK/example"
sed -i "s|^debian = .*|path = \"$KERNEL\"|" "$WORK/example/matrix.toml"

exits 0 ktcoord "$WORK/example/matrix.toml"
says '^PASS +judged_by_a_program/sid/scx_kt/small#0  samples 3/3'
exits 0 ktcoord show last
says 'pass +same story \(plugin\): at periodic_002 the scheduler says [1-9][0-9]* dispatches, its memory [1-9][0-9]*$'
says 'bpf:nr_dispatched: 3 of 3 samples carry a value: [1-9]'
says 'stats:nr_dispatched: 3 of 3 samples carry a value: [1-9]'

# Again, without the guest: the same, and then by assertions instead.
exits 0 ktcoord judge last
says ' 1 cell, 0 with another outcome$'
sed -i '/^verdict = /d' "$WORK/example/matrix.toml"
cat >>"$WORK/example/matrix.toml" <<'END'
[[scenario.assert]]
series = "bpf:nr_dispatched"
each = { at_most = 1 }
END
exits 1 ktcoord judge last "$WORK/example/matrix.toml"
says '^FAIL +judged_by_a_program/sid/scx_kt/small#0 .*judged again, was pass$'
says 'above 1 at periodic_000'
nothing_left
