#include "worker/guest/work/errand.h"
#include "worker/guest/gtime.h"

#include <limits.h>

void kt_errand_send(struct kt_errand *errand)
{
	atomic_store(&errand->answers, 0);
	atomic_store(&errand->sent_ns, kt_gtime_now_ns());
	atomic_fetch_add(&errand->round, 1);
	kt_gself_wake(&errand->round, INT_MAX);
}

bool kt_errand_hear(struct kt_gself *self, struct kt_errand *errand, unsigned int *seen)
{
	enum kt_gself_waited waited = kt_gself_wait(self, &errand->round, *seen);

	if (waited == KT_GSELF_ALONE)
		return false;
	*seen = atomic_load(&errand->round);
	if (waited == KT_GSELF_WOKEN)
		kt_gself_woken(self, atomic_load(&errand->sent_ns));
	return true;
}

void kt_errand_answer(struct kt_gself *self, struct kt_errand *errand)
{
	atomic_store(&errand->answered_ns, kt_gtime_now_ns());
	if (atomic_fetch_add(&errand->answers, 1) + 1 == self->team_size - 1)
		kt_gself_wake(&errand->answers, 1);
}

bool kt_errand_wait(struct kt_gself *self, struct kt_errand *errand)
{
	unsigned int answers;

	while ((answers = atomic_load(&errand->answers)) < self->team_size - 1) {
		enum kt_gself_waited waited = kt_gself_wait(self, &errand->answers, answers);

		if (waited == KT_GSELF_ALONE && atomic_load(&errand->answers) == answers)
			return false;
		if (waited == KT_GSELF_WOKEN)
			kt_gself_woken(self, atomic_load(&errand->answered_ns));
	}
	return true;
}
