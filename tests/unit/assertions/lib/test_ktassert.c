/* What a stranger can do with libktassert: only ktassert.h is included, as by one. */
#include "assertions/lib/ktassert.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* n samples, 100 ms apart; bpf:n is each of values. */
static struct kt_assert_series *series_of(const uint64_t *values, size_t n)
{
	struct kt_assert_series *series = kt_assert_series_new();

	for (size_t i = 0; i < n; i++) {
		char tag[32];
		struct kt_assert_sample *sample;

		snprintf(tag, sizeof(tag), "periodic_%03zu", i);
		sample = kt_assert_sample_new(tag, (int64_t)i * 100000000);
		kt_assert_sample_set_step(sample, (uint32_t)i);
		cr_assert_eq(kt_assert_sample_put_u64(sample, "bpf:n", values[i], NULL), 0);
		cr_assert_eq(kt_assert_sample_put_f64(sample, "stats:a.half", (double)values[i] / 2,
						      NULL),
			     0);
		cr_assert_eq(kt_assert_sample_put_i64(sample, "stats:a.minus", -1, NULL), 0);
		cr_assert_eq(kt_assert_series_add(series, &sample, NULL), 0);
		cr_assert_null(sample);
	}
	return series;
}

static enum kt_assert_outcome judged(const struct kt_assert_series *series, const char *assertion)
{
	struct kt_assert_verdict *verdict = kt_assert_verdict_new();
	struct kt_assert_error error = { 0 };
	enum kt_assert_outcome outcome;

	cr_assert_eq(kt_assert_judge(verdict, series, assertion, &error), 0, "%s: %s", assertion,
		     error.text);
	outcome = kt_assert_verdict_outcome(verdict);
	kt_assert_verdict_destroy(&verdict);
	cr_assert_null(verdict);
	return outcome;
}

Test(ktassert, a_series_of_ones_own_is_judged_exactly)
{
	static const uint64_t values[] = { 9007199254740992, 9007199254740993, 9007199254740994 };
	struct kt_assert_series *series = series_of(values, 3);

	cr_expect_eq(judged(series, "series = 'bpf:n', strictly_increasing = true"),
		     KT_ASSERT_PASS);
	cr_expect_eq(judged(series, "series = 'bpf:n'\neach = { gt = 9007199254740992 }"),
		     KT_ASSERT_FAIL);
	cr_expect_eq(judged(series, "series = 'stats:a.minus', each = { eq = -1 }"),
		     KT_ASSERT_PASS);
	cr_expect_eq(judged(series, "series = 'bpf:other', nondecreasing = true"),
		     KT_ASSERT_INCONCLUSIVE);
	cr_expect_eq(judged(series, "series = 'bpf:n', any_of = [{ each = { lt = 1 } }, "
				    "{ nondecreasing = true }]"),
		     KT_ASSERT_PASS);
	kt_assert_series_destroy(&series);
}

