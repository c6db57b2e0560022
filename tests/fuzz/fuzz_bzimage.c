/* layer: worker/introspect */
/* A kernel image is the user's file: whatever is in it, extracting ends in a sentence. */
#include "worker/introspect/bzimage.h"

#include "proto/base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	KT_AUTO_BUF vmlinux = { .max = 1 << 20 };
	struct kt_err err = { 0 };

	if (kt_bzimage_extract(data, len, &vmlinux, &err))
		kt_must(err.text[0] && err.fault == KT_FAULT_INPUT);
	else
		kt_must(kt_bzimage_is_elf(vmlinux.data, vmlinux.len));
	return 0;
}
