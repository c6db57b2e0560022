/* waiting.h - cells that wait for a host: those that nobody had, in their order, and before them those
 * that came back and may be tried again.
 */
#ifndef KT_WAITING_H
#define KT_WAITING_H

#include "coordinator/core/fleet.h"
#include "coordinator/core/out.h"

struct kt_dispatch;

struct kt_waiting_returned { /* a cell that went back, waiting for its next try */
	uint64_t cell;
	int64_t ready_at_ns;
	bool nudged; /* the workers were told that it is ready */
};

struct kt_waiting {
	uint64_t fresh; /* every cell below was granted at least once or is in `returned` */
	struct kt_waiting_returned *returned;
	size_t n_returned;
};

void kt_waiting_add(struct kt_dispatch *d, uint64_t cell, int64_t ready_at_ns);
/* Takes the next cell for this host; false when there is none. */
bool kt_waiting_next(struct kt_dispatch *d, const struct kt_host *host, uint64_t *cell);
/* Tells those who have room of what became ready. */
void kt_waiting_nudge(struct kt_dispatch *d, struct kt_out *out);

#endif
