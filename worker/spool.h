/* spool.h - what a worker measured and the coordinator does not have yet, on disk.
 *
 * One SQLite file (WAL, synchronous=FULL). Pieces go in, commit makes them durable, only then are they
 * offered to the coordinator; they leave on its acknowledgement. Attempts are keyed by sweep and
 * epoch; samples and logs by their number within the attempt.
 *
 * After a restart an attempt without a result is dropped (its guest died with us); finished ones
 * come back. A file that is damaged, or of another version, is set aside under another name, and the
 * spool starts empty: kt_spool_set_aside() says so.
 *
 * Calls block for as long as the disk takes. Errors have fault HOST; code ENOSPC means a full disk.
 * After a failed put or commit everything since the last commit is gone (rolled back): the caller
 * says so to whoever waits for it.
 */
#ifndef KT_SPOOL_H
#define KT_SPOOL_H

#include "proto/base/buf.h"
#include "proto/base/err.h"

#include <stdbool.h>
#include <stdint.h>

struct kt_spool;

struct kt_spool_key {
	const char *sweep;
	uint64_t cell;
	uint64_t epoch;
};

struct kt_spool_left {
	struct kt_spool_key key; /* sweep is borrowed for the call */
	uint64_t samples_acked; /* samples below it were let go */
	uint64_t samples; /* one more than the last sample's number */
	uint64_t logs;
};

/* bytes_max bounds the file, 0 for no bound but the disk's. */
int kt_spool_open(const char *path, uint64_t bytes_max, struct kt_spool **spool,
		  struct kt_err *err);
void kt_spool_destroy(struct kt_spool **spool_p); /* commits what it can */
/* Where a damaged file went and why, or NULL. */
const char *kt_spool_set_aside(const struct kt_spool *spool);

/* Drops what was unfinished, keeps the newest KT_SPOOL_RESULTS_MAX results (*n_dropped: how many older
 * ones went) and tells the finished, oldest first. Once, right after open.
 */
int kt_spool_restore(struct kt_spool *spool,
		     void (*left)(void *arg, const struct kt_spool_left *left), void *arg,
		     size_t *n_dropped, struct kt_err *err);

int kt_spool_put_sample(struct kt_spool *spool, const struct kt_spool_key *key, uint64_t seq,
			const void *body, size_t len, struct kt_err *err);
int kt_spool_put_log(struct kt_spool *spool, const struct kt_spool_key *key, uint64_t seq,
		     const char *stream, const void *body, size_t len, struct kt_err *err);
/* body: an encoded struct result. Replaces one that is there. */
int kt_spool_put_result(struct kt_spool *spool, const struct kt_spool_key *key, const void *body,
			size_t len, struct kt_err *err);
bool kt_spool_is_dirty(const struct kt_spool *spool); /* something waits for commit */
int kt_spool_commit(struct kt_spool *spool, struct kt_err *err);

/* Append to out; -ENOENT when it is not there. */
int kt_spool_get_sample(struct kt_spool *spool, const struct kt_spool_key *key, uint64_t seq,
			struct kt_buf *out, struct kt_err *err);
int kt_spool_get_log(struct kt_spool *spool, const struct kt_spool_key *key, uint64_t seq,
		     char stream[33], struct kt_buf *out, struct kt_err *err);
int kt_spool_get_result(struct kt_spool *spool, const struct kt_spool_key *key, struct kt_buf *out,
			struct kt_err *err);

/* Deletions become durable with the next commit; losing one only means sending again. */
int kt_spool_trim(struct kt_spool *spool, const struct kt_spool_key *key, uint64_t samples,
		  struct kt_err *err);
int kt_spool_forget(struct kt_spool *spool, const struct kt_spool_key *key, struct kt_err *err);

#endif
