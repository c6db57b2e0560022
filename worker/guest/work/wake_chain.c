#include "worker/guest/gtime.h"
#include "worker/guest/gwork.h"

struct member {
	atomic_uint tokens; /* that it was ever handed */
	_Atomic int64_t called_ns;
};

struct state {
	unsigned int used; /* of its tokens */
};

/* The first one begins with a token that nobody handed it. */
static bool wait_for_token(struct kt_gself *self, struct member *own, struct state *state)
{
	enum kt_gself_waited waited;

	if (self->index == 0 && state->used == 0)
		atomic_fetch_add(&own->tokens, 1);
	waited = kt_gself_wait(self, &own->tokens, state->used);
	if (waited == KT_GSELF_ALONE)
		return false;
	if (waited == KT_GSELF_WOKEN)
		kt_gself_woken(self, atomic_load(&own->called_ns));
	state->used++;
	return true;
}

static uint64_t round_of(struct kt_gself *self)
{
	struct member *members = self->team;
	struct member *next = &members[(self->index + 1) % self->team_size];

	if (!wait_for_token(self, &members[self->index], self->state))
		return 0;
	kt_gself_run(self, self->params[KT_WORK_PARAM_wake_chain_run]);
	atomic_store(&next->called_ns, kt_gtime_now_ns());
	atomic_fetch_add(&next->tokens, 1);
	kt_gself_wake(&next->tokens, 1);
	return 1;
}

const struct kt_gwork kt_wake_chain_work = {
	.member_bytes = sizeof(struct member),
	.state_bytes = sizeof(struct state),
	.round = round_of,
};
