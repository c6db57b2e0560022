/* gscenario.h - plays a scenario: the backdrop, then one step after the other in front of it.
 *
 *	DOING -> GATHERING -> [HOLDING -> ENDING] -> DOING (next step) ... -> RESTORING -> IDLE
 *
 * An act (the backdrop or a step) does its ops, then its setup: cgroups are made, workers forked and moved while
 * they wait; once every one has said that it waits, a step's gate opens for all at once, the backdrop's with the
 * first step's. That gate is the scenario's anchor: nothing of a scenario runs before it. What a step brought ends
 * with it (gstage.h). A step that loops does its setup first, then its ops, again and again while it holds; a round
 * that has begun is finished. The hold's clock begins with the gate and goes on while ops wait.
 * Everything waited for depends on the scheduler under test: every wait has a deadline.
 */
#ifndef KT_GSCENARIO_H
#define KT_GSCENARIO_H

#include "proto/cause.h"
#include "worker/guest/gops.h"

#include <poll.h>
#include <sys/types.h>

#define KT_GSCENARIO_EVENTS_MAX 2000 /* that are told one by one; a loop can do more */

enum kt_gscenario_state {
	KT_GSCENARIO_IDLE,
	KT_GSCENARIO_DOING,
	KT_GSCENARIO_GATHERING,
	KT_GSCENARIO_HOLDING,
	KT_GSCENARIO_ENDING,
	KT_GSCENARIO_RESTORING, /* CPUs that were taken away come back */
};

enum kt_gscenario_event {
	KT_GSCENARIO_NOTHING,
	KT_GSCENARIO_FINISHED, /* the stage's reports are filled */
	KT_GSCENARIO_FAILED, /* cause, line, evidence; nothing of it runs any more that can be stopped */
};

struct kt_gscenario_calls {
	void (*send)(void *arg, uint32_t tag, const void *message);
	enum kt_gsched_event (*load)(void *arg, const struct kt_msg_guest_load *load);
	void (*unload)(void *arg, int64_t deadline_ns);
	void *arg;
	const struct kt_gsched_failure *failure; /* of the one scheduler: what went wrong with it */
	bool (*may_begin)(void *arg); /* the anchor waits until it says so */
};

struct kt_gscenario {
	struct kt_gscenario_calls calls;
	enum kt_gscenario_state state;
	struct kt_arena arena; /* run, names, texts of reports */
	struct kt_msg_guest_run run;
	struct kt_gstage stage;
	struct kt_gask ask;
	struct kt_gswitch change;
	struct kt_ghotplug plug;
	struct kt_gops ops;
	size_t act; /* KT_GSTAGE_BACKDROP, or which step */
	size_t next_op; /* of the round under way */
	int64_t anchor_ns; /* -1 before the first gate */
	int64_t begun_ns; /* this state */
	int64_t due_ns; /* end of this state */
	int64_t loop_ns; /* when the next round begins */
	size_t n_events;
	size_t n_untold;
	enum kt_cause_id cause;
	char line[1024];
	const char *evidence; /* NULL: the kernel's log may know more */
};

void kt_gscenario_init(struct kt_gscenario *scenario, const struct kt_gscenario_calls *calls);
/* Copies what it needs. is_loaded: run.schedulers[0] runs. Fault PEER for what cannot be run: unknown work or
 * ops, bad names.
 */
int kt_gscenario_start(struct kt_gscenario *scenario, const struct kt_msg_guest_run *run,
		       bool is_loaded, struct kt_err *err);
/* Kills what runs; for when the scheduler broke. */
void kt_gscenario_abort(struct kt_gscenario *scenario);
void kt_gscenario_reaped(struct kt_gscenario *scenario, pid_t pid, int wait_status);
/* What gsched reports; false when no op waits for it. */
bool kt_gscenario_take(struct kt_gscenario *scenario, enum kt_gsched_event event, int64_t now_ns);
void kt_gscenario_seen(struct kt_gscenario *scenario, uint64_t id); /* guest_seen came */
struct pollfd kt_gscenario_fd(const struct kt_gscenario *scenario);
int64_t kt_gscenario_due_ns(const struct kt_gscenario *scenario,
			    int64_t now_ns); /* INT64_MAX: never */
enum kt_gscenario_event kt_gscenario_step(struct kt_gscenario *scenario, int64_t now_ns);

#endif
