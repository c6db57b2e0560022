#include "assertions/group.h"
#include "fixture.h"

/* A series of one counter, one digit each: "123". */
static void fill(struct kt_series *series, const char *digits)
{
	for (uint64_t seq = 0; digits[seq]; seq++) {
		KT_AUTO_ARENA arena = { 0 };
		KT_AUTO_BUF body = { 0 };
		struct kt_value map = kt_value_map(&arena, 1);

		map.pairs[0] =
			(struct kt_value_pair){ "n", kt_value_u64((uint64_t)(digits[seq] - '0')) };
		fixture_body(seq, 100 * (int64_t)seq, "", "stats", digits[seq] == 'E' ? NULL : &map,
			     digits[seq] == 'E'   ? "deadline"
			     : digits[seq] == 'S' ? KT_PROJECTION_NOT_APPLICABLE
						  : "",
			     &body);
		cr_assert_eq(kt_series_append(series, body.data, body.len, NULL), 0);
	}
}

/* repeats: "host digits" separated by ';'; digits "-": it has no series. */
static void judge(struct kt_arena *arena, const char *assertion, const char *repeats,
		  struct kt_msg_verdict *verdict)
{
	struct kt_assertion built;
	const struct kt_assertion *list[] = { &built };
	struct kt_group group;
	char *copy = kt_arena_strdup(arena, repeats);
	char *rest = NULL;
	struct kt_err err = { 0 };

	cr_assert(fixture_assertion(arena, assertion, &built, &err), "%s", err.text);
	cr_assert_eq(kt_assertion_check(&built, &err), 0, "%s", err.text);
	cr_assert(kt_group_wanted(list, 1));
	kt_group_init(&group, list, 1);
	for (char *row = strtok_r(copy, ";", &rest); row; row = strtok_r(NULL, ";", &rest)) {
		KT_AUTO_SERIES series = { 0 };
		char host[8];
		char digits[16];

		cr_assert_eq(sscanf(row, "%7s %15s", host, digits), 2);
		if (*digits != '-')
			fill(&series, digits);
		kt_group_add(&group, host, *digits == '-' ? NULL : &series);
	}
	kt_group_finish(&group, arena, verdict);
	kt_group_destroy(&group);
}