Test(ktassert, a_file_gives_back_what_was_written)
{
	static const uint64_t values[] = { 1, 2, UINT64_MAX };
	struct kt_assert_series *series = series_of(values, 3);
	struct kt_assert_series *back;
	struct kt_assert_column *column;
	struct kt_assert_sample *sample = kt_assert_sample_new("mine", 500000000);
	struct kt_assert_error error = { 0 };
	char path[] = "/tmp/kt-test-series.XXXXXX";

	close(mkstemp(path));
	kt_assert_series_set_cell(series, "a/b/c/d#0");
	kt_assert_sample_set_placeholder(sample, "deadline");
	kt_assert_sample_set_epoch(sample, 1);
	cr_assert_eq(kt_assert_sample_fail(sample, "bpf", "unmapped", "nothing there", NULL), 0);
	cr_assert_eq(kt_assert_series_add(series, &sample, NULL), 0);
	cr_assert_eq(kt_assert_series_write(series, path, &error), 0, "%s", error.text);
	cr_assert_eq(kt_assert_series_read(path, &back, &error), 0, "%s", error.text);
	unlink(path);
	cr_expect_str_eq(kt_assert_series_cell(back), "a/b/c/d#0");
	cr_expect_str_eq(kt_assert_series_cause(back), "");
	cr_expect_str_eq(kt_assert_series_line(back), "");
	cr_assert_eq(kt_assert_series_size(back), 4);
	cr_expect_str_eq(kt_assert_series_tag(back, 1), "periodic_001");
	cr_expect_eq(kt_assert_series_elapsed_ns(back, 2), 200000000);
	cr_expect_eq(kt_assert_series_step(back, 2), 2);
	cr_expect_eq(kt_assert_series_epoch(back, 3), 1);
	cr_expect_str_eq(kt_assert_series_placeholder(back, 0), "");
	cr_expect_str_eq(kt_assert_series_placeholder(back, 3), "deadline");
	cr_assert_eq(kt_assert_column_of(back, "bpf:n", &column, &error), 0, "%s", error.text);
	cr_assert_eq(kt_assert_column_size(column), 4);
	cr_expect_str_eq(kt_assert_column_label(column), "bpf:n");
	cr_expect_eq(kt_assert_column_kind(column, 2), KT_ASSERT_U64);
	cr_expect_eq(kt_assert_column_u64(column, 2), UINT64_MAX);
	cr_expect_eq(kt_assert_column_kind(column, 3), KT_ASSERT_MISSING);
	cr_expect_eq(kt_assert_column_elapsed_ns(column, 3), 500000000);
	cr_expect(strstr(kt_assert_column_missing(column, 3), "deadline"), "%s",
		  kt_assert_column_missing(column, 3));
	kt_assert_column_destroy(&column);
	kt_assert_series_destroy(&series);
	kt_assert_series_destroy(&back);
}

Test(ktassert, columns_are_judged_like_the_series_they_came_from)
{
	static const uint64_t values[] = { 100, 200, 150 };
	struct kt_assert_series *series = series_of(values, 3);
	struct kt_assert_verdict *by_series = kt_assert_verdict_new();
	struct kt_assert_verdict *by_column = kt_assert_verdict_new();
	struct kt_assert_column *column;
	static const char assertion[] =
		"nondecreasing = true, ratio_within = { other = 'bpf:n', lo = 1, hi = 1 }";
	char whole[256];

	snprintf(whole, sizeof(whole), "series = 'bpf:n', %s", assertion);
	cr_assert_eq(kt_assert_column_of(series, "bpf:n", &column, NULL), 0);
	cr_assert_eq(kt_assert_judge(by_series, series, whole, NULL), 0);
	cr_assert_eq(kt_assert_judge_column(by_column, column, assertion, NULL), 0);
	cr_assert_eq(kt_assert_verdict_size(by_series), kt_assert_verdict_size(by_column));
	cr_assert_eq(kt_assert_verdict_outcome(by_column), KT_ASSERT_FAIL);
	for (size_t i = 0; i < kt_assert_verdict_size(by_series); i++) {
		cr_expect_str_eq(kt_assert_verdict_text(by_series, i),
				 kt_assert_verdict_text(by_column, i));
		cr_expect_str_eq(kt_assert_verdict_kind(by_series, i),
				 kt_assert_verdict_kind(by_column, i));
	}
	cr_expect_str_eq(kt_assert_verdict_text(by_column, 0),
			 "bpf:n (nondecreasing): fell at periodic_002 (+200 ms): 150 after 200 at "
			 "periodic_001 (+100 ms)");
	kt_assert_column_destroy(&column);
	kt_assert_verdict_destroy(&by_series);
	kt_assert_verdict_destroy(&by_column);
	kt_assert_series_destroy(&series);
}

