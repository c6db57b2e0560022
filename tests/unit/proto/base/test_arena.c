#include "proto/base/arena.h"

#include <criterion/criterion.h>
#include <stdint.h>
#include <string.h>

Test(arena, everything_is_zeroed_aligned_and_apart)
{
	KT_AUTO_ARENA arena = { 0 };
	uint8_t *pieces[200];

	for (int round = 0; round < 3; round++) {
		for (size_t i = 0; i < 200; i++) {
			pieces[i] = kt_arena_alloc(&arena, i, 37);
			cr_assert((uintptr_t)pieces[i] % _Alignof(max_align_t) == 0);
			for (size_t k = 0; k < i * 37; k++)
				cr_assert(pieces[i][k] == 0);
			memset(pieces[i], (int)i, i * 37);
		}
		for (size_t i = 0; i < 200; i++)
			for (size_t k = 0; k < i * 37; k++)
				cr_assert(pieces[i][k] == (uint8_t)i);
		kt_arena_reset(&arena);
		cr_assert(arena.used == 0);
	}
}

Test(arena, a_limit_is_never_exceeded_and_what_fits_is_given)
{
	for (size_t max = 16; max <= 1 << 16; max *= 2) {
		KT_AUTO_ARENA arena = { .max = max };

		cr_assert(!kt_arena_alloc(&arena, 1, max + 1));
		cr_assert(!kt_arena_alloc(&arena, SIZE_MAX, 2), "the product wraps");
		cr_assert(!kt_arena_alloc(&arena, SIZE_MAX / 2, 3));
		cr_assert(!kt_arena_alloc(&arena, SIZE_MAX, 1));
		cr_assert(kt_arena_alloc(&arena, 1, max));
		cr_assert(arena.used == max);
		cr_assert(!kt_arena_alloc(&arena, 0, 0));
		cr_assert(!kt_arena_strdup(&arena, ""));
		cr_assert(!kt_arena_printf(&arena, "%d", 7));
		kt_arena_reset(&arena);
		cr_assert(kt_arena_alloc(&arena, 1, max), "after a reset all of it is there again");
	}
}

Test(arena, texts_and_copies_end_in_a_zero)
{
	KT_AUTO_ARENA arena = { 0 };

	cr_assert(strcmp(kt_arena_strdup(&arena, "abc"), "abc") == 0);
	cr_assert(strcmp(kt_arena_printf(&arena, "%s-%d", "abc", 42), "abc-42") == 0);
	cr_assert(strcmp(kt_arena_copy(&arena, "abcdef", 3), "abc") == 0);
	cr_assert(strcmp(kt_arena_copy(&arena, NULL, 0), "") == 0);
}
