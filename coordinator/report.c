#include "coordinator/report.h"
#include "assertions/judge.h"
#include "assertions/series.h"
#include "coordinator/logview.h"
#include "coordinator/measured.h"
#include "coordinator/metrics.h"
#include "coordinator/numberjson.h"
#include "coordinator/plot.h"
#include "coordinator/view.h"
#include "proto/base/duration.h"
#include "proto/base/must.h"
#include "proto/job.h"
#include "proto/json/tojson.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define VALUE_BYTES_SHOWN 60

enum kt_report_exit kt_report_exit_of(const struct kt_sweep *sweep, bool allow_inconclusive)
{
	if (sweep->outcomes[KT_OUTCOME_FAIL] || sweep->groups[KT_OUTCOME_FAIL])
		return KT_REPORT_EXIT_FAILED;
	if (!kt_sweep_is_done(sweep) || sweep->counts[KT_CELL_ERRORED])
		return KT_REPORT_EXIT_INFRA;
	if (sweep->counts[KT_CELL_CANCELLED])
		return KT_REPORT_EXIT_INTERRUPTED;
	if ((sweep->outcomes[KT_OUTCOME_INCONCLUSIVE] || sweep->groups[KT_OUTCOME_INCONCLUSIVE]) &&
	    !allow_inconclusive)
		return KT_REPORT_EXIT_INCONCLUSIVE;
	return KT_REPORT_EXIT_OK;
}

/* The guests of the cells that have a verdict. */
struct guests {
	uint64_t warm;
	uint64_t cold; /* asked for */
	uint64_t not_warm; /* cold, and not asked for */
};

static struct guests count_guests(const struct kt_matrix *matrix, const struct kt_sweep *sweep)
{
	struct guests guests = { 0 };

	for (uint64_t i = 0; i < sweep->n_cells; i++) {
		const struct kt_cell *cell = &sweep->cells[i];
		struct kt_matrix_cell spec;

		if (cell->state != KT_CELL_JUDGED || cell->guest == KT_SWEEP_GUEST_NONE)
			continue;
		kt_matrix_cell(matrix, i, &spec);
		if (cell->guest == KT_SWEEP_GUEST_WARM)
			guests.warm++;
		else if (strcmp(spec.scenario->guest, KT_JOB_GUEST_COLD) == 0)
			guests.cold++;
		else
			guests.not_warm++;
	}
	return guests;
}

/* All warm, or all cold as asked for, is nothing to speak of. */
static void print_guests(const struct guests *guests, FILE *out)
{
	const char *comma = "guests: ";

	if (!guests->not_warm && (!guests->warm || !guests->cold))
		return;
	if (guests->warm) {
		fprintf(out, "%s%" PRIu64 " warm", comma, guests->warm);
		comma = ", ";
	}
	if (guests->cold) {
		fprintf(out, "%s%" PRIu64 " cold as asked for", comma, guests->cold);
		comma = ", ";
	}
	if (guests->not_warm)
		fprintf(out, "%s%" PRIu64 " cold for want of a template (why: ktcoord show)", comma,
			guests->not_warm);
	fputc('\n', out);
}

/* What the repeats are together, when anything is asserted over them. */
static void print_groups(const struct kt_sweep *sweep, FILE *out)
{
	const char *comma = "; over their repeats: ";

	for (int i = KT_OUTCOME_N - 1; i > KT_OUTCOME_NONE; i--) {
		if (!sweep->groups[i])
			continue;
		fprintf(out, "%s%" PRIu64 " %s", comma, sweep->groups[i],
			kt_sweep_outcome_name((enum kt_outcome)i));
		comma = ", ";
	}
}

static uint64_t count_judged_again(const struct kt_sweep *sweep)
{
	uint64_t n = 0;

	for (uint64_t i = 0; sweep->judgements && i < sweep->n_cells; i++)
		n += sweep->cells[i].judgement > 0;
	return n;
}

