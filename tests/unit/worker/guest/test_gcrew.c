/* Real processes on this machine: everything but the move into a cgroup, which real guests prove. */
#include "tests/unit/worker/guest/crewed.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

static struct crewed crewed;

static void teardown(void)
{
	crewed_end(&crewed);
}

static void gather(const struct kt_msg_group *group, uint32_t workers,
		   const struct kt_cpuset *affinity)
{
	const struct kt_gcrew_spec spec = {
		.cgroup = "",
		.group = group,
		.workers = workers,
		.first = 3,
		.number = 2,
		.step = 1,
		.affinity = affinity,
	};
	struct kt_err err = { 0 };

	cr_assert_eq(crewed_gather(&crewed, &spec, &err), 0, "%s", err.text);
}

/* The kernel's own word: 'S' sleeps, 'Z' is dead; 0: there is none. */
static char state_of(pid_t pid)
{
	char path[64];
	char state = 0;
	FILE *file;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	file = fopen(path, "r");
	if (!file)
		return 0;
	if (fscanf(file, "%*d %*s %c", &state) != 1)
		state = 0;
	fclose(file);
	return state;
}

static bool is_running(pid_t pid)
{
	char state = state_of(pid);

	return state && state != 'Z';
}

static int oom_score_of(pid_t pid)
{
	char path[64];
	FILE *file;
	int score = -1;

	snprintf(path, sizeof(path), "/proc/%d/oom_score_adj", (int)pid);
	file = fopen(path, "r");
	cr_assert(file, "%s", path);
	cr_assert_eq(fscanf(file, "%d", &score), 1);
	fclose(file);
	return score;
}

/* PID 1 may not be killed when memory runs out, and a fork inherits that. Here: the other way round, which needs no
 * right.
 */
Test(gcrew, workers_are_killed_as_others_are_when_memory_runs_out, .fini = teardown)
{
	const struct kt_msg_group group = crewed_group("spin");
	FILE *file = fopen("/proc/self/oom_score_adj", "w");

	cr_assert(file);
	cr_assert_gt(fprintf(file, "300"), 0);
	cr_assert_eq(fclose(file), 0);
	gather(&group, 2, NULL);
	for (size_t i = 0; i < 2; i++)
		cr_expect_eq(oom_score_of(crewed.crew->workers[i].pid), 0);
}

static size_t count_fds(pid_t pid)
{
	char path[64];
	struct dirent *entry;
	size_t n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/proc/%d/fd", (int)pid);
	dir = opendir(path);
	cr_assert(dir);
	while ((entry = readdir(dir)))
		n += entry->d_name[0] != '.' && strtol(entry->d_name, NULL, 10) > STDERR_FILENO;
	closedir(dir);
	return n;
}

/* A copy would keep open what PID 1 closes. */
Test(gcrew, workers_have_no_files_but_their_own, .fini = teardown)
{
	static const struct {
		const char *work;
		size_t n_fds; /* ready_fd, and both ends of each pipe */
	} cases[] = { { "spin", 1 }, { "pipe", 5 } };

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct kt_msg_group group = crewed_group(cases[i].work);
		int low = dup(STDOUT_FILENO);
		int high = fcntl(STDOUT_FILENO, F_DUPFD, 100);

		gather(&group, 2, NULL);
		for (size_t w = 0; w < 2; w++)
			cr_expect_eq(count_fds(crewed.crew->workers[w].pid), cases[i].n_fds, "%s",
				     cases[i].work);
		crewed_go(&crewed);
		usleep(20000);
		crewed_stop(&crewed);
		cr_expect_gt(crewed.reports[0].work_units, 0, "%s works", cases[i].work);
		crewed_end(&crewed);
		crewed = (struct crewed){ 0 };
		close(low);
		close(high);
	}
}

Test(gcrew, nobody_works_before_the_gate_opens, .fini = teardown)
{
	const struct kt_msg_group group = crewed_group("spin");
	struct timespec used;
	clockid_t clock;

	gather(&group, 3, NULL);
	usleep(30000);
	for (size_t i = 0; i < 3; i++) {
		pid_t pid = crewed.crew->workers[i].pid;

		cr_expect_eq(state_of(pid), 'S', "worker %zu", i);
		cr_assert_eq(clock_getcpuclockid(pid, &clock), 0);
		cr_assert_eq(clock_gettime(clock, &used), 0);
		cr_expect_lt(used.tv_sec * KT_NS_PER_S + used.tv_nsec, 20 * KT_NS_PER_MS);
	}
	crewed_go(&crewed);
	usleep(100000);
	crewed_stop(&crewed);
	cr_expect_eq(crewed.n_missing, 0);
	for (size_t i = 0; i < 3; i++) {
		const struct kt_msg_worker_report *report = &crewed.reports[i];

		cr_expect_str_eq(report->missing, "");
		cr_expect_str_eq(report->work, "spin");
		cr_expect_eq(report->index, 3 + i);
		cr_expect_eq(report->group, 2);
		cr_expect_eq(report->step, 1);
		cr_expect_gt(report->work_units, 0);
		cr_expect_geq(report->wall_ns, 90 * KT_NS_PER_MS);
		cr_expect_gt(report->cpu_ns, 0);
		cr_expect_leq(report->cpu_ns, report->wall_ns + KT_NS_PER_MS);
	}
}

