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
	[KT_ASSERTION_OVER] = { .name = "over",
				.kind = KT_PARAM_QUANTIFIER,
				.sentence =
					"how many repeats must hold, once all have ended; without "
					"it each by itself" },
	[KT_ASSERTION_ANY_OF] = { .name = "any_of",
				  .kind = KT_PARAM_ASSERTIONS,
				  .sentence = "one of these assertions must hold" },
	[KT_ASSERTION_ALL_OF] = { .name = "all_of",
				  .kind = KT_PARAM_ASSERTIONS,
				  .sentence = "all of these assertions must hold" },
	[KT_ASSERTION_OFF] = { .name = "off",
			       .kind = KT_PARAM_FLAG,
			       .fallback = "false",
			       .sentence =
				       "the assertion of this name, attached further out, is not "
				       "judged here" },
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

/* The array grows by doubling: a matrix has many assertions, and most of them one pattern. */
static void add_pattern(struct kt_assertion *assertion, const struct kt_pattern_use *use)
{
	size_t n = assertion->n_patterns;
	struct kt_pattern_use *grown;

	kt_must(n < KT_ASSERTION_PATTERNS_MAX); /* one use for each row of the table at most */
	if ((n & (n - 1)) == 0) {
		grown = kt_arena_alloc(assertion->arena, n ? 2 * n : 1, sizeof(*grown));
		if (n)
			memcpy(grown, assertion->patterns, n * sizeof(*grown));
		assertion->patterns = grown;
	}
	assertion->patterns[n] = *use;
	assertion->n_patterns++;
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
	add_pattern(assertion, &use);
	return 0;
}

/* What a branch was refused for, seen from the group: "any_of[1].each.at_most". */
static void refused_in_branch(struct kt_assertion *group, const struct kt_assertion *branch)
{
	if (*branch->where.path)
		kt_place_enter(&group->where, branch->where.path);
	group->where.at_key = branch->where.at_key;
	group->where.offset = branch->where.offset;
}

static int set_branch(struct kt_assertion *group, struct kt_assertion *branch,
		      const struct kt_value *map, struct kt_err *err)
{
	kt_assertion_init(branch, group->arena);
	branch->depth = group->depth + 1;
	for (uint32_t i = 0; i < map->n; i++) {
		int status = kt_assertion_set(branch, map->pairs[i].key, &map->pairs[i].value, err);

		if (status < 0) {
			refused_in_branch(group, branch);
			return status;
		}
	}
	return 0;
}

/* Calls itself through kt_assertion_set(), no deeper than KT_ASSERTION_DEPTH_MAX. */
static int set_branches(struct kt_assertion *assertion, size_t option, const struct kt_value *value,
			struct kt_err *err)
{
	const char *name = options[option].name;
	struct kt_assertion *branches;

	if (kt_assertion_is_group(assertion)) {
		assertion->where.at_key = true;
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "an assertion is one group: any_of or all_of, once");
	}
	if (assertion->depth == KT_ASSERTION_DEPTH_MAX)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "%s: groups in groups, at most %d deep", name,
				  KT_ASSERTION_DEPTH_MAX);
	if (value->type != KT_VALUE_LIST || value->n == 0 || value->n > KT_ASSERTION_BRANCHES_MAX)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "%s must be %s, 1 to %d of them",
				  name, kt_param_kind_written(KT_PARAM_ASSERTIONS),
				  KT_ASSERTION_BRANCHES_MAX);
	branches = kt_arena_alloc(assertion->arena, value->n, sizeof(*branches));
	for (uint32_t i = 0; i < value->n; i++) {
		size_t mark = kt_place_enter_item(&assertion->where, i);
		int status;

		if (value->items[i].type != KT_VALUE_MAP)
			return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
					  "a branch of %s must be a table, not %s", name,
					  kt_value_type_name(value->items[i].type));
		status = set_branch(assertion, &branches[i], &value->items[i], err);
		if (status < 0)
			return status;
		kt_place_leave(&assertion->where, mark);
	}
	assertion->options[option].given = true;
	assertion->branches = branches;
	assertion->n_branches = value->n;
	return 0;
}

int kt_assertion_set(struct kt_assertion *assertion, const char *key, const struct kt_value *value,
		     struct kt_err *err)
{
	size_t option = find_param(options, KT_ASSERTION_OPTION_N, key);
	const struct kt_pattern *pattern = kt_pattern_by_name(key);

