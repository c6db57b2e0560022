/* Work types in which some workers stand above others. They need the right to have real-time policies. */
#include "tests/unit/worker/guest/watched.h"

#include <sched.h>
#include <sys/resource.h>

static struct watched watched;

static void teardown(void)
{
	watched_end(&watched);
}

static double share(size_t worker)
{
	return (double)watched.reports[worker].cpu_ns / (double)watched.reports[worker].wall_ns;
}

/* ---- who has which rank, as the kernel says while they work ---- */

static struct {
	int policy;
	int priority;
	int nice;
} ranks[4];

static void see_ranks(struct watched *now)
{
	for (size_t i = 0; i < now->crewed.crew->n_workers && i < 4; i++) {
		struct sched_param param = { 0 };
		pid_t pid = watched_pid(now, i);

		sched_getparam(pid, &param);
		ranks[i].policy = sched_getscheduler(pid) & ~SCHED_RESET_ON_FORK;
		ranks[i].priority = param.sched_priority;
		ranks[i].nice = getpriority(PRIO_PROCESS, (id_t)pid);
	}
}

Test(priorities, each_has_its_rank, .init = watched_alone)
{
	static const struct {
		const char *work;
		const char *params;
		uint32_t workers;
		struct {
			int policy;
			int priority;
			int nice;
		} ranks[4];
	} cases[] = {
		{ "priority_inversion",
		  "mediums=2",
		  4,
		  { { SCHED_OTHER, 0, 10 },
		    { SCHED_OTHER, 0, -10 },
		    { SCHED_OTHER, 0, 0 },
		    { SCHED_OTHER, 0, 0 } } },
		{ "priority_inversion",
		  "realtime=1 inherit=1",
		  3,
		  { { SCHED_FIFO, 1, 0 }, { SCHED_FIFO, 3, 0 }, { SCHED_FIFO, 2, 0 } } },
		{ "preempt_storm",
		  "victims=1 priority=7",
		  2,
		  { { SCHED_FIFO, 7, 0 }, { SCHED_OTHER, 0, 0 } } },
		{ "rt_starvation",
		  "ordinary=2 priority=3 run=1ms sleep=2ms",
		  3,
		  { { SCHED_FIFO, 3, 0 }, { SCHED_OTHER, 0, 0 }, { SCHED_OTHER, 0, 0 } } },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct watched_case what = { .work = cases[i].work,
						   .params = cases[i].params,
						   .workers = cases[i].workers,
						   .ms = 100,
						   .look = see_ranks };
		struct kt_err err = { 0 };

		if (watched_gather(&watched, &what, &err) == -EPERM) {
			fprintf(stderr, "%s is not tested: %s\n", what.work, err.text);
			watched_end(&watched);
			continue;
		}
		cr_assert_eq(err.code, 0, "%s", err.text);
		see_ranks(&watched); /* at the gate: afterwards a boosted one has another */
		for (uint32_t k = 0; k < cases[i].workers; k++) {
			cr_expect_eq(ranks[k].policy, cases[i].ranks[k].policy, "%s, worker %u",
				     what.work, k);
			cr_expect_eq(ranks[k].priority, cases[i].ranks[k].priority, "%s, worker %u",
				     what.work, k);
			cr_expect_eq(ranks[k].nice, cases[i].ranks[k].nice, "%s, worker %u",
				     what.work, k);
		}
		watched_end(&watched);
	}
}

/* ---- what comes of it ---- */

/* On one CPU: the low one holds the lock, the medium one never sleeps, so the high one never gets the lock. Unless
 * the lock hands its priority on.
 */
static uint64_t rounds_of_the_high_one(const char *params)
{
	const struct watched_case what = { .work = "priority_inversion",
					   .params = params,
					   .workers = 3,
					   .is_tied = true,
					   .ms = 200 };
	struct kt_err err = { 0 };
	uint64_t units = UINT64_MAX;

	if (watched_gather(&watched, &what, &err) == 0) {
		crewed_go(&watched.crewed);
		usleep(200000);
		crewed_stop(&watched.crewed);
		units = watched.reports[1].work_units;
	}
	watched_end(&watched);
	return units;
}

Test(priorities, an_inversion_happens_and_inheritance_ends_it, .init = watched_alone)
{
	uint64_t plain = rounds_of_the_high_one("realtime=1 hold=2ms pause=1ms");
	uint64_t inherited = rounds_of_the_high_one("realtime=1 hold=2ms pause=1ms inherit=1");

	if (plain == UINT64_MAX)
		cr_skip_test("no right to real-time policies");
	cr_expect_leq(plain, 5u, "%" PRIu64 " rounds", plain);
	cr_expect_geq(inherited, 15u, "%" PRIu64 " rounds", inherited);
	cr_expect_lt(inherited, 150u, "%" PRIu64 " rounds: it does not wait for the lock",
		     inherited);
}

static void see_low(struct watched *now)
{
	now->is_enough = watched_units(now, 0) >= 2;
}

/* The high one waits for as long as the low one holds the lock, and needs nothing else that takes time. */
Test(priorities, the_lock_is_one_with_nice_values_too, .init = watched_alone, .fini = teardown)
{
	const struct watched_case what = { .work = "priority_inversion",
					   .params = "hold=30ms pause=500us",
					   .workers = 3,
					   .ms = 8000,
					   .look = see_low };

	if (!watched_run(&watched, &what))
		return;
	cr_expect_geq(watched.reports[1].gap_ns_max, 25 * KT_NS_PER_MS);
	cr_expect_gt(watched.reports[2].cpu_ns, watched.reports[2].wall_ns / 20);
}

Test(priorities, a_storm_drives_off_those_who_spin, .init = watched_alone, .fini = teardown)
{
	const struct watched_case what = { .work = "preempt_storm",
					   .params = "victims=1 run=100us sleep=1ms",
					   .workers = 2,
					   .is_tied = true,
					   .ms = 300,
					   .units = 20 };

	if (!watched_run(&watched, &what))
		return;
	cr_expect_geq(watched.reports[0].work_units, 100u);
	cr_expect_geq(watched.reports[0].wakes, watched.reports[0].work_units);
	cr_expect_geq((double)watched.reports[0].cpu_ns,
		      (double)watched.reports[0].work_units * 95000);
	/* it never sleeps; the storm found it running, unless somebody else had driven it off already */
	cr_expect_leq(watched.workers[1].slept, 3u);
	cr_expect_gt(watched.workers[1].yielded, 20u);
}

Test(priorities, the_ordinary_get_what_is_left_to_them, .init = watched_alone, .fini = teardown)
{
	const struct watched_case what = { .work = "rt_starvation",
					   .params = "ordinary=1 run=9ms sleep=1ms",
					   .workers = 2,
					   .is_tied = true,
					   .ms = 400 };

	if (!watched_run(&watched, &what))
		return;
	cr_expect_gt(share(0), 0.75, "%.2f", share(0));
	cr_expect_lt(share(1), 0.25, "%.2f", share(1));
	cr_expect_geq((double)watched.reports[0].cpu_ns,
		      (double)(watched.reports[0].work_units - 1) * 8900000);
}
