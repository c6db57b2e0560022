#include "coordinator/core/matrix/payloadkeys.h"
#include "coordinator/core/matrix/axis.h"
#include "coordinator/core/matrix/matrix.h"
#include "coordinator/core/matrix/rows.h"

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <string.h>

#define METRICS_MAX  64
#define ANY_EXIT     "any"
#define GUEST_ROOT   "/kt/"
#define OUR_PROGRAMS GUEST_ROOT "bin" /* of the worker's: worker/load.c */

KT_AXIS_CHECK_HEAD(struct kt_matrix_payload);

/* ---- the program ---- */

static void set_program(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
			const struct kt_doc_node *node, void *into)
{
	struct kt_matrix_payload *payload = into;

	payload->program_pos = node->pos;
	kt_grammar_text(reader, key, node, into);
}

/* { LC_ALL = "C" } becomes "LC_ALL=C". */
static void set_env(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		    const struct kt_doc_node *node, void *into)
{
	struct kt_matrix_payload *payload = into;
	const char **env;

	if (node->n > KT_ARGS_MAX / 2) {
		kt_problem_add(reader->problems, node->pos, "'env' in %s has %zu items; at most %d",
			       reader->table->title, node->n, KT_ARGS_MAX / 2);
		return;
	}
	env = kt_arena_alloc(reader->arena, node->n, sizeof(*env));
	for (const struct kt_doc_node *child = node->first; child; child = child->next) {
		if (child->type != KT_DOC_STRING)
			kt_problem_add(reader->problems, child->pos,
				       "'env' in %s takes strings, not %s; e.g. %s",
				       reader->table->title, kt_doc_type_words(child->type),
				       key->example);
		else if (!*child->key || strchr(child->key, '='))
			kt_problem_add(reader->problems, child->key_pos,
				       "'env' in %s: a name is not empty and has no '='",
				       reader->table->title);
		else if (kt_grammar_check_text(reader, key, child))
			env[payload->n_env++] =
				kt_arena_printf(reader->arena, "%s=%s", child->key, child->string);
	}
	payload->env = env;
}

static void set_exit(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		     const struct kt_doc_node *node, void *into)
{
	struct kt_matrix_payload *payload = into;
	uint64_t status = 0;
	struct kt_grammar_key number = *key;

	if (node->type == KT_DOC_INT) {
		number.offset = 0;
		kt_grammar_number(reader, &number, node, &status);
		payload->check.exit = (int64_t)status;
	} else if (strcmp(node->string, ANY_EXIT) == 0 && !node->has_zero) {
		payload->check.any_exit = true;
	} else {
		kt_problem_add(reader->problems, node->pos,
			       "'exit' in %s is a status, 0 to 255, or \"" ANY_EXIT "\"",
			       reader->table->title);
	}
}

/* ---- its files ---- */

static void set_file(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		     const struct kt_doc_node *node, void *into)
{
	struct kt_matrix_payload_file *file = into;

	file->pos = node->pos;
	kt_grammar_text(reader, key, node, into);
}

static bool is_below(const char *path, const char *folder)
{
	size_t len = strlen(folder);

	return strncmp(path, folder, len) == 0 && (path[len] == 0 || path[len] == '/');
}

/* Absolute, below /kt, and without "", "." and ".." between its slashes: as worker/guest/gfiles.h takes it. */
static bool is_guest_path(const char *path)
{
	const char *at = path + strlen(GUEST_ROOT) - 1;

	if (strncmp(path, GUEST_ROOT, strlen(GUEST_ROOT)) != 0)
		return false;
	while (*at == '/') {
		size_t len = strcspn(++at, "/");

		if (len == 0 || len > 255 || (len <= 2 && strncmp(at, "..", len) == 0))
			return false;
		at += len;
	}
	return true;
}

static void set_to(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		   const struct kt_doc_node *node, void *into)
{
	struct kt_matrix_payload_file *file = into;
	const char *to = kt_grammar_check_text(reader, key, node);

	if (!to)
		return;
	if (!is_guest_path(to))
		kt_problem_add(reader->problems, node->pos,
			       "'to' in %s: '%.64s' is no plain path below " GUEST_ROOT "; e.g. %s",
			       reader->table->title, to, key->example);
	else if (is_below(to, KT_PAYLOADKEYS_PROGRAMS) || is_below(to, OUR_PROGRAMS))
		kt_problem_add(reader->problems, node->pos,
			       "'to' in %s: '%.64s' is where ktcoord puts programs; e.g. %s",
			       reader->table->title, to, key->example);
	else
		file->to = to;
}

/* clang-format off */

static const struct kt_grammar_key file_keys[] = {
	ROW(path, STRING, MUST, 1, KT_PATH_BYTES_MAX, "path = \"data.txt\"", "a file, from the matrix's folder on", set_file, kt_matrix_payload_file, path),
	ROW(to,   STRING, MUST, 1, KT_PATH_BYTES_MAX, "to = \"/kt/data/data.txt\"", "where the guest finds it: below /kt, /kt/lib for a library that is opened by name", set_to, kt_matrix_payload_file, to),
};
static const struct kt_grammar_table file_table = TABLE("files of [[payload]]", file_keys, NULL);

