/* problem.h - what is wrong with a matrix, as a compiler says it.
 *
 *	examples/bad.toml:12:3: unknown key 'samplse' in [[scenario]]; did you mean 'samples'?
 *
 * One line each: where, what is wrong, what would be right. The first KT_PROBLEMS_MAX in the order of
 * the file are kept, whatever order they were found in; the rest is counted.
 */
#ifndef KT_PROBLEM_H
#define KT_PROBLEM_H

#include "coordinator/core/matrix/doc.h"
#include "proto/base/err.h"

#define KT_PROBLEMS_MAX 20

struct kt_problem {
	struct kt_doc_pos pos;
	char line[KT_ERR_TEXT_MAX]; /* file:line:column: words */
};

struct kt_problems {
	const char *file; /* set by the owner; borrowed */
	const struct kt_doc
		*doc; /* the same: when there is one, it says which file a place is in */
	size_t n; /* kept: ascending positions, equal ones as they were found */
	size_t n_more; /* found but not kept */
	struct kt_problem list[KT_PROBLEMS_MAX];
};

__attribute__((format(printf, 3, 4), cold)) void kt_problem_add(struct kt_problems *problems,
								struct kt_doc_pos pos,
								const char *format, ...);

/* Makes a text that may hold anybody's bytes fit for one line of a terminal: control characters become
 * '?'. In place.
 */
void kt_problem_one_line(char *text);

/* The first of them, fault INPUT; returns -EINVAL. There must be one. */
int kt_problem_err(const struct kt_problems *problems, struct kt_err *err);

#endif
