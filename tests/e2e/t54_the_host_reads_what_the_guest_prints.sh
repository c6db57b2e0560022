#!/usr/bin/env bash
# Once its scheduler is detached the guest prints its counters; the host reads the same numbers, each and
# exactly, out of the frozen guest's memory: of a kernel where it was linked to, and of one that KASLR moved; through
# QEMU's memory, and by mapping its RAM where a host does not allow that.
. "$(dirname "$0")/lib.sh"
. "$(dirname "$0")/guest.sh"

mkdir "$WORK/cache"

same() {
	exits 0 "${AS[@]}" "$KT_BIN/../tests/ktsame" "$KERNEL" "$KT_BIN/ktguest" "$KT_BIN/scx_kt" "$WORK/cache" "$@"
	cat "$WORK/out"
	for number in nr_dispatched nr_enqueued 'stats\[0\] cpu 0' 'stats\[1\] cpu 1'; do
		says "^$number +guest [0-9]+ +host [0-9]+ +same$"
	done
	says '^[0-9]+ numbers, 0 different$'
}

AS=()
same
says 'moved by 0 \(virtual\)'
# Root needs CAP_SYS_PTRACE to look into QEMU, which is another user; others need nothing.
if [ "$(id -u)" != 0 ] || setpriv --dump | grep -q '^Capability bounding set:.*sys_ptrace'; then
	says '^read through QEMU'
fi
if [ "$(id -u)" = 0 ]; then
	AS=(setpriv --bounding-set=-sys_ptrace)
fi
same kaslr
says_not 'moved by 0 .virtual. and 0 .physical.'
if [ "$(id -u)" = 0 ]; then
	says 'RAM is mapped$'
fi
