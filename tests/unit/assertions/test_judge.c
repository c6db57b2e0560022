#include "fixture.h"

#include <signal.h>

/* Values of the stats counter "nr", one sample each; -1: the axis has an error. */
static void fill(struct kt_series *series, const int *values, const size_t *order, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		size_t seq = order ? order[i] : i;
		KT_AUTO_ARENA arena = { 0 };
		KT_AUTO_BUF body = { 0 };
		struct kt_value map = kt_value_map(&arena, 1);

		map.pairs[0].key = "nr";
		map.pairs[0].value = kt_value_u64((uint64_t)values[seq]);
		fixture_body(seq, 3000 + 2000 * (int64_t)seq, "", "stats",
			     values[seq] < 0 ? NULL : &map, values[seq] < 0 ? "deadline" : "",
			     &body);
		cr_assert_eq(kt_series_append(series, body.data, body.len, NULL), 0);
	}
}

static const char *judge(struct kt_arena *arena, const char *const *texts, size_t n,
			 const struct kt_series *series, const char *cause, const char *line,
			 struct kt_msg_verdict *verdict)
{
	const struct kt_msg_result result = { .cause = cause, .line = line, .evidence = "" };
	struct kt_assertion *assertions = kt_arena_alloc(arena, n, sizeof(*assertions));
	const struct kt_assertion **list = kt_arena_alloc(arena, n, sizeof(*list));
	struct kt_err err = { 0 };

	for (size_t i = 0; i < n; i++) {
		cr_assert(fixture_assertion(arena, texts[i], &assertions[i], &err), "%s", err.text);
		cr_assert_eq(kt_assertion_check(&assertions[i], &err), 0, "%s", err.text);
		list[i] = &assertions[i];
	}
	kt_judge_cell(list, n, series, NULL, &result, arena, verdict);
	return verdict->outcome;
}

static const char *const temporal[] = {
	"series='stats:nr' nondecreasing=true must_progress=true min_samples=2",
	"series='stats:nr' name='limit' each={at_most 1000000000000}",
};

