#include "worker/guest/gstall.h"
#include "worker/guest/gtime.h"

#include "proto/job.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#define S KT_NS_PER_S

Test(gstall, only_who_is_runnable_and_never_runs_waits)
{
	static const struct {
		int64_t now_ns;
		struct kt_gstall_seen seen;
		int64_t waited_ns;
	} looks[] = {
		{ 1 * S, { .state = 'R', .run_ns = 5, .runs = 1 }, 0 }, /* it ran before */
		{ 2 * S, { .state = 'R', .run_ns = 5, .runs = 1 }, 0 }, /* runnable from here on */
		{ 3 * S, { .state = 'R', .run_ns = 5, .runs = 1 }, 1 * S },
		{ 9 * S, { .state = 'R', .run_ns = 5, .runs = 1 }, 7 * S },
		{ 10 * S, { .state = 'R', .run_ns = 6, .runs = 1 }, 0 }, /* on a CPU */
		{ 11 * S, { .state = 'R', .run_ns = 6, .runs = 1 }, 0 },
		{ 12 * S, { .state = 'R', .run_ns = 6, .runs = 1 }, 1 * S },
		{ 13 * S,
		  { .state = 'R', .run_ns = 6, .runs = 2 },
		  0 }, /* too short to be counted */
		{ 14 * S, { .state = 'S', .run_ns = 6, .runs = 2 }, 0 },
		{ 15 * S, { .state = 'S', .run_ns = 6, .runs = 2 }, 0 },
		{ 16 * S, { .state = 'R', .run_ns = 6, .runs = 2 }, 0 }, /* woken */
		{ 17 * S, { .state = 'R', .run_ns = 6, .runs = 2 }, 1 * S },
		{ 18 * S, { .state = 'R', .run_ns = 6, .runs = 2, .is_held = true }, 0 },
		{ 19 * S, { .state = 'R', .run_ns = 6, .runs = 2 }, 0 },
		{ 20 * S, { .state = 'T', .run_ns = 6, .runs = 2 }, 0 }, /* stopped */
		{ 21 * S, { .state = 'D', .run_ns = 6, .runs = 2 }, 0 },
		{ 22 * S, { .state = 'Z', .run_ns = 6, .runs = 2 }, 0 },
	};
	struct kt_gstall_watch watch = { 0 };

	for (size_t i = 0; i < sizeof(looks) / sizeof(looks[0]); i++)
		cr_assert_eq(kt_gstall_feed(&watch, &looks[i].seen, looks[i].now_ns),
			     looks[i].waited_ns, "look %zu", i);
}

/* sched_ext's watchdog speaks first, unless the scenario wants it otherwise. */
Test(gstall, the_limit_leaves_the_watchdog_its_time)
{
	struct kt_msg_scenario scenario = { .watchdog_ns = 3 * S };
	struct kt_gstall stall = { 0 };

	kt_gstall_begin(&stall, &scenario);
	cr_assert_gt(stall.limit_ns, kt_job_stall_ns(&scenario));
	cr_assert_gt(stall.kernels_limit_ns, 45 * S, "what no scheduler of sched_ext would get");
	scenario.stall_ns = 2 * S;
	kt_gstall_begin(&stall, &scenario);
	cr_assert_eq(stall.limit_ns, 2 * S);
	cr_assert_eq(stall.kernels_limit_ns, 2 * S);
	kt_gstall_end(&stall);
	cr_assert_eq(kt_gstall_due_ns(&stall), INT64_MAX);
}

static pid_t start(void (*does)(void))
{
	pid_t pid = fork();

	if (pid == 0) {
		does();
		_exit(0);
	}
	return pid;
}

static void spins(void)
{
	for (;;)
		;
}

static void sleeps(void)
{
	pause();
}

static void stops(void)
{
	raise(SIGSTOP);
}

enum { WORKERS = 6 };

struct stage {
	struct kt_msg_group group;
	struct kt_gcrew_worker workers[WORKERS];
	struct kt_gcrew crew;
	struct kt_gstage_crew stage_crew;
	struct kt_gstage stage;
};

static void fill(struct stage *stage)
{
	static void (*const kinds[])(void) = { spins, sleeps, stops };

	for (size_t i = 0; i < WORKERS; i++)
		stage->workers[i].pid = start(kinds[i % 3]);
	stage->group = (struct kt_msg_group){ .work = "spin" };
	stage->crew = (struct kt_gcrew){ .spec = { .cgroup = "", .group = &stage->group },
					 .workers = stage->workers,
					 .n_workers = WORKERS };
	stage->stage_crew = (struct kt_gstage_crew){ .crew = &stage->crew };
	stage->stage = (struct kt_gstage){ .crews = &stage->stage_crew };
}

static void end(const struct stage *stage)
{
	for (size_t i = 0; i < WORKERS; i++) {
		kill(stage->workers[i].pid, SIGKILL);
		waitpid(stage->workers[i].pid, NULL, 0);
	}
}

/* Busy, asleep, stopped: nobody is stalled, however often one looks. One has ended meanwhile. */
Test(gstall, nobody_is_blamed_on_a_machine_that_runs_everybody)
{
	struct kt_msg_scenario scenario = { .stall_ns = 2 * S };
	struct kt_gstall stall = { 0 };
	struct stage stage;
	int64_t until_ns;

	fill(&stage);
	kill(stage.workers[1].pid, SIGKILL);
	waitpid(stage.workers[1].pid, NULL, 0);
	kt_gstall_begin(&stall, &scenario);
	until_ns = kt_gtime_now_ns() + 3 * S;
	while (kt_gtime_now_ns() < until_ns) {
		cr_assert(!kt_gstall_step(&stall, &stage.stage, true, kt_gtime_now_ns()), "%s",
			  stall.line);
		usleep(20000);
	}
	cr_assert_gt(stall.observed_ns, 2 * S);
	kt_gstall_end(&stall);
	stage.workers[1].pid = start(sleeps);
	end(&stage);
}

/* A host that stands still for a minute is nobody's stall: time in which we did not look does not count. */
Test(gstall, time_that_nobody_had_does_not_count)
{
	struct kt_msg_scenario scenario = { .stall_ns = 2 * S };
	struct kt_gstall stall = { 0 };
	struct stage stage;

	fill(&stage);
	kt_gstall_begin(&stall, &scenario);
	cr_assert(!kt_gstall_step(&stall, &stage.stage, true, 1 * S));
	cr_assert(!kt_gstall_step(&stall, &stage.stage, true, 61 * S));
	cr_assert_lt(stall.observed_ns, 1 * S);
	cr_assert(!kt_gstall_step(&stall, &stage.stage, true, 61 * S + 1), "not due yet");
	kt_gstall_end(&stall);
	end(&stage);
}
