#include "worker/core/offer.h"

#include <criterion/criterion.h>

#define GIB (1ull << 30)

Test(offer, a_host_gives_what_it_has_without_what_it_keeps)
{
	static const struct {
		struct kt_offer asked;
		uint64_t guest_cpus, guest_mem_bytes;
	} rows[] = {
		{ { 0 }, 8, 16 * GIB },
		{ { .reserve_cpus = 2, .reserve_mem_bytes = 4 * GIB }, 6, 12 * GIB },
		{ { .overcommit = true }, 0, 16 * GIB },
		{ { .overcommit = true, .overcommit_cpus = 32 }, 32, 16 * GIB },
		{ { .scripted = true }, 0, UINT64_MAX },
		{ { .scripted = true, .reserve_cpus = 1 }, 7, UINT64_MAX },
		{ { .scripted = true, .overcommit = true, .overcommit_cpus = 4 }, 4, UINT64_MAX },
		{ { .scripted = true, .reserve_mem_bytes = GIB }, 0, 15 * GIB },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct kt_offer offer = rows[i].asked;
		struct kt_err err = { 0 };

		offer.cpus = 8;
		offer.mem_bytes = 16 * GIB;
		cr_assert_eq(kt_offer_make(&offer, &err), 0, "row %zu: %s", i, err.text);
		cr_assert_eq(offer.guest_cpus, rows[i].guest_cpus, "row %zu", i);
		cr_assert_eq(offer.guest_mem_bytes, rows[i].guest_mem_bytes, "row %zu", i);
	}
}

Test(offer, a_host_that_would_give_nothing_is_told_so)
{
	static const struct {
		struct kt_offer asked;
		const char *text;
	} rows[] = {
		{ { .reserve_cpus = 8 },
		  "--reserve-cpus 8 leaves guests nothing: this host has 8" },
		{ { .reserve_mem_bytes = 16 * GIB },
		  "--reserve-mem 16384M leaves guests nothing: 16384 MiB are available" },
		{ { .reserve_cpus = 1, .overcommit = true },
		  "--overcommit and --reserve-cpus: keep one of them" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct kt_offer offer = rows[i].asked;
		struct kt_err err = { 0 };

		offer.cpus = 8;
		offer.mem_bytes = 16 * GIB;
		cr_assert_lt(kt_offer_make(&offer, &err), 0, "row %zu", i);
		cr_assert_eq(err.fault, KT_FAULT_INPUT);
		cr_assert_str_eq(err.text, rows[i].text);
	}
}

Test(offer, sizes_are_whole_numbers_with_a_unit)
{
	static const struct {
		const char *text;
		uint64_t bytes; /* UINT64_MAX: none */
	} rows[] = {
		{ "0", 0 },
		{ "4096", 4096 },
		{ "1K", 1024 },
		{ "512M", 512ull << 20 },
		{ "2G", 2 * GIB },
		{ "2GiB", 2 * GIB },
		{ "", UINT64_MAX },
		{ "G", UINT64_MAX },
		{ "-1", UINT64_MAX },
		{ " 1", UINT64_MAX },
		{ "1.5G", UINT64_MAX },
		{ "1T", UINT64_MAX },
		{ "1GB", UINT64_MAX },
		{ "99999999999G", UINT64_MAX },
		{ "99999999999999999999", UINT64_MAX },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		uint64_t bytes = 0;
		bool good = kt_offer_parse_size(rows[i].text, &bytes);

		cr_assert_eq(good, rows[i].bytes != UINT64_MAX, "%s", rows[i].text);
		if (good)
			cr_assert_eq(bytes, rows[i].bytes, "%s", rows[i].text);
	}
}
