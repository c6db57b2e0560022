/* attempts.h - what comes of a lease: samples, logs, phases, its result.
 *
 * Only its own host speaks for it (the session proves it). A result that comes too late is evidence.
 */
#ifndef KT_ATTEMPTS_H
#define KT_ATTEMPTS_H

#include "coordinator/core/desk.h"

void kt_attempts_sample(struct kt_dispatch *d, const struct kt_host *host,
			const struct kt_msg_sample_sent *sample, struct kt_out *out);
void kt_attempts_log(struct kt_dispatch *d, const struct kt_host *host,
		     const struct kt_msg_log_sent *log, struct kt_out *out);
void kt_attempts_phase(struct kt_dispatch *d, const struct kt_host *host,
		       const struct kt_msg_phase *phase, struct kt_out *out);
void kt_attempts_result(struct kt_dispatch *d, const struct kt_host *host,
			const struct kt_msg_result_sent *msg, struct kt_out *out);

/* Whether a late result of this lease is known; from now on it is. */
bool kt_attempts_is_known_late(struct kt_dispatch *d, uint64_t epoch);

#endif
