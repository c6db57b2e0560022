#include "proto/job.h"

#include <errno.h>
#include <string.h>

struct list {
	struct kt_job_artifact *artifacts; /* KT_FILES_MAX of them */
	size_t n;
};

static bool is_listed(const struct list *list, const struct kt_bin *digest)
{
	for (size_t i = 0; i < list->n; i++)
		if (memcmp(list->artifacts[i].digest.bytes, digest->data, KT_DIGEST_BYTES) == 0)
			return true;
	return false;
}

static int list_one(struct list *list, const struct kt_bin *digest, uint64_t bytes,
		    const char *what, struct kt_err *err)
{
	if (digest->len != KT_DIGEST_BYTES)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "%s: a digest of %zu bytes", what,
				  digest->len);
	if (is_listed(list, digest))
		return 0;
	if (list->n == KT_FILES_MAX)
		return kt_err_set(err, KT_FAULT_INPUT, E2BIG, "%s: more than %d artifacts", what,
				  KT_FILES_MAX);
	memcpy(list->artifacts[list->n].digest.bytes, digest->data, KT_DIGEST_BYTES);
	list->artifacts[list->n].bytes = bytes;
	list->n++;
	return 0;
}

static int list_files(struct list *list, const struct kt_msg_file *files, size_t n,
		      struct kt_err *err)
{
	int ret = 0;

	for (size_t i = 0; ret == 0 && i < n; i++)
		ret = list_one(list, &files[i].digest, files[i].bytes, files[i].path, err);
	return ret;
}

int kt_job_artifacts(const struct kt_msg_job *job, struct kt_job_artifact artifacts[KT_FILES_MAX],
		     struct kt_err *err)
{
	const struct kt_msg_kernel *kernel = job->kernel;
	struct list list = { .artifacts = artifacts };
	int ret = 0;

	if (kernel->digest.len > 0)
		ret = list_one(&list, &kernel->digest, kernel->bytes, kernel->name, err);
	if (ret == 0)
		ret = list_files(&list, job->scheduler->files, job->scheduler->n_files, err);
	for (size_t i = 0; ret == 0 && i < job->n_schedulers; i++)
		ret = list_files(&list, job->schedulers[i].files, job->schedulers[i].n_files, err);
	for (size_t i = 0; ret == 0 && i < job->n_payloads; i++)
		ret = list_files(&list, job->payloads[i].files, job->payloads[i].n_files, err);
	return ret < 0 ? ret : (int)list.n;
}
