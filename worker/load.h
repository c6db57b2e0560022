/* load.h - the second phase of an attempt: the guest's clock and random numbers, the scheduler's files, then it.
 *
 * Afterwards the kernel says that the scheduler is enabled (or the cell has none) and sched_ext's
 * watchdog is the scenario's, or the attempt is ending.
 */
#ifndef KT_LOAD_H
#define KT_LOAD_H

#include <stdbool.h>

struct kt_attempt;

void kt_load(struct kt_attempt *attempt);

/* The guest's wall clock and random numbers, as the beginning of a job: also when a template's guest was
 * restored. False when the attempt is ending.
 */
bool kt_load_prepare(struct kt_attempt *attempt);

/* sched_ext's stall watchdog as the scenario wants it, for the scheduler that is enabled now: each brings its own.
 * The guest is frozen for it. Where it cannot be set, a note says why.
 */
void kt_load_set_watchdog(struct kt_attempt *attempt);

#endif
