#include "worker/scriptedreport.h"
#include "proto/base/duration.h"
#include "proto/fieldtext.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define MEASURES_MAX 16 /* as proto/job.def has it */
#define EVENTS_MAX   64

/* A command makes one struct of the result: its first words are these fields, then come F=V. */
struct part {
	const char *command;
	const struct kt_schema *schema;
	size_t list; /* of the structs, in kt_scriptedreport; max 0: there is one, the monitor's report */
	size_t count;
	size_t max;
	const char *words[2];
	/* Takes a word that is no F=V; NULL: there are none. */
	bool (*read)(void *into, const char *word);
	bool of_monitor; /* it stands in the monitor's report */
	/* When all words are read. */
	void (*finish)(const struct kt_scriptedreport *report, void *into);
};

/* ---- what is special about some ---- */

/* "1ms=3" */
static bool read_bucket(void *into, const char *word)
{
	struct kt_msg_latency_report *latency = into;
	struct kt_msg_bucket *bucket = &latency->buckets[latency->n_buckets];
	const char *count = strchr(word, '=');
	char below[32];
	char *end;

	if (!count || (size_t)(count - word) >= sizeof(below))
		return false;
	snprintf(below, sizeof(below), "%.*s", (int)(count - word), word);
	bucket->count = strtoull(count + 1, &end, 10);
	if (!kt_duration_parse(below, &bucket->below_ns) || bucket->below_ns == 0 || *end)
		return false;
	latency->n_buckets++;
	latency->total += bucket->count;
	return true;
}

static void number_worker(const struct kt_scriptedreport *report, void *into)
{
	struct kt_msg_worker_report *worker = into;

	worker->index = 0;
	for (size_t i = 0; i < report->n_reports; i++)
		worker->index += strcmp(report->reports[i].cgroup, worker->cgroup) == 0 &&
				 report->reports[i].step == worker->step;
}

static void name_all(const struct kt_scriptedreport *report, void *into)
{
	struct kt_msg_wake_report *wakes = into;

	if (strcmp(wakes->cgroup, "all") == 0)
		wakes->cgroup = "";
}

static void name_else(const struct kt_scriptedreport *report, void *into)
{
	struct kt_msg_latency_report *latency = into;

	if (strcmp(latency->cgroup, "else") == 0)
		latency->cgroup = "";
}

/* clang-format off */
#define PART(command_, of_, list_, max_, ...) \
	{ .command = command_, .schema = &kt_schema_##of_, .list = offsetof(struct kt_scriptedreport, list_), \
	  .count = offsetof(struct kt_scriptedreport, n_##list_), .max = (max_), __VA_ARGS__ }
static const struct part parts[] = {
	PART("report", worker_report, reports, KT_WORKERS_MAX, .words = { "cgroup" }, .finish = number_worker),
	PART("wakes", wake_report, wakes, KT_CGROUPS_MAX, .words = { "cgroup" }, .finish = name_all),
	PART("latency", latency_report, latencies, KT_CGROUPS_MAX, .words = { "cgroup" }, .read = read_bucket, .finish = name_else),
	PART("payload", payload_report, payloads, KT_PAYLOADS_MAX, .words = { "name", "ended" }),
	PART("measure", monitor_measure, measures, MEASURES_MAX, .words = { "name" }, .of_monitor = true),
	PART("event", scx_event, events, EVENTS_MAX, .words = { "name", "count" }, .of_monitor = true),
	{ .command = "monitor", .schema = &kt_schema_monitor_report, .of_monitor = true },
};
/* clang-format on */

/* ---- reading ---- */

static const struct part *part_of(const char *command)
{
	for (size_t i = 0; i < sizeof(parts) / sizeof(parts[0]); i++)
		if (strcmp(parts[i].command, command) == 0)
			return &parts[i];
	return NULL;
}

bool kt_scriptedreport_is(const char *command)
{
	return part_of(command) != NULL;
}

static bool read_pair(const struct part *part, void *into, const char *word, struct kt_arena *arena)
{
	const char *value = strchr(word, '=');
	const char *name;

	if (part->read)
		return part->read(into, word);
	if (!value)
		return false;
	name = kt_arena_copy(arena, word, (size_t)(value - word));
	return kt_fieldtext_set(part->schema, into, name, value + 1, arena, NULL) == 0;
}

static void *new_struct(const struct kt_schema *schema, struct kt_arena *arena)
{
	void *into = kt_arena_alloc(arena, 1, schema->size);

	kt_fieldtext_init(schema, into);
	return into;
}

/* Where the command's struct goes; NULL when there are as many as there may be. */
static void *room(struct kt_scriptedreport *report, const struct part *part, struct kt_arena *arena)
{
	void **list = (void *)((char *)report + part->list);
	const size_t *n = (const void *)((char *)report + part->count);
	void *into;

	if (part->of_monitor && !report->monitor)
		report->monitor = new_struct(&kt_schema_monitor_report, arena);
	if (part->max == 0)
		return report->monitor;
	if (*n == part->max)
		return NULL;
	if (!*list)
		*list = kt_arena_alloc(arena, part->max, part->schema->size);
	into = (char *)*list + *n * part->schema->size;
	kt_fieldtext_init(part->schema, into);
	return into;
}

int kt_scriptedreport_add(struct kt_scriptedreport *report, const char *command,
			  const char *const *words, size_t n, struct kt_arena *arena,
			  const char **wrong)
{
	const struct part *part = part_of(command);
	void *into = room(report, part, arena);
	size_t at = 0;

	*wrong = command;
	if (!into)
		return -E2BIG;
	if (part->read)
		((struct kt_msg_latency_report *)into)->buckets =
			kt_arena_alloc(arena, n, sizeof(struct kt_msg_bucket));
	for (; at < 2 && part->words[at]; at++) {
		if (at == n)
			return -EINVAL;
		*wrong = words[at];
		if (kt_fieldtext_set(part->schema, into, part->words[at], words[at], arena, NULL) <
		    0)
			return -EINVAL;
	}
	for (; at < n; at++) {
		*wrong = words[at];
		if (!read_pair(part, into, words[at], arena))
			return -EINVAL;
	}
	if (part->finish)
		part->finish(report, into);
	if (part->max)
		++*(size_t *)((char *)report + part->count);
	return 0;
}

void kt_scriptedreport_fill(struct kt_scriptedreport *report, struct kt_msg_result *result)
{
	result->reports = report->reports;
	result->n_reports = report->n_reports;
	result->wakes = report->wakes;
	result->n_wakes = report->n_wakes;
	result->latencies = report->latencies;
	result->n_latencies = report->n_latencies;
	result->payloads = report->payloads;
	result->n_payloads = report->n_payloads;
	if (!report->monitor)
		return;
	result->monitor = report->monitor;
	result->monitor->measures = report->measures;
	result->monitor->n_measures = report->n_measures;
	result->monitor->events = report->events;
	result->monitor->n_events = report->n_events;
}
