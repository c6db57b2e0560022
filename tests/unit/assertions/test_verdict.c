#include "fixture.h"

#define N   KT_VERDICT_SKIP
#define P   KT_VERDICT_PASS
#define I   KT_VERDICT_INCONCLUSIVE
#define F   KT_VERDICT_FAIL
#define END KT_VERDICT_OUTCOME_N

static void say(struct kt_verdict *verdict, const enum kt_verdict_outcome *outcomes)
{
	for (int i = 0; outcomes[i] != END; i++)
		kt_verdict_say(verdict, outcomes[i], KT_VERDICT_KIND_TEMPORAL, "a", "%s number %d",
			       kt_verdict_outcome_name(outcomes[i]), i);
}

Test(verdict, the_highest_outcome_wins_and_its_first_detail_leads)
{
	static const struct {
		enum kt_verdict_outcome said[6];
		enum kt_verdict_outcome outcome;
		const char *headline; /* NULL: nothing was said */
	} rows[] = {
		{ { END }, P, NULL },
		{ { N, END }, N, "skip number 0" },
		{ { N, N, END }, N, "skip number 0" },
		{ { N, P, END }, P, "pass number 1" },
		{ { P, P, END }, P, "pass number 0" },
		{ { P, I, END }, I, "inconclusive number 1" },
		{ { I, P, I, END }, I, "inconclusive number 0" },
		{ { I, F, F, END }, F, "fail number 1" },
		{ { F, I, P, N, END }, F, "fail number 0" },
		{ { KT_VERDICT_NOTE, END }, P, "note number 0" },
		{ { KT_VERDICT_NOTE, N, END }, N, "skip number 1" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		KT_AUTO_ARENA arena = { 0 };
		struct kt_verdict verdict;

		kt_verdict_init(&verdict, &arena);
		say(&verdict, rows[i].said);
		cr_assert_eq(kt_verdict_outcome(&verdict), rows[i].outcome, "row %zu", i);
		if (rows[i].headline)
			cr_assert_str_eq(kt_verdict_headline(&verdict)->text, rows[i].headline);
		else
			cr_assert_null(kt_verdict_headline(&verdict));
	}
}

static bool same(const struct kt_verdict *a, const struct kt_verdict *b)
{
	const struct kt_verdict_detail *x = a->first;
	const struct kt_verdict_detail *y = b->first;

	for (; x && y; x = x->next, y = y->next)
		if (x->outcome != y->outcome || strcmp(x->text, y->text) != 0)
			return false;
	return !x && !y && a->n == b->n && kt_verdict_outcome(a) == kt_verdict_outcome(b);
}

/* All triples of verdicts of at most two sayings. */
Test(verdict, merging_is_associative_and_empty_changes_nothing)
{
	static const enum kt_verdict_outcome pool[][3] = {
		{ END },       { N, END },    { P, END },
		{ I, END },    { F, END },    { P, N, END },
		{ I, P, END }, { F, I, END }, { KT_VERDICT_NOTE, END },
	};
	size_t n = sizeof(pool) / sizeof(pool[0]);

	for (size_t i = 0; i < n * n * n; i++) {
		KT_AUTO_ARENA arena = { 0 };
		KT_AUTO_ARENA other = { 0 };
		struct kt_verdict a;
		struct kt_verdict b;
		struct kt_verdict c;
		struct kt_verdict left;
		struct kt_verdict right;

		kt_verdict_init(&a, &arena);
		kt_verdict_init(&b, &other);
		kt_verdict_init(&c, &arena);
		kt_verdict_init(&left, &arena);
		kt_verdict_init(&right, &arena);
		say(&a, pool[i % n]);
		say(&b, pool[i / n % n]);
		say(&c, pool[i / n / n]);
		kt_verdict_merge(&left, &a); /* ((0 a) b) c */
		kt_verdict_merge(&left, &b);
		kt_verdict_merge(&left, &c);
		kt_verdict_merge(&b, &c); /* a (b c) */
		kt_verdict_merge(&right, &a);
		kt_verdict_merge(&right, &b);
		cr_assert(same(&left, &right), "triple %zu", i);
	}
}

Test(verdict, a_note_never_changes_an_outcome)
{
	static const enum kt_verdict_outcome all[][2] = {
		{ N, END }, { P, END }, { I, END }, { F, END }
	};

	for (size_t i = 0; i < 4; i++) {
		KT_AUTO_ARENA arena = { 0 };
		struct kt_verdict verdict;
		struct kt_verdict fails;

		kt_verdict_init(&verdict, &arena);
		kt_verdict_init(&fails, &arena);
		say(&fails, (const enum kt_verdict_outcome[]){ F, I, END });
		say(&verdict, all[i]);
		kt_verdict_merge_notes(&verdict, &fails);
		cr_assert_eq(kt_verdict_outcome(&verdict), all[i][0]);
		cr_assert_eq(fixture_count(&verdict, KT_VERDICT_NOTE), 2);
	}
}

Test(verdict, any_of_takes_the_first_passing_branch_or_sums_up)
{
	static const struct {
		size_t n;
		enum kt_verdict_outcome branches[3][3];
		enum kt_verdict_outcome outcome;
		const char *headline;
	} rows[] = {
		{ 0, { { END } }, F, "a: there is no branch that could hold" },
		{ 3, { { F, END }, { P, END }, { P, END } }, P, "pass number 0" },
		{ 2,
		  { { F, END }, { I, END } },
		  F,
		  "a: none of 2 branches holds; the first: fail number 0" },
		{ 3,
		  { { I, END }, { F, END }, { F, END } },
		  F,
		  "a: none of 3 branches holds; the first: fail number 0" },
		{ 2,
		  { { N, END }, { I, END } },
		  I,
		  "a: none of 2 branches holds; the first: inconclusive number 0" },
		{ 2,
		  { { N, END }, { N, END } },
		  N,
		  "a: none of 2 branches holds; the first: skip number 0" },
		{ 2, { { F, END }, { END } }, P, "a: branch 2 holds" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		KT_AUTO_ARENA arena = { 0 };
		struct kt_verdict branches[3];
		struct kt_verdict verdict;

		kt_verdict_init(&verdict, &arena);
		for (size_t j = 0; j < rows[i].n; j++) {
			kt_verdict_init(&branches[j], &arena);
			say(&branches[j], rows[i].branches[j]);
		}
		kt_verdict_merge_any(&verdict, branches, rows[i].n, "a");
		cr_assert_eq(kt_verdict_outcome(&verdict), rows[i].outcome, "row %zu", i);
		cr_assert_str_eq(kt_verdict_headline(&verdict)->text, rows[i].headline);
		if (rows[i].outcome == P) {
			cr_assert_eq(fixture_count(&verdict, F), 0);
			cr_assert_eq(fixture_count(&verdict, P), 1);
		}
	}
}

Test(verdict, finishes_with_failures_first_each_rank_in_order)
{
	KT_AUTO_ARENA arena = { 0 };
	KT_AUTO_ARENA back = { 0 };
	KT_AUTO_BUF bytes = { 0 };
	struct kt_verdict verdict;
	struct kt_msg_verdict msg;
	struct kt_msg_verdict decoded;
	static const char *const order[] = { "fail number 3",         "fail number 5",
					     "inconclusive number 1", "pass number 2",
					     "skip number 4",         "note number 0" };

	kt_verdict_init(&verdict, &arena);
	say(&verdict, (const enum kt_verdict_outcome[]){ KT_VERDICT_NOTE, I, P, F, N, F, END });
	kt_verdict_finish(&verdict, &msg);
	kt_codec_encode(&kt_schema_verdict, &msg, &bytes);
	cr_assert_eq(kt_codec_decode(&kt_schema_verdict, bytes.data, bytes.len, &back, &decoded,
				     NULL),
		     0);
	cr_assert_str_eq(decoded.outcome, "fail");
	cr_assert_eq(decoded.n_details, 6);
	for (size_t i = 0; i < 6; i++)
		cr_assert_str_eq(decoded.details[i].text, order[i]);
	cr_assert_eq(kt_verdict_outcome_by_name("inconclusive"), I);
	cr_assert_eq(kt_verdict_outcome_by_name("maybe"), END);
}

Test(verdict, is_cut_to_what_may_be_stored)
{
	KT_AUTO_ARENA arena = { 0 };
	KT_AUTO_BUF bytes = { 0 };
	struct kt_verdict verdict;
	struct kt_msg_verdict msg;
	static char text[2 * KT_TEXT_BYTES_MAX];
	static char name[2 * KT_NAME_BYTES_MAX];

	memset(text, 'x', sizeof(text) - 1);
	memset(name, 'y', sizeof(name) - 1);
	text[10] = '\n';
	kt_verdict_init(&verdict, &arena);
	kt_verdict_say(&verdict, F, KT_VERDICT_KIND_TEMPORAL, name, "%s", text);
	for (size_t i = 0; i < KT_VERDICT_DETAILS_MAX + 5; i++)
		kt_verdict_say(&verdict, P, KT_VERDICT_KIND_TEMPORAL, "a", "pass");
	kt_verdict_finish(&verdict, &msg);
	kt_codec_encode(&kt_schema_verdict, &msg,
			&bytes); /* refuses with a crash what is too long */
	cr_assert_eq(msg.n_details, KT_VERDICT_DETAILS_MAX);
	cr_assert_eq(strlen(msg.details[0].text), KT_TEXT_BYTES_MAX);
	cr_assert_str_eq(msg.details[0].text + KT_TEXT_BYTES_MAX - 3, "...");
	cr_assert_eq(msg.details[0].text[10], ' ');
	cr_assert_str_eq(msg.details[msg.n_details - 1].text, "7 more details are left out");
}

Test(verdict, as_many_details_as_may_be_stored_are_all_kept)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_verdict verdict;
	struct kt_msg_verdict msg;

	kt_verdict_init(&verdict, &arena);
	for (size_t i = 0; i < KT_VERDICT_DETAILS_MAX; i++)
		kt_verdict_say(&verdict, P, KT_VERDICT_KIND_TEMPORAL, "a", "pass");
	kt_verdict_finish(&verdict, &msg);
	cr_assert_eq(msg.n_details, KT_VERDICT_DETAILS_MAX);
	cr_assert_str_eq(msg.details[msg.n_details - 1].text, "pass");
}
