#include "assertions/number.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

#define TWO_53 9007199254740992ull
#define TWO_63 9223372036854775808ull

static struct kt_number u(uint64_t u64)
{
	return kt_number_u64(u64);
}

static struct kt_number i(int64_t i64)
{
	return kt_number_i64(i64);
}

static struct kt_number f(double f64)
{
	return kt_number_f64(f64);
}

Test(number, compares_exactly_across_types)
{
	const struct {
		struct kt_number a;
		struct kt_number b;
		int order;
	} rows[] = {
		{ u(0), u(0), 0 },
		{ u(1), u(2), -1 },
		{ u(TWO_53), u(TWO_53 + 1), -1 },
		{ u(TWO_63), u(TWO_63 + 1), -1 },
		{ u(UINT64_MAX), u(UINT64_MAX - 1), 1 },
		{ i(-1), u(0), -1 },
		{ i(-1), u(UINT64_MAX), -1 },
		{ i(-1), i(-2), 1 },
		{ i(INT64_MIN), i(INT64_MIN + 1), -1 },
		/* an integer beside the double that it would round to */
		{ u(TWO_53 + 1), f(0x1p53), 1 },
		{ u(TWO_53), f(0x1p53), 0 },
		{ u(UINT64_MAX), f(0x1p64), -1 },
		{ u(TWO_63 + 1), f(0x1p63), 1 },
		{ u(TWO_63 - 1), f(0x1p63), -1 },
		{ i(INT64_MIN), f(-0x1p63), 0 },
		{ i(INT64_MIN + 1), f(-0x1p63), 1 },
		{ i(INT64_MIN), f(-0x1p64), 1 },
		{ i(-(int64_t)TWO_53 - 1), f(-0x1p53), -1 },
		/* what is behind the point decides last */
		{ u(10), f(10.5), -1 },
		{ u(11), f(10.5), 1 },
		{ i(-10), f(-10.5), 1 },
		{ i(-11), f(-10.5), -1 },
		{ i(-1), f(-0.5), -1 },
		{ u(0), f(-0.5), 1 },
		{ u(0), f(-0.0), 0 },
		{ i(-1), f(0.0), -1 },
		{ u(0), f(5e-324), -1 },
		{ u(UINT64_MAX), f(INFINITY), -1 },
		{ i(INT64_MIN), f(-INFINITY), 1 },
		{ f(0.1), f(0.2), -1 },
		{ f(0.0), f(-0.0), 0 },
		{ kt_number_bool(true), u(1), 0 },
		{ kt_number_bool(false), i(-1), 1 },
		{ kt_number_bool(true), f(0.5), 1 },
	};

	for (size_t n = 0; n < sizeof(rows) / sizeof(rows[0]); n++) {
		cr_assert_eq(kt_number_compare(&rows[n].a, &rows[n].b), rows[n].order, "row %zu",
			     n);
		cr_assert_eq(kt_number_compare(&rows[n].b, &rows[n].a), -rows[n].order,
			     "row %zu turned", n);
	}
}

static struct kt_value text(const char *str)
{
	return (struct kt_value){ .type = KT_VALUE_STR, .n = (uint32_t)strlen(str), .str = str };
}

