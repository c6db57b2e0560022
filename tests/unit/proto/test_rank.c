#include "proto/rank.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

Test(rank, the_golden_places_of_semantics_md)
{
	static const struct {
		size_t n;
		uint32_t ppm;
		size_t index;
	} cases[] = {
		{ 100, 990000, 98 },
		{ 4, 990000, 3 },
		{ 4, 500000, 1 },
		{ 1000, 990000, 989 },
		{ 1, 0, 0 },
		{ 1, 1000000, 0 },
		{ 7, 0, 0 },
		{ 7, 1000000, 6 },
		{ 7, 2000000, 6 },
		{ 3, 333333, 0 },
		{ 3, 333334, 1 },
		{ 100000, 999000, 99899 },
		{ 1ul << 40, 1, 1099511 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_expect_eq(kt_rank_index(cases[i].n, cases[i].ppm), cases[i].index,
			     "%u ppm of %zu", cases[i].ppm, cases[i].n);
}

static int by_value(const void *a_, const void *b_)
{
	int64_t a = *(const int64_t *)a_;
	int64_t b = *(const int64_t *)b_;

	return (a > b) - (a < b);
}

/* Against sorting: random values, few different ones, sorted ones, and each place of them. */
Test(rank, select_finds_what_sorting_would)
{
	enum { N_MAX = 70 };
	int64_t values[N_MAX];
	int64_t sorted[N_MAX];
	int64_t selected[N_MAX];

	srand(1);
	for (int round = 0; round < 400; round++) {
		size_t n = 1 + (size_t)rand() % N_MAX;
		int span = round % 4 == 0 ? 2 : round % 4 == 1 ? 5 : 1000000;

		for (size_t i = 0; i < n; i++)
			values[i] = round % 4 == 3 ? (int64_t)i : rand() % span - span / 2;
		memcpy(sorted, values, sizeof(values));
		qsort(sorted, n, sizeof(*sorted), by_value);
		for (size_t index = 0; index < n; index++) {
			memcpy(selected, values, sizeof(values));
			cr_assert_eq(kt_rank_select(selected, n, index), sorted[index],
				     "round %d, %zu of %zu", round, index, n);
		}
	}
}

Test(rank, of_nothing_is_0)
{
	int64_t values[] = { 5, 1, 9, 7 };

	cr_expect_eq(kt_rank_of(NULL, 0, 500000), 0);
	cr_expect_eq(kt_rank_of(values, 4, 500000), 5);
	cr_expect_eq(kt_rank_of(values, 4, 990000), 9);
}
