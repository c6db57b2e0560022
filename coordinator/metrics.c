#include "coordinator/metrics.h"
#include "coordinator/logview.h"
#include "coordinator/numberjson.h"
#include "proto/json/fromjson.h"
#include "proto/json/tojson.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define LINES_TRIED_MAX 16 /* that could begin JSON behind other words */

/* ---- reading ---- */

static bool begins_json(const uint8_t *text, size_t len)
{
	size_t at = 0;

	while (at < len && isspace(text[at]))
		at++;
	return at < len && (text[at] == '{' || text[at] == '[');
}

/* Some programs greet before they print JSON, and take leave behind it: the first line that begins a whole object
 * or list counts.
 */
static bool read_tree(const struct kt_bin *out, struct kt_arena *arena, struct kt_value *tree,
		      struct kt_err *err)
{
	const uint8_t *line = out->data;
	size_t left = out->len;
	struct kt_err later = { 0 };
	size_t tried = 0;
	size_t used;

	while (left > 0 && tried < LINES_TRIED_MAX) {
		const uint8_t *end = memchr(line, '\n', left);

		if (begins_json(line, left)) {
			if (kt_fromjson(line, left, arena, tree, &used, tried ? &later : err) == 0)
				return true;
			tried++;
		}
		if (!end)
			break;
		left -= (size_t)(end + 1 - line);
		line = end + 1;
	}
	if (!tried)
		kt_err_set(err, KT_FAULT_GUEST, EINVAL, "no line of it begins with '{' or '['");
	return false;
}

static bool wants_tree(const struct kt_payloadcheck *check)
{
	for (size_t i = 0; i < check->n_metrics; i++)
		if (check->metrics[i].json)
			return true;
	return false;
}

static void read_run(const struct kt_payloadcheck *check,
		     const struct kt_msg_payload_report *report, struct kt_arena *arena,
		     struct kt_payloadcheck_run *run)
{
	struct kt_metric_output output = { .out = report->out,
					   .out_bytes = report->out_bytes,
					   .errors = report->errors };
	struct kt_metric_value *values = kt_arena_alloc(arena, check->n_metrics, sizeof(*values));
	struct kt_err err = { 0 };
	struct kt_value tree;

	if (wants_tree(check) && read_tree(&report->out, arena, &tree, &err))
		output.tree = &tree;
	output.no_tree = err.text;
	for (size_t i = 0; i < check->n_metrics; i++)
		kt_metric_read(&check->metrics[i], &output, arena, &values[i]);
	*run = (struct kt_payloadcheck_run){ report, values };
}

void kt_metrics_read(const struct kt_matrix *matrix, const struct kt_matrix_scenario *scenario,
		     const struct kt_msg_result *result, struct kt_arena *arena,
		     struct kt_metrics *metrics)
{
	const struct kt_matrix_payload **payloads;
	size_t n = kt_matrix_payloads(matrix, scenario, arena, &payloads);

	*metrics = (struct kt_metrics){ .result = result, .n = n };
	metrics->payloads = kt_arena_alloc(arena, n, sizeof(*metrics->payloads));
	for (size_t i = 0; i < n; i++) {
		struct kt_metrics_payload *payload = &metrics->payloads[i];

		payload->check = &payloads[i]->check;
		payload->runs = kt_arena_alloc(arena, result->n_payloads, sizeof(*payload->runs));
		for (size_t k = 0; k < result->n_payloads; k++)
			if (strcmp(result->payloads[k].name, payload->check->name) == 0)
				read_run(payload->check, &result->payloads[k], arena,
					 &payload->runs[payload->n_runs++]);
	}
}

void kt_metrics_judge(const struct kt_metrics *metrics, struct kt_verdict *verdict)
{
	bool finished = strcmp(metrics->result->cause, "finished") == 0;

	for (size_t i = 0; i < metrics->n; i++)
		kt_payloadcheck_judge(metrics->payloads[i].check, metrics->payloads[i].runs,
				      metrics->payloads[i].n_runs, finished, verdict);
}

/* ---- showing ---- */

/* Its values; NULL when the matrix knows no such payload. */
static const struct kt_payloadcheck_run *find_run(const struct kt_metrics *metrics,
						  const struct kt_msg_payload_report *report,
						  const struct kt_payloadcheck **check)
{
	for (size_t i = 0; i < metrics->n; i++)
		for (size_t k = 0; k < metrics->payloads[i].n_runs; k++)
			if (metrics->payloads[i].runs[k].report == report) {
				*check = metrics->payloads[i].check;
				return &metrics->payloads[i].runs[k];
			}
	return NULL;
}

