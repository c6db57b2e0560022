#include "worker/demand.h"
#include "fake_guest.h"

static void idle(struct guest *guest)
{
}

static struct world *running(void)
{
	struct world *world = world_of(idle);

	world->attempt.phase = KT_ATTEMPT_RUN;
	world->attempt.run_sent = true;
	world->attempt.started = true;
	return world;
}

Test(demand, tags_that_could_be_ours_or_hide_something_end_the_attempt)
{
	static const struct {
		const char *tag;
		bool good;
	} tags[] = {
		{ "before_restart", true }, { "a b-c.1", true }, { "periodic", true },
		{ "caf\xc3\xa9", true },    { "", false },       { "periodic_000", false },
		{ "periodic_x", false },    { "a\nb", false },   { "a\x1b[2J", false },
		{ "a\x7f", false },
	};

	for (size_t i = 0; i < sizeof(tags) / sizeof(tags[0]); i++) {
		struct kt_msg_guest_capture capture = { .id = 1, .tag = tags[i].tag };
		struct world *world = running();

		kt_demand_capture(&world->attempt, &capture);
		cr_assert_eq(world->attempt.ending, !tags[i].good, "%s", tags[i].tag);
		cr_assert_eq(kt_demand_waits(&world->attempt), tags[i].good, "%s", tags[i].tag);
		world_destroy(world);
	}
}

Test(demand, a_second_one_before_the_first_is_served_is_a_lie)
{
	struct kt_msg_guest_capture capture = { .id = 1, .tag = "a" };
	struct kt_msg_guest_scheduler scheduler = { .id = 2, .epoch = 1, .name = "b" };
	struct world *world = running();

	kt_demand_capture(&world->attempt, &capture);
	cr_assert(!world->attempt.ending);
	kt_demand_scheduler(&world->attempt, &scheduler);
	cr_assert(world->attempt.ending);
	cr_assert_eq(world->attempt.cause, KT_CAUSE_ID_guest_hung);
	world_destroy(world);
}

Test(demand, epochs_do_not_go_back)
{
	struct kt_msg_guest_scheduler scheduler = { .id = 1, .epoch = 4, .name = "b" };
	struct world *world = running();

	kt_demand_scheduler(&world->attempt, &scheduler);
	kt_demand_serve(&world->attempt);
	cr_assert_eq(world->attempt.epoch, 4);
	scheduler.epoch = 3;
	kt_demand_scheduler(&world->attempt, &scheduler);
	cr_assert(world->attempt.ending);
	world_destroy(world);
}

/* The kernel's own from the beginning is not "detached": assertions on it are skipped, not lost. */
Test(demand, nothing_is_detached_where_nothing_was)
{
	struct kt_msg_guest_scheduler none = { .id = 1, .epoch = 0, .name = "" };
	struct kt_msg_guest_scheduler other = { .id = 2, .epoch = 1, .name = "other" };
	struct world *world = running();
	struct kt_attempt *attempt = &world->attempt;

	attempt->has_scheduler = false;
	kt_demand_scheduler(attempt, &none);
	kt_demand_serve(attempt);
	cr_assert(!attempt->is_detached && !attempt->has_scheduler);
	kt_demand_scheduler(attempt, &other);
	kt_demand_serve(attempt);
	cr_assert(!attempt->is_detached && attempt->has_scheduler);
	cr_assert(attempt->load_sent, "it is to be unloaded in the end");
	kt_demand_scheduler(attempt, &none);
	cr_assert(attempt->ending, "an epoch that went back");
	world_destroy(world);
}

/* As many as an attempt may have: a scenario with more goes on without, and the result says so. */
Test(demand, a_flood_of_captures_is_answered_and_not_taken)
{
	struct kt_msg_guest_capture capture = { .id = 1, .tag = "a" };
	struct world *world = running();
	struct kt_msg_sample samples[1];

	world->attempt.sampling.n_on_demand = KT_SAMPLES_PER_ATTEMPT_MAX - KT_SAMPLES_MAX;
	for (capture.id = 1; capture.id < 4; capture.id++) {
		kt_demand_capture(&world->attempt, &capture);
		kt_demand_serve(&world->attempt);
		cr_assert(!kt_demand_waits(&world->attempt));
	}
	cr_assert(!world->attempt.ending);
	cr_assert_eq(samples_of(world, samples, 1), 0);
	cr_assert(strstr(kt_buf_text(&world->attempt.note), "more captures than"));
	cr_assert_null(strchr(kt_buf_text(&world->attempt.note), ';'), "said once");
	world_destroy(world);
}