/* clang-format on */

/* ---- its metrics ---- */

static void set_json(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		     const struct kt_doc_node *node, void *into)
{
	struct kt_metric *metric = into;
	const char *path = kt_grammar_check_text(reader, key, node);
	struct kt_err err = { 0 };

	if (path && kt_metric_check_json(path, &err) < 0)
		kt_problem_add(reader->problems, node->pos, "'json' in %s: '%.64s': %s",
			       reader->table->title, path, err.text);
	else if (path)
		metric->json = path;
}

static void set_pattern(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
			const struct kt_doc_node *node, void *into)
{
	struct kt_metric *metric = into;
	const char *pattern = kt_grammar_check_text(reader, key, node);
	struct kt_err err = { 0 };

	if (pattern && kt_metric_check_pattern(pattern, &err) < 0)
		kt_problem_add(reader->problems, node->pos, "'pattern' in %s: '%.64s': %s",
			       reader->table->title, pattern, err.text);
	else if (pattern)
		metric->pattern = pattern;
}

static bool take_bound(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		       const struct kt_doc_node *node, struct kt_number *bound)
{
	if (node->type == KT_DOC_INT) {
		*bound = kt_number_i64(node->integer);
		return true;
	}
	if (node->type == KT_DOC_FLOAT && isfinite(node->real)) {
		*bound = kt_number_f64(node->real);
		return true;
	}
	kt_problem_add(reader->problems, node->pos, "'%s' in %s takes finite numbers; e.g. %s",
		       key->name, reader->table->title, key->example);
	return false;
}

static void set_min(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		    const struct kt_doc_node *node, void *into)
{
	struct kt_metric *metric = into;

	metric->has_min = take_bound(reader, key, node, &metric->min);
}

static void set_max(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		    const struct kt_doc_node *node, void *into)
{
	struct kt_metric *metric = into;

	metric->has_max = take_bound(reader, key, node, &metric->max);
}

static void set_range(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		      const struct kt_doc_node *node, void *into)
{
	struct kt_metric *metric = into;

	if (metric->has_min || metric->has_max)
		kt_problem_add(reader->problems, node->key_pos,
			       "'range' in %s is min and max at once; keep one form",
			       reader->table->title);
	else if (node->n != 2)
		kt_problem_add(reader->problems, node->pos,
			       "'range' in %s takes two numbers; e.g. %s", reader->table->title,
			       key->example);
	else
		metric->is_range = metric->has_min = metric->has_max =
			take_bound(reader, key, node->first, &metric->min) &&
			take_bound(reader, key, node->last, &metric->max);
}

static void set_exists(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		       const struct kt_doc_node *node, void *into)
{
	struct kt_metric *metric = into;

	metric->has_exists = true;
	kt_grammar_bool(reader, key, node, into);
}

static void check_metric(struct kt_grammar_reader *reader, const struct kt_doc_node *node,
			 void *into)
{
	const struct kt_metric *metric = into;
	const struct kt_doc_node *json = kt_doc_get(node, "json");
	const struct kt_doc_node *pattern = kt_doc_get(node, "pattern");

	if (json && pattern)
		kt_problem_add(reader->problems, pattern->key_pos,
			       "%s has both 'json' and 'pattern'; keep one", reader->table->title);
	else if (!json && !pattern)
		kt_problem_add(reader->problems, node->pos,
			       "%s needs 'json' or 'pattern': where its number is; e.g. json = "
			       "\"stressors[0].rate\", or pattern = \"total: ([0-9.]+) ops\"",
			       reader->table->title);
	if (metric->has_min && metric->has_max && kt_number_compare(&metric->min, &metric->max) > 0)
		kt_problem_add(reader->problems, node->pos, "%s: its least is more than its most",
			       reader->table->title);
	if (metric->has_exists && !metric->exists && (metric->has_min || metric->has_max))
		kt_problem_add(reader->problems, node->pos, "%s: what must not exist has no bounds",
			       reader->table->title);
}

/* clang-format off */