	assertion->where = (struct kt_place){ 0 };
	kt_place_enter(&assertion->where, key);
	if (option < KT_ASSERTION_OPTION_N && options[option].kind == KT_PARAM_ASSERTIONS)
		return set_branches(assertion, option, value, err);
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

/* What stands beside a group and holds for its branches. */
static const enum kt_assertion_option inherited[] = {
	KT_ASSERTION_SERIES, KT_ASSERTION_MIN_SAMPLES, KT_ASSERTION_MIN_COVERAGE,
	KT_ASSERTION_BRIDGE, KT_ASSERTION_STEPS,       KT_ASSERTION_RESET,
};

/* What only the assertion as a whole can say. */
static const enum kt_assertion_option outermost[] = { KT_ASSERTION_OVER, KT_ASSERTION_OFF };

static int check_branch(struct kt_assertion *group, struct kt_assertion *branch, struct kt_err *err)
{
	int status = 0;

	for (size_t i = 0; i < sizeof(outermost) / sizeof(outermost[0]) && status == 0; i++) {
		const char *name = options[outermost[i]].name;

		if (!branch->options[outermost[i]].given)
			continue;
		kt_place_enter(&group->where, name);
		group->where.at_key = true;
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "'%s' stands beside the group, not in a branch", name);
	}
	for (size_t i = 0; i < sizeof(inherited) / sizeof(inherited[0]); i++)
		if (!branch->options[inherited[i]].given)
			branch->options[inherited[i]] = group->options[inherited[i]];
	status = kt_assertion_check(branch, err);
	if (status < 0)
		refused_in_branch(group, branch);
	return status;
}

static int check_group(struct kt_assertion *group, struct kt_err *err)
{
	bool any = group->options[KT_ASSERTION_ANY_OF].given;
	const char *name = options[any ? KT_ASSERTION_ANY_OF : KT_ASSERTION_ALL_OF].name;
	const char *beside = group->n_patterns ? group->patterns[0].pattern->name : NULL;

	if (group->options[KT_ASSERTION_MUST_PROGRESS].given)
		beside = options[KT_ASSERTION_MUST_PROGRESS].name;
	if (beside) {
		kt_place_enter(&group->where, beside);
		group->where.at_key = true;
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "'%s' beside %s: make it a branch, or an assertion of its own",
				  beside, name);
	}
	kt_place_enter(&group->where, name);
	for (size_t i = 0; i < group->n_branches; i++) {
		size_t mark = kt_place_enter_item(&group->where, i);
		int status = check_branch(group, &group->branches[i], err);

		if (status < 0)
			return status;
		kt_place_leave(&group->where, mark);
	}
	return 0;
}

static int check_off(struct kt_assertion *assertion, struct kt_err *err)
{
	if (assertion->options[KT_ASSERTION_NAME].given)
		return 0;
	return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
			  "off needs a name: that of the assertion that is not judged here");
}

/* Calls itself for branches, no deeper than they were read. */
int kt_assertion_check(struct kt_assertion *assertion, struct kt_err *err)
{
	assertion->where = (struct kt_place){ 0 };
	if (kt_assertion_is_off(assertion))
		return check_off(assertion, err);
	if (kt_assertion_is_group(assertion))
		return check_group(assertion, err);
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

/* In the order in which they are written; *i counts down to the one that is wanted. */
static const struct kt_assertion *find_leaf(const struct kt_assertion *assertion, size_t *i)
{
	if (!kt_assertion_is_group(assertion))
		return (*i)-- == 0 ? assertion : NULL;
	for (size_t k = 0; k < assertion->n_branches; k++) {
		const struct kt_assertion *leaf = find_leaf(&assertion->branches[k], i);

		if (leaf)
			return leaf;
	}
	return NULL;
}

const struct kt_assertion *kt_assertion_leaf(const struct kt_assertion *assertion, size_t i)
{
	return find_leaf(assertion, &i);
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
	if (kt_assertion_is_group(assertion))
		return assertion->options[KT_ASSERTION_ANY_OF].given ? "any_of" : "all_of";
	if (assertion->options[KT_ASSERTION_SERIES].given)
		return kt_assertion_series(assertion)->text;
	return "column";
}

static void print_branches(const struct kt_assertion *group, struct kt_buf *out)
{
	bool any = group->options[KT_ASSERTION_ANY_OF].given;

	kt_buf_puts(out, any ? "any_of " : "all_of ");
	for (size_t i = 0; i < group->n_branches; i++) {
		kt_buf_puts(out, i ? any ? " or (" : " and (" : "(");
		kt_assertion_print(&group->branches[i], out);
		kt_buf_puts(out, ")");
	}
}

/* Calls itself for branches, no deeper than they were read. */
void kt_assertion_print(const struct kt_assertion *assertion, struct kt_buf *out)
{
	static const enum kt_assertion_option said[] = {
		KT_ASSERTION_MUST_PROGRESS, KT_ASSERTION_MIN_SAMPLES, KT_ASSERTION_MIN_COVERAGE,
		KT_ASSERTION_BRIDGE,        KT_ASSERTION_STEPS,       KT_ASSERTION_RESET,
		KT_ASSERTION_OVER
	};
	const struct kt_formula *series = kt_assertion_series(assertion);
	const char *between = ": ";

	if (kt_assertion_is_off(assertion)) {
		kt_buf_puts(out, "off");
		return;
	}
	if (kt_assertion_is_group(assertion)) {
		print_branches(assertion, out);
		if (assertion->options[KT_ASSERTION_OVER].given) {
			kt_buf_puts(out, ", ");
			kt_param_print(&options[KT_ASSERTION_OVER],
				       &assertion->options[KT_ASSERTION_OVER], out);
		}
		return;
	}
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
