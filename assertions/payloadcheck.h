/* payloadcheck.h - what a program of the user's must have done, judged from what the guest reported of it.
 *
 *	how it ended    exit = 0 unless the matrix says another status, or "any"; a signal, a deadline that it did not
 *	                keep and a program that could not be started are Fails. What ended with its step or was told
 *	                to end was "killed": that is none.
 *	its metrics     outside of its bounds: Fail. One that cannot be read: Inconclusive; with exists = true
 *	                a Fail. NaN is comparable with nothing: Fail when there is a bound.
 *	no report       Inconclusive, unless the attempt ended early and says itself why
 *
 * Each metric that was read is a note of kind Measured. Pure: how a metric is read is metric.h's.
 */
#ifndef KT_PAYLOADCHECK_H
#define KT_PAYLOADCHECK_H

#include "assertions/metric.h"
#include "assertions/verdict.h"

struct kt_payloadcheck {
	const char *name;
	bool any_exit;
	int64_t exit; /* the status that is expected */
	int64_t deadline_ns; /* 0: none */
	const struct kt_metric *metrics;
	size_t n_metrics;
};

/* One start of it. */
struct kt_payloadcheck_run {
	const struct kt_msg_payload_report *report; /* of an untrusted guest */
	const struct kt_metric_value *values; /* of each metric */
};

/* finished: the scenario ran to its end, so that reports are there or missing. */
void kt_payloadcheck_judge(const struct kt_payloadcheck *check,
			   const struct kt_payloadcheck_run *runs, size_t n, bool finished,
			   struct kt_verdict *verdict);

/* "exited with status 0 after 2.01s", "was killed after 3s": how a start of it ended, for people. */
void kt_payloadcheck_print_end(const struct kt_msg_payload_report *report, struct kt_buf *out);

#endif
