#include "worker/hearing.h"
#include "fake_guest.h"

static void idle(struct guest *guest)
{
}

static struct world *running(void)
{
	struct world *world = world_of(idle);

	world->attempt.phase = KT_ATTEMPT_RUN;
	world->attempt.run_sent = true;
	return world;
}

static void hear(struct world *world, uint32_t tag, const void *message)
{
	KT_AUTO_ARENA arena = { 0 };
	KT_AUTO_BUF frame = { 0 };
	const struct kt_message *known;
	void *decoded;

	kt_codec_encode_frame(&kt_schema_guest, tag, message, &frame);
	cr_assert_eq(kt_codec_decode_frame(&kt_schema_guest, frame.data, frame.len, &arena, &known,
					   &decoded, NULL),
		     0);
	kt_hearing_frame(&world->attempt, known, decoded);
}

Test(hearing, an_event_is_a_moment_of_the_timeline)
{
	static const struct {
		const char *kind;
		const char *name;
	} kinds[] = {
		{ "op", "op" }, { "payload", "payload" }, { "end", "event" }, { "", "event" }
	};
	struct kt_msg_guest_event event = {
		.elapsed_ns = 5, .text = "set_cpuset cg_0: 0-1\x1b[2J", .took_ns = 7, .failed = true
	};
	struct world *world = running();

	for (size_t i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const struct kt_msg_moment *moment = &world->attempt.moments[i];

		event.kind = kinds[i].kind;
		hear(world, KT_TAG_guest_event, &event);
		cr_assert_eq(world->attempt.n_moments, i + 1);
		cr_assert_str_eq(moment->name, kinds[i].name);
		cr_assert_str_eq(moment->detail, "set_cpuset cg_0: 0-1 [2J");
		cr_assert_eq(moment->elapsed_ns, 5);
		cr_assert_eq(moment->took_ns, 7);
		cr_assert(moment->failed);
		cr_assert_eq(world->attempt.ops_took_ns, 7 * (int64_t)(i + 1));
	}
	world_destroy(world);
}

Test(hearing, events_without_end_leave_room_for_the_rest_of_the_timeline)
{
	struct kt_msg_guest_event event = { .kind = "op", .text = "x" };
	struct world *world = running();

	for (size_t i = 0; i < KT_ATTEMPT_MOMENTS_MAX; i++)
		hear(world, KT_TAG_guest_event, &event);
	cr_assert_eq(world->attempt.n_moments, KT_ATTEMPT_EVENTS_MAX);
	cr_assert_eq(world->attempt.n_events, KT_ATTEMPT_MOMENTS_MAX);
	kt_attempt_moment(&world->attempt, "end", "%s", "");
	cr_assert_eq(world->attempt.n_moments, KT_ATTEMPT_EVENTS_MAX + 1);
	world_destroy(world);
}

Test(hearing, what_a_scenario_measured_is_kept)
{
	struct kt_msg_worker_report reports[] = {
		{ .cgroup = "cg_0", .missing = "" },
		{ .cgroup = "cg_0", .index = 1, .missing = "it was ended by signal 9 (Killed)" },
		{ .cgroup = "cg_0", .index = 2, .missing = "it did not stop" },
	};
	struct kt_msg_wake_report wake = { .cgroup = "cg_0", .total = 3 };
	struct kt_msg_bucket bucket = { .below_ns = 8, .count = 2 };
	struct kt_msg_latency_report latency = {
		.cgroup = "cg_0", .total = 2, .buckets = &bucket, .n_buckets = 1
	};
	struct kt_msg_payload_report payload = { .name = "stress", .ended = "exited" };
	struct kt_msg_guest_finished finished = {
		.reports = reports,
		.n_reports = 3,
		.wakes = &wake,
		.n_wakes = 1,
		.latencies = &latency,
		.n_latencies = 1,
		.payloads = &payload,
		.n_payloads = 1,
	};
	struct world *world = running();
	const struct kt_msg_guest_finished *outcome;

	hear(world, KT_TAG_guest_finished, &finished);
	outcome = world->attempt.outcome;
	cr_assert_not_null(outcome);
	cr_assert_str_eq(outcome->reports[0].cgroup, "cg_0");
	cr_assert_eq(outcome->wakes[0].total, 3);
	cr_assert_eq(outcome->latencies[0].buckets[0].count, 2);
	cr_assert_str_eq(outcome->payloads[0].name, "stress");
	cr_assert_str_eq(
		kt_buf_text(&world->attempt.note),
		"2 of 3 workers gave no report: cg_0/1: it was ended by signal 9 (Killed)");
	world_destroy(world);
}

