/* layer: assertions */
/* fuzz_assertion.c - any table of keys and values is refused with a place in it, or is an assertion
 * that can be printed and judged, over a column and over a series.
 */
#include "assertions/judge.h"
#include "proto/base/must.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

/* Three samples: b is zero once and missing once, and the scheduler restarts. */
static void fill(struct kt_series *series)
{
	for (uint64_t i = 0; i < 3; i++) {
		KT_AUTO_ARENA arena = { 0 };
		KT_AUTO_BUF body = { 0 };
		struct kt_value map = kt_value_map(&arena, 2);
		struct kt_msg_axis axis = { .name = "stats", .error = "", .text = "" };
		struct kt_msg_sample sample = { .tag = "periodic_000",
						.seq = i,
						.elapsed_ns = (int64_t)i,
						.step = i,
						.placeholder = "",
						.axes = &axis,
						.n_axes = 1,
						.epoch = i / 2 };

		map.pairs[0] = (struct kt_value_pair){ "a", kt_value_u64(UINT64_MAX - i) };
		map.pairs[1] = (struct kt_value_pair){ "b", kt_value_u64(i) };
		map.n -= i == 1;
		axis.value = map;
		kt_codec_encode(&kt_schema_sample, &sample, &body);
		kt_must(kt_series_append(series, body.data, body.len, NULL) == 0);
	}
}

static void judge(const struct kt_assertion *assertion, struct kt_arena *arena)
{
	static const struct kt_msg_result result = { .cause = "finished",
						     .line = "",
						     .evidence = "" };
	KT_AUTO_SERIES series = { 0 };
	struct kt_msg_verdict verdict;
	KT_AUTO_BUF out = { 0 };

	fill(&series);
	kt_judge_cell(&assertion, 1, &series, NULL, &result, arena, &verdict);
	kt_codec_encode(&kt_schema_verdict, &verdict, &out);
}

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
	if (kt_assertion_check(&assertion, &err) == 0)
		judge(&assertion, &arena);
	if (kt_assertion_is_group(&assertion) || kt_assertion_is_off(&assertion))
		return 0; /* it has no column of its own */
	kt_verdict_init(&said, &arena);
	for (size_t i = 0; i < KT_ASSERTION_PATTERNS_MAX; i++)
		others[i] = column;
	kt_judge_column(&assertion, &column, others, &said);
	kt_verdict_finish(&said, &verdict);
	kt_codec_encode(&kt_schema_verdict, &verdict, &out);
	return 0;
}
