#include "worker/guest/gwork.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

struct child {
	int pidfd; /* 0: none */
};

/* A pidfd can be waited for with a time limit: the child may never be run. */
static bool bear(struct kt_gself *self, struct child *child)
{
	pid_t pid = fork();

	if (pid == 0) {
		kt_gself_run(self, self->params[KT_WORK_PARAM_fork_exit_run]);
		_exit(0);
	}
	if (pid < 0)
		return false;
	child->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (child->pidfd > 0)
		return true;
	child->pidfd = 0;
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	return false;
}

static void bury(struct child *child)
{
	siginfo_t info;

	waitid(P_PIDFD, (id_t)child->pidfd, &info, WEXITED);
	close(child->pidfd);
	child->pidfd = 0;
}

static uint64_t round_of(struct kt_gself *self)
{
	struct child *child = self->state;

	if (!child->pidfd && !bear(self, child)) {
		kt_gself_sleep(self,
			       KT_NS_PER_MS); /* pids.max, or no memory: not as fast as it can */
		return 0;
	}
	if (kt_gself_wait_fd(self, child->pidfd) == KT_GSELF_ALONE)
		return 0;
	bury(child);
	return 1;
}

/* A child that is not run cannot be waited for: it ends as PID 1's. */
static void end(struct kt_gself *self)
{
	struct child *child = self->state;

	if (!child->pidfd)
		return;
	syscall(SYS_pidfd_send_signal, child->pidfd, SIGKILL, NULL, 0);
	close(child->pidfd);
}

const struct kt_gwork kt_fork_exit_work = {
	.state_bytes = sizeof(struct child),
	.round = round_of,
	.end = end,
};
