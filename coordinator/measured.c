#include "coordinator/measured.h"
#include "proto/base/duration.h"
#include "proto/base/limits.h"
#include "proto/base/must.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#define BAR_CHARS 40

/* ---- tables ---- */

struct table {
	size_t columns;
	char **cells; /* row by row; the first is the head */
	size_t n;
	size_t room;
};

/* The next cell, from left to right. */
__attribute__((format(printf, 2, 3))) static void put(struct table *table, const char *format, ...)
{
	va_list args;
	int len;

	if (table->n == table->room) {
		table->room = table->room ? 2 * table->room : 256;
		table->cells = kt_must_realloc(table->cells, table->room, sizeof(*table->cells));
	}
	va_start(args, format);
	len = vasprintf(&table->cells[table->n++], format, args);
	va_end(args);
	kt_must(len >= 0);
}

static void put_ns(struct table *table, int64_t ns)
{
	char text[KT_DURATION_TEXT_BYTES];

	put(table, "%s", kt_duration_format(ns, text));
}

/* The cells of the head, with '|' between. */
static void begin(struct table *table, const char *head)
{
	const char *at = head;

	*table = (struct table){ 0 };
	for (;; at++) {
		size_t len = strcspn(at, "|");

		put(table, "%.*s", (int)len, at);
		table->columns++;
		at += len;
		if (!*at)
			return;
	}
}

static size_t width_of(const struct table *table, size_t column)
{
	size_t width = 0;

	for (size_t i = column; i < table->n; i += table->columns)
		if (strlen(table->cells[i]) > width)
			width = strlen(table->cells[i]);
	return width;
}

/* The first column begins at the left, the others end at the right. */
static void print(struct table *table, const char *title, FILE *out)
{
	size_t *widths = kt_must_calloc(table->columns, sizeof(*widths));

	kt_must(table->n % table->columns == 0);
	fprintf(out, "%s:\n", title);
	for (size_t i = 0; i < table->columns; i++)
		widths[i] = width_of(table, i);
	for (size_t i = 0; i < table->n; i++) {
		size_t column = i % table->columns;

		fprintf(out, "  %*s%s", column ? (int)widths[column] : -(int)widths[column],
			table->cells[i], column + 1 == table->columns ? "\n" : "");
		free(table->cells[i]);
	}
	free(widths);
	free(table->cells);
}

/* ---- workers ---- */

static const char *or_dash(const char *text)
{
	return *text ? text : "-";
}

static void put_worker(struct table *table, const struct kt_msg_worker_report *report)
{
	char gap[KT_DURATION_TEXT_BYTES];

	put(table, "%s/%" PRIu64, report->cgroup, report->index);
	put(table, "%" PRIu64, report->step);
	put(table, "%s", or_dash(report->work));
	put(table, "%" PRIu64, report->work_units);
	put_ns(table, report->cpu_ns);
	put_ns(table, report->wall_ns);
	put(table, "%s", or_dash(report->cpus_used));
	put(table, "%" PRIu64, report->migrations);
	put(table, "%s", kt_duration_format(report->gap_ns_max, gap));
	if (report->gap_ns_max)
		put(table, "CPU %" PRIu64 " +%.3fs", report->gap_cpu,
		    (double)report->gap_at_ns / KT_NS_PER_S);
	else
		put(table, "-");
	put(table, "%" PRIu64, report->wakes);
	if (report->wakes)
		put_ns(table, report->wake_p99_ns);
	else
		put(table, "-");
	put_ns(table, report->run_delay_ns);
}

static int by_place(const void *a, const void *b)
{
	const struct kt_msg_worker_report *left = *(const struct kt_msg_worker_report *const *)a;
	const struct kt_msg_worker_report *right = *(const struct kt_msg_worker_report *const *)b;
	int order = strcmp(left->cgroup, right->cgroup);

	return order ? order : (left->index > right->index) - (left->index < right->index);
}

/* They report when their step ends, which is no order to look for one in. */
static void print_workers(const struct kt_msg_result *result, FILE *out)
{
	KT_AUTO_FREE const struct kt_msg_worker_report **reports = NULL;
	struct table table;
	size_t n = 0;

	if (!result->n_reports)
		return;
	reports = kt_must_calloc(result->n_reports, sizeof(*reports));
	for (size_t i = 0; i < result->n_reports; i++)
		reports[i] = &result->reports[i];
	qsort(reports, result->n_reports, sizeof(*reports), by_place);
	begin(&table, "|step|work|work units|cpu|wall|CPUs|migr|gap max|until|wakes|p99|run delay");
	for (size_t i = 0; i < result->n_reports; i++)
		if (!*reports[i]->missing)
			put_worker(&table, reports[i]);
	n = table.n / table.columns - 1;
	print(&table, "workers", out);
	for (size_t i = 0; n < result->n_reports && i < result->n_reports; i++) {
		if (*reports[i]->missing)
			fprintf(out, "  %s/%" PRIu64 "  no report: %s\n", reports[i]->cgroup,
				reports[i]->index, reports[i]->missing);
	}
}

