/* placement.h - which of the cells that wait a host with room gets. Pure.
 *
 *	fits	CPUs, memory and accelerator of its guest, beside all that the host holds already
 *	order	what came back goes first, then the longest expected; of two that take as long the larger guest
 *	cache	among the next few of that order, the one whose artifacts the host has
 *	large	a guest that some host could take, and that found no room for keep_ns, has a host whose room is kept
 *	pairs	cells of one pair run on one host, one after the other in an order drawn from the seed
 *	never	what no host can take is told, and given up after hopeless_ns
 *
 * Cells of equal demand that are neighbours by their number are one entry, so ten million repeats cost as much as one
 * cell; entries of one size of guest are one queue, in order. Whether a cell still waits is asked of the sweep when its
 * turn comes: what was cancelled meanwhile needs no word here.
 *
 * What a host has left is never remembered: it is the sum over its leases, those of earlier terms and those under
 * way included, and over what else it says that it holds, taken anew at each of its SYNCs.
 */
#ifndef KT_PLACEMENT_H
#define KT_PLACEMENT_H

#include "coordinator/core/fleet.h"
#include "coordinator/core/sweep.h"
#include "proto/base/err.h"

/* Entries that are looked at for one whose artifacts are there; and times that the first may be passed over. */
#define KT_PLACEMENT_AHEAD      32
#define KT_PLACEMENT_PASSED_MAX 64

struct kt_placement_demand { /* what a cell's guest wants of a host */
	uint32_t cpus;
	uint64_t mem_bytes;
	const char *accel; /* "kvm"; NULL: any */
	int64_t expected_ns; /* in its slot; 0: not known */
	uint64_t pair; /* cells of one number are one, with guests of one size; 0: none */
	const uint64_t *artifacts; /* the first 8 bytes of their digests */
	size_t n_artifacts;
};

struct kt_placement_config {
	/* Of cell number `cell`; demand is all 0 before; pure, and the same whenever it is asked. Texts outlive the
	 * placement, artifacts the next question. NULL: every cell fits everywhere.
	 */
	void (*demand)(void *arg, uint64_t cell, struct kt_placement_demand *demand);
	void *arg;
	uint64_t seed; /* of the order within pairs */
	int64_t grace_ns; /* a host that is away for longer is gone, and elsewhere that takes longer is nowhere */
	int64_t keep_ns; /* how long a guest finds no room before room is kept for it */
	int64_t hopeless_ns; /* how long a cell that no host can take waits for one */
};

struct kt_placement_room { /* what a host has left; UINT64_MAX: no bound */
	uint64_t slots;
	uint64_t cpus;
	uint64_t mem_bytes;
};

struct kt_placement;

/* Takes in every cell that waits and was never granted. Borrows all of it; fleet gets the hosts that pairs were begun
 * on.
 */
struct kt_placement *kt_placement_new(const struct kt_sweep *sweep, struct kt_fleet *fleet,
				      const struct kt_placement_config *config, int64_t now_ns);
void kt_placement_destroy(struct kt_placement **placement_p);

/* A cell that waits again, and may be tried from then on. */
void kt_placement_return(struct kt_placement *p, uint64_t cell, int64_t ready_at_ns);

/* What the host has left, by its leases and its SYNC; slots: of that, what it takes now. A host that may get nothing is
 * not asked about: that is how it is known to be away.
 */
void kt_placement_room(struct kt_placement *p, struct kt_host *host, const struct kt_msg_sync *sync,
		       uint64_t slots, int64_t now_ns, struct kt_placement_room *room);
/* Takes the next cell for this host, and its share of the room; false: there is none. */
bool kt_placement_pick(struct kt_placement *p, struct kt_host *host, struct kt_placement_room *room,
		       int64_t now_ns, uint64_t *cell);

/* Time passed; how many cells that came back became ready: hosts with room should ask for them. */
size_t kt_placement_tick(struct kt_placement *p, int64_t now_ns);

struct kt_placement_complaint {
	uint64_t cell; /* the first of those that it is about */
	uint64_t n;
	char text[KT_ERR_TEXT_MAX]; /* "needs 16 CPUs, the largest host (h2) gives 8" */
};

/* After a tick, until false: cells of one size that no host can take, told once. */
bool kt_placement_complain(struct kt_placement *p, struct kt_placement_complaint *complaint);
/* Likewise: a cell that no host could take for too long. The caller ends it before it asks again. n is 1. */
bool kt_placement_give_up(struct kt_placement *p, struct kt_placement_complaint *complaint);

size_t kt_placement_bytes(const struct kt_placement *p); /* of memory that it has, without hosts */

#endif
