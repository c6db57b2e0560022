/* gpayload.h - one start of a program of the user's (proto/job.def, payload): its processes, what it prints, how it
 * ends.
 *
 *	WAITING (at its gate) -> RUNNING -> STOPPING (SIGTERM) -> KILLED -> CLEARING -> OVER
 *	                            `------- ended by itself ----------------^
 *
 * It leads a session, in a cgroup of its own within the one that it is to run in: nothing that it forks gets away,
 * whatever session that makes for itself. The cgroup has no controllers, so its tasks are governed as those around
 * them. It is over when its first process is: what that leaves behind is killed. One that is told to
 * stop may say its last words (SIGTERM) for KT_GPAYLOAD_TERM_NS, then it is killed.
 * Both outputs are read without ever blocking, KT_GPAYLOAD_WINDOW_BYTES at most in KT_GPAYLOAD_WINDOW_NS: one that
 * floods waits in its own write(2), and ktguest, which goes before everybody, leaves the CPU to others.
 */
#ifndef KT_GPAYLOAD_H
#define KT_GPAYLOAD_H

#include "proto/schema.h"
#include "worker/guest/gkeep.h"

#include <stdbool.h>
#include <sys/types.h>

#define KT_GPAYLOAD_TERM_NS      (1 * KT_NS_PER_S)
#define KT_GPAYLOAD_DRAIN_NS     (1 * KT_NS_PER_S) /* for outputs that somebody else holds open */
#define KT_GPAYLOAD_LOOK_NS      (5 * KT_NS_PER_MS) /* between two looks at what is being killed */
#define KT_GPAYLOAD_WINDOW_NS    (100 * KT_NS_PER_MS)
#define KT_GPAYLOAD_WINDOW_BYTES (1u << 20)

#define KT_GPAYLOAD_OWN \
	".payload-" /* how its own cgroup is called; no scenario's begins with '.' */

enum kt_gpayload_state {
	KT_GPAYLOAD_WAITING,
	KT_GPAYLOAD_RUNNING,
	KT_GPAYLOAD_STOPPING,
	KT_GPAYLOAD_KILLED,
	KT_GPAYLOAD_CLEARING, /* its first process is reaped: the rest, and what is in the pipes */
	KT_GPAYLOAD_OVER,
};

/* Who ended it. */
enum kt_gpayload_end {
	KT_GPAYLOAD_BY_ITSELF,
	KT_GPAYLOAD_TOLD, /* by an op, or with what started it */
	KT_GPAYLOAD_DEADLINE,
	KT_GPAYLOAD_FAILED, /* it could not be started */
};

struct kt_gpayload_spec {
	const struct kt_msg_payload *what; /* borrowed, as are all of these */
	const char *cgroup; /* "": beside all others */
	uint32_t number; /* of the start, within the attempt */
	uint64_t step; /* for its report */
	int poll_fd; /* epoll(7): gets its outputs */
};

struct kt_gpayload {
	struct kt_gpayload_spec spec;
	enum kt_gpayload_state state;
	enum kt_gpayload_end end;
	char *own; /* its cgroup */
	pid_t pid; /* leads its session; 0 once reaped */
	pid_t session;
	int wait_status;
	int gate_fd; /* closing it lets it go */
	int failure_fd; /* holds errno when it could not be started */
	int failure; /* that errno */
	int fds[2]; /* stdout, stderr; -1 at their end */
	struct kt_gkeep kept[2];
	bool is_removed; /* its cgroup */
	bool is_paused; /* its outputs are not polled: it wrote too much for now */
	int64_t window_ns; /* when the present window began */
	size_t window_bytes;
	int64_t begun_ns; /* let go; 0 before */
	int64_t told_ns; /* to stop */
	int64_t ended_ns; /* its first process was reaped */
};

/* Pure. Bytes of a cgroup's name without a payload's own: "cg_0" of "cg_0/.payload-1". */
size_t kt_gpayload_cgroup_len(const char *name);

/* Forks it and moves it into its cgroup, where it waits. Fault GUEST. */
int kt_gpayload_start(const struct kt_gpayload_spec *spec, struct kt_gpayload **payload,
		      struct kt_err *err);
void kt_gpayload_go(struct kt_gpayload *payload, int64_t now_ns);
void kt_gpayload_stop(struct kt_gpayload *payload, int64_t now_ns);
/* All that it is goes into another cgroup. */
int kt_gpayload_move(struct kt_gpayload *payload, const char *cgroup, struct kt_err *err);
bool kt_gpayload_reaped(struct kt_gpayload *payload, pid_t pid, int wait_status);
/* Called whenever something happened or its time has come. */
void kt_gpayload_step(struct kt_gpayload *payload, int64_t now_ns);
int64_t kt_gpayload_due_ns(const struct kt_gpayload *payload, int64_t now_ns);

/* -ECHILD when it could not be started, 0 else. */
int kt_gpayload_trouble(const struct kt_gpayload *payload, struct kt_err *err);
/* "exited with status 0": how it ended, or that it still runs. */
void kt_gpayload_describe(const struct kt_gpayload *payload, struct kt_buf *text);
/* Of one that is over; texts in the arena. What it wrote is cut to out_most and errors_most. */
void kt_gpayload_report(const struct kt_gpayload *payload, size_t out_most, size_t errors_most,
			struct kt_arena *arena, struct kt_msg_payload_report *report);
/* Kills what is left of it. */
void kt_gpayload_destroy(struct kt_gpayload **payload_p);

#endif
