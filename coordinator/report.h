/* report.h - readings of a stored sweep: all of them can be made again at any time. */
#ifndef KT_REPORT_H
#define KT_REPORT_H

#include "coordinator/core/matrix/matrix.h"
#include "coordinator/journal.h"

#include <stdio.h>

/* The exit status of `ktcoord MATRIX` (semantics.md section 5). */
enum kt_report_exit {
	KT_REPORT_EXIT_OK = 0, /* all cells pass or skip */
	KT_REPORT_EXIT_FAILED = 1, /* a verdict failed; wins over the two below */
	KT_REPORT_EXIT_INPUT = 2, /* the matrix or the command line is wrong: nothing ran */
	KT_REPORT_EXIT_INFRA = 3, /* infra trouble left cells without a verdict */
	KT_REPORT_EXIT_INCONCLUSIVE = 4, /* only inconclusive cells stand in the way */
	KT_REPORT_EXIT_BUG = 70,
	KT_REPORT_EXIT_INTERRUPTED = 130, /* somebody ended it, or some of its cells */
};

enum kt_report_exit kt_report_exit_of(const struct kt_sweep *sweep, bool allow_inconclusive);

/* "3 cells: 2 pass, 1 fail", which guests they had when that is not what one expects, where the sweep is. */
void kt_report_totals(const struct kt_matrix *matrix, const struct kt_sweep *sweep,
		      const char *path, FILE *out);

/* Every cell as one line with what explains it (text), or the whole sweep as one JSON object. */
int kt_report_text(struct kt_journal *journal, const struct kt_matrix *matrix,
		   const struct kt_sweep *sweep, FILE *out, struct kt_err *err);
int kt_report_json(struct kt_journal *journal, const struct kt_matrix *matrix,
		   const struct kt_sweep *sweep, FILE *out, struct kt_err *err);

/* Everything about one cell: attempts, verdict, samples, worker reports, logs. */
struct kt_report_show {
	bool json;
	bool logs; /* text: the logs too */
	const struct kt_matrix
		*judged_by; /* whose assertions it was last judged with; NULL: the sweep's own */
};
int kt_report_show(struct kt_journal *journal, const struct kt_matrix *matrix,
		   const struct kt_sweep *sweep, uint64_t cell,
		   const struct kt_report_show *options, FILE *out, struct kt_err *err);

#endif
