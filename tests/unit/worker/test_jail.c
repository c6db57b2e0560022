#include "worker/jail.h"
#include "proto/base/clock.h"
#include "proto/base/limits.h"
#include "worker/introspect/procmaps.h"
#include "worker/introspect/remote.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#define NOBODY 65534

/* What a jailed program prints, and how it ended. */
static int run(char *const *argv, struct kt_buf *out, struct kt_err *err)
{
	KT_AUTO_BUF notes = { 0 };
	struct kt_jail_child child;
	char bytes[4096];
	int said[2];
	int alive[2];
	int status = -1;
	ssize_t n;
	int rc;

	cr_assert_eq(pipe2(said, O_CLOEXEC), 0);
	cr_assert_eq(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, alive), 0);
	struct kt_jail_spec spec = { .argv = argv,
				     .fds = &alive[1],
				     .n_fds = 1,
				     .stderr_fd = said[1],
				     .alive_fd = alive[1] };
	rc = kt_jail_spawn(&spec, &child, &notes, err);
	close(said[1]);
	while (rc == 0 && (n = read(said[0], bytes, sizeof(bytes))) > 0)
		kt_buf_append(out, bytes, (size_t)n);
	kt_jail_kill(&child, &status);
	close(said[0]);
	close(alive[0]);
	close(alive[1]);
	return rc;
}

Test(jail, the_child_is_nobody_without_any_capability)
{
	static const char *const has[] = { "\nUid:\t65534\t65534\t65534\t65534\n",
					   "\nCapEff:\t0000000000000000\n",
					   "\nCapBnd:\t0000000000000000\n", "\nNoNewPrivs:\t1\n" };
	char *argv[] = { "cat", "/proc/self/status", NULL };
	KT_AUTO_BUF out = { 0 };
	struct kt_err err = { 0 };

	if (geteuid() != 0)
		cr_skip("only root can become nobody");
	cr_assert_eq(run(argv, &out, &err), 0, "%s", err.text);
	for (size_t i = 0; i < sizeof(has) / sizeof(has[0]); i++)
		cr_assert(strstr(kt_buf_text(&out), has[i]), "no %s in %s", has[i],
			  kt_buf_text(&out));
}

Test(jail, the_child_has_only_its_descriptors)
{
	char *argv[] = { "ls", "/proc/self/fd", NULL };
	int stray = open("/dev/null", O_RDONLY); /* not close-on-exec */
	KT_AUTO_BUF out = { 0 };
	struct kt_err err = { 0 };
	unsigned int lines = 0;

	cr_assert_eq(run(argv, &out, &err), 0, "%s", err.text);
	for (size_t i = 0; i < out.len; i++)
		lines += out.data[i] == '\n';
	cr_assert_eq(lines, 5, "stdio, the one that it was given, and that of ls: %s",
		     kt_buf_text(&out));
	close(stray);
}

Test(jail, a_program_that_is_not_there_is_missing)
{
	char *argv[] = { "/nope/nothing", NULL };
	KT_AUTO_BUF out = { 0 };
	struct kt_err err = { 0 };

	cr_assert_eq(run(argv, &out, &err), -ENOENT);
	cr_assert(strstr(err.text, "/nope/nothing"), "%s", err.text);
}

/* A parent that starts a jailed sleep, tells its pid_fd's process and waits to be killed. */
static void be_parent(int tell_fd)
{
	char *argv[] = { "sleep", "60", NULL };
	KT_AUTO_BUF notes = { 0 };
	struct kt_jail_child child;
	struct kt_err err = { 0 };
	int alive[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, alive) < 0)
		_exit(1);
	struct kt_jail_spec spec = { .argv = argv,
				     .fds = &alive[1],
				     .n_fds = 1,
				     .stderr_fd = STDERR_FILENO,
				     .alive_fd = alive[1] };
	if (kt_jail_spawn(&spec, &child, &notes, &err) < 0 ||
	    write(tell_fd, &child.pid, sizeof(child.pid)) != sizeof(child.pid))
		_exit(1);
	for (;;)
		pause();
}

Test(jail, the_child_dies_with_a_parent_that_is_killed)
{
	struct pollfd died = { .events = POLLIN };
	pid_t parent;
	pid_t jailed;
	int tell[2];

	cr_assert_eq(pipe2(tell, O_CLOEXEC), 0);
	parent = fork();
	if (parent == 0)
		be_parent(tell[1]);
	cr_assert_eq(read(tell[0], &jailed, sizeof(jailed)), (ssize_t)sizeof(jailed));
	died.fd = (int)syscall(SYS_pidfd_open, jailed, 0);
	cr_assert_geq(died.fd, 0);
	cr_assert_eq(poll(&died, 1, 0), 0, "it lives as long as its parent");
	kill(parent, SIGKILL);
	waitpid(parent, NULL, 0);
	cr_assert_eq(poll(&died, 1, 5000), 1);
	close(died.fd);
}

/* What a guest's memory is read with: 0 when a jailed program's first page can be. */
static int read_a_jailed_program(void)
{
	char *argv[] = { "sleep", "60", NULL };
	KT_AUTO(kt_remote_destroy) struct kt_remote *remote = NULL;
	KT_AUTO_BUF notes = { 0 };
	KT_AUTO_BUF maps = { 0 };
	struct kt_jail_child child = { 0 };
	struct kt_err err = { 0 };
	const uint8_t *page = NULL;
	unsigned long long va = 0;
	int alive[2];

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, alive) < 0)
		return 1;
	struct kt_jail_spec spec = { .argv = argv,
				     .fds = &alive[1],
				     .n_fds = 1,
				     .stderr_fd = STDERR_FILENO,
				     .alive_fd = alive[1] };
	if (kt_jail_spawn(&spec, &child, &notes, &err) == 0 &&
	    kt_procmaps_read(child.pid, &maps, &err) == 0 &&
	    kt_remote_open(child.pid, &remote, &err) == 0 &&
	    sscanf(kt_buf_text(&maps), "%llx-", &va) == 1)
		page = kt_remote_at(remote, va, 4);
	if (!page)
		fprintf(stderr, "%s\n%s", err.text, kt_buf_text(&maps));
	kt_jail_kill(&child, NULL);
	close(alive[0]);
	close(alive[1]);
	return page && memcmp(page, "\177ELF", 4) == 0 ? 0 : 1;
}

static bool may_trace(void)
{
	struct __user_cap_header_struct who = { _LINUX_CAPABILITY_VERSION_3, 0 };
	struct __user_cap_data_struct caps[2] = { { 0 } };

	return geteuid() != 0 ||
	       (syscall(SYS_capget, &who, caps) == 0 && (caps[0].effective & 1u << CAP_SYS_PTRACE));
}

/* What worker/introspect/remote.h says: root needs CAP_SYS_PTRACE, because its child is another user. */
Test(jail, its_parent_reads_its_memory)
{
	pid_t user;
	int status;

	cr_assert_eq(read_a_jailed_program(), may_trace() ? 0 : 1);
	if (geteuid() != 0)
		return;
	/* and so does one without any privilege */
	user = fork();
	if (user == 0)
		_exit(setresgid(NOBODY, NOBODY, NOBODY) < 0 ||
		      setresuid(NOBODY, NOBODY, NOBODY) < 0 || read_a_jailed_program());
	waitpid(user, &status, 0);
	cr_assert_eq(status, 0);
}
