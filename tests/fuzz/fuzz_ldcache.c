/* layer: coordinator */
/* fuzz_ldcache.c - the loader's cache, which is a file like any other. */
#include "coordinator/ldcache.h"

#include "proto/base/must.h"

#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	uint8_t *copy = malloc(len ? len : 1);
	struct kt_ldcache cache;
	const char *path;

	kt_must(copy);
	memcpy(copy, bytes, len);
	if (kt_ldcache_open(copy, len, &cache)) {
		path = kt_ldcache_find(&cache, "libx.so.1");
		kt_must(!path || (const uint8_t *)path + strlen(path) < copy + len);
	}
	free(copy);
	return 0;
}
