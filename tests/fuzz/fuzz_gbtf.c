/* layer: worker/guest */
/* fuzz_gbtf.c - whatever a map's BTF says: a place inside of what it says, or an error. The first byte is the
 * section's number, the rest the BTF; "v" is looked for.
 */
#include "proto/base/must.h"
#include "worker/guest/gbtf.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct kt_gbtf_var var = { 0 };
	struct kt_err err = { 0 };

	if (len == 0)
		return 0;
	if (kt_gbtf_find(data + 1, len - 1, data[0], "v", &var, &err) == 0)
		kt_must(var.bytes == 1 || var.bytes == 2 || var.bytes == 4 || var.bytes == 8);
	else
		kt_must(err.fault == KT_FAULT_GUEST);
	return 0;
}
