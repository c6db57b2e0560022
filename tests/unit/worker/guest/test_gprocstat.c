#include "worker/guest/gprocstat.h"

#include <criterion/criterion.h>

Test(gprocstat, what_a_process_is_is_found_behind_any_name)
{
	static const struct {
		const char *text;
		bool good;
		struct kt_gprocstat stat;
	} rows[] = {
		{ "97 (scx_kt) S 1 97 97 0 -1 4194560 900 0 0 0 31 7 0 0 20 0 1 0 812 5304320 700 "
		  "18446744073709551615 1 1 0 0 0 0 0 0 0 0 0 0 17 1 0 0 0 0 0\n",
		  true,
		  { 'S', 97, 38, 1 } },
		{ "9 (a) R b) c) R 2 0 0 0 -1 1 0 0 0 0 0 3 0 0 20 0 1 0 8 0 0 "
		  "18446744073709551615 0 0 0 0 0 0 0 0 0 0 0 0 17 3 0 0 0 0 0",
		  true,
		  { 'R', 0, 3, 3 } },
		{ "", false, { 0 } },
		{ "97 (scx_kt)", false, { 0 } },
		{ "97 (scx_kt) S 1 97 97", false, { 0 } },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct kt_gprocstat stat = { 0 };

		cr_assert_eq(kt_gprocstat_parse(rows[i].text, &stat), rows[i].good, "row %zu", i);
		if (!rows[i].good)
			continue;
		cr_assert_eq(stat.state, rows[i].stat.state, "row %zu", i);
		cr_assert_eq(stat.group, rows[i].stat.group, "row %zu", i);
		cr_assert_eq(stat.ticks, rows[i].stat.ticks, "row %zu", i);
		cr_assert_eq(stat.cpu, rows[i].stat.cpu, "row %zu", i);
	}
}
