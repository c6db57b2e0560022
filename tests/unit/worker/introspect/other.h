/* other.h - another process, for tests that look into its memory: a child that does what it is told, one
 * letter at a time, and says so when it is done.
 *
 *	other_start(&other, obey, arg);   its first letter is 0: what it does to begin with
 *	other_tell(&other, 'w');          returns when obey(arg, 'w') has
 *
 * A fork keeps every address, so memory that was mapped before is at the same place in both.
 */
#ifndef KT_OTHER_H
#define KT_OTHER_H

#include "proto/base/must.h"
#include "proto/base/own.h"

#include <signal.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>

struct other {
	pid_t pid;
	int wire;
};

static inline void other_tell(struct other *other, char letter)
{
	kt_must(write(other->wire, &letter, 1) == 1);
	kt_must(read(other->wire, &letter, 1) == 1);
}

static inline void other_start(struct other *other, void (*obey)(void *arg, char letter), void *arg)
{
	int ends[2];
	char letter;

	kt_must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) == 0);
	other->wire = ends[0];
	other->pid = fork();
	kt_must(other->pid >= 0);
	if (other->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(ends[0]);
		while (read(ends[1], &letter, 1) == 1) {
			obey(arg, letter);
			if (write(ends[1], &letter, 1) != 1)
				break;
		}
		_exit(0);
	}
	close(ends[1]);
	other_tell(other, 0);
}

/* Its memory is gone when this returns; its number is still its own. */
static inline void other_kill(struct other *other)
{
	siginfo_t info;

	kill(other->pid, SIGKILL);
	waitid(P_PID, (id_t)other->pid, &info, WEXITED | WNOWAIT);
}

static inline void other_end(struct other *other)
{
	kill(other->pid, SIGKILL);
	waitpid(other->pid, NULL, 0);
	kt_own_close(&other->wire);
}

#define OTHER_AUTO KT_AUTO(other_end) struct other

#endif
