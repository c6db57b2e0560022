#include "worker/sampling.h"
#include "proto/base/clock.h"
#include "proto/base/limits.h"
#include "proto/base/must.h"
#include "proto/job.h"
#include "worker/attempt.h"
#include "worker/core/boundary.h"
#include "proto/playtime.h"
#include "worker/statsjson.h"

#include <stdio.h>
#include <string.h>

#define STATS_LEAD_NS_MIN (20 * KT_NS_PER_MS)
#define STATS_LEAD_NS     (150 * KT_NS_PER_MS) /* of the first; it connects as well */
#define STATS_LEAD_NS_MAX (600 * KT_NS_PER_MS) /* more than an answer may take */
#define STATS_GRACE_NS    (150 * KT_NS_PER_MS) /* for the guest's own "deadline" to arrive */
#define CAPTURE_AXES      3
#define END_NS            (2 * KT_NS_PER_S) /* for a QEMU that is ending to end */
#define PLACEHOLDERS_MAX  2 /* in a row; then captures are given up */
#define NOT_APPLICABLE    "not_applicable" /* an axis' error: assertions/projection.h */
#define NO_SCHEDULER      "no_scheduler" /* the same: introspect.h */
#define DETACHED_TEXT     "the scenario detached the scheduler"
/* Of captures on demand; as many more are kept for periodic samples. */
#define DEMANDS_MAX       (KT_SAMPLES_PER_ATTEMPT_MAX - KT_SAMPLES_MAX)

void kt_sampling_init(struct kt_sampling *sampling)
{
	sampling->stats_lead_ns = STATS_LEAD_NS;
	crypto_hash_sha256_init(&sampling->series);
}

/* ---- samples ---- */

static void send_sample(struct kt_attempt *attempt, struct kt_msg_sample *sample,
			struct kt_arena *arena)
{
	struct kt_sampling *sampling = &attempt->sampling;
	struct kt_msg_run_sample message;
	KT_AUTO_BUF body = { 0 };

	kt_capture_encode(sample, arena, &body);
	if (sampling->series_bytes + body.len > KT_SERIES_BYTES_MAX) {
		sample->n_axes = 0;
		sample->placeholder = "the attempt's samples are too large together";
		kt_buf_reset(&body);
		kt_capture_encode(sample, arena, &body);
	}
	sampling->series_bytes += body.len;
	crypto_hash_sha256_update(&sampling->series, body.data, body.len);
	message.body = (struct kt_bin){ body.data, body.len };
	/* Its queue holds a whole series, and the logs in it are limited too. */
	kt_must(kt_framelink_push(&attempt->control, KT_TAG_run_sample, &message));
	sampling->samples_total++;
	sampling->placeholders_in_a_row =
		sample->placeholder[0] ? sampling->placeholders_in_a_row + 1 : 0;
}

/* Asks; hearing.c fills the axis when the answer comes. */
static void ask_for_stats(struct kt_attempt *attempt, struct kt_arena *arena,
			  struct kt_msg_axis *axis, int64_t allowed_ns)
{
	struct kt_sampling *sampling = &attempt->sampling;
	struct kt_msg_guest_stats message = {
		.id = ++sampling->stats_id,
		.body = { (const uint8_t *)kt_statsjson_request, strlen(kt_statsjson_request) },
		.deadline_ns = allowed_ns,
	};
	char text[128];

	sampling->stats_answered = false;
	sampling->stats_arena = arena;
	sampling->stats_axis = axis;
	if (!axis) {
		kt_vm_send(&attempt->vm, KT_TAG_guest_stats, &message);
	} else if (attempt->is_detached) {
		kt_statsjson_error(NO_SCHEDULER, DETACHED_TEXT, arena, axis);
		sampling->stats_answered = true;
	} else if (!attempt->has_scheduler) {
		kt_statsjson_error(NOT_APPLICABLE, "the kernel's own scheduler serves no scx_stats",
				   arena, axis);
		sampling->stats_answered = true;
	} else {
		snprintf(text, sizeof(text), "no answer in %lld ms",
			 (long long)((allowed_ns + STATS_GRACE_NS) / KT_NS_PER_MS));
		kt_statsjson_error("deadline", text, arena, axis);
		kt_vm_send(&attempt->vm, KT_TAG_guest_stats, &message);
	}
}

/* The next request goes out as early as the last answer took, with some slack, so that the freeze
 * happens at the boundary and not after it.
 */
