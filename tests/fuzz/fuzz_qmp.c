/* layer: worker */
/* fuzz_qmp.c - whatever QEMU says on its monitor is one of four kinds of line, or is refused. */
#include "proto/base/must.h"
#include "worker/qmp.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct kt_qmp_line line;
	struct kt_err err = { 0 };

	if (kt_qmp_parse((const char *)data, len, &line, &err) < 0) {
		kt_must(err.fault == KT_FAULT_PEER);
		return 0;
	}
	kt_must(line.kind <= KT_QMP_EVENT);
	kt_must(strnlen(line.word, sizeof(line.word)) < sizeof(line.word));
	kt_must(strnlen(line.text, sizeof(line.text)) < sizeof(line.text));
	kt_must(line.at_us >= 0);
	return 0;
}