Test(ktassert, a_column_made_of_others_carries_their_units)
{
	static const uint64_t values[] = { 0, 50, 150 };
	struct kt_assert_series *series = series_of(values, 3);
	struct kt_assert_column *rate;

	cr_assert_eq(kt_assert_column_of(series, "{ rate = { of = 'bpf:n', unit = 'tasks' } }",
					 &rate, NULL),
		     0);
	cr_assert_eq(kt_assert_column_size(rate), 2);
	cr_assert_eq(kt_assert_column_kind(rate, 1), KT_ASSERT_F64);
	cr_assert_float_eq(kt_assert_column_f64(rate, 1), 1000, 1e-9);
	kt_assert_column_destroy(&rate);
	kt_assert_series_destroy(&series);
}

Test(ktassert, a_rate_has_no_slot_for_the_first_sample_of_a_life)
{
	static const uint32_t epochs[] = { 0, 0, 1, 1 };
	static const char *const tags[] = { "a", "b", "c", "d" };
	struct kt_assert_series *series = kt_assert_series_new();
	struct kt_assert_column *rate;

	cr_assert_eq(kt_assert_column_of(series, "{ rate = 'bpf:n' }", &rate, NULL), 0);
	cr_expect_eq(kt_assert_column_size(rate), 0);
	kt_assert_column_destroy(&rate);
	for (size_t i = 0; i < 4; i++) {
		struct kt_assert_sample *sample =
			kt_assert_sample_new(tags[i], (int64_t)i * 1000000000);

		kt_assert_sample_set_epoch(sample, epochs[i]);
		cr_assert_eq(kt_assert_sample_put_u64(sample, "bpf:n", 10 * i, NULL), 0);
		cr_assert_eq(kt_assert_series_add(series, &sample, NULL), 0);
	}
	cr_assert_eq(kt_assert_column_of(series, "{ rate = 'bpf:n' }", &rate, NULL), 0);
	cr_assert_eq(kt_assert_column_size(rate), 2);
	cr_expect_str_eq(kt_assert_column_tag(rate, 0), "b");
	cr_expect_str_eq(kt_assert_column_tag(rate, 1), "d");
	cr_expect_eq(kt_assert_column_elapsed_ns(rate, 1), 3000000000);
	kt_assert_column_destroy(&rate);
	kt_assert_series_destroy(&series);
}

Test(ktassert, what_could_not_be_read_again_is_not_put)
{
	static const struct {
		const char *path;
		const char *says;
	} cases[] = {
		{ "stats:a[1]", "only names with dots" },
		{ "stats:a b", "no white space" },
		{ "stats:a.cpu(1)", "only names with dots" },
		{ "stats:a\nb", "no white space" },
		{ "bpf:n.x", "there is a value at 'bpf:n'" },
		{ "stats:tree", "has members" },
		{ "monitor:n", "the axis monitor has failed (deadline)" },
	};
	static const char *const no_words[] = { "", "two words", "tab\t", "line\n", "\x7f" };
	struct kt_assert_sample *sample = kt_assert_sample_new("a", 0);
	struct kt_assert_series *series = kt_assert_series_new();
	struct kt_assert_error error;
	struct kt_assert_column *column;

	cr_assert_eq(kt_assert_sample_put_u64(sample, "bpf:n", 1, NULL), 0);
	cr_assert_eq(kt_assert_sample_put_u64(sample, "bpf:n", 2, NULL), 0);
	cr_assert_eq(kt_assert_sample_put_u64(sample, "stats:tree.leaf", 3, NULL), 0);
	cr_assert_eq(kt_assert_sample_fail(sample, "monitor", "deadline", "too slow", NULL), 0);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cr_expect_eq(kt_assert_sample_put_u64(sample, cases[i].path, 9, &error), -EINVAL,
			     "%s", cases[i].path);
		cr_expect(strstr(error.text, cases[i].says), "%s: %s", cases[i].path, error.text);
	}
	for (size_t i = 0; i < sizeof(no_words) / sizeof(no_words[0]); i++)
		cr_expect_eq(kt_assert_sample_fail(sample, "bpf", no_words[i], "", &error),
			     -EINVAL);
	cr_assert_eq(kt_assert_series_add(series, &sample, &error), 0);
	cr_assert_eq(kt_assert_column_of(series, "bpf:n", &column, &error), 0);
	cr_expect_eq(kt_assert_column_u64(column, 0), 2);
	kt_assert_column_destroy(&column);
	cr_assert_eq(kt_assert_column_of(series, "stats:tree.leaf", &column, &error), 0);
	cr_expect_eq(kt_assert_column_u64(column, 0), 3);
	kt_assert_column_destroy(&column);
	kt_assert_series_destroy(&series);
}

