/* job.h - what can be asked about a job without running it. */
#ifndef KT_JOB_H
#define KT_JOB_H

#include "proto/schema.h"

/* One thing that has to be on the worker's disk before the attempt can start. */
struct kt_job_artifact {
	struct kt_digest digest;
	uint64_t bytes;
};

/* Every artifact that the job names: the kernel first, then the scheduler's files in their order; what
 * is named twice is listed twice. An empty kernel digest (scripted cells boot nothing) is left out.
 * Returns how many, at most KT_FILES_MAX; -EINVAL or -E2BIG with fault INPUT when a digest is not 32
 * bytes long or there are too many.
 */
int kt_job_artifacts(const struct kt_msg_job *job, struct kt_job_artifact list[KT_FILES_MAX],
		     struct kt_err *err);

#endif
