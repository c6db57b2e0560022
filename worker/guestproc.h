/* guestproc.h - the agent's side of one attempt process (attempt_main.h): spawn, tell, hear, end.
 *
 *	agent  -- run_guest, run_start, run_cancel -->  process
 *	       <-- run_phase, run_sample, run_log, run_up, run_saved, run_broke, run_ended --
 *
 * The process parses an untrusted guest; it may lie, hang or crash, and is only ever one guest's. It and its
 * QEMU die with the agent (PDEATHSIG). Everything happens in the agent's libuv loop; only end_now blocks.
 */
#ifndef KT_GUESTPROC_H
#define KT_GUESTPROC_H

#include "proto/schema.h"
#include "worker/qemu.h"

#include <uv.h>

struct kt_guestproc;

/* Every process of one runner, also those that nobody listens to any more. Starts as { 0 }. */
struct kt_guestprocs {
	struct kt_guestproc *first;
};

/* How a process ended. */
struct kt_guestproc_end {
	const char *text; /* in words: "was killed by signal 9 (Killed)" */
	bool broke_format; /* it said what cannot be: a bug of ours */
};

struct kt_guestproc_events {
	/* The frame is in the arena; keep both by moving the arena's content away. */
	void (*frame)(void *arg, struct kt_arena *arena, const struct kt_message *message,
		      void *frame);
	/* It has exited and all it said was heard. The pointer is dead afterwards. */
	void (*ended)(void *arg, const struct kt_guestproc_end *end);
};

/* fds: a template's state and RAM, NULL when there are none; the process gets them from descriptor
 * KT_ATTEMPT_MAIN_FD + 1 on, in this order. They stay the caller's. Fault HOST.
 */
int kt_guestproc_spawn(uv_loop_t *loop, struct kt_guestprocs *procs, const int *fds, size_t n_fds,
		       const struct kt_guestproc_events *events, void *arg,
		       struct kt_guestproc **proc_p, struct kt_err *err);
void kt_guestproc_tell(struct kt_guestproc *proc, uint32_t tag, const void *message);
/* Another one hears from now on what it says: a spare guest becomes a run. */
void kt_guestproc_hand_over(struct kt_guestproc *proc, const struct kt_guestproc_events *events,
			    void *arg);
/* SIGKILL in so many milliseconds, unless it ends before. */
void kt_guestproc_kill_in(struct kt_guestproc *proc, uint64_t ms);
/* SIGTERM, and SIGKILL when that does not help soon; nobody hears of it. Accepts NULL. */
void kt_guestproc_drop(struct kt_guestproc **proc_p);
/* Blocks until all are gone, their guests with them: SIGTERM, and SIGKILL at the deadline. No events any
 * more; whoever has a pointer forgets it.
 */
void kt_guestproc_end_all(struct kt_guestprocs *procs, int64_t deadline_ns);

#endif
