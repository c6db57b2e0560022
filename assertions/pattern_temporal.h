/* pattern_temporal.h - bounded temporal logic over the comparisons of `each`: eventually, always.
 *
 * A slot without a value is neither true nor false: the outcome is Inconclusive when, and only when,
 * it could have been another with the value there.
 */
#ifndef KT_PATTERN_TEMPORAL_H
#define KT_PATTERN_TEMPORAL_H

#include "assertions/comparison.h"
#include "assertions/pattern.h"

#define KT_PATTERN_TEMPORAL_EVENTUALLY_N (KT_COMPARISON_N + 1)
#define KT_PATTERN_TEMPORAL_ALWAYS_N     (KT_COMPARISON_N + 2)
extern const struct kt_param
	kt_pattern_temporal_eventually_params[KT_PATTERN_TEMPORAL_EVENTUALLY_N];
extern const struct kt_param kt_pattern_temporal_always_params[KT_PATTERN_TEMPORAL_ALWAYS_N];

int kt_pattern_temporal_check(const struct kt_pattern_use *use, const char **param,
			      struct kt_err *err);
int kt_pattern_temporal_check_always(const struct kt_pattern_use *use, const char **param,
				     struct kt_err *err);

kt_pattern_judge_fn kt_pattern_temporal_eventually;
kt_pattern_judge_fn kt_pattern_temporal_always;

#endif
