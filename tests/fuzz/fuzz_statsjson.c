/* layer: worker */
/* fuzz_statsjson.c - whatever a scheduler answers becomes a value that travels unchanged, or a typed error. */
#include "proto/base/must.h"
#include "worker/statsjson.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	KT_AUTO_ARENA arena = { 0 };
	KT_AUTO_BUF bytes = { 0 };
	struct kt_msg_axis axis;
	struct kt_value back;
	struct kt_err err = { 0 };

	kt_statsjson_axis(data, len, &arena, &axis);
	kt_must(strcmp(axis.name, "stats") == 0);
	if (axis.error[0]) {
		kt_must(axis.text[0] && axis.value.type == KT_VALUE_NIL);
		return 0;
	}
	kt_value_encode(&axis.value, &bytes);
	if (kt_value_decode(bytes.data, bytes.len, &arena, &back, &err) == 0)
		kt_must(kt_value_equal(&axis.value, &back));
	return 0;
}
