#include "assertions/formula.h"
#include "fixture.h"

#include <errno.h>

/* "1 7; 2 E; 3 9~1": samples 100 ms apart with stats a and b; E is a missing member, ~1 an epoch. */
static void fill(struct kt_series *series, const char *text)
{
	KT_AUTO_ARENA arena = { 0 };
	char *copy = kt_arena_strdup(&arena, text);
	char *rest = NULL;
	uint64_t seq = 0;

	for (char *row = strtok_r(copy, ";", &rest); row; row = strtok_r(NULL, ";", &rest), seq++) {
		static const char *const names[] = { "a", "b" };
		struct kt_value map = kt_value_map(&arena, 2);
		char *epoch = strchr(row, '~');
		char *at = strchr(row, '@');
		char *words = NULL;
		KT_AUTO_BUF body = { 0 };
		struct kt_msg_axis axis = { .name = "stats", .error = "", .text = "" };
		struct kt_msg_sample sample = { .tag = kt_arena_printf(&arena, "periodic_%03d",
								       (int)seq),
						.seq = seq,
						.elapsed_ns = (int64_t)seq * 100 * KT_NS_PER_MS,
						.placeholder = "",
						.axes = &axis,
						.n_axes = 1 };

		if (epoch) {
			sample.epoch = (uint64_t)atoi(epoch + 1);
			*epoch = 0;
		}
		if (at) {
			sample.elapsed_ns = atoll(at + 1) * KT_NS_PER_MS;
			*at = 0;
		}
		map.n = 0;
		for (size_t i = 0; i < 2; i++) {
			char *word = strtok_r(i ? NULL : row, " ", &words);

			if (!word || strcmp(word, "E") == 0)
				continue;
			map.pairs[map.n].key = names[i];
			map.pairs[map.n++].value = fixture_value(&arena, word);
		}
		axis.value = map;
		kt_codec_encode(&kt_schema_sample, &sample, &body);
		cr_assert_eq(kt_series_append(series, body.data, body.len, NULL), 0);
	}
}

static void print(const struct kt_column *column, struct kt_buf *out)
{
	for (size_t i = 0; i < column->n; i++) {
		const struct kt_column_slot *slot = &column->slots[i];
		struct kt_number number;
		char text[KT_NUMBER_TEXT_BYTES];

		kt_buf_puts(out, i ? " " : "");
		if (!kt_column_slot_usable(slot)) {
			kt_buf_puts(out, kt_column_error_name(slot->error->type));
			continue;
		}
		number = kt_column_slot_number(slot);
		kt_buf_puts(out, kt_number_format(&number, text));
	}
}

