#include "fixture.h"

#define PASS  KT_VERDICT_PASS
#define INCON KT_VERDICT_INCONCLUSIVE
#define FAIL  KT_VERDICT_FAIL

struct golden {
	const char *assertion;
	const char *column;
	enum kt_verdict_outcome outcome;
	size_t fails; /* details that are Fail */
	const char *says; /* in a detail of the outcome's rank; NULL: whatever */
	const char *note; /* in a note; NULL: whatever */
};

static void check(const struct golden *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		KT_AUTO_ARENA arena = { 0 };
		struct kt_verdict said;
		enum kt_verdict_outcome outcome =
			fixture_judge(&arena, rows[i].assertion, rows[i].column, &said);
		const char *all = fixture_all(&arena, &said);

		cr_assert_eq(outcome, rows[i].outcome, "%s over [%s]: %s%s", rows[i].assertion,
			     rows[i].column, kt_verdict_outcome_name(outcome), all);
		cr_assert_eq(fixture_count(&said, FAIL), rows[i].fails, "%s over [%s]:%s",
			     rows[i].assertion, rows[i].column, all);
		if (rows[i].says)
			cr_assert(fixture_says(&said, outcome, rows[i].says),
				  "%s over [%s]: '%s' in%s", rows[i].assertion, rows[i].column,
				  rows[i].says, all);
		if (rows[i].note)
			cr_assert(fixture_says(&said, KT_VERDICT_NOTE, rows[i].note),
				  "%s over [%s]: '%s' in%s", rows[i].assertion, rows[i].column,
				  rows[i].note, all);
	}
}

#define CHECK(rows_) check(rows_, sizeof(rows_) / sizeof(rows_[0]))

/* semantics.md section 4, "Golden columns" */
Test(pattern, golden_columns)
{
	static const struct golden rows[] = {
		{ "nondecreasing=true", "1 2 2 3", PASS, 0, NULL, NULL },
		{ "strictly_increasing=true", "1 2 2 3", FAIL, 1, "did not rise", NULL },
		{ "nondecreasing=true", "5", PASS, 0, NULL, "1 of the 2 samples" },
		{ "nondecreasing=true", "5 E 3", PASS, 0, NULL, "pairs not judged" },
		{ "nondecreasing=true bridge=true", "5 E 3", FAIL, 1, "fell", "across errors" },
		{ "nondecreasing=true", "E E E", INCON, 0, "0 of 3 samples", NULL },
		{ "nondecreasing=true", "0 0 0", PASS, 0, NULL, NULL },
		{ "nondecreasing=true must_progress=true", "0 0 0", FAIL, 1, "stayed at 0", NULL },
		{ "strictly_increasing=true", "9223372036854775808 9223372036854775809", PASS, 0,
		  NULL, NULL },
		{ "strictly_increasing=true", "9007199254740992 9007199254740993", PASS, 0, NULL,
		  NULL },
	};

	CHECK(rows);
}

Test(pattern, adjacent_pairs)
{
	static const struct golden rows[] = {
		{ "nondecreasing=true", "", PASS, 0, NULL, "0 of the 2 samples" },
		{ "nondecreasing=true", "1 2", PASS, 0, "holds over 2 values", NULL },
		{ "nondecreasing=true", "2 1", FAIL, 1, NULL, NULL },
		{ "nondecreasing=true", "3 2 1", FAIL, 2, NULL, NULL },
		{ "nondecreasing=true", "3 1 2", FAIL, 1, NULL, NULL },
		{ "nondecreasing=true", "1 NaN 2", FAIL, 2, "incomparable", NULL },
		{ "strictly_increasing=true", "NaN NaN", FAIL, 1, "incomparable", NULL },
		{ "nondecreasing=true", "-5 -4 0 0.5 1 18446744073709551615", PASS, 0, NULL, NULL },
		{ "strictly_increasing=true", "-5 -4 0 0.5 1", PASS, 0, NULL, NULL },
		{ "strictly_increasing=true", "1 1.0", FAIL, 1, NULL, NULL },
		{ "strictly_increasing=true", "9007199254740993 9007199254740992.0", FAIL, 1,
		  "fell", NULL },
		{ "nondecreasing=true", "18446744073709551615 18446744073709551614", FAIL, 1,
		  "fell", NULL },
		{ "nondecreasing=true", "-1 -9223372036854775808", FAIL, 1, NULL, NULL },
		{ "nondecreasing=true", "E 1 2", PASS, 0, NULL, "periodic_000/periodic_001" },
		{ "nondecreasing=true", "1 2 E", PASS, 0, NULL, "periodic_001/periodic_002" },
		{ "nondecreasing=true", "2 1 E", FAIL, 1, NULL, NULL },
		{ "nondecreasing=true", "5 E 6 3", FAIL, 1, "3 after 6",
		  "periodic_000/periodic_001, periodic_001/periodic_002" },
		{ "nondecreasing=true bridge=true", "E 5 E 6", PASS, 0, NULL,
		  "judged across errors: periodic_001/periodic_003" },
		{ "nondecreasing=true bridge=true", "5 E 6 3", FAIL, 1, "3 after 6", NULL },
		{ "nondecreasing=true bridge=false", "5 E 3", PASS, 0, NULL, "not judged" },
		{ "strictly_increasing=true bridge=true", "5 E 5", FAIL, 1, "did not rise", NULL },
	};

	CHECK(rows);
}

Test(pattern, rate_within_divides_what_changed_by_the_time_it_took)
{
	static const struct golden rows[] = {
		{ "rate_within={lo 0.5, hi 2.0}", "0 100", PASS, 0, "holds over 2", NULL },
		{ "rate_within={lo 0.5, hi 2}", "5", PASS, 0, NULL, "1 of the 2 samples" },
		{ "rate_within={lo 0.5, hi 2}", "", PASS, 0, NULL, "0 of the 2 samples" },
		/* both ends are in it */
		{ "rate_within={lo 1, hi 1}", "0 100 200", PASS, 0, NULL, NULL },
		{ "rate_within={lo 0.3, hi 0.3}", "0 30", PASS, 0, NULL, NULL },
		{ "rate_within={lo 0.3, hi 0.3}", "9007199254740993 9007199254741023", PASS, 0,
		  NULL, NULL },
		{ "rate_within={lo 0.5, hi 2}", "0 49", FAIL, 1, "0.49 per ms, below 0.5,", NULL },
		{ "rate_within={lo 0.5, hi 2}", "0 201", FAIL, 1, "2.01 per ms, above 2,", NULL },
		{ "name='x' rate_within={lo 0.5, hi 2}", "10@700 320@850", FAIL, 1,
		  "x (rate_within lo 0.5, hi 2): 2.066666666666667 per ms, above 2, at "
		  "periodic_001 (+850 "
		  "ms): 320 after 10 at periodic_000 (+700 ms)",
		  NULL },
		{ "rate_within={lo 1000, hi 1000, per 's'}", "0 100", PASS, 0, NULL, NULL },
		{ "rate_within={lo 1, hi 1, per 's'}", "0 100", FAIL, 1, "1000 per s, above 1,",
		  NULL },
		{ "rate_within={lo 1, hi 1, per 'ms'}", "0 100", PASS, 0, NULL, NULL },
		/* counters beyond 2^53, and one that falls */
		{ "rate_within={lo 0.01, hi 0.01}", "9223372036854775808 9223372036854775809", PASS,
		  0, NULL, NULL },
		{ "rate_within={lo -1, hi -1}", "18446744073709551615 18446744073709551515", PASS,
		  0, NULL, NULL },
		{ "rate_within={lo 0, hi 2}", "100 0", FAIL, 1, "-1 per ms, below 0,", NULL },
		{ "rate_within={lo -2, hi 2}", "-50 50", PASS, 0, NULL, NULL },
		/* no time, no rate */
		{ "rate_within={lo 0, hi 2}", "0@5 100@5", INCON, 0,
		  "no time passed at periodic_001 (+5 ms): 100 after 0 at periodic_000 (+5 ms)",
		  NULL },
		{ "rate_within={lo 0, hi 2}", "0@5 100@4", INCON, 0, "no time passed", NULL },
		{ "rate_within={lo 0, hi 2}", "0@5 100@5 900@105", FAIL, 1, "8 per ms", NULL },
		{ "rate_within={lo 0, hi 2}", "1 NaN 2", FAIL, 2, "no finite rate", NULL },
		{ "rate_within={lo 0, hi 2}", "0 1e308", FAIL, 1, "no finite rate", NULL },
		/* gaps */
		{ "rate_within={lo 0.5, hi 2}", "0 E 1000", PASS, 0, NULL,
		  "not judged because of errors: periodic_000/periodic_001, "
		  "periodic_001/periodic_002" },
		{ "rate_within={lo 0.5, hi 2} bridge=true", "0 E 1000", FAIL, 1, "5 per ms",
		  "judged across errors" },
		{ "rate_within={lo 2, hi 1}", "0 1", FAIL, 1, "lo 2 is above hi 1", NULL },
		{ "rate_within={lo 2}", "0 1", FAIL, 1, "rate_within needs hi: the fastest", NULL },
	};

	CHECK(rows);
}

