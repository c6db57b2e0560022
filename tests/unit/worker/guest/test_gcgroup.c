/* Against a folder that looks like a cgroup file system: its files are there before, and keep what is written. */
#include "worker/guest/gcgroup.h"
#include "worker/guest/sysfile.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/test_gcgroup_XXXXXX";
static char root[64];

static void put(const char *file, const char *text)
{
	char path[256];
	int fd;

	snprintf(path, sizeof(path), "%s/%s", root, file);
	fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644);
	cr_assert_geq(fd, 0, "%s", path);
	cr_assert_eq(write(fd, text, strlen(text)), (ssize_t)strlen(text));
	close(fd);
}

static const char *got(const char *file)
{
	static char text[256];
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", root, file);
	cr_assert_geq(kt_sysfile_read(path, text, sizeof(text)), 0, "%s", path);
	return text;
}

static bool is_there(const char *file)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", root, file);
	return access(path, F_OK) == 0;
}

static void setup(void)
{
	struct kt_err err = { 0 };

	cr_assert_not_null(mkdtemp(folder));
	snprintf(root, sizeof(root), "%s/kt", folder);
	cr_assert_eq(kt_gcgroup_init(root, &err), 0, "%s", err.text);
}

static void teardown(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", folder);
	cr_assert_eq(system(command), 0);
}

Test(gcgroup, a_name_is_a_few_components)
{
	static const struct {
		const char *name;
		bool ok;
	} cases[] = {
		{ "cg_0", true },    { "...", true },
		{ "a/b", true },     { "1/2/3/4/5/6/7/8", true },
		{ "a.b/.c", true },  { "", false },
		{ ".", false },      { "..", false },
		{ "a/../b", false }, { "a/./b", false },
		{ "/", false },      { "/a", false },
		{ "a/", false },     { "a//b", false },
		{ "a\nb", false },   { "1/2/3/4/5/6/7/8/9", false },
	};
	char longest[KT_NAME_BYTES_MAX + 2];

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_assert_eq(kt_gcgroup_name_ok(cases[i].name), cases[i].ok, "%s", cases[i].name);
	memset(longest, 'a', sizeof(longest));
	longest[KT_NAME_BYTES_MAX + 1] = 0;
	cr_assert_not(kt_gcgroup_name_ok(longest));
	cr_assert(kt_gcgroup_name_ok(longest + 1));
}

Test(gcgroup, below_is_a_matter_of_components)
{
	cr_assert(kt_gcgroup_is_below("a/b", "a"));
	cr_assert(kt_gcgroup_is_below("a/b/c", "a"));
	cr_assert_not(kt_gcgroup_is_below("ab", "a"));
	cr_assert_not(kt_gcgroup_is_below("a", "a"));
	cr_assert_not(kt_gcgroup_is_below("a", "a/b"));
}

Test(gcgroup, is_made_with_its_parents_and_removed_with_its_children, .init = setup,
     .fini = teardown)
{
	struct kt_err err = { 0 };

	cr_assert_eq(kt_gcgroup_make("a/b/c", &err), 0, "%s", err.text);
	cr_assert_eq(kt_gcgroup_make("a/b/c", &err), 0, "one that is there is taken over");
	cr_assert_eq(kt_gcgroup_make("a/d", &err), 0);
	cr_assert(is_there("a/b/c"));
	cr_assert_eq(kt_gcgroup_remove("a/b"), 0);
	cr_assert_not(is_there("a/b"));
	cr_assert(is_there("a/d"));
	cr_assert_eq(kt_gcgroup_remove("a"), 0);
	cr_assert_not(is_there("a"));
	cr_assert_eq(kt_gcgroup_remove("a"), -ENOENT);
	cr_assert_eq(kt_gcgroup_make("../x", &err), -EINVAL);
	cr_assert_eq(err.fault, KT_FAULT_PEER);
}

