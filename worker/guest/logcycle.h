/* logcycle.h - lines that come again and again, said once with their number.
 *
 * A BPF verifier that walks a loop prints the loop's instructions once per round, with other values: a log of
 * megabytes in which one round says everything. A block of up to KT_LOGCYCLE_LINES_MAX lines that comes at least
 * three times in a row becomes the block, how often it came again, and its last round when it had other values:
 *
 *	26: (04) w1 += 1       ; R1=1
 *	27: (56) if w1 != 0x7d0 goto pc+13
 *	[the 2 lines above 1999 more times, with other values; the last time:]
 *	26: (04) w1 += 1       ; R1=2000
 *	27: (56) if w1 != 0x7d0 goto pc+13
 *
 * The verifier's instructions are the same whatever it knows of the registers; every other line must be equal byte
 * for byte, so nothing but register states is ever lost. Pure: lines go in, lines come out, some held back.
 */
#ifndef KT_LOGCYCLE_H
#define KT_LOGCYCLE_H

#include "proto/base/buf.h"

#define KT_LOGCYCLE_LINES_MAX 256 /* of a block */

typedef void kt_logcycle_sink(void *arg, const char *line, size_t len);

struct kt_logcycle_line {
	uint64_t key; /* equal: the same instruction, or the same bytes */
	uint64_t bytes; /* equal: the same bytes */
};

struct kt_logcycle {
	kt_logcycle_sink *sink;
	void *arg;
	struct kt_logcycle_line seen[KT_LOGCYCLE_LINES_MAX]; /* a ring: the newest that came out */
	size_t n_seen; /* ever */
	/* While lines come that came before: */
	size_t period; /* lines of the block, which are the newest seen; 0: none do */
	size_t at; /* how many of them came in this round */
	size_t rounds; /* whole ones, after the block itself */
	bool varies; /* some round had other bytes than the block */
	struct kt_buf round; /* lines of this round, with newlines */
	struct kt_buf last; /* of the last whole one */
};

void kt_logcycle_init(struct kt_logcycle *cycle, kt_logcycle_sink *sink, void *arg);
void kt_logcycle_destroy(struct kt_logcycle *cycle); /* frees the memory, not the struct */
void kt_logcycle_take(struct kt_logcycle *cycle, const char *line, size_t len); /* no newline */
void kt_logcycle_flush(struct kt_logcycle *cycle); /* what is held back comes out now */

#endif
