/* rounds.h - a worker that is this process itself, so that a test can look around between two of its rounds. */
#ifndef ROUNDS_H
#define ROUNDS_H

#include "worker/guest/gwork.h"

#include <criterion/criterion.h>

struct rounds {
	const struct kt_gwork *work;
	struct kt_gself self;
	int64_t params[KT_WORK_PARAM_N];
	atomic_bool must_stop;
	struct kt_gmeter meter;
	struct kt_gmeter_sums sums;
	uint64_t team[512]; /* memory that it shares with members that are not there */
};

/* Begins it; what it cannot do is in err, and then nothing is to be ended. rounds stays where it is. */
static inline int rounds_begin(struct rounds *rounds, const char *work,
			       const struct kt_msg_param *params, size_t n,
			       const struct kt_msg_group *group, struct kt_err *err)
{
	const struct kt_work *type = kt_work_by_name(work);

	*rounds = (struct rounds){ .work = kt_gwork(type->id) };
	rounds->meter.sums = &rounds->sums;
	rounds->self = (struct kt_gself){
		.params = rounds->params,
		.group = group,
		.team_size = rounds->work->team_bytes || rounds->work->member_bytes ? 2 : 1,
		.team = rounds->team,
		.must_stop = &rounds->must_stop,
		.meter = &rounds->meter,
		.random = 3,
	};
	cr_assert_eq(kt_gwork_params(type, params, n, rounds->params, err), 0, "%s", err->text);
	return kt_gwork_begin(rounds->work, &rounds->self, err);
}

static inline uint64_t rounds_next(struct rounds *rounds)
{
	return rounds->work->round(&rounds->self);
}

static inline void rounds_end(struct rounds *rounds)
{
	kt_gwork_end(rounds->work, &rounds->self);
}

#endif
