/* gswitch.h - changes the scheduler in the middle of a scenario: detach, attach, restart, replace.
 *
 *	RESTING -> UNLOADING -> TELLING_OUT -> LOADING -> TELLING_IN -> RESTING
 *	            (skipped where nothing is loaded)  (skipped where nothing is to be)
 *
 * The scheduler itself is gsched's; what it reports while a change is under way comes here. The host is told of
 * each change and answers before the scenario goes on: it sets the watchdog of a new scheduler meanwhile. Every
 * scheduler that is attached begins an epoch: its counters begin anew. One without a program is the kernel's
 * own: to attach it is to detach what is there.
 */
#ifndef KT_GSWITCH_H
#define KT_GSWITCH_H

#include "worker/guest/gask.h"
#include "worker/guest/gsched.h"

#define KT_GSWITCH_NONE SIZE_MAX /* the kernel's own schedules */

enum kt_gswitch_state {
	KT_GSWITCH_RESTING,
	KT_GSWITCH_UNLOADING,
	KT_GSWITCH_TELLING_OUT,
	KT_GSWITCH_LOADING,
	KT_GSWITCH_TELLING_IN,
};

/* What ktguest does around the scheduler's own part: gstats' connection. */
struct kt_gswitch_calls {
	enum kt_gsched_event (*load)(void *arg, const struct kt_msg_guest_load *load);
	void (*unload)(void *arg, int64_t deadline_ns);
	void *arg;
	const struct kt_gsched_failure *failure; /* filled when REFUSED or FORCED is reported */
};

struct kt_gswitch {
	struct kt_gswitch_calls calls;
	struct kt_gask *ask; /* borrowed, and run as well */
	const struct kt_msg_guest_run *run; /* schedulers[0] is the one that the job began with */
	enum kt_gswitch_state state;
	size_t loaded; /* which of run->schedulers, or NONE */
	size_t last; /* the one that was loaded last: restart means it */
	size_t wanted;
	uint64_t epoch;
	bool is_back; /* it was loaded again by its own program, and the host does not know yet */
	enum kt_gsched_event failed; /* REFUSED or FORCED: calls.failure says more */
};

/* is_loaded: schedulers[0] runs already. */
void kt_gswitch_init(struct kt_gswitch *change, const struct kt_gswitch_calls *calls,
		     struct kt_gask *ask, const struct kt_msg_guest_run *run, bool is_loaded);

/* Each begins a change; an error when there is nothing to change, or no such scheduler. text gets what is done. */
int kt_gswitch_detach(struct kt_gswitch *change, struct kt_buf *text, struct kt_err *err);
int kt_gswitch_attach(struct kt_gswitch *change, struct kt_buf *text, struct kt_err *err);
int kt_gswitch_restart(struct kt_gswitch *change, struct kt_buf *text, struct kt_err *err);
int kt_gswitch_replace(struct kt_gswitch *change, const char *name, struct kt_buf *text,
		       struct kt_err *err);

/* What gsched reports. False when no change waits for it: then it is somebody else's. */
bool kt_gswitch_take(struct kt_gswitch *change, enum kt_gsched_event event, int64_t now_ns);
/* Tells the host of one that came back by itself, as soon as nothing else is open. Nobody waits for the answer. */
void kt_gswitch_tell(struct kt_gswitch *change, int64_t now_ns);
/* 1 when the change is done, 0 while not; -ECANCELED when `failed` is set, else what gask says. */
int kt_gswitch_look(struct kt_gswitch *change, int64_t now_ns, struct kt_err *err);

#endif