Test(number, is_had_from_values_as_the_coercions_say)
{
	const struct {
		struct kt_value value;
		const char *as[5]; /* number, u64, i64, f64, bool; NULL: refused */
	} rows[] = {
		{ kt_value_u64(5), { "5", "5", "5", "5", NULL } },
		{ kt_value_i64(-5), { "-5", NULL, "-5", "-5", NULL } },
		{ kt_value_u64(UINT64_MAX),
		  { "18446744073709551615", "18446744073709551615", NULL, "1.844674407370955e+19",
		    NULL } },
		{ kt_value_u64(INT64_MAX),
		  { "9223372036854775807", "9223372036854775807", "9223372036854775807",
		    "9.22337203685478e+18", NULL } },
		{ kt_value_f64(3.0), { "3", "3", "3", "3", NULL } },
		{ kt_value_f64(-3.0), { "-3", NULL, "-3", "-3", NULL } },
		{ kt_value_f64(-0.0), { "-0", "0", "0", "-0", NULL } },
		{ kt_value_f64(3.5), { "3.5", NULL, NULL, "3.5", NULL } },
		{ kt_value_f64(0x1p64),
		  { "1.84467440737096e+19", NULL, NULL, "1.84467440737096e+19", NULL } },
		{ kt_value_f64(NAN), { "NaN", NULL, NULL, "NaN", NULL } },
		{ kt_value_f64(INFINITY), { "inf", NULL, NULL, "inf", NULL } },
		{ kt_value_bool(true), { "true", "1", "1", NULL, "true" } },
		{ kt_value_bool(false), { "false", "0", "0", NULL, "false" } },
		{ text("17"), { "17", "17", "17", "17", NULL } },
		{ text("+17"), { "17", "17", "17", "17", NULL } },
		{ text("-9223372036854775808"),
		  { "-9223372036854775808", NULL, "-9223372036854775808", "-9.223372036854776e+18",
		    NULL } },
		{ text("18446744073709551615"),
		  { "18446744073709551615", "18446744073709551615", NULL, "1.844674407370955e+19",
		    NULL } },
		{ text("18446744073709551616"), { NULL, NULL, NULL, NULL, NULL } },
		{ text("-9223372036854775809"), { NULL, NULL, NULL, NULL, NULL } },
		{ text("1.5e3"), { "1500", "1500", "1500", "1500", NULL } },
		{ text(".5"), { "0.5", NULL, NULL, "0.5", NULL } },
		{ text("5."), { "5", "5", "5", "5", NULL } },
		{ text("."), { NULL, NULL, NULL, NULL, NULL } },
		{ text("1e"), { NULL, NULL, NULL, NULL, NULL } },
		{ text("1e999"), { NULL, NULL, NULL, NULL, NULL } },
		{ text(""), { NULL, NULL, NULL, NULL, NULL } },
		{ text("-"), { NULL, NULL, NULL, NULL, NULL } },
		{ text("0x10"), { NULL, NULL, NULL, NULL, NULL } },
		{ text("nan"), { NULL, NULL, NULL, NULL, NULL } },
		{ text("inf"), { NULL, NULL, NULL, NULL, NULL } },
		{ text(" 1"), { NULL, NULL, NULL, NULL, NULL } },
		{ text("true"), { NULL, NULL, NULL, NULL, NULL } },
		{ kt_value_nil(), { NULL, NULL, NULL, NULL, NULL } },
		{ { .type = KT_VALUE_LIST }, { NULL, NULL, NULL, NULL, NULL } },
		{ { .type = KT_VALUE_MAP }, { NULL, NULL, NULL, NULL, NULL } },
	};

	for (size_t n = 0; n < sizeof(rows) / sizeof(rows[0]); n++)
		for (enum kt_number_want want = 0; want <= KT_NUMBER_WANT_BOOL; want++) {
			struct kt_number number;
			char shown[KT_NUMBER_TEXT_BYTES];
			bool had = kt_number_from_value(&rows[n].value, want, &number);
			const char *wanted = rows[n].as[want];

			cr_assert_eq(had, wanted != NULL, "row %zu as %s", n,
				     kt_number_want_name(want));
			if (had && number.type != KT_NUMBER_F64)
				cr_assert_str_eq(kt_number_format(&number, shown), wanted,
						 "row %zu as %s: %s", n, kt_number_want_name(want),
						 shown);
			else if (had && isfinite(number.f64))
				cr_assert_float_eq(number.f64, strtod(wanted, NULL),
						   fabs(number.f64) * 1e-14, "row %zu", n);
		}
}

Test(number, adds_without_losing_a_bit)
{
	const struct {
		struct kt_number a;
		struct kt_number b;
		const char *sum; /* NULL: needs more than 64 bits */
	} rows[] = {
		{ u(TWO_53), u(1), "9007199254740993" },
		{ u(UINT64_MAX), u(0), "18446744073709551615" },
		{ u(UINT64_MAX), u(1), NULL },
		{ u(UINT64_MAX), i(-1), "18446744073709551614" },
		{ u(5), i(-7), "-2" },
		{ i(INT64_MIN), i(-1), NULL },
		{ kt_number_bool(true), kt_number_bool(true), "2" },
		{ u(1), f(0.5), "1.5" },
	};

	for (size_t n = 0; n < sizeof(rows) / sizeof(rows[0]); n++) {
		struct kt_number sum;
		char shown[KT_NUMBER_TEXT_BYTES];

		cr_assert_eq(kt_number_add(&rows[n].a, &rows[n].b, &sum), rows[n].sum != NULL);
		if (rows[n].sum)
			cr_assert_str_eq(kt_number_format(&sum, shown), rows[n].sum);
	}
}

Test(number, prints_the_shortest_text_that_reads_back)
{
	static const struct {
		double f64;
		const char *text;
	} rows[] = { { 0.1, "0.1" },         { 1.0 / 3, "0.3333333333333333" },
		     { 1e100, "1e+100" },    { 0.30000000000000004, "0.30000000000000004" },
		     { 1000000, "1000000" }, { -2.5, "-2.5" } };

	for (size_t n = 0; n < sizeof(rows) / sizeof(rows[0]); n++) {
		struct kt_number number = f(rows[n].f64);
		char shown[KT_NUMBER_TEXT_BYTES];

		kt_number_format(&number, shown);
		cr_assert_float_eq(strtod(shown, NULL), rows[n].f64, 0.0, "%s", shown);
		if (rows[n].f64 != 1000000)
			cr_assert_str_eq(shown, rows[n].text);
	}
}
