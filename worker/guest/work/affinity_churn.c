#include "worker/guest/gwork.h"

#include <errno.h>
#include <sched.h>

struct places {
	cpu_set_t before; /* what it came with */
	cpu_set_t allowed; /* of these its cpuset has */
};

static int begin(struct kt_gself *self, struct kt_err *err)
{
	struct places *places = self->state;

	if (sched_getaffinity(0, sizeof(places->before), &places->before) < 0)
		return kt_err_sys(err, KT_FAULT_GUEST, errno, "reading its affinity");
	places->allowed = places->before;
	return 0;
}

/* Another one than it is on, when there is another. */
static int choose(struct kt_gself *self, const struct places *places)
{
	int now = sched_getcpu();
	int n = CPU_COUNT(&places->allowed);
	int skip = (int)(kt_gself_draw(self) % (uint64_t)n);

	if (n == 1)
		now = -1;
	for (int round = 0; round < 2; round++)
		for (int cpu = 0; cpu < CPU_SETSIZE; cpu++)
			if (CPU_ISSET(cpu, &places->allowed) && cpu != now && skip-- <= 0)
				return cpu;
	return 0;
}

static uint64_t round_of(struct kt_gself *self)
{
	struct places *places = self->state;
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(choose(self, places), &one);
	if (sched_setaffinity(0, sizeof(one), &one) < 0) {
		/* its cpuset was changed: what is left of the CPUs that it came with */
		if (sched_setaffinity(0, sizeof(places->before), &places->before) == 0)
			sched_getaffinity(0, sizeof(places->allowed), &places->allowed);
		else
			kt_gself_sleep(self, KT_NS_PER_MS);
		return 0;
	}
	kt_gself_run(self, self->params[KT_WORK_PARAM_affinity_churn_run]);
	return 1;
}

static void end(struct kt_gself *self)
{
	const struct places *places = self->state;

	sched_setaffinity(0, sizeof(places->before), &places->before);
}

const struct kt_gwork kt_affinity_churn_work = {
	.state_bytes = sizeof(struct places),
	.begin = begin,
	.round = round_of,
	.end = end,
};
