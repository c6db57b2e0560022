#include "coordinator/words.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

Test(words, a_line_becomes_words_without_a_shell)
{
	static const struct {
		const char *line;
		const char *words; /* one per line; NULL: refused */
	} rows[] = {
		{ "scx_kt", "scx_kt\n" },
		{ "scx_kt --slow", "scx_kt\n--slow\n" },
		{ "  a\t b\n c  ", "a\nb\nc\n" },
		{ "a 'b c' d", "a\nb c\nd\n" },
		{ "a \"b c\"d e", "a\nb cd\ne\n" },
		{ "a '' b", "a\n\nb\n" },
		{ "a\\ b c", "a b\nc\n" },
		{ "\"a\\\"b\" '\\'", "a\"b\n\\\n" },
		{ "a $HOME * ~ ; b|c `d`", "a\n$HOME\n*\n~\n;\nb|c\n`d`\n" },
		{ "a\\", "a\\\n" },
		{ "", NULL },
		{ " \t ", NULL },
		{ "a 'b", NULL },
		{ "a \"b", NULL },
		{ "a \"b\\\"", NULL },
		{ "1 2 3 4 5 6 7 8", "1\n2\n3\n4\n5\n6\n7\n8\n" },
		{ "1 2 3 4 5 6 7 8 9", NULL },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		KT_AUTO_ARENA arena = { 0 };
		const char **words;
		struct kt_err err = { 0 };
		char got[256] = "";
		size_t n;
		int status = kt_words_split(rows[i].line, &arena, 8, &words, &n, &err);

		if (!rows[i].words) {
			cr_assert_lt(status, 0, "%s", rows[i].line);
			cr_assert_eq(err.fault, KT_FAULT_INPUT);
			continue;
		}
		cr_assert_eq(status, 0, "%s: %s", rows[i].line, err.text);
		for (size_t k = 0; k < n; k++) {
			strcat(got, words[k]);
			strcat(got, "\n");
		}
		cr_assert_str_eq(got, rows[i].words, "%s: %s", rows[i].line, got);
	}
}