Test(gcgroup, only_what_stands_in_the_table_is_written, .init = setup, .fini = teardown)
{
	static const char *const files[] = { "cpu.max",     "cpu.weight", "memory.max",
					     "memory.high", "memory.low", "io.weight",
					     "pids.max" };
	static const char *const others[] = { "cpuset.cpus", "cgroup.procs", "memory.oom.group",
					      "../cpu.max", "" };
	struct kt_err err = { 0 };
	char path[128];

	cr_assert_eq(kt_gcgroup_make("a", &err), 0);
	for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "a/%s", files[i]);
		put(path, "");
		cr_assert_eq(kt_gcgroup_limit("a", files[i], "50000 100000", &err), 0, "%s",
			     err.text);
		cr_assert_str_eq(got(path), "50000 100000");
	}
	put("a/cgroup.procs", "");
	put("a/cpuset.cpus", "");
	for (size_t i = 0; i < sizeof(others) / sizeof(others[0]); i++) {
		cr_assert_eq(kt_gcgroup_limit("a", others[i], "1", &err), -EINVAL, "%s", others[i]);
		cr_assert_eq(err.fault, KT_FAULT_PEER);
	}
}

Test(gcgroup, a_file_that_is_not_there_is_the_kernels_lack_or_the_scenarios_doing, .init = setup,
     .fini = teardown)
{
	struct kt_cpuset cpus = { 0 };
	struct kt_err err = { 0 };

	kt_cpuset_add(&cpus, 1);
	cr_assert_eq(kt_gcgroup_make("a", &err), 0);
	put("cgroup.controllers", "cpu pids\n");
	put("a/cgroup.controllers", "cpu\n");
	cr_assert_eq(kt_gcgroup_set_cpus("a", &cpus, &err), -ENOSYS);
	cr_assert_str_eq(err.text,
			 "this kernel's cgroups have no controller cpuset, which cpuset.cpus of a "
			 "needs");
	cr_assert_eq(kt_gcgroup_limit("a", "cpu.weight", "1", &err), -ENOSYS);
	cr_assert_str_eq(err.text, "this kernel's cgroups have no cpu.weight");
	cr_assert_eq(kt_gcgroup_limit("a", "pids.max", "1", &err), -EBUSY);
	cr_assert(strstr(err.text, "processes of its own hands no controllers down"), "%s",
		  err.text);
	cr_assert_eq(kt_gcgroup_freeze("a", true, &err), -ENOSYS);
}

Test(gcgroup, cpus_go_in_and_come_out_as_sets, .init = setup, .fini = teardown)
{
	struct kt_cpuset cpus = { 0 };
	struct kt_cpuset back;
	struct kt_err err = { 0 };

	kt_cpuset_add(&cpus, 1);
	kt_cpuset_add(&cpus, 2);
	kt_cpuset_add(&cpus, 200);
	cr_assert_eq(kt_gcgroup_make("a", &err), 0);
	put("a/cpuset.cpus", "");
	put("a/cpuset.cpus.effective", "0-1\n");
	cr_assert_eq(kt_gcgroup_set_cpus("a", &cpus, &err), 0, "%s", err.text);
	cr_assert_str_eq(got("a/cpuset.cpus"), "1-2,200");
	cr_assert_eq(kt_gcgroup_cpus("a", &back, &err), 0);
	cr_assert_eq(memcmp(&cpus, &back, sizeof(cpus)), 0);
	cr_assert_eq(kt_gcgroup_effective_cpus("a", &back, &err), 0);
	cr_assert_eq(back.words[0], 3);
	put("a/cpuset.cpus", "");
	cr_assert_eq(kt_gcgroup_set_cpus("a", NULL, &err), 0, "%s", err.text);
	cr_assert_eq(kt_gcgroup_cpus("a", &back, &err), 0);
	cr_assert_eq(kt_cpuset_count(&back), 0);
	put("a/cpuset.cpus.effective", "none\n");
	cr_assert_eq(kt_gcgroup_effective_cpus("a", &back, &err), -EINVAL);
}