Test(judge, the_cause_comes_first_and_every_assertion_is_judged)
{
	static const struct {
		int values[4];
		size_t n;
		const char *cause;
		const char *line;
		const char *outcome;
		const char *first; /* begin of the first detail */
	} rows[] = {
		{ { 100, 250, 400 },
		  3,
		  "finished",
		  "",
		  "pass",
		  "stats:nr (nondecreasing): holds over 3 values" },
		{ { 100, 250, 200 },
		  3,
		  "finished",
		  "",
		  "fail",
		  "stats:nr (nondecreasing): fell at periodic_002 (+7000 ms): 200 after 250 at "
		  "periodic_001 (+5000 ms)" },
		{ { 0, 0, 0 },
		  3,
		  "finished",
		  "",
		  "fail",
		  "stats:nr (must_progress): stayed at 0 from periodic_000 (+3000 ms) to "
		  "periodic_002 (+7000 ms)" },
		{ { -1, -1, -1 },
		  3,
		  "finished",
		  "",
		  "inconclusive",
		  "stats:nr: 0 of 3 samples carry a value, min_samples asks for 2" },
		{ { 0 }, 0, "finished", "", "inconclusive", "stats:nr: 0 of 0 samples" },
		{ { 100, 250, 400 },
		  3,
		  "scheduler_stalled",
		  "runnable task stall (3.1s)",
		  "fail",
		  "scheduler_stalled: runnable task stall (3.1s)" },
		/* ended early: too few samples do not hide why */
		{ { 100 }, 1, "kernel_panic", "", "fail", "kernel_panic: read the console log" },
		{ { 0 },
		  0,
		  "scheduler_rejected",
		  "R1 invalid mem access",
		  "fail",
		  "scheduler_rejected: R1 invalid mem access" },
		{ { 250, 100 },
		  2,
		  "scheduler_stalled",
		  "stall",
		  "fail",
		  "scheduler_stalled: stall" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		KT_AUTO_ARENA arena = { 0 };
		KT_AUTO_SERIES series = { 0 };
		struct kt_msg_verdict verdict;
		const char *outcome;

		fill(&series, rows[i].values, NULL, rows[i].n);
		outcome =
			judge(&arena, temporal, 2, &series, rows[i].cause, rows[i].line, &verdict);
		cr_assert_str_eq(outcome, rows[i].outcome, "row %zu: %s: %s", i, outcome,
				 verdict.details[0].text);
		cr_assert_eq(strncmp(verdict.details[0].text, rows[i].first, strlen(rows[i].first)),
			     0, "row %zu: %s", i, verdict.details[0].text);
		if (strcmp(rows[i].cause, "finished") != 0) {
			cr_assert_str_eq(verdict.details[0].kind, "Cause");
			cr_assert_gt(verdict.n_details, 2, "evidence is kept beside the cause");
		}
	}
}

/* Neither what was asserted nor what was expected of it says anything of a cell that cannot be run. */
Test(judge, what_this_kernel_cannot_run_is_skipped_and_nothing_else_is_said)
{
	static const struct kt_expect fails = { 0 };
	static const struct {
		const char *line;
		const struct kt_expect *expect;
		const char *first;
	} rows[] = {
		{ "no deadline class", NULL, "scenario_unsupported: no deadline class" },
		{ "no deadline class", &fails, "scenario_unsupported: no deadline class" },
		{ "", NULL,
		  "scenario_unsupported: the guest's kernel lacks what the scenario needs" },
	};
	static const int values[] = { 100, 50 };
	KT_AUTO_ARENA arena = { 0 };
	KT_AUTO_SERIES series = { 0 };
	struct kt_assertion assertion;
	const struct kt_assertion *list[] = { &assertion };
	struct kt_verdict failed;
	const struct kt_verdict *beside[] = { &failed };

	fill(&series, values, NULL, 2);
	cr_assert(fixture_assertion(&arena, temporal[0], &assertion, NULL));
	kt_verdict_init(&failed, &arena);
	kt_verdict_say(&failed, KT_VERDICT_FAIL, KT_VERDICT_KIND_PLUGIN, "", "no");
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct kt_msg_result result = { .cause = "scenario_unsupported",
						      .line = rows[i].line,
						      .evidence = "" };
		struct kt_msg_verdict verdict;

		kt_judge_cell_beside(list, 1, &series, beside, 1, rows[i].expect, &result, &arena,
				     &verdict);
		cr_assert_str_eq(verdict.outcome, "skip");
		cr_assert_eq(verdict.n_details, 1);
		cr_assert_eq(strncmp(verdict.details[0].text, rows[i].first, strlen(rows[i].first)),
			     0, "%s", verdict.details[0].text);
		cr_assert_str_eq(verdict.details[0].kind, "Cause");
	}
}

Test(judge, each_of_those_beside_is_heard)
{
	KT_AUTO_ARENA arena = { 0 };
	KT_AUTO_SERIES series = { 0 };
	const struct kt_msg_result result = { .cause = "finished", .line = "", .evidence = "" };
	struct kt_verdict said[2];
	const struct kt_verdict *beside[] = { &said[0], &said[1] };
	struct kt_msg_verdict verdict;

	for (size_t i = 0; i < 2; i++)
		kt_verdict_init(&said[i], &arena);
	kt_verdict_say(&said[0], KT_VERDICT_PASS, KT_VERDICT_KIND_PLUGIN, "", "first");
	kt_verdict_say(&said[1], KT_VERDICT_FAIL, KT_VERDICT_KIND_PLUGIN, "", "second");
	kt_judge_cell_beside(NULL, 0, &series, beside, 2, NULL, &result, &arena, &verdict);
	cr_assert_str_eq(verdict.outcome, "fail");
	cr_assert_eq(verdict.n_details, 2);
	cr_assert_str_eq(verdict.details[0].text, "second");
	cr_assert_str_eq(verdict.details[1].text, "first");
	kt_judge_cell_beside(NULL, 0, &series, beside, 1, NULL, &result, &arena, &verdict);
	cr_assert_str_eq(verdict.outcome, "pass");
}

