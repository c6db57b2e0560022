/* gsched.h - the scheduler under test: its program, its output, what the kernel says of it.
 *
 *	IDLE -> LOADING -> ENABLED -> UNLOADING -> IDLE
 *	           \ refused   \ lost      ^
 *	            `-----------`-> BROKEN -'
 *
 * Works for any sched_ext scheduler: it looks at /sys/kernel/sched_ext/state, at the program's end and
 * at the kernel's log, never at what the scheduler itself calls success.
 * Nothing blocks: kt_gsched_step() is called whenever something happened or its time has come.
 */
#ifndef KT_GSCHED_H
#define KT_GSCHED_H

#include "proto/schema.h"
#include "worker/guest/gidle.h"
#include "worker/guest/kmsg.h"

#include <sys/types.h>

enum kt_gsched_state {
	KT_GSCHED_IDLE, /* the kernel's own scheduler */
	KT_GSCHED_LOADING, /* program started, not yet enabled */
	KT_GSCHED_ENABLED,
	KT_GSCHED_BROKEN, /* refused, ended by itself or thrown out: only unload leads on */
	KT_GSCHED_UNLOADING,
};

enum kt_gsched_event {
	KT_GSCHED_NOTHING,
	KT_GSCHED_LOADED, /* the kernel says enabled */
	KT_GSCHED_REFUSED, /* it did not come up: failure is filled */
	KT_GSCHED_LOST, /* it was enabled and is no more: failure is filled */
	KT_GSCHED_RELOADED, /* its program loaded it again, as the kernel had asked: a CPU came or went */
	KT_GSCHED_UNLOADED,
	KT_GSCHED_FORCED, /* unloaded, but only by SIGKILL and SysRq-S: failure is filled */
};

struct kt_gsched_failure {
	enum kt_cause_id cause;
	char line[1024];
	struct kt_buf evidence; /* KT_LOGTAIL_BYTES_MAX and some 16 KiB at most */
};

/* What the BPF verifier said of a program, as libbpf passes it on. */
struct kt_gsched_verifier {
	char program[64];
	char line[256]; /* the newest of its log */
	char said[256]; /* the last before its statistics: why it refuses */
};

struct kt_gsched {
	enum kt_gsched_state state;
	struct kt_kmsg *kmsg; /* borrowed */
	pid_t pid; /* of the program, its process group too; 0 when there is none */
	int wait_status; /* once it ended */
	bool has_ended;
	bool was_killed; /* by kt_gsched_step, after the deadline */
	int output_fd; /* its stdout and stderr in one pipe: their order is kept */
	struct kt_logtail output; /* the end of it */
	const struct kt_gsched_refusal *refusal; /* the gravest that a line of it spoke of */
	struct kt_gsched_verifier verifier;
	int64_t begun_ns;
	int64_t load_ns; /* how long a load may take */
	int64_t deadline_ns;
	int64_t looked_ns; /* last look at the state file */
	int64_t broken_ns; /* when it was first seen to be broken */
	int64_t stirred_ns; /* its last output, or when the kernel was last seen to disable it */
	struct kt_gidle idle; /* while it is loading */
	struct kt_gsched_failure failure;
};

/* The struct stays where it is from here on. */
void kt_gsched_init(struct kt_gsched *sched, struct kt_kmsg *kmsg);
bool kt_gsched_is_supported(void); /* this kernel has sched_ext */
/* Only when IDLE. Without args there is nothing to load: KT_GSCHED_LOADED at once, still IDLE. Without
 * sched_ext in the kernel: KT_GSCHED_REFUSED at once. Else NOTHING yet.
 */
enum kt_gsched_event kt_gsched_load(struct kt_gsched *sched, const struct kt_msg_guest_load *load);
void kt_gsched_unload(struct kt_gsched *sched, int64_t deadline_ns);
/* The next step looks at the state file, whenever the last look was. */
void kt_gsched_look(struct kt_gsched *sched);
/* PID 1 reaped somebody. */
void kt_gsched_reaped(struct kt_gsched *sched, pid_t pid, int wait_status);
/* Reads output: each piece goes to sink as well. */
void kt_gsched_read(struct kt_gsched *sched, void (*sink)(void *arg, const void *bytes, size_t len),
		    void *arg);
/* Appends what a verdict on it that is not its own can show: state, kernel log, max bytes of its output. */
void kt_gsched_put_evidence(struct kt_gsched *sched, size_t max, struct kt_buf *evidence);
enum kt_gsched_event kt_gsched_step(struct kt_gsched *sched, int64_t now_ns);
int64_t kt_gsched_due_ns(const struct kt_gsched *sched, int64_t now_ns); /* INT64_MAX: never */

#endif
