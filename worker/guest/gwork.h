/* gwork.h - what a workload process does: one table (proto/work.def), one file below work/ per type.
 *
 * A work type is a function that does one round. The loop around it (gworker.c) measures: so every
 * type reports the same things, and none can forget to stop. A round should last well under 50 ms of
 * CPU time: a worker must stop within 100 ms of being told to, when it is run at all.
 */
#ifndef KT_GWORK_H
#define KT_GWORK_H

#include "proto/work.h"

#include <stdint.h>

struct kt_gwork_self {
	uint64_t random; /* seeded per worker; for whatever the type draws */
};

struct kt_gwork {
	void (*round)(struct kt_gwork_self *self);
};

const struct kt_gwork *kt_gwork(enum kt_work_id id);

/* the rounds, one file each: work/<name>.c */
void kt_spin_round(struct kt_gwork_self *self);

#endif
