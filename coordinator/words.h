/* words.h - "scx_kt --slow" as a program and its arguments, without a shell.
 *
 * Words end at blanks. 'single' and "double" quotes keep blanks together; within double quotes and outside of any a
 * \ takes the next character as it is. Nothing else has a meaning: no $, no *, no ~, no ;.
 */
#ifndef KT_WORDS_H
#define KT_WORDS_H

#include "proto/base/arena.h"
#include "proto/base/err.h"

#include <stddef.h>

/* words: in the arena, at most n_max. Fault INPUT: a quote that is not closed, too many words, none at all. */
int kt_words_split(const char *line, struct kt_arena *arena, size_t n_max, const char ***words,
		   size_t *n, struct kt_err *err);

#endif
