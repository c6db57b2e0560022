/* What is printed from the tables of assertions/ and kept in the tree: docs/patterns.md, with columns that
 * are judged here, and the fuzzer's dictionary.
 */
#include "../proto/kept.h"
#include "fixture.h"

/* One assertion for each pattern, and a column for each outcome; the first sentence that decides stands in
 * the document. The notation of columns is fixture.h's.
 */
static const struct shown {
	const char *pattern;
	const char *assertion;
	const char *pass;
	const char *fail;
	const char *inconclusive;
} shown[] = {
	{ "nondecreasing", "nondecreasing=true", "1 2 2 3", "1 3 2", "1 E E" },
	{ "strictly_increasing", "strictly_increasing=true", "1 2 3", "1 2 2", "1 E E" },
	{ "always_true", "always_true=true", "true true", "true false", "true E E" },
	{ "each", "each={between [1; 5], ne 3}", "1 5", "1 3 6", "2 E E" },
	{ "rate_within", "rate_within={lo 0.5, hi 2, per 'ms'}", "0 100 250", "0 300",
	  "0@100 50@100" },
	{ "steady_within", "steady_within={warmup_ms 100, tol 0.1}", "99 10 10 11", "99 10 10 20",
	  "99 10 E E E" },
	{ "converges_to", "converges_to={target 100, tol 5, deadline_ms 400, stays true}",
	  "0 50 95 105 100", "95 105 100 1", "100 E E" },
	{ "ratio_across_steps", "ratio_across_steps={early 0, late 1, at_most 2}", "5#0 10#0 20#1",
	  "10#0 21#1", "0#0 10#1" },
	{ "ratio_within", "ratio_within={other 'bpf:other', lo 0.5, hi 2}", "1 4 | 2 2",
	  "1 5 | 2 2", "1 4 | 2 0" },
	{ "eventually", "eventually={within_ms 300, always {at_least 5, to_ms 100}}", "1 5 6 1",
	  "1 5 1 1 9", "1 5 E 1" },
	{ "always", "always={any_of [{at_most 5}; {eventually {at_most 5, within_ms 100}}]}",
	  "1 9 2", "1 9 8 2", "1 2 9" },
	{ "until", "until={hold {at_most 5}, then {at_least 9}, within_ms 300}", "1 5 9", "1 6 9",
	  "1 E 9" },
};

/* What every pattern has around it. */
static const struct shown options[] = {
	{ "min_samples", "nondecreasing=true min_samples=3", "1 2 3", "1 3 2", "1 2" },
	{ "min_coverage", "nondecreasing=true min_coverage=0.75", "1 2 E 3", "1 3 2", "1 E 3" },
	{ "must_progress", "must_progress=true", "0 0 1", "7 7 7", "7" },
	{ "bridge", "nondecreasing=true bridge=true", "5 E 6", "5 E 3", "5 E E" },
	{ "steps", "each={at_most 5} steps=[1; 2]", "9#0 1#1 2#2", "1#0 9#1", "1#0" },
	{ "reset", "nondecreasing=true reset='epoch'", "5 6 0~1", "5 6 1~1 0~1", "5 E~1 E~1" },
};

/* A value as it stands in a matrix. */
static void print_toml(const struct kt_value *value, struct kt_buf *out)
{
	switch (value->type) {
	case KT_VALUE_MAP:
		kt_buf_puts(out, "{ ");
		for (uint32_t i = 0; i < value->n; i++) {
			kt_buf_printf(out, "%s%s = ", i ? ", " : "", value->pairs[i].key);
			print_toml(&value->pairs[i].value, out);
		}
		kt_buf_puts(out, " }");
		break;
	case KT_VALUE_LIST:
		kt_buf_puts(out, "[");
		for (uint32_t i = 0; i < value->n; i++) {
			kt_buf_puts(out, i ? ", " : "");
			print_toml(&value->items[i], out);
		}
		kt_buf_puts(out, "]");
		break;
	default:
		kt_value_print(value, 200, out);
		break;
	}
}

/* "each={at_most 3} steps=1" as lines of a matrix. */
static void print_assertion(struct kt_arena *arena, const char *text, struct kt_buf *out)
{
	const char *at = text;

	while (*at) {
		size_t key = strcspn(at, "=");
		const char *value = at + key + 1;
		size_t len = fixture_value_len(value);
		struct kt_value parsed = fixture_value(arena, kt_arena_copy(arena, value, len));

		kt_buf_printf(out, "    %.*s = ", (int)key, at);
		print_toml(&parsed, out);
		kt_buf_puts(out, "\n");
		at = value + len;
		at += strspn(at, " ");
	}
}

