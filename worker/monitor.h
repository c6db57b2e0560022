/* monitor.h - a look at the guest's run queues every 100 ms while the scenario runs, without stopping it.
 *
 * The loop of the attempt (attempt.h) looks when it is due and nothing else is being done: a look that comes late is not
 * made up for. What is read is the running guest's memory, as captures rehearse it: pages as of one moment each. The
 * first look is at the anchor, the last before the scenario is over; worker/core/looks.h says what becomes of them.
 */
#ifndef KT_MONITOR_H
#define KT_MONITOR_H

#include "proto/base/err.h"
#include "worker/core/looks.h"

struct kt_attempt;
struct kt_vcputime;

struct kt_monitor {
	bool began;
	bool ended; /* nothing more can be seen */
	int64_t next_ns; /* workload time of the next look */
	struct kt_looks looks;
	struct kt_vcputime *vcputime; /* NULL: nobody can tell */
	struct kt_err err; /* why it ended */
};

/* The host's moment of the next look; INT64_MAX: there is none. */
int64_t kt_monitor_due_ns(const struct kt_attempt *attempt);
/* Looks when it is due. */
void kt_monitor_look(struct kt_attempt *attempt);
/* In the attempt's arena; NULL when the scenario never began. */
struct kt_msg_monitor_report *kt_monitor_report(struct kt_attempt *attempt);
void kt_monitor_destroy(struct kt_monitor *monitor); /* frees the memory, not the struct */

#endif
