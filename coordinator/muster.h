/* muster.h - who is here, what everyone does, and how far the sweep is: the answers of `workers` and `status`.
 *
 * Readings of the fold, of the dispatch's fleet and of the roster, as JSON objects whose keys docs/operating.md lists.
 * The same of a sweep that nobody runs, out of its journal: without a fleet.
 */
#ifndef KT_MUSTER_H
#define KT_MUSTER_H

#include "coordinator/core/fleet.h"
#include "coordinator/core/matrix/matrix.h"
#include "coordinator/core/sweep.h"
#include "coordinator/roster.h"

#include <json-c/json.h>

#define KT_MUSTER_PACE_N  32 /* moments that the rate is taken over */
#define KT_MUSTER_PACE_NS (10 * KT_NS_PER_S) /* between two of them, at least */

/* How fast cells get their end: a ring of moments. All 0 at first. */
struct kt_muster_pace {
	struct {
		int64_t at_ns;
		uint64_t done;
	} ring[KT_MUSTER_PACE_N];
	size_t n; /* noted in all */
};

void kt_muster_note(struct kt_muster_pace *pace, int64_t now_ns, uint64_t done);

/* Cells that no host can take, as placement found. */
struct kt_muster_complaint {
	uint64_t cell; /* the first */
	uint64_t n;
	char why[256];
};

struct kt_muster {
	const struct kt_sweep *sweep;
	const struct kt_matrix *matrix;
	const char *file; /* of the sweep */
	/* What is NULL from here on is not known: nobody runs the sweep. */
	const struct kt_fleet *fleet;
	const struct kt_roster *roster;
	const struct kt_muster_pace *pace;
	const struct kt_muster_complaint
		*complaints; /* those whose cell waits no more are skipped */
	size_t n_complaints;
	const char *endpoint;
	int64_t now_ns; /* boot-time clock, as all of the above */
	int64_t begun_at_ns;
};

/* The caller owns them (json_object_put). kt_muster_workers() wants a fleet. */
struct json_object *kt_muster_workers(const struct kt_muster *muster);
struct json_object *kt_muster_status(const struct kt_muster *muster);

#endif