static void print_outcome(struct kt_arena *arena, const struct shown *row, const char *column,
			  enum kt_verdict_outcome outcome, struct kt_buf *out)
{
	struct kt_verdict said;
	const struct kt_verdict_detail *first;

	cr_assert_eq(fixture_judge(arena, row->assertion, column, &said), outcome,
		     "%s over [%s]:%s", row->assertion, column, fixture_all(arena, &said));
	first = kt_verdict_headline(&said);
	cr_assert(first);
	kt_buf_printf(out, "| %s | `", kt_verdict_outcome_name(outcome));
	for (const char *c = column; *c; c++)
		kt_buf_printf(out, "%s%c", *c == '|' ? "\\" : "", *c);
	kt_buf_printf(out, "` | %s |\n", first->text);
}

static void print_shown(const struct shown *row, struct kt_buf *out)
{
	KT_AUTO_ARENA arena = { 0 };

	print_assertion(&arena, row->assertion, out);
	kt_buf_puts(out, "\n| outcome | column | what is said first |\n|---|---|---|\n");
	print_outcome(&arena, row, row->pass, KT_VERDICT_PASS, out);
	print_outcome(&arena, row, row->fail, KT_VERDICT_FAIL, out);
	print_outcome(&arena, row, row->inconclusive, KT_VERDICT_INCONCLUSIVE, out);
}

static void print_param(const struct kt_param *param, struct kt_buf *out)
{
	kt_buf_printf(out, "| `%s` | %s", param->name, kt_param_kind_written(param->kind));
	if (param->kind == KT_PARAM_COUNT || param->kind == KT_PARAM_COUNTS)
		kt_buf_printf(out, ", %llu to %llu", (unsigned long long)param->min,
			      (unsigned long long)param->max);
	for (size_t i = 0; param->words && param->words[i]; i++)
		kt_buf_printf(out, "%s \"%s\"", i ? "," : ":", param->words[i]);
	kt_buf_printf(out, " | %s | %s | %s |\n", param->unit ? param->unit : "",
		      param->required   ? "required"
		      : param->fallback ? param->fallback
					: "",
		      param->sentence);
}

static void print_params(const struct kt_param *params, size_t n, struct kt_buf *out)
{
	if (n)
		kt_buf_puts(out, "| parameter | written | unit | default | meaning |\n"
				 "|---|---|---|---|---|\n");
	for (size_t i = 0; i < n; i++)
		print_param(&params[i], out);
	kt_buf_puts(out, n ? "\n" : "");
}

static const struct shown *shown_of(const char *pattern)
{
	for (size_t i = 0; i < sizeof(shown) / sizeof(shown[0]); i++)
		if (strcmp(shown[i].pattern, pattern) == 0)
			return &shown[i];
	cr_assert_fail("%s has no columns to show", pattern);
	return NULL;
}

