/* pattern_pairs.h - patterns that compare a value with the one before it: nondecreasing,
 * strictly_increasing, rate_within.
 *
 * A pair with an errored slot in it is not judged, and a note lists it; with `bridge` the values before
 * and behind the gap are a pair.
 */
#ifndef KT_PATTERN_PAIRS_H
#define KT_PATTERN_PAIRS_H

#include "assertions/pattern.h"

#define KT_PATTERN_PAIRS_RATE_N 3
extern const struct kt_param kt_pattern_pairs_rate_params[KT_PATTERN_PAIRS_RATE_N];

int kt_pattern_pairs_check_rate(const struct kt_pattern_use *use, const char **param,
				struct kt_err *err);

kt_pattern_judge_fn kt_pattern_pairs_nondecreasing;
kt_pattern_judge_fn kt_pattern_pairs_strictly_increasing;
kt_pattern_judge_fn kt_pattern_pairs_rate_within;

#endif
