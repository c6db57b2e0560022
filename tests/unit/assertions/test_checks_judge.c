/* Every formula of checks.def: golden values, what is left out of them, and what cannot be told. */
#include "../proto/kept.h"
#include "reported.h"

struct row {
	const char *checks;
	const char *result;
	enum kt_verdict_outcome outcome;
	const char *says; /* the first sentence of that rank, as it stands */
};

static void judge_rows(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		KT_AUTO_ARENA arena = { 0 };
		struct kt_verdict said;
		enum kt_verdict_outcome outcome =
			reported_judge(rows[i].checks, rows[i].result, &arena, &said);
		const struct kt_verdict_detail *first = kt_verdict_headline(&said);

		cr_assert_eq(outcome, rows[i].outcome, "row %zu, %s over %s:%s", i, rows[i].checks,
			     rows[i].result, fixture_all(&arena, &said));
		cr_assert_str_eq(first->text, rows[i].says, "row %zu:%s", i,
				 fixture_all(&arena, &said));
	}
}
#define JUDGE(rows_) judge_rows(rows_, sizeof(rows_) / sizeof((rows_)[0]))

#define PASS KT_VERDICT_PASS
#define FAIL KT_VERDICT_FAIL
#define INCO KT_VERDICT_INCONCLUSIVE
#define SKIP KT_VERDICT_SKIP

/* A worker that did something, and one that did not. */
#define WORKS "work_units=10 wall_ns=10s cpu_ns=5s work=spin"
#define IDLES "wall_ns=10s work=spin"

Test(checks_judge, not_stuck)
{
	static const struct row rows[] = {
		{ "not_stuck=true gap=false spread=false", "report cg_0 work_units=1", PASS,
		  "not_stuck: holds for 1 worker" },
		{ "not_stuck=true gap=false spread=false",
		  "report cg_0 work_units=1; report cg_0 wall_ns=10s", FAIL,
		  "not_stuck: cg_0/1: no progress: 0 work units in 10000 ms" },
		{ "not_stuck=true gap=false spread=false",
		  "report cg_0 work_units=1; report cg_1 missing=killed step=2", FAIL,
		  "not_stuck: cg_1/0 of step 2: no report: killed" },
		{ "not_stuck=true gap=false spread=false", "report cg_0 work_units=5 missing=lost",
		  FAIL, "not_stuck: cg_0/0: no report: lost" },
		/* with gap and spread: both are asked for, and their defaults count */
		{ "not_stuck=true",
		  "report cg_0 " WORKS " gap_ns_max=2001ms gap_at_ns=5s gap_cpu=1", FAIL,
		  "gap (at most 2000 ms): cg_0/0: 2001 ms, until +5000 ms on CPU 1" },
		{ "not_stuck=true",
		  "report cg_0 " WORKS "; report cg_0 work_units=1 wall_ns=10s cpu_ns=9s work=spin",
		  FAIL,
		  "spread (at most 15%): cg_0 (2 x spin): 40%, from 10% off the CPU (cg_0/1) to "
		  "50% (cg_0/0)" },
	};

	JUDGE(rows);
}

Test(checks_judge, gap)
{
	static const struct row rows[] = {
		{ "gap=true", "report cg_0 work_units=9 gap_ns_max=2s gap_at_ns=7s gap_cpu=3", PASS,
		  "gap (at most 2000 ms): holds for 1 worker: cg_0/0: 2000 ms, until +7000 ms on "
		  "CPU 3" },
		{ "gap=true", "report cg_0 work_units=9 gap_ns_max=2000000001", FAIL,
		  "gap (at most 2000 ms): cg_0/0: 2000.000001 ms, until +0 ms on CPU 0" },
		{ "gap='10ms'",
		  "report cg_0 work_units=9 gap_ns_max=3ms; report cg_0 work_units=9 "
		  "gap_ns_max=9ms gap_cpu=1; report cg_0 work_units=9 gap_ns_max=5ms",
		  PASS,
		  "gap (at most 10 ms): holds for 3 workers; the nearest: cg_0/1: 9 ms, until +0 "
		  "ms on CPU 1" },
		/* the first of equals is named, on either side of a limit */
		{ "gap='10ms'",
		  "report a work_units=9 gap_ns_max=9ms; report b work_units=9 gap_ns_max=9ms",
		  PASS,
		  "gap (at most 10 ms): holds for 2 workers; the nearest: a/0: 9 ms, until +0 ms "
		  "on CPU 0" },
		{ "min_iteration_rate=1",
		  "report a work_units=9 wall_ns=1s; report b work_units=9 wall_ns=1s", PASS,
		  "min_iteration_rate (at least 1/s): holds for 2 workers; the nearest: a/0: 9/s, "
		  "9 work units in 1000 ms of wall time" },
		/* no round: all of its time is one gap */
		{ "gap=true", "report cg_0 wall_ns=3s gap_ns_max=1ms", FAIL,
		  "gap (at most 2000 ms): cg_0/0: 3000 ms, all of its wall time: it did no round "
		  "of its work" },
		{ "gap=true", "report cg_0 wall_ns=2s", PASS,
		  "gap (at most 2000 ms): holds for 1 worker: cg_0/0: 2000 ms, all of its wall "
		  "time: it did no round of its work" },
		{ "gap=true", "report cg_0", INCO,
		  "gap (at most 2000 ms): cannot be told: cg_0/0: no time was measured" },
		{ "gap=true", "report cg_0 work_units=1", PASS,
		  "gap (at most 2000 ms): holds for 1 worker: cg_0/0: 0 ms, until +0 ms on CPU 0" },
		{ "gap=true", "report cg_0 missing=killed; report cg_0 " WORKS, INCO,
		  "gap (at most 2000 ms): cannot be told: cg_0/0: no report (killed)" },
		{ "gap=true", "report cg_0 missing=killed; report cg_0 " WORKS " gap_ns_max=3s",
		  FAIL, "gap (at most 2000 ms): cg_0/1: 3000 ms, until +0 ms on CPU 0" },
	};

	JUDGE(rows);
}

