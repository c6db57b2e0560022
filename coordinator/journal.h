/* journal.h - one sweep is one SQLite file (WAL, synchronous=FULL).
 *
 *	fact    the events, in order: the sweep's state is their fold (core/sweep.h)
 *	sample  what workers recorded, byte for byte (zstd where that is smaller)
 *	log     what consoles and schedulers printed
 *	meta    the matrix as it was read, the artifacts' digests, what a resume needs
 *
 * Group commit: rows are added to an open transaction; kt_journal_commit() makes them durable, all or
 * none. Whoever sends a message waits for the commit first. A write that fails leaves the transaction
 * broken and every later call failing: the process must stop (state in memory is ahead of the disk).
 */
#ifndef KT_JOURNAL_H
#define KT_JOURNAL_H

#include "coordinator/core/sweep.h"

struct kt_journal;

/* -EEXIST when there is one already. */
int kt_journal_create(const char *path, struct kt_journal **journal, struct kt_err *err);
/* -ENOENT; fault INPUT when it is not a sweep of ours or from a newer version. Exclusive unless
 * read_only: -EBUSY when another process works on it.
 */
int kt_journal_open(const char *path, bool read_only, struct kt_journal **journal,
		    struct kt_err *err);
void kt_journal_close(struct kt_journal **journal_p); /* what was not committed is rolled back */
const char *kt_journal_path(const struct kt_journal *journal);

int kt_journal_set_meta(struct kt_journal *journal, const char *key, const void *bytes, size_t len,
			struct kt_err *err);
/* Copies into arena, adds a 0 byte; -ENOENT without filling err's text when there is none. */
int kt_journal_meta(struct kt_journal *journal, const char *key, struct kt_arena *arena,
		    struct kt_bin *value, struct kt_err *err);

int kt_journal_add_fact(struct kt_journal *journal, int64_t wall_ns, uint32_t tag, const void *fact,
			struct kt_err *err);
/* The fact that was added last, encoded. Borrowed until the next one. */
struct kt_bin kt_journal_newest_fact(const struct kt_journal *journal);
int kt_journal_add_sample(struct kt_journal *journal, const struct kt_msg_sample_sent *sample,
			  struct kt_err *err);
int kt_journal_add_log(struct kt_journal *journal, const struct kt_msg_log_sent *log,
		       struct kt_err *err);
int kt_journal_commit(struct kt_journal *journal, struct kt_err *err);
bool kt_journal_is_dirty(const struct kt_journal *journal);

/* Readings. A callback that returns non-zero stops the walk, which returns that. */
typedef int kt_journal_fact_fn(void *arg, uint64_t seq, int64_t wall_ns, uint32_t tag,
			       const void *fact, struct kt_err *err);
/* Facts in order; each is decoded into an arena that lives for the call. cell = UINT64_MAX: all. */
int kt_journal_facts(struct kt_journal *journal, uint64_t cell, kt_journal_fact_fn *fn, void *arg,
		     struct kt_err *err);
typedef int kt_journal_bytes_fn(void *arg, uint64_t seq, const char *stream, const void *bytes,
				size_t len, struct kt_err *err);
int kt_journal_samples(struct kt_journal *journal, uint64_t cell, uint64_t epoch,
		       kt_journal_bytes_fn *fn, void *arg, struct kt_err *err);
int kt_journal_logs(struct kt_journal *journal, uint64_t cell, uint64_t epoch,
		    kt_journal_bytes_fn *fn, void *arg, struct kt_err *err);

/* The fold: reads every fact into sweep (initialised by the caller). */
int kt_journal_fold(struct kt_journal *journal, struct kt_sweep *sweep, struct kt_err *err);

#endif
