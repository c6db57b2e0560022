/* gstall.h - our own stall detector: which worker is runnable and is not run?
 *
 * sched_ext's watchdog is in the hands of whom it watches: its timeout is the scheduler's, up to 30 s, and the kernel's
 * own scheduler has none. ktguest stands above sched_ext (SCHED_FIFO), so it sees from beside what happens below it.
 *
 * A worker is looked at again and again: its state (/proc/<pid>/stat) and how often and how long it ran
 * (/proc/<pid>/schedstat). To leave the state R a task has to run: one that is R at two looks and has not run
 * in between was runnable all the time, however far apart they are. So a few dozen looks per round do for
 * thousands of workers.
 *
 * Not counted: workers of cgroups that are frozen, or throttled by cpu.max; and time in which we did not run
 * ourselves, because then nobody did. Tasks that are stopped, sleep or wait for a disk are not R.
 */
#ifndef KT_GSTALL_H
#define KT_GSTALL_H

#include "proto/cause.h"
#include "worker/guest/gstage.h"

#define KT_GSTALL_ROUND_NS_MIN \
	(100 * KT_NS_PER_MS) /* between two rounds; a twentieth of the limit */
#define KT_GSTALL_ROUND_NS_MAX (1 * KT_NS_PER_S)
#define KT_GSTALL_LOOKS_MIN    16 /* of a round; more when ten rounds would not do for all workers */

/* One look at a worker. */
struct kt_gstall_seen {
	char state;
	int cpu; /* where it ran last */
	uint64_t run_ns; /* schedstat: time on a CPU */
	uint64_t runs; /* and how often it got one */
	bool is_held; /* it may not run: its cgroup is frozen, or was throttled since the last look */
};

/* What is remembered of it. */
struct kt_gstall_watch {
	pid_t pid; /* 0: nobody */
	uint64_t run_ns;
	uint64_t runs;
	uint64_t throttled; /* of its cgroup, when that was last read */
	int64_t since_ns; /* it has been runnable at least since then; 0: it was not, or it ran */
};

/* Pure. For how long, at least, the worker has been runnable without running. now_ns > 0. */
int64_t kt_gstall_feed(struct kt_gstall_watch *watch, const struct kt_gstall_seen *seen,
		       int64_t now_ns);

struct kt_gstall {
	int64_t limit_ns; /* under a scheduler of sched_ext */
	int64_t kernels_limit_ns; /* under the kernel's own */
	int64_t looked_ns; /* the last round */
	int64_t observed_ns; /* a clock of ours, which stands still while we do not run */
	size_t next; /* which worker the next round begins with */
	struct kt_gstall_watch *watches; /* by pid; NULL while nobody looks */
	/* once one was found */
	enum kt_cause_id cause;
	char line[512];
	struct kt_buf evidence; /* all that wait */
};

/* The scenario's own limit, or one that gives sched_ext's watchdog all the time that it may need to speak first. */
void kt_gstall_begin(struct kt_gstall *stall, const struct kt_msg_scenario *scenario);
void kt_gstall_end(struct kt_gstall *stall); /* what was found stays until the next begin */
/* True when a worker has waited too long: cause, line and evidence are filled. is_kernels_own: no sched_ext scheduler
 * is loaded.
 */
bool kt_gstall_step(struct kt_gstall *stall, const struct kt_gstage *stage, bool is_kernels_own,
		    int64_t now_ns);
int64_t kt_gstall_due_ns(const struct kt_gstall *stall); /* INT64_MAX: never */

#endif