Test(checks_judge, spread)
{
	static const struct row rows[] = {
		/* 0 % and 15 % off the CPU */
		{ "spread=true",
		  "report cg_0 wall_ns=1s cpu_ns=1s work=spin; report cg_0 wall_ns=1s cpu_ns=850ms "
		  "work=spin",
		  PASS,
		  "spread (at most 15%): holds for 1 group: cg_0 (2 x spin): 15%, from 0% off the "
		  "CPU (cg_0/0) to 15% (cg_0/1)" },
		{ "spread=true",
		  "report cg_0 wall_ns=1s cpu_ns=1s work=spin; report cg_0 wall_ns=1s cpu_ns=849ms "
		  "work=spin; report cg_0 wall_ns=1s cpu_ns=900ms work=spin",
		  FAIL,
		  "spread (at most 15%): cg_0 (3 x spin): 15.1%, from 0% off the CPU (cg_0/0) to "
		  "15.1% (cg_0/1)" },
		/* more CPU time than time counts as none off the CPU */
		{ "spread=10",
		  "report cg_0 wall_ns=1s cpu_ns=1100ms work=spin; report cg_0 wall_ns=1s "
		  "cpu_ns=900ms work=spin",
		  PASS,
		  "spread (at most 10%): holds for 1 group: cg_0 (2 x spin): 10%, from 0% off the "
		  "CPU (cg_0/0) to 10% (cg_0/1)" },
		/* other work, another group, another step or cgroup is not compared with it */
		{ "spread=true",
		  "report cg_0 wall_ns=1s cpu_ns=1s work=spin; report cg_0 wall_ns=1s work=bursty",
		  SKIP,
		  "spread (at most 15%): does not apply: cg_0 (1 x spin): nobody to compare with, "
		  "cg_0 (1 x bursty): nobody to compare with" },
		{ "spread=true",
		  "report cg_0 wall_ns=1s cpu_ns=1s work=spin; report cg_0 wall_ns=1s group=1 "
		  "work=spin",
		  SKIP,
		  "spread (at most 15%): does not apply: cg_0 (1 x spin): nobody to compare with, "
		  "cg_0 group 1 (1 x spin): nobody to compare with" },
		{ "spread=true",
		  "report cg_0 wall_ns=1s cpu_ns=1s work=spin; report cg_0 wall_ns=1s step=1 "
		  "work=spin",
		  SKIP,
		  "spread (at most 15%): does not apply: cg_0 (1 x spin): nobody to compare with, "
		  "cg_0 of step 1 (1 x spin): nobody to compare with" },
		{ "spread=true", "report cg_0 wall_ns=1s cpu_ns=1s; report cg_1 wall_ns=1s", SKIP,
		  "spread (at most 15%): does not apply: cg_0 (1 x work): nobody to compare with, "
		  "cg_1 (1 x work): nobody to compare with" },
		/* who wakes and who is woken are not expected to be alike; two that throw a ball are */
		{ "spread=true",
		  "report cg_0 wall_ns=1s cpu_ns=1s work=futex_fan_out; report cg_0 wall_ns=1s "
		  "work=futex_fan_out",
		  SKIP,
		  "spread (at most 15%): does not apply: cg_0 (2 x futex_fan_out): they do "
		  "different "
		  "things and are not compared" },
		{ "spread=true",
		  "report cg_0 wall_ns=1s cpu_ns=1s work=pipe; report cg_0 wall_ns=1s cpu_ns=500ms "
		  "work=pipe",
		  FAIL,
		  "spread (at most 15%): cg_0 (2 x pipe): 50%, from 0% off the CPU (cg_0/0) to 50% "
		  "(cg_0/1)" },
		/* one group alone is unfair; those between two of another are found all the same */
		{ "spread=true",
		  "report cg_0 " WORKS "; report cg_1 " WORKS "; report cg_0 " WORKS
		  "; report cg_1 " IDLES,
		  FAIL,
		  "spread (at most 15%): cg_1 (2 x spin): 50%, from 50% off the CPU (cg_1/0) to "
		  "100% (cg_1/1)" },
		{ "spread=true", "report cg_0 " WORKS "; report cg_0 work=spin", INCO,
		  "spread (at most 15%): cannot be told: cg_0/1: no wall time was measured" },
		{ "spread=true", "report cg_0 " WORKS "; report cg_0 work=spin missing=lost", INCO,
		  "spread (at most 15%): cannot be told: cg_0/1: no report (lost)" },
		{ "spread=true",
		  "report cg_0 " WORKS "; report cg_0 work=spin missing=lost; report cg_0 " IDLES,
		  FAIL,
		  "spread (at most 15%): cg_0 (3 x spin): 50%, from 50% off the CPU (cg_0/0) to "
		  "100% (cg_0/2)" },
	};

	JUDGE(rows);
}

Test(checks_judge, isolation)
{
	static const struct row rows[] = {
		{ "isolation=true", "report cg_0 cpus_used=0-1,3 cpus_allowed=0-3", PASS,
		  "isolation: holds for 1 worker" },
		{ "isolation=true",
		  "report cg_0 cpus_used=0 cpus_allowed=0; report cg_0 cpus_used=0-1,200-201 "
		  "cpus_allowed=1",
		  FAIL, "isolation: cg_0/1: ran on CPU 0,200-201, outside of its cpuset 1" },
		{ "isolation=true", "report cg_0 cpus_used=0-1", SKIP,
		  "isolation: does not apply: cg_0/0: no cpuset" },
		{ "isolation=true", "report cg_0 cpus_allowed=0-1", INCO,
		  "isolation: cannot be told: cg_0/0: where it ran was not seen" },
		{ "isolation=true", "report cg_0 cpus_used=x cpus_allowed=0-1", INCO,
		  "isolation: cannot be told: cg_0/0: where it ran was not seen" },
		{ "isolation=true", "report cg_0 cpus_used=0 cpus_allowed=x", INCO,
		  "isolation: cannot be told: cg_0/0: where it ran was not seen" },
		{ "isolation=true",
		  "report cg_0 cpus_used=0 cpus_allowed=0; report cg_1 missing=lost", INCO,
		  "isolation: cannot be told: cg_1/0: no report (lost)" },
	};

	JUDGE(rows);
}

/* Rates of 100 and 300 a second: mean 200, deviation 100. */
#define SLOW "report cg_0 work_units=200 cpu_ns=2s work=spin"
#define FAST "report cg_0 work_units=300 cpu_ns=1s work=spin"

