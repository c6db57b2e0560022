#include "worker/guest/logtail.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

Test(logtail, repeated_lines_are_said_once_with_their_number)
{
	static const struct {
		const char *in;
		const char *out;
	} cases[] = {
		{ "", "" },
		{ "a\n", "a\n" },
		{ "a", "a\n" },
		{ "a\na\n", "a\n[the line above 1 more time]\n" },
		{ "a\na\na\nb\na\n", "a\n[the line above 2 more times]\nb\na\n" },
		{ "\n\nx\n", "\n[the line above 1 more time]\nx\n" },
		{ "a\nab\n", "a\nab\n" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		KT_AUTO_BUF tail = { 0 };
		KT_AUTO_BUF out = { 0 };

		kt_logtail_append(&tail, cases[i].in, strlen(cases[i].in));
		kt_logtail_collapse(&tail, 1000, &out);
		cr_assert_str_eq(kt_buf_text(&out), cases[i].out, "case %zu", i);
	}
}

Test(logtail, the_newest_lines_stay_within_the_limit)
{
	KT_AUTO_BUF tail = { 0 };
	KT_AUTO_BUF out = { 0 };
	char line[32];

	for (int i = 0; i < 100000; i++) {
		int n = snprintf(line, sizeof(line), "line %d\n", i);

		kt_logtail_append(&tail, line, (size_t)n);
		cr_assert_leq(tail.len, 2 * KT_LOGTAIL_BYTES_MAX);
	}
	kt_logtail_collapse(&tail, 25, &out);
	cr_assert_str_eq(kt_buf_text(&out), "line 99998\nline 99999\n");
}

Test(logtail, one_piece_larger_than_everything_leaves_its_end)
{
	KT_AUTO_BUF tail = { 0 };
	KT_AUTO_BUF piece = { 0 };
	char last[64];

	while (piece.len < 3 * KT_LOGTAIL_BYTES_MAX)
		kt_buf_puts(&piece, "0123456789abcdef\n");
	kt_buf_puts(&piece, "the end\n \n");
	kt_logtail_append(&tail, piece.data, piece.len);
	cr_assert_leq(tail.len, KT_LOGTAIL_BYTES_MAX);
	kt_logtail_last_line(&tail, last, sizeof(last));
	cr_assert_str_eq(last, "the end");
	kt_logtail_last_line(&tail, last, 4);
	cr_assert_str_eq(last, "the");
}

Test(logtail, a_zero_byte_never_ends_a_text)
{
	KT_AUTO_BUF tail = { 0 };
	KT_AUTO_BUF out = { 0 };

	kt_logtail_append(&tail, "a\0b\nc", 5);
	kt_logtail_collapse(&tail, 100, &out);
	cr_assert_str_eq(kt_buf_text(&out), "a?b\nc\n");
}
