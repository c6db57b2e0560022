/* layer: worker */
/* fuzz_template.c - a template's file behind its digest: whatever it holds, it is loaded or refused, within the
 * sizes that its head names.
 */
#include "proto/base/limits.h"
#include "proto/base/must.h"
#include "worker/template.h"

#include <errno.h>
#include <sys/stat.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	KT_AUTO(kt_template_destroy) struct kt_template *template = NULL;
	struct kt_err err = { 0 };
	struct stat st;

	if (kt_template_parse(data, len, &template, &err) < 0) {
		kt_must(err.fault == KT_FAULT_HOST);
		return 0;
	}
	for (size_t i = 0; i < template->nodes; i++) {
		kt_must(fstat(template->ram_fds[i], &st) == 0);
		kt_must((uint64_t)st.st_size == template->node_bytes);
	}
	return 0;
}
