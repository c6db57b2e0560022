/* gshell.h - a program in the guest for somebody who looks at it: `ktcoord shell`.
 *
 *	typed  --> queue --> standard input  \                IDLE -> OPEN -> ENDING -> IDLE
 *	                                      > or a pty
 *	printed <-- credit <-- both outputs  /
 *
 * It leads a session of its own: on a pty, or with three pipes. It is an ordinary SCHED_NORMAL process, governed
 * by the scheduler under test. When it ends the rest of its session is killed; what they had printed by then is
 * still sent.
 * Nothing blocks and nothing grows: the host has at most KT_SHELL_WINDOW_BYTES of typed bytes under way that
 * `took` has not told of, and what the program prints is only read when the host has shown what came before, so one
 * that floods waits in its own write(2).
 * Writing to a program that reads no more raises SIGPIPE: who calls this must not die of it (PID 1 does not).
 */
#ifndef KT_GSHELL_H
#define KT_GSHELL_H

#include "proto/schema.h"

#include <poll.h>
#include <sys/types.h>

#define KT_GSHELL_FDS 3

enum kt_gshell_state {
	KT_GSHELL_IDLE,
	KT_GSHELL_OPEN,
	KT_GSHELL_ENDING, /* the program ended, what it printed is not all sent */
};

struct kt_gshell_events {
	/* stream: 1 or 2, as in guest_printed; at most KT_SHELL_PIECE_BYTES_MAX. */
	void (*printed)(void *arg, uint64_t stream, const void *bytes, size_t len);
	void (*took)(void *arg, size_t bytes);
	/* Its last word; wait_status as of waitpid(2). */
	void (*ended)(void *arg, int wait_status);
	void *arg;
};

struct kt_gshell {
	enum kt_gshell_state state;
	struct kt_gshell_events events;
	pid_t pid; /* leads its session; 0 once it was reaped */
	pid_t session;
	int wait_status;
	int in_fd; /* -1: it reads no more, or nothing more will be typed */
	int out_fds[2]; /* of stream 1 and 2; -1: at its end. A pty has one. */
	bool tty;
	bool eof; /* nothing will be typed behind what is in the queue */
	struct kt_buf typed; /* waits to be taken in */
	size_t credit; /* bytes that may be printed now */
	int64_t ended_ns;
};

void kt_gshell_init(struct kt_gshell *shell, const struct kt_gshell_events *events);
/* Only when IDLE. A program that cannot be run says so on its standard error and ends with status 127, as in
 * any shell. Fault GUEST when there is no pty, no pipe, no process.
 */
int kt_gshell_start(struct kt_gshell *shell, const struct kt_msg_shell *what, struct kt_err *err);
/* -ENOBUFS, fault PEER: more than the window allows. What comes after the program's end is forgotten. */
int kt_gshell_typed(struct kt_gshell *shell, const struct kt_msg_guest_typed *typed,
		    struct kt_err *err);
void kt_gshell_window(struct kt_gshell *shell, uint64_t rows, uint64_t cols);
void kt_gshell_showed(struct kt_gshell *shell, size_t bytes);
void kt_gshell_reaped(struct kt_gshell *shell, pid_t pid,
		      int wait_status); /* PID 1 reaped somebody */
/* Moves what can be moved. Called whenever something happened or its time has come. */
void kt_gshell_step(struct kt_gshell *shell, int64_t now_ns);
void kt_gshell_fds(const struct kt_gshell *shell, struct pollfd fds[KT_GSHELL_FDS]);
int64_t kt_gshell_due_ns(const struct kt_gshell *shell, int64_t now_ns); /* INT64_MAX: never */

#endif
