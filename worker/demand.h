/* demand.h - what a scenario wants of the host while it runs, and waits for: a capture, or that the host takes
 * note of a scheduler that came or went.
 *
 * hearing.c takes a wish in; who waits for the scenario (sampling.c) serves it as soon as no other sample is being
 * taken, and answers with guest_seen. The scenario stands still meanwhile, so there is one wish at a time; a
 * guest with a second one lies, and so does one whose tags could be taken for ours.
 */
#ifndef KT_DEMAND_H
#define KT_DEMAND_H

#include "proto/schema.h"

struct kt_attempt;

struct kt_demand {
	uint32_t tag; /* of the message that waits for its guest_seen; 0: none does */
	uint64_t id;
	char name[KT_NAME_BYTES_MAX + 1]; /* the sample's tag, or the scheduler */
	uint64_t epoch;
};

/* Each ends the attempt when it cannot be. */
void kt_demand_capture(struct kt_attempt *attempt, const struct kt_msg_guest_capture *capture);
void kt_demand_scheduler(struct kt_attempt *attempt,
			 const struct kt_msg_guest_scheduler *scheduler);

bool kt_demand_waits(const struct kt_attempt *attempt);
/* Serves the one that waits, if any. Blocks as long as a sample takes. */
void kt_demand_serve(struct kt_attempt *attempt);

#endif
