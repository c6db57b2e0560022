#include "assertions/lib/assert_inside.h"
#include "proto/base/must.h"

#include <stdarg.h>

_Static_assert(KT_ASSERT_NOTE == (int)KT_VERDICT_NOTE, "note");
_Static_assert(KT_ASSERT_SKIP == (int)KT_VERDICT_SKIP, "skip");
_Static_assert(KT_ASSERT_PASS == (int)KT_VERDICT_PASS, "pass");
_Static_assert(KT_ASSERT_INCONCLUSIVE == (int)KT_VERDICT_INCONCLUSIVE, "inconclusive");
_Static_assert(KT_ASSERT_FAIL == (int)KT_VERDICT_FAIL, "fail");

struct kt_assert_verdict *kt_assert_verdict_new(void)
{
	struct kt_assert_verdict *verdict = kt_must_calloc(1, sizeof(*verdict));

	kt_verdict_init(&verdict->verdict, &verdict->arena);
	verdict->cursor = kt_arena_alloc(&verdict->arena, 1, sizeof(*verdict->cursor));
	return verdict;
}

void kt_assert_verdict_destroy(struct kt_assert_verdict **verdict_p)
{
	struct kt_assert_verdict *verdict = kt_take(verdict_p);

	if (!verdict)
		return;
	kt_arena_destroy(&verdict->arena);
	free(verdict);
}

void kt_assert_verdict_say(struct kt_assert_verdict *verdict, enum kt_assert_outcome outcome,
			   const char *name, const char *format, ...)
{
	char text[KT_TEXT_BYTES_MAX + 2]; /* one more than is kept, so that a cut shows */
	va_list args;

	kt_must(outcome <= KT_ASSERT_FAIL);
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	kt_verdict_say(&verdict->verdict, (enum kt_verdict_outcome)outcome, KT_VERDICT_KIND_PLUGIN,
		       name, "%s", text);
}

void kt_assert_verdict_merge(struct kt_assert_verdict *verdict,
			     const struct kt_assert_verdict *other)
{
	kt_verdict_merge(&verdict->verdict, &other->verdict);
}

void kt_assert_verdict_merge_notes(struct kt_assert_verdict *verdict,
				   const struct kt_assert_verdict *other)
{
	kt_verdict_merge_notes(&verdict->verdict, &other->verdict);
}

enum kt_assert_outcome kt_assert_verdict_outcome(const struct kt_assert_verdict *verdict)
{
	return (enum kt_assert_outcome)kt_verdict_outcome(&verdict->verdict);
}

size_t kt_assert_verdict_size(const struct kt_assert_verdict *verdict)
{
	return verdict->verdict.n;
}

static const struct kt_verdict_detail *detail_at(const struct kt_assert_verdict *verdict, size_t i)
{
	struct kt_assert_cursor *at = verdict->cursor;

	kt_must(i < verdict->verdict.n);
	if (!at->detail || i < at->i)
		*at = (struct kt_assert_cursor){ .detail = verdict->verdict.first };
	for (; at->i < i; at->i++)
		at->detail = at->detail->next;
	return at->detail;
}

enum kt_assert_outcome kt_assert_verdict_outcome_of(const struct kt_assert_verdict *verdict,
						    size_t i)
{
	return (enum kt_assert_outcome)detail_at(verdict, i)->outcome;
}

const char *kt_assert_verdict_kind(const struct kt_assert_verdict *verdict, size_t i)
{
	return kt_verdict_kind_name(detail_at(verdict, i)->kind);
}

const char *kt_assert_verdict_name(const struct kt_assert_verdict *verdict, size_t i)
{
	return detail_at(verdict, i)->assertion;
}

const char *kt_assert_verdict_text(const struct kt_assert_verdict *verdict, size_t i)
{
	return detail_at(verdict, i)->text;
}
