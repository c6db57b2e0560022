#include "worker/guest/gwakes.h"

#include <criterion/criterion.h>
#include <math.h>
#include <string.h>

static struct kt_gwakes wakes;
static struct kt_arena arena;
static struct kt_msg_wake_report *reports;

static void teardown(void)
{
	kt_gwakes_reset(&wakes);
	kt_arena_destroy(&arena);
}

Test(gwakes, nobody_measured_any, .fini = teardown)
{
	cr_expect_eq(kt_gwakes_report(&wakes, &arena, &reports), 0);
	kt_gwakes_add(&wakes, "cg_0", NULL, 0, 0, 0);
	cr_expect_eq(kt_gwakes_report(&wakes, &arena, &reports), 0);
}

/* While everything was kept the numbers are exact: semantics.md section 6. */
Test(gwakes, all_workers_then_each_cgroup, .fini = teardown)
{
	int64_t first[] = { 40, 10 };
	int64_t second[] = { 30, 20 };
	int64_t third[100];

	for (int i = 0; i < 100; i++)
		third[i] = 100 - i;
	kt_gwakes_add(&wakes, "cg_0", first, 2, 2, 40);
	kt_gwakes_add(&wakes, "cg_1", third, 100, 100, 5000);
	kt_gwakes_add(&wakes, "cg_0", second, 2, 2, 30);
	kt_gwakes_add(&wakes, "cg_2", NULL, 0, 0, 0);
	cr_assert_eq(kt_gwakes_report(&wakes, &arena, &reports), 4);
	cr_expect_str_eq(reports[0].cgroup, "");
	cr_expect_eq(reports[0].total, 104);
	cr_expect_eq(reports[0].kept, 104);
	cr_expect_eq(reports[0].ns_max, 5000);
	cr_expect_str_eq(reports[1].cgroup, "cg_0");
	cr_expect_eq(reports[1].total, 4);
	cr_expect_eq(reports[1].p50_ns, 20);
	cr_expect_eq(reports[1].p99_ns, 40);
	cr_expect_eq(reports[1].mean_ns, 25.0);
	cr_expect_float_eq(reports[1].stddev_ns, sqrt(125), 1e-9);
	cr_expect_str_eq(reports[2].cgroup, "cg_1");
	cr_expect_eq(reports[2].p50_ns, 50);
	cr_expect_eq(reports[2].p90_ns, 90);
	cr_expect_eq(reports[2].p99_ns, 99);
	cr_expect_eq(reports[2].p999_ns, 100);
	cr_expect_str_eq(reports[3].cgroup, "cg_2");
	cr_expect_eq(reports[3].kept, 0);
}

/* A worker that kept 1000 of 1,000,000 slow wake-ups and one that kept all of its 1000 quick ones: the pool
 * must be slow in 1000 of 1001. Thrown together they would be half and half.
 */
Test(gwakes, samples_of_different_density_are_thinned_first, .fini = teardown)
{
	static int64_t slow[1000];
	static int64_t quick[1000];

	for (int i = 0; i < 1000; i++) {
		slow[i] = 1000000 + i;
		quick[i] = 1000;
	}
	kt_gwakes_add(&wakes, "cg_0", quick, 1000, 1000, 1000);
	kt_gwakes_add(&wakes, "cg_0", slow, 1000, 1000000, 9000000);
	cr_assert_eq(kt_gwakes_report(&wakes, &arena, &reports), 2);
	cr_expect_eq(reports[1].total, 1001000);
	cr_expect_geq(reports[1].kept, 1000);
	cr_expect_leq(reports[1].kept, 1003);
	cr_expect_gt(reports[1].mean_ns, 990000.0);
	cr_expect_geq(reports[1].p50_ns, 1000000);
	cr_expect_eq(reports[1].ns_max, 9000000);
}

Test(gwakes, a_pool_has_a_limit_and_stays_a_fair_sample, .fini = teardown)
{
	enum { WORKERS = 8, EACH = 50000 };
	static int64_t kept[EACH];

	for (int worker = 0; worker < WORKERS; worker++) {
		for (int i = 0; i < EACH; i++)
			kept[i] = worker;
		kt_gwakes_add(&wakes, "cg_0", kept, EACH, EACH, worker);
	}
	cr_assert_eq(kt_gwakes_report(&wakes, &arena, &reports), 2);
	cr_expect_eq(reports[0].total, WORKERS * EACH);
	cr_expect_leq(reports[0].kept, KT_GWAKES_KEPT_MAX);
	cr_expect_gt(reports[0].kept, KT_GWAKES_KEPT_MAX - 10);
	/* an eighth of each: mean 3.5, which 100,000 draws miss by 0.02 once in a thousand years of tests */
	cr_expect_float_eq(reports[0].mean_ns, 3.5, 0.05);
	cr_expect_eq(reports[0].p50_ns, 3 + (reports[0].p50_ns == 4));
}
