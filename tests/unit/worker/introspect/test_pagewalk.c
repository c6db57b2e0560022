#include "tests/unit/worker/introspect/toyguest.h"

#include <criterion/criterion.h>
#include <errno.h>

#define FOUR_LEVELS 0xffff888040000000ull /* the toy's second GiB: empty until a test fills it */

static uint64_t *table(struct toy *toy, uint64_t gpa)
{
	return (uint64_t *)(void *)(toy->ram + gpa);
}

Test(pagewalk, pages_of_every_size_are_found_at_every_level)
{
	/* levels, size of the page */
	static const struct {
		unsigned int levels;
		unsigned int shift;
	} cases[] = { { 4, 12 }, { 4, 21 }, { 4, 30 }, { 5, 12 }, { 5, 21 }, { 5, 30 } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		TOY_AUTO toy;
		uint64_t va = 0x0000123456789abcull & ((1ull << 46) - 1);
		uint64_t gpa = 0, at = 0x100000;

		toy_init(&toy);
		for (unsigned int level = cases[i].levels; level > 0; level--) {
			unsigned int shift = 12 + 9 * (level - 1);
			uint64_t *entry = table(&toy, at) + (va >> shift & 511);

			at += 0x1000;
			if (shift == cases[i].shift) {
				*entry = (0x40000000ull & ~((1ull << shift) - 1)) | TOY_PRESENT |
					 (shift > 12 ? TOY_LARGE : 0) | 1ull << 63;
				break;
			}
			*entry = at | TOY_PRESENT | 0x66;
		}
		kt_pagewalk_init(&toy.pagewalk, toy.gmem, 0x100000, cases[i].levels);
		cr_assert_eq(kt_pagewalk_translate(&toy.pagewalk, va, &gpa), 0, "case %zu", i);
		cr_assert_eq(gpa, 0x40000000ull | (va & ((1ull << cases[i].shift) - 1)),
			     "case %zu: %#llx", i, (unsigned long long)gpa);
	}
}

Test(pagewalk, what_is_not_mapped_is_an_answer)
{
	TOY_AUTO toy;
	uint64_t gpa;
	uint8_t bytes[64];

	toy_init(&toy);
	cr_assert_eq(kt_pagewalk_translate(&toy.pagewalk, FOUR_LEVELS, &gpa), -EFAULT);
	cr_assert_eq(kt_pagewalk_translate(&toy.pagewalk, 0x0000900000000000ull, &gpa), -EFAULT,
		     "an address that is not canonical");
	/* tables outside of RAM */
	table(&toy, 0x1000)[2] = 0x7ffffffff000ull | TOY_PRESENT;
	cr_assert_eq(kt_pagewalk_translate(&toy.pagewalk, TOY_BASE + (2ull << 30), &gpa), -EFAULT);
	/* a page outside of RAM, and a run that leaves it */
	table(&toy, 0x2000)[2] = 0x40000000ull | TOY_PRESENT | TOY_LARGE;
	cr_assert_eq(kt_pagewalk_read(&toy.pagewalk, TOY_BASE + TOY_BYTES, bytes, 8), -EFAULT);
	cr_assert_eq(kt_pagewalk_read(&toy.pagewalk, TOY_BASE + TOY_BYTES - 32, bytes, 64),
		     -EFAULT);
	cr_assert_eq(kt_pagewalk_read(&toy.pagewalk, TOY_BASE + TOY_BYTES - 64, bytes, 64), 0);
	/* the end of the address space */
	cr_assert_eq(kt_pagewalk_read(&toy.pagewalk, UINT64_MAX - 3, bytes, 64), -EFAULT);
}

Test(pagewalk, tables_that_point_at_themselves_end)
{
	TOY_AUTO toy;
	uint64_t gpa;

	toy_init(&toy);
	for (size_t i = 0; i < 512; i++)
		table(&toy, 0)[i] = 0 | TOY_PRESENT;
	cr_assert_eq(kt_pagewalk_translate(&toy.pagewalk, 0x1234, &gpa), 0);
	cr_assert_eq(gpa, 0x234, "the top table read as everything is its own page");
}

Test(pagewalk, a_read_goes_on_where_the_next_page_is)
{
	TOY_AUTO toy;
	char text[32] = "";

	toy_init(&toy);
	/* two pages of 4 KiB, the second one before the first */
	table(&toy, 0x1000)[1] = 0x3000 | TOY_PRESENT;
	table(&toy, 0x3000)[0] = 0x100000 | TOY_PRESENT;
	table(&toy, 0x100000)[0] = 0x102000 | TOY_PRESENT;
	table(&toy, 0x100000)[1] = 0x101000 | TOY_PRESENT;
	memcpy(toy.ram + 0x102ff8, "one, and", 8);
	memcpy(toy.ram + 0x101000, " two", 5);
	cr_assert_eq(kt_pagewalk_read(&toy.pagewalk, FOUR_LEVELS + 0xff8, text, 13), 0);
	cr_assert_str_eq(text, "one, and two");
}

Test(pagewalk, a_write_is_seen_and_a_flush_forgets)
{
	TOY_AUTO toy;
	uint64_t va, value = 0;

	toy_init(&toy);
	va = toy_alloc(&toy, 8);
	cr_assert_eq(kt_pagewalk_write_u64(&toy.pagewalk, va, 42), 0);
	cr_assert_eq(kt_pagewalk_read_u64(&toy.pagewalk, va, &value), 0);
	cr_assert_eq(value, 42);
	cr_assert_eq(kt_pagewalk_write_u64(&toy.pagewalk, va + 1, 42), -EFAULT, "not aligned");
	table(&toy, 0x2000)[0] = 0;
	kt_pagewalk_flush(&toy.pagewalk);
	cr_assert_eq(kt_pagewalk_read_u64(&toy.pagewalk, va, &value), -EFAULT);
}
