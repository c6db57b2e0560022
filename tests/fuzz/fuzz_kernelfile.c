/* layer: coordinator */
/* fuzz_kernelfile.c - files that people take for kernels. */
#include "coordinator/kernelfile.h"

#include "proto/base/must.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	size_t head = len < KT_KERNELFILE_HEAD_BYTES ? len : KT_KERNELFILE_HEAD_BYTES;
	struct kt_kernelfile file;
	struct kt_err err;

	/* as it is, and as the head of a large file */
	if (kt_kernelfile_look(bytes, head, len, &file, &err) == 0)
		kt_must(file.bytes_min <= len);
	if (kt_kernelfile_look(bytes, head, (512ull << 20) + len, &file, &err) == 0) {
		kt_must(file.bytes_min <= (512ull << 20) + len);
		kt_must(strlen(file.release) < sizeof file.release);
	}
	return 0;
}
