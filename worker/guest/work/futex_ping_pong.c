#include "worker/guest/gtime.h"
#include "worker/guest/gwork.h"

struct team {
	atomic_uint turn; /* even: the first one's */
	_Atomic int64_t called_ns;
};

/* False when the other one did not hand the turn over. */
static bool wait_for_turn(struct kt_gself *self, struct team *team)
{
	unsigned int turn = atomic_load(&team->turn);
	enum kt_gself_waited waited;

	if (turn % 2 == self->index)
		return true;
	waited = kt_gself_wait(self, &team->turn, turn);
	if (waited == KT_GSELF_WOKEN)
		kt_gself_woken(self, atomic_load(&team->called_ns));
	return waited != KT_GSELF_ALONE;
}

static uint64_t round_of(struct kt_gself *self)
{
	struct team *team = self->team;

	if (!wait_for_turn(self, team))
		return 0;
	kt_gself_run(self, self->params[KT_WORK_PARAM_futex_ping_pong_run]);
	atomic_store(&team->called_ns, kt_gtime_now_ns());
	atomic_fetch_add(&team->turn, 1);
	kt_gself_wake(&team->turn, 1);
	return 1;
}

const struct kt_gwork kt_futex_ping_pong_work = {
	.team_bytes = sizeof(struct team),
	.round = round_of,
};
