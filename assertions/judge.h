/* judge.h - from samples to a verdict.
 *
 *	cause      a guest-side cause (proto/causes.def) is a Fail with the result's first line; one of side LACK
 *	           makes the cell a Skip, with that line, and nothing else is judged: not what was asserted, nor
 *	           what was expected
 *	per assertion:
 *	  column   projected; Skip when the cell has nothing that could be read there
 *	  enough?  below min_samples or min_coverage the outcome is Inconclusive; what the patterns
 *	           found all the same is kept as notes
 *	           (a pattern's second series counts like the first)
 *	  progress must_progress: a column that never changes, or fewer than two values to tell by
 *	  patterns each as in pattern.h
 *	measured one note with the values seen
 *	any_of, all_of: the branches' verdicts merged; `over`: notes here, judged over the repeats (group.h)
 *	expected failure: all of it turned round (expect.h)
 *
 * Pure: the same series, however it arrived, gives the same verdict.
 */
#ifndef KT_JUDGE_H
#define KT_JUDGE_H

#include "assertions/assertion.h"
#include "assertions/expect.h"
#include "assertions/series.h"
#include "assertions/verdict.h"
#include "proto/schema.h"

/* The whole cell; expect is NULL unless it is meant to fail. *verdict lives in the arena (without a limit)
 * and borrows nothing else. result->cause must be one of proto/causes.def, and an attempt that infra trouble
 * or a user ended is never judged (both are a bug of the caller). That the series is complete
 * (result->series_digest) is the caller's to check before.
 */
void kt_judge_cell(const struct kt_assertion *const *assertions, size_t n,
		   const struct kt_series *series, const struct kt_expect *expect,
		   const struct kt_msg_result *result, struct kt_arena *arena,
		   struct kt_msg_verdict *verdict);

/* The same with what others say of the cell (checks, a verdict plug-in): merged behind the assertions, and turned
 * round with them when a failure is expected.
 */
void kt_judge_cell_beside(const struct kt_assertion *const *assertions, size_t n,
			  const struct kt_series *series, const struct kt_verdict *const *beside,
			  size_t n_beside, const struct kt_expect *expect,
			  const struct kt_msg_result *result, struct kt_arena *arena,
			  struct kt_msg_verdict *verdict);

/* One assertion, over a series or over a column that comes from elsewhere (which must then hold what
 * the assertion's patterns want). others[i] is the column of the second series that patterns[i] wants
 * (kt_pattern_other()); NULL when none wants one. Says into verdict, and nothing else. A group has no
 * column of its own: it is judged over a series only.
 */
void kt_judge_series(const struct kt_assertion *assertion, const struct kt_series *series,
		     struct kt_verdict *verdict);
void kt_judge_column(const struct kt_assertion *assertion, const struct kt_column *column,
		     const struct kt_column *others, struct kt_verdict *verdict);

/* The same for a leaf (kt_assertion_leaf()), and what it saw, for showing it. seen lives in the arena
 * (without a limit; tags are the series'); it is empty when nothing could be judged.
 */
struct kt_judge_seen {
	struct kt_column column; /* as it was judged: of some steps, of a rate */
	const uint8_t *marks; /* enum kt_pattern_mark of each slot */
};
void kt_judge_look(const struct kt_assertion *leaf, const struct kt_series *series,
		   struct kt_arena *arena, struct kt_judge_seen *seen, struct kt_verdict *verdict);

#endif
