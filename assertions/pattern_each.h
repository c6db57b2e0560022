/* pattern_each.h - patterns that look at every slot by itself: each, always_true. */
#ifndef KT_PATTERN_EACH_H
#define KT_PATTERN_EACH_H

#include "assertions/comparison.h"
#include "assertions/pattern.h"

extern const struct kt_param kt_pattern_each_params[KT_COMPARISON_N];

int kt_pattern_each_check(const struct kt_pattern_use *use, const char **param, struct kt_err *err);

kt_pattern_judge_fn kt_pattern_each_compared;
kt_pattern_judge_fn kt_pattern_each_true;

/* Every comparison asked for of one slot that carries a value; what is broken is said. args as in
 * comparison.h.
 */
void kt_pattern_each_slot(const struct kt_param_arg *args, struct kt_pattern_talk *talk,
			  const struct kt_column_slot *slot);

#endif