void kt_report_totals(const struct kt_matrix *matrix, const struct kt_sweep *sweep,
		      const char *path, FILE *out)
{
	struct guests guests = count_guests(matrix, sweep);
	uint64_t again = count_judged_again(sweep);
	static const enum kt_outcome order[] = { KT_OUTCOME_PASS, KT_OUTCOME_FAIL,
						 KT_OUTCOME_INCONCLUSIVE, KT_OUTCOME_SKIP };
	uint64_t left = kt_sweep_n_to_run(sweep) - kt_sweep_n_done(sweep);
	const char *comma = ": ";

	fprintf(out, "%" PRIu64 " cell%s", sweep->n_cells, sweep->n_cells == 1 ? "" : "s");
	for (size_t i = 0; i < sizeof(order) / sizeof(order[0]); i++) {
		if (!sweep->outcomes[order[i]])
			continue;
		fprintf(out, "%s%" PRIu64 " %s", comma, sweep->outcomes[order[i]],
			kt_sweep_outcome_name(order[i]));
		comma = ", ";
	}
	if (sweep->counts[KT_CELL_ERRORED]) {
		fprintf(out, "%s%" PRIu64 " error (infra trouble, no verdict)", comma,
			sweep->counts[KT_CELL_ERRORED]);
		comma = ", ";
	}
	if (sweep->counts[KT_CELL_CANCELLED]) {
		fprintf(out, "%s%" PRIu64 " cancelled", comma, sweep->counts[KT_CELL_CANCELLED]);
		comma = ", ";
	}
	if (left) {
		fprintf(out, "%s%" PRIu64 " not finished", comma, left);
		comma = ", ";
	}
	if (sweep->counts[KT_CELL_LEFT_OUT])
		fprintf(out, "%s%" PRIu64 " left out %s", comma, sweep->counts[KT_CELL_LEFT_OUT],
			sweep->left_out_why);
	print_groups(sweep, out);
	fputc('\n', out);
	print_guests(&guests, out);
	if (again)
		fprintf(out, "%" PRIu64 " of them judged again since it ran (ktcoord judge)\n",
			again);
	fprintf(out, "sweep %s  %s\n", sweep->id, path);
}

/* ---- one cell, as the journal tells it ---- */

struct attempt {
	uint64_t epoch;
	uint64_t number;
	const char *host;
	const char *state; /* running, ended, failed, cancelled */
	const char *cause;
	const char *line;
	bool charged;
	bool late;
	struct kt_msg_result *result;
	struct kt_msg_clock_fit *clock; /* of its host then; NULL: not known */
};

/* A verdict that was replaced by a later one. */
struct earlier {
	struct earlier *next; /* the one before it */
	uint64_t judgement; /* 0: the sweep's own */
	struct kt_msg_verdict *verdict;
};

struct story { /* everything lives in its arena */
	struct kt_arena arena;
	struct attempt *attempts;
	size_t n_attempts;
	struct kt_msg_verdict *verdict;
	uint64_t judgement; /* which the verdict is of: 0 is the sweep's own */
	struct earlier *earlier; /* newest first */
	struct kt_msg_verdict *group; /* of all repeats, when this is the first of them */
	const struct attempt *judged;
	struct kt_msg_fact_errored *errored;
	const char *cancelled; /* who asked, in words; NULL: nobody */
};

/* The journal's facts live for one call only: a copy through the codec keeps one. */
static void *keep(struct story *story, const struct kt_schema *schema, const void *from)
{
	KT_AUTO_BUF encoded = { 0 };
	void *copy = kt_arena_alloc(&story->arena, 1, schema->size);
	int status;

	kt_codec_encode(schema, from, &encoded);
	status = kt_codec_decode(schema, encoded.data, encoded.len, &story->arena, copy, NULL);
	kt_must(status == 0);
	return copy;
}

static struct attempt *attempt_of(struct story *story, uint64_t epoch)
{
	for (size_t i = 0; i < story->n_attempts; i++)
		if (story->attempts[i].epoch == epoch)
			return &story->attempts[i];
	return NULL;
}

static int tell_fact(void *arg, uint64_t seq, int64_t wall_ns, uint32_t tag, const void *fact,
		     struct kt_err *err)
{
	struct story *story = arg;
	struct attempt *attempt = NULL;

