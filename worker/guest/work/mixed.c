#include "worker/guest/gwork.h"

#include <sched.h>

static uint64_t round_of(struct kt_gself *self)
{
	kt_gself_run(self, self->params[KT_WORK_PARAM_mixed_run]);
	sched_yield();
	return 1;
}

const struct kt_gwork kt_mixed_work = { .round = round_of };
