/* Real workers, in folders that look like cgroups: their files are there before, and keep what is written. */
#include "worker/guest/gcgroup.h"
#include "worker/guest/gstage.h"
#include "worker/guest/gtime.h"
#include "worker/guest/sysfile.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_NS (10 * KT_NS_PER_S)

static char folder[] = "/tmp/test_gstage_XXXXXX";
static char root[64];
static struct kt_gstage stage;
static struct kt_arena arena;
static struct kt_buf text;
static struct kt_err err;

static const char *const files[] = { "cgroup.procs", "cgroup.subtree_control", "cgroup.freeze",
				     "cpuset.cpus",  "cpuset.cpus.effective",  "cgroup.kill",
				     "cpu.weight",   "cgroup.controllers" };

static void put(const char *cgroup, const char *file, const char *what)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s/%s", root, cgroup, file);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	cr_assert_geq(fd, 0, "%s", path);
	cr_assert_eq(write(fd, what, strlen(what)), (ssize_t)strlen(what));
	close(fd);
}

static const char *got(const char *cgroup, const char *file)
{
	static char what[256];
	char path[256];

	snprintf(path, sizeof(path), "%s/%s/%s", root, cgroup, file);
	cr_assert_geq(kt_sysfile_read(path, what, sizeof(what)), 0, "%s", path);
	return what;
}

static void lay_out(const char *cgroup)
{
	cr_assert_eq(kt_gcgroup_make(cgroup, &err), 0);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
		put(cgroup, files[i], "");
	put(cgroup, "cpuset.cpus.effective", "0-2\n");
}

/* A folder with files in it cannot be removed; a cgroup can. */
static void clear(const char *cgroup)
{
	char path[256];

	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "%s/%s/%s", root, cgroup, files[i]);
		unlink(path);
	}
}

static bool is_there(const char *cgroup)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", root, cgroup);
	return access(path, F_OK) == 0;
}

static void begin(const struct kt_msg_scenario *scenario)
{
	struct kt_cpuset_machine machine = { .n_cpus = 4, .n_llcs = 2, .n_nodes = 1 };
	struct kt_msg_guest_run run = { .scenario = (struct kt_msg_scenario *)scenario };

	machine.llc_of[2] = machine.llc_of[3] = 1;
	cr_assert_not_null(mkdtemp(folder));
	snprintf(root, sizeof(root), "%s/kt", folder);
	cr_assert_eq(kt_gcgroup_init(root, &err), 0, "%s", err.text);
	kt_gstage_init(&stage);
	cr_assert_eq(kt_gstage_open(&stage, &arena, &machine, &run, &err), 0);
}

static void setup(void)
{
	static const struct kt_msg_scenario nothing = { .name = "" };

	begin(&nothing);
}

static void teardown(void)
{
	char command[128];

	kt_gstage_close(&stage);
	while (wait(NULL) > 0)
		;
	free(stage.reports);
	kt_buf_destroy(&text);
	kt_arena_destroy(&arena);
	snprintf(command, sizeof(command), "rm -rf %s", folder);
	cr_assert_eq(system(command), 0);
}

static struct kt_msg_group spin(uint64_t workers)
{
	return (struct kt_msg_group){
		.workers = workers, .work = "spin", .policy = "", .mem_policy = "", .mem_nodes = ""
	};
}

static int make(const char *name, size_t workers, size_t owner)
{
	struct kt_msg_group group = spin(workers);
	/* groups must live as long as their crews */
	struct kt_msg_group *groups = kt_arena_copy(&arena, &group, sizeof(group));
	struct kt_msg_cgroup what = {
		.name = name, .groups = groups, .n_groups = workers > 0, .payload = ""
	};

	kt_buf_reset(&text);
	return kt_gstage_make(&stage, &what, owner, &text, &err);
}

static void reap(void)
{
	int wait_status;
	pid_t pid;

	while ((pid = waitpid(-1, &wait_status, WNOHANG)) > 0)
		kt_gstage_reaped(&stage, pid, wait_status);
}

static void gather_and_go(void)
{
	int64_t until_ns = kt_gtime_now_ns() + PATIENCE_NS;

	while (kt_gstage_is_ready(&stage, &err) == 0) {
		struct pollfd fd = kt_gstage_fd(&stage);

		cr_assert_lt(kt_gtime_now_ns(), until_ns, "%s",
			     kt_gstage_describe_gate(&stage, (char[64]){ "" }, 64));
		poll(&fd, 1, 10);
	}
	cr_assert_eq(kt_gstage_is_ready(&stage, &err), 1, "%s", err.text);
	stage.anchor_ns = kt_gtime_now_ns();
	kt_gstage_go(&stage, 1);
}

