/* comparison.h - how one value must stand to its limits: what `each` and the temporal patterns share.
 *
 * A pattern that compares has the rows of KT_COMPARISON_PARAMS first in its table, so that its first
 * KT_COMPARISON_N arguments are these. All that are given must hold. Comparisons are exact (number.h);
 * NaN stands to nothing.
 */
#ifndef KT_COMPARISON_H
#define KT_COMPARISON_H

#include "assertions/param.h"

enum kt_comparison {
	KT_COMPARISON_AT_LEAST,
	KT_COMPARISON_AT_MOST,
	KT_COMPARISON_BETWEEN,
	KT_COMPARISON_EQ,
	KT_COMPARISON_NE,
	KT_COMPARISON_GT,
	KT_COMPARISON_LT,
	KT_COMPARISON_N
};

#define KT_COMPARISON_ROW(id_, name_, kind_, sentence_) \
	[KT_COMPARISON_##                               \
		id_] = { .name = (name_), .kind = KT_PARAM_##kind_, .sentence = (sentence_) }

#define KT_COMPARISON_PARAMS                                                               \
	KT_COMPARISON_ROW(AT_LEAST, "at_least", NUMBER, "not below it"),                   \
		KT_COMPARISON_ROW(AT_MOST, "at_most", NUMBER, "not above it"),             \
		KT_COMPARISON_ROW(BETWEEN, "between", RANGE, "in it, both ends included"), \
		KT_COMPARISON_ROW(EQ, "eq", NUMBER, "equal to it"),                        \
		KT_COMPARISON_ROW(NE, "ne", NUMBER, "not equal to it"),                    \
		KT_COMPARISON_ROW(GT, "gt", NUMBER, "above it"),                           \
		KT_COMPARISON_ROW(LT, "lt", NUMBER, "below it")

bool kt_comparison_given(const struct kt_param_arg *args); /* any of them */

/* -EINVAL with fault INPUT when nothing can stand so, *param the one at fault. */
int kt_comparison_check(const struct kt_param_arg *args, const char **param, struct kt_err *err);

/* Whether value stands to all that are given as it must; NaN never does. */
bool kt_comparison_holds(const struct kt_param_arg *args, const struct kt_number *value);

/* Each that does not hold, one by one: "above 10" into what. *next begins at 0; false when there is no
 * more. value is not NaN.
 */
bool kt_comparison_broken(const struct kt_param_arg *args, const struct kt_number *value,
			  size_t *next, struct kt_buf *what);

#endif
