#include "worker/guest/gmeter.h"
#include "worker/guest/gtime.h"

#include <criterion/criterion.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

static struct kt_gmeter_sums sums;
static struct kt_gmeter meter;
static int64_t kept[1000];

static void begin(uint64_t kept_max, uint64_t seed)
{
	memset(&sums, 0, sizeof(sums));
	kt_gmeter_begin(&meter, &sums, kept, kept_max, seed);
}

Test(gmeter, time_is_cpu_time_and_what_is_left)
{
	int64_t begun_ns = kt_gtime_now_ns();
	int64_t until_ns;

	begin(1000, 1);
	usleep(30000);
	until_ns = kt_gtime_now_ns() + 30 * KT_NS_PER_MS;
	while (kt_gtime_now_ns() < until_ns)
		;
	kt_gmeter_end(&meter);
	cr_expect_geq(sums.wall_ns, 60 * KT_NS_PER_MS);
	cr_expect_leq(sums.wall_ns, kt_gtime_now_ns() - begun_ns);
	cr_expect_gt(sums.cpu_ns, 0);
	cr_expect_leq(sums.cpu_ns, sums.wall_ns - 30 * KT_NS_PER_MS);
}

Test(gmeter, the_longest_gap_is_that_between_rounds_that_did_something)
{
	begin(1000, 1);
	kt_gmeter_done(&meter, 1);
	usleep(20000);
	kt_gmeter_done(&meter, 0); /* only waited: the gap goes on */
	usleep(20000);
	kt_gmeter_done(&meter, 2);
	kt_gmeter_end(&meter);
	cr_expect_eq(sums.units, 3);
	cr_expect_geq(sums.gap_ns_max, 40 * KT_NS_PER_MS);
	cr_expect_leq(sums.gap_ns_max, sums.wall_ns);
	cr_expect_geq(sums.gap_at_ns, sums.begun_ns + sums.gap_ns_max);
	cr_expect_leq(sums.gap_at_ns, sums.begun_ns + sums.wall_ns);
}

Test(gmeter, one_that_did_nothing_has_a_gap_as_long_as_its_life)
{
	begin(1000, 1);
	usleep(20000);
	kt_gmeter_done(&meter, 0);
	kt_gmeter_end(&meter);
	cr_expect_eq(sums.units, 0);
	cr_expect_eq(sums.gap_ns_max, sums.wall_ns);
}

Test(gmeter, a_migration_is_seen_with_both_cpus)
{
	cpu_set_t all;
	cpu_set_t one;
	int moves = 0;

	cr_assert_eq(sched_getaffinity(0, sizeof(all), &all), 0);
	if (CPU_COUNT(&all) < 2)
		cr_skip_test("one CPU only");
	begin(1000, 1);
	sums.migrations = 0;
	for (int cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &all))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		cr_assert_eq(sched_setaffinity(0, sizeof(one), &one), 0);
		kt_gmeter_done(&meter, 1);
		cr_expect_eq(sums.cpu, (uint32_t)cpu);
		cr_expect(kt_cpuset_has(&sums.cpus_used, (uint32_t)cpu));
		moves++;
	}
	cr_expect_geq(sums.migrations, (uint64_t)moves - 1);
	cr_expect_leq(sums.migrations, (uint64_t)moves);
}

Test(gmeter, the_first_latencies_are_all_kept)
{
	begin(5, 1);
	for (int64_t i = 0; i < 5; i++)
		kt_gmeter_woke(&meter, 100 + i);
	kt_gmeter_woke(&meter, -7);
	cr_expect_eq(sums.wakes, 6);
	cr_expect_eq(sums.wake_ns_max, 104);
	for (int64_t i = 0; i < 5; i++)
		cr_expect(kept[i] == 100 + i || kept[i] == 0);
}

/* Algorithm R: of 10,000 latencies 100 are kept; each tenth of them has its share over 200 seeds. */
Test(gmeter, what_is_kept_is_a_uniform_sample)
{
	int share[10] = { 0 };

	for (uint64_t seed = 1; seed <= 200; seed++) {
		begin(100, seed);
		for (int64_t i = 0; i < 10000; i++)
			kt_gmeter_woke(&meter, i);
		for (int i = 0; i < 100; i++)
			share[kept[i] / 1000]++;
	}
	/* 20,000 draws: 2000 each, standard deviation 42 */
	for (int i = 0; i < 10; i++) {
		cr_expect_gt(share[i], 1790, "tenth %d: %d", i, share[i]);
		cr_expect_lt(share[i], 2210, "tenth %d: %d", i, share[i]);
	}
}

Test(gmeter, two_workers_keep_different_ones)
{
	int64_t first[100];

	begin(100, 1);
	for (int64_t i = 0; i < 10000; i++)
		kt_gmeter_woke(&meter, i);
	memcpy(first, kept, sizeof(first));
	begin(100, 3);
	for (int64_t i = 0; i < 10000; i++)
		kt_gmeter_woke(&meter, i);
	cr_expect_neq(memcmp(first, kept, sizeof(first)), 0);
}

Test(gmeter, pages_are_counted_by_node_where_they_were_asked_for)
{
	static const char text[] = "10000000 default anon=9 N0=9 kernelpagesize_kB=4\n"
				   "20000000 bind:1 anon=7 dirty=7 N0=3 N1=4 kernelpagesize_kB=4\n"
				   "20010000 default anon=1 N63=1 N64=5 kernelpagesize_kB=4\n"
				   "20020000 default anon=8 N0=8 kernelpagesize_kB=4\n"
				   "7fff0000 default file=/usr/bin/N0=5 mapped=2 N0=2\n";
	uint32_t pages_on[KT_GMETER_NODES_MAX] = { 0 };
	char path[] = "/tmp/test_gmeter_XXXXXX";
	int fd = mkstemp(path);

	cr_assert_eq(write(fd, text, sizeof(text) - 1), (ssize_t)sizeof(text) - 1);
	close(fd);
	cr_expect_eq(kt_gmeter_pages(path, (void *)0x20000000, (void *)0x20020000, pages_on), 0);
	cr_expect_eq(pages_on[0], 3);
	cr_expect_eq(pages_on[1], 4);
	cr_expect_eq(pages_on[63], 1);
	unlink(path);
	cr_expect_lt(kt_gmeter_pages(path, NULL, NULL, pages_on), 0);
}

Test(gmeter, this_kernel_counts_pages_that_were_touched)
{
	size_t page = (size_t)sysconf(_SC_PAGESIZE);
	uint32_t pages_on[KT_GMETER_NODES_MAX] = { 0 };
	char *memory = mmap(NULL, 10 * page, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint32_t n = 0;

	if (access(KT_GMETER_NUMA_MAPS, R_OK) < 0)
		cr_skip_test("a kernel without NUMA");
	cr_assert_eq(mprotect(memory + page, 8 * page, PROT_READ | PROT_WRITE), 0);
	for (size_t i = 0; i < 5; i++)
		memory[(1 + i) * page] = 1;
	cr_expect_eq(kt_gmeter_pages(KT_GMETER_NUMA_MAPS, memory + page, memory + 9 * page,
				     pages_on),
		     0);
	for (size_t node = 0; node < KT_GMETER_NODES_MAX; node++)
		n += pages_on[node];
	cr_expect_eq(n, 5);
}
