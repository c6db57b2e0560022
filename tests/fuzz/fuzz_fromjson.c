/* layer: proto/json */
/* fuzz_fromjson.c - whatever a program prints becomes a value that travels unchanged, or no JSON. */
#include "proto/base/must.h"
#include "proto/json/fromjson.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	KT_AUTO_ARENA arena = { 0 };
	KT_AUTO_BUF bytes = { 0 };
	struct kt_value value;
	struct kt_value back;
	struct kt_err err = { 0 };
	size_t used = 0;

	if (kt_fromjson(data, len, &arena, &value, NULL, &err) == 0) {
		kt_value_encode(&value, &bytes);
		if (kt_value_decode(bytes.data, bytes.len, &arena, &back, &err) == 0)
			kt_must(kt_value_equal(&value, &back));
	}
	/* What is JSON up to there is JSON by itself. */
	if (kt_fromjson(data, len, &arena, &value, &used, &err) == 0) {
		kt_must(used <= len);
		kt_must(kt_fromjson(data, used, &arena, &back, NULL, &err) == 0);
		kt_must(kt_value_equal(&value, &back));
	}
	return 0;
}