Test(pattern, steady_within_looks_around_the_mean_after_the_warm_up)
{
	static const struct golden rows[] = {
		{ "steady_within={warmup_ms 0, tol 0.1}", "10 NaN 10", PASS, 0, NULL,
		  "1 sample after the warm-up without a number" },
		{ "steady_within={tol 0.1}", "9 10 11", PASS, 0, "holds over 3", NULL },
		{ "steady_within={tol 0.1}", "0.9 1.1", PASS, 0, NULL, NULL },
		{ "steady_within={tol 0.09}", "9 10 11", FAIL, 2, "above 10.9 (mean 10 of 3)",
		  NULL },
		{ "name='x' steady_within={tol 0.1}", "10 10 13", FAIL, 1,
		  "x (steady_within tol 0.1): above 12.100000000000001 (mean 11 of 3) at "
		  "periodic_002 (+200 ms): "
		  "13",
		  NULL },
		{ "steady_within={tol 0.1}", "10 10 7", FAIL, 3, "below 8.1 (mean 9 of 3)", NULL },
		/* ends change places below zero */
		{ "steady_within={tol 0.1}", "-9 -10 -11", PASS, 0, NULL, NULL },
		{ "steady_within={tol 0.1}", "-10 -10 -13", FAIL, 1, "below -12.1", NULL },
		{ "steady_within={tol 0.1}", "-1 0 1", FAIL, 2, "(mean 0 of 3)", NULL },
		/* the sample at the end of the warm-up counts, the one before does not */
		{ "steady_within={warmup_ms 100, tol 0.1}", "99 10 10", PASS, 0, NULL, NULL },
		{ "steady_within={warmup_ms 100, tol 0.1}", "10 99 10", FAIL, 2, NULL, NULL },
		{ "steady_within={warmup_ms 101, tol 0.1}", "10 99 10", PASS, 0, NULL, NULL },
		{ "steady_within={warmup_ms 300, tol 0.1}", "1 2 3", PASS, 0, NULL,
		  "no value after the warm-up" },
		{ "steady_within={tol 0.1}", "", PASS, 0, NULL, "no value after the warm-up" },
		{ "steady_within={tol 0.1}", "10 E 10", PASS, 0, NULL, "1 sample after" },
		{ "steady_within={tol 0.1}", "10 E 20", FAIL, 2, NULL, "1 sample after" },
		{ "steady_within={warmup_ms 150, tol 0}", "1 E 3", PASS, 0, NULL, NULL },
		/* a constant is steady, whatever a double makes of its mean */
		{ "steady_within={tol 0}", "0.1 0.1 0.1", PASS, 0, NULL, NULL },
		{ "steady_within={tol 0}", "9007199254740993 9007199254740993", PASS, 0, NULL,
		  NULL },
		{ "steady_within={tol 0}", "9007199254740992 9007199254740993", FAIL, 1, "above",
		  NULL },
		{ "steady_within={tol 0}", "0 0", PASS, 0, NULL, NULL },
		{ "steady_within={tol 0.1}", "1e308 1e308 1.1e308", FAIL, 3, "no finite mean",
		  NULL },
		{ "steady_within={tol 2}", "1e308 0.5e308", FAIL, 2, "no finite mean", NULL },
		{ "steady_within={tol 2}", "-1e308 -0.5e308", FAIL, 2, "no finite mean", NULL },
		{ "steady_within={tol 0.1}", "inf 10 10", FAIL, 1, "no finite mean at periodic_000",
		  NULL },
		{ "steady_within={tol -0.1}", "1 1", FAIL, 1,
		  "tol must not be negative, it is -0.1", NULL },
		{ "steady_within={warmup_ms 3}", "1 1", FAIL, 1, "steady_within needs tol", NULL },
	};

	CHECK(rows);
}

Test(pattern, converges_to_wants_a_run_near_the_target_in_time)
{
	static const struct golden rows[] = {
		/* exactly 3, the third exactly at the deadline */
		{ "converges_to={target 100, tol 5, deadline_ms 400}", "0 50 95 105 100", PASS, 0,
		  "holds over 5", "reached, 3 in a row to 100 at periodic_004 (+400 ms)" },
		{ "converges_to={target 100, tol 5, deadline_ms 399}", "0 50 95 105 100", FAIL, 1,
		  "not 3 in a row by +399 ms: at most 2, the last of them 105 at periodic_003 "
		  "(+300 ms)",
		  NULL },
		{ "converges_to={target 100, tol 5, deadline_ms 400}", "100 100", PASS, 0, NULL,
		  "2 of the 3 values that a run needs by +400 ms" },
		{ "converges_to={target 100, tol 5, deadline_ms 100}", "1 2 3", PASS, 0, NULL,
		  "2 of the 3 values" },
		{ "converges_to={target 100, tol 5, deadline_ms 400}", "", PASS, 0, NULL,
		  "0 of the 3 values" },
		{ "name='x' converges_to={target 100, tol 5, deadline_ms 900}", "100 100 E 100",
		  FAIL, 1,
		  "x (converges_to target 100, tol 5, deadline_ms 900): not 3 in a row by +900 ms: "
		  "at most 2, the last of them 100 at periodic_001 (+100 ms); no value at "
		  "periodic_002 (+200 ms): AxisError: test: deadline",
		  NULL },
		{ "converges_to={target 100, tol 5, deadline_ms 900}", "1 2 3", FAIL, 1,
		  "none, the last value is 3 at periodic_002 (+200 ms)", NULL },
		{ "converges_to={target 100, tol 5, deadline_ms 900}", "100 1 101", FAIL, 1,
		  "at most 1, the last of them 100 at periodic_000", NULL },
		{ "converges_to={target 100, tol 5, deadline_ms 900}", "94 106 94", FAIL, 1, NULL,
		  NULL },
		{ "converges_to={target 100, tol 5, deadline_ms 900}", "100 100 NaN 100", FAIL, 1,
		  "at most 2", NULL },
		{ "converges_to={target 100, tol 5, deadline_ms 900}", "100 100 1 100 100 100",
		  PASS, 0, NULL, "to 100 at periodic_005" },
		{ "converges_to={target 100, tol 5, deadline_ms 900, run 1}", "1 100 1", PASS, 0,
		  NULL, "1 in a row to 100 at periodic_001" },
		{ "converges_to={target 100, tol 5, deadline_ms 900, run 4}", "100 100 100 1", FAIL,
		  1, "not 4 in a row", NULL },
		{ "converges_to={target 100, tol 5, deadline_ms 900}", "100 100 E E 100", FAIL, 1,
		  "no value at periodic_002", NULL },
		{ "converges_to={target 1, tol 0.1, deadline_ms 900, run 1}", "2 2", FAIL, 1, NULL,
		  NULL },
		{ "converges_to={target 1, tol 0.1, deadline_ms 900, run 1}", "0.5 0.5", FAIL, 1,
		  NULL, NULL },
		{ "converges_to={target 1.5, tol 1, deadline_ms 900, run 1}", "0 4", FAIL, 1, NULL,
		  NULL },
		/* what it does after that is its own affair, unless it has to stay */
		{ "converges_to={target 100, tol 5, deadline_ms 200}", "100 100 100 1", PASS, 0,
		  NULL, NULL },
		{ "converges_to={target 100, tol 5, deadline_ms 200, stays false}", "100 100 100 1",
		  PASS, 0, NULL, NULL },
		{ "converges_to={target 100, tol 5, deadline_ms 200, stays true}",
		  "100 100 100 1 100", FAIL, 1,
		  "reached and left again at periodic_003 (+300 ms): 1", NULL },
		{ "converges_to={target 100, tol 5, deadline_ms 200, stays true}",
		  "100 100 100 NaN", FAIL, 1, "left again at periodic_003", NULL },
		{ "converges_to={target 100, tol 5, deadline_ms 200, stays true}",
		  "100 100 100 E 100", PASS, 0, NULL, NULL },
		{ "converges_to={target 100, tol 5, deadline_ms 900, stays true}",
		  "100 100 100 1 100 100 100", PASS, 0, NULL, "to 100 at periodic_006" },
		{ "converges_to={target 100, tol 5, deadline_ms 500, stays true}",
		  "100 100 100 1 100 100 100", FAIL, 1, "left again at periodic_003", NULL },
		/* bands */
		{ "converges_to={target 1, tol 0.1, deadline_ms 900, run 2}", "0.9 1.1", PASS, 0,
		  NULL, NULL },
		{ "converges_to={target -10, tol 1, deadline_ms 900, run 2}", "-11 -9", PASS, 0,
		  NULL, NULL },
		{ "converges_to={target 9007199254740993, tol 0.5, deadline_ms 900, run 1}",
		  "9007199254740993", PASS, 0, NULL, NULL },
		{ "converges_to={target 9007199254740993, tol 0, deadline_ms 900, run 1}",
		  "9007199254740992", FAIL, 1, NULL, NULL },
		{ "converges_to={target 18446744073709551615, tol 1, deadline_ms 900, run 1}",
		  "18446744073709551614", PASS, 0, NULL, NULL },
		{ "converges_to={target 18446744073709551615, tol 1, deadline_ms 900, run 1}",
		  "18446744073709551613", FAIL, 1, NULL, NULL },
		{ "converges_to={target -9223372036854775808, tol 1, deadline_ms 900, run 1}",
		  "18446744073709551615", FAIL, 1, NULL, NULL },
		{ "converges_to={target 1, tol -1, deadline_ms 900}", "1 1 1", FAIL, 1,
		  "tol must not be negative, it is -1", NULL },
	};

	CHECK(rows);
}