static void print_document(struct kt_buf *out)
{
	size_t n;
	const struct kt_pattern *patterns = kt_pattern_table(&n);

	kt_buf_puts(out, "# What may be asserted of a series\n\n"
			 "Made from the tables of `assertions/` by "
			 "`tests/unit/assertions/test_catalog.c`, which "
			 "judges every column\nbelow (`KT_KEEP=1` writes it anew); do not edit. "
			 "`ktcoord patterns` "
			 "prints the same tables.\n\n"
			 "In a column E is a sample without a value; samples are 100 ms apart, or "
			 "at the time in ms "
			 "behind `@`; `#1` is a\nsample of step 1, `~1` one of the scheduler's "
			 "second life, and "
			 "behind `|` stands the other series.\n\n"
			 "## Patterns\n");
	for (size_t i = 0; i < n; i++) {
		kt_buf_printf(out, "\n### %s\n\n%s.\n\n", patterns[i].name, patterns[i].sentence);
		print_params(patterns[i].params, patterns[i].n_params, out);
		print_shown(shown_of(patterns[i].name), out);
	}
	kt_buf_puts(out, "\n## Options of every assertion\n\n");
	print_params(kt_assertion_options(), KT_ASSERTION_OPTION_N, out);
	for (size_t i = 0; i < sizeof(options) / sizeof(options[0]); i++) {
		kt_buf_printf(out, "%s### %s\n\n", i ? "\n" : "", options[i].pattern);
		print_shown(&options[i], out);
	}
	kt_buf_puts(
		out,
		"\n## Where assertions stand\n\n"
		"`[[scenario.assert]]`, `[[scheduler.assert]]` and `[[sweep.assert]]` take the "
		"same "
		"keys. A cell is judged by those\nof its sweep, its scheduler and its scenario; of "
		"one "
		"`name` the innermost wins, and with `off = true` it is not\njudged. `ktcoord plan "
		"--asserts` says what is judged, and where each comes from.\n\n"
		"`any_of = [{ ... }, { ... }]` passes with the first branch that passes, `all_of` "
		"when "
		"all do; what stands beside\nthem (series, min_samples, min_coverage, bridge, "
		"steps, "
		"reset) holds for every branch that does not say otherwise.\n\n"
		"`over` is judged once all repeats of a cell have ended: `\"all\"`, `\"any\"`, "
		"`{ at_least = 3 }` or `{ fraction = 0.9 }`,\nand of hosts with `of = \"hosts\"`. "
		"In each "
		"repeat it is a note; together they have a verdict of their own.\n\n"
		"A scenario with `expect = { outcome = \"fail\", cause = \"scheduler_stalled\", "
		"log = "
		"\"task*stall\" }` passes when it\nfails so. `examples/asserts.toml` shows all of "
		"it.\n");
	kt_buf_puts(
		out,
		"\n## Series made of series\n\n"
		"`series = { difference = [\"bpf:a\", { of = \"bpf:b\", unit = \"tasks\" }] }`: "
		"operands are series of any of these\nforms.\n\n"
		"| operation | meaning |\n|---|---|\n");
	for (enum kt_formula_operation i = 0; i < KT_FORMULA_OPERATION_N; i++)
		kt_buf_printf(out, "| `%s` | %s |\n", kt_formula_operation_name(i),
			      kt_formula_operation_sentence(i));
	kt_buf_puts(out, "\n## Why a sample has no value\n\n| error | meaning |\n|---|---|\n");
	for (int i = 0; i < KT_COLUMN_ERROR_N; i++)
		kt_buf_printf(out, "| %s | %s |\n",
			      kt_column_error_name((enum kt_column_error_type)i),
			      kt_column_error_sentence((enum kt_column_error_type)i));
}

Test(catalog, the_document_of_patterns_is_current)
{
	KT_AUTO_BUF text = { 0 };

	print_document(&text);
	kept_check("docs/patterns.md", &text, "Whoever reads it would be misled.");
}

/* ---- the fuzzer's dictionary ---- */

static void print_word(const char *word, struct kt_buf *out)
{
	KT_AUTO_BUF line = { 0 };
	size_t len = strlen(word);

	cr_assert_lt(len, 32u, "%s", word);
	kt_buf_printf(&line, "\"\\x%02zx%s\"\n", 0xa0 + len, word);
	if (!strstr(kt_buf_text(out), kt_buf_text(&line)))
		kt_buf_puts(out, kt_buf_text(&line));
}

static void print_words(const struct kt_param *params, size_t n, struct kt_buf *out)
{
	for (size_t i = 0; i < n; i++) {
		print_word(params[i].name, out);
		for (size_t k = 0; params[i].words && params[i].words[k]; k++)
			print_word(params[i].words[k], out);
	}
}

Test(catalog, the_fuzzers_dictionary_is_current)
{
	static const char *const others[] = { "unit",     "all",   "any",     "fraction",
					      "of",       "hosts", "repeats", "bpf:nr_dispatched",
					      "stats:a.b" };
	KT_AUTO_BUF dict = { 0 };
	size_t n;
	const struct kt_pattern *patterns = kt_pattern_table(&n);

	kt_buf_puts(&dict, "# assertion.dict - options, patterns and parameters as MessagePack "
			   "strings, for libFuzzer's -dict=\n"
			   "# made by tests/unit/assertions/test_catalog.c\n");
	print_words(kt_assertion_options(), KT_ASSERTION_OPTION_N, &dict);
	for (size_t i = 0; i < n; i++) {
		print_word(patterns[i].name, &dict);
		print_words(patterns[i].params, patterns[i].n_params, &dict);
	}
	for (enum kt_formula_operation i = 0; i < KT_FORMULA_OPERATION_N; i++)
		print_word(kt_formula_operation_name(i), &dict);
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++)
		print_word(others[i], &dict);
	kt_buf_puts(&dict, "\"\\xc3\"\n\"\\xcb\\x7f\\xf0\\x00\\x00\\x00\\x00\\x00\\x00\"\n"
			   "\"\\xcf\\xff\\xff\\xff\\xff\\xff\\xff\\xff\\xff\"\n");
	kept_check("tests/fuzz/assertion.dict", &dict, "The fuzzer would not know the new words.");
}