static void learn_lead(struct kt_sampling *sampling, int64_t took_ns)
{
	int64_t lead_ns = took_ns * 3 / 2 + STATS_LEAD_NS_MIN / 2;

	sampling->stats_lead_ns = lead_ns < STATS_LEAD_NS_MIN   ? STATS_LEAD_NS_MIN
				  : lead_ns > STATS_LEAD_NS_MAX ? STATS_LEAD_NS_MAX
								: lead_ns;
}

/* Until the answer is there and the boundary has come, or the answer's time is up. */
static void wait_for_boundary(struct kt_attempt *attempt, int64_t offset_ns, int64_t asked_ns,
			      int64_t deadline_ns)
{
	const struct kt_sampling *sampling = &attempt->sampling;
	int64_t due_ns = kt_capture_at_ns(&attempt->capture, offset_ns);
	bool learnt = false;

	while (!attempt->ending && !attempt->finished) {
		int64_t now_ns = kt_clock_now_ns();

		if (sampling->stats_answered && !learnt) {
			learn_lead(&attempt->sampling, now_ns - asked_ns);
			learnt = true;
		}
		if (now_ns >= deadline_ns || (now_ns >= due_ns && sampling->stats_answered))
			break;
		kt_attempt_pump(attempt, sampling->stats_answered || due_ns > deadline_ns
						 ? due_ns
						 : deadline_ns);
	}
	if (!learnt)
		learn_lead(&attempt->sampling, STATS_LEAD_NS_MAX);
}

/* A cell without a sched_ext scheduler has nothing to read there; one whose scheduler is gone has lost
 * it. The former is skipped by assertions, the latter is not; nor is one that the scenario took out.
 */
static void tell_absent_from_gone(const struct kt_attempt *attempt, struct kt_msg_sample *sample)
{
	for (size_t i = 0; i < sample->n_axes; i++) {
		struct kt_msg_axis *axis = &sample->axes[i];

		if (strcmp(axis->name, "bpf") != 0 || strcmp(axis->error, NO_SCHEDULER) != 0)
			continue;
		if (attempt->is_detached)
			axis->text = DETACHED_TEXT;
		else if (!attempt->has_scheduler)
			axis->error = NOT_APPLICABLE;
	}
}

/* The guest tells of a scheduler once it is enabled: what is seen of one just before is of its epoch already. */
static uint64_t epoch_of(const struct kt_attempt *attempt, const struct kt_msg_sample *sample)
{
	for (size_t i = 0; i < sample->n_axes; i++)
		if (attempt->is_detached && strcmp(sample->axes[i].name, "bpf") == 0 &&
		    !sample->axes[i].error[0] && attempt->epoch < KT_EPOCHS_MAX)
			return attempt->epoch + 1;
	return attempt->epoch;
}

/* Before the anchor, while the backdrop is made, no time of the scenario has passed. */
static int64_t elapsed_ns(const struct kt_attempt *attempt)
{
	return attempt->started ? kt_capture_elapsed_ns(&attempt->capture, kt_clock_now_ns()) : 0;
}

static bool has_ended(const struct kt_attempt *attempt)
{
	return attempt->vm.ended;
}

/* A kernel that panicked takes QEMU with it, maybe in the middle of a capture: what became of it tells more. */
static void end_by_deaf_qemu(struct kt_attempt *attempt)
{
	kt_attempt_wait_until(attempt, has_ended, kt_clock_now_ns() + END_NS);
	kt_attempt_end_with_advice(
		attempt, KT_CAUSE_ID_qemu_died,
		"QEMU does not answer its monitor any more, the guest stands still");
}

/* offset_ns: when it is due; 0 on demand: as soon as there is an answer. */
static void take_sample(struct kt_attempt *attempt, struct kt_msg_sample *sample,
			struct kt_arena *arena, int64_t offset_ns)
{
	struct kt_msg_axis axes[CAPTURE_AXES];
	int64_t allowed_ns = kt_attempt_patience(attempt, KT_PATIENCE_STATS, 0);
	int64_t asked_ns = kt_clock_now_ns();
	bool answers = true;

	sample->seq = attempt->sampling.samples_total;
	sample->placeholder = "";
	sample->axes = axes;
	sample->n_axes = 1;
	ask_for_stats(attempt, arena, &axes[0], allowed_ns);
	wait_for_boundary(attempt, offset_ns, asked_ns, asked_ns + allowed_ns + STATS_GRACE_NS);
	attempt->sampling.stats_axis = NULL; /* it lives here */
	attempt->sampling.stats_id++; /* what comes now is for nobody */
	if (attempt->ending)
		return;
	sample->step = attempt->step;
	if (attempt->finished) {
		sample->elapsed_ns = elapsed_ns(attempt);
		sample->placeholder = "the scenario ended before this boundary";
	} else {
		answers = kt_capture_read(&attempt->capture, arena, sample);
		if (!attempt->started)
			sample->elapsed_ns = 0;
		tell_absent_from_gone(attempt, sample);
	}
	sample->epoch = epoch_of(attempt, sample);
	if (sample->placeholder[0])
		sample->n_axes = 0;
	send_sample(attempt, sample, arena);
	if (!answers)
		end_by_deaf_qemu(attempt);
}

