#include "worker/guest/gsettle.h"
#include "worker/guest/gwork.h"

static const struct step {
	const char *policy;
	int priority;
	bool is_realtime;
	bool is_ext;
} steps[] = {
	{ "batch", 0, false, false }, { "idle", 0, false, false }, { "fifo", 1, true, false },
	{ "rr", 1, true, false },     { "ext", 0, false, true },   { "normal", 0, false, false },
};

#define STEPS (sizeof(steps) / sizeof(steps[0]))

struct churn {
	size_t next;
};

static bool is_wanted(const struct kt_gself *self, const struct step *step)
{
	if (step->is_realtime)
		return self->params[KT_WORK_PARAM_policy_churn_realtime];
	if (step->is_ext)
		return self->params[KT_WORK_PARAM_policy_churn_ext];
	return true;
}

static int take_on(const struct step *step)
{
	const struct kt_msg_group group = { .policy = step->policy,
					    .priority = (uint64_t)step->priority };

	return kt_gsettle_policy(&group);
}

/* Each once: a policy that this kernel has not, or does not allow, is told before anything runs. */
static int begin(struct kt_gself *self, struct kt_err *err)
{
	for (size_t i = 0; i < STEPS; i++) {
		int status = is_wanted(self, &steps[i]) ? take_on(&steps[i]) : 0;

		if (status < 0)
			return kt_err_sys(err, KT_FAULT_GUEST, -status,
					  "the kernel refused policy %s", steps[i].policy);
	}
	return 0;
}

static uint64_t round_of(struct kt_gself *self)
{
	struct churn *churn = self->state;
	const struct step *step;

	do {
		step = &steps[churn->next];
		churn->next = (churn->next + 1) % STEPS;
	} while (!is_wanted(self, step));
	if (take_on(step) < 0)
		return 0;
	kt_gself_run(self, self->params[KT_WORK_PARAM_policy_churn_run]);
	return 1;
}

/* What its group asked for is what it came with. */
static void end(struct kt_gself *self)
{
	kt_gsettle_policy(self->group);
}

const struct kt_gwork kt_policy_churn_work = {
	.state_bytes = sizeof(struct churn),
	.begin = begin,
	.round = round_of,
	.end = end,
};
