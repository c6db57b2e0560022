/* layer: proto/net */
/* The reader of allow-lists. What it takes is printed and read back the same, with one host less as well. */
#include "proto/base/must.h"
#include "proto/net/allow.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void same_again(const struct kt_allow *allow)
{
	KT_AUTO(kt_allow_destroy) struct kt_allow *again = NULL;
	KT_AUTO_BUF text = { 0 };
	KT_AUTO_BUF text_again = { 0 };
	struct kt_err err = { 0 };

	kt_allow_print(allow, &text);
	kt_must(kt_allow_parse("f", kt_buf_text(&text), text.len, &again, &err) == 0);
	kt_must(again->n == allow->n);
	kt_allow_print(again, &text_again);
	kt_must(text.len == text_again.len);
	kt_must(text.len == 0 || memcmp(text.data, text_again.data, text.len) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	KT_AUTO(kt_allow_destroy) struct kt_allow *allow = NULL;
	struct kt_err err = { 0 };

	if (kt_allow_parse("f", (const char *)data, size, &allow, &err) < 0) {
		kt_must(err.fault == KT_FAULT_INPUT);
		kt_must(strncmp(err.text, "f:", 2) == 0);
		return 0;
	}
	same_again(allow);
	for (size_t i = 0; allow->list && i < 4; i++) {
		const struct kt_allowed *one = allow->list;
		char name[KT_NAME_BYTES_MAX + 1];

		kt_must(kt_allow_is_name(one->name));
		kt_must(kt_allow_find(allow, one->key) == one);
		kt_must(kt_allow_find_name(allow, one->name) == one);
		strcpy(name, one->name);
		kt_must(kt_allow_remove(allow, name));
		kt_must(!kt_allow_find_name(allow, name));
		same_again(allow);
	}
	return 0;
}
