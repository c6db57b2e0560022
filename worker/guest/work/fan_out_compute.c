#include "worker/guest/gwork.h"
#include "worker/guest/work/errand.h"

#define STRIDE     64
#define STEPS_ONCE 8192 /* between two looks at must_stop */

struct state {
	unsigned int seen;
	size_t at;
};

static int begin(struct kt_gself *self, struct kt_err *err)
{
	if (self->index == 0)
		return 0;
	return kt_gself_map(self, (size_t)self->params[KT_WORK_PARAM_fan_out_compute_bytes], err);
}

static void compute(struct kt_gself *self, struct state *state)
{
	uint64_t steps = self->memory_bytes / STRIDE *
			 (uint64_t)self->params[KT_WORK_PARAM_fan_out_compute_walks];

	while (steps && !kt_gself_must_stop(self)) {
		size_t once = steps < STEPS_ONCE ? steps : STEPS_ONCE;

		kt_gself_walk(self, STRIDE, once, &state->at);
		steps -= once;
	}
}

static uint64_t round_of(struct kt_gself *self)
{
	struct kt_errand *errand = self->team;
	struct state *state = self->state;

	if (self->index == 0) {
		kt_errand_send(errand);
		if (!kt_errand_wait(self, errand))
			return 0;
		kt_gself_sleep(self, self->params[KT_WORK_PARAM_fan_out_compute_think]);
		return 1;
	}
	if (!kt_errand_hear(self, errand, &state->seen))
		return 0;
	compute(self, state);
	kt_errand_answer(self, errand);
	return 1;
}

const struct kt_gwork kt_fan_out_compute_work = {
	.team_bytes = sizeof(struct kt_errand),
	.state_bytes = sizeof(struct state),
	.begin = begin,
	.round = round_of,
};
