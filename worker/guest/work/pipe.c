#include "worker/guest/gwork.h"
#include "worker/guest/work/ball.h"

static uint64_t round_of(struct kt_gself *self)
{
	size_t bytes = (size_t)self->params[KT_WORK_PARAM_pipe_bytes];

	if (!kt_ball_catch(self, self->state, bytes))
		return 0;
	kt_gself_run(self, self->params[KT_WORK_PARAM_pipe_run]);
	return kt_ball_throw(self, self->state, bytes);
}

const struct kt_gwork kt_pipe_work = {
	.team_bytes = sizeof(struct kt_ball_team),
	.n_pipes = KT_BALL_PIPES,
	.state_bytes = sizeof(struct kt_ball),
	.round = round_of,
};