static void see_off(size_t rest)
{
	int64_t until_ns = kt_gtime_now_ns() + PATIENCE_NS;
	char words[128];

	while (kt_gstage_look(&stage, kt_gtime_now_ns()) > rest) {
		cr_assert_lt(kt_gtime_now_ns(), until_ns, "%s",
			     kt_gstage_describe_rest(&stage, words, sizeof(words)));
		usleep(1000);
		reap();
	}
}

static pid_t pid_of(const char *home, size_t index)
{
	for (const struct kt_gstage_crew *crew = stage.crews; crew; crew = crew->next)
		if (strcmp(crew->crew->spec.cgroup, home) == 0)
			return crew->crew->workers[index].pid;
	return 0;
}

static int pid_in(const char *cgroup)
{
	return atoi(got(cgroup, "cgroup.procs"));
}

Test(gstage, what_a_step_brought_leaves_with_it_and_the_backdrop_stays, .init = setup,
     .fini = teardown)
{
	lay_out("bg");
	lay_out("cg");
	cr_assert_eq(make("bg", 1, KT_GSTAGE_BACKDROP), 0, "%s", err.text);
	cr_assert_eq(make("cg", 2, 3), 0, "%s", err.text);
	cr_assert_str_eq(kt_buf_text(&text), "cg: 2 spin");
	gather_and_go();
	usleep(20000);
	clear("cg");
	kt_gstage_end(&stage, 3, kt_gtime_now_ns());
	see_off(0);
	cr_assert_not(is_there("cg"));
	cr_assert_null(kt_gstage_find(&stage, "cg"));
	cr_assert(is_there("bg"));
	cr_assert_eq(stage.n_reports, 2);
	for (size_t i = 0; i < 2; i++) {
		cr_assert_str_eq(stage.reports[i].cgroup, "cg");
		cr_assert_eq(stage.reports[i].index, i);
		cr_assert_eq(stage.reports[i].step, 3);
		cr_assert_gt(stage.reports[i].work_units, 0);
	}
	cr_assert_gt(pid_of("bg", 0), 0);
	clear("bg");
	kt_gstage_end_all(&stage, kt_gtime_now_ns());
	see_off(0);
	cr_assert_eq(stage.n_reports, 3);
	cr_assert_str_eq(stage.reports[2].cgroup, "bg");
	cr_assert_eq(stage.n_missing, 0);
}

Test(gstage, the_backdrops_workers_go_home_from_a_step, .init = setup, .fini = teardown)
{
	struct kt_gstage_cgroup *bg;
	struct kt_gstage_cgroup *cg;

	lay_out("bg");
	lay_out("cg");
	cr_assert_eq(make("bg", 1, KT_GSTAGE_BACKDROP), 0);
	cr_assert_eq(make("cg", 0, 0), 0);
	gather_and_go();
	bg = kt_gstage_find(&stage, "bg");
	cg = kt_gstage_find(&stage, "cg");
	stage.crews->where =
		cg; /* as kt_gstage_move_all() does; the files of a folder forget nobody */
	put("bg", "cgroup.procs", "");
	clear("cg");
	kt_gstage_end(&stage, 0, kt_gtime_now_ns());
	see_off(0);
	cr_assert_eq(stage.crews->where, bg);
	cr_assert_eq(pid_in("bg"), pid_of("bg", 0));
	cr_assert_eq(stage.n_reports, 0, "it works on");
	cr_assert_not(is_there("cg"));
}

Test(gstage, one_without_a_home_ends_with_the_step, .init = setup, .fini = teardown)
{
	lay_out("bg");
	lay_out("cg");
	cr_assert_eq(make("bg", 1, KT_GSTAGE_BACKDROP), 0);
	cr_assert_eq(make("cg", 0, 0), 0);
	gather_and_go();
	stage.crews->where = kt_gstage_find(&stage, "cg");
	clear("bg");
	kt_gstage_remove(&stage, kt_gstage_find(&stage, "bg"), kt_gtime_now_ns());
	see_off(0);
	cr_assert_not(is_there("bg"), "nobody is in it any more");
	clear("cg");
	kt_gstage_end(&stage, 0, kt_gtime_now_ns());
	see_off(0);
	cr_assert_eq(stage.n_reports, 1);
	cr_assert_str_eq(stage.reports[0].cgroup, "bg");
}