Test(pattern, ratio_across_steps_compares_their_last_values)
{
	static const struct golden rows[] = {
		{ "ratio_across_steps={early 0, late 1, at_most 2}", "1#0 10#0 5#1 20#1", PASS, 0,
		  "holds over 4", NULL },
		{ "name='x' ratio_across_steps={early 0, late 1, at_most 2}",
		  "1#0 10#0 5#1 21#1 7#2", FAIL, 1,
		  "x (ratio_across_steps early 0, late 1, at_most 2): 2.1 times, above 2, at "
		  "periodic_003 (+300 ms): 21 after 10 at periodic_001 (+100 ms)",
		  NULL },
		{ "ratio_across_steps={early 0, late 1, at_most 0.3}", "10#0 3#1", PASS, 0, NULL,
		  NULL },
		{ "ratio_across_steps={early 1, late 0, at_most 1}", "10#0 5#1", FAIL, 1,
		  "2 times, above 1", NULL },
		/* an errored slot is skipped: the value before it is the last */
		{ "ratio_across_steps={early 0, late 1, at_most 2}", "10#0 E#0 20#1 E#1", PASS, 0,
		  NULL, NULL },
		{ "ratio_across_steps={early 0, late 1, at_most 2}", "10#0 E#0 21#1 E#1", FAIL, 1,
		  NULL, NULL },
		{ "ratio_across_steps={early 0, late 1, at_most 2}", "10#0 10#0", INCON, 0,
		  "no value in step 1", NULL },
		{ "ratio_across_steps={early 0, late 1, at_most 2}", "E#0 10#1", INCON, 0,
		  "no value in step 0", NULL },
		{ "ratio_across_steps={early 0, late 1, at_most 2}", "", INCON, 0,
		  "no value in step 0", NULL },
		{ "ratio_across_steps={early 0, late 1, at_most 2}", "0#0 10#1", INCON, 0,
		  "the baseline, step 0, is 0 at periodic_000 (+0 ms)", NULL },
		{ "ratio_across_steps={early 0, late 1, at_most 2}", "-0.0#0 10#1", INCON, 0,
		  "the baseline", NULL },
		{ "ratio_across_steps={early 0, late 1, at_most 2}", "NaN#0 10#1", FAIL, 1,
		  "no finite ratio", NULL },
		{ "ratio_across_steps={early 0, late 1, at_most 2}", "1#0 NaN#1", FAIL, 1,
		  "no finite ratio", NULL },
	};

	CHECK(rows);
}

Test(pattern, ratio_within_divides_by_the_sample_of_the_same_tag)
{
	static const struct golden rows[] = {
		{ "ratio_within={other 'bpf:y', lo 0.5, hi 2}", "1 10 4 | 2 5 4", PASS, 0,
		  "holds over 3", NULL },
		{ "ratio_within={other 'bpf:y', lo 0.3, hi 0.3}", "3 | 10", PASS, 0, NULL, NULL },
		{ "name='x' ratio_within={other 'bpf:y', lo 0.5, hi 2}", "1 5 | 1 2", FAIL, 1,
		  "x (ratio_within other bpf:y, lo 0.5, hi 2): 2.5, above 2, at periodic_001 (+100 "
		  "ms): 5 over 2 of bpf:y at periodic_001 (+100 ms)",
		  NULL },
		{ "ratio_within={other 'bpf:y', lo 0.5, hi 2}", "1 | 4", FAIL, 1,
		  "0.25, below 0.5,", NULL },
		{ "ratio_within={other 'bpf:y', lo 0.5, hi 2}", " | ", PASS, 0, NULL, NULL },
		/* by tag, not by index; a tag used again pairs in order */
		{ "ratio_within={other 'bpf:y', lo 2, hi 2}", "2%a 20%b | 10%b 1%a", PASS, 0, NULL,
		  NULL },
		{ "ratio_within={other 'bpf:y', lo 2, hi 2}", "2%a 20%b 4%a | 10%b 1%a 2%a", PASS,
		  0, NULL, NULL },
		{ "ratio_within={other 'bpf:y', lo 2, hi 2}", "4%a 20%b 2%a | 10%b 1%a 2%a", FAIL,
		  2, NULL, NULL },
		{ "ratio_within={other 'bpf:y', lo 2, hi 2}", "2%a 8%b 6%c | 3%c 1%a 1%d", PASS, 0,
		  NULL, "not judged because of errors: b" },
		/* errors on either side are gaps */
		{ "ratio_within={other 'bpf:y', lo 2, hi 2}", "2 E 6 8 | 1 2 E 4", PASS, 0, NULL,
		  "not judged because of errors: periodic_001, periodic_002" },
		{ "ratio_within={other 'bpf:y', lo 2, hi 2}", "2 E | E 1", INCON, 0,
		  "no sample has a value of both", NULL },
		{ "ratio_within={other 'bpf:y', lo 2, hi 2}", "2 4 6 | 1 E E", INCON, 0,
		  "bpf:y: 1 of 3 samples carry a value", NULL },
		/* nothing to divide by */
		{ "ratio_within={other 'bpf:y', lo 2, hi 2}", "2 4 | 0 2", INCON, 0,
		  "nothing to divide by at periodic_000 (+0 ms): 2 over 0 of bpf:y", NULL },
		{ "ratio_within={other 'bpf:y', lo 2, hi 2}", "0 4 | -0.0 2", INCON, 0, NULL,
		  NULL },
		{ "ratio_within={other 'bpf:y', lo 2, hi 2}", "2 5 | 0 2", FAIL, 1, "2.5, above",
		  NULL },
		{ "ratio_within={other 'bpf:y', lo 2, hi 2}", "NaN 4 | 1 NaN", FAIL, 2,
		  "no finite ratio", NULL },
		{ "ratio_within={other 'bpf:y', lo 2, hi 2}", "2 4 | 1", FAIL, 1,
		  "2 samples here, 1 of bpf:y", NULL },
		{ "ratio_within={other 'bpf:y', lo 2, hi 1}", "2 | 1", FAIL, 1,
		  "lo 2 is above hi 1", NULL },
		{ "ratio_within={lo 2, hi 1}", "2", FAIL, 1, "ratio_within needs other", NULL },
	};

	CHECK(rows);
}

