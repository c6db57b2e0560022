#include "proto/base/duration.h"
#include "proto/base/limits.h"

#include <criterion/criterion.h>
#include <string.h>

#define N(x_) (sizeof(x_) / sizeof((x_)[0]))

Test(duration, a_number_with_a_unit_is_exact_and_anything_else_is_refused)
{
	static const struct {
		const char *text;
		int64_t ns; /* -1: refused */
	} rows[] = {
		{ "10s", 10 * KT_NS_PER_S },
		{ "1.5s", 1500000000 },
		{ "150ms", 150000000 },
		{ "20us", 20000 },
		{ "7ns", 7 },
		{ "3m", 180 * KT_NS_PER_S },
		{ "2h", 7200 * KT_NS_PER_S },
		{ "24h", KT_DURATION_NS_MAX },
		{ "0s", 0 },
		{ "0.000000001s", 1 },
		{ "0.1s", 100000000 },
		{ "00010s", 10 * KT_NS_PER_S },
		{ ".5s", 500000000 },
		{ "", -1 },
		{ "s", -1 },
		{ ".s", -1 },
		{ "10", -1 },
		{ "10 s", -1 },
		{ " 10s", -1 },
		{ "10s ", -1 },
		{ "-1s", -1 },
		{ "+1s", -1 },
		{ "1e3s", -1 },
		{ "1.2.3s", -1 },
		{ "10S", -1 },
		{ "10sec", -1 },
		{ "0.5ns", -1 }, /* no half nanoseconds */
		{ "0.0000000001s", -1 },
		{ "24.1h", -1 },
		{ "99999999999999999999999999999999999999999s", -1 },
		{ "0.00000000000000000000000000000000000000001s", -1 },
	};

	for (size_t i = 0; i < N(rows); i++) {
		int64_t ns = -1;
		bool ok = kt_duration_parse(rows[i].text, &ns);

		cr_assert(ok == (rows[i].ns >= 0), "'%s'", rows[i].text);
		cr_assert(!ok || ns == rows[i].ns, "'%s' is %lld", rows[i].text, (long long)ns);
	}
}

Test(duration, it_prints_as_people_write_it)
{
	static const struct {
		int64_t ns;
		const char *text;
	} rows[] = {
		{ 0, "0ns" },
		{ 999, "999ns" },
		{ 1000, "1us" },
		{ 20500, "20.5us" },
		{ 999499, "999us" },
		{ 999700, "1ms" }, /* and not 1e+03us */
		{ 150000000, "150ms" },
		{ 999700000, "1s" },
		{ 2350000000, "2.35s" },
		{ 10 * KT_NS_PER_S, "10s" },
		{ 90 * KT_NS_PER_S, "1m30s" },
		{ 3600 * KT_NS_PER_S, "1h00m" },
		{ -1500000000, "-1.5s" },
		{ INT64_MIN, "-2562047h47m" },
	};

	for (size_t i = 0; i < N(rows); i++) {
		char text[KT_DURATION_TEXT_BYTES];

		cr_assert(strcmp(kt_duration_format(rows[i].ns, text), rows[i].text) == 0,
			  "%lld prints as %s", (long long)rows[i].ns, text);
	}
}

Test(duration, what_is_printed_below_a_minute_parses_to_within_half_a_percent)
{
	for (int64_t ns = 1; ns < 59 * KT_NS_PER_S; ns += ns / 97 + 1) {
		char text[KT_DURATION_TEXT_BYTES];
		int64_t back = -1;

		cr_assert(kt_duration_parse(kt_duration_format(ns, text), &back), "%s", text);
		cr_assert(back >= ns - ns / 199 && back <= ns + ns / 199, "%lld is printed as %s",
			  (long long)ns, text);
	}
}
