/* pattern_band.h - patterns that want values near another: steady_within near their own mean,
 * converges_to near a target.
 */
#ifndef KT_PATTERN_BAND_H
#define KT_PATTERN_BAND_H

#include "assertions/pattern.h"

#define KT_PATTERN_BAND_STEADY_N    2
#define KT_PATTERN_BAND_CONVERGES_N 5
extern const struct kt_param kt_pattern_band_steady_params[KT_PATTERN_BAND_STEADY_N];
extern const struct kt_param kt_pattern_band_converges_params[KT_PATTERN_BAND_CONVERGES_N];

int kt_pattern_band_check_steady(const struct kt_pattern_use *use, const char **param,
				 struct kt_err *err);
int kt_pattern_band_check_converges(const struct kt_pattern_use *use, const char **param,
				    struct kt_err *err);

kt_pattern_judge_fn kt_pattern_band_steady_within;
kt_pattern_judge_fn kt_pattern_band_converges_to;

#endif
