/* layer: coordinator */
/* fuzz_present.c - whatever is written into the local socket is an ask within its limits, or is refused. */
#include "coordinator/present.h"
#include "proto/base/must.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct kt_present_ask ask;
	struct kt_err err = { 0 };

	if (kt_present_parse(data, len, &ask, &err) < 0) {
		kt_must(err.fault == KT_FAULT_PEER && err.text[0]);
		return 0;
	}
	kt_must(len <= KT_PRESENT_LINE_BYTES_MAX);
	kt_must(ask.kind < KT_PRESENT_KIND_N);
	kt_must(memchr(ask.host, 0, sizeof(ask.host)) && memchr(ask.what, 0, sizeof(ask.what)));
	kt_must(ask.kind != KT_PRESENT_DRAIN || ask.host[0]);
	return 0;
}