Test(checks_judge, max_throughput_cv)
{
	static const struct row rows[] = {
		{ "max_throughput_cv=0.5", SLOW ";" FAST, PASS,
		  "max_throughput_cv (at most 0.5): holds for 1 group: cg_0 (2 x spin): 0.5, from "
		  "100/s (cg_0/0) to 300/s (cg_0/1), mean 200/s" },
		{ "max_throughput_cv=0.49", SLOW ";" FAST, FAIL,
		  "max_throughput_cv (at most 0.49): cg_0 (2 x spin): 0.5, from 100/s (cg_0/0) to "
		  "300/s (cg_0/1), mean 200/s" },
		/* 2 4 4 4 5 5 7 9: mean 5, deviation 2 */
		{ "max_throughput_cv=0.4",
		  "report a work_units=2 cpu_ns=1s; report a work_units=4 cpu_ns=1s; report a "
		  "work_units=4 cpu_ns=1s; report a work_units=4 cpu_ns=1s; report a work_units=5 "
		  "cpu_ns=1s; report a work_units=5 cpu_ns=1s; report a work_units=7 cpu_ns=1s; "
		  "report a work_units=9 cpu_ns=1s",
		  PASS,
		  "max_throughput_cv (at most 0.4): holds for 1 group: a (8 x work): 0.4, from 2/s "
		  "(a/0) to 9/s (a/7), mean 5/s" },
		{ "max_throughput_cv=0", FAST ";" FAST, PASS,
		  "max_throughput_cv (at most 0): holds for 1 group: cg_0 (2 x spin): 0, from "
		  "300/s (cg_0/0) to 300/s (cg_0/0), mean 300/s" },
		{ "max_throughput_cv=0.5", FAST, SKIP,
		  "max_throughput_cv (at most 0.5): does not apply: cg_0 (1 x spin): nobody to "
		  "compare with" },
		{ "max_throughput_cv=0.5", FAST "; report cg_0 work_units=9 work=spin", INCO,
		  "max_throughput_cv (at most 0.5): cannot be told: cg_0/1: no CPU time was "
		  "measured" },
		{ "max_throughput_cv=0.5", "report cg_0 cpu_ns=1s; report cg_0 cpu_ns=1s", INCO,
		  "max_throughput_cv (at most 0.5): cannot be told: cg_0 (2 x work): no work "
		  "units" },
	};

	JUDGE(rows);
}

Test(checks_judge, min_work_rate)
{
	static const struct row rows[] = {
		{ "min_work_rate=100", SLOW ";" FAST, PASS,
		  "min_work_rate (at least 100/s): holds for 2 workers; the nearest: cg_0/0: "
		  "100/s, 200 work units in 2000 ms of CPU time" },
		{ "min_work_rate=100.5", SLOW ";" FAST, FAIL,
		  "min_work_rate (at least 100.5/s): cg_0/0: 100/s, 200 work units in 2000 ms of "
		  "CPU time" },
		{ "min_work_rate=1", "report cg_0 cpu_ns=1s", FAIL,
		  "min_work_rate (at least 1/s): cg_0/0: 0/s, 0 work units in 1000 ms of CPU "
		  "time" },
		{ "min_work_rate=1", "report cg_0 work_units=1 wall_ns=1s", INCO,
		  "min_work_rate (at least 1/s): cannot be told: cg_0/0: no CPU time was "
		  "measured" },
		{ "min_work_rate=1", "report cg_0 missing=lost", INCO,
		  "min_work_rate (at least 1/s): cannot be told: cg_0/0: no report (lost)" },
	};

	JUDGE(rows);
}

Test(checks_judge, min_iteration_rate)
{
	static const struct row rows[] = {
		{ "min_iteration_rate=10", "report cg_0 work_units=20 wall_ns=2s cpu_ns=1s", PASS,
		  "min_iteration_rate (at least 10/s): holds for 1 worker: cg_0/0: 10/s, 20 work "
		  "units in 2000 ms of wall time" },
		{ "min_iteration_rate=10", "report cg_0 work_units=19 wall_ns=2s cpu_ns=1s", FAIL,
		  "min_iteration_rate (at least 10/s): cg_0/0: 9.5/s, 19 work units in 2000 ms of "
		  "wall time" },
		{ "min_iteration_rate=10", "report cg_0 work_units=19 cpu_ns=1s", INCO,
		  "min_iteration_rate (at least 10/s): cannot be told: cg_0/0: no wall time was "
		  "measured" },
	};

	JUDGE(rows);
}

Test(checks_judge, max_p99_wake_latency)
{
	static const struct row rows[] = {
		{ "max_p99_wake_latency='5ms'", "report a; wakes a total=10 kept=10 p99_ns=5ms",
		  PASS,
		  "max_p99_wake_latency (at most 5 ms): holds for 1 cgroup: a: 5 ms of 10 "
		  "wake-ups" },
		{ "max_p99_wake_latency='5ms'",
		  "report a; wakes a total=1000 kept=100 p99_ns=5000001", FAIL,
		  "max_p99_wake_latency (at most 5 ms): a: 5.000001 ms of 1000 wake-ups, 100 of "
		  "them kept" },
		/* by cgroup, where anybody knows it by cgroup */
		{ "max_p99_wake_latency='5ms'",
		  "report a; report b; wakes all total=20 kept=20 p99_ns=9ms; wakes a total=10 "
		  "kept=10 p99_ns=4ms; wakes b total=10 kept=10 p99_ns=6ms",
		  FAIL, "max_p99_wake_latency (at most 5 ms): b: 6 ms of 10 wake-ups" },
		{ "max_p99_wake_latency='5ms'",
		  "report a; wakes all total=20 kept=20 p99_ns=9ms; wakes a total=10 kept=10 "
		  "p99_ns=4ms",
		  PASS,
		  "max_p99_wake_latency (at most 5 ms): holds for 1 cgroup: a: 4 ms of 10 "
		  "wake-ups" },
		{ "max_p99_wake_latency='5ms'", "report a; wakes all total=20 kept=20 p99_ns=9ms",
		  FAIL, "max_p99_wake_latency (at most 5 ms): all workers: 9 ms of 20 wake-ups" },
		/* work that never waits is left out, unless nothing else is there */
		{ "max_p99_wake_latency='5ms'",
		  "report a; wakes a total=10 kept=10 p99_ns=4ms; wakes b total=0", PASS,
		  "max_p99_wake_latency (at most 5 ms): holds for 1 cgroup: a: 4 ms of 10 "
		  "wake-ups" },
		{ "max_p99_wake_latency='5ms'", "report a; wakes a total=0", INCO,
		  "max_p99_wake_latency (at most 5 ms): cannot be told: a: no wake-up was "
		  "measured" },
		{ "max_p99_wake_latency='5ms'", "report a", INCO,
		  "max_p99_wake_latency (at most 5 ms): cannot be told: no wake-up was measured" },
		{ "max_p99_wake_latency='5ms'",
		  "report a; report a missing=lost; wakes a total=10 kept=10 p99_ns=4ms", INCO,
		  "max_p99_wake_latency (at most 5 ms): cannot be told: a/1: no report (lost)" },
	};

	JUDGE(rows);
}

