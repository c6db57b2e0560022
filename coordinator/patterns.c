#include "coordinator/patterns.h"
#include "assertions/assertion.h"
#include "assertions/checks.h"
#include "assertions/formula.h"
#include "proto/base/must.h"
#include "proto/base/suggest.h"

#include <errno.h>
#include <inttypes.h>
#include <json.h>
#include <string.h>

/* ---- text ---- */

static void print_line(const char *name, const char *sentence, FILE *out)
{
	fprintf(out, "  %-20s %s\n", name, sentence);
}

static void print_all(FILE *out)
{
	const struct kt_param *options = kt_assertion_options();
	const struct kt_pattern *patterns;
	size_t n;

	patterns = kt_pattern_table(&n);
	fputs("what may be asserted of a series; `ktcoord patterns NAME` says all about one\n\n"
	      "patterns\n",
	      out);
	for (size_t i = 0; i < n; i++)
		print_line(patterns[i].name, patterns[i].sentence, out);
	fputs("\noptions of every assertion\n", out);
	for (size_t i = 0; i < KT_ASSERTION_OPTION_N; i++)
		print_line(options[i].name, options[i].sentence, out);
	fputs("\nseries made of series: series = { rate = \"bpf:nr_dispatched\" }\n", out);
	for (enum kt_formula_operation i = 0; i < KT_FORMULA_OPERATION_N; i++)
		print_line(kt_formula_operation_name(i), kt_formula_operation_sentence(i), out);
	fputs("\nchecks of workers and run queues: checks = { gap = \"3s\" } in [sweep] or "
	      "[[scenario]] (docs/checks.md)\n",
	      out);
	for (size_t i = 0; i < KT_CHECKS_N; i++)
		print_line(kt_checks_table[i].name, kt_checks_table[i].sentence, out);
}

/* "a whole number, 1 to 4096, samples; required" */
static void print_param(const struct kt_param *param, FILE *out)
{
	KT_AUTO_BUF what = { 0 };

	kt_buf_puts(&what, kt_param_kind_written(param->kind));
	if (param->kind == KT_PARAM_COUNT || param->kind == KT_PARAM_COUNTS)
		kt_buf_printf(&what, ", %" PRIu64 " to %" PRIu64, param->min, param->max);
	for (size_t i = 0; param->words && param->words[i]; i++)
		kt_buf_printf(&what, "%s \"%s\"", i ? "," : ":", param->words[i]);
	if (param->unit && *param->unit)
		kt_buf_printf(&what, ", %s", param->unit);
	if (param->required)
		kt_buf_puts(&what, "; required");
	else if (param->fallback && *param->fallback)
		kt_buf_printf(&what, "; default: %s", param->fallback);
	fprintf(out, "  %-14s %s\n  %-14s %s\n", param->name, param->sentence, "",
		kt_buf_text(&what));
}

static void print_pattern(const struct kt_pattern *pattern, FILE *out)
{
	fprintf(out, "%s: %s\n\n  %s\n\n", pattern->name, pattern->sentence, pattern->example);
	if (pattern->n_params == 0)
		fputs("  it has no parameters\n", out);
	for (size_t i = 0; i < pattern->n_params; i++)
		print_param(&pattern->params[i], out);
}

static void print_check(enum kt_checks_id id, FILE *out)
{
	const struct kt_checks_row *row = &kt_checks_table[id];
	KT_AUTO_BUF written = { 0 };

	kt_checks_print_written(id, &written);
	fprintf(out, "%s: %s\n\n  it takes %s; its details are of kind %s\n", row->name,
		row->sentence, kt_buf_text(&written), kt_verdict_kind_name(row->kind));
}

/* KT_CHECKS_N when there is none. */
static enum kt_checks_id find_check(const char *name)
{
	size_t i = 0;

	while (i < KT_CHECKS_N && strcmp(kt_checks_table[i].name, name) != 0)
		i++;
	return (enum kt_checks_id)i;
}

static const struct kt_param *find_option(const char *name)
{
	const struct kt_param *options = kt_assertion_options();

	for (size_t i = 0; i < KT_ASSERTION_OPTION_N; i++)
		if (strcmp(options[i].name, name) == 0)
			return &options[i];
	return NULL;
}

static int unknown(const char *name, struct kt_err *err)
{
	const struct kt_param *options = kt_assertion_options();
	const char *names[KT_ASSERTION_OPTION_N + KT_ASSERTION_PATTERNS_MAX + KT_CHECKS_N];
	const struct kt_pattern *patterns;
	KT_AUTO_BUF known = { 0 };
	size_t n_patterns;
	size_t n = 0;

	patterns = kt_pattern_table(&n_patterns);
	kt_must(n_patterns <= KT_ASSERTION_PATTERNS_MAX);
	for (size_t i = 0; i < n_patterns; i++)
		names[n++] = patterns[i].name;
	for (size_t i = 0; i < KT_ASSERTION_OPTION_N; i++)
		names[n++] = options[i].name;
	for (size_t i = 0; i < KT_CHECKS_N; i++)
		names[n++] = kt_checks_table[i].name;
	kt_suggest_print(name, names, n, &known);
	return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "no pattern, option or check '%.64s'; %s",
			  name, kt_buf_text(&known));
}