Test(formula, columns_are_made_of_columns)
{
	static const struct {
		const char *formula;
		const char *series;
		const char *column;
		const char *text;
		const char *unit;
	} rows[] = {
		{ "'stats:a'", "1 2; 3 4", "1 3", "stats:a", "" },
		{ "{of 'stats:a', unit 'ns'}", "1 2; 3 4", "1 3", "stats:a", "ns" },
		{ "{difference ['stats:a'; 'stats:b']}", "5 2; 3 4", "3 -1", "stats:a - stats:b",
		  "" },
		{ "{sum ['stats:a'; 'stats:b'; 'stats:a']}", "5 2; 3 4", "12 10",
		  "stats:a + stats:b + stats:a", "" },
		{ "{ratio ['stats:a'; 'stats:b']}", "5 2; 3 4", "2.5 0.75", "stats:a / stats:b",
		  "" },
		{ "{rate 'stats:a'}", "5 0; 15 0; 5 0", "100 -100", "stats:a per s", "" },
		/* integers are exact beyond 2^53, and what does not fit is said */
		{ "{difference ['stats:a'; 'stats:b']}", "9007199254740993 9007199254740992", "1",
		  "stats:a - stats:b", "" },
		{ "{difference ['stats:a'; 'stats:b']}",
		  "18446744073709551615 1; 0 18446744073709551615", "18446744073709551614 Overflow",
		  "stats:a - stats:b", "" },
		{ "{sum ['stats:a'; 'stats:b']}", "18446744073709551615 0; 18446744073709551615 1",
		  "18446744073709551615 Overflow", "stats:a + stats:b", "" },
		{ "{sum ['stats:a'; 'stats:b']}", "1.5 2; 2 1e308", "3.5 1e+308",
		  "stats:a + stats:b", "" },
		/* the first error stays, and a divisor of zero is one */
		{ "{sum ['stats:a'; 'stats:b']}", "1 E; E 1; 1 1",
		  "MemberNotFound MemberNotFound 2", "stats:a + stats:b", "" },
		{ "{ratio ['stats:a'; 'stats:b']}", "1 0; 0 1", "ZeroDivisor 0",
		  "stats:a / stats:b", "" },
		/* a rate: no slot for the first sample of each life; gaps are errors */
		{ "{rate 'stats:a'}", "1 0", "", "stats:a per s", "" },
		{ "{rate 'stats:a'}", "1 0; 2 0; 100 0~1; 102 0~1", "10 20", "stats:a per s", "" },
		{ "{rate 'stats:a'}", "1 0; E 0; 3 0; 4 0", "MemberNotFound MemberNotFound 10",
		  "stats:a per s", "" },
		{ "{rate 'stats:a'}", "1 0; 2 0@0; 3 0@100", "NoTime 10", "stats:a per s", "" },
		{ "{rate 'stats:a'}", "9223372036854775808 0; 9223372036854775809 0", "10",
		  "stats:a per s", "" },
		/* nested, joined by sample */
		{ "{ratio [{rate 'stats:a'}; {rate 'stats:b'}]}", "0 0; 10 5; 10 10", "2 0",
		  "(stats:a per s) / (stats:b per s)", "" },
		{ "{difference ['stats:b'; {rate 'stats:a'}]}", "0 1; 1 15; 1 20", "5 20",
		  "stats:b - (stats:a per s)", "" },
		{ "{rate {rate 'stats:a'}}", "0 0; 1 0; 3 0", "100", "(stats:a per s) per s", "" },
		/* units */
		{ "{difference [{of 'stats:a', unit 'ns'}; {of 'stats:b', unit 'ns'}]}", "5 2", "3",
		  "stats:a - stats:b", "ns" },
		{ "{difference [{of 'stats:a', unit 'ns'}; 'stats:b']}", "5 2", "3",
		  "stats:a - stats:b", "ns" },
		{ "{ratio [{of 'stats:a', unit 'ns'}; {of 'stats:b', unit 'ns'}]}", "5 2", "2.5",
		  "stats:a / stats:b", "" },
		{ "{ratio [{of 'stats:a', unit 'ns'}; {of 'stats:b', unit 'tasks'}]}", "5 2", "2.5",
		  "stats:a / stats:b", "ns/tasks" },
		{ "{rate {of 'stats:a', unit 'tasks'}}", "5 2; 6 2", "10", "stats:a per s",
		  "tasks/s" },
		{ "{ratio [{rate {of 'stats:a', unit 'ns'}}; {of 'stats:b', unit 'tasks'}]}",
		  "5 2; 6 2", "5", "(stats:a per s) / stats:b", "(ns/s)/tasks" },
		{ "{rate {of 'stats:a', unit 'ns'}, unit 'ns/s'}", "5 2; 6 2", "10",
		  "stats:a per s", "ns/s" },
		{ "{sum ['stats:a'; 'stats:b'], unit 'tasks'}", "5 2", "7", "stats:a + stats:b",
		  "tasks" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		KT_AUTO_ARENA arena = { 0 };
		KT_AUTO_SERIES series = { 0 };
		KT_AUTO_BUF said = { 0 };
		struct kt_value value = fixture_value(&arena, rows[i].formula);
		struct kt_place place = { 0 };
		struct kt_formula formula;
		struct kt_column column;
		struct kt_err err = { 0 };

		fill(&series, rows[i].series);
		cr_assert_eq(kt_formula_read(&value, &arena, &place, &formula, &err), 0, "%s: %s",
			     rows[i].formula, err.text);
		cr_assert_str_eq(formula.text, rows[i].text);
		cr_assert_str_eq(formula.unit, rows[i].unit, "%s: %s", rows[i].formula,
				 formula.unit);
		kt_formula_column(&formula, &series, KT_NUMBER_WANT_ANY, &arena, &column);
		print(&column, &said);
		cr_assert_str_eq(kt_buf_text(&said), rows[i].column, "%s over [%s]: %s",
				 rows[i].formula, rows[i].series, kt_buf_text(&said));
		if (strchr(rows[i].series, ';') && column.n == 1)
			cr_assert_str_neq(column.slots[0].tag, "periodic_000");
	}
}

Test(formula, mistakes_are_refused_with_their_place)
{
	static const struct {
		const char *formula;
		const char *says;
		const char *path;
		bool at_key;
		size_t offset;
	} rows[] = {
		{ "5", "a series must be a text, \"axis:path\", or a table, not integer", "", false,
		  0 },
		{ "'bpf:a..b'", "a name belongs here", "", false, 6 },
		{ "''", "a series must have 1 to 128 bytes, not 0", "", false, 0 },
		{ "{}", "a series needs one of: of, difference, sum, ratio, rate", "", false, 0 },
		{ "{unit 'ns'}", "a series needs one of", "", false, 0 },
		{ "{diference ['stats:a'; 'stats:b']}", "did you mean 'difference'?", "diference",
		  true, 0 },
		{ "{rate 'stats:a', sum ['stats:a'; 'stats:b']}",
		  "a series has one operation: rate or sum", "sum", true, 0 },
		{ "{difference ['stats:a']}", "difference must be a list of 2 series", "difference",
		  false, 0 },
		{ "{difference 'stats:a'}", "difference must be a list of 2 series", "difference",
		  false, 0 },
		{ "{sum ['stats:a']}", "sum must be a list of 2 to 8 series", "sum", false, 0 },
		{ "{ratio ['stats:a'; 'sats:b']}", "did you mean 'stats'?", "ratio[1]", false, 0 },
		{ "{ratio ['stats:a'; {rate 'stats:b..c'}]}", "a name belongs here",
		  "ratio[1].rate", false, 8 },
		{ "{rate {rate {rate {rate 'stats:a'}}}}", "at most 3 deep", "rate.rate.rate.rate",
		  false, 0 },
		{ "{of 'stats:a', unit 5}", "unit must be a text", "unit", false, 0 },
		{ "{of 'stats:a', unit 'a b'}", "unit must be one word", "unit", false, 0 },
		{ "{sum [{of 'stats:a', unit 'ns'}; {of 'stats:b', unit 'tasks'}]}",
		  "a sum of ns and tasks: their units differ", "", false, 0 },
		{ "{rate {of 'stats:a', unit 'ns'}, unit 'ns'}",
		  "stats:a per s is in ns/s as its operands are, not in ns", "unit", false, 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		KT_AUTO_ARENA arena = { 0 };
		struct kt_value value = fixture_value(&arena, rows[i].formula);
		struct kt_place place = { 0 };
		struct kt_formula formula;
		struct kt_err err = { 0 };

		cr_assert_eq(kt_formula_read(&value, &arena, &place, &formula, &err), -EINVAL, "%s",
			     rows[i].formula);
		cr_assert_eq(err.fault, KT_FAULT_INPUT);
		cr_assert(strstr(err.text, rows[i].says), "%s: %s", rows[i].formula, err.text);
		cr_assert_str_eq(place.path, rows[i].path, "%s: %s", rows[i].formula, place.path);
		cr_assert_eq(place.at_key, rows[i].at_key, "%s", rows[i].formula);
		cr_assert_eq(place.offset, rows[i].offset, "%s: %zu", rows[i].formula,
			     place.offset);
	}
}

static enum kt_verdict_outcome judge(struct kt_arena *arena, const char *text, const char *samples,
				     struct kt_verdict *said)
{
	KT_AUTO_SERIES series = { 0 };
	struct kt_assertion assertion;
	struct kt_err err = { 0 };

	fill(&series, samples);
	cr_assert(fixture_assertion(arena, text, &assertion, &err), "%s: %s", text, err.text);
	cr_assert_eq(kt_assertion_check(&assertion, &err), 0, "%s: %s", text, err.text);
	kt_verdict_init(said, arena);
	kt_judge_series(&assertion, &series, said);
	return kt_verdict_outcome(said);
}

Test(formula, is_judged_as_any_series)
{
	static const struct {
		const char *assertion;
		const char *series;
		enum kt_verdict_outcome outcome;
		const char *says;
	} rows[] = {
		{ "series={difference ['stats:a'; 'stats:b']} each={at_least 0}", "5 2; 3 3",
		  KT_VERDICT_PASS, "stats:a - stats:b (each at_least 0): holds over 2 values" },
		{ "name='lost' series={difference [{of 'stats:a', unit 'tasks'}; 'stats:b']} "
		  "each={at_least 0}",
		  "5 2; 3 4", KT_VERDICT_FAIL,
		  "lost [tasks] (each at_least 0): below 0 at periodic_001 (+100 ms): -1" },
		{ "series={rate 'stats:a'} each={between [10; 20]}", "1 0; 2 0; 4 0",
		  KT_VERDICT_PASS, "holds over 2 values" },
		{ "series={rate 'stats:a'} each={at_least 1}", "1 0", KT_VERDICT_INCONCLUSIVE,
		  "stats:a per s: too few samples for it: 1" },
		{ "series={ratio ['stats:a'; 'stats:b']} each={at_most 2}", "1 1; 1 0",
		  KT_VERDICT_INCONCLUSIVE,
		  "no value at periodic_001 (+100 ms): ZeroDivisor: stats:a / stats:b: nothing to "
		  "divide by" },
		{ "series={ratio ['stats:a'; 'stats:b']} each={at_most 2}", "3 1; 1 0",
		  KT_VERDICT_FAIL, "above 2" },
		{ "series='stats:a' ratio_within={other {sum ['stats:a'; 'stats:b']}, lo 0.5, hi "
		  "1}",
		  "1 1; 1 0", KT_VERDICT_PASS,
		  "ratio_within other stats:a + stats:b, lo 0.5, hi 1" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		KT_AUTO_ARENA arena = { 0 };
		struct kt_verdict said;

		cr_assert_eq(judge(&arena, rows[i].assertion, rows[i].series, &said),
			     rows[i].outcome, "%s:%s", rows[i].assertion,
			     fixture_all(&arena, &said));
		cr_assert(fixture_says(&said, rows[i].outcome, rows[i].says), "%s:%s",
			  rows[i].assertion, fixture_all(&arena, &said));
	}
}

/* A text of n bytes, the first of them as given. */
static struct kt_value long_text(struct kt_arena *arena, const char *begin, size_t n)
{
	char *text = kt_arena_alloc(arena, n + 1, 1);

	memset(text, 'x', n);
	memcpy(text, begin, strlen(begin));
	return (struct kt_value){ .type = KT_VALUE_STR, .n = (uint32_t)n, .str = text };
}

Test(formula, texts_have_limits)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_value zero = long_text(&arena, "bpf:a", 9);
	const struct {
		struct kt_value series;
		struct kt_value unit;
		bool right;
	} rows[] = {
		{ long_text(&arena, "bpf:", 128), long_text(&arena, "", 1), true },
		{ long_text(&arena, "bpf:", 129), long_text(&arena, "", 1), false },
		{ zero, long_text(&arena, "", 1), false },
		{ long_text(&arena, "bpf:", 5), long_text(&arena, "", 64), true },
		{ long_text(&arena, "bpf:", 5), long_text(&arena, "", 65), false },
		{ long_text(&arena, "bpf:", 5), long_text(&arena, "", 0), false },
		{ long_text(&arena, "bpf:", 5), long_text(&arena, "\x7f", 3), false },
		{ long_text(&arena, "bpf:", 5), long_text(&arena, " ", 3), false },
		{ long_text(&arena, "bpf:", 5), long_text(&arena, "!", 3), true },
	};

	((char *)(uintptr_t)zero.str)[7] = 0;
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct kt_value map = kt_value_map(&arena, 2);
		struct kt_place place = { 0 };
		struct kt_formula formula;

		map.pairs[0] = (struct kt_value_pair){ "of", rows[i].series };
		map.pairs[1] = (struct kt_value_pair){ "unit", rows[i].unit };
		cr_assert_eq(kt_formula_read(&map, &arena, &place, &formula, NULL),
			     rows[i].right ? 0 : -EINVAL, "row %zu", i);
	}
}
