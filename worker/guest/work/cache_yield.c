#include "worker/guest/gwork.h"

#include <sched.h>

#define STEPS 16384

struct walk {
	size_t at;
};

static int begin(struct kt_gself *self, struct kt_err *err)
{
	return kt_gself_map(self, (size_t)self->params[KT_WORK_PARAM_cache_yield_bytes], err);
}

static uint64_t round_of(struct kt_gself *self)
{
	struct walk *walk = self->state;

	kt_gself_walk(self, (size_t)self->params[KT_WORK_PARAM_cache_yield_stride], STEPS,
		      &walk->at);
	sched_yield();
	return 1;
}

const struct kt_gwork kt_cache_yield_work = {
	.state_bytes = sizeof(struct walk),
	.begin = begin,
	.round = round_of,
};
