#include "worker/guest/gwork.h"
#include "worker/guest/work/ball.h"

#define BYTES 1
#define STEPS 4096

struct state {
	struct kt_ball ball;
	size_t at;
};

static int begin(struct kt_gself *self, struct kt_err *err)
{
	return kt_gself_map(self, (size_t)self->params[KT_WORK_PARAM_cache_pipe_bytes], err);
}

static uint64_t round_of(struct kt_gself *self)
{
	struct state *state = self->state;

	if (!kt_ball_catch(self, &state->ball, BYTES))
		return 0;
	kt_gself_walk(self, (size_t)self->params[KT_WORK_PARAM_cache_pipe_stride], STEPS,
		      &state->at);
	return kt_ball_throw(self, &state->ball, BYTES);
}

const struct kt_gwork kt_cache_pipe_work = {
	.team_bytes = sizeof(struct kt_ball_team),
	.n_pipes = KT_BALL_PIPES,
	.state_bytes = sizeof(struct state),
	.begin = begin,
	.round = round_of,
};