Test(pattern, eventually_and_always_know_what_they_do_not_know)
{
	static const struct golden rows[] = {
		{ "eventually={at_least 5, within_ms 200}", "1 2 5", PASS, 0, "holds over 3",
		  "first 5 at periodic_002 (+200 ms)" },
		{ "eventually={at_least 5, within_ms 199}", "1 2 5", FAIL, 1,
		  "never, last seen at periodic_001 (+100 ms): 2", NULL },
		{ "eventually={between [4; 5], within_ms 900}", "3 6", FAIL, 1, NULL, NULL },
		{ "eventually={between [4; 6], within_ms 900}", "3 6", PASS, 0, NULL, NULL },
		{ "eventually={at_least 4, ne 6, within_ms 900}", "3 6", FAIL, 1, NULL, NULL },
		{ "eventually={ne 5, within_ms 900}", "NaN 5", FAIL, 1, NULL, NULL },
		/* unknown slots only matter when they could be the witness */
		{ "eventually={at_least 5, within_ms 200}", "1 E 5", PASS, 0, NULL, "first 5" },
		{ "eventually={at_least 5, within_ms 200}", "1 E 2", INCON, 0,
		  "not seen, but 1 sample without a value, the first periodic_001 (+100 ms): "
		  "AxisError: test: deadline",
		  NULL },
		{ "eventually={at_least 5, within_ms 50}", "1 E 5", FAIL, 1, NULL, NULL },
		{ "eventually={at_least 5, within_ms 50}", "9@60", INCON, 0,
		  "no sample in that time", NULL },
		{ "always={at_most 5}", "1 5", PASS, 0, "holds over 2", NULL },
		{ "always={at_most 5, from_ms 100, to_ms 200}", "9 1 5 9", PASS, 0, NULL, NULL },
		{ "name='x' always={at_most 5, from_ms 100, to_ms 200}", "9 6 7 9", FAIL, 2,
		  "x (always at_most 5, from_ms 100, to_ms 200): above 5 at periodic_002 (+200 "
		  "ms): 7",
		  NULL },
		{ "always={at_most 5}", "1 NaN", FAIL, 1, "incomparable", NULL },
		{ "always={at_most 5}", "1 E 2", INCON, 0,
		  "1 sample without a value, the first periodic_001 (+100 ms)", NULL },
		{ "always={at_most 5}", "1 E 6", FAIL, 1, "above 5", NULL },
		{ "always={at_most 5, from_ms 200}", "1 E 2", PASS, 0, NULL, NULL },
		{ "always={at_most 5, from_ms 300}", "1 2", INCON, 0, "no sample in that time",
		  NULL },
		{ "always={at_most 9007199254740992}", "9007199254740993", FAIL, 1, NULL, NULL },
	};

	CHECK(rows);
}

Test(pattern, until_holds_one_condition_before_another_is_reached)
{
	static const struct golden rows[] = {
		{ "until={hold {at_most 5}, then {at_least 9}}", "1 5 9 1", PASS, 0, "holds over 4",
		  "reached at 9 at periodic_002 (+200 ms)" },
		/* what is reached need not hold, and what comes after does not matter */
		{ "until={hold {at_most 5}, then {at_least 9}}", "9 99", PASS, 0, NULL,
		  "reached at 9 at periodic_000" },
		{ "name='x' until={hold {at_most 5}, then {at_least 9}, within_ms 900}", "1 6 9",
		  FAIL, 1,
		  "x (until hold (at_most 5), then (at_least 9), within_ms 900): broken before "
		  "then "
		  "is reached: above 5 at periodic_001 (+100 ms): 6",
		  NULL },
		{ "until={hold {at_most 5}, then {at_least 9}}", "1 2", FAIL, 1,
		  "then is never reached: below 9 at periodic_001 (+100 ms): 2", NULL },
		/* the sample at the deadline counts, the one behind it does not */
		{ "until={hold {at_most 5}, then {at_least 9}, within_ms 200}", "1 1 9", PASS, 0,
		  NULL, NULL },
		{ "until={hold {at_most 5}, then {at_least 9}, within_ms 199}", "1 1 9", FAIL, 1,
		  "never reached: below 9 at periodic_001", NULL },
		{ "until={hold {at_most 5}, then {at_least 9}, within_ms 50}", "1@60", INCON, 0,
		  "no sample in that time", NULL },
		{ "until={hold {at_most 5}, then {at_least 9}}", "", INCON, 0, "no sample", NULL },
		/* unknown: only when it could be otherwise */
		{ "until={hold {at_most 5}, then {at_least 9}}", "1 E 9", INCON, 0,
		  "1 sample without a value, the first periodic_001 (+100 ms)", NULL },
		{ "until={hold {at_most 5}, then {eq 9}}", "1 E 6 9", INCON, 0,
		  "1 sample without a value", NULL },
		{ "until={hold {at_most 5}, then {eq 9}}", "1 6 E 9", FAIL, 1, "above 5", NULL },
		{ "until={hold {at_most 5}, then {eq 9}}", "1 1 E", INCON, 0,
		  "1 sample without a value", NULL },
		{ "until={hold {at_most 5}, then {eq 9}}", "9 E E 9", PASS, 0, NULL, NULL },
		{ "until={hold {at_most 5}, then {eq 9}}", "NaN 9", FAIL, 1, "incomparable", NULL },
		{ "until={hold {at_most 9007199254740992}, then {eq 9007199254740994}}",
		  "9007199254740993 9007199254740994", FAIL, 1, "above 9007199254740992", NULL },
		{ "until={hold {between [5; 1]}, then {eq 9}}", "1", FAIL, 1,
		  "until: hold: between [5, 1] is empty", NULL },
		{ "until={hold {at_most 5}}", "1", FAIL, 1, "until needs then", NULL },
	};

	CHECK(rows);
}

/* hold and then are asked of the same value: together they may leave no doubt where each alone does. */
Test(pattern, what_an_unknown_value_cannot_be_is_not_unknown)
{
	static const struct golden rows[] = {
		{ "until={hold {at_most 5}, then {gt 5}}", "1 E 9", PASS, 0, NULL,
		  "reached at the latest at 9" },
		{ "until={hold {at_most 5}, then {gt 5}}", "1 E 1", INCON, 0,
		  "1 sample without a value, the first periodic_001", NULL },
		{ "until={hold {at_most 5}, then {gt 6}}", "1 E 9", INCON, 0, NULL, NULL },
		{ "until={hold {at_most 5}, then {gt 6, lt 6}}", "1 E 9", FAIL, 1, NULL, NULL },
		{ "until={hold {any_of [{at_most 5}; {gt 5}]}, then {eq 9}}", "1 E 9", PASS, 0,
		  NULL, NULL },
		{ "min_coverage=0 eventually={any_of [{at_most 5}; {gt 5}], within_ms 100}",
		  "E E 1", PASS, 0, NULL, "first periodic_000 (+0 ms)" },
		{ "eventually={at_least 5, at_most 4, within_ms 100}", "1 E 9", FAIL, 1, NULL,
		  NULL },
		{ "always={any_of [{at_most 5}; {gt 5}]}", "1 E", PASS, 0, NULL, NULL },
		{ "always={any_of [{at_most 5}; {gt 5.5}]}", "1 E", INCON, 0, NULL, NULL },
		{ "always={any_of [{at_most 5}; {eq 9}]}", "7", FAIL, 1,
		  "none of 2 branches holds at periodic_000 (+0 ms): 7", NULL },
		{ "eventually={any_of [{between [0; 5]}; {lt 0}], within_ms 100}", "E 9", INCON, 0,
		  NULL, NULL },
		{ "eventually={any_of [{between [0; 5]}; {gt 5}], within_ms 100}", "E 9", PASS, 0,
		  NULL, NULL },
		{ "eventually={any_of [{between [0; 5]}; {gt 5}], within_ms 0}", "E -9", INCON, 0,
		  NULL, NULL },
		{ "min_coverage=0 always={between [3; 4], any_of [{lt 3}; {gt 4}]}", "E 3 E", FAIL,
		  3, "no value could, and there is none, at periodic_000", NULL },
		{ "min_coverage=0 eventually={lt 1, gt 1, within_ms 100}", "1 E", FAIL, 1,
		  "never, last: no value could, and there is none, at periodic_001", NULL },
	};

	CHECK(rows);
}

