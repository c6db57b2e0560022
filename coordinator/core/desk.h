/* desk.h - what the files of the dispatch share: nobody else includes this.
 *
 *	dispatch	one input in; life
 *	sessions	who is in, who is gone
 *	leases		SYNC and STATE: what is held, what is granted, what expires
 *	attempts	samples, logs, results of a lease
 *	endings		how attempts, cells and the sweep end; verdicts
 *	waiting		cells that wait for a host (placement chooses)
 *	orders		what operators ask: drain, cancel, revoke
 */
#ifndef KT_DESK_H
#define KT_DESK_H

#include "coordinator/core/dispatch.h"
#include "coordinator/core/fleet.h"
#include "coordinator/core/placement.h"
#include "coordinator/core/waiting.h"

struct kt_desk_late { /* a lease whose late result is kept already: its resends are no more evidence */
	uint64_t epoch; /* key */
	UT_hash_handle hh;
};

struct kt_dispatch {
	struct kt_sweep *sweep;
	const struct kt_dispatch_config *config;
	struct kt_fleet fleet;
	struct kt_placement *placement;
	struct kt_placement_config placement_config;
	uint64_t sessions;
	struct kt_desk_late *late;
	uint64_t syncs; /* SYNCs of all hosts */
	size_t nudged; /* hosts, one after the other */
	int64_t now_ns;
	int64_t wall_ns;
	int64_t ticked_at_ns;
	uint64_t
		groups_done; /* cells that no group's verdict is missing of, once all have their end */
	int64_t dying_until_ns; /* a sweep that is done waits so long for guests that die */
};

/* Applied at once: what comes next in this step decides on the new state. */
void kt_desk_fact(struct kt_dispatch *d, struct kt_out *out, uint32_t tag, const void *body);
/* The host as the fleet has it, with the admission that the sweep has for it; added when it is new. */
struct kt_host *kt_desk_host(struct kt_dispatch *d, const char *id);
/* What the host may take from now on: fact_admission, unless it is so already. */
void kt_desk_admit(struct kt_dispatch *d, struct kt_out *out, struct kt_host *host,
		   enum kt_admission admission, const char *why);

#endif
