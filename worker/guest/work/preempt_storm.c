#include "worker/guest/gsettle.h"
#include "worker/guest/gwork.h"

#define STEPS 50000

static int begin(struct kt_gself *self, struct kt_err *err)
{
	const struct kt_msg_group group = {
		.policy = "fifo",
		.priority = (uint64_t)self->params[KT_WORK_PARAM_preempt_storm_priority],
	};
	int status = self->index == 0 ? kt_gsettle_policy(&group) : 0;

	if (status < 0)
		return kt_err_sys(err, KT_FAULT_GUEST, -status, "the kernel refused policy fifo");
	return 0;
}

static uint64_t round_of(struct kt_gself *self)
{
	if (self->index) {
		kt_gself_burn(self, STEPS);
		return 1;
	}
	if (!kt_gself_sleep(self, self->params[KT_WORK_PARAM_preempt_storm_sleep]))
		return 0;
	kt_gself_run(self, self->params[KT_WORK_PARAM_preempt_storm_run]);
	return 1;
}

const struct kt_gwork kt_preempt_storm_work = { .begin = begin, .round = round_of };