Test(judge, without_assertions_a_finished_cell_passes)
{
	KT_AUTO_ARENA arena = { 0 };
	KT_AUTO_SERIES series = { 0 };
	struct kt_msg_verdict verdict;

	cr_assert_str_eq(judge(&arena, NULL, 0, &series, "finished", "", &verdict), "pass");
	cr_assert_eq(verdict.n_details, 0);
	cr_assert_str_eq(judge(&arena, NULL, 0, &series, "guest_oom", "", &verdict), "fail");
	cr_assert_eq(verdict.n_details, 1);
}

Test(judge, what_cannot_apply_is_skipped)
{
	KT_AUTO_ARENA arena = { 0 };
	KT_AUTO_SERIES series = { 0 };
	struct kt_msg_verdict verdict;
	static const char *const bpf[] = { "series='bpf:nr' nondecreasing=true min_samples=2" };

	for (uint64_t seq = 0; seq < 3; seq++) {
		KT_AUTO_BUF body = { 0 };

		fixture_body(seq, 0, "", "bpf", NULL, KT_PROJECTION_NOT_APPLICABLE, &body);
		cr_assert_eq(kt_series_append(&series, body.data, body.len, NULL), 0);
	}
	cr_assert_str_eq(judge(&arena, bpf, 1, &series, "finished", "", &verdict), "skip");
	cr_assert_str_eq(verdict.details[0].text,
			 "bpf:nr: does not apply: NotApplicable: bpf:nr: the cell has nothing to "
			 "read there");
}

/* The verdict's bytes, for every order in which three samples can arrive. */
Test(judge, a_second_series_is_read_from_the_same_samples)
{
	static const struct {
		const char *assertion;
		const char *outcome;
		const char *first;
	} rows[] = {
		{ "series='stats:nr' ratio_within={other 'stats:nr', lo 1, hi 1}", "pass",
		  "stats:nr (ratio_within other stats:nr, lo 1, hi 1): holds over 3 values" },
		{ "series='stats:nr' nondecreasing=true ratio_within={other 'stats:nr', lo 2, hi "
		  "3}",
		  "fail",
		  "stats:nr (ratio_within other stats:nr, lo 2, hi 3): 1, below 2, at periodic_000 "
		  "(+3000 ms): 100 over 100 of stats:nr at periodic_000 (+3000 ms)" },
		{ "series='stats:nr' ratio_within={other 'stats:no', lo 1, hi 1}", "inconclusive",
		  "stats:no: 0 of 3 samples carry a value, min_coverage asks for 0.5" },
		{ "series='stats:nr' ratio_within={other 'bpf:nr', lo 1, hi 1}", "inconclusive",
		  "bpf:nr: 0 of 3 samples carry a value" },
	};
	static const int values[] = { 100, 250, 400 };
	KT_AUTO_SERIES series = { 0 };

	fill(&series, values, NULL, 3);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		KT_AUTO_ARENA arena = { 0 };
		struct kt_msg_verdict verdict;
		const char *outcome =
			judge(&arena, &rows[i].assertion, 1, &series, "finished", "", &verdict);

		cr_assert_str_eq(outcome, rows[i].outcome, "%s: %s", rows[i].assertion,
				 verdict.details[0].text);
		cr_assert_eq(strncmp(verdict.details[0].text, rows[i].first, strlen(rows[i].first)),
			     0, "%s: %s", rows[i].assertion, verdict.details[0].text);
	}
}