Test(gcrew, a_report_that_never_comes_says_why, .fini = teardown)
{
	const struct kt_msg_group group = crewed_group("spin");

	gather(&group, 3, NULL);
	crewed_go(&crewed);
	kill(crewed.crew->workers[1].pid, SIGSEGV);
	usleep(50000);
	crewed_stop(&crewed);
	cr_expect_eq(crewed.n_missing, 1);
	cr_expect_str_eq(crewed.reports[0].missing, "");
	cr_expect_str_eq(crewed.reports[1].missing,
			 "it was ended by signal 11 (Segmentation fault)");
	cr_expect_eq(crewed.reports[1].work_units, 0);
	cr_expect_str_eq(crewed.reports[2].missing, "");
}

Test(gcrew, one_that_is_still_there_is_killed_and_missing, .fini = teardown)
{
	const struct kt_msg_group group = crewed_group("spin");

	gather(&group, 1, NULL);
	crewed_go(&crewed);
	kill(crewed.crew->workers[0].pid, SIGSTOP);
	kt_gcrew_stop(crewed.crew);
	usleep(50000);
	crewed_reap(&crewed);
	cr_assert_eq(kt_gcrew_alive(crewed.crew), 1);
	cr_expect_eq(kt_gcrew_report(crewed.crew, 0, &crewed.arena, crewed.reports), 1);
	cr_expect_str_eq(crewed.reports[0].missing, "it did not stop in time and was killed");
}

Test(gcrew, a_worker_that_dies_at_the_gate_is_trouble, .fini = teardown)
{
	const struct kt_msg_group group = crewed_group("spin");
	struct kt_err err = { 0 };

	gather(&group, 2, NULL);
	kill(crewed.crew->workers[1].pid, SIGKILL);
	for (int i = 0; i < 1000 && kt_gcrew_alive(crewed.crew) == 2; i++) {
		crewed_reap(&crewed);
		usleep(1000);
	}
	cr_expect_eq(kt_gcrew_trouble(crewed.crew, &err), -ESRCH);
	cr_expect_str_eq(err.text, ": worker 4 did not come to the gate: it was ended by signal 9 "
				   "(Killed)");
}

Test(gcrew, workers_do_not_outlive_the_one_who_forked_them)
{
	struct kt_msg_group group = crewed_group("spin");
	pid_t pids[2];
	int told[2];
	pid_t parent;

	group.uid = geteuid() == 0 ? 65534 : 0;
	cr_assert_eq(pipe(told), 0);
	parent = fork();
	if (parent == 0) {
		gather(&group, 2, NULL);
		crewed_go(&crewed);
		for (int i = 0; i < 2; i++)
			pids[i] = crewed.crew->workers[i].pid;
		_exit(write(told[1], pids, sizeof(pids)) != sizeof(pids));
	}
	cr_assert_eq(read(told[0], pids, sizeof(pids)), sizeof(pids));
	cr_assert_eq(waitpid(parent, NULL, 0), parent);
	for (int i = 0; i < 2; i++) {
		int tries = 0;

		while (is_running(pids[i]) && ++tries < 1000)
			usleep(1000);
		cr_expect(!is_running(pids[i]), "worker %d", i);
	}
}

/* One that could not begin, and is let through the gate all the same when its crew is stopped. */
Test(gcrew, who_is_not_fit_ends_at_the_gate, .fini = teardown)
{
	const struct kt_msg_group group = crewed_group("sequence"); /* without phases */
	const struct kt_gcrew_spec spec = { .cgroup = "", .group = &group, .workers = 2 };
	struct kt_err err = { 0 };

	cr_assert_eq(crewed_gather(&crewed, &spec, &err), -EINVAL);
	crewed_go(&crewed);
	crewed_stop(&crewed);
	cr_expect_eq(crewed.n_missing, 2);
	cr_expect_str_eq(crewed.reports[0].missing, "it ended with status 1");
}