Test(pattern, a_long_list_is_cut_and_says_so)
{
	static const struct golden rows[] = {
		{ "nondecreasing=true min_coverage=0", "1 E 1 E 1 E 1 E 1", PASS, 0, NULL,
		  "periodic_006/periodic_007, periodic_007/periodic_008" },
		{ "nondecreasing=true min_coverage=0", "1 E 1 E 1 E 1 E 1 E", PASS, 0, NULL,
		  "periodic_007/periodic_008 and 1 more" },
		{ "ratio_within={other 'bpf:y', lo 1, hi 1} min_coverage=0",
		  "1 E E E E E E E E | 1 1 1 1 1 1 1 1 1", PASS, 0, NULL,
		  "not judged because of errors: periodic_001, periodic_002, periodic_003, "
		  "periodic_004, periodic_005, periodic_006, periodic_007, periodic_008" },
		{ "ratio_within={other 'bpf:y', lo 1, hi 1} min_coverage=0",
		  "1 E E E E E E E E E | 1 1 1 1 1 1 1 1 1 1", PASS, 0, NULL,
		  "periodic_008 and 1 more" },
		{ "min_samples=0 min_coverage=0", "E E E E E E E E E 1", PASS, 0, NULL,
		  "no value in 9 of 10 samples: periodic_000 (+0 ms), periodic_001 (+100 ms), "
		  "periodic_002 (+200 ms), periodic_003 (+300 ms), periodic_004 (+400 ms), "
		  "periodic_005 (+500 ms), periodic_006 (+600 ms), periodic_007 (+700 ms) and 1 "
		  "more: AxisError" },
		{ "min_samples=0 min_coverage=0", "E E E E E E E E 1", PASS, 0, NULL,
		  "periodic_007 (+700 ms): AxisError" },
		/* of equals the first is named */
		{ "min_samples=0", "5 2 7 2 7 5 5 5 5", PASS, 0, NULL,
		  "lowest 2 at periodic_001 (+100 ms), highest 7 at periodic_002 (+200 ms), last" },
		{ "min_samples=0", "1 2 3 4 5 6 7 8", PASS, 0, NULL,
		  "8 of 8 samples carry a value: 1 at periodic_000 (+0 ms), 2 at periodic_001" },
	};

	CHECK(rows);
}

Test(pattern, nothing_is_said_that_nobody_needs)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_verdict said;

	fixture_judge(&arena, "nondecreasing=true", "1 2", &said);
	cr_assert_not(fixture_says(&said, KT_VERDICT_NOTE, "a pair needs"));
	fixture_judge(&arena, "nondecreasing=true because='it counts'", "1 2", &said);
	cr_assert_not(fixture_says(&said, KT_VERDICT_NOTE, "because"));
	fixture_judge(&arena, "nondecreasing=true", "2 1", &said);
	cr_assert_not(fixture_says(&said, KT_VERDICT_NOTE, "because"));
	fixture_judge(&arena, "nondecreasing=true min_coverage=0", "1 E 1 E 1 E 1 E 1", &said);
	cr_assert_not(fixture_says(&said, KT_VERDICT_NOTE, "more"));
	fixture_judge(&arena, "ratio_within={other 'bpf:y', lo 1, hi 1} min_coverage=0",
		      "1 E E E E E E E E | 1 1 1 1 1 1 1 1 1", &said);
	cr_assert_not(fixture_says(&said, KT_VERDICT_NOTE, "more"));
	fixture_judge(&arena, "converges_to={target 9, tol 0, deadline_ms 250}", "1 2 3 E", &said);
	cr_assert_not(fixture_says(&said, FAIL, "no value at"));
	cr_assert(fixture_says(&said, FAIL, "the last value is 3 at periodic_002"));
}

/* Different reasons in a note each, up to a limit; the same one in one. */
Test(pattern, why_there_is_no_value_is_told_by_reason)
{
	static const struct kt_column_error errors[] = {
		{ KT_COLUMN_ERROR_AXIS_ERROR, "A" }, { KT_COLUMN_ERROR_AXIS_ERROR, "B" },
		{ KT_COLUMN_ERROR_AXIS_ERROR, "A" }, { KT_COLUMN_ERROR_AXIS_ERROR, "C" },
		{ KT_COLUMN_ERROR_AXIS_ERROR, "D" }, { KT_COLUMN_ERROR_AXIS_ERROR, "E" },
		{ KT_COLUMN_ERROR_AXIS_ERROR, "F" },
	};
	KT_AUTO_ARENA arena = { 0 };
	struct kt_column column = fixture_column(&arena, "1 1 1 1 1 1 1 1");
	struct kt_column_slot slots[8];
	const struct kt_column torn = { slots, 8 };
	struct kt_assertion assertion;
	struct kt_verdict said;

	memcpy(slots, column.slots, sizeof(slots));
	for (size_t i = 0; i < 7; i++)
		kt_column_slot_fail(&slots[i], &errors[i]);
	cr_assert(fixture_assertion(&arena, "min_coverage=0", &assertion, NULL));
	kt_verdict_init(&said, &arena);
	kt_judge_column(&assertion, &torn, NULL, &said);
	cr_assert(
		fixture_says(&said, KT_VERDICT_NOTE,
			     "no value in 2 of 8 samples: periodic_000 (+0 ms), periodic_002 (+200 "
			     "ms): A"));
	cr_assert(fixture_says(&said, KT_VERDICT_NOTE,
			       "no value in 1 of 8 samples: periodic_001 (+100 ms): B"));
	cr_assert(fixture_says(&said, KT_VERDICT_NOTE, "no value in 1 of 8 samples: periodic_004"));
	cr_assert_not(fixture_says(&said, KT_VERDICT_NOTE, "periodic_005"));
	cr_assert(fixture_says(&said, KT_VERDICT_NOTE,
			       "no value in 2 more samples, for other reasons"));
}

/* " 7@i~e" for each: the same value over and over, n to a life. */
static const char *lives(struct kt_arena *arena, size_t n, size_t each)
{
	KT_AUTO_BUF text = { 0 };

	for (size_t i = 0; i < n; i++)
		kt_buf_printf(&text, "%s7@%zu~%zu", i ? " " : "", i, i / each);
	return kt_arena_strdup(arena, kt_buf_text(&text));
}

Test(pattern, exactly_as_many_as_the_limit_are_said)
{
	static const struct {
		size_t n;
		size_t said;
		bool more;
	} rows[] = { { KT_PATTERN_SAID_MAX - 1, KT_PATTERN_SAID_MAX - 1, false },
		     { KT_PATTERN_SAID_MAX, KT_PATTERN_SAID_MAX, false },
		     { KT_PATTERN_SAID_MAX + 1, KT_PATTERN_SAID_MAX, true } };

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		KT_AUTO_ARENA arena = { 0 };
		KT_AUTO_BUF zeros = { 0 };
		struct kt_verdict said;

		fixture_judge(&arena, "each={at_most 1}", lives(&arena, rows[i].n, 1), &said);
		cr_assert_eq(fixture_count(&said, FAIL), rows[i].said);
		cr_assert_eq(fixture_says(&said, KT_VERDICT_NOTE, "more like these"), rows[i].more);
		fixture_judge(&arena, "must_progress=true reset='epoch'",
			      lives(&arena, 2 * rows[i].n, 2), &said);
		cr_assert_eq(fixture_count(&said, FAIL), rows[i].said);
		cr_assert_eq(fixture_says(&said, KT_VERDICT_NOTE, "more like these"), rows[i].more);
		for (size_t k = 0; k < rows[i].n; k++)
			kt_buf_puts(&zeros, "0 ");
		fixture_judge(&arena, "ratio_within={other 'bpf:y', lo 0, hi 1}",
			      kt_buf_text(&zeros), &said);
		cr_assert_eq(fixture_count(&said, INCON), rows[i].said);
		cr_assert_eq(fixture_says(&said, KT_VERDICT_NOTE, "more like these"), rows[i].more);
	}
}

