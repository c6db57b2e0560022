#include "worker/core/boundary.h"

#include <criterion/criterion.h>

#define S 1000000000LL

static const struct {
	int64_t start_ns, end_ns;
	size_t n;
	size_t count;
	int64_t at_ns[7];
} golden[] = {
	{ 0, 10 * S, 1, 1, { 5 * S } },
	{ 0, 10 * S, 2, 2, { 3666666666, 6333333333 } },
	{ 0, 10 * S, 3, 3, { 3 * S, 5 * S, 7 * S } },
	{ 0, 10 * S, 4, 4, { 2600000000, 4200000000, 5800000000, 7400000000 } },
	{ 0, 10 * S, 7, 7, { 2 * S, 3 * S, 4 * S, 5 * S, 6 * S, 7 * S, 8 * S } },
	{ 2 * S, 12 * S, 1, 1, { 7 * S } },
	{ 0, 1000000001, 3, 3, { 300000000, 500000000, 700000000 } },
	{ 4 * S, 10 * S, 3, 3, { 5800000000, 7000000000, 8200000000 } },
	{ 0, 7, 3, 3, { 1, 3, 5 } },
	{ 0, 3, 3, 0, { 0 } },
	{ 0, 10 * S, 0, 0, { 0 } },
	{ 5 * S, 5 * S, 3, 0, { 0 } },
	{ 6 * S, 5 * S, 3, 0, { 0 } },
};

Test(boundary, the_golden_values_hold)
{
	for (size_t g = 0; g < sizeof(golden) / sizeof(golden[0]); g++) {
		cr_assert_eq(kt_boundary_count(golden[g].start_ns, golden[g].end_ns, golden[g].n),
			     golden[g].count, "case %zu", g);
		for (size_t i = 0; i < golden[g].count; i++)
			cr_assert_eq(kt_boundary_at_ns(golden[g].start_ns, golden[g].end_ns,
						       golden[g].n, i),
				     golden[g].at_ns[i], "case %zu boundary %zu", g, i);
	}
}
