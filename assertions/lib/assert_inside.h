/* assert_inside.h - what is behind the handles of ktassert.h. Not installed. */
#ifndef KT_ASSERT_INSIDE_H
#define KT_ASSERT_INSIDE_H

#include "assertions/formula.h"
#include "assertions/lib/ktassert.h"
#include "assertions/seriesfile.h"
#include "assertions/verdict.h"

#include <errno.h>
#include <stdio.h>

struct kt_assert_series {
	struct kt_arena arena; /* of the header */
	struct kt_msg_series_header header;
	struct kt_series series;
};

struct kt_assert_column {
	struct kt_arena arena;
	const char *label;
	const char *unit;
	const struct kt_assert_series *series; /* NULL: the caller's own */
	struct kt_value from; /* of a series: what it was asked for as */
	struct kt_column_slot *slots;
	size_t n;
	size_t cap; /* of the caller's own */
};

/* Sentences are mostly read in order: the last one looked at is remembered, so that a walk is linear. */
struct kt_assert_cursor {
	const struct kt_verdict_detail *detail;
	size_t i;
};

struct kt_assert_verdict {
	struct kt_arena arena;
	struct kt_verdict verdict;
	struct kt_assert_cursor *cursor; /* in the arena: looking changes no verdict */
};

_Static_assert(sizeof(((struct kt_assert_error *)0)->text) == KT_ERR_TEXT_MAX,
	       "a text of ours fits");

/* At the beginning of each function that takes one: what an earlier call left there is not of this one. */
static inline void assert_inside_begin(struct kt_assert_error *error)
{
	if (!error)
		return;
	error->code = 0;
	error->text[0] = '\0';
}

/* What failed, as strangers get it; returns -err->code. */
static inline int assert_inside_error(const struct kt_err *err, struct kt_assert_error *error)
{
	if (error) {
		error->code = err->code;
		snprintf(error->text, sizeof(error->text), "%s", err->text);
	}
	return -err->code;
}

#endif