Test(judge, a_second_series_that_cannot_apply_skips_it)
{
	static const struct kt_column_error nothing = { KT_COLUMN_ERROR_NOT_APPLICABLE,
							"NotApplicable: bpf:y" };
	KT_AUTO_ARENA arena = { 0 };
	struct kt_column column = fixture_column(&arena, "1 2");
	struct kt_column_slot slots[2] = { column.slots[0], column.slots[1] };
	const struct kt_column other = { .slots = slots, .n = 2 };
	struct kt_assertion assertion;
	struct kt_verdict said;
	struct kt_err err = { 0 };

	cr_assert(fixture_assertion(&arena, "ratio_within={other 'bpf:y', lo 1, hi 1}", &assertion,
				    &err),
		  "%s", err.text);
	for (size_t i = 0; i < 2; i++)
		kt_column_slot_fail(&slots[i], &nothing);
	kt_verdict_init(&said, &arena);
	kt_judge_column(&assertion, &column, &other, &said);
	cr_assert_eq(kt_verdict_outcome(&said), KT_VERDICT_SKIP);
	cr_assert(fixture_says(&said, KT_VERDICT_SKIP, "does not apply: NotApplicable: bpf:y"));
}

Test(judge, branches_of_a_group)
{
	static const struct {
		const char *assertion;
		const char *outcome;
		const char *first;
	} rows[] = {
		/* the first branch that passes wins, and the others are not even mentioned */
		{ "series='stats:nr' any_of=[{each {at_most 1}}; {nondecreasing true}]", "pass",
		  "stats:nr (nondecreasing): holds over 3 values" },
		{ "series='stats:nr' name='x' any_of=[{each {at_most 1}}; {each {at_most 2}}]",
		  "fail",
		  "x: none of 2 branches holds; the first: stats:nr (each at_most 1): above 1 at" },
		{ "series='stats:nr' any_of=[{each {at_most 1}}; {min_samples 9}]", "fail",
		  "any_of: none of 2 branches holds" },
		{ "series='stats:nr' any_of=[{min_samples 8}; {min_samples 9}]", "inconclusive",
		  "any_of: none of 2 branches holds" },
		{ "series='stats:nr' all_of=[{nondecreasing true}; {must_progress true}]", "pass",
		  "stats:nr (nondecreasing): holds" },
		{ "series='stats:nr' all_of=[{nondecreasing true}; {each {at_most 399}}]", "fail",
		  "stats:nr (each at_most 399): above 399" },
		{ "series='stats:nr' all_of=[{nondecreasing true}; {min_samples 9}]",
		  "inconclusive", "stats:nr: 3 of 3 samples" },
		{ "series='stats:nr' any_of=[{all_of [{each {gt 0}}; {each {gt 100}}]}; {each {lt "
		  "401}}]",
		  "pass", "stats:nr (each lt 401): holds" },
		{ "name='x' off=true", "pass", NULL },
	};
	static const int values[] = { 100, 250, 400 };
	KT_AUTO_SERIES series = { 0 };

	fill(&series, values, NULL, 3);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		KT_AUTO_ARENA arena = { 0 };
		struct kt_msg_verdict verdict;
		const char *outcome =
			judge(&arena, &rows[i].assertion, 1, &series, "finished", "", &verdict);

		cr_assert_str_eq(outcome, rows[i].outcome, "%s", rows[i].assertion);
		if (!rows[i].first)
			cr_assert_eq(verdict.n_details, 0);
		else
			cr_assert_eq(strncmp(verdict.details[0].text, rows[i].first,
					     strlen(rows[i].first)),
				     0, "%s: %s", rows[i].assertion, verdict.details[0].text);
	}
}

Test(judge, who_looks_sees_the_column_and_what_offends)
{
	static const struct {
		const char *assertion;
		const char *marks; /* one letter a slot: . nothing, ? unknown, ! fails */
	} rows[] = {
		{ "series='stats:nr' nondecreasing=true", "...!" },
		{ "series='stats:nr' each={at_most 250}", "..!." },
		{ "series='stats:nr' each={at_most 99}", "!!!!" },
		{ "series={rate 'stats:nr'} each={at_least 0}", "..!" },
		{ "series='stats:nr' eventually={gt 400, within_ms 9000}", "...!" },
		{ "series='stats:nr' always={at_most 250}", "..!." },
		{ "series='stats:nr' converges_to={target 9, tol 0, deadline_ms 99999}", "...!" },
		{ "series='stats:nr' ratio_within={other 'stats:nr', lo 2, hi 2}", "!!!!" },
		{ "series='stats:nr' ratio_across_steps={early 0, late 1, at_most 2}", "...." },
	};
	static const int values[] = { 100, 250, 400, 200 };
	KT_AUTO_SERIES series = { 0 };

	fill(&series, values, NULL, 4);
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		KT_AUTO_ARENA arena = { 0 };
		struct kt_assertion assertion;
		struct kt_verdict said;
		struct kt_judge_seen seen;
		char marks[8] = "";

		cr_assert(fixture_assertion(&arena, rows[i].assertion, &assertion, NULL));
		kt_verdict_init(&said, &arena);
		kt_judge_look(&assertion, &series, &arena, &seen, &said);
		for (size_t k = 0; k < seen.column.n; k++)
			marks[k] = ".?!"[seen.marks[k]];
		cr_assert_str_eq(marks, rows[i].marks, "%s", rows[i].assertion);
	}
}