	switch (tag) {
	case KT_TAG_fact_granted: {
		const struct kt_msg_fact_granted *granted = fact;

		if (story->n_attempts == UINT8_MAX)
			return 0;
		attempt = &story->attempts[story->n_attempts++];
		*attempt = (struct attempt){
			.epoch = granted->epoch,
			.number = granted->attempt,
			.host = kt_arena_strdup(&story->arena, granted->host),
			.state = "running",
			.cause = "",
			.line = "",
		};
		break;
	}
	case KT_TAG_fact_ended: {
		const struct kt_msg_fact_ended *ended = fact;

		attempt = attempt_of(story, ended->epoch);
		if (!attempt)
			break;
		attempt->result = keep(story, &kt_schema_result, ended->result);
		if (ended->clock)
			attempt->clock = keep(story, &kt_schema_clock_fit, ended->clock);
		attempt->state = "ended";
		attempt->cause = attempt->result->cause;
		attempt->line = attempt->result->line;
		break;
	}
	case KT_TAG_fact_failed: {
		const struct kt_msg_fact_failed *failed = fact;

		attempt = attempt_of(story, failed->epoch);
		if (!attempt)
			break;
		if (failed->result)
			attempt->result = keep(story, &kt_schema_result, failed->result);
		attempt->state = "failed";
		attempt->cause = kt_arena_strdup(&story->arena, failed->cause);
		attempt->line = kt_arena_strdup(&story->arena, failed->line);
		attempt->charged = failed->charged;
		break;
	}
	case KT_TAG_fact_late: {
		const struct kt_msg_fact_late *late = fact;

		attempt = attempt_of(story, late->epoch);
		if (!attempt)
			break;
		attempt->late = true;
		attempt->result = keep(story, &kt_schema_result, late->result);
		break;
	}
	case KT_TAG_fact_judged: {
		const struct kt_msg_fact_judged *judged = fact;

		story->verdict = keep(story, &kt_schema_verdict, judged->verdict);
		story->judged = attempt_of(story, judged->epoch);
		break;
	}
	case KT_TAG_fact_rejudged: {
		const struct kt_msg_fact_rejudged *rejudged = fact;
		struct earlier *earlier = kt_arena_alloc(&story->arena, 1, sizeof(*earlier));

		*earlier = (struct earlier){ .next = story->earlier,
					     .judgement = story->judgement,
					     .verdict = story->verdict };
		story->earlier = earlier;
		story->judgement = rejudged->judgement;
		story->verdict = keep(story, &kt_schema_verdict, rejudged->verdict);
		break;
	}
	case KT_TAG_fact_regrouped: {
		const struct kt_msg_fact_regrouped *regrouped = fact;

		story->group = keep(story, &kt_schema_verdict, regrouped->verdict);
		break;
	}
	case KT_TAG_fact_grouped: {
		const struct kt_msg_fact_grouped *grouped = fact;

		story->group = keep(story, &kt_schema_verdict, grouped->verdict);
		break;
	}
	case KT_TAG_fact_cancelled:
		story->cancelled = kt_arena_strdup(
			&story->arena, ((const struct kt_msg_fact_cancelled *)fact)->line);
		if (story->n_attempts &&
		    strcmp(story->attempts[story->n_attempts - 1].state, "running") == 0)
			story->attempts[story->n_attempts - 1].state = "cancelled";
		break;
	case KT_TAG_fact_reopened:
		story->errored = NULL;
		story->cancelled = NULL;
		break;
	case KT_TAG_fact_errored:
		story->errored = keep(story, &kt_schema_fact_errored, fact);
		break;
	}
	return 0;
}

static int tell(struct kt_journal *journal, uint64_t cell, struct story *story, struct kt_err *err)
{
	kt_arena_reset(&story->arena);
	story->attempts = kt_arena_alloc(&story->arena, UINT8_MAX, sizeof(*story->attempts));
	story->n_attempts = 0;
	story->verdict = NULL;
	story->judgement = 0;
	story->earlier = NULL;
	story->group = NULL;
	story->judged = NULL;
	story->errored = NULL;
	story->cancelled = NULL;
	return kt_journal_facts(journal, cell, tell_fact, story, err);
}

static const char *outcome_of(const struct story *story)
{
	if (story->verdict)
		return story->verdict->outcome;
	return story->cancelled ? "cancelled" : story->errored ? "error" : "pending";
}

/* ---- text ---- */

/* The line of a group stands behind the last of its repeats. Makes the story the first one's. */
static int text_group(struct kt_journal *journal, const struct kt_sweep *sweep, uint64_t first,
		      uint64_t repeats, const char *name, bool color, struct story *story,
		      FILE *out, struct kt_err *err)
{
	int status;

	if (sweep->cells[first].group == KT_OUTCOME_NONE)
		return 0;
	status = tell(journal, first, story, err);
	if (status == 0 && story->group)
		kt_view_print_group(out, color, name, repeats, story->group);
	return status;
}

int kt_report_text(struct kt_journal *journal, const struct kt_matrix *matrix,
		   const struct kt_sweep *sweep, FILE *out, struct kt_err *err)
{
	struct story story = { 0 };
	bool color = kt_view_has_color(out);
	int status = 0;

	for (uint64_t i = 0; i < sweep->n_cells && status == 0; i++) {
		char name[KT_CELL_NAME_BYTES_MAX];
		struct kt_matrix_cell spec;
		struct kt_view_cell cell = { 0 };

		status = tell(journal, i, &story, err);
		if (status < 0)
			break;
		kt_matrix_cell(matrix, i, &spec);
		cell.name = kt_matrix_cell_name(matrix, i, name);
		cell.outcome = outcome_of(&story);
		cell.verdict = story.verdict;
		cell.result = story.judged ? story.judged->result : NULL;
		cell.attempts = story.n_attempts;
		cell.target = spec.scenario->msg.samples;
		cell.was = story.earlier ? story.earlier->verdict->outcome : NULL;
		if (story.errored) {
			cell.cause = story.errored->cause;
			cell.line = story.errored->line;
		} else if (story.cancelled) {
			cell.line = story.cancelled;
		}
		if (sweep->cells[i].state == KT_CELL_LEFT_OUT)
			fprintf(out, "-      %s  left out %s\n", cell.name, sweep->left_out_why);
		else if (!story.verdict && !story.errored && !story.cancelled)
			fprintf(out, "-      %s  %s\n", cell.name,
				kt_sweep_state_name((enum kt_cell_state)sweep->cells[i].state));
		else
			kt_view_print_cell(out, color, &cell);
		if (spec.repeat + 1 == spec.scenario->repeats)
			status = text_group(journal, sweep, i - spec.repeat, spec.scenario->repeats,
					    cell.name, color, &story, out, err);
	}
	kt_arena_destroy(&story.arena);
	if (status == 0)
		kt_report_totals(matrix, sweep, kt_journal_path(journal), out);
	return status;
}

