/* metrics.h - what the payloads of an attempt printed, as numbers: for the verdict, for show, and for whoever keeps
 * them beyond a sweep.
 *
 *	result.payloads -> kt_metrics_read -> runs, each with a value per metric of the matrix
 *
 * The reports are an untrusted guest's. Those of payloads that the matrix does not have (it is another one than that
 * of the sweep) stay without metrics.
 */
#ifndef KT_METRICS_H
#define KT_METRICS_H

#include "assertions/payloadcheck.h"
#include "coordinator/core/matrix/matrix.h"

#include <json-c/json.h>
#include <stdio.h>

struct kt_metrics_payload {
	const struct kt_payloadcheck *check; /* the matrix's */
	struct kt_payloadcheck_run *runs; /* its starts, in the order of their reports */
	size_t n_runs;
};

struct kt_metrics {
	const struct kt_msg_result *result;
	struct kt_metrics_payload
		*payloads; /* those that the scenario starts, in the matrix's order */
	size_t n;
};

/* Everything lives in the arena (without a limit), and borrows from matrix and result. */
void kt_metrics_read(const struct kt_matrix *matrix, const struct kt_matrix_scenario *scenario,
		     const struct kt_msg_result *result, struct kt_arena *arena,
		     struct kt_metrics *metrics);

/* Says into verdict what every payload was to do and did (assertions/payloadcheck.h). */
void kt_metrics_judge(const struct kt_metrics *metrics, struct kt_verdict *verdict);

/* Nothing when no payload ran. output: what they wrote, too. */
void kt_metrics_print(const struct kt_metrics *metrics, bool output, FILE *out);
struct json_object *kt_metrics_json(const struct kt_metrics *metrics, bool output);

#endif