Test(group, repeats_are_judged_together)
{
	static const struct {
		const char *over;
		const char *repeats;
		const char *outcome;
		const char *says; /* the first detail */
	} rows[] = {
		{ "'all'", "a 12;a 23;b 34", "pass",
		  "stats:n (over all repeats): holds in 3 of 3, fails in 0, unknown in 0" },
		{ "'all'", "a 12;a 21;b 34", "fail",
		  "stats:n (over all repeats): holds in 2 of 3, fails in 1, unknown in 0" },
		{ "'any'", "a 21;a 21;b 34", "pass", NULL },
		{ "'any'", "a 21;a 21;b 43", "fail", NULL },
		{ "'any'", "a 21;a -;b 43", "inconclusive",
		  "stats:n (over any of the repeats): holds in 0 of 3, fails in 2, unknown in 1" },
		{ "{at_least 2}", "a 21;a 12;b 34", "pass", NULL },
		{ "{at_least 2}", "a 21;a 12;b EE", "inconclusive", NULL },
		{ "{at_least 2}", "a 21;a 12;b 43", "fail", NULL },
		{ "{at_least 2}", "a 12;a 12;b -", "pass", NULL },
		{ "{fraction 0.6}", "a 12;a 12;b 21", "pass", NULL },
		{ "{fraction 0.7}", "a 12;a 12;b 21", "fail", NULL },
		/* a host holds when all of its repeats do */
		{ "{at_least 1, of 'hosts'}", "a 12;b 21;a 21", "fail",
		  "stats:n (over at least 1 hosts): holds in 0 of 2, fails in 2, unknown in 0" },
		{ "{at_least 1, of 'hosts'}", "a 12;b 21;a 23", "pass", NULL },
		{ "{at_least 1, of 'hosts'}", "a 12;b 21;a -", "inconclusive", NULL },
		{ "{fraction 0.5, of 'hosts'}", "a 21;a 21;a 21;b 12", "pass", NULL },
		/* what does not apply is not counted */
		{ "'all'", "a 12;a SS", "pass", "stats:n (over all repeats): holds in 1 of 1" },
		{ "'all'", "a SS;b SS", "skip", NULL },
		{ "{at_least 1, of 'hosts'}", "a SS;b 12", "pass",
		  "stats:n (over at least 1 hosts): holds in 1 of 1" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		KT_AUTO_ARENA arena = { 0 };
		struct kt_msg_verdict verdict;

		judge(&arena,
		      kt_arena_printf(&arena, "series='stats:n' nondecreasing=true over=%s",
				      rows[i].over),
		      rows[i].repeats, &verdict);
		cr_assert_str_eq(verdict.outcome, rows[i].outcome, "%s over [%s]: %s", rows[i].over,
				 rows[i].repeats, verdict.details[0].text);
		cr_assert_str_eq(verdict.details[0].kind, "Over");
		if (rows[i].says)
			cr_assert_eq(strncmp(verdict.details[0].text, rows[i].says,
					     strlen(rows[i].says)),
				     0, "%s", verdict.details[0].text);
	}
}

Test(group, the_worst_repeat_is_quoted_with_the_reason)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_msg_verdict verdict;

	judge(&arena,
	      "series='stats:n' name='up' nondecreasing=true over='all' because='it counts'",
	      "a -;a 21;b 31", &verdict);
	cr_assert_eq(verdict.n_details, 3);
	cr_assert_str_eq(
		verdict.details[1].text,
		"up: e.g. up (nondecreasing): fell at periodic_001 (+100 ms): 1 after 2 at "
		"periodic_000 (+0 ms)");
	cr_assert_str_eq(verdict.details[2].text, "up: it must hold because it counts");
	cr_assert_str_eq(verdict.details[0].assertion, "up");
}

Test(group, the_first_of_equals_is_quoted_and_a_pass_needs_no_words)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_msg_verdict verdict;

	judge(&arena, "series='stats:n' nondecreasing=true over='all'", "a 21;a 31;a 12", &verdict);
	cr_assert_eq(verdict.n_details, 2);
	cr_assert(strstr(verdict.details[1].text, "1 after 2"));
	judge(&arena, "series='stats:n' nondecreasing=true over='all' because='x'", "a 12;a 13",
	      &verdict);
	cr_assert_eq(verdict.n_details, 1);
	judge(&arena, "series='stats:n' nondecreasing=true over='any' because='x'", "a 12;a 31",
	      &verdict);
	cr_assert_eq(verdict.n_details, 2);
	cr_assert(strstr(verdict.details[1].text, "e.g. "));
}

Test(group, in_one_repeat_it_is_a_note)
{
	KT_AUTO_ARENA arena = { 0 };
	KT_AUTO_SERIES series = { 0 };
	const struct kt_msg_result result = { .cause = "finished", .line = "", .evidence = "" };
	struct kt_assertion built;
	const struct kt_assertion *list[] = { &built };
	struct kt_msg_verdict verdict;

	fill(&series, "21");
	cr_assert(fixture_assertion(&arena, "series='stats:n' nondecreasing=true over='any'",
				    &built, NULL));
	kt_judge_cell(list, 1, &series, NULL, &result, &arena, &verdict);
	cr_assert_str_eq(verdict.outcome, "pass");
	cr_assert_str_eq(verdict.details[0].text,
			 "stats:n: fail in this repeat; judged over any of the repeats");
	cr_assert_str_eq(verdict.details[1].outcome, "note");
	cr_assert(strstr(verdict.details[1].text, "fell at periodic_001"));
}

Test(group, is_not_wanted_without_over)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_assertion built[2];
	const struct kt_assertion *list[] = { &built[0], &built[1] };

	cr_assert(
		fixture_assertion(&arena, "series='stats:n' nondecreasing=true", &built[0], NULL));
	cr_assert(fixture_assertion(&arena, "name='x' over='any' off=true", &built[1], NULL));
	cr_assert_not(kt_group_wanted(list, 2));
}
