#include "assertions/assertion.h"
#include "assertions/pattern_read.h"
#include "proto/base/limits.h"
#include "proto/base/must.h"
#include "proto/base/suggest.h"

#include <errno.h>
#include <string.h>

static const char *const reset_words[] = { "epoch", NULL };

static const struct kt_param options[] = {
	[KT_ASSERTION_SERIES] = { .name = "series",
				  .kind = KT_PARAM_SERIES,
				  .required = true,
				  .sentence =
					  "the column that is judged, \"axis:path\" or a table of "
					  "one operation on columns" },
	[KT_ASSERTION_NAME] = { .name = "name",
				.kind = KT_PARAM_TEXT,
				.min = 1,
				.max = KT_NAME_BYTES_MAX,
				.fallback = "the series as written",
				.sentence = "what reports call it" },
	[KT_ASSERTION_BECAUSE] = { .name = "because",
				   .kind = KT_PARAM_TEXT,
				   .min = 1,
				   .max = KT_ASSERTION_BECAUSE_BYTES_MAX,
				   .sentence = "why it must hold; printed with a failure" },
	[KT_ASSERTION_MIN_SAMPLES] = { .name = "min_samples",
				       .kind = KT_PARAM_COUNT,
				       .unit = "samples",
				       .max = KT_SAMPLES_PER_ATTEMPT_MAX,
				       .fallback = "0",
				       .sentence = "fewer samples that carry a value are "
						   "inconclusive" },
	[KT_ASSERTION_MIN_COVERAGE] = { .name = "min_coverage",
					.kind = KT_PARAM_SHARE,
					.unit = "of the samples",
					.max = 1,
					.fallback = "0.5",
					.sentence = "a smaller share that carries a value is "
						    "inconclusive" },
	[KT_ASSERTION_MUST_PROGRESS] = { .name = "must_progress",
					 .kind = KT_PARAM_FLAG,
					 .fallback = "false",
					 .sentence = "a column that never changes is a failure" },
	[KT_ASSERTION_BRIDGE] = { .name = "bridge",
				  .kind = KT_PARAM_FLAG,
				  .fallback = "false",
				  .sentence = "pairs are judged across samples without a value" },
	[KT_ASSERTION_STEPS] = { .name = "steps",
				 .kind = KT_PARAM_COUNTS,
				 .unit = "index of a step, from 0",
				 .max = KT_STEPS_MAX - 1,
				 .fallback = "all",
				 .sentence = "only samples of these steps are judged" },
	[KT_ASSERTION_RESET] = { .name = "reset",
				 .kind = KT_PARAM_WORD,
				 .words = reset_words,
				 .sentence = "after a restart of the scheduler its counters begin "
					     "anew: each of its lives is judged by itself" },
};

_Static_assert(sizeof(options) / sizeof(options[0]) == KT_ASSERTION_OPTION_N,
	       "one row for each option");

const struct kt_param *kt_assertion_options(void)
{
	return options;
}

void kt_assertion_init(struct kt_assertion *assertion, struct kt_arena *arena)
{
	*assertion = (struct kt_assertion){ .arena = arena };
}

static size_t find_param(const struct kt_param *params, size_t n, const char *name)
{
	size_t i = 0;

	while (i < n && strcmp(params[i].name, name) != 0)
		i++;
	return i;
}

/* The first pattern that has a parameter of this name, and the names of all that have; NULL when none
 * has.
 */
static const struct kt_pattern *pattern_with_param(const char *name, struct kt_buf *owners)
{
	size_t n;
	const struct kt_pattern *patterns = kt_pattern_table(&n);
	const struct kt_pattern *first = NULL;

	for (size_t i = 0; i < n; i++) {
		if (find_param(patterns[i].params, patterns[i].n_params, name) ==
		    patterns[i].n_params)
			continue;
		kt_buf_printf(owners, "%s%s", first ? ", " : "", patterns[i].name);
		if (!first)
			first = &patterns[i];
	}
	return first;
}

