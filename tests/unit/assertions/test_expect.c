#include "assertions/expect.h"
#include "fixture.h"

#include <errno.h>

Test(expect, a_piece_of_a_line_matches_with_stars)
{
	static const struct {
		const char *pattern;
		const char *line;
		bool matches;
	} rows[] = {
		{ "stall", "runnable task stall (3.1s)", true },
		{ "stall", "runnable task", false },
		{ "runnable*stall", "runnable task stall", true },
		{ "stall*runnable", "runnable task stall", false },
		{ "a*b*c", "xxaxxbxxcxx", true },
		{ "a*b*c", "xxaxxcxxbxx", false },
		{ "aab", "aaab", true },
		{ "a*aab", "aaaab", true },
		{ "*", "", true },
		{ "x", "", false },
		{ "**x", "x", true },
		{ "x*", "x", true },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_assert_eq(kt_expect_matches(rows[i].pattern, rows[i].line, strlen(rows[i].line)),
			     rows[i].matches, "'%s' in '%s'", rows[i].pattern, rows[i].line);
}

/* n pass or fail as "pass", "fail", "inconclusive" */
Test(expect, only_the_expected_failure_is_a_pass)
{
	static const struct {
		const char *expect;
		enum kt_verdict_outcome found;
		const char *cause;
		const char *evidence;
		enum kt_verdict_outcome outcome;
		const char *says;
	} rows[] = {
		{ "'fail'", KT_VERDICT_FAIL, "scheduler_stalled", "", KT_VERDICT_PASS,
		  "failed as expected: it was so" },
		{ "'fail'", KT_VERDICT_FAIL, "finished", "", KT_VERDICT_PASS, NULL },
		{ "'fail'", KT_VERDICT_PASS, "finished", "", KT_VERDICT_FAIL,
		  "expected to fail, but the outcome is pass: it was so" },
		{ "'fail'", KT_VERDICT_INCONCLUSIVE, "finished", "", KT_VERDICT_FAIL,
		  "but the outcome is inconclusive" },
		{ "'fail'", KT_VERDICT_SKIP, "finished", "", KT_VERDICT_FAIL, "outcome is skip" },
		{ "{outcome 'fail', cause 'scheduler_stalled'}", KT_VERDICT_FAIL,
		  "scheduler_stalled", "", KT_VERDICT_PASS, NULL },
		{ "{cause 'scheduler_stalled'}", KT_VERDICT_FAIL, "kernel_panic", "",
		  KT_VERDICT_FAIL,
		  "expected to fail as scheduler_stalled, but the cause is kernel_panic: it was "
		  "so" },
		{ "{cause 'scheduler_stalled'}", KT_VERDICT_PASS, "finished", "", KT_VERDICT_FAIL,
		  "expected to fail as scheduler_stalled, but the outcome is pass" },
		{ "{cause 'finished'}", KT_VERDICT_FAIL, "finished", "", KT_VERDICT_PASS, NULL },
		{ "{log 'task stall'}", KT_VERDICT_FAIL, "scheduler_stalled",
		  "first\nrunnable task stall\nlast", KT_VERDICT_PASS, NULL },
		{ "{log 'first*stall'}", KT_VERDICT_FAIL, "scheduler_stalled",
		  "first\nrunnable task stall", KT_VERDICT_FAIL,
		  "failed as expected, but no line says 'first*stall': it was so" },
		{ "{log 'the line'}", KT_VERDICT_FAIL, "scheduler_stalled", "", KT_VERDICT_PASS,
		  NULL },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		KT_AUTO_ARENA arena = { 0 };
		struct kt_value value = fixture_value(&arena, rows[i].expect);
		const struct kt_msg_result result = { .cause = rows[i].cause,
						      .line = "this is the line",
						      .evidence = rows[i].evidence };
		struct kt_place place = { 0 };
		struct kt_expect expect;
		struct kt_verdict found;
		struct kt_verdict verdict;
		struct kt_err err = { 0 };

		cr_assert_eq(kt_expect_read(&value, &arena, &place, &expect, &err), 0, "%s",
			     err.text);
		kt_verdict_init(&found, &arena);
		kt_verdict_init(&verdict, &arena);
		kt_verdict_say(&found, rows[i].found, KT_VERDICT_KIND_TEMPORAL, "x", "it was so");
		kt_expect_judge(&expect, &result, &found, &verdict);
		cr_assert_eq(kt_verdict_outcome(&verdict), rows[i].outcome, "%s: %s",
			     rows[i].expect, fixture_all(&arena, &verdict));
		cr_assert_eq(verdict.n, 2, "what was found is kept");
		if (rows[i].says)
			cr_assert(fixture_says(&verdict, rows[i].outcome, rows[i].says), "%s: %s",
				  rows[i].expect, fixture_all(&arena, &verdict));
	}
}

static const char *repeated(struct kt_arena *arena, size_t n)
{
	char *text = kt_arena_alloc(arena, n + 1, 1);

	memset(text, 'x', n);
	return text;
}

Test(expect, mistakes_are_refused_with_their_place)
{
	KT_AUTO_ARENA arena = { 0 };
	const struct {
		const char *expect;
		const char *says; /* NULL: it is right */
		const char *path;
		bool at_key;
	} rows[] = {
		{ "'pass'", "what can be expected is \"fail\"", "", false },
		{ "3", "what can be expected", "", false },
		{ "{outcome 'pass'}", "what can be expected", "outcome", false },
		{ "{outcome 3}", "what can be expected", "outcome", false },
		{ "{cause 'guest_om'}", "did you mean 'guest_oom'?", "cause", false },
		{ "{cause 3}", "cause must be a text, not integer", "cause", false },
		{ "{cause 'cancelled'}", "never a result", "cause", false },
		{ "{cause 'qemu_died'}", "never a result", "cause", false },
		{ "{cause 'scenario_unsupported'}", "no failure: the cell is skipped", "cause",
		  false },
		{ "{outcome 'fail', cause 'nobody'}", "unknown cause", "cause", false },
		{ "{log ''}", "log must be a text of 1 to 128 bytes", "log", false },
		{ "{log 3}", "log must be a text", "log", false },
		{ "{log 'a\tb'}", "without control characters", "log", false },
		{ "{lgo 'x'}", "did you mean 'log'?", "lgo", true },
		{ "{outcome 'fail', lgo 'x'}", "did you mean 'log'?", "lgo", true },
		{ kt_arena_printf(&arena, "{log '%s'}", repeated(&arena, 128)), NULL, "", false },
		{ kt_arena_printf(&arena, "{log '%s'}", repeated(&arena, 129)), "1 to 128 bytes",
		  "log", false },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct kt_value value = fixture_value(&arena, rows[i].expect);
		struct kt_place place = { 0 };
		struct kt_expect expect;
		struct kt_err err = { 0 };
		int status = kt_expect_read(&value, &arena, &place, &expect, &err);

		cr_assert_eq(status, rows[i].says ? -EINVAL : 0, "%s", rows[i].expect);
		if (!rows[i].says)
			continue;
		cr_assert(strstr(err.text, rows[i].says), "%s: %s", rows[i].expect, err.text);
		cr_assert_eq(err.fault, KT_FAULT_INPUT);
		cr_assert_str_eq(place.path, rows[i].path, "%s", rows[i].expect);
		cr_assert_eq(place.at_key, rows[i].at_key, "%s", rows[i].expect);
	}
}

Test(expect, all_that_is_given_is_kept)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_value value =
		fixture_value(&arena, "{outcome 'fail', cause 'guest_oom', log 'killed'}");
	struct kt_place place = { 0 };
	struct kt_expect expect;

	cr_assert_eq(kt_expect_read(&value, &arena, &place, &expect, NULL), 0);
	cr_assert_str_eq(expect.cause, "guest_oom");
	cr_assert_str_eq(expect.log, "killed");
}