static void print_line(const struct kt_buf *text, FILE *out)
{
	for (size_t i = 0; i < text->len; i++)
		fputc(iscntrl(text->data[i]) ? ' ' : text->data[i], out);
	fputc('\n', out);
}

static void print_output(const struct kt_msg_payload_report *report, FILE *out)
{
	const struct kt_bin *texts[] = { &report->out, &report->errors };
	static const char *const streams[] = { "", " (errors)" };

	for (size_t i = 0; i < 2; i++) {
		struct kt_logview view = { .out = out };
		char stream[sizeof(view.stream)];

		snprintf(stream, sizeof(stream), "%.*s%s", KT_NAME_BYTES_MAX, report->name,
			 streams[i]);
		kt_logview_put(&view, stream, texts[i]->data, texts[i]->len);
		kt_logview_end(&view);
	}
}

static void print_run(const struct kt_metrics *metrics, const struct kt_msg_payload_report *report,
		      FILE *out)
{
	const struct kt_payloadcheck *check = NULL;
	const struct kt_payloadcheck_run *run = find_run(metrics, report, &check);
	KT_AUTO_BUF line = { 0 };

	kt_buf_printf(&line, "  %s%s%s, step %" PRIu64 ": ", report->name,
		      report->cgroup[0] ? " in " : "", report->cgroup, report->step);
	kt_payloadcheck_print_end(report, &line);
	kt_buf_printf(&line, "; %" PRIu64 " byte%s of output", report->out_bytes,
		      report->out_bytes == 1 ? "" : "s");
	if (report->out_bytes > report->out.len)
		kt_buf_printf(&line, ", of which %zu are kept", report->out.len);
	print_line(&line, out);
	for (size_t i = 0; run && i < check->n_metrics; i++) {
		char number[KT_NUMBER_TEXT_BYTES];

		kt_buf_reset(&line);
		kt_buf_printf(&line, "    %-20s %s", check->metrics[i].name,
			      run->values[i].is_there
				      ? kt_number_format(&run->values[i].number, number)
				      : run->values[i].why);
		print_line(&line, out);
	}
}

void kt_metrics_print(const struct kt_metrics *metrics, bool output, FILE *out)
{
	const struct kt_msg_result *result = metrics->result;

	if (result->n_payloads)
		fputs("payloads:\n", out);
	for (size_t i = 0; i < result->n_payloads; i++) {
		print_run(metrics, &result->payloads[i], out);
		if (output)
			print_output(&result->payloads[i], out);
	}
}

/* { "rate": 152.3, "ops": null }: a number, or null with the reason in "missing". */
static void add_metrics(struct json_object *row, const struct kt_metrics *metrics,
			const struct kt_msg_payload_report *report)
{
	const struct kt_payloadcheck *check = NULL;
	const struct kt_payloadcheck_run *run = find_run(metrics, report, &check);
	struct json_object *values = json_object_new_object();
	struct json_object *missing = json_object_new_object();

	for (size_t i = 0; run && i < check->n_metrics; i++) {
		const struct kt_metric_value *value = &run->values[i];

		json_object_object_add(values, check->metrics[i].name,
				       value->is_there ? kt_numberjson(&value->number) : NULL);
		if (!value->is_there)
			json_object_object_add(missing, check->metrics[i].name,
					       kt_tojson_text(value->why, strlen(value->why)));
	}
	json_object_object_add(row, "metrics", values);
	json_object_object_add(row, "missing", missing);
}

struct json_object *kt_metrics_json(const struct kt_metrics *metrics, bool output)
{
	const struct kt_msg_result *result = metrics->result;
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < result->n_payloads; i++) {
		const struct kt_msg_payload_report *report = &result->payloads[i];
		struct json_object *row = kt_tojson_struct(&kt_schema_payload_report, report);

		/* As text, not as the schema's hex. */
		json_object_object_del(row, "out");
		json_object_object_del(row, "errors");
		if (output) {
			json_object_object_add(row, "out",
					       kt_tojson_text((const char *)report->out.data,
							      report->out.len));
			json_object_object_add(row, "errors",
					       kt_tojson_text((const char *)report->errors.data,
							      report->errors.len));
		}
		add_metrics(row, metrics, report);
		json_object_array_add(list, row);
	}
	return list;
}
