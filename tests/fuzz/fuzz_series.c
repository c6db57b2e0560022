/* layer: assertions */
/* fuzz_series.c - any bodies, each behind two bytes of length, make a series that can be judged; in
 * whatever order the accepted ones arrive, the verdict has the same bytes.
 */
#include "assertions/judge.h"
#include "proto/base/must.h"

#include <stdint.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

static void set(struct kt_assertion *assertion, const char *key, struct kt_value value)
{
	kt_must(kt_assertion_set(assertion, key, &value, NULL) == 0);
}

static void judge(const struct kt_series *series, struct kt_arena *arena, struct kt_buf *out)
{
	static const char *const texts[] = { "bpf:nr_dispatched", "bpf:stats[0].cpu_sum",
					     "stats:nr", "stats:a.b[1]" };
	static const struct kt_msg_result result = { .cause = "finished",
						     .line = "",
						     .evidence = "" };
	struct kt_assertion *assertions = kt_arena_alloc(arena, 4, sizeof(*assertions));
	const struct kt_assertion *list[4];
	struct kt_value limit = kt_value_map(arena, 1);
	struct kt_msg_verdict verdict;

	limit.pairs[0] = (struct kt_value_pair){ "at_most", kt_value_u64(1000) };
	for (size_t i = 0; i < 4; i++) {
		list[i] = &assertions[i];
		kt_assertion_init(&assertions[i], arena);
		set(&assertions[i], "series", kt_value_str(arena, texts[i]));
		set(&assertions[i], "nondecreasing", kt_value_bool(true));
		set(&assertions[i], "each", limit);
		set(&assertions[i], "must_progress", kt_value_bool(true));
	}
	kt_judge_cell(list, 4, series, NULL, &result, arena, &verdict);
	kt_codec_encode(&kt_schema_verdict, &verdict, out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	KT_AUTO_ARENA arena = { 0 };
	KT_AUTO_SERIES series = { 0 };
	KT_AUTO_SERIES turned = { 0 };
	KT_AUTO_BUF a = { 0 };
	KT_AUTO_BUF b = { 0 };
	size_t starts[64];
	size_t lens[64];
	size_t n = 0;

	for (size_t at = 0; at + 2 <= len && n < 64;) {
		size_t body = data[at] | (size_t)data[at + 1] << 8;
		struct kt_err err = { 0 };

		at += 2;
		body = body < len - at ? body : len - at;
		if (kt_series_append(&series, data + at, body, &err) == 0) {
			starts[n] = at;
			lens[n++] = body;
		} else {
			kt_must(err.fault == KT_FAULT_PEER);
		}
		at += body;
	}
	kt_must(series.n == n);
	for (size_t i = 1; i < n; i++)
		kt_must(kt_series_at(&series, i - 1)->seq < kt_series_at(&series, i)->seq);
	for (size_t i = n; i > 0; i--)
		kt_must(kt_series_append(&turned, data + starts[i - 1], lens[i - 1], NULL) == 0);
	judge(&series, &arena, &a);
	judge(&turned, &arena, &b);
	kt_must(a.len == b.len);
	kt_must(memcmp(a.data, b.data, a.len) == 0);
	return 0;
}