Test(gcgroup, frozen_is_what_the_kernel_says_and_not_what_it_was_told, .init = setup,
     .fini = teardown)
{
	struct kt_err err = { 0 };

	cr_assert_eq(kt_gcgroup_make("a", &err), 0);
	put("a/cgroup.freeze", "0");
	put("a/cgroup.events", "populated 1\nfrozen 0\n");
	cr_assert_eq(kt_gcgroup_freeze("a", true, &err), 0);
	cr_assert_str_eq(got("a/cgroup.freeze"), "1");
	cr_assert_eq(kt_gcgroup_is_frozen("a", &err), 0);
	put("a/cgroup.events", "populated 1\nfrozen 1\n");
	cr_assert_eq(kt_gcgroup_is_frozen("a", &err), 1);
	cr_assert_eq(kt_gcgroup_freeze("a", false, &err), 0);
	cr_assert_str_eq(got("a/cgroup.freeze"), "0");
}

/* A plain file does not forget whom it lost, so the passes never see it empty: the limit on them does. */
Test(gcgroup, moving_ends_even_when_processes_come_faster, .init = setup, .fini = teardown)
{
	struct kt_err err = { 0 };
	size_t n = 0;

	cr_assert_eq(kt_gcgroup_make("a", &err), 0);
	cr_assert_eq(kt_gcgroup_make("b", &err), 0);
	put("a/cgroup.procs", "");
	put("b/cgroup.procs", "");
	cr_assert_eq(kt_gcgroup_move_all("a", "b", &n, &err), 0, "%s", err.text);
	cr_assert_eq(n, 0);
	put("a/cgroup.procs", "17\n18\n");
	cr_assert_eq(kt_gcgroup_move_all("a", "b", &n, &err), -EBUSY);
	cr_assert_eq(n % 2, 0);
	cr_assert(strstr(err.text, "forks faster"), "%s", err.text);
	cr_assert(strstr(got("b/cgroup.procs"), "18"));
}

Test(gcgroup, throttled_is_a_cgroup_below_a_limit, .init = setup, .fini = teardown)
{
	struct kt_err err = { 0 };
	uint64_t times;

	cr_assert_eq(kt_gcgroup_make("a/b", &err), 0, "%s", err.text);
	cr_assert_eq(kt_gcgroup_make("c", &err), 0, "%s", err.text);
	put("a/cpu.max", "50000 100000\n");
	put("a/cpu.stat", "usage_usec 7\nnr_periods 9\nnr_throttled 3\nthrottled_usec 12\n");
	put("a/b/cpu.max", "max 100000\n");
	put("a/b/cpu.stat", "nr_throttled 100\n");
	cr_assert(kt_gcgroup_throttled("a/b", &times));
	cr_assert_eq(times, 3);
	put("a/b/cpu.max", "1000 100000\n");
	cr_assert(kt_gcgroup_throttled("a/b", &times));
	cr_assert_eq(times, 103);
	cr_assert(!kt_gcgroup_throttled("c", &times));
	cr_assert(!kt_gcgroup_throttled("", &times));
	cr_assert_eq(times, 0);
}

static void remember(void *arg, const char *name, uint64_t id)
{
	char *names = arg;

	cr_assert_gt(id, 1);
	strcat(names, name);
	strcat(names, " ");
}

Test(gcgroup, who_wants_to_know_ids_is_told_of_each, .init = setup, .fini = teardown)
{
	struct kt_err err = { 0 };
	char names[64] = "";

	kt_gcgroup_tell(remember, names);
	cr_assert_eq(kt_gcgroup_make("a/b", &err), 0, "%s", err.text);
	cr_assert_eq(kt_gcgroup_make("c", &err), 0, "%s", err.text);
	kt_gcgroup_tell(NULL, NULL);
	cr_assert_eq(kt_gcgroup_make("d", &err), 0, "%s", err.text);
	cr_assert_str_eq(names, "a a/b c ");
}
