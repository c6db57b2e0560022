/* pattern_temporal.h - bounded temporal logic over comparisons: eventually, always, until.
 *
 *	eventually = { at_least = 100, within_ms = 5000 }
 *	always = { at_most = 5, from_ms = 1000 }
 *	until = { hold = { at_most = 10 }, then = { at_least = 100 }, within_ms = 5000 }
 *	eventually = { within_ms = 5000, always = { at_least = 100, to_ms = 2000 } }
 *	always = { any_of = [{ at_most = 10 }, { eventually = { at_most = 5, within_ms = 500 } }] }
 *
 * A condition is everything that its table gives, together: comparisons of the value, and nested
 * eventually, always, until, any_of. At the top, times are those since the scenario began; nested ones
 * count from the sample that is asked about.
 *
 * Three-valued (truth.h): a sample without a value is neither true nor false, and so is what a nested
 * window would have seen after the last sample. The outcome is Inconclusive when, and only when, the
 * unknown could change it. What is said names the sample that decides: the witness of a Pass, the
 * counterexample of a Fail, the unknown of an Inconclusive.
 */
#ifndef KT_PATTERN_TEMPORAL_H
#define KT_PATTERN_TEMPORAL_H

#include "assertions/comparison.h"
#include "assertions/pattern.h"

/* What every condition has first: the comparisons, then what nests. */
enum kt_pattern_temporal_condition {
	KT_PATTERN_TEMPORAL_EVENTUALLY = KT_COMPARISON_N,
	KT_PATTERN_TEMPORAL_ALWAYS,
	KT_PATTERN_TEMPORAL_UNTIL,
	KT_PATTERN_TEMPORAL_ANY_OF,
	KT_PATTERN_TEMPORAL_CONDITION_N
};

/* What else they have. */
#define KT_PATTERN_TEMPORAL_WITHIN_MS KT_PATTERN_TEMPORAL_CONDITION_N /* eventually */
#define KT_PATTERN_TEMPORAL_FROM_MS   KT_PATTERN_TEMPORAL_CONDITION_N /* always */
#define KT_PATTERN_TEMPORAL_TO_MS     (KT_PATTERN_TEMPORAL_CONDITION_N + 1)
enum kt_pattern_temporal_until {
	KT_PATTERN_TEMPORAL_UNTIL_HOLD,
	KT_PATTERN_TEMPORAL_UNTIL_THEN,
	KT_PATTERN_TEMPORAL_UNTIL_WITHIN_MS,
};

#define KT_PATTERN_TEMPORAL_EVENTUALLY_N (KT_PATTERN_TEMPORAL_CONDITION_N + 1)
#define KT_PATTERN_TEMPORAL_ALWAYS_N     (KT_PATTERN_TEMPORAL_CONDITION_N + 2)
#define KT_PATTERN_TEMPORAL_UNTIL_N      3
extern const struct kt_param
	kt_pattern_temporal_eventually_params[KT_PATTERN_TEMPORAL_EVENTUALLY_N];
extern const struct kt_param kt_pattern_temporal_always_params[KT_PATTERN_TEMPORAL_ALWAYS_N];
extern const struct kt_param kt_pattern_temporal_until_params[KT_PATTERN_TEMPORAL_UNTIL_N];

/* A condition by itself, as in `hold`, `then` and the branches of `any_of`: it is in no table, because it
 * is judged only within a pattern.
 */
extern const struct kt_pattern kt_pattern_temporal_condition;

int kt_pattern_temporal_check_always(const struct kt_pattern_use *use, const char **param,
				     struct kt_err *err);

kt_pattern_judge_fn kt_pattern_temporal_eventually;
kt_pattern_judge_fn kt_pattern_temporal_always;
kt_pattern_judge_fn kt_pattern_temporal_until;

#endif
