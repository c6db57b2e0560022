#include "assertions/judge.h"
#include "assertions/lib/assert_inside.h"
#include "assertions/valuetext.h"
#include "proto/base/must.h"

#include <string.h>

/* What only a matrix can say: there are no repeats here, and nothing further out. */
static const enum kt_assertion_option of_a_matrix[] = { KT_ASSERTION_OVER, KT_ASSERTION_OFF };

/* Keys that stand beside those of the text; the text's own win. */
struct beside {
	const char *key;
	struct kt_value value;
};

static int read_assertion(const char *text, const struct beside *beside, size_t n_beside,
			  struct kt_arena *arena, struct kt_assertion *assertion,
			  struct kt_err *err)
{
	struct kt_value table;
	int status = kt_valuetext_table(text, arena, &table, err);

	kt_assertion_init(assertion, arena);
	for (size_t i = 0; i < n_beside && status == 0; i++)
		if (!kt_value_get(&table, beside[i].key))
			status = kt_assertion_set(assertion, beside[i].key, &beside[i].value, err);
	for (uint32_t i = 0; i < table.n && status == 0; i++)
		status =
			kt_assertion_set(assertion, table.pairs[i].key, &table.pairs[i].value, err);
	for (size_t i = 0; i < sizeof(of_a_matrix) / sizeof(of_a_matrix[0]) && status == 0; i++)
		if (assertion->options[of_a_matrix[i]].given)
			status =
				kt_err_set(err, KT_FAULT_INPUT, EINVAL, "'%s' is for a matrix only",
					   kt_assertion_options()[of_a_matrix[i]].name);
	return status < 0 ? status : kt_assertion_check(assertion, err);
}

int kt_assert_judge(struct kt_assert_verdict *verdict, const struct kt_assert_series *series,
		    const char *text, struct kt_assert_error *error)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_assertion assertion;
	struct kt_err err = { 0 };

	assert_inside_begin(error);
	if (read_assertion(text, NULL, 0, &arena, &assertion, &err) < 0)
		return assert_inside_error(&err, error);
	kt_judge_series(&assertion, &series->series, &verdict->verdict);
	return 0;
}

/* Of a column of the caller's own: what it is read as stands in its slots, its label is its name, and its
 * series is there for the unit only.
 */
static int judge_own(struct kt_assert_verdict *verdict, const struct kt_assert_column *column,
		     const char *text, struct kt_err *err)
{
	KT_AUTO_ARENA arena = { 0 };
	const struct kt_column own = { .slots = column->slots, .n = column->n };
	struct kt_value of = kt_value_map(&arena, *column->unit ? 2 : 1);
	struct beside beside[] = { { "series", of },
				   { "name", kt_value_str(&arena, column->label) } };
	struct kt_assertion assertion;
	int status;

	of.pairs[0] = (struct kt_value_pair){ "of", kt_value_str(&arena, "host:own") };
	if (*column->unit)
		of.pairs[1] = (struct kt_value_pair){ "unit", kt_value_str(&arena, column->unit) };
	status = read_assertion(text, beside, 2, &arena, &assertion, err);
	if (status < 0)
		return status;
	if (kt_assertion_is_group(&assertion))
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "a group is judged over a series, not over a column of your own");
	for (size_t i = 0; i < assertion.n_patterns; i++)
		if (kt_pattern_other(&assertion.patterns[i]))
			return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
					  "%s wants a second series, and this column has none",
					  assertion.patterns[i].pattern->name);
	kt_judge_column(&assertion, &own, NULL, &verdict->verdict);
	return 0;
}

int kt_assert_judge_column(struct kt_assert_verdict *verdict, const struct kt_assert_column *column,
			   const char *text, struct kt_assert_error *error)
{
	KT_AUTO_ARENA arena = { 0 };
	const struct beside beside = { "series", column->from };
	struct kt_assertion assertion;
	struct kt_err err = { 0 };
	int status = 0;

	assert_inside_begin(error);
	if (!column->series)
		status = judge_own(verdict, column, text, &err);
	else
		status = read_assertion(text, &beside, 1, &arena, &assertion, &err);
	if (status < 0)
		return assert_inside_error(&err, error);
	if (column->series)
		kt_judge_series(&assertion, &column->series->series, &verdict->verdict);
	return 0;
}
