/* Work types that work on memory: how much of it, how they go through it, what it costs. */
#include "tests/unit/worker/guest/watched.h"

static struct watched watched;

/* Every page of what they were given was written to by the end; numa_maps counts only such pages. */
Test(memory, all_of_it_is_used)
{
	static const struct {
		const char *work;
		const char *params;
		uint32_t workers;
		uint32_t worker; /* whose pages */
		uint64_t pages;
	} cases[] = {
		{ "cache_pressure", "bytes=131072", 1, 0, 32 },
		{ "cache_pressure", "bytes=1048576 stride=4096", 1, 0, 256 },
		{ "cache_pressure", "bytes=4194304", 1, 0, 1024 }, /* more than a round */
		{ "cache_yield", "bytes=131072", 1, 0, 32 },
		{ "cache_yield", "bytes=4194304", 1, 0, 1024 },
		{ "cache_pipe", "bytes=131072", 2, 0, 32 },
		{ "cache_pipe", "bytes=131072", 2, 1, 32 },
		{ "cache_pipe", "bytes=1048576", 2, 1, 256 },
		{ "fan_out_compute", "fan_out=2 bytes=131072", 3, 1, 32 },
		{ "fan_out_compute", "fan_out=2 bytes=131072", 3, 2, 32 },
		{ "numa_sweep", "bytes=131072", 1, 0, 32 },
		{ "page_fault", "bytes=65536", 1, 0, 16 }, /* a quarter of a round */
		{ "io_sync", "bytes=65536", 1, 0, 0 }, /* read only: no page of its own */
	};

	if (access(KT_GMETER_NUMA_MAPS, R_OK) < 0)
		cr_skip_test("a kernel without NUMA");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct watched_case what = { .work = cases[i].work,
						   .params = cases[i].params,
						   .workers = cases[i].workers,
						   .ms = 100,
						   .units = 12 };
		const struct kt_msg_worker_report *report;

		watched_run(&watched, &what);
		report = &watched.reports[cases[i].worker];
		cr_expect_eq(report->pages, cases[i].pages, "%s: %" PRIu64 " pages", cases[i].work,
			     report->pages);
		cr_expect_eq(report->pages_local, report->pages, "%s", cases[i].work);
		watched_end(&watched);
	}
}

/* The same steps through more memory than the caches have cost more; through one line less. */
Test(memory, the_further_apart_the_dearer)
{
	static const struct {
		const char *work;
		const char *near;
		const char *far;
	} cases[] = {
		{ "cache_pressure", "bytes=4096 stride=8", "bytes=67108864 stride=4096" },
		{ "cache_yield", "bytes=4096 stride=8", "bytes=67108864 stride=4096" },
		{ "cache_pipe", "bytes=4096 stride=8", "bytes=67108864 stride=4096" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *const params[] = { cases[i].near, cases[i].far };
		double cost[2];

		for (int k = 0; k < 2; k++) {
			const struct watched_case what = {
				.work = cases[i].work, .params = params[k], .workers = 2, .ms = 250
			};

			watched_run(&watched, &what);
			cost[k] = (double)watched.reports[0].cpu_ns /
				  (double)watched.reports[0].work_units;
			watched_end(&watched);
		}
		cr_expect_lt(cost[0] * 2, cost[1], "%s: %.0f ns, far apart %.0f", cases[i].work,
			     cost[0], cost[1]);
	}
}

Test(memory, page_fault_faults_on_every_page_of_every_round)
{
	static const char *const params[] = { "bytes=65536", "bytes=1048576 run=100us" };

	for (int i = 0; i < 2; i++) {
		const struct watched_case what = {
			.work = "page_fault", .params = params[i], .workers = 1, .ms = 100
		};
		uint64_t pages;

		watched_run(&watched, &what);
		pages = watched.reports[0].work_units * 64;
		/* counted a little before it stopped */
		cr_expect_geq(watched.workers[0].faults * 10, pages * 8,
			      "%s: %" PRIu64 " faults on %" PRIu64 " pages", params[i],
			      watched.workers[0].faults, pages);
		cr_expect_leq(watched.workers[0].faults, pages + 200, "%s", params[i]);
		watched_end(&watched);
	}
}
