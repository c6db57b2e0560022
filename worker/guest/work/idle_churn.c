#include "worker/guest/gwork.h"

static uint64_t round_of(struct kt_gself *self)
{
	if (!kt_gself_sleep(self, self->params[KT_WORK_PARAM_idle_churn_sleep]))
		return 0;
	kt_gself_run(self, self->params[KT_WORK_PARAM_idle_churn_run]);
	return 1;
}

const struct kt_gwork kt_idle_churn_work = { .round = round_of };