Test(pattern, conditions_nest)
{
	static const struct golden rows[] = {
		/* reached, and kept for so long */
		{ "eventually={within_ms 900, always {at_least 5, to_ms 200}}", "1 5 6 7 1", PASS,
		  0, NULL, "first 5 at periodic_001 (+100 ms)" },
		{ "name='x' eventually={within_ms 900, always {at_least 5, to_ms 200}}",
		  "1 5 6 1 1 1 1", FAIL, 1,
		  "x (eventually always (at_least 5, to_ms 200), within_ms 900): never, last: "
		  "always "
		  "from periodic_006 (+600 ms): below 5 at periodic_006 (+600 ms): 1",
		  NULL },
		{ "eventually={within_ms 900, always {at_least 5, to_ms 200}}", "1 5 6 E 1", INCON,
		  0,
		  "not seen, but 1 sample not decided; always from periodic_001 (+100 ms): no "
		  "value at periodic_003 (+300 ms)",
		  NULL },
		{ "eventually={within_ms 300, always {at_least 5, to_ms 200}}", "1 5 6 1 1 1", FAIL,
		  1,
		  "never, last: always from periodic_003 (+300 ms): below 5 at periodic_003 (+300 "
		  "ms): 1",
		  NULL },
		/* what the samples do not show is not made up */
		{ "eventually={within_ms 900, always {at_least 5, to_ms 200}}", "1 5 6", INCON, 0,
		  "2 samples not decided; always from periodic_001 (+100 ms): the samples end "
		  "before it is decided",
		  NULL },
		{ "eventually={within_ms 900, always {at_least 5}}", "1 5 6", PASS, 0, NULL, NULL },
		/* recovers each time */
		{ "always={eventually {lt 5, within_ms 100}, to_ms 300}", "9 1 9 1 9", PASS, 0,
		  NULL, NULL },
		{ "name='x' always={eventually {lt 5, within_ms 100}, to_ms 300}", "9 1 9 9 9",
		  FAIL, 2,
		  "x (always eventually (lt 5, within_ms 100), to_ms 300): eventually from "
		  "periodic_002 (+200 ms): never, last 9 at periodic_003 (+300 ms)",
		  NULL },
		{ "always={eventually {lt 5, within_ms 100}, to_ms 300}", "9 9 9 1 1", FAIL, 2,
		  "nor at periodic_001 (+100 ms)", NULL },
		{ "always={eventually {lt 5, within_ms 100}}", "9 1 9", INCON, 0,
		  "eventually from periodic_002 (+200 ms): the samples end before it is decided",
		  NULL },
		{ "always={eventually {lt 5, within_ms 100}, to_ms 300}", "9 1 9 E 9", INCON, 0,
		  "2 samples not decided; eventually from periodic_002 (+200 ms): no value at "
		  "periodic_003 (+300 ms): AxisError: test: deadline",
		  NULL },
		/* high values only when they come down again: any_of is an implication */
		{ "always={any_of [{at_most 5}; {eventually {at_most 5, within_ms 200}}], to_ms "
		  "200}",
		  "1 9 9 5 1", PASS, 0, NULL, NULL },
		{ "always={any_of [{at_most 5}; {eventually {at_most 5, within_ms 100}}], to_ms "
		  "200}",
		  "1 9 9 5 1", FAIL, 1, "none of 2 branches holds at periodic_001 (+100 ms): 9",
		  NULL },
		{ "always={any_of [{at_most 5}; {eq 9}]}", "1 E", INCON, 0,
		  "no value at periodic_001 (+100 ms)", NULL },
		{ "always={at_least 1, any_of [{at_most 5}; {eq 9}]}", "1 9 5", PASS, 0, NULL,
		  NULL },
		{ "always={at_least 1, any_of [{at_most 5}; {eq 9}]}", "0 9 7", FAIL, 2,
		  "below 1 at periodic_000", NULL },
		/* a comparison beside what nests */
		{ "eventually={gt 2, always {at_most 7}, within_ms 900}", "1 9 3 4", PASS, 0, NULL,
		  "first 3 at periodic_002" },
		{ "eventually={gt 4, always {at_most 7}, within_ms 900}", "1 9 3 4", FAIL, 1,
		  "never, last: not above 4 at periodic_003 (+300 ms): 4", NULL },
		/* until within always: each time it is low it stays so until it is 0 */
		{ "always={until {hold {at_most 5}, then {eq 0}}}", "5 0 3 0", PASS, 0, NULL,
		  NULL },
		{ "always={until {hold {at_most 5}, then {eq 0}}}", "5 0 6 0", FAIL, 1,
		  "until from periodic_002 (+200 ms): broken before then is reached, above 5 at "
		  "periodic_002 (+200 ms): 6",
		  NULL },
		{ "always={until {hold {at_most 5}, then {eq 0}}}", "5 0 3", FAIL, 1,
		  "until from periodic_002 (+200 ms): then is never reached, last 3 at "
		  "periodic_002",
		  NULL },
		{ "always={until {hold {at_most 5}, then {eq 0}, within_ms 500}}", "5 0 3", INCON,
		  0, "until from periodic_002 (+200 ms): the samples end before then is reached",
		  NULL },
		{ "always={until {hold {at_most 5}, then {eq 0}}}", "5 E 0 0", INCON, 0,
		  "until from periodic_000 (+0 ms): no value at periodic_001", NULL },
		/* until over what nests */
		{ "until={hold {eventually {at_least 9, within_ms 100}}, then {eq 7}}", "1 9 7",
		  PASS, 0, NULL, "reached at 7" },
		{ "until={hold {eventually {at_least 9, within_ms 100}}, then {eq 7}}", "1 1 9 7",
		  FAIL, 1,
		  "broken before then is reached: eventually from periodic_000 (+0 ms): never, "
		  "last "
		  "1 at periodic_001",
		  NULL },
		/* what is asked of the same sample is explained where it is not known */
		{ "always={to_ms 0, until {hold {any_of [{at_most 5}; {gt 5}]}, then {eq 0}}}",
		  "5 E 7", INCON, 0,
		  "until from periodic_000 (+0 ms): no value at periodic_001 (+100 ms)", NULL },
		/* windows need an order of time */
		{ "until={hold {eventually {at_least 9, within_ms 100}}, then {eq 7}}",
		  "9@100 1@50", INCON, 0, "time runs backwards", NULL },
		{ "until={hold {at_least 9}, then {eventually {eq 7, within_ms 100}}}",
		  "9@100 1@50", INCON, 0, "time runs backwards", NULL },
		{ "until={hold {at_least 9}, then {eq 7}}", "9@100 7@50", PASS, 0, NULL, NULL },
		{ "always={eventually {lt 5, within_ms 100}}", "9@100 1@50", INCON, 0,
		  "time runs backwards at periodic_001 (+50 ms)", NULL },
		{ "always={eventually {between [3; 1]}}", "1", FAIL, 1,
		  "always: eventually needs within_ms", NULL },
		{ "always={any_of [{lt 3}; {between [3; 1]}]}", "1", FAIL, 1,
		  "always: any_of: between [3, 1] is empty", NULL },
	};

	CHECK(rows);
}

Test(pattern, what_is_inconclusive_is_not_said_to_hold)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_verdict said;

	fixture_judge(&arena, "rate_within={lo 0, hi 2}", "0@5 100@5", &said);
	cr_assert_eq(fixture_count(&said, INCON), 1);
	cr_assert_eq(fixture_count(&said, PASS), 0);
	/* and what fails whatever is unknown is not said to be open */
	fixture_judge(&arena, "always={at_most 5}", "1 E 6", &said);
	cr_assert_eq(fixture_count(&said, INCON), 0);
}

Test(pattern, each_slot_by_itself)
{
	static const struct golden rows[] = {
		{ "each={at_most 10}", "", PASS, 0, NULL, NULL },
		{ "each={at_most 10}", "1 10", PASS, 0, NULL, NULL },
		{ "each={at_most 10}", "1 11 12", FAIL, 2, "above 10", NULL },
		{ "each={at_least 1}", "1 2", PASS, 0, NULL, NULL },
		{ "each={at_least 1}", "0 2", FAIL, 1, "below 1", NULL },
		{ "each={between [1; 5]}", "1 3 5", PASS, 0, NULL, NULL },
		{ "each={between [1; 5]}", "0 3 6", FAIL, 2, "below 1", NULL },
		{ "each={between [5; 5]}", "5", PASS, 0, NULL, NULL },
		{ "each={between [5; 1]}", "2 3 4", FAIL, 1, "the lowest stands first", NULL },
		{ "each={eq 7}", "7 7.0", PASS, 0, NULL, NULL },
		{ "each={eq 7}", "6 7 8", FAIL, 2, "not 7", NULL },
		{ "each={ne 7}", "6 8", PASS, 0, NULL, NULL },
		{ "each={ne 7}", "6 7 8", FAIL, 1, "equal to 7", NULL },
		{ "each={gt 1}", "2 1.5", PASS, 0, NULL, NULL },
		{ "each={gt 1}", "2 1 0", FAIL, 2, "not above 1", NULL },
		{ "each={lt 1}", "0 0.5", PASS, 0, NULL, NULL },
		{ "each={lt 1}", "0 1 2", FAIL, 2, "not below 1", NULL },
		{ "each={at_least 1, at_most 3, ne 2}", "1 3", PASS, 0, NULL, NULL },
		{ "each={at_least 1, at_most 3, ne 2}", "0 2 4", FAIL, 3, NULL, NULL },
		{ "each={at_most 10}", "1 NaN 2", FAIL, 1, "incomparable", NULL },
		{ "each={ne 10}", "NaN 2", FAIL, 1, "incomparable", NULL },
		{ "each={at_most 10}", "1 E 2", FAIL, 1, "no value at periodic_001 (+100 ms)",
		  NULL },
		{ "each={at_most 10}", "1 E E", INCON, 0, "1 of 3 samples", "no value at" },
		{ "each={at_most 9223372036854775808}", "9223372036854775809", FAIL, 1, NULL,
		  NULL },
		{ "each={at_most 9007199254740992}", "9007199254740993", FAIL, 1, NULL, NULL },
		{ "each={at_most 9007199254740992.0}", "9007199254740993", FAIL, 1, NULL, NULL },
		{ "each={eq 9007199254740992.0}", "9007199254740993", FAIL, 1, NULL, NULL },
		{ "each={lt 18446744073709551616.0}", "18446744073709551615", PASS, 0, NULL, NULL },
		{ "each={at_least -9223372036854775808}", "-9223372036854775808", PASS, 0, NULL,
		  NULL },
		{ "each={gt -1}", "0 18446744073709551615", PASS, 0, NULL, NULL },
	};

	CHECK(rows);
}