#define KNOWN_MAX 128 /* options and patterns, or a pattern's parameters */

static int unknown(const char *what, const char *word, const char *const *names, size_t n,
		   struct kt_err *err)
{
	KT_AUTO_BUF text = { 0 };

	kt_suggest_print(word, names, n, &text);
	return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "unknown %s '%.*s'; %s", what,
			  KT_NAME_BYTES_MAX, word, kt_buf_text(&text));
}

static int unknown_key(struct kt_assertion *assertion, const char *key, struct kt_err *err)
{
	KT_AUTO_BUF owners = { 0 };
	const struct kt_pattern *owner = pattern_with_param(key, &owners);
	const struct kt_pattern *patterns;
	const char *names[KNOWN_MAX];
	size_t n_patterns;
	size_t n = 0;

	assertion->where.at_key = true;
	if (owner)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "'%s' is a parameter of %s: write %s = { %s = ... }", key,
				  kt_buf_text(&owners), owner->name, key);
	patterns = kt_pattern_table(&n_patterns);
	kt_must(KT_ASSERTION_OPTION_N + n_patterns <= KNOWN_MAX);
	for (size_t i = 0; i < KT_ASSERTION_OPTION_N; i++)
		names[n++] = options[i].name;
	for (size_t i = 0; i < n_patterns; i++)
		names[n++] = patterns[i].name;
	return unknown("key", key, names, n, err);
}

static int set_option(struct kt_assertion *assertion, size_t option, const struct kt_value *value,
		      struct kt_err *err)
{
	struct kt_param_arg arg = { 0 };
	int status;

	if (assertion->options[option].given) {
		assertion->where.at_key = true;
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "'%s' is there twice",
				  options[option].name);
	}
	status = kt_param_read(&options[option], value, assertion->arena, &arg, &assertion->where,
			       err);
	if (status < 0)
		return status;
	assertion->options[option] = arg;
	return 0;
}

static int set_pattern(struct kt_assertion *assertion, const struct kt_pattern *pattern,
		       const struct kt_value *value, struct kt_err *err)
{
	const struct kt_pattern_reader reader = { .arena = assertion->arena,
						  .place = &assertion->where,
						  .beside = options,
						  .n_beside = KT_ASSERTION_OPTION_N };
	struct kt_pattern_use use;
	int status;

	for (size_t i = 0; i < assertion->n_patterns; i++) {
		if (assertion->patterns[i].pattern != pattern)
			continue;
		assertion->where.at_key = true;
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "'%s' is there twice",
				  pattern->name);
	}
	status = kt_pattern_read(pattern, value, &reader, &use, err);
	if (status < 0)
		return status;
	/* One use for each row of the table at most. */
	kt_must(assertion->n_patterns < KT_ASSERTION_PATTERNS_MAX);
	assertion->patterns[assertion->n_patterns++] = use;
	return 0;
}

int kt_assertion_set(struct kt_assertion *assertion, const char *key, const struct kt_value *value,
		     struct kt_err *err)
{
	size_t option = find_param(options, KT_ASSERTION_OPTION_N, key);
	const struct kt_pattern *pattern = kt_pattern_by_name(key);

	assertion->where = (struct kt_place){ 0 };
	kt_place_enter(&assertion->where, key);
	if (option < KT_ASSERTION_OPTION_N)
		return set_option(assertion, option, value, err);
	if (pattern)
		return set_pattern(assertion, pattern, value, err);
	return unknown_key(assertion, key, err);
}

/* Options that make an assertion say something without any pattern. */
static bool option_judges(const struct kt_assertion *assertion)
{
	return (assertion->options[KT_ASSERTION_MUST_PROGRESS].given &&
		assertion->options[KT_ASSERTION_MUST_PROGRESS].flag) ||
	       assertion->options[KT_ASSERTION_MIN_SAMPLES].given ||
	       assertion->options[KT_ASSERTION_MIN_COVERAGE].given;
}

