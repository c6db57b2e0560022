/* Two clocks, of which the truth is known, and a network between them: whatever is told, the truth lies within. */
#include "coordinator/core/clockfit.h"

#include <criterion/criterion.h>

#define WALL_NS (1800000000ll * KT_NS_PER_S)

struct world {
	uint64_t random;
	int64_t now_ns; /* monotonic, and the truth */
	int64_t ours_ns, theirs_ns; /* what the wall clocks are ahead of it */
	int64_t drift_ppm; /* of theirs */
	int64_t away_ns_max; /* one way, at most */
	struct kt_clockfit fit;
	struct kt_msg_clock state; /* newest that they heard */
	int64_t state_heard_ns;
};

static uint64_t draw(struct world *w, uint64_t n)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return w->random % n;
}

static void pass(struct world *w, int64_t span_ns)
{
	w->now_ns += span_ns;
	w->theirs_ns += span_ns / 1000000 * w->drift_ppm;
}

static int64_t ours(const struct world *w)
{
	return WALL_NS + w->now_ns + w->ours_ns;
}

static int64_t theirs(const struct world *w)
{
	return WALL_NS + w->now_ns + w->theirs_ns;
}

static void exchange(struct world *w)
{
	struct kt_msg_clock sync;

	kt_clockfit_say(&w->fit, ours(w), w->now_ns, &w->state);
	pass(w, (int64_t)draw(w, (uint64_t)w->away_ns_max));
	w->state_heard_ns = theirs(w);
	pass(w, (int64_t)draw(w, KT_NS_PER_S));
	sync = (struct kt_msg_clock){ .wall_ns = theirs(w),
				      .echo_ns = w->state.wall_ns,
				      .echo_heard_ns = w->state_heard_ns };
	pass(w, (int64_t)draw(w, (uint64_t)w->away_ns_max));
	kt_clockfit_hear(&w->fit, &sync, ours(w), w->now_ns);
}

static void check(const struct world *w, const char *what)
{
	struct kt_msg_clock_fit told;
	int64_t off_ns;

	cr_assert(kt_clockfit_tell(&w->fit, w->now_ns, &told), "%s", what);
	off_ns = told.ahead_ns - (w->theirs_ns - w->ours_ns);
	cr_assert_leq(off_ns < 0 ? -off_ns : off_ns, told.error_ns,
		      "%s: told %lld give or take %lld, it is %lld", what, (long long)told.ahead_ns,
		      (long long)told.error_ns, (long long)(w->theirs_ns - w->ours_ns));
}

static void begin(struct world *w, uint64_t seed)
{
	*w = (struct world){ .random = seed * 2654435761u + 88172645463325252ull,
			     .now_ns = KT_NS_PER_S };
	w->theirs_ns = (int64_t)draw(w, 7200 * KT_NS_PER_S) - 3600 * KT_NS_PER_S;
	w->ours_ns = (int64_t)draw(w, 20 * KT_NS_PER_S) - 10 * KT_NS_PER_S;
	w->drift_ppm = (int64_t)draw(w, 361) - 180;
	w->away_ns_max = 1 + (int64_t)draw(w, 300 * KT_NS_PER_MS);
}

Test(clockfit, the_truth_lies_within_whatever_the_delays_and_the_drift)
{
	for (uint64_t seed = 1; seed <= 300; seed++) {
		struct world w;

		begin(&w, seed);
		for (int i = 0; i < 60; i++) {
			exchange(&w);
			check(&w, "after an exchange");
			pass(&w, (int64_t)draw(&w, 60 * KT_NS_PER_S));
			check(&w, "later");
		}
	}
}

Test(clockfit, a_clock_that_is_set_makes_it_forget)
{
	for (uint64_t seed = 1; seed <= 300; seed++) {
		struct world w;
		int64_t jump_ns;

		begin(&w, seed);
		for (int i = 0; i < 10; i++)
			exchange(&w);
		jump_ns = (60 + (int64_t)draw(&w, 3600)) * KT_NS_PER_S;
		if (draw(&w, 2))
			jump_ns = -jump_ns;
		if (draw(&w, 2))
			w.theirs_ns += jump_ns;
		else
			w.ours_ns += jump_ns;
		exchange(&w);
		check(&w, "after a jump");
	}
}

Test(clockfit, a_clock_that_is_set_during_an_exchange_is_found_out)
{
	struct world w;
	struct kt_msg_clock_fit told;
	struct kt_msg_clock sync;

	begin(&w, 1);
	exchange(&w);
	kt_clockfit_say(&w.fit, ours(&w), w.now_ns, &w.state);
	w.state_heard_ns = theirs(&w);
	w.theirs_ns += 3600 * KT_NS_PER_S;
	sync = (struct kt_msg_clock){ .wall_ns = theirs(&w),
				      .echo_ns = w.state.wall_ns,
				      .echo_heard_ns = w.state_heard_ns };
	kt_clockfit_hear(&w.fit, &sync, ours(&w), w.now_ns);
	cr_assert_not(kt_clockfit_tell(&w.fit, w.now_ns, &told), "theirs jumped");
	exchange(&w);
	check(&w, "the next one counts");
	kt_clockfit_say(&w.fit, ours(&w), w.now_ns, &w.state);
	w.state_heard_ns = theirs(&w);
	w.ours_ns -= 3600 * KT_NS_PER_S;
	sync = (struct kt_msg_clock){ .wall_ns = theirs(&w),
				      .echo_ns = w.state.wall_ns,
				      .echo_heard_ns = w.state_heard_ns };
	kt_clockfit_hear(&w.fit, &sync, ours(&w), w.now_ns);
	cr_assert_not(kt_clockfit_tell(&w.fit, w.now_ns, &told), "ours jumped");
}

Test(clockfit, what_was_never_said_is_no_echo_and_lies_do_not_overflow)
{
	static const int64_t values[] = { 0, 1, WALL_NS, INT64_MAX / 2, INT64_MAX };
	struct kt_clockfit fit = { 0 };
	struct kt_msg_clock_fit told;
	struct kt_msg_clock state;

	for (size_t i = 0; i < 5 * 5 * 5; i++) {
		struct kt_msg_clock sync = { values[i % 5], values[i / 5 % 5], values[i / 25] };

		kt_clockfit_hear(&fit, &sync, WALL_NS, 1);
	}
	cr_assert_not(kt_clockfit_tell(&fit, 2, &told));
	for (size_t i = 0; i < 5 * 5; i++) {
		struct kt_msg_clock sync = { values[i % 5], WALL_NS + 5, values[i / 5] };

		kt_clockfit_say(&fit, WALL_NS + 5, 5, &state);
		kt_clockfit_hear(&fit, &sync, WALL_NS + 6, 6);
		if (kt_clockfit_tell(&fit, 7, &told))
			cr_assert_geq(told.error_ns, 0);
	}
}
