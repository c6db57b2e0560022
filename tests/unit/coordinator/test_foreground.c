/* With a pty as standard input, and programs that leave it as they should not. */
#include "coordinator/foreground.h"
#include "proto/base/own.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <termios.h>

static int master;
static struct termios before;

static void setup(void)
{
	int slave;

	cr_assert_eq(openpty(&master, &slave, NULL, NULL, NULL), 0);
	cr_assert_eq(dup2(slave, STDIN_FILENO), STDIN_FILENO);
	close(slave);
	cr_assert_eq(tcgetattr(STDIN_FILENO, &before), 0);
}

static int run(const char *command, int fd, int *wait_status)
{
	const char *const argv[] = { "/bin/sh", "-c", command, NULL };
	struct kt_err err = { 0 };

	return kt_foreground_run(argv, fd, wait_status, &err);
}

static void assert_as_before(const char *command)
{
	struct termios now = { 0 };

	cr_assert_eq(tcgetattr(STDIN_FILENO, &now), 0);
	cr_assert_eq(memcmp(&now, &before, sizeof(now)), 0, "%s", command);
}

Test(foreground, however_a_program_ends_the_terminal_is_as_it_was, .init = setup)
{
	static const struct {
		const char *command;
		int status; /* 256 and more: a signal */
	} rows[] = {
		{ "exit 7", 7 },
		{ "stty raw -echo; exit 0", 0 },
		{ "stty raw -echo; kill -KILL $$", 256 + SIGKILL },
		{ "stty raw -echo; kill -SEGV $$", 256 + SIGSEGV },
	};
	KT_AUTO_FD int fd = memfd_create("none", MFD_CLOEXEC);

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int status;

		cr_assert_eq(run(rows[i].command, fd, &status), 0);
		if (rows[i].status >= 256)
			cr_assert_eq(WTERMSIG(status), rows[i].status - 256, "%s", rows[i].command);
		else
			cr_assert_eq(WEXITSTATUS(status), rows[i].status, "%s", rows[i].command);
		assert_as_before(rows[i].command);
	}
}

Test(foreground, the_program_gets_the_descriptor, .init = setup)
{
	KT_AUTO_FD int fd = memfd_create("order", MFD_CLOEXEC);
	int status;

	cr_assert_eq(write(fd, "boo", 3), 3);
	cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
	cr_assert_eq(run("test \"$(cat <&3)\" = boo", fd, &status), 0);
	cr_assert_eq(WEXITSTATUS(status), 0);
}

Test(foreground, a_signal_for_us_is_passed_on, .init = setup)
{
	KT_AUTO_FD int fd = memfd_create("none", MFD_CLOEXEC);
	int status;

	cr_assert_eq(run("trap 'exit 9' TERM; kill -TERM $PPID; for i in $(seq 500); do sleep "
			 "0.02; done",
			 fd, &status),
		     0);
	cr_assert_eq(WEXITSTATUS(status), 9);
}

Test(foreground, what_is_not_there_is_said, .init = setup)
{
	const char *const argv[] = { "/nonexistent/ktworker", NULL };
	KT_AUTO_FD int fd = memfd_create("none", MFD_CLOEXEC);
	struct kt_err err = { 0 };
	int status;

	cr_assert_eq(kt_foreground_run(argv, fd, &status, &err), -ENOENT);
	cr_assert_eq(err.fault, KT_FAULT_HOST);
	cr_assert(strstr(err.text, "/nonexistent/ktworker"));
}

/* kill -9 of ours: the program can still put the terminal right, and end its guest. */
Test(foreground, the_program_is_told_when_we_are_killed, .init = setup)
{
	char path[] = "/tmp/kt-test-foreground-XXXXXX";
	KT_AUTO_FD int file = mkstemp(path);
	char command[256];
	struct stat what = { 0 };
	pid_t pid;

	snprintf(command, sizeof(command),
		 "trap 'echo told >%s; exit' TERM; echo ready >&3; for i in $(seq 1000); do sleep "
		 "0.02; done",
		 path);
	pid = fork();
	if (pid == 0) {
		int status;

		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(run(command, file, &status) < 0);
	}
	for (int i = 0; i < 1000 && what.st_size == 0; i++, usleep(10000))
		fstat(file, &what);
	cr_assert_eq(what.st_size, 6, "it did not begin");
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	for (int i = 0; i < 1000 && what.st_size != 5; i++, usleep(10000))
		fstat(file, &what);
	unlink(path);
	cr_assert_eq(what.st_size, 5, "nobody told it");
}