Test(checks_judge, max_wake_latency_cv)
{
	static const struct row rows[] = {
		{ "max_wake_latency_cv=2",
		  "report a; wakes a total=10 kept=10 mean_ns=1ms stddev_ns=2ms", PASS,
		  "max_wake_latency_cv (at most 2): holds for 1 cgroup: a: 2, mean 1 ms, deviation "
		  "2 ms of 10 wake-ups" },
		{ "max_wake_latency_cv=2",
		  "report a; wakes a total=10 kept=5 mean_ns=1ms stddev_ns=2100us", FAIL,
		  "max_wake_latency_cv (at most 2): a: 2.1, mean 1 ms, deviation 2.1 ms of 10 "
		  "wake-ups, 5 of them kept" },
		{ "max_wake_latency_cv=2", "report a; wakes a total=10 kept=10 stddev_ns=2ms", INCO,
		  "max_wake_latency_cv (at most 2): cannot be told: a: their mean is 0" },
		{ "max_wake_latency_cv=2", "report a; wakes a total=10 kept=10", INCO,
		  "max_wake_latency_cv (at most 2): cannot be told: a: their mean is 0" },
		{ "max_wake_latency_cv=2", "report a; wakes a total=10 kept=10 mean_ns=nan", INCO,
		  "max_wake_latency_cv (at most 2): cannot be told: a: their mean is 0" },
		{ "max_wake_latency_cv=2",
		  "report a; wakes a total=10 kept=10 mean_ns=1 stddev_ns=inf", INCO,
		  "max_wake_latency_cv (at most 2): cannot be told: a: their mean is 0" },
		{ "max_wake_latency_cv=2", "report a; wakes a total=1 kept=1 mean_ns=1ms", INCO,
		  "max_wake_latency_cv (at most 2): cannot be told: a: one wake-up" },
		{ "max_wake_latency_cv=2",
		  "report a; wakes a total=1 kept=1 mean_ns=1ms; wakes b total=2 kept=2 "
		  "mean_ns=1ms stddev_ns=1ms",
		  PASS,
		  "max_wake_latency_cv (at most 2): holds for 1 cgroup: b: 1, mean 1 ms, deviation "
		  "1 ms of 2 wake-ups" },
	};

	JUDGE(rows);
}

Test(checks_judge, max_migration_ratio)
{
	static const struct row rows[] = {
		{ "max_migration_ratio=0.1",
		  "report a work_units=15 migrations=2; report a work_units=5", PASS,
		  "max_migration_ratio (at most 0.1): holds for 1 cgroup: a: 0.1, 2 migrations in "
		  "20 work units" },
		{ "max_migration_ratio=0.1",
		  "report a work_units=15 migrations=2; report a work_units=5 migrations=1; report "
		  "b work_units=100",
		  FAIL,
		  "max_migration_ratio (at most 0.1): a: 0.15, 3 migrations in 20 work units" },
		{ "max_migration_ratio=0.1", "report a migrations=2", INCO,
		  "max_migration_ratio (at most 0.1): cannot be told: a: no work units" },
		{ "max_migration_ratio=0",
		  "report a work_units=10; report a missing=lost migrations=9", INCO,
		  "max_migration_ratio (at most 0): cannot be told: a/1: no report (lost)" },
	};

	JUDGE(rows);
}

Test(checks_judge, min_page_locality)
{
	static const struct row rows[] = {
		{ "min_page_locality=0.9",
		  "report a pages=50 pages_local=50; report a pages=50 pages_local=40", PASS,
		  "min_page_locality (at least 0.9): holds for 1 cgroup: a: 0.9, 90 of 100 pages" },
		{ "min_page_locality=0.9",
		  "report a pages=50 pages_local=50; report a pages=50 pages_local=39", FAIL,
		  "min_page_locality (at least 0.9): a: 0.89, 89 of 100 pages" },
		/* a zero that comes from policy */
		{ "min_page_locality=0.9", "report a; report a mem_policy=bind", FAIL,
		  "min_page_locality (at least 0.9): a: no pages at all, and its memory policy is "
		  "bind" },
		{ "min_page_locality=0.9", "report a mem_policy=preferred", INCO,
		  "min_page_locality (at least 0.9): cannot be told: a: no pages were counted" },
		{ "min_page_locality=0.9", "report a; report b pages=1 pages_local=1", PASS,
		  "min_page_locality (at least 0.9): holds for 1 cgroup: b: 1, 1 of 1 pages" },
		{ "min_page_locality=0.9", "report a pages=1 missing=lost", INCO,
		  "min_page_locality (at least 0.9): cannot be told: a/0: no report (lost)" },
	};

	JUDGE(rows);
}

Test(checks_judge, max_cross_node_ratio)
{
	static const struct row rows[] = {
		/* each worker saw the whole guest: the most of them, not their sum */
		{ "max_cross_node_ratio=0.05",
		  "report a pages=100 pages_migrated=5; report a pages=100 pages_migrated=10", PASS,
		  "max_cross_node_ratio (at most 0.05): holds for 1 cgroup: a: 0.05, 10 pages "
		  "moved, it has 200" },
		{ "max_cross_node_ratio=0.05",
		  "report a pages=100 pages_migrated=11; report a pages=100 pages_migrated=10",
		  FAIL,
		  "max_cross_node_ratio (at most 0.05): a: 0.055, 11 pages moved, it has 200" },
		{ "max_cross_node_ratio=0.05", "report a pages_migrated=11", INCO,
		  "max_cross_node_ratio (at most 0.05): cannot be told: a: no pages were counted" },
	};

	JUDGE(rows);
}