/* What the column points to lives as long as what was seen. */
Test(judge, who_looks_sees_why_there_is_no_value)
{
	static const int values[] = { 100, -1, 400 };
	KT_AUTO_ARENA arena = { 0 };
	KT_AUTO_SERIES series = { 0 };
	struct kt_assertion assertion;
	struct kt_verdict said;
	struct kt_judge_seen seen;

	fill(&series, values, NULL, 3);
	cr_assert(fixture_assertion(&arena, "series='stats:nr' each={at_most 1000}", &assertion,
				    NULL));
	kt_verdict_init(&said, &arena);
	kt_judge_look(&assertion, &series, &arena, &seen, &said);
	for (size_t i = 0; i < 1000; i++) /* what was freed is written over */
		free(memset(kt_must_calloc(1, 100 + i), 'x', 100 + i));
	cr_assert_eq(seen.column.n, 3);
	cr_assert_eq(seen.marks[1], KT_PATTERN_MARK_FAIL);
	cr_assert_eq(seen.column.slots[1].error->type, KT_COLUMN_ERROR_AXIS_ERROR);
	cr_assert(strstr(seen.column.slots[1].error->text, "deadline"));
}

Test(judge, the_verdict_does_not_depend_on_how_the_series_arrived)
{
	static const int columns[][4] = { { 1, 2, 3, 4 }, { 4, 3, 2, 1 },    { 5, -1, 3, 3 },
					  { 0, 0, 0, 0 }, { -1, -1, -1, 4 }, { 1, 1, -1, 2 } };

	for (size_t c = 0; c < sizeof(columns) / sizeof(columns[0]); c++) {
		KT_AUTO_BUF wanted = { 0 };

		for (size_t which = 0; which < 24; which++) {
			KT_AUTO_ARENA arena = { 0 };
			KT_AUTO_SERIES series = { 0 };
			KT_AUTO_BUF bytes = { 0 };
			struct kt_msg_verdict verdict;
			size_t order[4];
			size_t left[4] = { 0, 1, 2, 3 };
			size_t rest = which;

			for (size_t i = 0; i < 4; i++) {
				size_t at = rest % (4 - i);

				rest /= 4 - i;
				order[i] = left[at];
				memmove(&left[at], &left[at + 1], (3 - i - at) * sizeof(left[0]));
			}
			fill(&series, columns[c], order, 4);
			judge(&arena, temporal, 2, &series, "finished", "", &verdict);
			kt_codec_encode(&kt_schema_verdict, &verdict, &bytes);
			if (which == 0) {
				kt_buf_append(&wanted, bytes.data, bytes.len);
				continue;
			}
			cr_assert_eq(bytes.len, wanted.len);
			cr_assert_eq(memcmp(bytes.data, wanted.data, wanted.len), 0,
				     "column %zu order %zu", c, which);
		}
	}
}

Test(judge, infra_trouble_is_never_judged, .signal = SIGABRT)
{
	KT_AUTO_ARENA arena = { 0 };
	KT_AUTO_SERIES series = { 0 };
	struct kt_msg_verdict verdict;

	judge(&arena, NULL, 0, &series, "qemu_died", "", &verdict);
}
