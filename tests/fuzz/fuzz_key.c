/* layer: proto/net */
/* The reader of key files. What it takes is printed and read back the same. */
#include "proto/base/must.h"
#include "proto/net/key.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	KT_AUTO_BUF text = { 0 };
	struct kt_err err = { 0 };
	struct kt_key key;
	struct kt_key again;

	if (kt_key_parse("f", (const char *)data, size, &key, &err) < 0) {
		kt_must(err.fault == KT_FAULT_INPUT);
		kt_must(strncmp(err.text, "f:", 2) == 0);
		kt_must(!key.secret_key[0]);
		return 0;
	}
	kt_must(kt_key_is_public(key.public_key));
	kt_key_print(&key, &text);
	kt_must(kt_key_parse("f", kt_buf_text(&text), text.len, &again, &err) == 0);
	kt_must(memcmp(&key, &again, sizeof(key)) == 0);
	return 0;
}