/* What the group asks for is what the kernel says of the process, while it waits at the gate. */
Test(gcrew, workers_settle_before_they_work)
{
	static const struct {
		struct kt_msg_group group;
		int policy;
		int priority;
		int nice;
	} cases[] = {
		{ { .policy = "" }, SCHED_OTHER, 0, 0 },
		{ { .policy = "normal", .nice = 7 }, SCHED_OTHER, 0, 7 },
		{ { .policy = "batch", .nice = 3 }, SCHED_BATCH, 0, 3 },
		{ { .policy = "idle" }, SCHED_IDLE, 0, 0 },
		{ { .policy = "fifo", .priority = 2 }, SCHED_FIFO, 2, 0 },
		{ { .policy = "rr", .priority = 3, .nice = 4 }, SCHED_RR, 3, 0 },
		{ { .policy = "deadline",
		    .runtime_ns = 1000000,
		    .deadline_ns = 50000000,
		    .period_ns = 50000000 },
		  6,
		  0,
		  0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct kt_gcrew_spec spec = { .cgroup = "", .workers = 1 };
		struct kt_msg_group group = cases[i].group;
		struct kt_err err = { 0 };
		struct sched_param param;
		pid_t pid;

		group.work = "spin";
		group.mem_policy = group.mem_nodes = "";
		spec.group = &group;
		if (crewed_gather(&crewed, &spec, &err) == -EPERM) {
			fprintf(stderr, "policy %s not tested: %s\n", group.policy, err.text);
			crewed_end(&crewed);
			continue;
		}
		cr_assert_eq(err.code, 0, "%s", err.text);
		pid = crewed.crew->workers[0].pid;
		cr_expect_eq(sched_getscheduler(pid) & ~SCHED_RESET_ON_FORK, cases[i].policy, "%s",
			     group.policy);
		cr_expect_eq(sched_getparam(pid, &param), 0);
		cr_expect_eq(param.sched_priority, cases[i].priority, "%s", group.policy);
		cr_expect_eq(getpriority(PRIO_PROCESS, (id_t)pid), cases[i].nice, "%s",
			     group.policy);
		crewed_end(&crewed);
	}
}

Test(gcrew, affinity_user_and_memory_policy_are_the_kernels_too, .fini = teardown)
{
	struct kt_msg_group group = crewed_group("spin");
	struct kt_cpuset affinity = { .words = { 1 } };
	char path[64];
	char line[256] = "";
	cpu_set_t cpus;
	unsigned int uid = 0;
	unsigned int gid = 0;
	FILE *file;
	pid_t pid;

	if (geteuid() != 0)
		cr_skip_test("another user can only be become by root");
	group.uid = 65534;
	group.gid = 65533;
	group.mem_policy = "bind";
	group.mem_nodes = "0";
	gather(&group, 1, &affinity);
	affinity = (struct kt_cpuset){ 0 }; /* the crew has its own copy */
	pid = crewed.crew->workers[0].pid;
	cr_expect_eq(sched_getaffinity(pid, sizeof(cpus), &cpus), 0);
	cr_expect_eq(CPU_COUNT(&cpus), 1);
	cr_expect(CPU_ISSET(0, &cpus));
	snprintf(path, sizeof(path), "/proc/%d/status", (int)pid);
	file = fopen(path, "r");
	cr_assert_not_null(file);
	while (fgets(line, sizeof(line), file)) {
		if (sscanf(line, "Uid: %u", &uid) != 1)
			sscanf(line, "Gid: %u", &gid);
	}
	fclose(file);
	cr_expect_eq(uid, 65534);
	cr_expect_eq(gid, 65533);
	snprintf(path, sizeof(path), "/proc/%d/numa_maps", (int)pid);
	file = fopen(path, "r");
	if (!file)
		return; /* a kernel without NUMA */
	cr_expect_not_null(fgets(line, sizeof(line), file));
	cr_expect(strstr(line, " bind:0"), "%s", line);
	fclose(file);
}

Test(gcrew, what_a_worker_cannot_be_comes_back_as_a_sentence)
{
	static const struct kt_cpuset nowhere = { .words = { 0, 0, 0, 1ull << 62 } };
	static const struct {
		struct kt_msg_group group;
		const struct kt_cpuset *affinity;
		int code;
		const char *sentence;
	} cases[] = {
		{ { .work = "juggle", .policy = "" },
		  NULL,
		  EINVAL,
		  "there is no work type juggle" },
		{ { .work = "spin", .policy = "fair" }, NULL, EINVAL, "there is no policy fair" },
		{ { .work = "spin",
		    .policy = "deadline",
		    .runtime_ns = 2000000,
		    .deadline_ns = 1000000,
		    .period_ns = 1000000 },
		  NULL,
		  EINVAL,
		  "the kernel refused policy deadline (nice 0, priority 0): Invalid argument" },
		{ { .work = "spin", .policy = "fifo" },
		  NULL,
		  EINVAL,
		  "the kernel refused policy fifo (nice 0, priority 0): Invalid argument" },
		{ { .work = "spin", .policy = "" },
		  &nowhere,
		  EINVAL,
		  "the kernel refused affinity to CPUs 254: Invalid argument" },
		{ { .work = "spin", .policy = "", .mem_policy = "bind", .mem_nodes = "63" },
		  NULL,
		  EINVAL,
		  "the kernel refused memory policy bind on nodes 63: Invalid argument" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct kt_gcrew_spec spec = { .cgroup = "", .workers = 2 };
		struct kt_msg_group group = cases[i].group;
		struct kt_err err = { 0 };

		if (!group.mem_policy)
			group.mem_policy = group.mem_nodes = "";
		spec.group = &group;
		spec.affinity = cases[i].affinity;
		cr_expect_eq(crewed_gather(&crewed, &spec, &err), -cases[i].code, "%s",
			     cases[i].sentence);
		cr_expect(strstr(err.text, cases[i].sentence), "%s", err.text);
		crewed_end(&crewed);
	}
}
