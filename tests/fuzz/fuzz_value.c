/* layer: proto */
/* A value that is decoded equals itself after another round, and prints within its limit. */
#include "proto/base/must.h"
#include "proto/value.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	KT_AUTO_ARENA arena = { .max = 64u << 20 };
	KT_AUTO_BUF bytes = { 0 };
	KT_AUTO_BUF text = { 0 };
	struct kt_value value;
	struct kt_value again;

	if (kt_value_decode(data, len, &arena, &value, NULL) < 0)
		return 0;
	kt_value_encode(&value, &bytes);
	kt_must(kt_value_decode(bytes.data, bytes.len, &arena, &again, NULL) == 0);
	kt_must(kt_value_equal(&value, &again));
	kt_value_print(&value, 200, &text);
	kt_must(text.len <= 203);
	for (size_t i = 0; i < text.len; i++)
		kt_must(text.data[i] >= 0x20);
	return 0;
}
