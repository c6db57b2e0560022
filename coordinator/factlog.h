/* factlog.h - facts as log lines: what happened to a sweep, one line each, with keys that stay (docs/operating.md).
 *
 * Said when the fact is on disk. Not every fact is an event that somebody looks for at night: what a table row does not
 * name is not said.
 */
#ifndef KT_FACTLOG_H
#define KT_FACTLOG_H

#include "coordinator/core/facts.h"
#include "coordinator/core/matrix.h"

void kt_factlog_say(const struct kt_matrix *matrix, uint32_t tag, const void *fact);

#endif
