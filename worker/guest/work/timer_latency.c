#include "worker/guest/gtime.h"
#include "worker/guest/gwork.h"

struct timer {
	int64_t due_ns;
};

/* At fixed moments, however late the last one was; periods that were slept through are left out. */
static uint64_t round_of(struct kt_gself *self)
{
	int64_t period_ns = self->params[KT_WORK_PARAM_timer_latency_period];
	struct timer *timer = self->state;
	int64_t now_ns = kt_gtime_now_ns();

	if (!timer->due_ns)
		timer->due_ns = now_ns;
	timer->due_ns += period_ns;
	if (timer->due_ns < now_ns)
		timer->due_ns += (now_ns - timer->due_ns + period_ns - 1) / period_ns * period_ns;
	if (!kt_gself_sleep_until(self, timer->due_ns))
		return 0;
	kt_gself_run(self, self->params[KT_WORK_PARAM_timer_latency_run]);
	return 1;
}

const struct kt_gwork kt_timer_latency_work = {
	.state_bytes = sizeof(struct timer),
	.round = round_of,
};