/* ---- JSON ---- */

static void add_text(struct json_object *to, const char *key, const char *text)
{
	json_object_object_add(to, key, kt_tojson_text(text, strlen(text)));
}

static void add_u64(struct json_object *to, const char *key, uint64_t number)
{
	json_object_object_add(to, key, json_object_new_uint64(number));
}

static struct json_object *json_payloads(const struct kt_matrix *matrix, uint64_t index,
					 const struct kt_msg_result *result, bool output)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_metrics metrics;
	struct kt_matrix_cell spec;

	kt_matrix_cell(matrix, index, &spec);
	kt_metrics_read(matrix, spec.scenario, result, &arena, &metrics);
	return kt_metrics_json(&metrics, output);
}

static struct json_object *json_cell(const struct kt_matrix *matrix, const struct kt_sweep *sweep,
				     uint64_t index, const struct story *story)
{
	struct json_object *json = json_object_new_object();
	struct json_object *list = json_object_new_array();
	char name[KT_CELL_NAME_BYTES_MAX];
	struct kt_matrix_cell spec;

	kt_matrix_cell(matrix, index, &spec);
	add_text(json, "name", kt_matrix_cell_name(matrix, index, name));
	add_text(json, "scenario", spec.scenario->name);
	add_text(json, "kernel", spec.kernel->name);
	add_text(json, "scheduler", spec.scheduler->name);
	add_text(json, "topology", spec.topology->name);
	add_u64(json, "repeat", spec.repeat);
	add_text(json, "guest",
		 spec.scenario->guest); /* as asked for; a result's machine says which it was */
	add_text(json, "state", kt_sweep_state_name((enum kt_cell_state)sweep->cells[index].state));
	add_text(json, "outcome",
		 sweep->cells[index].state == KT_CELL_LEFT_OUT ? "left_out" : outcome_of(story));
	add_u64(json, "samples_target", spec.scenario->msg.samples);
	for (size_t i = 0; story->verdict && i < story->verdict->n_details; i++) {
		json_object_array_add(list, kt_tojson_struct(&kt_schema_detail,
							     &story->verdict->details[i]));
	}
	json_object_object_add(json, "details", list);
	if (story->cancelled)
		add_text(json, "cancelled", story->cancelled);
	add_u64(json, "judgement", story->judgement);
	list = json_object_new_array();
	for (const struct earlier *earlier = story->earlier; earlier; earlier = earlier->next) {
		struct json_object *row = kt_tojson_struct(&kt_schema_verdict, earlier->verdict);

		add_u64(row, "judgement", earlier->judgement);
		json_object_array_add(list, row);
	}
	json_object_object_add(json, "earlier", list);
	list = json_object_new_array();
	for (size_t i = 0; i < story->n_attempts; i++) {
		const struct attempt *attempt = &story->attempts[i];
		struct json_object *row = json_object_new_object();

		add_u64(row, "epoch", attempt->epoch);
		add_text(row, "host", attempt->host);
		add_text(row, "state", attempt->state);
		add_text(row, "cause", attempt->cause);
		add_text(row, "line", attempt->line);
		json_object_object_add(row, "charged", json_object_new_boolean(attempt->charged));
		json_object_object_add(row, "judged",
				       json_object_new_boolean(attempt == story->judged));
		if (attempt->result)
			json_object_object_add(row, "result",
					       kt_tojson_struct(&kt_schema_result,
								attempt->result));
		if (attempt->clock)
			json_object_object_add(row, "clock",
					       kt_tojson_struct(&kt_schema_clock_fit,
								attempt->clock));
		json_object_array_add(list, row);
	}
	json_object_object_add(json, "attempts", list);
	if (story->judged && story->judged->result && story->judged->result->n_payloads)
		json_object_object_add(json, "payloads",
				       json_payloads(matrix, index, story->judged->result, false));
	if (story->group)
		json_object_object_add(json, "group",
				       kt_tojson_struct(&kt_schema_verdict, story->group));
	return json;
}

