/* gwork.h - what a workload process does: one table (proto/work.def), one file below work/ per type.
 *
 * A work type is a function that does one round, maybe with one before and one after. The loop around it
 * (gworker.c) measures: so every type reports the same things, and none can forget to stop. A worker must
 * stop within 100 ms of being told to, when it is run at all: so a round lasts well under 50 ms of CPU time
 * and waits for nothing longer than that (gself.h: everything there that takes time ends by itself).
 *
 * Workers that work together are a team: consecutive workers of a crew, `size` of them. They share memory
 * and pipes that the parent made before it forked them. A member may die or be starved: then the others go
 * on or come back from their waits, round after round, having done nothing.
 */
#ifndef KT_GWORK_H
#define KT_GWORK_H

#include "worker/guest/gself.h"

#include "proto/work.h"

#define KT_GWORK_PIPES_MAX 2

struct kt_gwork {
	size_t team_bytes; /* memory that the members of a team share, zeroed at first */
	size_t member_bytes; /* and as many more for each of them */
	uint32_t n_pipes; /* of a team, at most KT_GWORK_PIPES_MAX */
	size_t state_bytes; /* of self->state, zeroed before begin, freed behind end */
	/* In the worker, before it says that it is ready: what it cannot do is a sentence. May be NULL. */
	int (*begin)(struct kt_gself *self, struct kt_err *err);
	uint64_t (*round)(struct kt_gself *self); /* units of work done; 0: it only waited */
	void (*end)(
		struct kt_gself *
			self); /* undoes what begin and the rounds did to the process, also after a begin that failed; may be NULL */
};

/* every type: work/<name>.c */
#define KT_WORK(name_, size_, by_, sentence_) extern const struct kt_gwork kt_##name_##_work;
#define KT_WORK_PARAM(work_, name_, unit_, default_, min_, max_, sentence_)
#include "proto/work.def"

const struct kt_gwork *kt_gwork(enum kt_work_id id);

/* Around the rounds, in the worker. self: its params, team and meter are set, the rest is zero but random. */
int kt_gwork_begin(const struct kt_gwork *work, struct kt_gself *self, struct kt_err *err);
void kt_gwork_end(const struct kt_gwork *work, struct kt_gself *self);

/* The values of all parameters, of this type as listed, others their defaults. Fault PEER for a parameter
 * that the type does not have, or a value that it may not have.
 */
int kt_gwork_params(const struct kt_work *work, const struct kt_msg_param *params, size_t n,
		    int64_t values[KT_WORK_PARAM_N], struct kt_err *err);
/* Workers of one team, with these values. */
uint32_t kt_gwork_team_size(const struct kt_work *work, const int64_t values[KT_WORK_PARAM_N]);

#endif
