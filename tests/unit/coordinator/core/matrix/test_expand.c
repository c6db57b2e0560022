#include "coordinator/core/matrix/expand.h"

#include <criterion/criterion.h>

Test(expand, every_number_is_one_choice_and_back)
{
	static const uint64_t sizes[] = { 3, 1, 4, 5 };
	uint64_t count;
	uint64_t at[4];

	cr_assert(kt_expand_count(sizes, 4, 1000, &count));
	cr_assert_eq(count, 60);
	for (uint64_t i = 0; i < count; i++) {
		kt_expand_split(sizes, 4, i, at);
		for (size_t axis = 0; axis < 4; axis++)
			cr_assert_lt(at[axis], sizes[axis]);
		cr_assert_eq(kt_expand_join(sizes, 4, at), i);
	}
	kt_expand_split(sizes, 4, 7, at);
	cr_assert_eq(at[0], 0);
	cr_assert_eq(at[2], 1);
	cr_assert_eq(at[3], 2);
}

Test(expand, a_product_too_large_is_noticed_even_when_it_wraps)
{
	uint64_t count = 1;

	cr_assert(kt_expand_count((uint64_t[]){ 10, 10 }, 2, 100, &count));
	cr_assert_eq(count, 100);
	cr_assert_not(kt_expand_count((uint64_t[]){ 10, 11 }, 2, 109, &count));
	cr_assert_not(
		kt_expand_count((uint64_t[]){ 1ull << 32, 1ull << 32 }, 2, UINT64_MAX, &count));
	cr_assert_not(
		kt_expand_count((uint64_t[]){ UINT64_MAX, UINT64_MAX, 2 }, 3, UINT64_MAX, &count));
	cr_assert(kt_expand_count((uint64_t[]){ UINT64_MAX, 0, UINT64_MAX }, 3, 1, &count));
	cr_assert_eq(count, 0);
}
