#include "worker/introspect/xarray.h"

#include "tests/unit/worker/introspect/toyguest.h"

#include <criterion/criterion.h>
#include <errno.h>

#define MAX 256

static struct kt_xarray_entry entries[MAX];

static size_t collect(struct toy *toy, uint64_t head, size_t max, bool *more)
{
	uint64_t va = toy_alloc(toy, 8);
	size_t n = 99;

	toy_put64(toy, va, head);
	kt_pagewalk_flush(&toy->pagewalk);
	cr_assert_eq(kt_xarray_collect(&toy->pagewalk, &toy->layout, va, entries, max, &n, more),
		     0);
	return n;
}

Test(xarray, entries_come_in_order_of_index)
{
	TOY_AUTO toy;
	uint64_t top, low, high;
	bool more;

	toy_init(&toy);
	top = toy_node(&toy, 6);
	low = toy_node(&toy, 0);
	high = toy_node(&toy, 0);
	toy_slot(&toy, top, 0, low);
	toy_slot(&toy, top, 2, high);
	toy_slot(&toy, low, 1, 0x1000);
	toy_slot(&toy, low, 63, 0x2000);
	toy_slot(&toy, high, 5, 0x3000);
	toy_slot(&toy, high, 6, 0x3000 | 1); /* a value entry */
	toy_slot(&toy, high, 7, 6); /* a sibling entry */
	cr_assert_eq(collect(&toy, top, MAX, &more), 3);
	cr_assert_not(more);
	cr_assert_eq(entries[0].index, 1);
	cr_assert_eq(entries[1].index, 63);
	cr_assert_eq(entries[2].index, 2 * 64 + 5);
	cr_assert_eq(entries[2].pointer, 0x3000);
	cr_assert_eq(collect(&toy, top, 2, &more), 2);
	cr_assert(more, "the third did not fit");
}

Test(xarray, none_and_one_need_no_node)
{
	TOY_AUTO toy;
	bool more;

	toy_init(&toy);
	cr_assert_eq(collect(&toy, 0, MAX, &more), 0);
	cr_assert_eq(collect(&toy, 0x5000, MAX, &more), 1);
	cr_assert_eq(entries[0].index, 0);
}

Test(xarray, loops_and_lies_end)
{
	TOY_AUTO toy;
	uint64_t top, next;
	bool more;

	toy_init(&toy);
	top = toy_node(&toy, 6);
	toy_slot(&toy, top, 0, top); /* itself: its shift does not fall */
	toy_slot(&toy, top, 1, 0xffff999900000002ull); /* not mapped */
	toy_slot(&toy, top, 2, 0x7000);
	cr_assert_eq(collect(&toy, top, MAX, &more), 1);
	cr_assert(more);
	/* every slot of every level leads to the same node one level down: 64^n paths */
	top = next = toy_node(&toy, 60);
	for (int shift = 58; shift > 40; shift -= 2) {
		uint64_t node = toy_node(&toy, (uint8_t)shift);

		for (unsigned int i = 0; i < 64; i++)
			toy_slot(&toy, next, i, node);
		next = node;
	}
	cr_assert_eq(collect(&toy, top, MAX, &more), 0);
	cr_assert(more);
}

Test(xarray, a_top_that_is_not_mapped_is_an_error)
{
	TOY_AUTO toy;
	size_t n;
	bool more;

	toy_init(&toy);
	cr_assert_eq(kt_xarray_collect(&toy.pagewalk, &toy.layout, 0x1000, entries, MAX, &n, &more),
		     -EFAULT);
}
