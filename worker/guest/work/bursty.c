#include "worker/guest/gwork.h"

static uint64_t round_of(struct kt_gself *self)
{
	kt_gself_run(self, self->params[KT_WORK_PARAM_bursty_run]);
	return kt_gself_sleep(self, self->params[KT_WORK_PARAM_bursty_sleep]);
}

const struct kt_gwork kt_bursty_work = { .round = round_of };
