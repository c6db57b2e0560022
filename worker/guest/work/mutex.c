#include "worker/guest/gwork.h"
#include "worker/guest/work/glock.h"

static uint64_t round_of(struct kt_gself *self)
{
	struct kt_glock *lock = self->team;

	if (!kt_glock_take(self, lock, false))
		return 0;
	kt_gself_run(self, self->params[KT_WORK_PARAM_mutex_hold]);
	kt_glock_free(lock, false);
	kt_gself_run(self, self->params[KT_WORK_PARAM_mutex_run]);
	return 1;
}

const struct kt_gwork kt_mutex_work = {
	.team_bytes = sizeof(struct kt_glock),
	.round = round_of,
};