Test(checks_judge, events_clean)
{
	static const struct row rows[] = {
		{ "events_clean=true",
		  "monitor looks=9 enabled=9; event dispatch_keep_last 99; event insert_not_owned "
		  "0; event select_cpu_fallback 0",
		  PASS, "events_clean: holds for 2 counters" },
		{ "events_clean=true", "monitor looks=9 enabled=9; event select_cpu_fallback 3",
		  FAIL, "events_clean: select_cpu_fallback: 3 while the scenario ran" },
		{ "events_clean=true",
		  "monitor looks=9 enabled=9; event dispatch_local_dsq_offline 1", FAIL,
		  "events_clean: dispatch_local_dsq_offline: 1 while the scenario ran" },
		{ "events_clean=true", "monitor looks=9 enabled=9; event reenq_local_repeat 1",
		  FAIL, "events_clean: reenq_local_repeat: 1 while the scenario ran" },
		{ "events_clean=true", "monitor looks=9 enabled=9; event bypass_activate 1", FAIL,
		  "events_clean: bypass_activate: 1 while the scenario ran" },
		{ "events_clean=true", "monitor looks=9 enabled=9; event insert_not_owned -1", FAIL,
		  "events_clean: insert_not_owned: -1 while the scenario ran" },
		{ "events_clean=true", "monitor looks=9 enabled=9", INCO,
		  "events_clean: cannot be told: this kernel counts no sched_ext events" },
		{ "events_clean=true", "monitor looks=9", SKIP,
		  "events_clean: does not apply: no sched_ext scheduler was there" },
		{ "events_clean=true", "monitor looks=0", INCO,
		  "events_clean: cannot be told: nobody looked at the guest from outside" },
		{ "events_clean=true", "report a", INCO,
		  "events_clean: cannot be told: nobody looked at the guest from outside" },
		{ "events_clean=true", "monitor looks=9 error=unreadable", INCO,
		  "events_clean: cannot be told: unreadable" },
		{ "events_clean=true",
		  "monitor looks=9 enabled=9 error=gone; event insert_not_owned 1", FAIL,
		  "events_clean: insert_not_owned: 1 while the scenario ran" },
	};

	JUDGE(rows);
}

#define IMBALANCE "values=9 windows=5 highest=9 highest_at_ns=2s sustained=4 sustained_at_ns=1500ms"

Test(checks_judge, what_is_sustained)
{
	static const struct row rows[] = {
		{ "imbalance=true", "monitor looks=9; measure imbalance " IMBALANCE, PASS,
		  "imbalance (at most 4): holds: 5 looks in a row did not fall below 4, until "
		  "+1500 ms; the highest 9 at +2000 ms" },
		{ "imbalance=3.9", "monitor looks=9; measure imbalance " IMBALANCE, FAIL,
		  "imbalance (at most 3.9): 5 looks in a row did not fall below 4, until +1500 ms; "
		  "the highest 9 at +2000 ms" },
		{ "imbalance=true", "monitor looks=4; measure imbalance values=4 highest=9", INCO,
		  "imbalance (at most 4): cannot be told: not measured 5 times in a row" },
		{ "imbalance=true", "monitor looks=9; measure dsq_depth " IMBALANCE, INCO,
		  "imbalance (at most 4): cannot be told: not measured 5 times in a row" },
		{ "imbalance=true", "report a", INCO,
		  "imbalance (at most 4): cannot be told: nobody looked at the guest from "
		  "outside" },
		{ "imbalance=true", "monitor looks=0 error=unreadable", INCO,
		  "imbalance (at most 4): cannot be told: unreadable" },
		{ "imbalance=true",
		  "monitor looks=9 error=gone; measure imbalance windows=1 sustained=5", FAIL,
		  "imbalance (at most 4): 5 looks in a row did not fall below 5, until +0 ms; the "
		  "highest 0 at +0 ms" },
		{ "imbalance=true",
		  "monitor looks=9 invalid=2; measure imbalance windows=1 sustained=1", INCO,
		  "imbalance (at most 4): cannot be told: 2 of 9 looks saw memory that no kernel "
		  "has set up" },
		{ "imbalance=true", "monitor looks=9 invalid=9", INCO,
		  "imbalance (at most 4): cannot be told: 9 of 9 looks saw memory that no kernel "
		  "has set up" },
		{ "dsq_depth=true",
		  "monitor looks=9 enabled=9; measure dsq_depth windows=5 highest=90 highest_cpu=1 "
		  "sustained=51 sustained_cpu=2",
		  FAIL,
		  "dsq_depth (at most 50): 5 looks in a row did not fall below 51, until +0 ms "
		  "(then on CPU 2); the highest 90 at +0 ms on CPU 1" },
		{ "dsq_depth=true",
		  "monitor looks=9 enabled=9; measure dsq_depth windows=5 sustained=50", PASS,
		  "dsq_depth (at most 50): holds: 5 looks in a row did not fall below 50, until +0 "
		  "ms (then on CPU 0); the highest 0 at +0 ms on CPU 0" },
		{ "dsq_depth=true", "monitor looks=9; measure dsq_depth windows=5 sustained=90",
		  SKIP,
		  "dsq_depth (at most 50): does not apply: no sched_ext scheduler was there" },
		{ "fallback=true",
		  "monitor looks=9 enabled=9; measure fallback windows=5 sustained=200.5 "
		  "highest=1000",
		  FAIL,
		  "fallback (at most 200/s): 5 looks in a row did not fall below 200.5/s, until +0 "
		  "ms; the highest 1000/s at +0 ms" },
		{ "keep_last=true",
		  "monitor looks=9 enabled=1; measure keep_last windows=5 sustained=100", PASS,
		  "keep_last (at most 100/s): holds: 5 looks in a row did not fall below 100/s, "
		  "until +0 ms; the highest 0/s at +0 ms" },
		{ "keep_last=true", "monitor looks=9", SKIP,
		  "keep_last (at most 100/s): does not apply: no sched_ext scheduler was there" },
	};

	JUDGE(rows);
}

Test(checks_judge, stuck)
{
	static const struct row rows[] = {
		{ "stuck=true",
		  "monitor looks=9 vcpu_time=thread; measure stuck windows=5 highest=4", PASS,
		  "stuck: holds" },
		{ "stuck=true",
		  "monitor looks=9 vcpu_time=shared; measure stuck windows=5 highest=5 "
		  "highest_cpu=1 highest_at_ns=3s",
		  FAIL,
		  "stuck: the clock of CPU 1 stood still for 5 looks in a row, until +3000 ms" },
		{ "stuck=true", "monitor looks=9; measure stuck windows=5 highest=5", INCO,
		  "stuck: cannot be told: whether the host ran its vCPUs cannot be told" },
		{ "stuck=true", "monitor looks=3 vcpu_time=thread; measure stuck highest=2", INCO,
		  "stuck: cannot be told: not measured 5 times in a row" },
		{ "stuck=true", "report a", INCO,
		  "stuck: cannot be told: nobody looked at the guest from outside" },
	};

	JUDGE(rows);
}