/* Takes json. Nothing but the one object is held in memory. */
static int print_json(struct json_object *json, const char *after, FILE *out, struct kt_err *err)
{
	const char *text = json_object_to_json_string_ext(json, JSON_C_TO_STRING_PRETTY |
									JSON_C_TO_STRING_SPACED);
	int status = fputs(text, out) < 0 || fputs(after, out) < 0 ? -EIO : 0;

	json_object_put(json);
	return status < 0 ? kt_err_set(err, KT_FAULT_HOST, EIO, "writing the report") : 0;
}

static struct json_object *json_totals(const struct kt_matrix *matrix, const struct kt_sweep *sweep)
{
	struct json_object *totals = json_object_new_object();
	struct json_object *groups = json_object_new_object();
	struct guests guests = count_guests(matrix, sweep);

	for (int i = KT_OUTCOME_SKIP; i < KT_OUTCOME_N; i++)
		add_u64(totals, kt_sweep_outcome_name((enum kt_outcome)i), sweep->outcomes[i]);
	add_u64(totals, "error", sweep->counts[KT_CELL_ERRORED]);
	add_u64(totals, "cancelled", sweep->counts[KT_CELL_CANCELLED]);
	add_u64(totals, "cells", sweep->n_cells);
	add_u64(totals, "left_out", sweep->counts[KT_CELL_LEFT_OUT]);
	if (sweep->left_out_why[0])
		add_text(totals, "left_out_why", sweep->left_out_why);
	add_u64(totals, "judged_again", count_judged_again(sweep));
	add_u64(totals, "warm", guests.warm);
	add_u64(totals, "cold", guests.cold + guests.not_warm);
	for (int i = KT_OUTCOME_SKIP; i < KT_OUTCOME_N; i++)
		if (sweep->groups[i])
			add_u64(groups, kt_sweep_outcome_name((enum kt_outcome)i),
				sweep->groups[i]);
	json_object_object_add(totals, "groups", groups);
	return totals;
}

/* One object, written cell by cell: a sweep may have millions. */
int kt_report_json(struct kt_journal *journal, const struct kt_matrix *matrix,
		   const struct kt_sweep *sweep, FILE *out, struct kt_err *err)
{
	const char *path = kt_journal_path(journal);
	struct story story = { 0 };
	int status;

	fputs("{\n\"sweep\": ", out);
	status =
		print_json(kt_tojson_text(sweep->id, strlen(sweep->id)), ",\n\"file\": ", out, err);
	if (status == 0)
		status =
			print_json(kt_tojson_text(path, strlen(path)), ",\n\"totals\": ", out, err);
	if (status == 0)
		status = print_json(json_totals(matrix, sweep), ",\n\"cells\": [\n", out, err);
	for (uint64_t i = 0; i < sweep->n_cells && status == 0; i++) {
		status = tell(journal, i, &story, err);
		if (status == 0)
			status = print_json(json_cell(matrix, sweep, i, &story),
					    i + 1 < sweep->n_cells ? ",\n" : "\n", out, err);
	}
	kt_arena_destroy(&story.arena);
	if (status == 0 && fputs("]\n}\n", out) < 0)
		status = kt_err_set(err, KT_FAULT_HOST, EIO, "writing the report");
	return status;
}

/* ---- show ---- */

static int take_sample(void *arg, uint64_t seq, const char *stream, const void *bytes, size_t len,
		       struct kt_err *err)
{
	return kt_series_append(arg, bytes, len, err);
}

/* When the workers of a judged attempt were let go, on the coordinator's wall clock; 0 when that is not known. */
static int64_t anchor_wall_ns(const struct story *story)
{
	const struct kt_msg_result *result = story->judged ? story->judged->result : NULL;
	const struct kt_msg_moment *anchor = NULL;

	if (!result || !result->began_wall_ns || !story->judged->clock)
		return 0;
	for (size_t i = 0; i < result->n_timeline; i++) {
		const struct kt_msg_moment *moment = &result->timeline[i];

		if (strcmp(moment->name, KT_JOB_MOMENT_ANCHOR) == 0 ||
		    (!anchor && strcmp(moment->name, "run") == 0)) /* all that a script has */
			anchor = moment;
	}
	return anchor ? result->began_wall_ns + anchor->at_ns - story->judged->clock->ahead_ns : 0;
}

static void show_samples(const struct kt_series *series, FILE *out)
{
	fprintf(out, "samples:\n  %-14s %12s %12s %10s  %s\n", "tag", "scheduled", "taken",
		"frozen", "step");
	for (size_t i = 0; i < series->n; i++) {
		const struct kt_msg_sample *sample = kt_series_at(series, i);
		char scheduled[32] = "on demand";

		if (sample->offset_ns > 0)
			snprintf(scheduled, sizeof(scheduled), "%+.3f s",
				 (double)sample->offset_ns / 1e9);
		fprintf(out, "  %-14s %12s %+10.3f s %7.2f ms %5" PRIu64, sample->tag, scheduled,
			(double)sample->elapsed_ns / 1e9, (double)sample->frozen_ns / 1e6,
			sample->step);
		if (sample->epoch)
			fprintf(out, "  (the scheduler's life %" PRIu64 ")", sample->epoch);
		if (sample->placeholder[0])
			fprintf(out, "  (nothing captured: %s)", sample->placeholder);
		fputc('\n', out);
	}
}

