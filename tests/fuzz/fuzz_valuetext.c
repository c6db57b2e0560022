/* layer: assertions */
/* fuzz_valuetext.c - any text is refused with a place, or is a map without the same key twice that can be
 * printed, and handed to an assertion.
 */
#include "assertions/assertion.h"
#include "assertions/valuetext.h"
#include "proto/base/must.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	KT_AUTO_ARENA arena = { 0 };
	KT_AUTO_BUF out = { 0 };
	const char *text = kt_arena_copy(&arena, data, len);
	struct kt_assertion assertion;
	struct kt_value table;
	struct kt_err err = { 0 };

	if (kt_valuetext_table(text, &arena, &table, &err) < 0) {
		kt_must(err.fault == KT_FAULT_INPUT);
		kt_must(strchr(err.text, ':'));
		return 0;
	}
	kt_must(table.type == KT_VALUE_MAP);
	kt_assertion_init(&assertion, &arena);
	for (uint32_t i = 0; i < table.n; i++) {
		kt_must(kt_value_get(&table, table.pairs[i].key) == &table.pairs[i].value);
		(void)kt_assertion_set(&assertion, table.pairs[i].key, &table.pairs[i].value, NULL);
	}
	kt_value_print(&table, 4096, &out);
	return 0;
}
