/* load.h - the second phase of an attempt: the guest's clock and random numbers, the scheduler's files, then it.
 *
 * Afterwards the kernel says that the scheduler is enabled (or the cell has none) and sched_ext's
 * watchdog is the scenario's, or the attempt is ending.
 */
#ifndef KT_LOAD_H
#define KT_LOAD_H

struct kt_attempt;

void kt_load(struct kt_attempt *attempt);

#endif
