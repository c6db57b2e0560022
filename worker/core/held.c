#include "worker/core/held.h"
#include "proto/base/must.h"

struct move {
	enum kt_held_state to;
	enum kt_held_action action;
	bool exists;
};

static const struct move moves[KT_HELD_STATE_N][KT_HELD_EVENT_N] = {
#define X(from_, event_, to_, action_) \
	[KT_HELD_##from_][KT_HELD_ON_##event_] = { KT_HELD_##to_, KT_HELD_DO_##action_, true },
	KT_HELD_MOVES(X)
#undef X
};

bool kt_held_move(enum kt_held_state *state, enum kt_held_event event, enum kt_held_action *action)
{
	const struct move *move;

	kt_must(*state < KT_HELD_STATE_N);
	kt_must(event < KT_HELD_EVENT_N);
	move = &moves[*state][event];
	if (!move->exists)
		return false;
	*state = move->to;
	*action = move->action;
	return true;
}

bool kt_held_is_active(enum kt_held_state state)
{
	static const bool active[KT_HELD_STATE_N] = {
#define X(name_, active_, meaning_) [KT_HELD_##name_] = (active_),
		KT_HELD_STATES(X)
#undef X
	};

	kt_must(state < KT_HELD_STATE_N);
	return active[state];
}

const char *kt_held_state_name(enum kt_held_state state)
{
	static const char *const names[KT_HELD_STATE_N] = {
#define X(name_, active_, meaning_) [KT_HELD_##name_] = #name_,
		KT_HELD_STATES(X)
#undef X
	};

	kt_must(state < KT_HELD_STATE_N);
	return names[state];
}
