#include "worker/hearing.h"
#include "proto/base/clock.h"
#include "worker/attempt.h"
#include "worker/core/topology.h"
#include "worker/statsjson.h"

#include <string.h>

#define REPORTS_BYTES_MAX (512u << 10) /* of the result's frame */
#define OUTPUTS_BYTES_MAX \
	(128u << 10) /* of these, where they are too many, for what payloads wrote */
#define CLOCK_SLACK_NS (500 * KT_NS_PER_MS) /* the anchor is heard of late */
#define IN(phase_)     (1u << (KT_ATTEMPT_##phase_))

/* A cell that ran on another machine than it names would be a lie. */
static void verify_topology(struct kt_attempt *attempt, const struct kt_msg_guest_ready *ready)
{
	char text[KT_TOPOLOGY_TEXT_BYTES];
	struct kt_err err = { 0 };

	attempt->topology_seen =
		kt_arena_strdup(&attempt->arena, kt_topology_describe(ready, text));
	if (kt_topology_check(attempt->guest->topology, ready, &err) == 0)
		return;
	kt_attempt_end(attempt, KT_CAUSE_ID_topology_mismatch, "%s; look at the host's QEMU",
		       err.text);
	kt_buf_printf(&attempt->evidence, "the guest sees %s\n", attempt->topology_seen);
}

static void on_ready(struct kt_attempt *attempt, void *frame)
{
	struct kt_msg_guest_ready *ready = frame;

	attempt->ready = true;
	attempt->guest_version = ready->version;
	attempt->kernel_release = kt_arena_strdup(&attempt->arena, ready->kernel_release);
	/* one of another build is told so, by who waits for it (boot.c) */
	if (ready->version == KT_GUEST_PROTOCOL_VERSION)
		verify_topology(attempt, ready);
}

static void on_done(struct kt_attempt *attempt, void *frame)
{
	attempt->done = true;
}

/* Its cause must be one that a guest can know; the guest is untrusted. */
static enum kt_cause_id guest_cause(const struct kt_attempt *attempt, const char *name)
{
	const struct kt_cause *cause = kt_cause_by_name(name);

	if (cause && (cause->side == KT_CAUSE_GUEST || cause->side == KT_CAUSE_LACK))
		return cause->id;
	if (cause && cause->side == KT_CAUSE_HOST && !attempt->load_sent && !attempt->run_sent)
		return cause->id;
	return kt_attempt_lost(attempt);
}

/* What fails after the end changes nothing but is worth a word; only a scheduler that does not leave is worse than
 * a scenario that ran to its end.
 */
static bool is_too_late(const struct kt_attempt *attempt, enum kt_cause_id cause)
{
	return attempt->ending && !(attempt->cause == KT_CAUSE_ID_finished &&
				    cause == KT_CAUSE_ID_scheduler_unload_timeout);
}

static void on_failed(struct kt_attempt *attempt, void *frame)
{
	struct kt_msg_guest_failed *failed = frame;
	enum kt_cause_id cause = guest_cause(attempt, failed->cause);
	bool late = is_too_late(attempt, cause);

	if (attempt->phase == KT_ATTEMPT_DRAIN) {
		attempt->done = true;
		if (late)
			kt_attempt_note(attempt, "%s failed: %s", failed->what, failed->line);
	}
	if (late || kt_shell_survives(attempt, failed))
		return;
	kt_attempt_end_with_advice(attempt, cause, "%s", failed->line);
	kt_buf_puts(&attempt->evidence, failed->evidence);
}

static void on_started(struct kt_attempt *attempt, void *frame)
{
	if (attempt->started) {
		kt_attempt_end_with_advice(attempt, kt_attempt_lost(attempt),
					   "the guest said twice that the scenario began");
		return;
	}
	attempt->started = true;
	attempt->capture.anchor_ns = kt_clock_now_ns();
	attempt->capture.frozen_ns = 0;
}

static void on_step(struct kt_attempt *attempt, void *frame)
{
	struct kt_msg_guest_step *step = frame;

	attempt->step = step->index;
	kt_attempt_moment(attempt, "step", "%llu", (unsigned long long)step->index);
}

