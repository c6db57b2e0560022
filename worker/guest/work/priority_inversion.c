#include "worker/guest/gsettle.h"
#include "worker/guest/gwork.h"
#include "worker/guest/work/glock.h"

#define STEPS        50000
#define HIGH_HOLD_NS (10 * KT_NS_PER_US)
#define LOOK_NS      (100 * KT_NS_PER_US)

enum role { LOW, HIGH, MEDIUM };

static const struct {
	int nice;
	int priority;
} ranks[] = {
	[LOW] = { 10, 1 },
	[HIGH] = { -10, 3 },
	[MEDIUM] = { 0, 2 },
};

static enum role role_of(const struct kt_gself *self)
{
	return self->index == 0 ? LOW : self->index == 1 ? HIGH : MEDIUM;
}

static int begin(struct kt_gself *self, struct kt_err *err)
{
	bool realtime = self->params[KT_WORK_PARAM_priority_inversion_realtime];
	const struct kt_msg_group group = {
		.policy = realtime ? "fifo" : "normal",
		.priority = (uint64_t)ranks[role_of(self)].priority,
		.nice = ranks[role_of(self)].nice,
	};
	int status = kt_gsettle_policy(&group);

	if (status < 0)
		return kt_err_sys(err, KT_FAULT_GUEST, -status,
				  "the kernel refused policy %s (nice %d, priority %d)",
				  group.policy, (int)group.nice, (int)group.priority);
	return 0;
}

static bool hold(struct kt_gself *self, int64_t ns)
{
	bool inherit = self->params[KT_WORK_PARAM_priority_inversion_inherit];

	if (!kt_glock_take(self, self->team, inherit))
		return false;
	kt_gself_run(self, ns);
	kt_glock_free(self->team, inherit);
	return true;
}

/* It uses its CPU while somebody holds the lock: were it always there, the low one would never come to take it. */
static uint64_t get_in_between(struct kt_gself *self)
{
	const struct kt_glock *lock = self->team;

	if (atomic_load(&lock->word) == 0 && !kt_gself_sleep(self, LOOK_NS))
		return 0;
	kt_gself_burn(self, STEPS);
	return 1;
}

static uint64_t round_of(struct kt_gself *self)
{
	int64_t hold_ns = self->params[KT_WORK_PARAM_priority_inversion_hold];

	switch (role_of(self)) {
	case LOW:
		if (!hold(self, hold_ns))
			return 0;
		kt_gself_run(self, hold_ns / 4); /* so that the high one can have it */
		return 1;
	case HIGH:
		kt_gself_sleep(self, self->params[KT_WORK_PARAM_priority_inversion_pause]);
		return hold(self, HIGH_HOLD_NS);
	case MEDIUM:
	default:
		return get_in_between(self);
	}
}

const struct kt_gwork kt_priority_inversion_work = {
	.team_bytes = sizeof(struct kt_glock),
	.begin = begin,
	.round = round_of,
};
