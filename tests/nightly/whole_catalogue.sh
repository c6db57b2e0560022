#!/usr/bin/env bash
# Every scenario of the catalogue on real guests, under the kernel's own scheduler and under scx_kt: none may fail. Some 15
# minutes with one slot under TCG; part of ./check --full. KT_BIN: where the programs are (build/bin).
set -euo pipefail
: "${KT_BIN:=$(dirname "$0")/../../build/bin}"
: "${KT_SOURCE:=$(dirname "$0")/../..}"
export KT_BIN KT_SOURCE
. "$KT_SOURCE/tests/e2e/lib.sh"
. "$KT_SOURCE/tests/e2e/guest.sh"

cat >"$WORK/whole.toml" <<END
[sweep]
name = "whole"
include = ["*"]
[[kernel]]
name = "k"
path = "$KERNEL"
[[scheduler]]
name = "eevdf"
[[scheduler]]
name = "scx_kt"
binary = "scx_kt"
[[topology]]
name = "t"
cpus = "2n4l1c1t"
END
scenarios=$(ktcoord scenarios --json | grep -c '"name"')
[ "$scenarios" -ge 40 ] || fail "only $scenarios scenarios"
exits 0 ktcoord "$WORK/whole.toml"
grep -E '^(PASS|SKIP|FAIL|ERROR|INCONCLUSIVE)' "$WORK/out" | sort | uniq -c | sort -rn | head -n 3
says_not '^(FAIL|ERROR|INCONCLUSIVE)'
passed=$(grep -c '^PASS' "$WORK/out")
[ "$passed" -ge $((2 * scenarios - 2)) ] || fail "$passed of $((2 * scenarios)) cells passed"
nothing_left
echo "$passed cells of $scenarios scenarios passed"
