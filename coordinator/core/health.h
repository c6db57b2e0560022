/* health.h - whether a host can be trusted with cells, from what became of those that it had.
 *
 *	          trouble, trouble: of two cells         a canary gave a result
 *	  OPEN -----------------------------> QUARANTINED ------------------> OPEN
 *	                                        |   ^
 *	                                        +---+ a canary failed: a longer pause
 *
 * Only infra trouble counts (proto/causes.def), and only in a row: a result that can be judged ends the row, whatever
 * the verdict. A row of one cell says nothing about the host: the cell may be poison. Pure; the fact of a
 * quarantine is the caller's (fact_admission), the row is not kept over a restart.
 */
#ifndef KT_HEALTH_H
#define KT_HEALTH_H

#include "proto/cause.h"

#include <stdbool.h>
#include <stdint.h>

#define KT_HEALTH_ROW_MIN      2 /* troubles in a row, of two cells at least: quarantine */
#define KT_HEALTH_PAUSE_NS_MAX (60 * 1000000000LL) /* between two canaries */

struct kt_health { /* all zero: nothing is known, nothing is held against it */
	uint32_t row; /* troubles in a row */
	uint64_t cell; /* of the first of them */
	bool several; /* they are not all of that cell */
	uint32_t canaries; /* that failed, since it was quarantined */
	int64_t canary_at_ns; /* when the next may go */
	bool nudged; /* it was told that the next may go */
};

/* An attempt ended there by infra trouble. True: it should not be trusted with more (while it is open). */
bool kt_health_trouble(struct kt_health *health, uint64_t cell);
/* One ended there with a result that can be judged. */
void kt_health_result(struct kt_health *health);

/* The pause before the first canary (failed: false), or before the next one, when one failed. It begins
 * with pause_ns and doubles each time; when only quarantined hosts are left (last_resort) it does not grow: a sweep is
 * never left without anybody who tries.
 */
void kt_health_wait(struct kt_health *health, bool failed, bool last_resort, int64_t pause_ns,
		    int64_t now_ns);
/* It is as good as new: it was let in again. */
void kt_health_forget(struct kt_health *health);

/* Whether an attempt that ended so may have taken its host, or the host's worker, down with it: the causes by
 * which a cell becomes poison. NULL: no.
 */
bool kt_health_takes_down(const struct kt_cause *cause);

#endif
