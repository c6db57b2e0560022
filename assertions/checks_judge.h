/* checks_judge.h - the checks that are on, against what an attempt measured.
 *
 *	checks_workers.c    each worker's report, groups and cgroups of them, their wake-ups
 *	checks_monitor.c    run queues and sched_ext events, seen from outside
 *
 * Everything is in the result: `ktcoord judge` judges the same again, or with other values. What an instrument did
 * not measure (a denominator of zero, a worker whose report is missing, nobody looked) is Inconclusive, never a
 * quiet pass; a zero that comes from policy is a Fail; what a check is not about is a Skip.
 */
#ifndef KT_CHECKS_JUDGE_H
#define KT_CHECKS_JUDGE_H

#include "assertions/checks.h"
#include "proto/schema.h"

/* Says into verdict, in the order of checks.def. The result is borrowed for the call; its cause is one of
 * proto/causes.def.
 */
void kt_checks_judge(const struct kt_checks *checks, const struct kt_msg_result *result,
		     struct kt_verdict *verdict);

/* ---- for the files that judge ---- */

struct kt_checks_talk;

/* An attempt's reports, numbered by what is judged together: the same number, the same group or cgroup. */
struct kt_checks_judge_input {
	const struct kt_msg_result *result;
	size_t *group_of; /* of reports[i] */
	size_t n_groups;
	size_t *cgroup_of;
	size_t n_cgroups;
};

typedef void kt_checks_judge_fn(const struct kt_checks_judge_input *input,
				struct kt_checks_talk *talk);

#endif
