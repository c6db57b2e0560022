#include "worker/sampling.h"
#include "proto/base/clock.h"
#include "proto/base/limits.h"
#include "proto/base/must.h"
#include "proto/job.h"
#include "worker/attempt.h"
#include "worker/core/boundary.h"
#include "worker/statsjson.h"

#include <stdio.h>
#include <string.h>

#define STATS_LEAD_NS_MIN (20 * KT_NS_PER_MS)
#define STATS_LEAD_NS     (150 * KT_NS_PER_MS) /* of the first; it connects as well */
#define STATS_LEAD_NS_MAX (600 * KT_NS_PER_MS) /* more than an answer may take */
#define STATS_GRACE_NS    (150 * KT_NS_PER_MS) /* for the guest's own "deadline" to arrive */
#define CAPTURE_AXES      3
#define NOT_APPLICABLE    "not_applicable" /* an axis' error: assertions/projection.h */

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
	sampling->samples_fired++;
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
 * it. The former is skipped by assertions, the latter is not.
 */
static void tell_absent_from_gone(const struct kt_attempt *attempt, struct kt_msg_sample *sample)
{
	for (size_t i = 0; i < sample->n_axes; i++)
		if (!attempt->has_scheduler && strcmp(sample->axes[i].name, "bpf") == 0 &&
		    strcmp(sample->axes[i].error, "no_scheduler") == 0)
			sample->axes[i].error = NOT_APPLICABLE;
}

static void take_sample(struct kt_attempt *attempt, size_t index, int64_t offset_ns)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_msg_axis axes[CAPTURE_AXES];
	struct kt_msg_sample sample = {
		.tag = kt_arena_printf(&arena, "periodic_%03zu", index),
		.seq = attempt->sampling.samples_total,
		.offset_ns = offset_ns,
		.placeholder = "",
		.axes = axes,
		.n_axes = 1,
	};
	int64_t allowed_ns = kt_attempt_patience(attempt, KT_PATIENCE_STATS, 0);
	int64_t asked_ns = kt_clock_now_ns();
	bool answers = true;

	ask_for_stats(attempt, &arena, &axes[0], allowed_ns);
	wait_for_boundary(attempt, offset_ns, asked_ns, asked_ns + allowed_ns + STATS_GRACE_NS);
	attempt->sampling.stats_axis = NULL; /* it lives here */
	attempt->sampling.stats_id++; /* what comes now is for nobody */
	if (attempt->ending)
		return;
	sample.step = attempt->step;
	if (attempt->finished) {
		sample.elapsed_ns = kt_capture_elapsed_ns(&attempt->capture, kt_clock_now_ns());
		sample.placeholder = "the scenario ended before this boundary";
		sample.n_axes = 0;
	} else {
		answers = kt_capture_read(&attempt->capture, &arena, &sample);
		tell_absent_from_gone(attempt, &sample);
	}
	if (sample.placeholder[0])
		sample.n_axes = 0;
	send_sample(attempt, &sample, &arena);
	if (!answers)
		kt_attempt_end_with_advice(
			attempt, KT_CAUSE_ID_qemu_died,
			"QEMU does not answer its monitor any more, the guest stands still");
}

/* ---- the run ---- */

static int64_t scenario_ns(const struct kt_msg_scenario *scenario)
{
	int64_t ns = 0;

	for (size_t i = 0; i < scenario->n_steps; i++)
		ns = kt_clock_add_ns(ns, scenario->steps[i].hold_ns);
	ns = ns > scenario->duration_ns ? ns : scenario->duration_ns;
	return ns < KT_DURATION_NS_MAX ? ns : KT_DURATION_NS_MAX;
}

static bool has_started(const struct kt_attempt *attempt)
{
	return attempt->started;
}

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

static void serve_boundaries(struct kt_attempt *attempt, int64_t total_ns)
{
	const struct kt_msg_scenario *scenario = attempt->job->scenario;
	size_t n = kt_boundary_count(0, scenario->duration_ns, scenario->samples);
	int64_t allowed_ns =
		kt_clock_add_ns(total_ns, kt_attempt_patience(attempt, KT_PATIENCE_RUN, 0));
	size_t next = 0;

	/* Workers that do not stop may be stalled: the guest lets the kernel name that first. */
	if (attempt->has_scheduler)
		allowed_ns = kt_clock_add_ns(allowed_ns, kt_job_stall_ns(scenario));
	/* When the guest finished, what is left of the boundaries gets its placeholders. */
	while (!attempt->ending && (!attempt->finished || next < n)) {
		int64_t now_ns = kt_clock_now_ns();
		int64_t over_ns = kt_capture_at_ns(&attempt->capture, allowed_ns);
		int64_t offset_ns = next < n ? kt_boundary_at_ns(0, scenario->duration_ns,
								 scenario->samples, next)
					     : allowed_ns;
		int64_t ask_ns = kt_capture_at_ns(&attempt->capture,
						  offset_ns - attempt->sampling.stats_lead_ns);

		if (now_ns >= over_ns) {
			end_by_overrun(attempt, "the scenario did not end", allowed_ns);
		} else if (next < n && (now_ns >= ask_ns || attempt->finished)) {
			take_sample(attempt, next++, offset_ns);
			if (attempt->sampling.placeholders_in_a_row >= 2 && next < n) {
				kt_attempt_note(
					attempt,
					"two captures in a row failed, the other %zu were not "
					"tried",
					n - next);
				next = n;
			}
		} else {
			kt_attempt_pump(attempt, next < n && ask_ns < over_ns ? ask_ns : over_ns);
		}
	}
}

void kt_sampling_run(struct kt_attempt *attempt)
{
	const struct kt_msg_scenario *scenario = attempt->job->scenario;
	struct kt_msg_guest_run message = { .scenario = attempt->job->scenario,
					    .seed = attempt->job->seed };
	int64_t total_ns = scenario_ns(scenario);
	int64_t allowed_ns = kt_attempt_patience(attempt, KT_PATIENCE_START, 0);
	int64_t deadline_ns = kt_clock_now_ns() + allowed_ns;

	kt_attempt_enter(attempt, KT_ATTEMPT_RUN, total_ns, "");
	attempt->run_sent = true;
	if (!kt_attempt_tell_guest(attempt, KT_TAG_guest_run, &message, deadline_ns) ||
	    !kt_attempt_wait_until(attempt, has_started, deadline_ns)) {
		if (!attempt->ending)
			end_by_overrun(attempt, "the workers did not start", allowed_ns);
		return;
	}
	kt_attempt_moment(attempt, "anchor", "%s", scenario->name);
	serve_boundaries(attempt, total_ns);
	if (!attempt->ending)
		kt_attempt_end(attempt, KT_CAUSE_ID_finished, "%s",
			       kt_cause(KT_CAUSE_ID_finished)->advice);
}
