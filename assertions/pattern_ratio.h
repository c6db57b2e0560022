/* pattern_ratio.h - patterns that divide: ratio_within by another series, ratio_across_steps by an
 * earlier step. A quotient is a double's; nothing to divide by is Inconclusive.
 */
#ifndef KT_PATTERN_RATIO_H
#define KT_PATTERN_RATIO_H

#include "assertions/pattern.h"

#define KT_PATTERN_RATIO_N       3
#define KT_PATTERN_RATIO_STEPS_N 3
extern const struct kt_param kt_pattern_ratio_params[KT_PATTERN_RATIO_N];
extern const struct kt_param kt_pattern_ratio_steps_params[KT_PATTERN_RATIO_STEPS_N];

int kt_pattern_ratio_check(const struct kt_pattern_use *use, const char **param,
			   struct kt_err *err);

kt_pattern_judge_fn kt_pattern_ratio_within;
kt_pattern_judge_fn kt_pattern_ratio_across_steps;

#endif
