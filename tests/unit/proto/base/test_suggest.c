#include "proto/base/suggest.h"

#include <criterion/criterion.h>
#include <string.h>

static const char *const names[] = { "nondecreasing", "strictly_increasing", "each",
				     "always_true",   "min_samples",         "min_coverage" };

#define N_NAMES (sizeof(names) / sizeof(names[0]))

Test(suggest, finds_what_was_meant)
{
	static const struct {
		const char *word;
		const char *meant; /* NULL: nothing is near */
	} rows[] = {
		{ "nondecreasing", "nondecreasing" },
		{ "non_decreasing", "nondecreasing" },
		{ "nondecresing", "nondecreasing" },
		{ "eahc", "each" },
		{ "EACH", "each" },
		{ "min-samples", "min_samples" },
		{ "min_sample", "min_samples" },
		{ "strictly", "strictly_increasing" },
		{ "always", "always_true" },
		{ "zebra", NULL },
		{ "x", NULL },
		{ "", NULL },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const char *found = kt_suggest(rows[i].word, names, N_NAMES);

		if (rows[i].meant)
			cr_assert(found && strcmp(found, rows[i].meant) == 0, "'%s': %s",
				  rows[i].word, found ? found : "nothing");
		else
			cr_assert_null(found, "'%s': %s", rows[i].word, found);
	}
}

Test(suggest, a_word_beyond_every_limit_is_only_not_suggested)
{
	char word[1000];

	memset(word, 'a', sizeof(word) - 1);
	word[sizeof(word) - 1] = 0;
	cr_assert_null(kt_suggest(word, names, N_NAMES));
	cr_assert_null(kt_suggest("each", names, 0));
}

Test(suggest, prints_the_suggestion_and_the_list)
{
	KT_AUTO_BUF out = { 0 };
	const char *many[200];

	kt_suggest_print("eahc", names, 3, &out);
	cr_assert_str_eq(kt_buf_text(&out),
			 "did you mean 'each'? known: nondecreasing, strictly_increasing, each");
	kt_buf_reset(&out);
	kt_suggest_print("zebra", names, 1, &out);
	cr_assert_str_eq(kt_buf_text(&out), "known: nondecreasing");
	kt_buf_reset(&out);
	for (size_t i = 0; i < 200; i++)
		many[i] = "a_rather_long_name";
	kt_suggest_print("zebra", many, 200, &out);
	cr_assert(strstr(kt_buf_text(&out), " and 180 more"), "%s", kt_buf_text(&out));
}
