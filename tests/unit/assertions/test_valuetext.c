#include "assertions/valuetext.h"
#include "proto/base/buf.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

static void reads_as(const char *text, const char *printed)
{
	KT_AUTO_ARENA arena = { 0 };
	KT_AUTO_BUF out = { 0 };
	struct kt_value table;
	struct kt_err err = { 0 };

	cr_assert_eq(kt_valuetext_table(text, &arena, &table, &err), 0, "%s: %s", text, err.text);
	kt_value_print(&table, 1000, &out);
	cr_expect_str_eq(kt_buf_text(&out), printed, "%s: %s", text, kt_buf_text(&out));
}

static void refuses(const char *text, const char *words)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_value table;
	struct kt_err err = { 0 };

	cr_expect_eq(kt_valuetext_table(text, &arena, &table, &err), -EINVAL, "%s", text);
	cr_expect_eq(err.fault, KT_FAULT_INPUT);
	cr_expect(strstr(err.text, words), "%s: %s", text, err.text);
}

Test(valuetext, reads_what_an_assertion_of_a_matrix_may_say)
{
	reads_as("", "{}");
	reads_as("  # nothing\n", "{}");
	reads_as("a = true, b=false", "{a: true, b: false}");
	reads_as("a = 1_000\nb = -7 # seven\n\nc = 0.5", "{a: 1000, b: -7, c: 0.5}");
	reads_as("a = 18446744073709551615", "{a: 18446744073709551615}");
	reads_as("each = { at_most = 10, between = [1, 2,] }",
		 "{each: {at_most: 10, between: [1, 2]}}");
	reads_as("any_of = [\n  { eq = 1 }, # one\n  { eq = 2 }\n]",
		 "{any_of: [{eq: 1}, {eq: 2}]}");
	reads_as("s = \"a\\\"b\\\\\", t = 'c\\d'", "{s: \"a\\\"b\\\\\", t: \"c\\\\d\"}");
}

Test(valuetext, refuses_with_the_line_and_the_column)
{
	refuses("a", "1:2: '=' is expected");
	refuses("= 1", "1:1: a key is expected");
	refuses("a = 1 b = 2", "1:7: ',' or a new line");
	refuses("a = 1\n\n b = what", "3:6: 'what' is no value");
	refuses("a = [1 2]", "1:8: ',' or ']'");
	refuses("a = { b = 1", "1:12: ',' or '}'");
	refuses("a = [1,", "a value is expected");
	refuses("a = \"x", "closing \"");
	refuses("a = \"\\q\"", "of escapes");
	refuses("a = 1\na = 2", "2:1: 'a' is there twice");
	refuses("a = 1__0", "'1__0' is no value");
	refuses("a = [[[[[[[[[[[[[[[[[1]]]]]]]]]]]]]]]]]", "brackets deeper than 16");
}

Test(valuetext, one_value_stands_alone)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_value value;
	struct kt_err err = { 0 };

	cr_assert_eq(kt_valuetext_value(" { rate = \"bpf:n\" } ", &arena, &value, &err), 0);
	cr_assert_str_eq(kt_value_get(&value, "rate")->str, "bpf:n");
	cr_assert_eq(kt_valuetext_value("1 2", &arena, &value, &err), -EINVAL);
	cr_assert_eq(kt_valuetext_value("", &arena, &value, &err), -EINVAL);
}