Test(gstage, stopping_a_cgroup_stops_those_below_and_no_other, .init = setup, .fini = teardown)
{
	lay_out("a");
	lay_out("a/b");
	lay_out("ab");
	cr_assert_eq(make("a/b", 2, 0), 0, "%s", err.text);
	cr_assert_eq(make("a", 1, 0), 0, "one that only stood above gets a name: %s", err.text);
	cr_assert_eq(make("ab", 1, 0), 0);
	gather_and_go();
	cr_assert_eq(kt_gstage_stop(&stage, kt_gstage_find(&stage, "a"), kt_gtime_now_ns()), 3);
	see_off(0);
	cr_assert_eq(stage.n_reports, 3);
	cr_assert(is_there("a/b"), "it stays");
	cr_assert_gt(pid_of("ab", 0), 0);
	cr_assert_eq(kt_gstage_stop(&stage, kt_gstage_find(&stage, "a"), kt_gtime_now_ns()), 0);
}

Test(gstage, one_that_is_stopped_before_the_gate_opens_reports_nothing_done, .init = setup,
     .fini = teardown)
{
	lay_out("cg");
	cr_assert_eq(make("cg", 1, 0), 0);
	kt_gstage_stop(&stage, kt_gstage_find(&stage, "cg"), kt_gtime_now_ns());
	see_off(0);
	cr_assert_eq(stage.n_reports, 1);
	cr_assert_eq(stage.reports[0].work_units, 0);
	cr_assert_str_eq(stage.reports[0].missing, "");
}

Test(gstage, nobody_starts_in_a_frozen_cgroup_and_who_is_to_stop_is_thawed, .init = setup,
     .fini = teardown)
{
	struct kt_msg_group group = spin(1);
	struct kt_gstage_cgroup *cg;
	uint32_t n;

	lay_out("cg");
	cr_assert_eq(make("cg", 1, 0), 0);
	gather_and_go();
	cg = kt_gstage_find(&stage, "cg");
	cr_assert_eq(kt_gstage_freeze(cg, true, &err), 0);
	cr_assert_str_eq(got("cg", "cgroup.freeze"), "1");
	cr_assert_eq(kt_gstage_spawn(&stage, cg, &group, 0, &n, &err), -EBUSY);
	kt_gstage_stop(&stage, cg, kt_gtime_now_ns());
	cr_assert_str_eq(got("cg", "cgroup.freeze"), "0");
	cr_assert_not(cg->is_frozen);
	see_off(0);
}

Test(gstage, a_share_of_the_cpus_is_rounded_up_to_whole_groups, .init = setup, .fini = teardown)
{
	static const struct {
		const char *effective;
		uint64_t ppm;
		const char *work;
		uint32_t n;
	} cases[] = {
		{ "0-2", 500000, "spin", 2 },  { "0-2", 1000000, "spin", 3 }, { "0", 1, "spin", 1 },
		{ "0-3", 2000000, "spin", 8 }, { "0-2", 1000000, "pipe", 4 },
	};
	struct kt_gstage_cgroup *cg;

	lay_out("cg");
	cr_assert_eq(make("cg", 0, 0), 0);
	cg = kt_gstage_find(&stage, "cg");
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct kt_msg_group *group = kt_arena_alloc(&arena, 1, sizeof(*group));
		uint32_t n = 0;

		*group = spin(0);
		group->workers_ppm = cases[i].ppm;
		group->work = cases[i].work;
		put("cg", "cpuset.cpus.effective", cases[i].effective);
		cr_assert_eq(kt_gstage_spawn(&stage, cg, group, 0, &n, &err), 0, "%s", err.text);
		cr_assert_eq(n, cases[i].n, "case %zu: %u", i, n);
	}
	cr_assert_eq(cg->n_workers, 18);
	cr_assert_eq(cg->n_groups, 5);
}

Test(gstage, an_attempt_has_so_many_workers_and_no_more, .init = setup, .fini = teardown)
{
	struct kt_msg_group group = spin(2);
	uint32_t n;

	lay_out("cg");
	cr_assert_eq(make("cg", 0, 0), 0);
	stage.n_started = KT_WORKERS_MAX - 1;
	cr_assert_eq(kt_gstage_spawn(&stage, kt_gstage_find(&stage, "cg"), &group, 0, &n, &err),
		     -E2BIG);
	cr_assert_null(stage.crews);
}