static void take_periodic(struct kt_attempt *attempt, size_t index, int64_t offset_ns)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_msg_sample sample = {
		.tag = kt_arena_printf(&arena, "periodic_%03zu", index),
		.offset_ns = offset_ns,
	};

	take_sample(attempt, &sample, &arena, offset_ns);
	attempt->sampling.samples_fired += !attempt->ending;
}

/* Two captures in a row failed, or there were enough: why nothing more is captured on demand. NULL: it is. */
static const char *why_not(const struct kt_sampling *sampling)
{
	if (sampling->placeholders_in_a_row >= PLACEHOLDERS_MAX)
		return "two captures in a row failed, those on demand were not tried any more";
	if (sampling->n_on_demand >= DEMANDS_MAX)
		return "the scenario asked for more captures than an attempt may have";
	return NULL;
}

void kt_sampling_capture(struct kt_attempt *attempt, const char *tag)
{
	struct kt_sampling *sampling = &attempt->sampling;
	const char *why = why_not(sampling);
	KT_AUTO_ARENA arena = { 0 };
	struct kt_msg_sample sample = { .tag = tag };

	if (!why) {
		sampling->n_on_demand++;
		take_sample(attempt, &sample, &arena, 0);
	} else if (!sampling->refused) {
		sampling->refused = true;
		kt_attempt_note(attempt, "%s", why);
	}
}

/* ---- the run ---- */

static bool somebody_answered(const struct kt_attempt *attempt)
{
	return attempt->sampling.in_guest_answer || attempt->finished;
}

/* The scenario should be over. Is it the workers that are stuck, or the whole guest? */
static void end_by_overrun(struct kt_attempt *attempt, const char *what, int64_t allowed_ns)
{
	int64_t probe_ns = kt_attempt_patience(attempt, KT_PATIENCE_PROBE, 0);

	attempt->sampling.in_guest_answer = false;
	ask_for_stats(attempt, NULL, NULL, probe_ns);
	if (kt_attempt_wait_until(attempt, somebody_answered, kt_clock_now_ns() + 2 * probe_ns))
		kt_attempt_end_with_advice(attempt, KT_CAUSE_ID_workload_stuck, "%s in %lld s",
					   what, (long long)kt_attempt_seconds(allowed_ns));
	else
		kt_attempt_end_with_advice(attempt, KT_CAUSE_ID_guest_hung,
					   "%s in %lld s, and the guest does not answer", what,
					   (long long)kt_attempt_seconds(allowed_ns));
}

/* From the anchor, at most. Workers that do not stop may be stalled: the guest lets the kernel name that first. */
static int64_t allowed_ns(const struct kt_attempt *attempt, const struct kt_playtime *playtime)
{
	const struct kt_msg_scenario *scenario = attempt->job->scenario;
	int64_t ns =
		kt_clock_add_ns(playtime->holds_ns,
				kt_attempt_patience(attempt, KT_PATIENCE_RUN, scenario->n_steps));

	ns = kt_clock_add_ns(ns, kt_playtime_extra_ns(playtime, attempt->ops_took_ns));
	ns = kt_clock_add_ns(ns, playtime->ends_ns);
	if (attempt->has_scheduler || attempt->is_detached)
		ns = kt_clock_add_ns(ns, kt_job_stall_ns(scenario));
	return ns;
}

/* The next boundary, or what the scenario wants meanwhile. Returns how many boundaries are served. */
static size_t serve_next(struct kt_attempt *attempt, size_t next, size_t n, int64_t over_ns)
{
	const struct kt_msg_scenario *scenario = attempt->job->scenario;
	int64_t offset_ns =
		next < n ? kt_boundary_at_ns(0, scenario->duration_ns, scenario->samples, next) : 0;
	int64_t ask_ns = next < n ? kt_capture_at_ns(&attempt->capture,
						     offset_ns - attempt->sampling.stats_lead_ns)
				  : over_ns;

	if (kt_demand_waits(attempt)) {
		kt_demand_serve(attempt);
	} else if (next < n && (kt_clock_now_ns() >= ask_ns || attempt->finished)) {
		take_periodic(attempt, next++, offset_ns);
		if (attempt->sampling.placeholders_in_a_row >= PLACEHOLDERS_MAX && next < n) {
			kt_attempt_note(attempt,
					"two captures in a row failed, the other %zu were not "
					"tried",
					n - next);
			next = n;
		}
	} else {
		kt_attempt_pump(attempt, ask_ns < over_ns ? ask_ns : over_ns);
	}
	return next;
}

