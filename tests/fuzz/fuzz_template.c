/* layer: worker */
/* fuzz_template.c - a template's file behind its digest: whatever it holds, it is loaded or refused, within the
 * sizes that its head names. What was loaded can be kept and loaded again, and is the same.
 */
#include "proto/base/limits.h"
#include "proto/base/must.h"
#include "worker/template.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static struct kt_template *kept_and_loaded(const struct kt_template *template)
{
	KT_AUTO_FD int fd = memfd_create("kept", MFD_CLOEXEC);
	struct kt_template *again = NULL;

	kt_must(fd >= 0);
	kt_must(kt_template_save(template, fd, NULL) == 0);
	kt_must(kt_template_load(fd, &again, NULL) == 0);
	return again;
}

/* As far as it was written: the rest are holes. */
static void must_be_same_bytes(int a_fd, int b_fd)
{
	char a[4096];
	char b[4096];
	struct stat a_stat;
	struct stat b_stat;
	off_t at = -1;

	kt_must(fstat(a_fd, &a_stat) == 0);
	kt_must(fstat(b_fd, &b_stat) == 0);
	kt_must(a_stat.st_size == b_stat.st_size);
	while ((at = lseek(a_fd, at + 1, SEEK_DATA)) >= 0) {
		ssize_t n = pread(a_fd, a, sizeof(a), at);

		kt_must(pread(b_fd, b, sizeof(b), at) == n);
		kt_must(memcmp(a, b, (size_t)n) == 0);
		at += n - 1;
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	KT_AUTO(kt_template_destroy) struct kt_template *template = NULL;
	KT_AUTO(kt_template_destroy) struct kt_template *again = NULL;
	struct kt_err err = { 0 };
	struct stat st;

	if (kt_template_parse(data, len, &template, &err) < 0) {
		kt_must(err.fault == KT_FAULT_HOST);
		return 0;
	}
	for (size_t i = 0; i < template->nodes; i++) {
		kt_must(fstat(template->ram_fds[i], &st) == 0);
		kt_must((uint64_t)st.st_size == template->node_bytes[i]);
	}
	again = kept_and_loaded(template);
	kt_must(strcmp(again->id, template->id) == 0);
	kt_must(kt_digest_equal(&again->key, &template->key));
	kt_must(again->nodes == template->nodes);
	must_be_same_bytes(template->state_fd, again->state_fd);
	for (size_t i = 0; i < template->nodes; i++)
		must_be_same_bytes(template->ram_fds[i], again->ram_fds[i]);
	return 0;
}
