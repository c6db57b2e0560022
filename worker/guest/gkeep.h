/* gkeep.h - the beginning and the end of what somebody writes, whatever lies between.
 *
 * Programs greet, then tell what comes out at their end: both are worth keeping, and so is that nothing of it was cut
 * in the middle of a line. What is left out is said where it was.
 */
#ifndef KT_GKEEP_H
#define KT_GKEEP_H

#include "proto/base/arena.h"
#include "proto/codec.h"

#define KT_GKEEP_NOTE_BYTES_MAX 64 /* of the line that says what is left out */

struct kt_gkeep {
	uint8_t *head; /* the first bytes */
	size_t head_len;
	size_t head_max;
	uint8_t *ring; /* the last bytes behind the head */
	size_t ring_at; /* where the next one goes */
	size_t ring_max;
	uint64_t total; /* bytes that were written */
};

/* head_max may be 0: the end only. Memory is taken as it is needed. */
void kt_gkeep_init(struct kt_gkeep *keep, size_t head_max, size_t ring_max);
void kt_gkeep_put(struct kt_gkeep *keep, const void *bytes, size_t len);
/* How long kt_gkeep_take() would be at most: all that is kept. */
size_t kt_gkeep_bytes(const struct kt_gkeep *keep);
/* At most `most` bytes of it, in the arena. When something must be left out it is whole lines, and a line says how
 * much; of a text without lines the beginning is given.
 */
void kt_gkeep_take(const struct kt_gkeep *keep, size_t most, struct kt_arena *arena,
		   struct kt_bin *text);
void kt_gkeep_destroy(struct kt_gkeep *keep); /* frees the memory, not the struct */

/* The largest share that may be given to each of n so that all fit into `most`: what the short ones leave over goes to the
 * long ones.
 */
size_t kt_gkeep_share(const size_t *bytes, size_t n, size_t most);

#endif
