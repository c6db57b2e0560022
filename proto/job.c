#include "proto/job.h"

#include <errno.h>
#include <string.h>

static int list_one(struct kt_job_artifact list[KT_FILES_MAX], size_t *n,
		    const struct kt_bin *digest, uint64_t bytes, const char *what,
		    struct kt_err *err)
{
	if (digest->len != KT_DIGEST_BYTES)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "%s: a digest of %zu bytes", what,
				  digest->len);
	if (*n == KT_FILES_MAX)
		return kt_err_set(err, KT_FAULT_INPUT, E2BIG, "%s: more than %d artifacts", what,
				  KT_FILES_MAX);
	memcpy(list[*n].digest.bytes, digest->data, KT_DIGEST_BYTES);
	list[*n].bytes = bytes;
	++*n;
	return 0;
}

int kt_job_artifacts(const struct kt_msg_job *job, struct kt_job_artifact list[KT_FILES_MAX],
		     struct kt_err *err)
{
	const struct kt_msg_kernel *kernel = job->kernel;
	const struct kt_msg_scheduler *scheduler = job->scheduler;
	size_t n = 0;
	int ret;

	if (kernel->digest.len > 0) {
		ret = list_one(list, &n, &kernel->digest, kernel->bytes, kernel->name, err);
		if (ret < 0)
			return ret;
	}
	for (size_t i = 0; i < scheduler->n_files; i++) {
		const struct kt_msg_file *file = &scheduler->files[i];

		ret = list_one(list, &n, &file->digest, file->bytes, file->path, err);
		if (ret < 0)
			return ret;
	}
	return (int)n;
}
