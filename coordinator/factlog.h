/* factlog.h - facts as log lines: what happened to a sweep, one line each, with keys that stay (docs/operating.md).
 *
 * Said when the fact is on disk. Not every fact is an event that somebody looks for at night: what a table row does not
 * name is not said.
 */
#ifndef KT_FACTLOG_H
#define KT_FACTLOG_H

#include "coordinator/core/facts.h"
#include "coordinator/core/matrix/matrix.h"
#include "coordinator/core/sweep.h"

/* Cells that were cancelled before they began, in a sweep with more cells than this: their number stands in one line
 * (cancel_asked), theirs would push everything else out of the log.
 */
#define KT_FACTLOG_CELLS_MAX 1000

void kt_factlog_say(const struct kt_matrix *matrix, const struct kt_sweep *sweep, uint32_t tag,
		    const void *fact);

#endif
