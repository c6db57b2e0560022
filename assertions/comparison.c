#include "assertions/comparison.h"

#include <errno.h>

#define BELOW (1u << 0)
#define EQUAL (1u << 1)
#define ABOVE (1u << 2)

/* In the order in which they are said. between is two of them: not below its lowest, not above its
 * highest.
 */
static const struct {
	enum kt_comparison given;
	unsigned int broken_if; /* how a value must not stand to the limit */
	const char *what; /* is said when it does */
	unsigned int end; /* of between */
} rules[] = {
	{ KT_COMPARISON_AT_LEAST, BELOW, "below", 0 },
	{ KT_COMPARISON_AT_MOST, ABOVE, "above", 0 },
	{ KT_COMPARISON_BETWEEN, BELOW, "below", 0 },
	{ KT_COMPARISON_BETWEEN, ABOVE, "above", 1 },
	{ KT_COMPARISON_EQ, BELOW | ABOVE, "not", 0 },
	{ KT_COMPARISON_NE, EQUAL, "equal to", 0 },
	{ KT_COMPARISON_GT, BELOW | EQUAL, "not above", 0 },
	{ KT_COMPARISON_LT, EQUAL | ABOVE, "not below", 0 },
};
#define N_RULES (sizeof(rules) / sizeof(rules[0]))

static const struct kt_number *limit_of(const struct kt_param_arg *args, size_t rule)
{
	const struct kt_param_arg *arg = &args[rules[rule].given];

	return rules[rule].given == KT_COMPARISON_BETWEEN ? &arg->range[rules[rule].end]
							  : &arg->number;
}

static bool breaks(const struct kt_param_arg *args, size_t rule, const struct kt_number *value)
{
	int order;

	if (!args[rules[rule].given].given)
		return false;
	order = kt_number_compare(value, limit_of(args, rule));
	return rules[rule].broken_if & (1u << (order + 1));
}

bool kt_comparison_given(const struct kt_param_arg *args)
{
	for (size_t i = 0; i < KT_COMPARISON_N; i++)
		if (args[i].given)
			return true;
	return false;
}

int kt_comparison_check(const struct kt_param_arg *args, const char **param, struct kt_err *err)
{
	const struct kt_param_arg *between = &args[KT_COMPARISON_BETWEEN];
	char low[KT_NUMBER_TEXT_BYTES];
	char high[KT_NUMBER_TEXT_BYTES];

	if (!between->given || kt_number_compare(&between->range[0], &between->range[1]) <= 0)
		return 0;
	*param = "between";
	return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
			  "between [%s, %s] is empty: the lowest stands first",
			  kt_number_format(&between->range[0], low),
			  kt_number_format(&between->range[1], high));
}

bool kt_comparison_holds(const struct kt_param_arg *args, const struct kt_number *value)
{
	if (kt_number_is_nan(value))
		return false;
	for (size_t i = 0; i < N_RULES; i++)
		if (breaks(args, i, value))
			return false;
	return true;
}

bool kt_comparison_broken(const struct kt_param_arg *args, const struct kt_number *value,
			  size_t *next, struct kt_buf *what)
{
	char text[KT_NUMBER_TEXT_BYTES];

	while (*next < N_RULES) {
		size_t rule = (*next)++;

		if (!breaks(args, rule, value))
			continue;
		kt_buf_reset(what);
		kt_buf_printf(what, "%s %s", rules[rule].what,
			      kt_number_format(limit_of(args, rule), text));
		return true;
	}
	return false;
}
