#include "worker/core/held.h"

#include <criterion/criterion.h>

Test(held, every_state_is_reached_and_every_one_but_gone_is_left)
{
	bool reached[KT_HELD_STATE_N] = { [KT_HELD_FETCHING] = true };

	for (int from = 0; from < KT_HELD_STATE_N; from++) {
		bool left = false;

		for (int event = 0; event < KT_HELD_EVENT_N; event++) {
			enum kt_held_state state = from;
			enum kt_held_action action;

			if (!kt_held_move(&state, event, &action))
				continue;
			reached[state] = true;
			left = left || state != (enum kt_held_state)from;
		}
		cr_assert_eq(left, from != KT_HELD_GONE, "%s", kt_held_state_name(from));
	}
	for (int state = 0; state < KT_HELD_STATE_N; state++)
		cr_assert(reached[state], "%s", kt_held_state_name(state));
}

Test(held, a_revoked_lease_is_gone_or_dying_and_gone_means_forgotten)
{
	for (int from = 0; from < KT_HELD_STATE_N; from++) {
		enum kt_held_state state = from;
		enum kt_held_action action = KT_HELD_DO_NOTHING;

		kt_held_move(&state, KT_HELD_ON_REVOKED, &action);
		cr_assert(state == KT_HELD_GONE || state == KT_HELD_ENDING, "%s",
			  kt_held_state_name(from));
		for (int event = 0; event < KT_HELD_EVENT_N; event++) {
			state = from;
			if (kt_held_move(&state, event, &action) && state == KT_HELD_GONE)
				cr_assert_eq(action, KT_HELD_DO_FORGET);
		}
	}
}

Test(held, what_is_not_in_the_table_changes_nothing)
{
	enum kt_held_state state = KT_HELD_DONE;
	enum kt_held_action action = KT_HELD_DO_START;

	cr_assert_not(kt_held_move(&state, KT_HELD_ON_READY, &action));
	cr_assert_eq(state, KT_HELD_DONE);
	cr_assert_eq(action, KT_HELD_DO_START);
}