Test(checks_judge, without_a_report_nothing_is_said_quietly)
{
	static const struct row rows[] = {
		{ "gap=true", "monitor looks=9", SKIP,
		  "gap (at most 2000 ms): does not apply: there were no workers" },
		{ "not_stuck=true gap=false spread=false", "fail kernel_panic", INCO,
		  "not_stuck: cannot be told: no worker reported before the attempt ended "
		  "(kernel_panic)" },
		{ "min_page_locality=1", "fail guest_oom", INCO,
		  "min_page_locality (at least 1): cannot be told: no worker reported before the "
		  "attempt ended (guest_oom)" },
	};

	JUDGE(rows);
}

Test(checks_judge, nothing_is_judged_unless_asked_for)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_verdict said;

	cr_assert_eq(reported_judge("", "report a missing=lost", &arena, &said), PASS);
	cr_assert_eq(said.n, 0);
	cr_assert_eq(reported_judge("gap=false isolation=false", "report a missing=lost", &arena,
				    &said),
		     PASS);
	cr_assert_eq(said.n, 0);
}

/* not_stuck has its own word on it, and what is seen from outside needs no worker's. */
Test(checks_judge, a_missing_report_is_named_once)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_verdict said;

	reported_judge("not_stuck=true gap=false spread=false", "report a missing=lost", &arena,
		       &said);
	cr_assert_eq(said.n, 1, "%s", fixture_all(&arena, &said));
	cr_assert_eq(reported_judge("stuck=true",
				    "report a missing=lost; monitor looks=9 vcpu_time=thread; "
				    "measure stuck windows=1",
				    &arena, &said),
		     PASS, "%s", fixture_all(&arena, &said));
}

Test(checks_judge, details_carry_the_check_and_its_kind)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_verdict said;

	reported_judge("not_stuck=true spread=false", "report a wall_ns=1s", &arena, &said);
	cr_assert_str_eq(said.first->assertion, "not_stuck");
	cr_assert_eq(said.first->kind, KT_VERDICT_KIND_NO_PROGRESS);
	cr_assert_str_eq(said.last->assertion, "gap");
	cr_assert_eq(said.last->kind, KT_VERDICT_KIND_STUCK);
}

/* So many sentences, and so many names in one; the rest is counted. */
Test(checks_judge, what_is_said_has_a_limit)
{
	KT_AUTO_ARENA arena = { 0 };
	KT_AUTO_BUF text = { 0 };
	struct kt_verdict said;

	for (size_t i = 0; i < 8; i++)
		kt_buf_puts(&text, "report a wall_ns=9s;");
	kt_buf_puts(&text, "report a work_units=1");
	reported_judge("gap=true", kt_buf_text(&text), &arena, &said);
	cr_assert_eq(fixture_count(&said, FAIL), 8);
	cr_assert(fixture_says(&said, KT_VERDICT_NOTE, "holds for 1 worker: a/8: 0 ms"), "%s",
		  fixture_all(&arena, &said));
	cr_assert_eq(fixture_count(&said, KT_VERDICT_NOTE), 1);
	kt_buf_puts(&text, ";report a wall_ns=9s");
	reported_judge("gap=true", kt_buf_text(&text), &arena, &said);
	cr_assert_eq(fixture_count(&said, FAIL), 8);
	cr_assert(fixture_says(&said, KT_VERDICT_NOTE, "gap (at most 2000 ms): 1 more like these"));

	kt_buf_reset(&text);
	for (size_t i = 0; i < 8; i++)
		kt_buf_puts(&text, "report a missing=x;");
	reported_judge("gap=true", kt_buf_text(&text), &arena, &said);
	cr_assert(fixture_says(&said, INCO, "a/7: no report (x)"));
	cr_assert(!fixture_says(&said, INCO, " more"));
	kt_buf_puts(&text, "report a missing=x;report a missing=x");
	reported_judge("gap=true", kt_buf_text(&text), &arena, &said);
	cr_assert_eq(fixture_count(&said, INCO), 1);
	cr_assert(fixture_says(&said, INCO, "a/7: no report (x) and 2 more"), "%s",
		  fixture_all(&arena, &said));
}

/* ---- what holds whatever is measured ---- */

static uint64_t draw(uint64_t *state, uint64_t below)
{
	uint64_t z = (*state += 0x9e3779b97f4a7c15ull); /* splitmix64 */

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return (z ^ (z >> 31)) % below;
}

#define WORKERS_MAX 6

/* Few values each, so that equal ones, zeroes and limits that are just met come often. */
static size_t draw_reports(uint64_t *state, struct kt_msg_worker_report reports[WORKERS_MAX])
{
	static const char *const cgroups[] = { "a", "b" };
	static const char *const works[] = { "spin", "bursty" };
	static const char *const cpus[] = { "", "0", "0-1", "1-2" };
	static const char *const policies[] = { "", "bind" };
	size_t n = 1 + draw(state, WORKERS_MAX);

	for (size_t i = 0; i < n; i++) {
		kt_fieldtext_init(&kt_schema_worker_report, &reports[i]);
		reports[i].cgroup = cgroups[draw(state, 2)];
		reports[i].index = i;
		reports[i].work = works[draw(state, 4) == 0];
		reports[i].missing = draw(state, 12) == 0 ? "lost" : "";
		reports[i].work_units = draw(state, 5) * 10;
		reports[i].wall_ns = (int64_t)draw(state, 4) * KT_NS_PER_S;
		reports[i].cpu_ns = (int64_t)draw(state, 4) * KT_NS_PER_S;
		reports[i].gap_ns_max = (int64_t)draw(state, 4) * KT_NS_PER_S;
		reports[i].migrations = draw(state, 3);
		reports[i].pages = draw(state, 3) * 10;
		reports[i].pages_local = draw(state, 3) * 5;
		reports[i].pages_migrated = draw(state, 3);
		reports[i].mem_policy = policies[draw(state, 4) == 0];
		reports[i].cpus_used = cpus[draw(state, 4)];
		reports[i].cpus_allowed = cpus[draw(state, 4)];
	}
	return n;
}

static enum kt_verdict_outcome judge_one(enum kt_checks_id id, double limit,
					 struct kt_msg_worker_report *reports, size_t n)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_checks checks = { 0 };
	struct kt_msg_result result;
	struct kt_verdict said;

	kt_fieldtext_init(&kt_schema_result, &result);
	result.cause = "finished";
	result.reports = reports;
	result.n_reports = n;
	checks.of[id].state = KT_CHECKS_ON;
	checks.of[id].value = limit;
	kt_verdict_init(&said, &arena);
	kt_checks_judge(&checks, &result, &said);
	cr_assert_gt(said.n, 0, "%s says nothing", kt_checks_table[id].name);
	return kt_verdict_outcome(&said);
}

