/* rejudge.h - `ktcoord judge`: the stored series judged again, with the sweep's matrix or another; no guest runs.
 *
 * New verdicts are facts behind the old ones, all in one transaction: after a kill either all are there or
 * none. Nothing is overwritten; the newest counts, and reports say what it was before.
 *
 * Cells are matched by name. A cell of the sweep that the other matrix does not have keeps its verdict and is
 * listed; so is one that has no series. What ran is what was recorded: of the other matrix only what is
 * asserted, expected and judged by plug-ins matters.
 */
#ifndef KT_REJUDGE_H
#define KT_REJUDGE_H

#include "coordinator/core/matrix/matrix.h"
#include "coordinator/journal.h"
#include "coordinator/plugins.h"

#include <stdio.h>

struct kt_rejudge {
	struct kt_journal *journal; /* open for writing */
	struct kt_sweep *sweep; /* its fold; follows */
	const struct kt_matrix *own; /* the sweep's */
	const struct kt_matrix *matrix; /* to judge with; the same as own, or another */
	const struct kt_buf *text; /* of another; NULL for its own */
	const struct kt_plugins *plugins; /* of the matrix to judge with */
	const struct kt_msg_manifest *manifest; /* of another: with its plug-ins; is journaled */
	bool json;
};

/* What changed, cell by cell, goes to out once it is on disk. Fault INPUT, with nothing written: no cell of the
 * matrix is one of the sweep's, or no cell has a series; HOST: a series is damaged, the journal cannot be
 * written.
 */
int kt_rejudge_run(const struct kt_rejudge *ask, FILE *out, struct kt_err *err);

/* The matrix of a judgement out of the journal; *matrix is NULL when it was made with the sweep's own. */
int kt_rejudge_matrix(struct kt_journal *journal, uint64_t judgement, struct kt_matrix **matrix,
		      struct kt_err *err);

#endif