/* The verdicts that were replaced, newest first. */
static void show_earlier(const struct story *story, FILE *out)
{
	for (const struct earlier *earlier = story->earlier; earlier; earlier = earlier->next) {
		if (earlier->judgement)
			fprintf(out, "before, in judgement %" PRIu64 ": %s\n", earlier->judgement,
				earlier->verdict->outcome);
		else
			fprintf(out, "before, when it ran: %s\n", earlier->verdict->outcome);
		for (size_t i = 0; i < earlier->verdict->n_details; i++)
			if (strcmp(earlier->verdict->details[i].outcome, "note") != 0)
				fprintf(out, "  %-12s %s\n", earlier->verdict->details[i].outcome,
					earlier->verdict->details[i].text);
	}
}

/* The matrix that a cell was last judged with, in which it has the same name and maybe another number. */
static const struct kt_matrix *judged_by(const struct kt_matrix *matrix,
					 const struct kt_report_show *options, uint64_t *index)
{
	char name[KT_CELL_NAME_BYTES_MAX];

	if (options->judged_by &&
	    kt_matrix_find_cell(options->judged_by, kt_matrix_cell_name(matrix, *index, name),
				index))
		return options->judged_by;
	return matrix;
}

/* What every assertion saw, and which samples offend. It is judged again for it: the same, from the same. */
static void show_columns(const struct kt_matrix *matrix, uint64_t index,
			 const struct kt_series *series, FILE *out)
{
	KT_AUTO_ARENA arena = { 0 };
	const struct kt_assertion *const *asserts;
	struct kt_matrix_cell spec;
	size_t n;

	kt_matrix_cell(matrix, index, &spec);
	n = kt_matrix_judged(matrix, &spec, &arena, &asserts);

	if (n)
		fputs("columns:\n", out);
	for (size_t i = 0; i < n; i++) {
		const struct kt_assertion *leaf;

		for (size_t k = 0; (leaf = kt_assertion_leaf(asserts[i], k)) != NULL; k++) {
			KT_AUTO_ARENA scratch = { 0 };
			struct kt_verdict verdict;
			struct kt_judge_seen seen;

			kt_verdict_init(&verdict, &scratch);
			kt_judge_look(leaf, series, &scratch, &seen, &verdict);
			kt_plot_print(leaf, &seen, out);
		}
	}
}

/* What happened in the scenario has its time there too, an op how long it took. */
static void show_moment(const struct kt_msg_moment *moment, FILE *out)
{
	bool is_op = strcmp(moment->name, "op") == 0;
	bool is_within = is_op || moment->elapsed_ns > 0;
	char took[KT_DURATION_TEXT_BYTES];

	fprintf(out, "     %+9.3f s  %s", (double)moment->at_ns / 1e9, moment->name);
	if (is_within)
		fprintf(out, "  at %+.3f s", (double)moment->elapsed_ns / 1e9);
	if (is_op)
		fprintf(out, ", %s%s", moment->failed ? "failed after " : "took ",
			kt_duration_format(moment->took_ns, took));
	if (moment->detail[0])
		fprintf(out, "%s%s", is_within ? ": " : "  ", moment->detail);
	fputc('\n', out);
}

static void show_attempts(const struct story *story, FILE *out)
{
	fprintf(out, "attempts:\n");
	for (size_t i = 0; i < story->n_attempts; i++) {
		const struct attempt *attempt = &story->attempts[i];
		const struct kt_msg_machine *machine =
			attempt->result ? attempt->result->machine : NULL;

		fprintf(out, "  %" PRIu64 "  host %s  epoch %" PRIu64 "  %s%s%s%s%s\n",
			attempt->number, attempt->host, attempt->epoch,
			attempt->cause[0] ? attempt->cause : attempt->state,
			attempt == story->judged ? "  (judged)" : "",
			attempt->late ? "  (late: evidence only)" : "",
			attempt->line[0] ? ": " : "", attempt->line);
		if (machine) {
			fprintf(out, "     %s", machine->runner);
			if (strcmp(machine->runner, "scripted") != 0) /* it boots nothing */
				fprintf(out, " %s %s%s%s  qemu %s  kernel %s  host cpu %s",
					machine->accel, machine->guest,
					machine->template[0] ? " from template " : "",
					machine->template, machine->qemu, machine->kernel_release,
					machine->cpu_model);
			fputc('\n', out);
		}
		if (attempt->clock)
			fprintf(out,
				"     its host's clock was %+.3f ms ahead of ours, give or take "
				"%.3f "
				"ms\n",
				(double)attempt->clock->ahead_ns / 1e6,
				(double)attempt->clock->error_ns / 1e6);
		for (size_t k = 0; attempt->result && k < attempt->result->n_timeline; k++)
			show_moment(&attempt->result->timeline[k], out);
	}
}

