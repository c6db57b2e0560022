/* arena.h - memory that lives and dies together: a decoded message, a value tree, a matrix.
 *
 * Everything allocated is zeroed and stays valid until kt_arena_destroy or kt_arena_reset.
 * An arena with a limit returns NULL beyond it (decoders of outside bytes turn that into a kt_err);
 * an arena without one never returns NULL.
 */
#ifndef KT_ARENA_H
#define KT_ARENA_H

#include "proto/base/own.h"

#include <stddef.h>

struct kt_arena {
	struct kt_arena_block *blocks; /* newest first */
	size_t used; /* bytes handed out */
	size_t max; /* bytes; 0 means no limit */
};

#define KT_AUTO_ARENA KT_AUTO(kt_arena_destroy) struct kt_arena

void *kt_arena_alloc(struct kt_arena *arena, size_t n, size_t size);
void *kt_arena_copy(struct kt_arena *arena, const void *bytes, size_t len); /* adds a 0 byte */
char *kt_arena_strdup(struct kt_arena *arena, const char *text);
__attribute__((format(printf, 2, 3))) char *kt_arena_printf(struct kt_arena *arena,
							    const char *format, ...);
void kt_arena_reset(struct kt_arena *arena); /* keeps one block for reuse */
void kt_arena_destroy(struct kt_arena *arena); /* frees the memory, not the struct */

#endif