Test(pattern, always_true_takes_nothing_else)
{
	static const struct golden rows[] = {
		{ "always_true=true", "", PASS, 0, NULL, NULL },
		{ "always_true=true", "true true", PASS, 0, NULL, NULL },
		{ "always_true=true", "true false false", FAIL, 2,
		  "not true at periodic_001 (+100 ms): false", NULL },
		{ "always_true=true", "true E", FAIL, 1, "no value at periodic_001", NULL },
		{ "always_true=true", "1 1", FAIL, 2, "not a bool", NULL },
	};

	CHECK(rows);
}

Test(pattern, only_the_steps_asked_for_are_judged)
{
	static const struct golden rows[] = {
		{ "nondecreasing=true steps=1", "9#0 1#1 2#1 0#2", PASS, 0, "holds over 2 values",
		  "2 of 2 samples carry a value" },
		{ "nondecreasing=true steps=[0; 1]", "9#0 1#1 2#1 0#2", FAIL, 1, "1 after 9",
		  NULL },
		{ "nondecreasing=true steps=[1; 2]", "9#0 1#1 2#1 0#2", FAIL, 1, "0 after 2",
		  NULL },
		{ "nondecreasing=true steps=3", "9#0 1#1", INCON, 0, "column: no sample in steps 3",
		  NULL },
		{ "nondecreasing=true steps=[3; 4]", "", INCON, 0, "no sample in steps 3 to 4",
		  NULL },
		{ "nondecreasing=true steps=1 min_samples=2", "1#0 1#1", INCON, 0,
		  "1 of 1 samples carry a value, min_samples asks for 2", NULL },
		{ "nondecreasing=true steps=1", "1#0 E#1 E#1 1#1", INCON, 0, "1 of 3 samples",
		  NULL },
		{ "must_progress=true steps=1", "1#0 2#1 2#1", FAIL, 1, "stayed at 2", NULL },
		{ "ratio_within={other 'bpf:y', lo 1, hi 1} steps=1", "5#0 2#1 | 1#0 2#1", PASS, 0,
		  NULL, NULL },
	};

	CHECK(rows);
}

/* A restart of the scheduler: ~1 is its second life. */
Test(pattern, a_restart_begins_anew_when_asked_for)
{
	static const struct golden rows[] = {
		{ "nondecreasing=true", "5 6 0~1 1~1", FAIL, 1,
		  "0 after 6 at periodic_001 (+100 ms); the scheduler restarted in between (reset "
		  "= \"epoch\"",
		  NULL },
		{ "nondecreasing=true reset='epoch'", "5 6 0~1 1~1", PASS, 0, NULL,
		  "not judged across restarts of the scheduler: periodic_001/periodic_002" },
		{ "nondecreasing=true reset='epoch'", "5 6 3~1 1~1", FAIL, 1, "1 after 3", NULL },
		{ "nondecreasing=true reset='epoch'", "6 5 0~1 1~1", FAIL, 1, "5 after 6", NULL },
		{ "strictly_increasing=true reset='epoch'", "5 5~1 5~2", PASS, 0, NULL,
		  "periodic_000/periodic_001, periodic_001/periodic_002" },
		{ "nondecreasing=true reset='epoch' bridge=true", "5 E 0~1", PASS, 0, NULL,
		  "across restarts of the scheduler: periodic_000/periodic_002" },
		{ "nondecreasing=true reset='epoch' bridge=true", "5~1 E 0~1", FAIL, 1, NULL,
		  NULL },
		{ "rate_within={lo 0, hi 1}", "0 50 10~1", FAIL, 1, "-0.4 per ms", NULL },
		{ "rate_within={lo 0, hi 1} reset='epoch'", "0 50 10~1", PASS, 0, NULL, NULL },
		/* each life has a mean of its own */
		{ "steady_within={tol 0.1}", "10 10 99~1 99~1", FAIL, 4, NULL, NULL },
		{ "steady_within={tol 0.1} reset='epoch'", "10 10 99~1 99~1", PASS, 0, NULL, NULL },
		{ "steady_within={tol 0.1} reset='epoch'", "10 10 50~1 99~1", FAIL, 2,
		  "(mean 74.5 of 2)", NULL },
		{ "steady_within={tol 0.1} reset='epoch'", "", PASS, 0, NULL, "no value" },
		/* a run is of one life */
		{ "converges_to={target 5, tol 0, deadline_ms 900, run 3}", "5 5 5~1", PASS, 0,
		  NULL, NULL },
		{ "converges_to={target 5, tol 0, deadline_ms 900, run 3} reset='epoch'",
		  "5 5 5~1 5~1", FAIL, 1, "at most 2, the last of them 5 at periodic_001", NULL },
		{ "converges_to={target 5, tol 0, deadline_ms 900, run 3} reset='epoch'",
		  "5 5~1 5~1 5~1", PASS, 0, NULL, NULL },
		/* and each life that can show progress must */
		{ "must_progress=true reset='epoch'", "1 2 7~1 7~1", FAIL, 1,
		  "stayed at 7 from periodic_002 (+200 ms) to periodic_003 (+300 ms)", NULL },
		{ "must_progress=true reset='epoch'", "7 7 1~1 2~1", FAIL, 1, "stayed at 7", NULL },
		{ "must_progress=true reset='epoch'", "7 7 7~1 7~1", FAIL, 2, NULL, NULL },
		{ "must_progress=true reset='epoch'", "1 2 7~1", PASS, 0, "it changes", NULL },
		{ "must_progress=true reset='epoch'", "1 2~1 E~1", INCON, 0,
		  "2 of the 2 values that progress shows in in one life", NULL },
		{ "must_progress=true", "1 2~1", PASS, 0, NULL, NULL },
		{ "must_progress=true", "7 7 8~1", PASS, 0, NULL, NULL },
		{ "must_progress=true reset='epoch'", "7 7 8", PASS, 0, NULL, NULL },
	};

	CHECK(rows);
}

/* The options that every pattern has. */
Test(pattern, too_little_data_is_inconclusive_and_never_a_quiet_pass)
{
	static const struct golden rows[] = {
		{ "nondecreasing=true min_samples=2", "1 2", PASS, 0, NULL, NULL },
		{ "nondecreasing=true min_samples=3", "1 2", INCON, 0, "min_samples asks for 3",
		  NULL },
		{ "nondecreasing=true min_samples=3", "1 E 2", INCON, 0, "2 of 3", NULL },
		{ "nondecreasing=true min_samples=1", "", INCON, 0, "0 of 0", NULL },
		{ "nondecreasing=true min_samples=3", "2 1", INCON, 0, NULL, "fell at" },
		{ "nondecreasing=true", "1 E", PASS, 0, NULL, NULL },
		{ "nondecreasing=true", "1 E E", INCON, 0, "min_coverage asks for 0.5", NULL },
		{ "nondecreasing=true min_coverage=0.25", "1 E E", PASS, 0, NULL, NULL },
		{ "nondecreasing=true min_coverage=1", "1 2 E", INCON, 0, NULL, NULL },
		{ "nondecreasing=true min_coverage=1", "1 2", PASS, 0, NULL, NULL },
		{ "nondecreasing=true min_coverage=0", "E E", PASS, 0, NULL, NULL },
		/* 11 of 20 are 0.55, although 0.55 * 20 is more than 11 in doubles */
		{ "nondecreasing=true min_coverage=0.55", "1 1 1 1 1 1 1 1 1 1 1 E E E E E E E E E",
		  PASS, 0, NULL, NULL },
		{ "nondecreasing=true min_coverage=0.55", "1 1 1 1 1 1 1 1 1 1 E E E E E E E E E E",
		  INCON, 0, NULL, NULL },
		/* wrong parameters are wrong whatever was measured */
		{ "each={between [5; 1]}", "E E", FAIL, 1, NULL, NULL },
	};

	CHECK(rows);
}

