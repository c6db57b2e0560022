#include "worker/sampling.h"
#include "fake_guest.h"

static const struct kt_msg_guest_started started = { .at_ns = 1 };
static const struct kt_msg_guest_finished finished = { .elapsed_ns = 300000000 };

static void capture(struct guest *guest, uint64_t id, const char *tag)
{
	struct kt_msg_guest_capture message = { .id = id, .tag = tag };
	const struct kt_msg_guest_seen *seen;

	guest_say(guest, KT_TAG_guest_capture, &message);
	guest_answer_stats(guest, "{\"errno\":0,\"args\":{\"resp\":{\"n\":7}}}");
	seen = guest_await(guest, KT_TAG_guest_seen);
	kt_must(seen->id == id);
}

static void captures_between(struct guest *guest)
{
	guest_await(guest, KT_TAG_guest_run);
	capture(guest, 1, "before the anchor");
	guest_say(guest, KT_TAG_guest_started, &started);
	capture(guest, 2, "first");
	guest_answer_stats(guest, "{\"errno\":0,\"args\":{\"resp\":{\"n\":8}}}");
	guest_sleep(guest, 100);
	capture(guest, 3, "second");
	guest_say(guest, KT_TAG_guest_finished, &finished);
}

/* The boundary of one sample is at 150 ms. */
Test(sampling, captures_on_demand_stand_between_periodic_ones)
{
	static const char *const tags[] = { "before the anchor", "first", "periodic_000",
					    "second" };
	struct world *world = world_of(captures_between);
	struct kt_msg_sample samples[8];

	world->scenario.samples = 1;
	kt_sampling_run(&world->attempt);
	cr_assert_eq(world->attempt.cause, KT_CAUSE_ID_finished, "%s", world->attempt.line);
	cr_assert_eq(samples_of(world, samples, 8), 4);
	for (size_t i = 0; i < 4; i++) {
		const struct kt_msg_axis *stats = axis_of(&samples[i], "stats");

		cr_assert_str_eq(samples[i].tag, tags[i]);
		cr_assert_eq(samples[i].seq, i);
		cr_assert_str_eq(samples[i].placeholder, "");
		cr_assert_eq(samples[i].offset_ns, i == 2 ? 150 * KT_NS_PER_MS : 0);
		cr_assert_str_eq(stats->error, "");
		cr_assert_eq(stats->value.pairs[0].value.u64, i == 2 ? 8u : 7u);
		cr_assert_str_eq(axis_of(&samples[i], "bpf")->error, "unreadable");
		cr_assert(i == 0 || samples[i].elapsed_ns >= samples[i - 1].elapsed_ns);
	}
	cr_assert_eq(samples[0].elapsed_ns, 0);
	cr_assert_geq(samples[2].elapsed_ns, 150 * KT_NS_PER_MS);
	cr_assert_eq(world->attempt.sampling.samples_fired, 1);
	cr_assert_eq(world->attempt.sampling.samples_total, 4);
	world_destroy(world);
}

static void tell_scheduler(struct guest *guest, uint64_t id, uint64_t epoch, const char *name)
{
	struct kt_msg_guest_scheduler message = { .id = id, .epoch = epoch, .name = name };
	const struct kt_msg_guest_seen *seen;

	guest_say(guest, KT_TAG_guest_scheduler, &message);
	seen = guest_await(guest, KT_TAG_guest_seen);
	kt_must(seen->id == id);
}

static void detached_capture(struct guest *guest)
{
	struct kt_msg_guest_capture message = { .id = 9, .tag = "detached" };

	guest_say(guest, KT_TAG_guest_capture, &message);
	guest_await(guest, KT_TAG_guest_seen); /* without asking for stats */
}

