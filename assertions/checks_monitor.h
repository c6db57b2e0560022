/* checks_monitor.h - the checks on what was seen from outside (monitor_report of proto/job.def): run queues every
 * 100 ms, and what sched_ext counted meanwhile.
 *
 * The report says of each quantity what 5 looks in a row did not fall below, at most: above the limit, the limit was
 * exceeded 5 times in a row; 4 times, a good look, and 4 times is no violation.
 */
#ifndef KT_CHECKS_MONITOR_H
#define KT_CHECKS_MONITOR_H

#include "assertions/checks_judge.h"

kt_checks_judge_fn kt_checks_monitor_events_clean;
kt_checks_judge_fn kt_checks_monitor_imbalance;
kt_checks_judge_fn kt_checks_monitor_dsq_depth;
kt_checks_judge_fn kt_checks_monitor_stuck;
kt_checks_judge_fn kt_checks_monitor_fallback;
kt_checks_judge_fn kt_checks_monitor_keep_last;

#endif
