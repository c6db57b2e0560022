/* stored.h - the series of a cell as the journal keeps it: what is judged, now or again.
 *
 * Only an attempt that ended with a result has one that is whole: so many samples as the worker said, and
 * byte for byte what it recorded (invariant 3 of docs/ARCHITECTURE.md).
 */
#ifndef KT_STORED_H
#define KT_STORED_H

#include "assertions/series.h"
#include "coordinator/core/matrix/matrix.h"
#include "coordinator/journal.h"

/* Zeroed memory holds nothing. */
struct kt_stored {
	struct kt_arena arena;
	struct kt_msg_result *result; /* how the attempt ended; in the arena */
	struct kt_series series;
};

#define KT_AUTO_STORED KT_AUTO(kt_stored_destroy) struct kt_stored

/* Of the lease `epoch` of a cell. -ENOENT: it has no result; -EBADMSG: its series is not what the worker
 * recorded (result is there all the same); -EIO and others: the journal cannot be read.
 */
int kt_stored_load(struct kt_journal *journal, uint64_t cell, uint64_t epoch,
		   struct kt_stored *stored, struct kt_err *err);
void kt_stored_destroy(struct kt_stored *stored); /* frees the memory, not the struct */

/* The series as a file (assertions/seriesfile.h) behind what is in out; errors as there. */
int kt_stored_print(const struct kt_stored *stored, const struct kt_matrix *matrix, uint64_t cell,
		    struct kt_buf *out, struct kt_err *err);
/* The same into a file, which is there whole or not at all; one of that name is replaced. */
int kt_stored_write(const struct kt_stored *stored, const struct kt_matrix *matrix, uint64_t cell,
		    const char *path, struct kt_err *err);

#endif
