/* Work types that change what they are to the scheduler: nice value, affinity, policy, cgroup, phase. Each is looked at
 * between its rounds, in this process.
 */
#include "tests/unit/worker/guest/rounds.h"
#include "tests/unit/worker/guest/watched.h"

#include <sched.h>
#include <sys/resource.h>

static struct watched watched;
static struct rounds rounds;
static const struct kt_msg_group normal = { .policy = "", .mem_policy = "", .mem_nodes = "" };

static void teardown(void)
{
	watched_end(&watched);
}

/* False, and said, where this machine does not let it. */
static bool can_begin(const char *work, const struct kt_msg_param *params, size_t n)
{
	struct kt_err err = { 0 };
	int status = rounds_begin(&rounds, work, params, n, &normal, &err);

	if (status == -EPERM || status == -EACCES || status == -EROFS) {
		fprintf(stderr, "%s is not tested: %s\n", work, err.text);
		return false;
	}
	cr_assert_eq(status, 0, "%s", err.text);
	return true;
}

Test(churn, nice_sweep_goes_through_its_values_in_order)
{
	static const struct {
		int from;
		int to;
	} cases[] = { { -20, 19 }, { 3, 7 }, { 5, 5 } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct kt_msg_param params[] = { { .name = "from", .value = cases[i].from },
						       { .name = "to", .value = cases[i].to },
						       { .name = "run", .value = 0 } };

		if (!can_begin("nice_sweep", params, 3))
			continue;
		for (int twice = 0; twice < 2; twice++)
			for (int nice = cases[i].from; nice <= cases[i].to; nice++) {
				cr_assert_eq(rounds_next(&rounds), 1);
				cr_assert_eq(getpriority(PRIO_PROCESS, 0), nice);
			}
		rounds_end(&rounds);
		cr_expect_eq(getpriority(PRIO_PROCESS, 0), 0, "as it came");
	}
}

Test(churn, nice_sweep_that_ends_before_it_begins_is_refused)
{
	const struct kt_msg_param params[] = { { .name = "from", .value = 9 },
					       { .name = "to", .value = 8 } };
	struct kt_err err = { 0 };

	cr_expect_eq(rounds_begin(&rounds, "nice_sweep", params, 2, &normal, &err), -EINVAL);
	cr_expect_str_eq(err.text, "from 9 is more than to 8");
}

Test(churn, affinity_churn_is_tied_to_another_cpu_after_each_round)
{
	const struct kt_msg_param params[] = { { .name = "run", .value = 0 } };
	cpu_set_t before;
	cpu_set_t now;
	int cpu = -1;
	uint64_t n_seen[CPU_SETSIZE] = { 0 };

	cr_assert_eq(sched_getaffinity(0, sizeof(before), &before), 0);
	cr_assert(can_begin("affinity_churn", params, 1));
	for (int i = 0; i < 200; i++) {
		int last = cpu;

		cr_assert_eq(rounds_next(&rounds), 1);
		cr_assert_eq(sched_getaffinity(0, sizeof(now), &now), 0);
		cr_assert_eq(CPU_COUNT(&now), 1);
		for (cpu = 0; !CPU_ISSET(cpu, &now);)
			cpu++;
		cr_assert(CPU_ISSET(cpu, &before));
		cr_assert(cpu != last || CPU_COUNT(&before) == 1, "twice on CPU %d", cpu);
		n_seen[cpu]++;
	}
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++)
		cr_expect(!CPU_ISSET(cpu, &before) || n_seen[cpu], "never on CPU %d", cpu);
	rounds_end(&rounds);
	cr_assert_eq(sched_getaffinity(0, sizeof(now), &now), 0);
	cr_expect(CPU_EQUAL(&now, &before), "as it came");
}

Test(churn, policy_churn_goes_through_the_policies)
{
	static const int with_realtime[] = { SCHED_BATCH, SCHED_IDLE, SCHED_FIFO, SCHED_RR,
					     SCHED_OTHER };
	static const int without[] = { SCHED_BATCH, SCHED_IDLE, SCHED_OTHER };

	for (int realtime = 0; realtime < 2; realtime++) {
		const struct kt_msg_param params[] = { { .name = "realtime", .value = realtime },
						       { .name = "run", .value = 0 } };
		const int *wanted = realtime ? with_realtime : without;
		size_t n = realtime ? 5 : 3;

		if (!can_begin("policy_churn", params, 2))
			continue;
		for (size_t i = 0; i < 3 * n; i++) {
			cr_assert_eq(rounds_next(&rounds), 1);
			cr_assert_eq(sched_getscheduler(0), wanted[i % n], "round %zu", i);
		}
		cr_assert_eq(rounds_next(&rounds), 1);
		rounds_end(&rounds);
		cr_expect_eq(sched_getscheduler(0), SCHED_OTHER, "as it came");
	}
}

/* ---- cgroup ---- */

/* The line of cgroup2 in /proc/self/cgroup. */
static void read_cgroup(char line[512])
{
	FILE *in = fopen("/proc/self/cgroup", "r");

	while (in && fgets(line, 512, in) && strncmp(line, "0::", 3) != 0)
		;
	if (in)
		fclose(in);
	line[strcspn(line, "\n")] = 0;
}

