/* Work types whose workers work alone: what they do with their CPU and with their time. */
#include "tests/unit/worker/guest/rounds.h"
#include "tests/unit/worker/guest/watched.h"

#include <fcntl.h>

static struct watched watched;

static void teardown(void)
{
	watched_end(&watched);
}

static const struct kt_msg_worker_report *report(void)
{
	return &watched.reports[0];
}

static double cpu_ns_per_unit(void)
{
	return (double)report()->cpu_ns / (double)report()->work_units;
}

/* Those that use a CPU whenever they get one: asleep for less than a twentieth of their time, and a round costs
 * something.
 */
Test(alone, spinners_never_sleep)
{
	static const char *const works[] = { "spin",           "mixed",       "alu",
					     "cache_pressure", "cache_yield", "page_fault" };

	for (size_t i = 0; i < sizeof(works) / sizeof(works[0]); i++) {
		const struct watched_case what = { .work = works[i], .workers = 1, .ms = 150 };

		watched_run(&watched, &what);
		cr_expect_lt(watched.asleep_ns[0], report()->wall_ns / 20 + 2 * KT_NS_PER_MS,
			     "%s slept %" PRId64 " of %" PRId64 " ns", works[i],
			     watched.asleep_ns[0], report()->wall_ns);
		cr_expect_leq(watched.workers[0].slept, 5u, "%s", works[i]);
		cr_expect_gt(cpu_ns_per_unit(), 2000.0, "%s", works[i]);
		watched_end(&watched);
	}
}

