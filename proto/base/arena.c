#include "proto/base/arena.h"
#include "proto/base/must.h"

#include <stdalign.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#define BLOCK_BYTES 4096

struct kt_arena_block {
	struct kt_arena_block *next;
	size_t cap;
	size_t len;
	alignas(max_align_t) uint8_t data[];
};

static size_t align_up(size_t len)
{
	return (len + alignof(max_align_t) - 1) & ~(alignof(max_align_t) - 1);
}

void *kt_arena_alloc(struct kt_arena *arena, size_t n, size_t size)
{
	struct kt_arena_block *block = arena->blocks;
	size_t len;
	size_t cap;
	void *memory;

	if (size && n > (SIZE_MAX / 4) / size)
		goto full;
	len = align_up(n > 0 && size > 0 ? n * size : 1);
	if (arena->max && (len > arena->max || arena->used > arena->max - len))
		goto full;
	if (!block || block->cap - block->len < len) {
		cap = len > BLOCK_BYTES ? len : BLOCK_BYTES;
		block = kt_must_calloc(1, sizeof(*block) + cap);
		block->cap = cap;
		block->next = arena->blocks;
		arena->blocks = block;
	}
	memory = block->data + block->len;
	block->len += len;
	arena->used += len;
	return memory;
full:
	kt_must(arena->max);
	return NULL;
}

void *kt_arena_copy(struct kt_arena *arena, const void *bytes, size_t len)
{
	uint8_t *copy = kt_arena_alloc(arena, len + 1, 1);

	if (copy && len)
		memcpy(copy, bytes, len);
	return copy;
}

char *kt_arena_strdup(struct kt_arena *arena, const char *text)
{
	return kt_arena_copy(arena, text, strlen(text));
}

char *kt_arena_printf(struct kt_arena *arena, const char *format, ...)
{
	va_list args;
	va_list again;
	char *text;
	int len;

	va_start(args, format);
	va_copy(again, args);
	len = vsnprintf(NULL, 0, format, args);
	va_end(args);
	kt_must(len >= 0);
	text = kt_arena_alloc(arena, (size_t)len + 1, 1);
	if (text)
		vsnprintf(text, (size_t)len + 1, format, again);
	va_end(again);
	return text;
}

static void free_blocks(struct kt_arena_block *block)
{
	struct kt_arena_block *next;

	for (; block; block = next) {
		next = block->next;
		free(block);
	}
}

void kt_arena_reset(struct kt_arena *arena)
{
	struct kt_arena_block *kept = arena->blocks;

	arena->used = 0;
	if (!kept)
		return;
	free_blocks(kept->next);
	kept->next = NULL;
	memset(kept->data, 0, kept->len);
	kept->len = 0;
}

void kt_arena_destroy(struct kt_arena *arena)
{
	free_blocks(arena->blocks);
	arena->blocks = NULL;
	arena->used = 0;
}
