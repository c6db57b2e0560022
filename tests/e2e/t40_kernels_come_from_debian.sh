#!/usr/bin/env bash
# A kernel out of Debian's archive: signed, recorded, cached, fetched once by two, and kept when offline.
. "$(dirname "$0")/lib.sh"

skip() {
	trap - EXIT
	rm -rf "$WORK"
	echo "skipped: $*"
	exit 77
}

command -v apt-get >/dev/null || skip "this machine has no apt"

# two at once on one state folder: one fetches, the other waits and takes what is there then
ktcoord kernels get --suite sid --json >"$WORK/first.json" 2>"$WORK/first" &
first=$!
status=0
ktcoord kernels get --suite sid --json >"$WORK/second.json" 2>"$WORK/second" || status=$?
wait "$first" || status=$?
case $status in
0) ;;
3) skip "Debian's archive cannot be reached: $(tail -n 1 "$WORK/first")" ;;
*)
	cat "$WORK/first" "$WORK/second" >&2
	fail "kernels get ended with $status"
	;;
esac
cmp "$WORK/first.json" "$WORK/second.json" || fail "two at once got two kernels"
[ "$(cat "$WORK/first" "$WORK/second" | grep -c 'extracting the image')" -eq 1 ] || fail "it was not fetched once"
grep -q '"sched_ext": *"yes"' "$WORK/first.json" || fail "sid's kernel has sched_ext"

path=$(sed -n 's/.*"path": *"\(.*\)".*/\1/p' "$WORK/first.json")
digest=$(sed -n 's/.*"digest": *"\(.*\)".*/\1/p' "$WORK/first.json")
[ "$(sha256sum <"$path")" = "$digest  -" ] || fail "the digest is not the image's"
! find "$KTCOORD_STATE/kernels" -name apt -o -name draft -o -name '*.new' | grep . || fail "something is left"

# the second time nobody is asked: no network, no apt
exits 0 env http_proxy=http://127.0.0.1:1 "$KT_BIN/ktcoord" kernels get --suite sid
says "$digest"
says_not fetching

# offline it says so and goes on
exits 0 env http_proxy=http://127.0.0.1:1 "$KT_BIN/ktcoord" kernels get --suite sid --refresh
says 'going on with the cached'
says "$digest"

exits 2 ktcoord kernels get --suite no-such-suite
says 'no suite "no-such-suite"'
exits 2 ktcoord kernels get --suite sid --package linux-image-of-mine
says 'no package linux-image-of-mine'

exits 0 ktcoord kernels list
says '^sid/linux-image-cloud-amd64 .* yes '
exits 0 ktcoord kernels remove sid/linux-image-cloud-amd64
[ ! -e "$path" ] || fail "a removed kernel is still there"