/* Where cgroup2 is mounted, or NULL. */
static const char *mount_of_cgroups(void)
{
	if (access("/sys/fs/cgroup/cgroup.procs", F_OK) == 0)
		return "/sys/fs/cgroup";
	if (access("/sys/fs/cgroup/unified/cgroup.procs", F_OK) == 0)
		return "/sys/fs/cgroup/unified";
	return NULL;
}

Test(churn, cgroup_churn_is_in_one_cgroup_after_the_other_and_leaves_none)
{
	const struct kt_msg_param params[] = { { .name = "cgroups", .value = 3 },
					       { .name = "run", .value = 0 } };
	char seen[8][512] = { "" };
	char path[1200];

	if (!mount_of_cgroups())
		cr_skip_test("no cgroup2");
	read_cgroup(seen[0]);
	if (!can_begin("cgroup_churn", params, 2))
		return;
	for (int i = 1; i < 8; i++) {
		cr_assert_eq(rounds_next(&rounds), 1);
		read_cgroup(seen[i]);
		for (int k = i > 3 ? i - 3 : 0; k < i; k++)
			cr_expect_str_neq(seen[i], seen[k], "rounds %d and %d", k, i);
	}
	for (int i = 4; i < 8; i++)
		cr_expect_str_eq(seen[i], seen[i - 4]);
	cr_expect_eq(strncmp(seen[1], seen[0], strlen(seen[0])), 0, "%s is not below %s", seen[1],
		     seen[0]);
	rounds_end(&rounds);
	read_cgroup(seen[7]);
	cr_expect_str_eq(seen[7], seen[0], "as it came");
	for (int i = 1; i < 4; i++) {
		snprintf(path, sizeof(path), "%s%s", mount_of_cgroups(), seen[i] + 3);
		cr_expect_lt(access(path, F_OK), 0, "%s is left", path);
	}
}

/* run is CPU time under each. */
Test(churn, each_state_lasts_as_long_as_it_was_told_to)
{
	static const struct {
		const char *work;
		const char *params;
	} cases[] = {
		{ "nice_sweep", "run=300us from=0" },
		{ "affinity_churn", "run=300us" },
		{ "policy_churn", "run=300us realtime=0" },
		{ "cgroup_churn", "run=300us" },
		{ "numa_sweep", "run=300us" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct watched_case what = { .work = cases[i].work,
						   .params = cases[i].params,
						   .workers = 1,
						   .ms = 50,
						   .units = 6 };

		if (watched_run(&watched, &what))
			cr_expect_geq((double)watched.reports[0].cpu_ns,
				      (double)(watched.reports[0].work_units - 1) * 290000, "%s",
				      cases[i].work);
		watched_end(&watched);
	}
}

/* ---- phases ---- */

static struct kt_msg_param phase_params[] = {
	{ .name = "from", .value = 5 },
	{ .name = "to", .value = 9 },
	{ .name = "run", .value = 200000 },
};
static struct kt_msg_phase_of_work phases[] = {
	{ .work = "nice_sweep",
	  .params = phase_params,
	  .n_params = 3,
	  .duration_ns = 30 * KT_NS_PER_MS },
	{ .work = "timer_latency", .duration_ns = 50 * KT_NS_PER_MS },
};

static int times_nice[40]; /* by nice value + 20 */

static void see_nice(struct watched *now)
{
	times_nice[getpriority(PRIO_PROCESS, (id_t)watched_pid(now, 0)) + 20]++;
}

Test(churn, a_sequence_does_its_phases_in_turn_and_leaves_each_as_it_came, .fini = teardown)
{
	const struct kt_msg_group group = {
		.policy = "", .mem_policy = "", .mem_nodes = "", .phases = phases, .n_phases = 2
	};
	const struct watched_case what = {
		.work = "sequence", .workers = 1, .ms = 480, .look = see_nice, .group = &group
	};
	const struct kt_msg_worker_report *report = &watched.crewed.reports[0];
	int n_swept = 0;
	int n_other = 0;

	memset(times_nice, 0, sizeof(times_nice));
	if (!watched_run(&watched, &what))
		return;
	for (int nice = -20; nice < 20; nice++) {
		bool is_swept = nice >= 5 && nice <= 9;

		n_swept += is_swept ? times_nice[nice + 20] : 0;
		n_other += !is_swept && nice != 0 ? times_nice[nice + 20] : 0;
	}
	cr_expect_gt(n_swept, 0);
	cr_expect_gt(times_nice[20], 0); /* nice 0, in the other phase */
	cr_expect_eq(n_other, 0);
	/* six rounds of 50 ms by a timer of 1 ms, on a machine that may be busy */
	cr_expect_geq(report->wakes, 20);
	cr_expect_leq(report->wakes, 400);
}

Test(churn, a_sequence_of_what_cannot_be_is_refused_before_anything_runs)
{
	static struct kt_msg_phase_of_work bad[] = {
		{ .work = "spin", .duration_ns = 1000000 },
		{ .work = "pipe", .duration_ns = 1000000 },
	};
	const struct kt_msg_group group = {
		.policy = "", .mem_policy = "", .mem_nodes = "", .phases = bad, .n_phases = 2
	};
	const struct watched_case what = { .work = "sequence", .workers = 1, .group = &group };
	struct kt_err err = { 0 };

	cr_expect_eq(watched_gather(&watched, &what, &err), -EINVAL);
	cr_expect(strstr(err.text, "sequence cannot begin: phase 2, pipe: pipe is nothing that a "
				   "worker does alone"),
		  "%s", err.text);
	watched_end(&watched);
}