static void shuffle(uint64_t *state, struct kt_msg_worker_report *reports, size_t n)
{
	for (size_t i = n; i > 1; i--) {
		size_t j = draw(state, i);
		struct kt_msg_worker_report report = reports[i - 1];

		reports[i - 1] = reports[j];
		reports[j] = report;
	}
}

/* The order of reports says nothing; a wider limit makes nothing fail that held; what cannot be told stays so. */
Test(checks_judge, order_is_nothing_and_a_wider_limit_no_failure)
{
	static const double limits[] = { 0.05, 0.5, 1, 5, 15, 50, 1e9, 2e9 };
	uint64_t state = 1;
	size_t seen[KT_VERDICT_OUTCOME_N] = { 0 };

	for (size_t round = 0; round < 3000; round++) {
		enum kt_checks_id id = (enum kt_checks_id)draw(&state, KT_CHECKS_events_clean);
		bool at_least = kt_checks_table[id].limit == KT_CHECKS_AT_LEAST;
		double limit = limits[draw(&state, 8)];
		struct kt_msg_worker_report reports[WORKERS_MAX];
		size_t n = draw_reports(&state, reports);
		enum kt_verdict_outcome was = judge_one(id, limit, reports, n);
		enum kt_verdict_outcome wider;

		seen[was]++;
		shuffle(&state, reports, n);
		cr_assert_eq(judge_one(id, limit, reports, n), was, "%s in another order",
			     kt_checks_table[id].name);
		wider = judge_one(id, at_least ? limit / 2 : limit * 2, reports, n);
		cr_assert_leq(wider, was, "%s with a wider limit", kt_checks_table[id].name);
		cr_assert(was == FAIL || wider == was, "%s: what did not fail stays as it was",
			  kt_checks_table[id].name);
	}
	for (int outcome = SKIP; outcome < KT_VERDICT_OUTCOME_N; outcome++)
		cr_assert_gt(seen[outcome], 100, "%s was hardly seen: %zu",
			     kt_verdict_outcome_name((enum kt_verdict_outcome)outcome),
			     seen[outcome]);
}

/* ---- the document ---- */

/* Of each check one result per outcome that it can have; the first sentence stands in the document. */
static const struct shown {
	const char *checks;
	const char *pass;
	const char *fail;
	const char *inconclusive;
	const char *skip; /* NULL: it always applies */
} shown[] = {
	[KT_CHECKS_not_stuck] = { "not_stuck=true gap=false spread=false",
				  "report cg_0 work_units=90",
				  "report cg_0 work_units=90; report cg_0 wall_ns=10s",
				  "fail kernel_panic", "monitor looks=99" },
	[KT_CHECKS_gap] = { "gap='2s'", "report cg_0 work_units=90 gap_ns_max=30ms gap_at_ns=7s",
			    "report cg_0 work_units=90 gap_ns_max=2.3s gap_at_ns=5.1s gap_cpu=1",
			    "report cg_0 missing=killed", "monitor looks=99" },
	[KT_CHECKS_spread] = { "spread=15.0",
			       "report cg_0 wall_ns=10s cpu_ns=5s work=spin; report cg_0 "
			       "wall_ns=10s cpu_ns=4.2s work=spin",
			       "report cg_0 wall_ns=10s cpu_ns=9s work=spin; report cg_0 "
			       "wall_ns=10s cpu_ns=5s work=spin",
			       "report cg_0 wall_ns=10s work=spin; report cg_0 work=spin",
			       "report cg_0 wall_ns=10s work=spin; report cg_0 work=bursty" },
	[KT_CHECKS_isolation] = { "isolation=true", "report cg_0 cpus_used=0-1 cpus_allowed=0-1",
				  "report cg_0 cpus_used=0-2 cpus_allowed=0-1",
				  "report cg_0 cpus_allowed=0-1", "report cg_0 cpus_used=0-2" },
	[KT_CHECKS_max_throughput_cv] = { "max_throughput_cv=0.3", FAST "; " FAST, SLOW "; " FAST,
					  FAST "; report cg_0 work=spin", FAST },
	[KT_CHECKS_min_work_rate] = { "min_work_rate=100", FAST,
				      "report cg_0 work_units=99 cpu_ns=1s",
				      "report cg_0 work_units=99", "monitor looks=99" },
	[KT_CHECKS_max_p99_wake_latency] = { "max_p99_wake_latency='5ms'",
					     "report a; wakes a total=900 kept=900 p99_ns=80us",
					     "report a; wakes a total=900 kept=900 p99_ns=8.2ms",
					     "report a; wakes a total=0", "monitor looks=99" },
	[KT_CHECKS_max_wake_latency_cv] = { "max_wake_latency_cv=2.0",
					    "report a; wakes a total=9 kept=9 mean_ns=50us "
					    "stddev_ns=20us",
					    "report a; wakes a total=9 kept=9 mean_ns=50us "
					    "stddev_ns=200us",
					    "report a; wakes a total=9 kept=9",
					    "monitor looks=99" },
	[KT_CHECKS_min_iteration_rate] = { "min_iteration_rate=10",
					   "report cg_0 work_units=20 wall_ns=2s",
					   "report cg_0 work_units=19 wall_ns=2s",
					   "report cg_0 work_units=20", "monitor looks=99" },
	[KT_CHECKS_max_migration_ratio] = { "max_migration_ratio=0.1",
					    "report a work_units=90 migrations=2",
					    "report a work_units=9 migrations=2",
					    "report a migrations=2", "monitor looks=99" },
	[KT_CHECKS_min_page_locality] = { "min_page_locality=0.9",
					  "report a pages=100 pages_local=99",
					  "report a mem_policy=bind", "report a",
					  "report a; report b pages=9 pages_local=9" },
	[KT_CHECKS_max_cross_node_ratio] = { "max_cross_node_ratio=0.1",
					     "report a pages=100 pages_migrated=2",
					     "report a pages=100 pages_migrated=20",
					     "report a pages_migrated=2", "monitor looks=99" },
	[KT_CHECKS_events_clean] = { "events_clean=true",
				     "monitor looks=99 enabled=99; event insert_not_owned 0",
				     "monitor looks=99 enabled=99; event select_cpu_fallback 3",
				     "monitor looks=99 enabled=99", "monitor looks=99" },
	[KT_CHECKS_imbalance] = { "imbalance=true",
				  "monitor looks=99; measure imbalance windows=95 highest=6 "
				  "sustained=2 sustained_at_ns=1.5s",
				  "monitor looks=99; measure imbalance windows=95 highest=6 "
				  "sustained=5 sustained_at_ns=1.5s",
				  "monitor looks=99 invalid=99", NULL },
	[KT_CHECKS_dsq_depth] = { "dsq_depth=true",
				  "monitor looks=99 enabled=99; measure dsq_depth windows=95 "
				  "highest=90 sustained=3",
				  "monitor looks=99 enabled=99; measure dsq_depth windows=95 "
				  "highest=90 sustained=60",
				  "monitor looks=4 enabled=4; measure dsq_depth highest=90",
				  "monitor looks=99" },
	[KT_CHECKS_stuck] = { "stuck=true",
			      "monitor looks=99 vcpu_time=shared; measure stuck windows=95 "
			      "highest=4",
			      "monitor looks=99 vcpu_time=shared; measure stuck windows=95 "
			      "highest=7 highest_cpu=1 highest_at_ns=3s",
			      "monitor looks=99; measure stuck windows=95 highest=7", NULL },
	[KT_CHECKS_fallback] = { "fallback=true",
				 "monitor looks=99 enabled=99; measure fallback windows=95 "
				 "highest=900 sustained=3",
				 "monitor looks=99 enabled=99; measure fallback windows=95 "
				 "highest=900 sustained=300",
				 "monitor looks=99 enabled=99", "monitor looks=99" },
	[KT_CHECKS_keep_last] = { "keep_last=true",
				  "monitor looks=99 enabled=99; measure keep_last windows=95 "
				  "highest=900 sustained=3",
				  "monitor looks=99 enabled=99; measure keep_last windows=95 "
				  "highest=900 sustained=300",
				  "monitor looks=99 enabled=99", "monitor looks=99" },
};

