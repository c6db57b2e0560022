#include "worker/guest/gwork.h"
#include "worker/guest/work/errand.h"

struct state {
	unsigned int seen;
};

static uint64_t round_of(struct kt_gself *self)
{
	struct kt_errand *errand = self->team;
	struct state *state = self->state;

	if (self->index == 0) {
		kt_errand_send(errand);
		return kt_errand_wait(self, errand);
	}
	if (!kt_errand_hear(self, errand, &state->seen))
		return 0;
	kt_gself_run(self, self->params[KT_WORK_PARAM_futex_fan_out_run]);
	kt_errand_answer(self, errand);
	return 1;
}

const struct kt_gwork kt_futex_fan_out_work = {
	.team_bytes = sizeof(struct kt_errand),
	.state_bytes = sizeof(struct state),
	.round = round_of,
};