static int show_log_piece(void *arg, uint64_t seq, const char *stream, const void *bytes,
			  size_t len, struct kt_err *err)
{
	kt_logview_put(arg, stream, bytes, len);
	return 0;
}

/* A guest's words: its lines stay lines, but no byte of it may move a terminal's cursor. */
static void print_evidence(const char *text, FILE *out)
{
	fputs("evidence:\n", out);
	for (; *text; text++) {
		unsigned char c = (unsigned char)*text;

		fputc((c < 0x20 && c != '\n' && c != '\t') || c == 0x7f ? ' ' : c, out);
	}
	fputc('\n', out);
}

/* What they are said to have measured is the matrix's that the cell was last judged with. */
static void show_payloads(const struct kt_matrix *matrix, uint64_t index,
			  const struct kt_msg_result *result, bool output, FILE *out)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_metrics metrics;
	struct kt_matrix_cell spec;

	kt_matrix_cell(matrix, index, &spec);
	kt_metrics_read(matrix, spec.scenario, result, &arena, &metrics);
	kt_metrics_print(&metrics, output, out);
}

static int show_text(struct kt_journal *journal, const struct kt_matrix *matrix, uint64_t index,
		     const struct story *story, const struct kt_series *series,
		     const struct kt_report_show *options, FILE *out, struct kt_err *err)
{
	bool logs = options->logs;
	uint64_t there = index;
	const struct kt_matrix *judged_with = judged_by(matrix, options, &there);
	char name[KT_CELL_NAME_BYTES_MAX];
	int status = 0;

	fprintf(out, "%s: %s", kt_matrix_cell_name(matrix, index, name), outcome_of(story));
	if (story->judgement)
		fprintf(out, " (judged again: judgement %" PRIu64 ")", story->judgement);
	fputc('\n', out);
	for (size_t i = 0; story->verdict && i < story->verdict->n_details; i++)
		fprintf(out, "  %-12s %s\n", story->verdict->details[i].outcome,
			story->verdict->details[i].text);
	if (story->errored)
		fprintf(out, "  %s: %s\n", story->errored->cause, story->errored->line);
	if (story->cancelled && story->cancelled[0])
		fprintf(out, "  %s\n", story->cancelled);
	show_earlier(story, out);
	show_attempts(story, out);
	if (series->n) {
		show_samples(series, out);
		show_columns(judged_with, there, series, out);
	}
	if (story->judged && story->judged->result) {
		const struct kt_msg_result *result = story->judged->result;

		kt_measured_print(result, out);
		show_payloads(judged_with, there, result, logs, out);
		if (result->note[0])
			fprintf(out, "note: %s\n", result->note);
		if (result->evidence[0])
			print_evidence(result->evidence, out);
	}
	for (size_t i = 0; logs && i < story->n_attempts && status == 0; i++) {
		struct kt_logview view = { .out = out };

		fprintf(out, "logs of attempt %" PRIu64 ":\n", story->attempts[i].number);
		status = kt_journal_logs(journal, index, story->attempts[i].epoch, show_log_piece,
					 &view, err);
		kt_logview_end(&view);
	}
	if (!logs && story->n_attempts)
		fprintf(out, "(logs: --logs)\n");
	return status;
}

/* A sample as its schema says it, but its axes by name: samples[0].axes.bpf.value. at_wall_ns: when it was taken, on the
 * coordinator's wall clock, give or take the clock's error and some milliseconds; workload time stands still while
 * the guest is frozen.
 */
static struct json_object *json_series(const struct kt_series *series, int64_t anchor_ns)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < series->n; i++) {
		const struct kt_msg_sample *sample = kt_series_at(series, i);
		struct json_object *row = kt_tojson_struct(&kt_schema_sample, sample);
		struct json_object *axes = json_object_new_object();

		for (size_t k = 0; k < sample->n_axes; k++)
			json_object_object_add(axes, sample->axes[k].name,
					       kt_tojson_struct(&kt_schema_axis, &sample->axes[k]));
		json_object_object_add(row, "axes", axes);
		if (anchor_ns > 0) {
			json_object_object_add(
				row, "at_wall_ns",
				json_object_new_int64(anchor_ns + sample->elapsed_ns));
			anchor_ns += sample->frozen_ns;
		}
		json_object_array_add(list, row);
	}
	return list;
}

