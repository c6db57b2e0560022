/* Against a folder that looks like /sys/devices/system/cpu. */
#include "worker/guest/ghotplug.h"
#include "worker/guest/sysfile.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/test_ghotplug_XXXXXX";
static struct kt_ghotplug plug;

static void add_cpu(int cpu)
{
	char path[128];
	int fd;

	snprintf(path, sizeof(path), "%s/cpu%d", folder, cpu);
	cr_assert_eq(mkdir(path, 0755), 0);
	snprintf(path, sizeof(path), "%s/cpu%d/online", folder, cpu);
	fd = open(path, O_WRONLY | O_CREAT, 0644);
	cr_assert_eq(write(fd, "1", 1), 1);
	close(fd);
}

static const char *online(int cpu)
{
	static char text[8];
	char path[128];

	snprintf(path, sizeof(path), "%s/cpu%d/online", folder, cpu);
	kt_sysfile_read(path, text, sizeof(text));
	return text;
}

static void setup(void)
{
	cr_assert_not_null(mkdtemp(folder));
	add_cpu(1);
	add_cpu(2);
	plug = (struct kt_ghotplug){ .root = folder };
}

static void teardown(void)
{
	char command[128];

	snprintf(command, sizeof(command), "rm -rf %s", folder);
	cr_assert_eq(system(command), 0);
}

static int finish(struct kt_err *err)
{
	int wait_status;
	pid_t pid = plug.pid;

	cr_assert_eq(kt_ghotplug_look(&plug, err), 0, "its child has not ended");
	cr_assert_eq(waitpid(pid, &wait_status, 0), pid);
	cr_assert_not(kt_ghotplug_reaped(&plug, pid + 1, 0));
	cr_assert(kt_ghotplug_reaped(&plug, pid, wait_status));
	return kt_ghotplug_look(&plug, err);
}

Test(ghotplug, a_cpu_goes_and_comes, .init = setup, .fini = teardown)
{
	struct kt_err err = { 0 };

	cr_assert_eq(kt_ghotplug_begin(&plug, 2, false, &err), 0);
	cr_assert_eq(finish(&err), 1);
	cr_assert_str_eq(online(2), "0");
	cr_assert_str_eq(online(1), "1");
	cr_assert(kt_cpuset_has(&plug.offline, 2));
	cr_assert_eq(kt_ghotplug_begin(&plug, 2, true, &err), 0);
	cr_assert_eq(finish(&err), 1);
	cr_assert_str_eq(online(2), "1");
	cr_assert_eq(kt_cpuset_count(&plug.offline), 0);
}

Test(ghotplug, what_the_kernel_refuses_is_told, .init = setup, .fini = teardown)
{
	struct kt_err err = { 0 };

	cr_assert_eq(kt_ghotplug_begin(&plug, 0, false, &err), 0);
	cr_assert_eq(finish(&err), -ENOENT);
	cr_assert_str_eq(err.text, "CPU 0 cannot be plugged: it has no file 'online'");
}

Test(ghotplug, all_that_went_come_back_one_by_one, .init = setup, .fini = teardown)
{
	struct kt_err err = { 0 };

	for (uint32_t cpu = 1; cpu <= 2; cpu++) {
		cr_assert_eq(kt_ghotplug_begin(&plug, cpu, false, &err), 0);
		cr_assert_eq(finish(&err), 1);
	}
	for (int cpu = 1; cpu <= 2; cpu++) {
		cr_assert_str_eq(online(cpu), "0");
		cr_assert_eq(kt_ghotplug_restore(&plug, &err), 1);
		cr_assert_eq(finish(&err), 1);
		cr_assert_str_eq(online(cpu), "1");
	}
	cr_assert_eq(kt_ghotplug_restore(&plug, &err), 0);
}
