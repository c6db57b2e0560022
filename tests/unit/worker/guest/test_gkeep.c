#include "worker/guest/gkeep.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BB "bb\nbb\nbb\n"

static const struct {
	size_t head_max, ring_max;
	const char *pieces[4];
	size_t most;
	const char *kept;
} texts[] = {
	/* everything fits */
	{ 100, 100, { "a\n", "b\n", "c" }, 300, "a\nb\nc" },
	{ 4, 100, { "abcdef" }, 300, "abcdef" },
	{ 0, 100, { "abc" }, 300, "abc" },
	{ 0, 100, { "" }, 300, "" },
	/* more than is kept: whole lines of both ends */
	{ 8,
	  8,
	  { "aa\nbb\ncc\n", "dd\nee\nff\n" },
	  300,
	  "aa\nbb\n[6 bytes are left out]\nee\nff\n" },
	{ 8, 8, { "aa\nbb\ncc\ndd\nee\nff" }, 300, "aa\nbb\n[6 bytes are left out]\nee\nff" },
	/* the end only */
	{ 0, 8, { "aa\nbb\ncc\n", "dd\n" }, 300, "[6 bytes are left out]\ncc\ndd\n" },
	/* one piece larger than everything */
	{ 3, 4, { "aa\nbbbbbbbbbbbbbbbbbbbbb\ncc\n" }, 300, "aa\n[22 bytes are left out]\ncc\n" },
	/* more than is given */
	{ 100,
	  100,
	  { "aa\n", BB BB BB BB, BB BB BB BB, "ff\n" },
	  KT_GKEEP_NOTE_BYTES_MAX + 8,
	  "aa\n[72 bytes are left out]\nff\n" },
	/* what is missing between them is never glued over */
	{ 30,
	  4,
	  { "aa\nbb\ncc\ndd\nee\nff\ngg\nhh\nii\njj\nkk\nll\n" },
	  KT_GKEEP_NOTE_BYTES_MAX + 20,
	  "aa\nbb\ncc\n[24 bytes are left out]\nll\n" },
	/* no line of it is whole */
	{ 4, 4, { "abcdefghijkl" }, 300, "abcd\n[8 bytes are left out]\n" },
	{ 0, 4, { "abcdefghijkl" }, 300, "[8 bytes are left out]\nijkl" },
	{ 100, 100, { "abcdefghijkl" }, KT_GKEEP_NOTE_BYTES_MAX + 4, "abcdefghijkl" },
	{ 100,
	  8,
	  { "abcdefghijklabcdefghijklabcdefghijklabcdefghijklabcdefghijklabcdefghijklabcdefghijk"
	    "l" },
	  KT_GKEEP_NOTE_BYTES_MAX + 4,
	  "abcd\n[80 bytes are left out]\n" },
};

Test(gkeep, the_ends_of_a_text_are_kept_by_lines)
{
	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		KT_AUTO_ARENA arena = { 0 };
		struct kt_gkeep keep;
		struct kt_bin text;

		kt_gkeep_init(&keep, texts[i].head_max, texts[i].ring_max);
		for (size_t k = 0; k < 4 && texts[i].pieces[k]; k++)
			kt_gkeep_put(&keep, texts[i].pieces[k], strlen(texts[i].pieces[k]));
		kt_gkeep_take(&keep, texts[i].most, &arena, &text);
		cr_expect_eq(text.len, strlen(texts[i].kept), "%zu: %.*s", i, (int)text.len,
			     text.data);
		cr_expect_eq(memcmp(text.data, texts[i].kept, text.len), 0, "%zu: %.*s", i,
			     (int)text.len, text.data);
		cr_expect(text.len <= texts[i].most);
		kt_gkeep_destroy(&keep);
	}
}

/* However it came in, what is kept is a prefix and a suffix of it. */
Test(gkeep, pieces_of_any_size_give_the_same)
{
	char all[3000];

	srand(1);
	for (size_t i = 0; i < sizeof(all); i++)
		all[i] = i % 37 == 36 ? '\n' : (char)('a' + i % 26);
	for (int round = 0; round < 200; round++) {
		KT_AUTO_ARENA arena = { 0 };
		size_t len = (size_t)rand() % sizeof(all);
		struct kt_gkeep whole;
		struct kt_gkeep pieces;
		struct kt_bin a;
		struct kt_bin b;

		kt_gkeep_init(&whole, 200, 300);
		kt_gkeep_init(&pieces, 200, 300);
		kt_gkeep_put(&whole, all, len);
		for (size_t at = 0; at < len;) {
			size_t n = 1 + (size_t)rand() % 500;

			n = n < len - at ? n : len - at;
			kt_gkeep_put(&pieces, all + at, n);
			at += n;
		}
		kt_gkeep_take(&whole, 400, &arena, &a);
		kt_gkeep_take(&pieces, 400, &arena, &b);
		cr_assert_eq(a.len, b.len);
		cr_assert_eq(memcmp(a.data, b.data, a.len), 0);
		cr_assert(a.len <= 400);
		kt_gkeep_destroy(&whole);
		kt_gkeep_destroy(&pieces);
	}
}

Test(gkeep, what_short_ones_leave_over_goes_to_the_long_ones)
{
	static const struct {
		size_t bytes[4];
		size_t most;
		size_t share;
	} cases[] = {
		{ { 10, 10, 10, 10 }, 100, 25 },     { { 10, 10, 100, 100 }, 100, 40 },
		{ { 100, 100, 100, 100 }, 100, 25 }, { { 0, 0, 0, 500 }, 100, 100 },
		{ { 1, 30, 35, 90 }, 100, 34 },      { { 5, 5, 5, 5 }, 3, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t share = kt_gkeep_share(cases[i].bytes, 4, cases[i].most);
		size_t sum = 0;

		for (size_t k = 0; k < 4; k++)
			sum += cases[i].bytes[k] < share ? cases[i].bytes[k] : share;
		cr_expect_eq(share, cases[i].share, "%zu: %zu", i, share);
		cr_expect_leq(sum, cases[i].most);
	}
	cr_assert_eq(kt_gkeep_share(NULL, 0, 100), 0);
}
