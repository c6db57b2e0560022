#include "worker/core/shelf.h"

#include <criterion/criterion.h>
#include <string.h>

static const uint8_t *begins(uint64_t number)
{
	static uint64_t of;

	of = number;
	return (const uint8_t *)&of;
}

static uint64_t nth(const struct kt_shelf *shelf, size_t i)
{
	struct kt_bin told = kt_shelf_tell(shelf);
	uint64_t number;

	cr_assert_leq((i + 1) * KT_CACHED_BYTES, told.len);
	memcpy(&number, told.data + i * KT_CACHED_BYTES, sizeof(number));
	return number;
}

Test(shelf, the_newest_used_is_told_first_and_each_once)
{
	struct kt_shelf shelf = { 0 };
	static const uint64_t uses[] = { 1, 2, 3, 1, 1, 2 };
	static const uint64_t told[] = { 2, 1, 3 };

	cr_assert_eq(kt_shelf_tell(&shelf).len, 0);
	for (size_t i = 0; i < sizeof(uses) / sizeof(uses[0]); i++)
		kt_shelf_use(&shelf, begins(uses[i]));
	cr_assert_eq(shelf.n, 3);
	for (size_t i = 0; i < 3; i++)
		cr_assert_eq(nth(&shelf, i), told[i], "%zu", i);
	kt_shelf_drop(&shelf, begins(1));
	kt_shelf_drop(&shelf, begins(77));
	cr_assert_eq(shelf.n, 2);
	cr_assert_eq(nth(&shelf, 0), 2);
	cr_assert_eq(nth(&shelf, 1), 3);
}

Test(shelf, the_oldest_goes_when_there_are_too_many)
{
	struct kt_shelf shelf = { 0 };

	for (uint64_t i = 0; i < KT_CACHED_TOLD_MAX + 3; i++)
		kt_shelf_use(&shelf, begins(i));
	cr_assert_eq(kt_shelf_tell(&shelf).len, KT_CACHED_TOLD_MAX * KT_CACHED_BYTES);
	cr_assert_eq(nth(&shelf, 0), KT_CACHED_TOLD_MAX + 2);
	cr_assert_eq(nth(&shelf, KT_CACHED_TOLD_MAX - 1), 3);
	kt_shelf_use(&shelf, begins(3));
	cr_assert_eq(nth(&shelf, 0), 3);
	cr_assert_eq(nth(&shelf, KT_CACHED_TOLD_MAX - 1), 4);
}
