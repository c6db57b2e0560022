/* layer: worker/introspect */
/* fuzz_procmaps.c - whatever the text: what is found lies in the address space, and asking for more than one
 * byte never finds what asking for one does not.
 */
#include "proto/base/must.h"
#include "worker/introspect/procmaps.h"

#include <sys/sysmacros.h>

#define INO 4711

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static const uint64_t sizes[] = { 1, 4096, 2u << 20, 1ull << 40 };
	const char *text = (const char *)data;
	bool found = true;

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		uint64_t va = 0;
		int rc = kt_procmaps_find(text, len, makedev(0, 1), INO, sizes[i], &va);

		if (rc == 0) {
			kt_must(found);
			kt_must(va + sizes[i] > va);
		}
		found = rc == 0;
	}
	return 0;
}