static void print_outcome(const struct shown *row, const char *result, size_t id,
			  enum kt_verdict_outcome outcome, struct kt_buf *out)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_verdict said;
	const struct kt_verdict_detail *first;

	if (!result)
		return;
	kt_verdict_init(&said, &arena);
	/* One that holds for b may not apply to a: the outcome is that of its detail. */
	reported_judge(row->checks, result, &arena, &said);
	for (first = said.first; first && first->outcome != outcome;)
		first = first->next;
	cr_assert(first, "%s over %s:%s", row->checks, result, fixture_all(&arena, &said));
	cr_assert_str_eq(first->assertion, kt_checks_table[id].name);
	kt_buf_printf(out, "| %s | `%s` | %s |\n", kt_verdict_outcome_name(outcome), result,
		      first->text);
}

/* "gap='2s' spread=true" as it stands in a matrix. */
static void print_asked(const char *checks, struct kt_buf *out)
{
	kt_buf_puts(out, "    checks = { ");
	for (const char *c = checks; *c; c++)
		kt_buf_printf(out,
			      *c == '='    ? " = "
			      : *c == ' '  ? ", "
			      : *c == '\'' ? "\""
					   : "%c",
			      *c);
	kt_buf_puts(out, " }\n\n");
}

static void print_check(size_t id, struct kt_buf *out)
{
	const struct kt_checks_row *row = &kt_checks_table[id];

	kt_buf_printf(out, "\n### %s\n\n%s.\n\nIt takes ", row->name, row->sentence);
	kt_checks_print_written((enum kt_checks_id)id, out);
	kt_buf_printf(out, "; its details are of kind %s.\n\n", kt_verdict_kind_name(row->kind));
	print_asked(shown[id].checks, out);
	kt_buf_puts(out, "| outcome | what was measured | what is said |\n|---|---|---|\n");
	print_outcome(&shown[id], shown[id].pass, id, PASS, out);
	print_outcome(&shown[id], shown[id].fail, id, FAIL, out);
	print_outcome(&shown[id], shown[id].inconclusive, id, INCO, out);
	print_outcome(&shown[id], shown[id].skip, id, SKIP, out);
}

Test(checks_judge, the_document_of_checks_is_current)
{
	KT_AUTO_BUF text = { 0 };

	kt_buf_puts(&text,
		    "# What may be checked of workers and run queues\n\n"
		    "Made from `assertions/checks.def` by "
		    "`tests/unit/assertions/test_checks_judge.c`, which judges every "
		    "result\nbelow (`KT_KEEP=1` writes it anew); do not edit. `ktcoord patterns` "
		    "prints the same table.\n\n"
		    "    checks = { not_stuck = true, gap = \"3s\", spread = false, isolation = "
		    "true, max_p99_wake_latency = \"5ms\" }\n\n"
		    "stands in `[sweep]` or `[[scenario]]`. A check is off unless it is asked "
		    "for; of one that both name the\nscenario's word counts, and `false` switches "
		    "it off. `not_stuck` turns on `gap` and `spread` with their defaults.\n\n"
		    "A limit includes its value: `at most 2000 ms` fails at 2000.000001 ms. What "
		    "an instrument did not measure is\ninconclusive, never a quiet pass: a time "
		    "of zero to divide by, a worker without a report (which fails "
		    "`not_stuck`\nitself), a guest that nobody looked at. A zero that comes from "
		    "policy is a failure. What a check is not about is\nskipped: a group of one "
		    "worker, a cgroup without a cpuset, the kernel's own scheduler where "
		    "sched_ext is asked\nabout; and a cgroup without wake-ups or pages, as long "
		    "as another one has some.\n\n"
		    "A *group* is the workers of a cgroup that do the same: one group of the "
		    "scenario, started by one step, with one work\ntype. Only they are compared "
		    "with one another (`spread`, `max_throughput_cv`): a bursty worker and a "
		    "spinning one have\ndifferent shares of the CPU by nature.\n\n"
		    "All of it is judged from the attempt's result, so `ktcoord judge` can judge "
		    "it again with other limits. Below, what was\nmeasured is written as the "
		    "scripted runner takes it (worker/runner_scripted.h); fields are those of "
		    "`proto/job.def`.\n\n"
		    "## Checks\n");
	for (size_t id = 0; id < KT_CHECKS_N; id++)
		print_check(id, &text);
	kept_check("docs/checks.md", &text, "Whoever reads it would be misled.");
}
