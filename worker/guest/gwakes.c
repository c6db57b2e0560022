#include "worker/guest/gwakes.h"
#include "worker/guest/gdraw.h"

#include "proto/base/must.h"
#include "proto/rank.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* share * n as a whole number, up or down by chance, so that small ones are not lost for good. */
static size_t share_of(struct kt_gwakes *wakes, double share, uint64_t total, size_t n)
{
	double wanted = share * (double)total;
	double chance = (double)(kt_gdraw(&wakes->random) >> 11) * 0x1p-53;
	size_t whole = (size_t)(wanted + chance);

	return whole < n ? whole : n;
}

/* The first m of n become a random choice among all. */
static void choose(struct kt_gwakes *wakes, int64_t *values, size_t n, size_t m)
{
	for (size_t i = 0; i < m && m < n; i++) {
		size_t other = i + kt_gdraw(&wakes->random) % (n - i);
		int64_t was = values[i];

		values[i] = values[other];
		values[other] = was;
	}
}

static double smaller(double a, double b)
{
	return a < b ? a : b;
}

static void add_to(struct kt_gwakes *wakes, struct kt_gwakes_pool *pool, int64_t *kept, size_t n,
		   uint64_t total)
{
	double share = smaller(1, (double)KT_GWAKES_KEPT_MAX / (double)(pool->total + total));
	size_t here;
	size_t there;

	if (pool->total)
		share = smaller(share, (double)pool->n / (double)pool->total);
	share = smaller(share, (double)n / (double)total);
	here = share < 1 ? share_of(wakes, share, pool->total, pool->n) : pool->n;
	there = share < 1 ? share_of(wakes, share, total, n) : n;
	if (here + there > KT_GWAKES_KEPT_MAX)
		there = KT_GWAKES_KEPT_MAX - here; /* both were rounded up */
	choose(wakes, pool->kept, pool->n, here);
	choose(wakes, kept, n, there);
	pool->kept = kt_must_realloc(pool->kept, here + there + 1, sizeof(*pool->kept));
	memcpy(pool->kept + here, kept, there * sizeof(*kept));
	pool->n = here + there;
	pool->total += total;
}

static struct kt_gwakes_pool *pool_of(struct kt_gwakes *wakes, const char *cgroup)
{
	for (size_t i = 0; i < wakes->n_pools; i++)
		if (strcmp(wakes->pools[i].cgroup, cgroup) == 0)
			return &wakes->pools[i];
	wakes->pools = kt_must_realloc(wakes->pools, wakes->n_pools + 1, sizeof(*wakes->pools));
	wakes->pools[wakes->n_pools] = (struct kt_gwakes_pool){ .cgroup = cgroup };
	return &wakes->pools[wakes->n_pools++];
}

void kt_gwakes_add(struct kt_gwakes *wakes, const char *cgroup, int64_t *kept, size_t n,
		   uint64_t total, int64_t ns_max)
{
	const char *const names[] = { "", cgroup };

	kt_must(n <= total);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct kt_gwakes_pool *pool = pool_of(wakes, names[i]);

		if (n)
			add_to(wakes, pool, kept, n, total);
		if (ns_max > pool->ns_max)
			pool->ns_max = ns_max;
	}
}

static void report_pool(struct kt_gwakes_pool *pool, struct kt_arena *arena,
			struct kt_msg_wake_report *report)
{
	double sum = 0;
	double squares = 0;

	*report = (struct kt_msg_wake_report){
		.cgroup = kt_arena_strdup(arena, pool->cgroup),
		.total = pool->total,
		.kept = pool->n,
		.p50_ns = kt_rank_of(pool->kept, pool->n, 500000),
		.p90_ns = kt_rank_of(pool->kept, pool->n, 900000),
		.p99_ns = kt_rank_of(pool->kept, pool->n, 990000),
		.p999_ns = kt_rank_of(pool->kept, pool->n, 999000),
		.ns_max = pool->ns_max,
	};
	if (!pool->n)
		return;
	for (size_t i = 0; i < pool->n; i++)
		sum += (double)pool->kept[i];
	report->mean_ns = sum / (double)pool->n;
	for (size_t i = 0; i < pool->n; i++) {
		double apart = (double)pool->kept[i] - report->mean_ns;

		squares += apart * apart;
	}
	report->stddev_ns = sqrt(squares / (double)pool->n);
}

size_t kt_gwakes_report(struct kt_gwakes *wakes, struct kt_arena *arena,
			struct kt_msg_wake_report **reports)
{
	size_t n = wakes->n_pools < KT_CGROUPS_MAX ? wakes->n_pools : KT_CGROUPS_MAX;

	if (n == 0 || wakes->pools[0].total == 0)
		n = 0;
	*reports = kt_arena_alloc(arena, n + 1, sizeof(**reports));
	for (size_t i = 0; i < n; i++)
		report_pool(&wakes->pools[i], arena, &(*reports)[i]);
	return n;
}

void kt_gwakes_reset(struct kt_gwakes *wakes)
{
	for (size_t i = 0; i < wakes->n_pools; i++)
		free(wakes->pools[i].kept);
	free(wakes->pools);
	*wakes = (struct kt_gwakes){ 0 };
}