/* What all repeats of the cell are together, when anything is asserted over them. */
static int show_group(struct kt_journal *journal, const struct kt_matrix *matrix,
		      const struct kt_sweep *sweep, uint64_t index, FILE *out, struct kt_err *err)
{
	struct story first = { 0 };
	char name[KT_CELL_NAME_BYTES_MAX];
	struct kt_matrix_cell spec;
	int status;

	kt_matrix_cell(matrix, index, &spec);
	status = text_group(journal, sweep, index - spec.repeat, spec.scenario->repeats,
			    kt_matrix_cell_name(matrix, index, name), kt_view_has_color(out),
			    &first, out, err);
	kt_arena_destroy(&first.arena);
	return status;
}

static struct json_object *json_slot(const struct kt_column_slot *slot, uint8_t mark)
{
	static const char *const marks[] = { [KT_PATTERN_MARK_NONE] = "",
					     [KT_PATTERN_MARK_UNSURE] = "inconclusive",
					     [KT_PATTERN_MARK_FAIL] = "fail" };
	struct json_object *row = json_object_new_object();

	add_text(row, "tag", slot->tag);
	json_object_object_add(row, "elapsed_ns", json_object_new_int64(slot->elapsed_ns));
	if (kt_column_slot_usable(slot)) {
		struct kt_number number = kt_column_slot_number(slot);

		json_object_object_add(row, "value", kt_numberjson(&number));
	} else {
		add_text(row, "error", slot->error->text);
	}
	add_text(row, "mark", marks[mark]);
	return row;
}

static struct json_object *json_columns(const struct kt_matrix *matrix, uint64_t index,
					const struct kt_series *series)
{
	struct json_object *list = json_object_new_array();
	KT_AUTO_ARENA arena = { 0 };
	const struct kt_assertion *const *asserts;
	const struct kt_assertion *leaf;
	struct kt_matrix_cell spec;
	size_t n;

	kt_matrix_cell(matrix, index, &spec);
	n = kt_matrix_judged(matrix, &spec, &arena, &asserts);
	for (size_t i = 0; i < n; i++) {
		for (size_t k = 0; (leaf = kt_assertion_leaf(asserts[i], k)) != NULL; k++) {
			struct json_object *column = json_object_new_object();
			struct json_object *slots = json_object_new_array();
			KT_AUTO_ARENA scratch = { 0 };
			KT_AUTO_BUF text = { 0 };
			struct kt_judge_seen seen;
			struct kt_verdict verdict;

			kt_verdict_init(&verdict, &scratch);
			kt_judge_look(leaf, series, &scratch, &seen, &verdict);
			kt_assertion_print(leaf, &text);
			add_text(column, "label", kt_assertion_label(leaf));
			add_text(column, "text", kt_buf_text(&text));
			for (size_t s = 0; s < seen.column.n; s++)
				json_object_array_add(slots, json_slot(&seen.column.slots[s],
								       seen.marks[s]));
			json_object_object_add(column, "slots", slots);
			json_object_array_add(list, column);
		}
	}
	return list;
}

int kt_report_show(struct kt_journal *journal, const struct kt_matrix *matrix,
		   const struct kt_sweep *sweep, uint64_t index,
		   const struct kt_report_show *options, FILE *out, struct kt_err *err)
{
	struct story story = { 0 };
	KT_AUTO_SERIES series = { 0 };
	int status = tell(journal, index, &story, err);
	uint64_t epoch = story.judged       ? story.judged->epoch
			 : story.n_attempts ? story.attempts[story.n_attempts - 1].epoch
					    : 0;

	if (status == 0 && epoch)
		status = kt_journal_samples(journal, index, epoch, take_sample, &series, err);
	if (status == 0 && options->json) {
		struct json_object *json = json_cell(matrix, sweep, index, &story);
		uint64_t there = index;
		const struct kt_matrix *judged_with = judged_by(matrix, options, &there);

		json_object_object_add(json, "samples",
				       json_series(&series, anchor_wall_ns(&story)));
		json_object_object_add(json, "columns", json_columns(judged_with, there, &series));
		if (story.judged && story.judged->result)
			json_object_object_add(json, "payloads",
					       json_payloads(judged_with, there,
							     story.judged->result, options->logs));
		status = print_json(json, "\n", out, err);
	} else if (status == 0 && sweep->cells[index].state == KT_CELL_LEFT_OUT) {
		char name[KT_CELL_NAME_BYTES_MAX];

		fprintf(out, "%s: left out %s\n", kt_matrix_cell_name(matrix, index, name),
			sweep->left_out_why);
	} else if (status == 0) {
		status = show_text(journal, matrix, index, &story, &series, options, out, err);
		if (status == 0)
			status = show_group(journal, matrix, sweep, index, out, err);
	}
	kt_arena_destroy(&story.arena);
	return status;
}
