/* job.h - what can be asked about a job without running it. */
#ifndef KT_JOB_H
#define KT_JOB_H

#include "proto/schema.h"

/* Of a result's timeline: the scenario's workers are let go, workload time begins. */
#define KT_JOB_MOMENT_ANCHOR "anchor"

/* What a guest is: job.guest (which asks) and machine.guest (which says). */
#define KT_JOB_GUEST_WARM "warm" /* restored from a template, a guest that was booted before */
#define KT_JOB_GUEST_COLD "cold" /* booted for its cell */

/* One thing that has to be on the worker's disk before the attempt can start. */
struct kt_job_artifact {
	struct kt_digest digest;
	uint64_t bytes;
};

/* Every artifact that the job names, once: the kernel first, then the files of its scheduler, of the
 * others, of the payloads, in their order. An empty kernel digest (scripted cells boot nothing) is left
 * out. Returns how many, at most KT_FILES_MAX; -EINVAL or -E2BIG with fault INPUT when a digest is not 32
 * bytes long or there are too many.
 */
int kt_job_artifacts(const struct kt_msg_job *job, struct kt_job_artifact list[KT_FILES_MAX],
		     struct kt_err *err);

/* How long a task may be left runnable, at most, before sched_ext's watchdog has spoken. It checks every
 * half of the timeout; the first check was queued for half of the timeout that the scheduler came with,
 * at most SCX_WATCHDOG_MAX_TIMEOUT = 30 s, and writing a shorter timeout from outside cannot call it
 * earlier (kernel/sched/ext.c, scx_watchdog_workfn). Whoever waits for less calls a stall by another name.
 */
static inline int64_t kt_job_stall_ns(const struct kt_msg_scenario *scenario)
{
	int64_t timeout_ns = scenario->watchdog_ns ? scenario->watchdog_ns : 30 * KT_NS_PER_S;
	int64_t found_ns = timeout_ns + timeout_ns / 2;

	return found_ns > 15 * KT_NS_PER_S ? found_ns : 15 * KT_NS_PER_S;
}

#endif
