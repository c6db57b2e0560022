/* pairing.h - cells that are compared with one another: on one host, one after the other, in an order drawn from a seed.
 *
 *	QUEUED --- its first cell is granted ---> OPEN on that host --- all have their end ---> DONE
 *	   ^                                       |
 *	   +--- the host is away for too long, ----+
 *	        or its only attempt came to nothing
 *
 * A pair is two cells or more: those of one number. Which of them is next, and on which host they were begun, is read
 * off the sweep: nothing of it can be out of date. Pure.
 */
#ifndef KT_PAIRING_H
#define KT_PAIRING_H

#include "coordinator/core/sweep.h"

#define KT_PAIRING_NONE UINT32_MAX

enum kt_pairing_where { KT_PAIRING_DONE, KT_PAIRING_QUEUED, KT_PAIRING_OPEN };

struct kt_pairing_pair {
	uint64_t number; /* as demanded */
	int64_t ready_at_ns; /* its next cell came back: not before then */
	uint32_t first, n; /* its cells: in `cells` */
	uint32_t queue, set; /* of the backlog: the largest of them; of its first cell */
	uint32_t next; /* of those that are open on the same host */
	enum kt_pairing_where where;
	void *host; /* OPEN */
	int64_t expected_ns; /* all of them together */
};

struct kt_pairing_cell { /* while they are collected */
	uint64_t number;
	uint64_t rank; /* within its pair: random, but of the seed */
	int64_t expected_ns;
	uint32_t cell, queue, set;
};

struct kt_pairing {
	struct kt_pairing_pair *pairs; /* by number */
	uint32_t n_pairs;
	uint32_t *cells; /* of pair after pair, in their order */
	struct kt_pairing_cell *collected; /* until kt_pairing_settle() */
	uint32_t n_cells, cap_cells;
};

void kt_pairing_destroy(struct kt_pairing *pairing); /* frees what it holds, not the struct */
size_t kt_pairing_bytes(const struct kt_pairing *pairing);

void kt_pairing_add(struct kt_pairing *pairing, uint64_t seed,
		    const struct kt_pairing_cell *cell); /* rank is filled in */
void kt_pairing_settle(struct kt_pairing *pairing); /* all were added */
uint32_t kt_pairing_find(const struct kt_pairing *pairing, uint64_t number); /* or NONE */

enum kt_pairing_state {
	KT_PAIRING_OVER, /* all its cells have their end */
	KT_PAIRING_BUSY, /* one is leased */
	KT_PAIRING_WAITS, /* *cell is next */
};
enum kt_pairing_state kt_pairing_next(const struct kt_pairing *pairing,
				      const struct kt_pairing_pair *pair,
				      const struct kt_sweep *sweep, uint32_t *cell);
/* The host of the newest of its cells that is leased or has a result; NULL: it was begun nowhere. */
const char *kt_pairing_host(const struct kt_pairing *pairing, const struct kt_pairing_pair *pair,
			    const struct kt_sweep *sweep);

#endif
