/* room.h - does this host have memory for one more guest that stands by? Pure.
 *
 *	templates   RAM that all their guests share: counted once
 *	runs        what each may come to use: its whole RAM and QEMU's own
 *	spares      what a restored guest that stands still has of its own; when it gets a job, a run has ended
 *
 * Only spares are decided here: a run has its slot, and checks its memory itself (vm.h).
 */
#ifndef KT_ROOM_H
#define KT_ROOM_H

#include <stdbool.h>
#include <stdint.h>

/* QEMU 7.2 with a restored, prepared guest: 35 MiB of its own (tests/bench/bench_boot.py), and what it may touch until
 * its job comes.
 */
#define KT_ROOM_SPARE_BYTES (96ull << 20)

struct kt_room {
	uint64_t host_bytes; /* that guests may use in all */
	uint64_t available_bytes; /* of the whole machine, now */
	uint64_t shared_bytes; /* templates */
	uint64_t runs_bytes; /* the sum of what each run may use */
	uint64_t spares;
};

bool kt_room_has_spare(const struct kt_room *room);

#endif