Test(pattern, must_progress_wants_a_column_that_changes)
{
	static const struct golden rows[] = {
		{ "must_progress=true", "1 1 2", PASS, 0, "it changes", NULL },
		{ "must_progress=true", "2 1", PASS, 0, NULL, NULL },
		{ "must_progress=true", "7 7 7", FAIL, 1, "stayed at 7 from periodic_000 (+0 ms)",
		  NULL },
		{ "must_progress=true", "7 E 7", FAIL, 1, "to periodic_002 (+200 ms)", NULL },
		{ "must_progress=true", "7 E 8", PASS, 0, NULL, NULL },
		{ "must_progress=true", "0 -0.0", FAIL, 1, NULL, NULL },
		{ "must_progress=true", "NaN NaN", FAIL, 1, NULL, NULL },
		{ "must_progress=true", "NaN 1", PASS, 0, NULL, NULL },
		{ "must_progress=true", "1 NaN", PASS, 0, NULL, NULL },
		{ "must_progress=true", "9007199254740992 9007199254740993", PASS, 0, NULL, NULL },
		{ "must_progress=true", "7", INCON, 0, "1 of the 2 values", NULL },
		{ "must_progress=true", "", INCON, 0, "0 of the 2 values", NULL },
		{ "must_progress=false min_samples=0", "7 7", PASS, 0, NULL, NULL },
	};

	CHECK(rows);
}

Test(pattern, messages_have_the_shape_that_the_semantics_give)
{
	static const struct golden rows[] = {
		{ "name='nr_dispatched' nondecreasing=true", "50@600 200@700 100@850", FAIL, 1,
		  "nr_dispatched (nondecreasing): fell at periodic_002 (+850 ms): 100 after 200 at "
		  "periodic_001 (+700 ms)",
		  "nr_dispatched: 3 of 3 samples carry a value: 50 at periodic_000 (+600 ms), 200 "
		  "at "
		  "periodic_001 (+700 ms), 100 at periodic_002 (+850 ms)" },
		{ "name='x' each={at_least 1, at_most 10}", "12", FAIL, 1,
		  "x (each at_least 1, at_most 10): above 10 at periodic_000 (+0 ms): 12", NULL },
		{ "name='x' each={between [1; 5]}", "7", FAIL, 1,
		  "x (each between 1 and 5): above 5 at periodic_000 (+0 ms): 7", NULL },
		{ "name='x' each={at_most 1} because='they queue'", "2", FAIL, 1, NULL,
		  "x: it must hold because they queue" },
		{ "name='x' nondecreasing=true", "1 E 2 E", PASS, 0, NULL,
		  "x: no value in 2 of 4 samples: periodic_001 (+100 ms), periodic_003 (+300 ms): "
		  "AxisError: test: deadline" },
		{ "name='x' min_samples=1", "5 4 9 7 2 6 8 1 3", PASS, 0, NULL,
		  "x: 9 of 9 samples carry a value: first 5 at periodic_000 (+0 ms), lowest 1 at "
		  "periodic_007 (+700 ms), highest 9 at periodic_002 (+200 ms), last 3 at "
		  "periodic_008 (+800 ms)" },
	};

	CHECK(rows);
}

Test(pattern, says_no_more_failures_than_anybody_reads)
{
	KT_AUTO_ARENA arena = { 0 };
	KT_AUTO_BUF column = { 0 };
	struct kt_verdict said;

	for (size_t i = 0; i < KT_PATTERN_SAID_MAX + 36; i++)
		kt_buf_puts(&column, "9 ");
	fixture_judge(&arena, "each={at_most 1}", kt_buf_text(&column), &said);
	cr_assert_eq(fixture_count(&said, FAIL), KT_PATTERN_SAID_MAX);
	cr_assert(fixture_says(&said, KT_VERDICT_NOTE, "36 more like these"));
}

Test(pattern, rows_are_complete)
{
	size_t n;
	const struct kt_pattern *patterns = kt_pattern_table(&n);

	for (size_t i = 0; i < n; i++) {
		cr_assert(patterns[i].name && patterns[i].sentence && patterns[i].judge);
		cr_assert_eq(kt_pattern_by_name(patterns[i].name), &patterns[i]);
		cr_assert_leq(patterns[i].n_params, KT_PATTERN_PARAMS_MAX);
		for (size_t j = 0; j < patterns[i].n_params; j++)
			cr_assert(patterns[i].params[j].name && patterns[i].params[j].sentence);
	}
	cr_assert_leq(n, KT_ASSERTION_PATTERNS_MAX);
	cr_assert_null(kt_pattern_by_name("nonesuch"));
}

/* ---- properties over all short columns ---- */

static const char *const alphabet[] = { "E", "0", "1", "2", "NaN" };

#define LETTERS (sizeof(alphabet) / sizeof(alphabet[0]))

static const char *const every_assertion[] = {
	"nondecreasing=true",
	"nondecreasing=true bridge=true",
	"strictly_increasing=true",
	"strictly_increasing=true bridge=true",
	"each={at_most 1}",
	"each={ne 1}",
	"rate_within={lo 0, hi 0.015}",
	"steady_within={tol 0.5}",
	"always={at_most 1}",
	"eventually={at_least 2, within_ms 900}",
	"until={hold {at_most 1}, then {at_least 2}}",
	"always={any_of [{at_most 0}; {eventually {at_most 0, within_ms 100}}]}",
	"converges_to={target 1, tol 1, deadline_ms 900, run 2, stays true}",
	"ratio_across_steps={early 0, late 0, at_most 0.5}",
	"nondecreasing=true must_progress=true",
	"nondecreasing=true min_coverage=0.8",
	"min_samples=2",
};

/* The word'th word of len letters, with an E put in at place `extra` (len + 1: nowhere). */
static const char *word(struct kt_arena *arena, size_t which, size_t len, size_t extra)
{
	KT_AUTO_BUF text = { 0 };

	for (size_t i = 0; i <= len; i++) {
		if (i == extra)
			kt_buf_puts(&text, "E ");
		if (i < len)
			kt_buf_printf(&text, "%s ", alphabet[which % LETTERS]);
		which /= LETTERS;
	}
	return kt_arena_strdup(arena, kt_buf_text(&text));
}

Test(pattern, an_added_error_never_turns_fail_into_pass_without_coverage)
{
	for (size_t a = 0; a < sizeof(every_assertion) / sizeof(every_assertion[0]); a++) {
		double share = strstr(every_assertion[a], "0.8") ? 0.8 : 0.5;

		for (size_t which = 0; which < 5 * 5 * 5; which++) {
			KT_AUTO_ARENA arena = { 0 };
			struct kt_verdict said;
			const char *before = word(&arena, which, 3, 4);

			if (fixture_judge(&arena, every_assertion[a], before, &said) != FAIL)
				continue;
			for (size_t extra = 0; extra <= 3; extra++) {
				const char *after = word(&arena, which, 3, extra);
				struct kt_column column = fixture_column(&arena, after);

				if (fixture_judge(&arena, every_assertion[a], after, &said) != PASS)
					continue;
				cr_assert_geq((double)kt_column_usable(&column) / 4, share,
					      "%s: [%s] fails, [%s] passes", every_assertion[a],
					      before, after);
				/* Only a pair can be torn apart, and only one not bridged. */
				cr_assert_null(strstr(every_assertion[a], "bridge"));
				cr_assert_null(strstr(every_assertion[a], "each"));
			}
		}
	}
}

Test(pattern, a_wider_band_never_turns_pass_into_fail)
{
	for (size_t which = 0; which < 5 * 5 * 5 * 5; which++) {
		bool passed = false;

		for (int high = 0; high <= 3; high++) {
			KT_AUTO_ARENA arena = { 0 };
			struct kt_verdict said;
			const char *column = word(&arena, which, 4, 5);
			bool passes = fixture_judge(&arena,
						    kt_arena_printf(&arena,
								    "each={between [0; %d]}", high),
						    column, &said) == PASS;

			cr_assert(passes || !passed, "[%s] up to %d", column, high);
			passed = passes;
		}
	}
}
