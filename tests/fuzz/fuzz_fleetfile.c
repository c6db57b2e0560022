/* layer: coordinator */
/* fuzz_fleetfile.c - whatever stands in fleet.toml is a configuration, or is refused with its place. */
#include "coordinator/fleetfile.h"
#include "proto/base/must.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct kt_fleetfile file;
	struct kt_err err = { 0 };

	if (len > KT_FLEETFILE_BYTES_MAX)
		return 0;
	if (kt_fleetfile_parse("f", data, len, NULL, NULL, &file, &err) < 0) {
		kt_must(err.fault == KT_FAULT_INPUT && err.text[0]);
		kt_must(!file.doc && !file.listen);
	} else {
		kt_must(!file.bulk_listen || file.listen);
	}
	kt_fleetfile_fini(&file);
	return 0;
}
