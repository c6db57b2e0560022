/* judging.h - a stored result and its series against the checks and assertions of a matrix; the series of all repeats
 * of a cell against what is asserted over them.
 *
 * What the server does when an attempt ends and `ktcoord judge` does again is the same: these functions.
 */
#ifndef KT_JUDGING_H
#define KT_JUDGING_H

#include "assertions/assertion.h"
#include "assertions/verdict.h"
#include "coordinator/stored.h"

/* Cell `index` of the matrix, which need not be the one that the series was recorded for. beside: what its plug-in
 * said, NULL when it has none. *verdict lives in the arena (without a limit).
 */
void kt_judging_cell(const struct kt_matrix *matrix, uint64_t index, const struct kt_stored *stored,
		     const struct kt_verdict *beside, struct kt_arena *arena,
		     struct kt_msg_verdict *verdict);

/* The cells [first, first + repeats) of a sweep together; those without a verdict are unknown. Errors are the
 * journal's.
 */
int kt_judging_group(struct kt_journal *journal, const struct kt_sweep *sweep, uint64_t first,
		     uint64_t repeats, const struct kt_assertion *const *asserts, size_t n_asserts,
		     struct kt_arena *arena, struct kt_msg_verdict *verdict, struct kt_err *err);

#endif
