/* Work types whose workers wake one another: who is woken, how often, in which order, and that it is measured. */
#include "tests/unit/worker/guest/rounds.h"
#include "tests/unit/worker/guest/watched.h"

#include <signal.h>
#include <time.h>

static struct watched watched;

static uint64_t units(size_t worker)
{
	return watched.reports[worker].work_units;
}

static uint64_t apart(uint64_t a, uint64_t b)
{
	return a > b ? a - b : b - a;
}

/* One after the other, so that nobody is ever more than a round ahead. On one CPU one of the two must sleep: whoever
 * is woken drives the other off before that one has come to its own wait, so in every other round at least.
 */
Test(together, who_has_it_works_and_the_others_sleep)
{
	static const struct {
		const char *work;
		const char *params;
		uint32_t workers;
		uint32_t together;
	} cases[] = {
		{ "pipe", "bytes=100 run=20us", 2, 2 },
		{ "cache_pipe", "bytes=4096", 2, 2 },
		{ "futex_ping_pong", "run=20us", 2, 2 },
		{ "futex_ping_pong", "run=20us", 6, 2 },
		{ "wake_chain", "depth=5 run=20us", 5, 5 },
		{ "wake_chain", "depth=3 run=20us", 6, 3 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct watched_case what = {
			.work = cases[i].work,
			.params = cases[i].params,
			.workers = cases[i].workers,
			.is_tied = true,
			.ms = 150,
			.units = 150,
		};

		watched_run(&watched, &what);
		for (uint32_t k = 0; k < cases[i].workers; k++) {
			const struct kt_msg_worker_report *report = &watched.reports[k];
			uint32_t first = k - k % cases[i].together;

			cr_expect_leq(apart(units(k), units(first)), 1u,
				      "%s: %" PRIu64 " and %" PRIu64 " rounds", cases[i].work,
				      units(k), units(first));
			cr_expect_geq(report->wakes * 10, units(k) * 3,
				      "%s: %" PRIu64 " wake-ups in %" PRIu64 " rounds",
				      cases[i].work, report->wakes, units(k));
			cr_expect_geq(watched.workers[k].slept * 10, units(k) * 3, "%s",
				      cases[i].work);
			cr_expect_gt(report->wake_p50_ns, 0, "%s", cases[i].work);
			cr_expect_lt(report->wake_p50_ns, KT_NS_PER_S, "%s", cases[i].work);
		}
		watched_end(&watched);
	}
}

Test(together, pipe_throws_as_many_bytes_as_it_was_told_to)
{
	const struct watched_case what = {
		.work = "pipe", .params = "bytes=700 run=20us", .workers = 2, .ms = 150
	};

	watched_run(&watched, &what);
	for (int k = 0; k < 2; k++) {
		cr_expect_geq(watched.workers[k].written_bytes, units(k) * 700 * 8 / 10);
		cr_expect_leq(watched.workers[k].written_bytes, units(k) * 700);
		cr_expect_geq(watched.workers[k].read_bytes, units(k) * 700 * 8 / 10);
	}
	watched_end(&watched);
}

/* run, before the other one is woken. */
Test(together, a_turn_takes_as_much_cpu_time_as_it_was_told_to)
{
	static const struct {
		const char *work;
		const char *params;
		uint32_t workers;
		uint32_t worker;
		double run_ns;
	} cases[] = {
		{ "pipe", "run=300us", 2, 0, 300000 },
		{ "futex_ping_pong", "run=300us", 2, 1, 300000 },
		{ "futex_fan_out", "fan_out=2 run=300us", 3, 2, 300000 },
		{ "wake_chain", "depth=3 run=300us", 3, 1, 300000 },
		{ "thundering_herd", "waiters=2 run=300us pause=1ms", 3, 1, 300000 },
		{ "producer_consumer", "produce=300us consume=0s", 2, 0, 300000 },
		{ "producer_consumer", "produce=0s consume=300us", 2, 1, 300000 },
		{ "mutex", "contenders=2 hold=200us run=100us", 2, 1, 300000 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct watched_case what = { .work = cases[i].work,
						   .params = cases[i].params,
						   .workers = cases[i].workers,
						   .ms = 200 };
		double cpu_ns;

		watched_run(&watched, &what);
		cpu_ns = (double)watched.reports[cases[i].worker].cpu_ns /
			 (double)(units(cases[i].worker) + 1);
		cr_expect_geq(cpu_ns, cases[i].run_ns * 0.8, "%s %s: %.0f ns", cases[i].work,
			      cases[i].params, cpu_ns);
		watched_end(&watched);
	}
}

/* One and all others: each of them answers each call, and the one goes on only then. */
Test(together, fans_go_out_and_come_back)
{
	static const struct {
		const char *work;
		const char *params;
	} cases[] = {
		{ "futex_fan_out", "fan_out=3 run=50us" },
		{ "fan_out_compute", "fan_out=3 bytes=16384 walks=3 think=200us" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct watched_case what = { .work = cases[i].work,
						   .params = cases[i].params,
						   .workers = 4,
						   .is_tied = true,
						   .ms = 200,
						   .units = 60 };

		watched_run(&watched, &what);
		/* one that is not run for 50 ms is left behind; rare, but others are busy here too */
		for (int k = 1; k < 4; k++)
			cr_expect_leq(apart(units(k), units(0)), 5 + units(0) / 5,
				      "%s: %" PRIu64 " answers to %" PRIu64 " calls", cases[i].work,
				      units(k), units(0));
		for (int k = 0; k < 4; k++)
			cr_expect_geq(watched.reports[k].wakes * 10, units(k) * 4,
				      "%s: worker %d, %" PRIu64 " wake-ups in %" PRIu64 " rounds",
				      cases[i].work, k, watched.reports[k].wakes, units(k));
		if (i == 1)
			cr_expect_geq(watched.asleep_ns[0],
				      (int64_t)units(0) * 200000 * 9 / 10 - 200000);
		watched_end(&watched);
	}
}

/* Twice as many walks, or bytes, are twice as much work. */
Test(together, fan_out_compute_computes)
{
	static const char *const params[] = { "fan_out=1 bytes=65536 walks=10 think=0s",
					      "fan_out=1 bytes=65536 walks=80 think=0s" };
	double cost[2];

	for (int i = 0; i < 2; i++) {
		const struct watched_case what = {
			.work = "fan_out_compute", .params = params[i], .workers = 2, .ms = 150
		};

		watched_run(&watched, &what);
		cost[i] = (double)watched.reports[1].cpu_ns / (double)units(1);
		watched_end(&watched);
	}
	cr_expect_gt(cost[1], cost[0] * 2.5, "%.0f and %.0f ns", cost[0], cost[1]);
}

Test(together, a_herd_runs_at_every_call_and_is_not_waited_for)
{
	const struct watched_case what = { .work = "thundering_herd",
					   .params = "waiters=3 run=20us pause=4ms",
					   .workers = 4,
					   .ms = 400,
					   .units = 40 };
	int64_t pauses;

	watched_run(&watched, &what);
	pauses = watched.reports[0].wall_ns / 4000000;
	cr_expect_leq((int64_t)units(0), pauses);
	for (int k = 1; k < 4; k++) {
		/* one that was not yet back at its place misses a call */
		cr_expect_leq(units(k), units(0) + 1);
		cr_expect_geq(units(k) * 10, units(0) * 3);
		cr_expect_geq(watched.reports[k].wakes * 10, units(k) * 7);
	}
	watched_end(&watched);
}

/* Whoever is slower keeps the other one waiting, and what was made is used up, but for what is in the queue. */
Test(together, a_queue_keeps_the_quicker_one_waiting)
{
	static const struct {
		const char *params;
		uint32_t workers;
		uint64_t depth;
		bool producer_waits;
	} cases[] = {
		{ "depth=8 produce=20us consume=300us", 2, 8, true },
		{ "depth=8 produce=300us consume=20us", 2, 8, false },
		{ "depth=1 consumers=3 produce=200us consume=20us", 4, 1, false },
		{ "depth=16 consumers=2 produce=10us consume=400us", 3, 16, true },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct watched_case what = { .work = "producer_consumer",
						   .params = cases[i].params,
						   .workers = cases[i].workers,
						   .ms = 200,
						   .units = 50 };
		uint64_t used = 0;

		watched_run(&watched, &what);
		for (uint32_t k = 1; k < cases[i].workers; k++)
			used += units(k);
		cr_expect_leq(used, units(0), "%s: %" PRIu64 " used of %" PRIu64, cases[i].params,
			      used, units(0));
		cr_expect_leq(units(0), used + cases[i].depth, "%s: %" PRIu64 " used of %" PRIu64,
			      cases[i].params, used, units(0));
		if (cases[i].producer_waits)
			cr_expect_gt(watched.reports[0].wakes, units(0) / 20, "%s",
				     cases[i].params);
		else
			cr_expect_gt(watched.reports[1].wakes, units(1) / 4, "%s", cases[i].params);
		watched_end(&watched);
	}
}

/* Who does not have the lock sleeps. Were it no lock, neither would ever sleep. */
Test(together, one_at_a_time_holds_the_lock)
{
	const struct watched_case what = { .work = "mutex",
					   .params = "contenders=2 hold=1ms run=200us",
					   .workers = 2,
					   .ms = 300,
					   .units = 40 };

	watched_run(&watched, &what);
	cr_expect_gt(watched.asleep_ns[0] + watched.asleep_ns[1], watched.reports[0].wall_ns / 12,
		     "asleep for %" PRId64 " and %" PRId64 " of %" PRId64 " ns",
		     watched.asleep_ns[0], watched.asleep_ns[1], watched.reports[0].wall_ns);
	cr_expect_gt(watched.reports[0].wakes + watched.reports[1].wakes, 3u);
	watched_end(&watched);
}

/* A worker that is its own partner: a signal has arrived when the call that sent it returns. */
Test(together, signal_storm_sends_as_many_as_it_was_told_to_and_works_in_between)
{
	const struct kt_msg_param params[] = { { .name = "signals", .value = 7 },
					       { .name = "run", .value = 2 * KT_NS_PER_MS } };
	struct kt_err err = { 0 };
	static struct rounds rounds;
	struct timespec before;
	struct timespec after;
	_Atomic pid_t *pids = (void *)rounds.team;

	cr_assert_eq(rounds_begin(&rounds, "signal_storm", params, 2, NULL, &err), 0);
	cr_assert_eq(pids[0], getpid());
	pids[1] = getpid();
	for (int i = 0; i < 10; i++) {
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &before);
		cr_expect_eq(rounds_next(&rounds), 7u);
		clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &after);
		cr_expect_geq((after.tv_sec - before.tv_sec) * KT_NS_PER_S + after.tv_nsec -
				      before.tv_nsec,
			      2 * KT_NS_PER_MS);
	}
	rounds_end(&rounds);
}

Test(together, signals_arrive_while_the_partner_lives)
{
	const struct watched_case what = {
		.work = "signal_storm", .params = "signals=3 run=50us", .workers = 2, .ms = 150
	};
	struct kt_err err = { 0 };
	uint64_t before;

	watched_run(&watched, &what);
	watched_end(&watched);

	/* a dead one sends none, and the other one does not hit a stranger who has its pid by now */
	cr_assert_eq(watched_gather(&watched, &what, &err), 0);
	crewed_go(&watched.crewed);
	usleep(50000);
	kill(watched_pid(&watched, 1), SIGKILL);
	while (kt_gcrew_alive(watched.crewed.crew) == 2)
		crewed_reap(&watched.crewed);
	usleep(20000);
	before = watched_units(&watched, 0);
	usleep(50000);
	cr_expect_eq(watched_units(&watched, 0), before);
	crewed_stop(&watched.crewed);
	watched_end(&watched);
}
