/* layer: assertions */
/* fuzz_assertion.c - any table of keys and values is refused with a place in it, or is an assertion
 * that can be printed and judged.
 */
#include "assertions/judge.h"
#include "proto/base/must.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	KT_AUTO_ARENA arena = { 0 };
	KT_AUTO_ARENA limited = { .max = 8192 + 64 * len };
	KT_AUTO_BUF text = { 0 };
	KT_AUTO_BUF out = { 0 };
	static const struct kt_column_slot slots[] = {
		{ .tag = "a", .u64 = 1, .type = KT_COLUMN_SLOT_U64 },
		{ .tag = "b", .elapsed_ns = 1, .u64 = UINT64_MAX, .type = KT_COLUMN_SLOT_U64 },
	};
	const struct kt_column column = { .slots = slots, .n = 2 };
	struct kt_column others[KT_ASSERTION_PATTERNS_MAX];
	struct kt_assertion assertion;
	struct kt_value table;
	struct kt_verdict said;
	struct kt_msg_verdict verdict;
	struct kt_err err = { 0 };

	if (kt_value_decode(data, len, &limited, &table, NULL) < 0 || table.type != KT_VALUE_MAP)
		return 0;
	kt_assertion_init(&assertion, &arena);
	for (uint32_t i = 0; i < table.n; i++) {
		const char *key = table.pairs[i].key;

		if (kt_assertion_set(&assertion, key, &table.pairs[i].value, &err) < 0) {
			kt_must(err.fault == KT_FAULT_INPUT);
			kt_must(*err.text);
			kt_must(strncmp(assertion.where.path, key, strlen(assertion.where.path)) ==
					0 ||
				strncmp(assertion.where.path, key, strlen(key)) == 0);
			return 0;
		}
	}
	kt_assertion_print(&assertion, &text);
	kt_must(!strchr(kt_buf_text(&text), '\n'));
	(void)kt_assertion_check(&assertion, &err);
	kt_verdict_init(&said, &arena);
	for (size_t i = 0; i < KT_ASSERTION_PATTERNS_MAX; i++)
		others[i] = column;
	kt_judge_column(&assertion, &column, others, &said);
	kt_verdict_finish(&said, &verdict);
	kt_codec_encode(&kt_schema_verdict, &verdict, &out);
	return 0;
}
