#include "worker/guest/gmap.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

Test(gmap, a_name_is_the_kernels)
{
	static const struct {
		const char *wanted;
		const char *name;
		bool is;
	} cases[] = {
		{ "stats", "stats", true },
		{ "stats", "stats2", false },
		{ "stat", "stats", false },
		{ "scx_kt.bss", "scx_kt.bss", true },
		{ ".bss", "scx_kt.bss", false },
		{ "a_name_of_more_than_fifteen", "a_name_of_more_", true },
		{ "a_name_of_more_than_fifteen", "a_name_of_mor", false },
		{ "", "stats", false },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_assert_eq(kt_gmap_is_named(cases[i].wanted, cases[i].name), cases[i].is,
			     "%s as %s", cases[i].wanted, cases[i].name);
}

Test(gmap, of_several_the_running_schedulers_counts)
{
	static const struct {
		struct kt_gmap_candidate candidates[3];
		size_t n;
		int choice;
	} cases[] = {
		{ { { .id = 1 } }, 0, -ENOENT },
		{ { { .id = 1 } }, 1, 0 },
		{ { { .id = 1 }, { .id = 2, .is_running = true } }, 2, 1 },
		{ { { .id = 1, .is_running = true }, { .id = 2 } }, 2, 0 },
		{ { { .id = 1 }, { .id = 2 } }, 2, -EAGAIN },
		{ { { .id = 1, .is_running = true }, { .id = 2, .is_running = true } },
		  2,
		  -EAGAIN },
		{ { { .id = 1 }, { .id = 2, .is_running = true }, { .id = 3, .is_running = true } },
		  3,
		  -EAGAIN },
	};
	struct kt_err err = { 0 };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_assert_eq(kt_gmap_choose("m", cases[i].candidates, cases[i].n, &err),
			     cases[i].choice, "case %zu", i);
	cr_assert_str_eq(err.text,
			 "3 maps are meant by m, 2 of them of a running scheduler: which?");
}

Test(gmap, a_number_fits_signed_or_unsigned)
{
	static const struct {
		int64_t value;
		uint32_t bytes;
		bool fits;
	} cases[] = {
		{ 255, 1, true },           { 256, 1, false },
		{ -128, 1, true },          { -129, 1, false },
		{ 65535, 2, true },         { 65536, 2, false },
		{ 4294967295, 4, true },    { 4294967296, 4, false },
		{ -2147483648ll, 4, true }, { -2147483649ll, 4, false },
		{ INT64_MIN, 8, true },     { INT64_MAX, 8, true },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t out[8] = { 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa, 0xaa };
		struct kt_err err = { 0 };
		int status = kt_gmap_pack(cases[i].value, cases[i].bytes, out, &err);

		cr_assert_eq(status, cases[i].fits ? 0 : -ERANGE, "case %zu", i);
		if (status == 0)
			cr_assert_eq(memcmp(out, &cases[i].value, cases[i].bytes), 0, "case %zu",
				     i);
		for (uint32_t byte = cases[i].bytes; byte < 8; byte++)
			cr_assert_eq(out[byte], 0xaa, "case %zu wrote too much", i);
	}
}