static void on_stats_answer(struct kt_attempt *attempt, void *frame)
{
	struct kt_sampling *sampling = &attempt->sampling;
	struct kt_msg_guest_stats_answer *answer = frame;

	sampling->in_guest_answer = true;
	/* Not the one that is waited for: too late, or never asked for. */
	if (answer->id != sampling->stats_id || sampling->stats_answered)
		return;
	sampling->stats_answered = true;
	if (!sampling->stats_axis)
		return;
	if (answer->error[0])
		kt_statsjson_error(answer->error, answer->text, sampling->stats_arena,
				   sampling->stats_axis);
	else
		kt_statsjson_axis(answer->body.data, answer->body.len, sampling->stats_arena,
				  sampling->stats_axis);
}

/* What programs wrote is the only thing of a result that can be long by right: it gives way first. */
static void cut_outputs(struct kt_msg_guest_finished *finished)
{
	size_t share = OUTPUTS_BYTES_MAX / (finished->n_payloads + 1);

	for (size_t i = 0; i < finished->n_payloads; i++) {
		struct kt_bin *out = &finished->payloads[i].out;
		struct kt_bin *errors = &finished->payloads[i].errors;

		out->len = out->len < share ? out->len : share;
		if (errors->len > share / 4) { /* of these the end */
			errors->data += errors->len - share / 4;
			errors->len = share / 4;
		}
	}
}

/* A guest cannot have had more time than we had; one that says so has a clock that is wrong, and all that it measured
 * with it.
 */
static void check_clock(struct kt_attempt *attempt, int64_t elapsed_ns)
{
	int64_t ours_ns = kt_capture_elapsed_ns(&attempt->capture, kt_clock_now_ns());

	if (elapsed_ns > ours_ns + ours_ns / 10 + CLOCK_SLACK_NS)
		kt_attempt_end_with_advice(
			attempt, KT_CAUSE_ID_host_trouble,
			"the guest's clock is wrong: it counted %.2f s while %.2f s passed",
			(double)elapsed_ns / 1e9, (double)ours_ns / 1e9);
}

/* Whether that is a failure is a matter of checks; that nobody sees it is not. */
static void note_missing(struct kt_attempt *attempt, const struct kt_msg_guest_finished *finished)
{
	const struct kt_msg_worker_report *first = NULL;
	size_t n = 0;

	for (size_t i = finished->n_reports; i > 0; i--) {
		if (!finished->reports[i - 1].missing[0])
			continue;
		first = &finished->reports[i - 1];
		n++;
	}
	if (first)
		kt_attempt_note(attempt, "%zu of %zu workers gave no report: %s/%llu: %s", n,
				finished->n_reports, first->cgroup,
				(unsigned long long)first->index, first->missing);
}

static void on_finished(struct kt_attempt *attempt, void *frame)
{
	struct kt_msg_guest_finished *finished = frame;
	KT_AUTO_BUF whole = { 0 };
	struct kt_err err = { 0 };

	attempt->finished = true;
	if (finished->note[0])
		kt_attempt_note(attempt, "%s", finished->note);
	note_missing(attempt, finished);
	check_clock(attempt, finished->elapsed_ns);
	/* The frame's memory is not ours: a deep copy, by the codec. */
	kt_codec_encode(&kt_schema_guest_finished, finished, &whole);
	if (whole.len > REPORTS_BYTES_MAX && finished->n_payloads > 0) {
		kt_attempt_note(attempt, "what the payloads wrote is cut: %zu bytes of reports",
				whole.len);
		cut_outputs(finished);
		kt_buf_reset(&whole);
		kt_codec_encode(&kt_schema_guest_finished, finished, &whole);
	}
	if (whole.len > REPORTS_BYTES_MAX) {
		kt_attempt_note(attempt, "the workers' reports are left out: %zu bytes", whole.len);
		return;
	}
	finished = kt_arena_alloc(&attempt->arena, 1, sizeof(*finished));
	if (kt_codec_decode(&kt_schema_guest_finished, whole.data, whole.len, &attempt->arena,
			    finished, &err) == 0)
		attempt->outcome = finished;
}

