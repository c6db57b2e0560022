#include "coordinator/core/matrix/problem.h"
#include "proto/base/must.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static bool before(struct kt_doc_pos a, struct kt_doc_pos b)
{
	return a.line != b.line ? a.line < b.line : a.column < b.column;
}

void kt_problem_one_line(char *text)
{
	for (unsigned char *at = (unsigned char *)text; *at; at++)
		if (*at < 0x20 || *at == 0x7f)
			*at = '?';
}

/* Makes room for a problem at pos, in order; NULL when KT_PROBLEMS_MAX others come first. */
static struct kt_problem *slot_for(struct kt_problems *problems, struct kt_doc_pos pos)
{
	size_t at = problems->n;

	while (at > 0 && before(pos, problems->list[at - 1].pos))
		at--;
	if (problems->n == KT_PROBLEMS_MAX) {
		problems->n_more++;
		if (at == KT_PROBLEMS_MAX)
			return NULL;
		problems->n--;
	}
	memmove(&problems->list[at + 1], &problems->list[at],
		(problems->n - at) * sizeof(problems->list[0]));
	problems->n++;
	return &problems->list[at];
}

void kt_problem_add(struct kt_problems *problems, struct kt_doc_pos pos, const char *format, ...)
{
	struct kt_problem *problem = slot_for(problems, pos);
	struct kt_err err = { 0 }; /* for its way to cut a text that is too long */
	const char *file = problems->file;
	struct kt_doc_pos place = pos;
	char words[KT_ERR_TEXT_MAX];
	va_list args;

	if (!problem)
		return;
	if (problems->doc)
		file = kt_doc_place(problems->doc, &place);
	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	kt_err_set(&err, KT_FAULT_INPUT, EINVAL, "%s:%" PRIu32 ":%" PRIu32 ": %s", file, place.line,
		   place.column, words);
	problem->pos = pos;
	memcpy(problem->line, err.text, sizeof(problem->line));
	kt_problem_one_line(problem->line);
}

int kt_problem_err(const struct kt_problems *problems, struct kt_err *err)
{
	kt_must(problems->n > 0);
	return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "%s", problems->list[0].line);
}
