#include "coordinator/worktypes.h"
#include "proto/base/duration.h"
#include "proto/base/suggest.h"

#include <errno.h>
#include <inttypes.h>
#include <json.h>
#include <string.h>

/* ---- text ---- */

void kt_worktypes_print_value(enum kt_work_unit unit, int64_t value, struct kt_buf *out)
{
	char text[KT_DURATION_TEXT_BYTES];

	if (unit == KT_WORK_NS)
		kt_buf_puts(out, kt_duration_format(value, text));
	else if (unit == KT_WORK_BYTES && value % (1 << 20) == 0)
		kt_buf_printf(out, "%" PRId64 "M", value >> 20);
	else if (unit == KT_WORK_BYTES)
		kt_buf_printf(out, "%" PRId64 "K", value >> 10);
	else
		kt_buf_printf(out, "%" PRId64, value);
}

void kt_worktypes_print_size(const struct kt_work *work, struct kt_buf *out)
{
	if (!*work->by)
		kt_buf_printf(out, work->size == 1 ? "alone" : "%u together", work->size);
	else if (work->size)
		kt_buf_printf(out, "%u + %s together", work->size, work->by);
	else
		kt_buf_printf(out, "%s together", work->by);
}

static void print_params(const struct kt_work *work, struct kt_buf *out)
{
	size_t n;
	const struct kt_work_param *params = kt_work_params_of(work, &n);

	for (size_t i = 0; i < n; i++) {
		bool is_text = params[i].unit == KT_WORK_NS || params[i].unit == KT_WORK_BYTES;

		kt_buf_printf(out, "%s%s = %s", i ? ", " : "", params[i].name, is_text ? "\"" : "");
		kt_worktypes_print_value(params[i].unit, params[i].value, out);
		kt_buf_puts(out, is_text ? "\"" : "");
	}
}

void kt_worktypes_print_example(const struct kt_work *work, struct kt_buf *out)
{
	const struct kt_work_param *by = NULL;
	size_t n;

	if (*work->by)
		by = kt_work_param_by_name(work, work->by);
	kt_buf_printf(out, "{ workers = %" PRIu64 ", work = \"%s\"",
		      kt_work_group_size(work, by ? by->value : 0), work->name);
	kt_work_params_of(work, &n);
	if (n) {
		kt_buf_puts(out, ", params = { ");
		print_params(work, out);
		kt_buf_puts(out, " }");
	}
	if (work->id == KT_WORK_ID_sequence)
		kt_buf_puts(out, ", phases = [{ work = \"spin\", duration = \"1s\" }, "
				 "{ work = \"bursty\", duration = \"2s\" }]");
	kt_buf_puts(out, " }");
}

static void print_all(FILE *out)
{
	fputs("what workers of a scenario can do; `ktcoord work NAME` says all about one\n\n", out);
	for (size_t i = 0; i < KT_WORK_N; i++) {
		KT_AUTO_BUF size = { 0 };

		fprintf(out, "  %-19s %s", kt_work[i].name, kt_work[i].sentence);
		kt_worktypes_print_size(&kt_work[i], &size);
		if (strcmp(kt_buf_text(&size), "alone") != 0)
			fprintf(out, " (%s)", kt_buf_text(&size));
		fputc('\n', out);
	}
}

/* "time, 1us to 1s; default: 5ms" */
static void print_param(const struct kt_work_param *param, FILE *out)
{
	static const char *const written[] = {
		[KT_WORK_NS] = "time",
		[KT_WORK_BYTES] = "size",
		[KT_WORK_COUNT] = "whole number",
		[KT_WORK_PERCENT] = "percent",
	};
	KT_AUTO_BUF what = { 0 };

	kt_buf_printf(&what, "%s, ", written[param->unit]);
	kt_worktypes_print_value(param->unit, param->min, &what);
	kt_buf_puts(&what, " to ");
	kt_worktypes_print_value(param->unit, param->max, &what);
	kt_buf_puts(&what, "; default: ");
	kt_worktypes_print_value(param->unit, param->value, &what);
	fprintf(out, "  %-14s %s\n  %-14s %s\n", param->name, param->sentence, "",
		kt_buf_text(&what));
}

static void print_one(const struct kt_work *work, FILE *out)
{
	KT_AUTO_BUF example = { 0 };
	KT_AUTO_BUF size = { 0 };
	size_t n;
	const struct kt_work_param *params = kt_work_params_of(work, &n);

	kt_worktypes_print_example(work, &example);
	kt_worktypes_print_size(work, &size);
	fprintf(out, "%s: %s\n\n  %s\n\n  its workers work %s\n\n", work->name, work->sentence,
		kt_buf_text(&example), kt_buf_text(&size));
	if (n == 0)
		fputs("  it has no parameters\n", out);
	for (size_t i = 0; i < n; i++)
		print_param(&params[i], out);
}

/* ---- JSON ---- */

static void add_text(struct json_object *to, const char *key, const char *text)
{
	json_object_object_add(to, key, json_object_new_string(text));
}

static void add_number(struct json_object *to, const char *key, int64_t number)
{
	json_object_object_add(to, key, json_object_new_int64(number));
}

static struct json_object *json_param(const struct kt_work_param *param)
{
	struct json_object *json = json_object_new_object();

	add_text(json, "name", param->name);
	add_text(json, "sentence", param->sentence);
	add_text(json, "unit", kt_work_unit_name(param->unit));
	add_number(json, "default", param->value);
	add_number(json, "min", param->min);
	add_number(json, "max", param->max);
	return json;
}

static struct json_object *json_one(const struct kt_work *work)
{
	struct json_object *json = json_object_new_object();
	struct json_object *list = json_object_new_array();
	KT_AUTO_BUF example = { 0 };
	size_t n;
	const struct kt_work_param *params = kt_work_params_of(work, &n);

	kt_worktypes_print_example(work, &example);
	add_text(json, "name", work->name);
	add_text(json, "sentence", work->sentence);
	add_text(json, "example", kt_buf_text(&example));
	add_number(json, "size", work->size);
	add_text(json, "by", work->by);
	for (size_t i = 0; i < n; i++)
		json_object_array_add(list, json_param(&params[i]));
	json_object_object_add(json, "params", list);
	return json;
}

static struct json_object *json_all(void)
{
	struct json_object *json = json_object_new_object();
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < KT_WORK_N; i++)
		json_object_array_add(list, json_one(&kt_work[i]));
	json_object_object_add(json, "work", list);
	return json;
}

/* ---- both ---- */

static int unknown(const char *name, struct kt_err *err)
{
	const char *names[KT_WORK_N];
	KT_AUTO_BUF known = { 0 };

	for (size_t i = 0; i < KT_WORK_N; i++)
		names[i] = kt_work[i].name;
	kt_suggest_print(name, names, KT_WORK_N, &known);
	return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "no work type '%.64s'; %s", name,
			  kt_buf_text(&known));
}

int kt_worktypes_print(const char *name, bool json, FILE *out, struct kt_err *err)
{
	const struct kt_work *work = name ? kt_work_by_name(name) : NULL;

	if (name && !work)
		return unknown(name, err);
	if (json) {
		struct json_object *all = work ? json_one(work) : json_all();

		fprintf(out, "%s\n",
			json_object_to_json_string_ext(
				all, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
					     JSON_C_TO_STRING_NOSLASHESCAPE));
		json_object_put(all);
	} else if (work) {
		print_one(work, out);
	} else {
		print_all(out);
	}
	if (fflush(out) != 0 || ferror(out))
		return kt_err_set(err, KT_FAULT_HOST, EIO, "writing the work types failed");
	return 0;
}