static const struct kt_grammar_key metric_keys[] = {
	ROW(name,    STRING, MUST, 1, KT_NAME_BYTES_MAX, "name = \"rate\"", "what reports call it", kt_grammar_name, kt_metric, name),
	ROW(json,    STRING, MAY,  1, KT_PATH_BYTES_MAX, "json = \"stressors[0].rate\"", "a number in the JSON that it prints", set_json, kt_metric, json),
	ROW(pattern, STRING, MAY,  1, KT_METRIC_PATTERN_BYTES_MAX, "pattern = \"total: ([0-9.]+) ops\"", "an extended regular expression whose first group is the number", set_pattern, kt_metric, pattern),
	ROW2(min,    INT, FLOAT, MAY, 0, 0, "min = 100", "the least that passes", set_min, kt_metric, min),
	ROW2(max,    INT, FLOAT, MAY, 0, 0, "max = 2.5", "the most that passes", set_max, kt_metric, max),
	ROW(range,   ARRAY,  MAY,  0, 0, "range = [1, 2.5]", "both", set_range, kt_metric, min),
	ROW(exists,  BOOL,   MAY,  0, 0, "exists = true", "that it must be there, or must not", set_exists, kt_metric, exists),
};
static const struct kt_grammar_table metric_table = TABLE("metric of [[payload]]", metric_keys, check_metric);

/* clang-format on */

/* ---- the whole ---- */

static void check_metrics(struct kt_grammar_reader *reader, const struct kt_doc_node *node,
			  const struct kt_payloadcheck *check)
{
	for (size_t i = 0; i < check->n_metrics; i++) {
		const char *name = check->metrics[i].name;

		for (size_t j = 0; name && j < i; j++) {
			if (!check->metrics[j].name || strcmp(check->metrics[j].name, name) != 0)
				continue;
			kt_problem_add(reader->problems,
				       kt_doc_item(kt_doc_get(node, "metric"), i)->pos,
				       "a second metric named '%s' in one payload", name);
			break;
		}
	}
}

static void check_files(struct kt_grammar_reader *reader, const struct kt_doc_node *node,
			const struct kt_matrix_payload *payload)
{
	for (size_t i = 0; i < payload->n_files; i++) {
		const char *to = payload->files[i].to;

		for (size_t j = 0; to && j < i; j++) {
			if (!payload->files[j].to || strcmp(payload->files[j].to, to) != 0)
				continue;
			kt_problem_add(reader->problems,
				       kt_doc_item(kt_doc_get(node, "files"), i)->pos,
				       "two files of one payload go to %s", to);
			break;
		}
	}
}

static void check_payload(struct kt_grammar_reader *reader, const struct kt_doc_node *node,
			  void *into)
{
	struct kt_matrix_payload *payload = into;
	size_t bytes = 0;

	payload->check.name = payload->name;
	for (size_t i = 0; i < payload->n_args; i++)
		bytes += strlen(payload->args[i]) + 8;
	for (size_t i = 0; i < payload->n_env; i++)
		bytes += strlen(payload->env[i]) + 8;
	if (bytes > KT_JOB_BYTES_MAX / 8)
		kt_problem_add(reader->problems, node->pos,
			       "%s: 'args' and 'env' are %zu bytes in all; at most %u",
			       reader->table->title, bytes, KT_JOB_BYTES_MAX / 8);
	check_metrics(reader, node, &payload->check);
	check_files(reader, node, payload);
}

/* clang-format off */

static const struct kt_grammar_key payload_keys[] = {
	ROW(name,     STRING, MUST, 1, KT_NAME_BYTES_MAX, "name = \"stress\"", "what cgroups and ops call it", kt_axis_set_head, kt_matrix_payload, name),
	ROW(program,  STRING, MUST, 1, KT_PATH_BYTES_MAX, "program = \"stress-ng\"", "absolute, beside the matrix, or on PATH", set_program, kt_matrix_payload, program),
	LIST(args,            MAY,  0, KT_TEXT_BYTES_MAX, "args = [\"--cpu\", \"1\"]", "its arguments", kt_grammar_texts, kt_matrix_payload, args, NULL),
	ROW(env,      TABLE,  MAY,  0, KT_TEXT_BYTES_MAX, "env = { LC_ALL = \"C\" }", "its environment, beside PATH, HOME and LD_LIBRARY_PATH", set_env, kt_matrix_payload, env),
	LIST(files,           MAY,  0, KT_FILES_MAX / 2, "files = [{ path = \"data.txt\", to = \"/kt/data/data.txt\" }]", "what it needs besides its libraries", kt_grammar_tables, kt_matrix_payload, files, &file_table),
	ROW(deadline, STRING, MAY,  KT_NS_PER_MS, KT_DURATION_NS_MAX, "deadline = \"20s\"", "after which it is killed, and fails", kt_grammar_span, kt_matrix_payload, check.deadline_ns),
	ROW2(exit,    INT, STRING, MAY, 0, 255, "exit = 0", "the status that it must end with, or \"any\"", set_exit, kt_matrix_payload, check.exit),
	LIST_IN(metric,       MAY,  0, METRICS_MAX, "metric = [{ name = \"rate\", pattern = \"rate ([0-9.]+)\", min = 100 }]", "numbers that it prints, and what they must be", kt_grammar_tables, kt_matrix_payload, check.metrics, check.n_metrics, &metric_table),
};
const struct kt_grammar_table kt_payloadkeys_table = TABLE("[[payload]]", payload_keys, check_payload);

/* clang-format on */
