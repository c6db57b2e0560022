#include "worker/guest/gwork.h"

#include <errno.h>
#include <sys/resource.h>

struct sweep {
	int before; /* nice value that it came with */
	int nice; /* that comes next */
};

static int begin(struct kt_gself *self, struct kt_err *err)
{
	struct sweep *sweep = self->state;
	int from = (int)self->params[KT_WORK_PARAM_nice_sweep_from];
	int to = (int)self->params[KT_WORK_PARAM_nice_sweep_to];

	sweep->before = getpriority(PRIO_PROCESS, 0);
	sweep->nice = from;
	if (from > to)
		return kt_err_set(err, KT_FAULT_PEER, EINVAL, "from %d is more than to %d", from,
				  to);
	/* whoever may not go down never comes back to where the sweep begins */
	if (setpriority(PRIO_PROCESS, 0, to) < 0 || setpriority(PRIO_PROCESS, 0, from) < 0)
		return kt_err_sys(err, KT_FAULT_GUEST, errno, "the kernel refused nice %d", from);
	return 0;
}

static uint64_t round_of(struct kt_gself *self)
{
	struct sweep *sweep = self->state;

	if (setpriority(PRIO_PROCESS, 0, sweep->nice) < 0)
		return 0;
	sweep->nice = sweep->nice < self->params[KT_WORK_PARAM_nice_sweep_to]
			      ? sweep->nice + 1
			      : (int)self->params[KT_WORK_PARAM_nice_sweep_from];
	kt_gself_run(self, self->params[KT_WORK_PARAM_nice_sweep_run]);
	return 1;
}

static void end(struct kt_gself *self)
{
	const struct sweep *sweep = self->state;

	setpriority(PRIO_PROCESS, 0, sweep->before);
}

const struct kt_gwork kt_nice_sweep_work = {
	.state_bytes = sizeof(struct sweep),
	.begin = begin,
	.round = round_of,
	.end = end,
};