Test(ktassert, an_earlier_error_is_gone_after_each_call)
{
	struct kt_assert_error error;
	struct kt_assert_series *series = kt_assert_series_new();
	struct kt_assert_series *back;
	struct kt_assert_verdict *verdict = kt_assert_verdict_new();
	struct kt_assert_sample *sample = kt_assert_sample_new("a", 0);
	struct kt_assert_column *column;
	char path[] = "/tmp/kt-test-series.XXXXXX";

	close(mkstemp(path));
#define CLEARS(call_)                                                              \
	do {                                                                       \
		error = (struct kt_assert_error){ .code = EIO, .text = "before" }; \
		cr_assert_eq(call_, 0);                                            \
		cr_expect_eq(error.code, 0, #call_);                               \
		cr_expect_str_eq(error.text, "", #call_);                          \
	} while (0)
	CLEARS(kt_assert_sample_put_u64(sample, "bpf:n", 1, &error));
	CLEARS(kt_assert_sample_fail(sample, "stats", "deadline", "", &error));
	CLEARS(kt_assert_series_add(series, &sample, &error));
	CLEARS(kt_assert_series_write(series, path, &error));
	CLEARS(kt_assert_series_read(path, &back, &error));
	CLEARS(kt_assert_column_of(back, "bpf:n", &column, &error));
	CLEARS(kt_assert_judge(verdict, back, "series = 'bpf:n', nondecreasing = true", &error));
	CLEARS(kt_assert_judge_column(verdict, column, "nondecreasing = true", &error));
#undef CLEARS
	unlink(path);
	kt_assert_column_destroy(&column);
	kt_assert_verdict_destroy(&verdict);
	kt_assert_series_destroy(&back);
	kt_assert_series_destroy(&series);
}

Test(ktassert, a_column_of_ones_own_says_its_label)
{
	struct kt_assert_column *column = kt_assert_column_new("waiting", "tasks");
	struct kt_assert_verdict *verdict = kt_assert_verdict_new();
	struct kt_assert_error error = { 0 };

	kt_assert_column_add_u64(column, "a", 0, 5);
	kt_assert_column_add_i64(column, "b", 1000000, -3);
	kt_assert_column_add_f64(column, "c", 2000000, 0.5);
	kt_assert_column_add_missing(column, "d", 3000000, "nobody looked");
	cr_assert_eq(kt_assert_column_kind(column, 1), KT_ASSERT_I64);
	cr_assert_eq(kt_assert_column_i64(column, 1), -3);
	cr_assert_eq(kt_assert_judge_column(verdict, column, "nondecreasing = true", &error), 0,
		     "%s", error.text);
	cr_assert_eq(kt_assert_verdict_outcome(verdict), KT_ASSERT_FAIL);
	cr_expect_str_eq(kt_assert_verdict_text(verdict, 0),
			 "waiting [tasks] (nondecreasing): fell at b (+1 ms): -3 after 5 at a (+0 "
			 "ms)");
	cr_expect_str_eq(kt_assert_verdict_name(verdict, 0), "waiting");
	cr_assert_eq(kt_assert_judge_column(verdict, column,
					    "ratio_within = { other = 'bpf:n', lo = 0, hi = 1 }",
					    &error),
		     -EINVAL);
	cr_expect(strstr(error.text, "wants a second series"), "%s", error.text);
	cr_assert_eq(kt_assert_judge_column(verdict, column, "any_of = [{ nondecreasing = true }]",
					    &error),
		     -EINVAL);
	kt_assert_verdict_destroy(&verdict);
	kt_assert_column_destroy(&column);
}

Test(ktassert, what_is_wrong_is_said_and_adds_nothing)
{
	static const struct {
		const char *assertion;
		const char *says;
	} cases[] = {
		{ "series = 'bpf:n', nondecresing = true", "did you mean 'nondecreasing'" },
		{ "series = 'bpf:n'", "nothing is asked" },
		{ "nondecreasing = true", "series is missing" },
		{ "series = 'bpf:n', each = { at_most = 'x' }", "must be a number" },
		{ "series = 'bpf:n' nondecreasing = true", "1:18: ',' or a new line" },
		{ "series = 'bpf:n', nondecreasing = true, over = 'any'", "for a matrix only" },
		{ "series = 'bfp:n', nondecreasing = true", "bpf" },
	};
	struct kt_assert_series *series = kt_assert_series_new();
	struct kt_assert_verdict *verdict = kt_assert_verdict_new();
	struct kt_assert_sample *sample = kt_assert_sample_new("a", 0);
	struct kt_assert_column *column;
	struct kt_assert_series *none;
	struct kt_assert_error error = { 0 };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		cr_expect_eq(kt_assert_judge(verdict, series, cases[i].assertion, &error), -EINVAL);
		cr_expect_eq(error.code, EINVAL);
		cr_expect(strstr(error.text, cases[i].says), "%s: %s", cases[i].assertion,
			  error.text);
	}
	cr_expect_eq(kt_assert_verdict_size(verdict), 0);
	cr_expect_eq(kt_assert_verdict_outcome(verdict), KT_ASSERT_PASS);
	cr_expect_eq(kt_assert_column_of(series, "bpf n", &column, &error), -EINVAL);
	cr_expect_null(column);
	cr_expect_eq(kt_assert_sample_put_u64(sample, "bpff:n", 1, &error), -EINVAL);
	cr_expect(strstr(error.text, "did you mean 'bpf'"), "%s", error.text);
	cr_expect_eq(kt_assert_sample_put_u64(sample, "bpf:a..b", 1, &error), -EINVAL);
	cr_expect_eq(kt_assert_sample_put_u64(sample, "bpf", 1, &error), -EINVAL);
	cr_expect_eq(kt_assert_series_read("/nonexistent", &none, &error), -ENOENT);
	cr_expect_eq(kt_assert_series_parse("what", 4, &none, &error), -EPROTO);
	cr_expect_null(none);
	kt_assert_sample_destroy(&sample);
	kt_assert_verdict_destroy(&verdict);
	kt_assert_series_destroy(&series);
}

Test(ktassert, the_highest_outcome_wins_and_notes_never_do)
{
	struct kt_assert_verdict *verdict = kt_assert_verdict_new();
	struct kt_assert_verdict *other = kt_assert_verdict_new();

	kt_assert_verdict_say(verdict, KT_ASSERT_NOTE, "", "nothing much");
	cr_expect_eq(kt_assert_verdict_outcome(verdict), KT_ASSERT_PASS);
	kt_assert_verdict_say(other, KT_ASSERT_FAIL, "mine", "%d is too many\nby far", 5);
	kt_assert_verdict_merge_notes(verdict, other);
	cr_expect_eq(kt_assert_verdict_outcome(verdict), KT_ASSERT_PASS);
	kt_assert_verdict_merge(verdict, other);
	cr_expect_eq(kt_assert_verdict_outcome(verdict), KT_ASSERT_FAIL);
	cr_assert_eq(kt_assert_verdict_size(verdict), 3);
	cr_expect_eq(kt_assert_verdict_outcome_of(verdict, 1), KT_ASSERT_NOTE);
	cr_expect_str_eq(kt_assert_verdict_text(verdict, 2), "5 is too many by far");
	cr_expect_str_eq(kt_assert_verdict_name(verdict, 2), "mine");
	cr_expect_str_eq(kt_assert_verdict_kind(verdict, 2), "Plugin");
	kt_assert_verdict_destroy(&verdict);
	kt_assert_verdict_destroy(&other);
}