/* ---- wake-ups ---- */

static void print_wakes(const struct kt_msg_result *result, FILE *out)
{
	struct table table;

	if (!result->n_wakes)
		return;
	begin(&table, "|total|kept|mean|p50|p90|p99|p99.9|longest");
	for (size_t i = 0; i < result->n_wakes; i++) {
		const struct kt_msg_wake_report *wakes = &result->wakes[i];

		put(&table, "%s", *wakes->cgroup ? wakes->cgroup : "all workers");
		put(&table, "%" PRIu64, wakes->total);
		put(&table, "%" PRIu64, wakes->kept);
		/* It comes from a guest, and may be anything. */
		if (wakes->mean_ns >= 0 && wakes->mean_ns < (double)KT_DURATION_NS_MAX)
			put_ns(&table, (int64_t)wakes->mean_ns);
		else
			put(&table, "%g", wakes->mean_ns);
		put_ns(&table, wakes->p50_ns);
		put_ns(&table, wakes->p90_ns);
		put_ns(&table, wakes->p99_ns);
		put_ns(&table, wakes->p999_ns);
		put_ns(&table, wakes->ns_max);
	}
	print(&table, "wake-ups, as the workers measured them", out);
}

/* ---- the probe's histograms ---- */

static void print_histogram(const struct kt_msg_latency_report *latency, FILE *out)
{
	uint64_t most = 1;

	fprintf(out, "  %s: %" PRIu64 " wait%s\n", *latency->cgroup ? latency->cgroup : "all else",
		latency->total, latency->total == 1 ? "" : "s");
	for (size_t i = 0; i < latency->n_buckets; i++)
		if (latency->buckets[i].count > most)
			most = latency->buckets[i].count;
	for (size_t i = 0; i < latency->n_buckets; i++) {
		const struct kt_msg_bucket *bucket = &latency->buckets[i];
		int bar = (int)((double)bucket->count / (double)most * BAR_CHARS + 0.5);
		char below[KT_DURATION_TEXT_BYTES];

		fprintf(out, "    < %-7s %12" PRIu64 "%s%.*s\n",
			kt_duration_format(bucket->below_ns, below), bucket->count, bar ? "  " : "",
			bar, "########################################");
	}
}

static void print_latencies(const struct kt_msg_result *result, FILE *out)
{
	if (result->n_latencies)
		fputs("waits for a CPU, as the probe saw them:\n", out);
	for (size_t i = 0; i < result->n_latencies; i++)
		print_histogram(&result->latencies[i], out);
}

/* ---- from outside ---- */

static void put_measure(struct table *table, const struct kt_msg_monitor_measure *measure)
{
	put(table, "%s", measure->name);
	put(table, "%" PRIu64, measure->values);
	put(table, "%.6g", measure->highest);
	put(table, "+%.3fs", (double)measure->highest_at_ns / KT_NS_PER_S);
	if (measure->windows)
		put(table, "%.6g", measure->sustained);
	else
		put(table, "-");
}

static void print_events(const struct kt_msg_monitor_report *monitor, FILE *out)
{
	const char *comma = "  events:";

	for (size_t i = 0; i < monitor->n_events; i++) {
		if (monitor->events[i].count == 0)
			continue;
		fprintf(out, "%s %s %" PRId64, comma, monitor->events[i].name,
			monitor->events[i].count);
		comma = ",";
	}
	if (*comma == ',')
		fputc('\n', out);
}

static void print_monitor(const struct kt_msg_monitor_report *monitor, FILE *out)
{
	struct table table;
	char title[160];

	snprintf(title, sizeof(title), "run queues, looked at %" PRIu64 " times from outside",
		 monitor->looks);
	begin(&table, "|values|highest|at|5 in a row");
	for (size_t i = 0; i < monitor->n_measures; i++)
		put_measure(&table, &monitor->measures[i]);
	print(&table, title, out);
	print_events(monitor, out);
	if (monitor->invalid)
		fprintf(out, "  %" PRIu64 " looks saw memory that no kernel has set up\n",
			monitor->invalid);
	if (*monitor->error)
		fprintf(out, "  %s\n", monitor->error);
}

void kt_measured_print(const struct kt_msg_result *result, FILE *out)
{
	print_workers(result, out);
	print_wakes(result, out);
	print_latencies(result, out);
	if (result->monitor)
		print_monitor(result->monitor, out);
}
