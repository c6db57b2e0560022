/* gscenario.h - plays a scenario: steps of cgroups full of workers, each held for its time.
 *
 *	IDLE -> GATHERING -> HOLDING -> STOPPING -> GATHERING (next step) ... -> IDLE
 *
 * GATHERING: cgroups are made, workers forked and moved while they wait; once every one has said that
 * it waits, the gate opens for all at once. The first gate is the scenario's anchor. A step's workers
 * and cgroups end with the step.
 * Workers depend on the scheduler under test: they may never come to the gate and never stop. Both have
 * deadlines, and neither is waited for in any other way.
 */
#ifndef KT_GSCENARIO_H
#define KT_GSCENARIO_H

#include "proto/schema.h"
#include "proto/cause.h"
#include "worker/guest/gcrew.h"

#include <poll.h>
#include <sys/types.h>

#define KT_GSCENARIO_GATHER_NS (60 * KT_NS_PER_S) /* for every worker to come to the gate */

enum kt_gscenario_state {
	KT_GSCENARIO_IDLE,
	KT_GSCENARIO_GATHERING,
	KT_GSCENARIO_HOLDING,
	KT_GSCENARIO_STOPPING,
};

enum kt_gscenario_event {
	KT_GSCENARIO_NOTHING,
	KT_GSCENARIO_STARTED, /* the first gate opened: anchor_ns */
	KT_GSCENARIO_STEP, /* step `index` began at begun_ns */
	KT_GSCENARIO_FINISHED, /* reports are filled */
	KT_GSCENARIO_FAILED, /* cause, line; nothing of it runs any more that can be stopped */
};

struct kt_gscenario {
	enum kt_gscenario_state state;
	struct kt_arena arena; /* the scenario, names, reports */
	struct kt_msg_scenario scenario;
	uint64_t seed;
	int64_t stop_ns; /* how long workers get to stop */
	size_t index; /* step */
	bool is_announced; /* STEP was given for it */
	int64_t anchor_ns; /* -1 before the first gate */
	int64_t begun_ns; /* this step's gate */
	int64_t due_ns; /* end of this state */
	int64_t stop_told_ns;
	int64_t stop_took_ns_max; /* longest time from telling workers to stop to the last one's end */
	int ready_fd; /* an eventfd: workers that came to the gate */
	struct kt_gcrew **crews; /* of this step */
	size_t n_crews;
	struct kt_msg_worker_report *reports; /* of all steps so far */
	size_t n_reports;
	size_t n_reports_max;
	size_t n_missing; /* reports that never came */
	enum kt_cause_id cause;
	char line[512];
};

void kt_gscenario_init(struct kt_gscenario *scenario);
/* Copies what it needs. Fault PEER for what cannot be run: unknown work, bad names, too many workers. */
int kt_gscenario_start(struct kt_gscenario *scenario, const struct kt_msg_guest_run *run,
		       int64_t stop_ns, struct kt_err *err);
/* Kills what runs; for when the scheduler broke. */
void kt_gscenario_abort(struct kt_gscenario *scenario);
void kt_gscenario_reaped(struct kt_gscenario *scenario, pid_t pid, int wait_status);
struct pollfd kt_gscenario_fd(const struct kt_gscenario *scenario);
int64_t kt_gscenario_due_ns(const struct kt_gscenario *scenario); /* INT64_MAX: never */
/* One event per call, until NOTHING. */
enum kt_gscenario_event kt_gscenario_step(struct kt_gscenario *scenario, int64_t now_ns);

#endif
