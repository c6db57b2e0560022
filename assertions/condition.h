/* condition.h - whether a condition holds at each slot of a column, and why not.
 *
 * A condition is what the arguments of a kt_pattern_use say together (pattern_temporal.h): comparisons and
 * nested eventually, always, until, any_of. The functions call themselves as deep as conditions nest,
 * KT_PATTERN_DEPTH_MAX; time is linear in the slots, memory at most one byte a slot and level.
 */
#ifndef KT_CONDITION_H
#define KT_CONDITION_H

#include "assertions/pattern.h"
#include "assertions/truth.h"

/* Whether anything nests in it: then the slots' times must be in order (kt_truth_in_order). */
bool kt_condition_nests(const struct kt_pattern_use *use);

/* Which of four could be at a sample without a value, whatever value it had: bits of 1 << pair, a pair being
 * (whether a holds) + 2 * (whether b holds). So much is certain even there: a limit below another leaves
 * a gap, and between them they may cover everything. What nests is not looked into: all four then.
 */
unsigned int kt_condition_possible(const struct kt_pattern_use *a, const struct kt_pattern_use *b);

/* enum kt_truth of each slot; column->n bytes, to be freed by the caller. */
uint8_t *kt_condition_truth(const struct kt_pattern_use *use, const struct kt_column *column);

/* Why it is `truth` (FALSE or UNKNOWN) at slot i, down to the slot that decides:
 * "eventually from periodic_001 (+100 ms): never, last 9 at periodic_003 (+300 ms)".
 */
void kt_condition_explain(const struct kt_pattern_use *use, const struct kt_column *column,
			  size_t i, enum kt_truth truth, struct kt_buf *text);

/* At least one of its arguments must be given, and there must be no more than KT_PATTERN_NODES_MAX
 * conditions in it. As in struct kt_pattern.
 */
int kt_condition_check(const struct kt_pattern_use *use, const char **param, struct kt_err *err);

#endif
