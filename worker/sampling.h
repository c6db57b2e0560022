/* sampling.h - the third phase of an attempt: the scenario runs, a sample is taken at each boundary.
 *
 *	guest_run -> guest_started (the anchor) -> { ask for stats, at the boundary: capture.h }* -> guest_finished
 *
 * Between two boundaries the scenario may want something of the host (demand.h); boundaries that become due
 * meanwhile are served late, and their elapsed time says so.
 *
 * The request for stats goes out ahead of the boundary, by as long as the last answer took. A sample that
 * cannot be taken is a placeholder with the reason; after two in a row the others are not tried. A
 * scenario that does not end is the workers' doing when the guest still answers, else the guest hangs.
 */
#ifndef KT_SAMPLING_H
#define KT_SAMPLING_H

#include "proto/schema.h"

#include <sodium.h>

struct kt_attempt;

struct kt_sampling {
	/* scx_stats: one request in flight */
	uint64_t stats_id;
	bool stats_answered;
	bool in_guest_answer; /* any answer at all: somebody is there */
	struct kt_arena *stats_arena; /* of the sample that asked */
	struct kt_msg_axis *stats_axis; /* NULL: nobody waits */
	int64_t stats_lead_ns;

	/* the series */
	uint64_t samples_fired; /* periodic ones */
	uint64_t samples_total;
	uint64_t n_on_demand;
	bool refused; /* a capture on demand, and a note says why */
	size_t series_bytes;
	unsigned int placeholders_in_a_row;
	crypto_hash_sha256_state series;
};

void kt_sampling_init(struct kt_sampling *sampling);
void kt_sampling_run(struct kt_attempt *attempt);
/* A sample on demand, of the same axes, under this tag; blocks until it is taken. Between two periodic ones only. */
void kt_sampling_capture(struct kt_attempt *attempt, const char *tag);

#endif
