#!/usr/bin/env bash
# A template that is damaged, whose maker is killed, whose QEMU changed, whose guest could not be read or that finds no
# room on the disk: never a wrong guest, one line in the log, and the cell has its verdict all the same. Nothing is left.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/guest.sh"
CACHE="$KTCOORD_STATE/worker/cache"
LOG="$KTCOORD_STATE/worker/worker.log"

spin_matrix one 1s

# passes KIND: the cell passes, in such a guest; logged and not_logged look at what the worker said meanwhile.
seen=0
passes() {
	exits 0 ktcoord "$WORK/one.toml"
	says '^1 cell: 1 pass'
	ktcoord report last --json >"$WORK/report.json"
	grep -q "\"guest\": \"$1\"" "$WORK/report.json" || { cat "$WORK/report.json" >&2; fail "not a $1 guest"; }
	tail -n +"$((seen + 1))" "$LOG" >"$WORK/new.log"
	seen=$(wc -l <"$LOG")
	! find "$CACHE" -name '*.part' | grep . >&2 || fail "a half-made template is left"
}
logged() {
	[ "$(grep -c " $1 " "$WORK/new.log")" -eq 1 ] || { cat "$WORK/new.log" >&2; fail "not one $1"; }
}
not_logged() {
	! grep " $1 " "$WORK/new.log" >&2 || fail "$1 was logged"
}
templates() {
	find "$CACHE" -name '*.template' | wc -l
}

# A QEMU that can be changed.
qemu=$(command -v qemu-system-x86_64)
mkdir "$WORK/bin"
printf '#!/bin/sh\nexec %s "$@"\n' "$qemu" >"$WORK/bin/qemu-system-x86_64"
chmod 755 "$WORK" "$WORK/bin" "$WORK/bin/qemu-system-x86_64"
PATH="$WORK/bin:$PATH"

passes warm
logged template_made
[ "$(templates)" -eq 1 ] || fail "$(templates) templates, not one"

echo "a damaged file"
file=$(find "$CACHE" -name '*.template')
python3 - "$file" <<'EOF'
import sys
with open(sys.argv[1], "r+b") as f:
    f.seek(5_000_000)
    byte = f.read(1)
    f.seek(5_000_000)
    f.write(bytes([byte[0] ^ 1]))
EOF
passes warm
logged template_damaged
logged template_made

echo "a cut file"
truncate -s 1000000 "$file"
passes warm
logged template_damaged
logged template_made

echo "another QEMU in its place"
echo "# changed" >>"$WORK/bin/qemu-system-x86_64"
passes warm
logged template_made
logged template_outdated
[ "$(templates)" -eq 1 ] || fail "$(templates) templates, not one"

echo "a maker that is killed"
rm "${CACHE:?}"/*.template
(
	# The first attempt process of this sweep is the maker; it has a guest when it has a child.
	for _ in $(seq 500); do
		worker=$(pgrep -f "ktworker --embedded.*$WORK" | head -n 1) || worker=
		maker=
		[ -z "$worker" ] || maker=$(pgrep -P "$worker" | head -n 1) || maker=
		[ -z "$maker" ] || ! pgrep -P "$maker" >/dev/null || break
		sleep 0.02
	done
	[ -z "$maker" ] || kill -KILL "$maker"
) &
passes cold
wait
logged template_failed
not_logged template_made
grep -q 'the guest was booted, not restored' "$WORK/report.json" || fail "the result does not say why it is cold"

echo "a host that lets nobody read QEMU's memory"
if [ "$(id -u)" -eq 0 ] && command -v setpriv >/dev/null; then
	without_ptrace() { setpriv --bounding-set=-sys_ptrace "$(command -v ktcoord)" "$@"; }
	ktcoord() {
		if [ -n "${no_ptrace:-}" ] && [ "$1" = "$WORK/one.toml" ]; then without_ptrace "$@"; else command ktcoord "$@"; fi
	}
	no_ptrace=1 passes cold
	logged no_warm_guests
	unset -f ktcoord
else
	echo "not run: only root can give up the right to do so"
fi

echo "a disk without room"
rm "${CACHE:?}"/*.template
room=$(($(du -sk "$CACHE" | cut -f 1) + 6000))
mkdir "$WORK/small"
if mount -t tmpfs -o "size=${room}k" none "$WORK/small" 2>/dev/null; then
	cp -a "$CACHE"/. "$WORK/small/"
	mount --bind "$WORK/small" "$CACHE"
	trap 'umount "$CACHE" "$WORK/small" 2>/dev/null || true; finish' EXIT
	passes warm
	logged template_made
	logged template_not_kept
	[ "$(templates)" -eq 0 ] || fail "a template that had no room is there"
	umount "$CACHE" "$WORK/small"
	trap finish EXIT
else
	echo "not run: a small file system cannot be mounted here"
fi
nothing_left
