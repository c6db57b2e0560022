#!/usr/bin/env bash
# A scheduler behaves the same in warm guests as in cold ones: verdicts, and the distribution of every counter, as far
# as 10 cells of each can tell, twice if need be. tests/nightly/cold_and_warm.py says how, and asks 30 of each by hand.
. "$(dirname "$0")/lib.sh"

status=0
"$KT_SOURCE/tests/nightly/cold_and_warm.py" -n 10 --again --minded 0.2 --bin "$KT_BIN" || status=$?
[ "$status" -ne 77 ] || exit 77
[ "$status" -eq 0 ] || fail "exit status $status"