/* What a guest may call what happened in it: the timeline has moments of the host's own as well. */
static const char *const event_kinds[] = { "op", "payload", "scheduler", "setup", "worker" };

static const char *event_name(const char *kind)
{
	for (size_t i = 0; i < sizeof(event_kinds) / sizeof(event_kinds[0]); i++)
		if (strcmp(event_kinds[i], kind) == 0)
			return event_kinds[i];
	return "event";
}

static void on_event(struct kt_attempt *attempt, void *frame)
{
	const struct kt_msg_guest_event *event = frame;

	attempt->ops_took_ns = kt_clock_add_ns(attempt->ops_took_ns, event->took_ns);
	kt_attempt_event(attempt, &(struct kt_msg_moment){ .name = event_name(event->kind),
							   .detail = event->text,
							   .elapsed_ns = event->elapsed_ns,
							   .took_ns = event->took_ns,
							   .failed = event->failed });
}

static void on_capture(struct kt_attempt *attempt, void *frame)
{
	kt_demand_capture(attempt, frame);
}

static void on_scheduler(struct kt_attempt *attempt, void *frame)
{
	kt_demand_scheduler(attempt, frame);
}

static void on_log(struct kt_attempt *attempt, void *frame)
{
	struct kt_msg_guest_log *log = frame;

	kt_attempt_log(attempt, strcmp(log->stream, "scheduler") == 0 ? "scheduler" : "worker",
		       log->body.data, log->body.len);
}

/* What the guest may say when. After the end (DRAIN) nothing is too late to be ignored. */
static const struct {
	uint32_t tag;
	unsigned int phases;
	void (*take)(struct kt_attempt *attempt, void *frame);
} takers[] = {
	{ KT_TAG_guest_ready, IN(BOOT), on_ready },
	{ KT_TAG_guest_done, IN(BOOT) | IN(LOAD) | IN(SHELL) | IN(DRAIN), on_done },
	{ KT_TAG_guest_failed, IN(BOOT) | IN(LOAD) | IN(RUN) | IN(SHELL) | IN(DRAIN), on_failed },
	{ KT_TAG_guest_started, IN(RUN), on_started },
	{ KT_TAG_guest_step, IN(RUN), on_step },
	{ KT_TAG_guest_stats_answer, IN(RUN) | IN(DRAIN), on_stats_answer },
	{ KT_TAG_guest_finished, IN(RUN), on_finished },
	{ KT_TAG_guest_event, IN(RUN), on_event },
	{ KT_TAG_guest_capture, IN(RUN), on_capture },
	{ KT_TAG_guest_scheduler, IN(RUN), on_scheduler },
	{ KT_TAG_guest_printed, IN(SHELL), kt_shell_printed },
	{ KT_TAG_guest_took, IN(SHELL), kt_shell_took },
	{ KT_TAG_guest_shell_ended, IN(SHELL), kt_shell_ended },
	{ KT_TAG_guest_log, IN(BOOT) | IN(LOAD) | IN(RUN) | IN(SHELL) | IN(DRAIN), on_log },
};

void kt_hearing_frame(void *arg, const struct kt_message *message, void *frame)
{
	struct kt_attempt *attempt = arg;

	for (size_t i = 0; i < sizeof(takers) / sizeof(takers[0]); i++) {
		if (takers[i].tag != message->tag)
			continue;
		if (takers[i].phases & 1u << attempt->phase)
			takers[i].take(attempt, frame);
		else if (attempt->phase != KT_ATTEMPT_DRAIN)
			kt_attempt_end_with_advice(attempt, kt_attempt_lost(attempt),
						   "the guest said %s %s, where it cannot be",
						   message->schema->name,
						   kt_attempt_while_doing(attempt));
		return;
	}
}

void kt_hearing_log(void *arg, const char *stream, const void *bytes, size_t len)
{
	kt_attempt_log(arg, stream, bytes, len);
}