/* ---- JSON ---- */

static void add_text(struct json_object *to, const char *key, const char *text)
{
	json_object_object_add(to, key, json_object_new_string(text ? text : ""));
}

static struct json_object *json_param(const struct kt_param *param)
{
	struct json_object *json = json_object_new_object();
	struct json_object *words = json_object_new_array();
	bool counted = param->kind == KT_PARAM_COUNT || param->kind == KT_PARAM_COUNTS;

	add_text(json, "name", param->name);
	add_text(json, "sentence", param->sentence);
	add_text(json, "written", kt_param_kind_written(param->kind));
	add_text(json, "unit", param->unit);
	add_text(json, "default", param->fallback);
	json_object_object_add(json, "required", json_object_new_boolean(param->required));
	if (counted) {
		json_object_object_add(json, "min", json_object_new_uint64(param->min));
		json_object_object_add(json, "max", json_object_new_uint64(param->max));
	}
	for (size_t i = 0; param->words && param->words[i]; i++)
		json_object_array_add(words, json_object_new_string(param->words[i]));
	if (param->words)
		json_object_object_add(json, "words", words);
	else
		json_object_put(words);
	return json;
}

static struct json_object *json_params(const struct kt_param *params, size_t n)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < n; i++)
		json_object_array_add(list, json_param(&params[i]));
	return list;
}

static struct json_object *json_pattern(const struct kt_pattern *pattern)
{
	struct json_object *json = json_object_new_object();

	add_text(json, "name", pattern->name);
	add_text(json, "sentence", pattern->sentence);
	add_text(json, "example", pattern->example);
	json_object_object_add(json, "params", json_params(pattern->params, pattern->n_params));
	return json;
}

static struct json_object *json_check(enum kt_checks_id id)
{
	const struct kt_checks_row *row = &kt_checks_table[id];
	struct json_object *json = json_object_new_object();
	KT_AUTO_BUF written = { 0 };

	kt_checks_print_written(id, &written);
	add_text(json, "name", row->name);
	add_text(json, "sentence", row->sentence);
	add_text(json, "written", kt_buf_text(&written));
	add_text(json, "unit", row->unit);
	add_text(json, "kind", kt_verdict_kind_name(row->kind));
	return json;
}

static struct json_object *json_all(void)
{
	struct json_object *json = json_object_new_object();
	struct json_object *list = json_object_new_array();
	const struct kt_pattern *patterns;
	size_t n;

	patterns = kt_pattern_table(&n);
	for (size_t i = 0; i < n; i++)
		json_object_array_add(list, json_pattern(&patterns[i]));
	json_object_object_add(json, "patterns", list);
	json_object_object_add(json, "options",
			       json_params(kt_assertion_options(), KT_ASSERTION_OPTION_N));
	list = json_object_new_array();
	for (enum kt_formula_operation i = 0; i < KT_FORMULA_OPERATION_N; i++) {
		struct json_object *entry = json_object_new_object();

		add_text(entry, "name", kt_formula_operation_name(i));
		add_text(entry, "sentence", kt_formula_operation_sentence(i));
		json_object_array_add(list, entry);
	}
	json_object_object_add(json, "series", list);
	list = json_object_new_array();
	for (size_t i = 0; i < KT_CHECKS_N; i++)
		json_object_array_add(list, json_check((enum kt_checks_id)i));
	json_object_object_add(json, "checks", list);
	return json;
}

static void print_json(struct json_object *json, FILE *out)
{
	fprintf(out, "%s\n",
		json_object_to_json_string_ext(json, JSON_C_TO_STRING_PRETTY |
							     JSON_C_TO_STRING_SPACED |
							     JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(json);
}

int kt_patterns_print(const char *name, bool json, FILE *out, struct kt_err *err)
{
	const struct kt_pattern *pattern = name ? kt_pattern_by_name(name) : NULL;
	const struct kt_param *option = name && !pattern ? find_option(name) : NULL;
	enum kt_checks_id check = name ? find_check(name) : KT_CHECKS_N;

	if (name && !pattern && !option && check == KT_CHECKS_N)
		return unknown(name, err);
	if (json)
		print_json(pattern               ? json_pattern(pattern)
			   : option              ? json_param(option)
			   : check < KT_CHECKS_N ? json_check(check)
						 : json_all(),
			   out);
	else if (pattern)
		print_pattern(pattern, out);
	else if (option)
		print_param(option, out);
	else if (check < KT_CHECKS_N)
		print_check(check, out);
	else
		print_all(out);
	if (fflush(out) != 0 || ferror(out))
		return kt_err_set(err, KT_FAULT_HOST, EIO, "writing the patterns failed");
	return 0;
}
