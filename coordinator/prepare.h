/* prepare.h - from a matrix to what can be shipped: kernels fetched, scheduler programs found, all of
 * it digested and kept. Blocks (minutes when a kernel is fetched); says what it does.
 */
#ifndef KT_PREPARE_H
#define KT_PREPARE_H

#include "coordinator/artifacts.h"
#include "coordinator/core/facts.h"
#include "coordinator/core/matrix/matrix.h"

struct kt_prepare {
	const char *state_dir;
	const char *bin_dir; /* where our own programs are: scx_kt is found there */
	bool scripted; /* no kernel and no scheduler is needed */
	void (*progress)(void *arg, const char *line);
	void *arg;
};

/* Every scheduler first (cheap, and the more likely mistake), then payloads, then every kernel. Errors name
 * file:line:column of the entry. manifest lives in arena.
 */
int kt_prepare_manifest(const struct kt_prepare *prepare, const struct kt_matrix *matrix,
			struct kt_artifacts *artifacts, struct kt_arena *arena,
			struct kt_msg_manifest *manifest, struct kt_err *err);

/* What `plan` says of a matrix on this machine: payloads are there, with all that they need. Of prepare only
 * bin_dir is looked at.
 */
int kt_prepare_check(const struct kt_prepare *prepare, const struct kt_matrix *matrix,
		     struct kt_err *err);

/* A manifest from the journal: everything must still be there. */
int kt_prepare_again(const struct kt_msg_manifest *manifest, struct kt_artifacts *artifacts,
		     struct kt_err *err);

/* Fills what kt_matrix_job left open. */
void kt_prepare_job(const struct kt_matrix *matrix, const struct kt_msg_manifest *manifest,
		    uint64_t cell, struct kt_arena *arena, struct kt_msg_job *job);

#endif
