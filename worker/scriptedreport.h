/* scriptedreport.h - what a script says that an attempt reports: of workers, wake-ups, payloads, run queues.
 *
 *	report CGROUP [F=V...]       a worker; they are numbered within cgroup and step as they come
 *	wakes CGROUP [F=V...]        wake-ups of a cgroup, or of "all"
 *	latency CGROUP DUR=N...      the probe's histogram: so many waits below that time; "else": of no cgroup
 *	payload NAME ENDED [F=V...]  a start of a payload
 *	monitor [F=V...]             what was seen from outside; said again, it adds
 *	measure NAME [F=V...]        one of its quantities
 *	event NAME COUNT             one of its counters
 *
 * F=V is a field of worker_report, wake_report, payload_report, monitor_report or monitor_measure (proto/job.def) and
 * its value, as proto/fieldtext.h reads it: cpu_ns=2.5s. Where in the script they stand does not matter.
 */
#ifndef KT_SCRIPTEDREPORT_H
#define KT_SCRIPTEDREPORT_H

#include "proto/schema.h"

/* Zeroed: nothing is said. Everything lives in the arena that the commands were read into. */
struct kt_scriptedreport {
	struct kt_msg_worker_report *reports;
	size_t n_reports;
	struct kt_msg_wake_report *wakes;
	size_t n_wakes;
	struct kt_msg_latency_report *latencies;
	size_t n_latencies;
	struct kt_msg_payload_report *payloads;
	size_t n_payloads;
	struct kt_msg_monitor_report *monitor; /* NULL unless one of its three commands was said */
	struct kt_msg_monitor_measure *measures;
	size_t n_measures;
	struct kt_msg_scx_event *events;
	size_t n_events;
};

bool kt_scriptedreport_is(const char *command);

/* One such command and the words behind it. -EINVAL and *wrong: the word that does not fit; -E2BIG: too many of them. */
int kt_scriptedreport_add(struct kt_scriptedreport *report, const char *command,
			  const char *const *words, size_t n, struct kt_arena *arena,
			  const char **wrong);

/* Borrows all of it. */
void kt_scriptedreport_fill(struct kt_scriptedreport *report, struct kt_msg_result *result);

#endif
