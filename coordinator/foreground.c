#include "coordinator/foreground.h"
#include "proto/base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#define CHILD_FD 3

/* In the child. Says errno through `failed` (close-on-exec) when there is no program. */
__attribute__((noreturn)) static void become(const char *const *argv, int fd, int failed,
					     pid_t parent, const sigset_t *mask)
{
	int code;

	prctl(PR_SET_PDEATHSIG, SIGTERM);
	if (getppid() != parent)
		_exit(127);
	failed = fcntl(failed, F_DUPFD_CLOEXEC, 10);
	fd = fcntl(fd, F_DUPFD_CLOEXEC, 10);
	sigprocmask(SIG_SETMASK, mask, NULL);
	if (dup2(fd, CHILD_FD) >= 0)
		execv(argv[0], (char *const *)(uintptr_t)argv);
	code = errno;
	if (write(failed, &code, sizeof(code)) < 0)
		_exit(126);
	_exit(127);
}

static int start(const char *const *argv, int fd, const sigset_t *mask, pid_t *pid,
		 struct kt_err *err)
{
	KT_AUTO_FD int said = -1;
	KT_AUTO_FD int failed = -1;
	pid_t parent = getpid();
	int pair[2];
	int code;

	if (pipe2(pair, O_CLOEXEC) < 0)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "starting %s", argv[0]);
	said = pair[0];
	failed = pair[1];
	*pid = fork();
	if (*pid < 0)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "starting %s", argv[0]);
	if (*pid == 0)
		become(argv, fd, failed, parent, mask);
	kt_own_close(&failed);
	if (read(said, &code, sizeof(code)) != sizeof(code))
		return 0;
	waitpid(*pid, NULL, 0);
	return kt_err_sys(err, KT_FAULT_HOST, code, "starting %s", argv[0]);
}

static int wait_for(pid_t pid, const sigset_t *heard)
{
	siginfo_t info;
	int status;

	for (;;) {
		int number = sigwaitinfo(heard, &info);

		if (waitpid(pid, &status, WNOHANG) == pid)
			return status;
		/* A key's signal went to the whole group; SIGCHLD without an end: it was stopped. */
		if (number > 0 && number != SIGCHLD && info.si_code <= 0)
			kill(pid, number);
	}
}

int kt_foreground_run(const char *const *argv, int fd, int *wait_status, struct kt_err *err)
{
	static const int numbers[] = { SIGCHLD, SIGINT, SIGTERM, SIGHUP, SIGQUIT };
	struct termios before;
	bool is_tty = tcgetattr(STDIN_FILENO, &before) == 0;
	sigset_t heard;
	sigset_t blocked;
	sigset_t mask;
	pid_t pid = 0;
	int rc;

	sigemptyset(&heard);
	for (size_t i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++)
		sigaddset(&heard, numbers[i]);
	blocked = heard;
	sigaddset(&blocked, SIGTTOU); /* tcsetattr() works although somebody else is in front */
	sigprocmask(SIG_BLOCK, &blocked, &mask);
	rc = start(argv, fd, &mask, &pid, err);
	if (rc == 0)
		*wait_status = wait_for(pid, &heard);
	if (is_tty)
		tcsetattr(STDIN_FILENO, TCSADRAIN, &before);
	sigprocmask(SIG_SETMASK, &mask, NULL);
	return rc;
}