static void serve_boundaries(struct kt_attempt *attempt, const struct kt_playtime *playtime)
{
	const struct kt_msg_scenario *scenario = attempt->job->scenario;
	size_t n = kt_boundary_count(0, scenario->duration_ns, scenario->samples);
	size_t next = 0;

	/* When the guest finished, what is left of the boundaries gets its placeholders. */
	while (!attempt->ending && (!attempt->finished || next < n)) {
		int64_t ns = allowed_ns(attempt, playtime);
		int64_t over_ns = kt_capture_at_ns(&attempt->capture, ns);

		if (kt_clock_now_ns() >= over_ns)
			end_by_overrun(attempt, "the scenario did not end", ns);
		else
			next = serve_next(attempt, next, n, over_ns);
	}
}

/* The ops of the backdrop and of the first step come before the anchor, and what they want of us. */
static void wait_for_anchor(struct kt_attempt *attempt, const struct kt_playtime *playtime)
{
	int64_t patience_ns = kt_attempt_patience(attempt, KT_PATIENCE_START, 0);
	int64_t sent_ns = kt_clock_now_ns();

	while (!attempt->ending && !attempt->started) {
		int64_t ns = kt_clock_add_ns(patience_ns,
					     kt_playtime_extra_ns(playtime, attempt->ops_took_ns));
		int64_t over_ns = kt_clock_add_ns(sent_ns, ns);

		if (kt_clock_now_ns() >= over_ns)
			end_by_overrun(attempt, "the workers did not start", ns);
		else if (kt_demand_waits(attempt))
			kt_demand_serve(attempt);
		else
			kt_attempt_pump(attempt, over_ns);
	}
}

/* Schedulers and payloads without their files, which the guest has by now. */
static struct kt_msg_guest_run message_of(struct kt_attempt *attempt)
{
	const struct kt_msg_job *job = attempt->job;
	struct kt_msg_guest_run run = {
		.scenario = job->scenario,
		.seed = job->seed,
		.n_payloads = job->n_payloads,
		.n_schedulers = 1 + job->n_schedulers,
		.load_ns = kt_attempt_patience(attempt, KT_PATIENCE_LOAD, 0),
		.unload_ns = kt_attempt_patience(attempt, KT_PATIENCE_UNLOAD, 0),
	};

	run.payloads = kt_arena_alloc(&attempt->arena, run.n_payloads, sizeof(*run.payloads));
	for (size_t i = 0; i < run.n_payloads; i++) {
		run.payloads[i] = job->payloads[i];
		run.payloads[i].n_files = 0;
	}
	run.schedulers = kt_arena_alloc(&attempt->arena, run.n_schedulers, sizeof(*run.schedulers));
	run.schedulers[0] = *job->scheduler;
	for (size_t i = 0; i < job->n_schedulers; i++)
		run.schedulers[1 + i] = job->schedulers[i];
	for (size_t i = 0; i < run.n_schedulers; i++)
		run.schedulers[i].n_files = 0;
	return run;
}

void kt_sampling_run(struct kt_attempt *attempt)
{
	const struct kt_msg_scenario *scenario = attempt->job->scenario;
	struct kt_msg_guest_run message = message_of(attempt);
	struct kt_playtime playtime = kt_playtime_of(scenario, message.load_ns, message.unload_ns);
	int64_t patience_ns = kt_attempt_patience(attempt, KT_PATIENCE_START, 0);

	kt_attempt_enter(attempt, KT_ATTEMPT_RUN, playtime.holds_ns, "");
	attempt->run_sent = true;
	if (!kt_attempt_tell_guest(attempt, KT_TAG_guest_run, &message,
				   kt_clock_now_ns() + patience_ns)) {
		if (!attempt->ending)
			end_by_overrun(attempt, "the guest did not take the scenario", patience_ns);
		return;
	}
	wait_for_anchor(attempt, &playtime);
	if (attempt->ending)
		return;
	kt_attempt_moment(attempt, KT_JOB_MOMENT_ANCHOR, "%s", scenario->name);
	serve_boundaries(attempt, &playtime);
	if (!attempt->ending)
		kt_attempt_end(attempt, KT_CAUSE_ID_finished, "%s",
			       kt_cause(KT_CAUSE_ID_finished)->advice);
}
