/* artifacts.h - what a sweep ships to its workers, by content.
 *
 * Every file is copied into <state>/artifacts/<digest> before the sweep begins: the scheduler that is
 * rebuilt meanwhile changes nothing, and a resume runs the same bytes. Pieces are served by digest;
 * only digests that were added are served.
 */
#ifndef KT_ARTIFACTS_H
#define KT_ARTIFACTS_H

#include "proto/schema.h"

#include <limits.h>

struct kt_artifacts;

/* Makes the folder. */
int kt_artifacts_open(const char *state_dir, struct kt_artifacts **artifacts, struct kt_err *err);
void kt_artifacts_destroy(struct kt_artifacts **artifacts_p);

/* Copies the file in (nothing is written when its content is there already). Blocks. -ENOENT when
 * there is no such file (fault INPUT), fault HOST when the copy fails.
 */
int kt_artifacts_add(struct kt_artifacts *artifacts, const char *path, struct kt_digest *digest,
		     uint64_t *bytes, struct kt_err *err);
/* One that an earlier term added: -ENOENT (fault HOST) when it is gone, -EBADMSG when damaged. */
int kt_artifacts_add_known(struct kt_artifacts *artifacts, const struct kt_digest *digest,
			   struct kt_err *err);

/* Where it lies, or would lie. */
void kt_artifacts_path(const struct kt_artifacts *artifacts, const struct kt_digest *digest,
		       char path[PATH_MAX]);

/* For reading what was added; borrowed, has no position of its own worth keeping. -1: it was not added. */
int kt_artifacts_fd(const struct kt_artifacts *artifacts, const struct kt_digest *digest);

uint64_t kt_artifacts_bytes(const struct kt_artifacts *artifacts,
			    const struct kt_digest *digest); /* 0: it was not added */

/* Answers FETCH: fills chunk, its body in `room` (KT_CHUNK_BYTES_MAX bytes, the caller's). What cannot
 * be had is said in chunk->missing (static text). Blocks for the disk; several threads may call it at the
 * same time, while nothing is added. A name other than a digest cannot be said: nothing of what was asked
 * becomes part of a path.
 */
void kt_artifacts_fetch(const struct kt_artifacts *artifacts, const struct kt_msg_fetch *fetch,
			uint8_t *room, struct kt_msg_chunk *chunk);

#endif