static void restarts(struct guest *guest)
{
	const struct kt_msg_guest_run *run = guest_await(guest, KT_TAG_guest_run);

	kt_must(run->n_schedulers == 2 && run->n_payloads == 1);
	kt_must(strcmp(run->schedulers[0].name, "fake") == 0 && run->schedulers[0].n_files == 0 &&
		run->schedulers[0].n_args == 1);
	kt_must(strcmp(run->schedulers[1].name, "other") == 0);
	kt_must(strcmp(run->payloads[0].name, "stress") == 0);
	kt_must(run->load_ns > 0 && run->unload_ns > 0);
	guest_say(guest, KT_TAG_guest_started, &started);
	capture(guest, 1, "own");
	tell_scheduler(guest, 2, 0, "");
	detached_capture(guest);
	tell_scheduler(guest, 3, 1, "other");
	capture(guest, 4, "other");
	guest_say(guest, KT_TAG_guest_finished, &finished);
}

Test(sampling, a_sample_says_which_life_of_the_scheduler_it_saw)
{
	static struct kt_msg_scheduler other = { .name = "other" };
	static struct kt_msg_file file = { .path = "/kt/bin/stress" };
	static struct kt_msg_arg arg = { "/kt/bin/stress" };
	static struct kt_msg_payload payload = {
		.name = "stress", .args = &arg, .n_args = 1, .files = &file, .n_files = 1
	};
	struct world *world = world_of(restarts);
	struct kt_msg_sample samples[8];

	world->job.schedulers = &other;
	world->job.n_schedulers = 1;
	world->job.payloads = &payload;
	world->job.n_payloads = 1;
	world->scenario.watchdog_ns = 3 * KT_NS_PER_S;
	kt_sampling_run(&world->attempt);
	cr_assert_eq(world->attempt.cause, KT_CAUSE_ID_finished, "%s", world->attempt.line);
	cr_assert_eq(samples_of(world, samples, 8), 3);
	cr_assert_eq(samples[0].epoch, 0);
	cr_assert_str_eq(axis_of(&samples[1], "stats")->error, "no_scheduler");
	cr_assert_eq(samples[1].epoch, 0);
	cr_assert_eq(samples[2].epoch, 1);
	cr_assert_str_eq(axis_of(&samples[2], "stats")->error, "");
	/* of the second scheduler, which cannot be read here */
	cr_assert(strstr(kt_buf_text(&world->attempt.note), "watchdog"), "%s",
		  kt_buf_text(&world->attempt.note));
	world_destroy(world);
}

static void panics(struct guest *guest)
{
	struct kt_msg_guest_capture message = { .id = 1, .tag = "a" };

	guest_await(guest, KT_TAG_guest_run);
	guest_say(guest, KT_TAG_guest_started, &started);
	guest->dies_at = "stop";
	guest_say(guest, KT_TAG_guest_capture, &message);
	guest_answer_stats(guest, "{}");
}

/* QEMU goes with its kernel: that it did not answer is not the story. */
Test(sampling, a_panic_in_the_middle_of_a_capture_is_no_trouble_of_the_host)
{
	struct world *world = world_of(panics);

	kt_sampling_run(&world->attempt);
	cr_assert_eq(world->attempt.cause, KT_CAUSE_ID_kernel_panic, "%s", world->attempt.line);
	cr_assert(strstr(world->attempt.line, "planted"), "%s", world->attempt.line);
	world_destroy(world);
}

static void is_too_fast(struct guest *guest)
{
	struct kt_msg_guest_finished late = { .elapsed_ns = 3 * KT_NS_PER_S };

	guest_await(guest, KT_TAG_guest_run);
	guest_say(guest, KT_TAG_guest_started, &started);
	guest_sleep(guest, 300);
	guest_say(guest, KT_TAG_guest_finished, &late);
}

Test(sampling, a_guest_whose_clock_runs_away_gives_no_verdict)
{
	struct world *world = world_of(is_too_fast);

	kt_sampling_run(&world->attempt);
	cr_assert_eq(world->attempt.cause, KT_CAUSE_ID_host_trouble, "%s", world->attempt.line);
	cr_assert(strstr(world->attempt.line, "it counted 3.00 s while 0.3"), "%s",
		  world->attempt.line);
	world_destroy(world);
}
