/* checks_workers.h - the checks on what workers reported (checks.def says the formulas). */
#ifndef KT_CHECKS_WORKERS_H
#define KT_CHECKS_WORKERS_H

#include "assertions/checks_judge.h"

/* "cg_0/1"; behind the first step "cg_0/1 of step 2". */
void kt_checks_workers_print(const struct kt_msg_worker_report *report, struct kt_buf *out);

kt_checks_judge_fn kt_checks_workers_not_stuck;
kt_checks_judge_fn kt_checks_workers_gap;
kt_checks_judge_fn kt_checks_workers_spread;
kt_checks_judge_fn kt_checks_workers_isolation;
kt_checks_judge_fn kt_checks_workers_throughput_cv;
kt_checks_judge_fn kt_checks_workers_work_rate;
kt_checks_judge_fn kt_checks_workers_p99_wake_latency;
kt_checks_judge_fn kt_checks_workers_wake_latency_cv;
kt_checks_judge_fn kt_checks_workers_iteration_rate;
kt_checks_judge_fn kt_checks_workers_migration_ratio;
kt_checks_judge_fn kt_checks_workers_page_locality;
kt_checks_judge_fn kt_checks_workers_cross_node_ratio;

#endif