/* Ten payloads with 60 KiB each are more than a result may be: they are cut, the reports stay. */
Test(hearing, long_outputs_do_not_cost_the_reports)
{
	enum { N = 10, BYTES = 60 << 10 };
	static uint8_t text[BYTES];
	struct kt_msg_payload_report payloads[N];
	struct kt_msg_worker_report report = { .cgroup = "cg_0", .missing = "" };
	struct kt_msg_guest_finished finished = {
		.reports = &report, .n_reports = 1, .payloads = payloads, .n_payloads = N
	};
	struct world *world = running();
	const struct kt_msg_guest_finished *outcome;

	memset(text, 'x', sizeof(text));
	for (size_t i = 0; i < N; i++)
		payloads[i] = (struct kt_msg_payload_report){ .name = "stress",
							      .ended = "exited",
							      .out = { text, BYTES },
							      .out_bytes = BYTES };
	hear(world, KT_TAG_guest_finished, &finished);
	outcome = world->attempt.outcome;
	cr_assert_not_null(outcome);
	cr_assert_eq(outcome->n_reports, 1);
	cr_assert_eq(outcome->n_payloads, N);
	cr_assert_gt(outcome->payloads[0].out.len, 1000);
	cr_assert_lt(outcome->payloads[0].out.len, BYTES);
	cr_assert_eq(outcome->payloads[0].out_bytes, BYTES);
	cr_assert(strstr(kt_buf_text(&world->attempt.note), "cut"));
	world_destroy(world);
}

Test(hearing, what_belongs_to_a_run_is_out_of_place_before_it)
{
	struct kt_msg_guest_event event = { .kind = "op", .text = "x" };
	struct kt_msg_guest_capture capture = { .id = 1, .tag = "a" };
	struct kt_msg_guest_scheduler scheduler = { .id = 1, .name = "a" };
	const struct {
		uint32_t tag;
		const void *message;
	} rows[] = {
		{ KT_TAG_guest_event, &event },
		{ KT_TAG_guest_capture, &capture },
		{ KT_TAG_guest_scheduler, &scheduler },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct world *world = world_of(idle);

		hear(world, rows[i].tag, rows[i].message);
		cr_assert(world->attempt.ending);
		cr_assert_eq(world->attempt.cause, KT_CAUSE_ID_guest_lost);
		world_destroy(world);
	}
}

/* Else it could put off the end of its time for ever. */
Test(hearing, a_scenario_begins_once)
{
	struct kt_msg_guest_started started = { .at_ns = 1 };
	struct world *world = running();
	int64_t anchor_ns;

	hear(world, KT_TAG_guest_started, &started);
	cr_assert(world->attempt.started);
	cr_assert_not(world->attempt.ending);
	anchor_ns = world->attempt.capture.anchor_ns;
	hear(world, KT_TAG_guest_started, &started);
	cr_assert(world->attempt.ending);
	cr_assert_eq(world->attempt.cause, KT_CAUSE_ID_guest_hung);
	cr_assert_eq(world->attempt.capture.anchor_ns, anchor_ns);
	world_destroy(world);
}

/* After the good end only a scheduler that does not leave is worse, and a kernel that dies. */
Test(hearing, what_fails_while_it_is_unloaded)
{
	static const struct {
		enum kt_cause_id ended;
		const char *failed;
		enum kt_cause_id cause;
	} rows[] = {
		{ KT_CAUSE_ID_finished, "scheduler_unload_timeout",
		  KT_CAUSE_ID_scheduler_unload_timeout },
		{ KT_CAUSE_ID_finished, "scheduler_exited", KT_CAUSE_ID_finished },
		{ KT_CAUSE_ID_scheduler_crashed, "scheduler_unload_timeout",
		  KT_CAUSE_ID_scheduler_crashed },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct kt_msg_guest_failed failed = { .what = "unload",
						      .cause = rows[i].failed,
						      .line = "it stayed",
						      .evidence = "state=disabled" };
		struct world *world = running();
		bool is_told = rows[i].ended != rows[i].cause;

		kt_attempt_end(&world->attempt, rows[i].ended, "x");
		world->attempt.phase = KT_ATTEMPT_DRAIN;
		hear(world, KT_TAG_guest_failed, &failed);
		cr_assert(world->attempt.done, "row %zu", i);
		cr_assert_eq(world->attempt.cause, rows[i].cause, "row %zu", i);
		cr_assert_eq(strstr(world->attempt.line, "it stayed; look at") != NULL, is_told);
		cr_assert_eq(strstr(kt_buf_text(&world->attempt.evidence), "state=") != NULL,
			     is_told);
		cr_assert_eq(strstr(kt_buf_text(&world->attempt.note), "it stayed") != NULL,
			     !is_told);
		world_destroy(world);
	}
}