static int check_wants(struct kt_assertion *assertion, struct kt_err *err)
{
	enum kt_number_want want = kt_assertion_want(assertion);

	if (want == KT_NUMBER_WANT_BOOL && kt_assertion_series(assertion)->n_operands)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "a pattern here reads the series as bool, but %s is a number",
				  kt_assertion_series(assertion)->text);
	for (size_t i = 0; i < assertion->n_patterns; i++) {
		const struct kt_pattern *pattern = assertion->patterns[i].pattern;

		if (pattern->want == KT_NUMBER_WANT_ANY || pattern->want == want)
			continue;
		kt_place_enter(&assertion->where, pattern->name);
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "%s reads the series as %s, another pattern as %s: "
				  "write two assertions",
				  pattern->name, kt_number_want_name(pattern->want),
				  kt_number_want_name(want));
	}
	return 0;
}

int kt_assertion_check(struct kt_assertion *assertion, struct kt_err *err)
{
	assertion->where = (struct kt_place){ 0 };
	if (!assertion->options[KT_ASSERTION_SERIES].given)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "series is missing: for example series = \"bpf:nr_dispatched\"");
	if (assertion->n_patterns == 0 && !option_judges(assertion))
		return kt_err_set(
			err, KT_FAULT_INPUT, EINVAL,
			"nothing is asked of the series: for example nondecreasing = true "
			"or each = { at_most = 10 }");
	for (size_t i = 0; i < assertion->n_patterns; i++) {
		const struct kt_pattern_use *use = &assertion->patterns[i];
		size_t mark = kt_place_enter(&assertion->where, use->pattern->name);
		int status = kt_pattern_check(use, &assertion->where, err);

		if (status < 0)
			return status;
		kt_place_leave(&assertion->where, mark);
	}
	return check_wants(assertion, err);
}

enum kt_number_want kt_assertion_want(const struct kt_assertion *assertion)
{
	for (size_t i = 0; i < assertion->n_patterns; i++)
		if (assertion->patterns[i].pattern->want != KT_NUMBER_WANT_ANY)
			return assertion->patterns[i].pattern->want;
	return KT_NUMBER_WANT_ANY;
}

const struct kt_formula *kt_assertion_series(const struct kt_assertion *assertion)
{
	const struct kt_param_arg *series = &assertion->options[KT_ASSERTION_SERIES];

	return series->given ? series->series : NULL;
}

const char *kt_assertion_label(const struct kt_assertion *assertion)
{
	if (assertion->options[KT_ASSERTION_NAME].given)
		return assertion->options[KT_ASSERTION_NAME].text;
	if (assertion->options[KT_ASSERTION_SERIES].given)
		return kt_assertion_series(assertion)->text;
	return "column";
}

void kt_assertion_print(const struct kt_assertion *assertion, struct kt_buf *out)
{
	static const enum kt_assertion_option said[] = {
		KT_ASSERTION_MUST_PROGRESS, KT_ASSERTION_MIN_SAMPLES, KT_ASSERTION_MIN_COVERAGE,
		KT_ASSERTION_BRIDGE,        KT_ASSERTION_STEPS,       KT_ASSERTION_RESET
	};
	const struct kt_formula *series = kt_assertion_series(assertion);
	const char *between = ": ";

	kt_buf_puts(out, series ? series->text : "column");
	if (series && *series->unit)
		kt_buf_printf(out, " [%s]", series->unit);
	for (size_t i = 0; i < assertion->n_patterns; i++) {
		kt_buf_puts(out, between);
		kt_pattern_print(&assertion->patterns[i], out);
		between = ", ";
	}
	for (size_t i = 0; i < sizeof(said) / sizeof(said[0]); i++) {
		if (!assertion->options[said[i]].given)
			continue;
		kt_buf_puts(out, between);
		kt_param_print(&options[said[i]], &assertion->options[said[i]], out);
		between = ", ";
	}
}