Test(gstage, a_cgroup_is_there_once_and_has_what_it_was_given, .init = setup, .fini = teardown)
{
	struct kt_msg_limit limit = { "cpu.weight", "50" };
	struct kt_msg_cpuset cpuset = { .kind = "llc", .index = 1, .list = "" };
	struct kt_msg_cgroup what = {
		.name = "cg", .cpuset = &cpuset, .limits = &limit, .n_limits = 1, .payload = ""
	};
	struct kt_gstage_cgroup *cg;

	lay_out("cg");
	put("cg", "cpuset.cpus.effective", "2\n");
	cr_assert_eq(kt_gstage_make(&stage, &what, 0, &text, &err), 0, "%s", err.text);
	cr_assert_str_eq(kt_buf_text(&text), "cg, cpuset llc(1) = 2-3 (may use 2), cpu.weight 50");
	cr_assert_str_eq(got("cg", "cpuset.cpus"), "2-3");
	cr_assert_str_eq(got("cg", "cpu.weight"), "50");
	cr_assert_eq(kt_gstage_make(&stage, &what, 0, &text, &err), -EEXIST);
	cr_assert_eq(kt_gstage_need(&stage, "other", &cg, &err), -ENOENT);
	cpuset.index = 2;
	cg = kt_gstage_find(&stage, "cg");
	cr_assert_eq(kt_gstage_set_cpus(&stage, cg, &cpuset, &text, &err), -EINVAL);
	cr_assert_str_eq(err.text, "llc(2): the guest has 2 LLCs, counted from 0");
}

Test(gstage, cpusets_are_swapped_whole, .init = setup, .fini = teardown)
{
	lay_out("a");
	lay_out("b");
	cr_assert_eq(make("a", 0, 0), 0);
	cr_assert_eq(make("b", 0, 0), 0);
	put("a", "cpuset.cpus", "1");
	kt_buf_reset(&text);
	cr_assert_eq(kt_gstage_swap_cpus(&stage, kt_gstage_find(&stage, "a"),
					 kt_gstage_find(&stage, "b"), &text, &err),
		     0, "%s", err.text);
	cr_assert_str_eq(got("b", "cpuset.cpus"), "1");
	cr_assert_str_eq(kt_buf_text(&text),
			 "a = those of its parent (may use 0-2), b = 1 (may use 0-2)");
}

/* Cgroup v2 has no controllers below a cgroup with processes of its own; which those are, the scenario says. */
static void check_handed_down(struct kt_msg_scenario *scenario, bool is_handed_down)
{
	begin(scenario);
	lay_out("a");
	lay_out("a/b");
	cr_assert_eq(make("a/b", 0, 0), 0);
	cr_assert_eq(strlen(got("a", "cgroup.subtree_control")) > 0, is_handed_down);
	teardown();
	memcpy(folder + strlen(folder) - 6, "XXXXXX", 6);
}

Test(gstage, controllers_go_down_where_no_worker_will_be)
{
	struct kt_msg_group group = spin(1);
	struct kt_msg_cgroup filled = {
		.name = "a", .groups = &group, .n_groups = 1, .payload = ""
	};
	struct kt_msg_cgroup with_payload = { .name = "a", .payload = "stress" };
	struct kt_msg_cgroup empty = { .name = "a", .payload = "" };
	struct kt_msg_op ops[] = {
		{ .kind = "spawn", .cgroup = "a", .other = "" },
		{ .kind = "move_all_tasks", .cgroup = "c", .other = "a" },
		{ .kind = "run_payload", .cgroup = "a", .other = "" },
		{ .kind = "add_cgroup", .cgroup = "", .other = "", .make = &filled },
		{ .kind = "move_all_tasks", .cgroup = "a", .other = "c" },
		{ .kind = "set_cpuset", .cgroup = "a", .other = "" },
	};
	struct kt_msg_cgroup *cgroups[] = { &filled, &with_payload, &empty };
	struct kt_msg_backdrop backdrop = { 0 };
	struct kt_msg_step steps[2] = { 0 };
	struct kt_msg_scenario scenario = { .name = "", .steps = steps, .n_steps = 2 };

	check_handed_down(&scenario, true);
	for (size_t i = 0; i < 3; i++) {
		steps[1].cgroups = cgroups[i];
		steps[1].n_cgroups = 1;
		check_handed_down(&scenario, i == 2);
	}
	for (size_t i = 0; i < 6; i++) {
		steps[1].ops = &ops[i];
		steps[1].n_ops = 1;
		check_handed_down(&scenario, i >= 4);
	}
	steps[1] = (struct kt_msg_step){ 0 };
	backdrop.cgroups = &filled;
	backdrop.n_cgroups = 1;
	scenario.backdrop = &backdrop;
	check_handed_down(&scenario, false);
}
