/* layer: coordinator */
/* fuzz_elfneeds.c - programs and libraries that somebody gives us, and the folders that they name. */
#include "coordinator/elfneeds.h"
#include "coordinator/ldpath.h"

#include "proto/base/limits.h"
#include "proto/base/must.h"

#include <stdint.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

static void walk(const char *list, const char *name)
{
	char path[PATH_MAX];
	size_t items = 0;

	for (; list && kt_ldpath_next(&list, ":", "/opt/x/bin/program", name, path); items++)
		kt_must(strlen(path) < PATH_MAX);
	kt_must(items <= KT_PATH_BYTES_MAX);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	static struct kt_elfneeds needs;
	uint8_t *copy = malloc(len ? len : 1); /* so that a byte behind the end is found */

	kt_must(copy);
	memcpy(copy, bytes, len);
	if (kt_elfneeds_read(copy, len, &needs, NULL) == 0) {
		kt_must(!needs.rpath || !needs.runpath);
		kt_must(needs.n_needed <= KT_ELFNEEDS_MAX);
		for (size_t i = 0; i < needs.n_needed; i++) {
			walk(needs.rpath, needs.needed[i]);
			walk(needs.runpath, needs.needed[i]);
		}
		if (needs.interpreter)
			kt_must(strlen(needs.interpreter) < KT_PATH_BYTES_MAX);
	}
	free(copy);
	return 0;
}
