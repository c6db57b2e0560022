/* payloads.h - the payloads of a matrix before they run: found, packed with what they need, put into jobs.
 *
 * In the guest each has PATH, HOME and LD_LIBRARY_PATH, which the matrix's `env` may replace. What `files` sends
 * stands wherever it says, once: two payloads may send the same file there, but not two.
 */
#ifndef KT_PAYLOADS_H
#define KT_PAYLOADS_H

#include "coordinator/core/facts.h"
#include "coordinator/core/matrix/matrix.h"
#include "coordinator/programs.h"

/* Fills manifest->payloads, in programs->arena. Errors name file:line:column of the entry. Blocks. */
int kt_payloads_prepare(const struct kt_matrix *matrix, const char *bin_dir,
			struct kt_programs *programs, struct kt_msg_manifest *manifest,
			struct kt_err *err);

/* What kt_matrix_job() left open of job->payloads. */
void kt_payloads_complete(const struct kt_msg_manifest *manifest, struct kt_arena *arena,
			  struct kt_msg_job *job);

#endif