/* Two on one CPU: each is driven off it by its own yields, hundreds of times as often as by the scheduler. */
Test(alone, yielders_give_their_cpu_away)
{
	static const struct {
		const char *work;
		const char *params;
		uint64_t units_per_switch; /* at most */
	} cases[] = {
		{ "yield", NULL, 4 },
		{ "mixed", "run=50us", 4 },
		{ "cache_yield", "bytes=4096", 4 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct watched_case what = {
			.work = cases[i].work,
			.params = cases[i].params,
			.workers = 2,
			.is_tied = true,
			.ms = 200,
		};

		watched_run(&watched, &what);
		for (int k = 0; k < 2; k++)
			cr_expect_gt(watched.workers[k].yielded * cases[i].units_per_switch,
				     watched.reports[k].work_units, "%s: %" PRIu64 " of %" PRIu64,
				     cases[i].work, watched.workers[k].yielded,
				     watched.reports[k].work_units);
		watched_end(&watched);
	}
}

/* run is CPU time of a round, whoever else wants the CPU; sleep is time off it. */
Test(alone, what_runs_and_sleeps_does_so_as_long_as_it_was_told_to)
{
	static const struct {
		const char *work;
		const char *params;
		int64_t run_ns;
		int64_t sleep_ns;
	} cases[] = {
		{ "bursty", "run=2ms sleep=3ms", 2000000, 3000000 },
		{ "bursty", "run=300us sleep=10ms", 300000, 10000000 },
		{ "idle_churn", "run=50us sleep=400us", 50000, 400000 },
		{ "idle_churn", "run=0s sleep=2ms", 0, 2000000 },
		{ "mixed", "run=700us", 700000, 0 },
		{ "io_sync", "bytes=4096 latency=1ms", 0, 1000000 },
		{ "io_rand_read", "latency=1ms", 0, 1000000 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct watched_case what = {
			.work = cases[i].work, .params = cases[i].params, .workers = 1, .ms = 250
		};
		double units;

		watched_run(&watched, &what);
		units = (double)report()->work_units;
		/* a round may be cut short at the end; waking up costs CPU time too */
		cr_expect_geq(cpu_ns_per_unit() * (units + 1) / units,
			      (double)cases[i].run_ns * 0.98, "%s %s", cases[i].work,
			      cases[i].params);
		if (cases[i].run_ns) /* what a file system takes is its own affair */
			cr_expect_leq(cpu_ns_per_unit(), (double)cases[i].run_ns * 1.3 + 60000,
				      "%s %s", cases[i].work, cases[i].params);
		if (cases[i].sleep_ns) {
			cr_expect_geq((double)watched.asleep_ns[0],
				      (units - 1) * (double)cases[i].sleep_ns * 0.9,
				      "%s %s: %.0f units, asleep for %" PRId64 " of %" PRId64,
				      cases[i].work, cases[i].params, units, watched.asleep_ns[0],
				      report()->wall_ns);
			cr_expect_geq(watched.workers[0].slept + 2, report()->work_units, "%s",
				      cases[i].work);
			/* the last one may have been cut short */
			cr_expect_geq(report()->wakes + 1, report()->work_units, "%s",
				      cases[i].work);
		}
		watched_end(&watched);
	}
}

/* Most of what a round then takes is not its own. */
#if defined(__SANITIZE_ADDRESS__)
#define HAS_SANITIZER true
#elif defined(__has_feature)
#define HAS_SANITIZER __has_feature(address_sanitizer)
#else
#define HAS_SANITIZER false
#endif

/* Several chains do more multiplications in the same CPU time: a multiplier is a pipeline. */
Test(alone, alu_is_as_wide_as_its_chains)
{
	double ns_per_chain[2];
	static const char *const params[] = { "chains=1", "chains=6" };
	static const double chains[] = { 1, 6 };

	if (HAS_SANITIZER)
		cr_skip_test("with a sanitizer it is not the multiplications that take time");
	for (int i = 0; i < 2; i++) {
		const struct watched_case what = {
			.work = "alu", .params = params[i], .workers = 1, .ms = 200
		};

		watched_run(&watched, &what);
		ns_per_chain[i] = cpu_ns_per_unit() / chains[i];
		watched_end(&watched);
	}
	cr_expect_lt(ns_per_chain[1] * 1.5, ns_per_chain[0], "%.0f ns, alone %.0f", ns_per_chain[1],
		     ns_per_chain[0]);
	cr_expect_gt(ns_per_chain[1] * 6, ns_per_chain[0] * 1.1, "six cost no more than one");
}

Test(alone, timer_latency_is_as_often_as_it_was_told_to, .fini = teardown)
{
	const struct watched_case what = { .work = "timer_latency",
					   .params = "period=2ms run=100us",
					   .workers = 1,
					   .ms = 200,
					   .units = 40 };

	watched_run(&watched, &what);
	cr_expect_leq((int64_t)report()->work_units, report()->wall_ns / 2000000 + 1);
	cr_expect_geq(report()->wakes, report()->work_units);
	cr_expect_geq(watched.workers[0].slept + 2, report()->work_units);
	cr_expect_geq(cpu_ns_per_unit(), 98000.0);
	cr_expect_gt(report()->wake_p50_ns, 0);
	cr_expect_leq(report()->wake_p50_ns, report()->wake_p99_ns);
	cr_expect_leq(report()->wake_p99_ns, report()->wake_ns_max);
}

/* Where in its period each round ends: at the same place, if it does not sleep for a period but until the next. */
Test(alone, timer_latency_wakes_at_fixed_moments)
{
	enum { ROUNDS = 200, PERIOD_NS = 2000000, PLACES = 10 };
	const struct kt_msg_param given[] = { { .name = "period", .value = PERIOD_NS },
					      { .name = "run", .value = 150000 } };
	int times[PLACES] = { 0 };
	struct kt_err err = { 0 };
	struct rounds rounds;
	int most = 0;

	cr_assert_eq(rounds_begin(&rounds, "timer_latency", given, 2, NULL, &err), 0);
	for (int i = 0; i < ROUNDS; i++) {
		cr_assert_eq(rounds_next(&rounds), 1);
		times[kt_gtime_now_ns() % PERIOD_NS / (PERIOD_NS / PLACES)]++;
	}
	for (int i = 0; i < PLACES; i++) {
		int beside = times[i] + times[(i + 1) % PLACES];

		most = beside > most ? beside : most;
	}
	/* were they anywhere: a fifth */
	cr_expect_gt(most, ROUNDS * 2 / 5, "%d of %d", most, ROUNDS);
	rounds_end(&rounds);
}

/* The flags of its file, as the kernel has them; what was written, by the kernel's count. */
static uint64_t file_flags;

static void see_flags(struct watched *now)
{
	for (int fd = 3; fd < 32 && !(file_flags & O_TMPFILE); fd++) {
		char file[32];
		char path[64];
		char line[64];
		FILE *in;

		snprintf(file, sizeof(file), "fdinfo/%d", fd);
		snprintf(path, sizeof(path), "/proc/%d/%s", (int)watched_pid(now, 0), file);
		in = fopen(path, "r");
		while (in && fgets(line, sizeof(line), in))
			if (strncmp(line, "flags:", 6) == 0)
				file_flags = strtoull(line + 6, NULL, 8);
		if (in)
			fclose(in);
	}
}

Test(alone, io_sync_writes_blocks_that_must_be_written_before_it_goes_on, .fini = teardown)
{
	const struct watched_case what = { .work = "io_sync",
					   .params = "bytes=16384 latency=500us",
					   .workers = 1,
					   .ms = 150,
					   .look = see_flags };

	watched_run(&watched, &what);
	cr_expect(file_flags & O_TMPFILE);
	cr_expect(file_flags & O_DSYNC);
	cr_expect_geq(watched.workers[0].written_bytes + 2 * 16384, report()->work_units * 16384);
	cr_expect_geq(watched.workers[0].writes + 2, report()->work_units);
}

Test(alone, io_rand_read_reads_blocks, .fini = teardown)
{
	const struct watched_case what = { .work = "io_rand_read",
					   .params = "bytes=8192 latency=500us",
					   .workers = 1,
					   .ms = 150 };

	watched_run(&watched, &what);
	cr_expect_geq(watched.workers[0].read_bytes + 2 * 8192, report()->work_units * 8192);
}

/* The one file of this process that has no name. */
static int nameless_fd(void)
{
	for (int fd = 3; fd < 1024; fd++) {
		int flags = fcntl(fd, F_GETFL);

		if (flags >= 0 && (flags & O_TMPFILE) == O_TMPFILE)
			return fd;
	}
	cr_assert_fail("it has no file open");
	return -1;
}

/* In this process: each block of its file gets a number, and after each round the block that it read says which. */
Test(alone, io_rand_read_reads_everywhere)
{
	const struct kt_msg_param given[] = { { .name = "file", .value = 256 << 10 },
					      { .name = "latency", .value = 0 } };
	enum { BLOCK = 4096, BLOCKS = 64, ROUNDS = 1000 };
	int times[BLOCKS] = { 0 };
	struct kt_err err = { 0 };
	struct rounds rounds;

	cr_assert_eq(rounds_begin(&rounds, "io_rand_read", given, 2, NULL, &err), 0, "%s",
		     err.text);
	for (int block = 0; block < BLOCKS; block++)
		cr_assert_eq(pwrite(nameless_fd(), &block, sizeof(block), (off_t)block * BLOCK),
			     sizeof(block));
	for (int i = 0; i < ROUNDS; i++) {
		int block;

		cr_assert_eq(rounds_next(&rounds), 1);
		memcpy(&block, rounds.self.memory, sizeof(block));
		cr_assert(block >= 0 && block < BLOCKS, "%d", block);
		times[block]++;
	}
	/* 15.6 of each; fewer than 2 of one happens once in 10,000 runs of another seed */
	for (int block = 0; block < BLOCKS; block++)
		cr_assert(times[block] >= 2 && times[block] < 50, "block %d: %d times", block,
			  times[block]);
	rounds_end(&rounds);
}

Test(alone, fork_exit_waits_for_each_child, .fini = teardown)
{
	const struct watched_case what = {
		.work = "fork_exit", .params = "run=3ms", .workers = 1, .ms = 100, .units = 10
	};

	watched_run(&watched, &what);
	/* a child copies pages that it writes to, and is counted once it was waited for */
	cr_expect_geq(watched.workers[0].child_faults, report()->work_units,
		      "%" PRIu64 " faults of %" PRIu64 " children", watched.workers[0].child_faults,
		      report()->work_units);
	cr_expect_geq(watched.workers[0].slept * 4, report()->work_units);
	/* while the child runs, its parent does not */
	cr_expect_geq(report()->wall_ns - report()->cpu_ns,
		      (int64_t)(report()->work_units - 1) * 2900000);
}
