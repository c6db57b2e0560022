/* reported.h - an attempt's result out of a short text, and the checks that judge it, for the tests of assertions/.
 *
 *	"report cg_0 work_units=10 wall_ns=1s; wakes cg_0 total=5; monitor looks=9; measure stuck highest=2;
 *	event insert_not_owned 3; fail kernel_panic"
 *
 * Fields are those of proto/job.def; workers of a cgroup are numbered as they come.
 */
#ifndef KT_TEST_REPORTED_H
#define KT_TEST_REPORTED_H

#include "assertions/checks_judge.h"
#include "fixture.h"
#include "proto/fieldtext.h"

#define REPORTED_MAX 64

/* The next word of *at, or NULL. */
static inline char *reported_word(char **at)
{
	char *word = strtok_r(NULL, " ", at);

	return word;
}

static inline void reported_fields(const struct kt_schema *schema, void *into, char **at,
				   struct kt_arena *arena)
{
	struct kt_err err = { 0 };

	for (char *word = reported_word(at); word; word = reported_word(at)) {
		char *value = strchr(word, '=');

		cr_assert(value, "%s", word);
		*value++ = 0;
		cr_assert_eq(kt_fieldtext_set(schema, into, word, value, arena, &err), 0, "%s",
			     err.text);
	}
}

static inline void reported_worker(struct kt_msg_result *result, char **at, struct kt_arena *arena)
{
	struct kt_msg_worker_report *report = &result->reports[result->n_reports++];

	cr_assert_leq(result->n_reports, REPORTED_MAX);
	kt_fieldtext_init(&kt_schema_worker_report, report);
	report->cgroup = reported_word(at);
	for (size_t i = 0; i + 1 < result->n_reports; i++)
		report->index += strcmp(result->reports[i].cgroup, report->cgroup) == 0;
	reported_fields(&kt_schema_worker_report, report, at, arena);
}

static inline struct kt_msg_monitor_report *reported_monitor(struct kt_msg_result *result,
							     struct kt_arena *arena)
{
	if (!result->monitor) {
		result->monitor = kt_arena_alloc(arena, 1, sizeof(*result->monitor));
		kt_fieldtext_init(&kt_schema_monitor_report, result->monitor);
		result->monitor->measures =
			kt_arena_alloc(arena, REPORTED_MAX, sizeof(*result->monitor->measures));
		result->monitor->events =
			kt_arena_alloc(arena, REPORTED_MAX, sizeof(*result->monitor->events));
	}
	return result->monitor;
}

static inline void reported_line(struct kt_msg_result *result, char *line, struct kt_arena *arena)
{
	char *at = NULL;
	const char *kind = strtok_r(line, " ", &at);

	if (strcmp(kind, "report") == 0) {
		reported_worker(result, &at, arena);
	} else if (strcmp(kind, "wakes") == 0) {
		struct kt_msg_wake_report *wakes = &result->wakes[result->n_wakes++];

		kt_fieldtext_init(&kt_schema_wake_report, wakes);
		wakes->cgroup = reported_word(&at);
		if (strcmp(wakes->cgroup, "all") == 0)
			wakes->cgroup = "";
		reported_fields(&kt_schema_wake_report, wakes, &at, arena);
	} else if (strcmp(kind, "monitor") == 0) {
		reported_fields(&kt_schema_monitor_report, reported_monitor(result, arena), &at,
				arena);
	} else if (strcmp(kind, "measure") == 0) {
		struct kt_msg_monitor_report *monitor = reported_monitor(result, arena);
		struct kt_msg_monitor_measure *measure = &monitor->measures[monitor->n_measures++];

		kt_fieldtext_init(&kt_schema_monitor_measure, measure);
		measure->name = reported_word(&at);
		reported_fields(&kt_schema_monitor_measure, measure, &at, arena);
	} else if (strcmp(kind, "event") == 0) {
		struct kt_msg_monitor_report *monitor = reported_monitor(result, arena);
		struct kt_msg_scx_event *event = &monitor->events[monitor->n_events++];

		event->name = reported_word(&at);
		event->count = atoll(reported_word(&at));
	} else {
		cr_assert_str_eq(kind, "fail");
		result->cause = reported_word(&at);
	}
}

static inline void reported_result(const char *text, struct kt_arena *arena,
				   struct kt_msg_result *result)
{
	char *copy = kt_arena_strdup(arena, text);
	char *rest = NULL;

	kt_fieldtext_init(&kt_schema_result, result);
	result->cause = "finished";
	result->reports = kt_arena_alloc(arena, REPORTED_MAX, sizeof(*result->reports));
	result->wakes = kt_arena_alloc(arena, REPORTED_MAX, sizeof(*result->wakes));
	for (char *line = strtok_r(copy, ";", &rest); line; line = strtok_r(NULL, ";", &rest))
		reported_line(result, line + strspn(line, " "), arena);
}

/* "gap='3s' isolation=true": as in notation.h. */
static inline void reported_checks(const char *text, struct kt_arena *arena,
				   struct kt_checks *checks)
{
	struct kt_checks none = { 0 };
	struct kt_checks said = { 0 };
	struct kt_err err = { 0 };

	for (const char *at = text; *at;) {
		size_t key = strcspn(at, "=");
		size_t len = fixture_value_len(at + key + 1);
		struct kt_value value =
			fixture_value(arena, kt_arena_copy(arena, at + key + 1, len));

		cr_assert_eq(kt_checks_set(&said, kt_arena_copy(arena, at, key), &value, &err), 0,
			     "%s", err.text);
		at += key + 1 + len;
		at += strspn(at, " ");
	}
	kt_checks_merge(&none, &said, checks);
}

static inline enum kt_verdict_outcome reported_judge(const char *checks, const char *result,
						     struct kt_arena *arena,
						     struct kt_verdict *said)
{
	struct kt_checks asked;
	struct kt_msg_result ended;

	reported_checks(checks, arena, &asked);
	reported_result(result, arena, &ended);
	kt_verdict_init(said, arena);
	kt_checks_judge(&asked, &ended, said);
	return kt_verdict_outcome(said);
}

#endif
