/* work.h - what a workload process does: one table, one row and one file below work/ per type.
 *
 * A work type is a function that does one round. The loop around it (gworker.c) measures: so every
 * type reports the same things, and none can forget to stop. A round should last well under 50 ms of
 * CPU time: a worker must stop within 100 ms of being told to, when it is run at all.
 */
#ifndef KT_WORK_H
#define KT_WORK_H

#include <stdint.h>

struct kt_work_state {
	uint64_t random; /* seeded per worker; for whatever the type draws */
};

struct kt_work {
	const char *name; /* as in the matrix */
	const char *sentence;
	void (*round)(struct kt_work_state *state);
};

const struct kt_work *kt_work_by_name(const char *name); /* NULL when there is none */

/* the rounds, one file each: work/<name>.c */
void kt_spin_round(struct kt_work_state *state);

#endif
