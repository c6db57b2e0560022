#include "assertions/verdict.h"
#include "proto/base/must.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const char *const outcomes[] = {
#define X(id_, name_) name_,
	KT_VERDICT_OUTCOMES(X)
#undef X
};

const char *kt_verdict_outcome_name(enum kt_verdict_outcome outcome)
{
	kt_must(outcome < KT_VERDICT_OUTCOME_N);
	return outcomes[outcome];
}

enum kt_verdict_outcome kt_verdict_outcome_by_name(const char *name)
{
	enum kt_verdict_outcome outcome = 0;

	while (outcome < KT_VERDICT_OUTCOME_N && strcmp(outcomes[outcome], name) != 0)
		outcome++;
	return outcome;
}

const char *kt_verdict_kind_name(enum kt_verdict_kind kind)
{
	static const char *const kinds[] = {
#define X(id_, name_, sentence_) name_,
		KT_VERDICT_KINDS(X)
#undef X
	};

	kt_must(kind < KT_VERDICT_KIND_N);
	return kinds[kind];
}

void kt_verdict_init(struct kt_verdict *verdict, struct kt_arena *arena)
{
	kt_must(!arena->max);
	*verdict = (struct kt_verdict){ .arena = arena, .outcome = KT_VERDICT_NOTE };
}

static void append(struct kt_verdict *verdict, enum kt_verdict_outcome outcome,
		   enum kt_verdict_kind kind, const char *assertion, const char *text)
{
	struct kt_verdict_detail *detail = kt_arena_alloc(verdict->arena, 1, sizeof(*detail));

	*detail = (struct kt_verdict_detail){
		.outcome = outcome, .kind = kind, .assertion = assertion, .text = text
	};
	if (verdict->last)
		verdict->last->next = detail;
	else
		verdict->first = detail;
	verdict->last = detail;
	verdict->n++;
	if (outcome > verdict->outcome)
		verdict->outcome = outcome;
}

/* One line of at most bytes_max: texts quote tags and trees that came from outside. */
static const char *one_line(struct kt_arena *arena, const char *text, size_t bytes_max)
{
	size_t len = strlen(text);
	size_t kept = len > bytes_max ? bytes_max : len;
	char *line = kt_arena_copy(arena, text, kept);

	for (size_t i = 0; i < kept; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = ' ';
	if (kept < len)
		memcpy(line + kept - 3, "...", 3);
	return line;
}

void kt_verdict_say(struct kt_verdict *verdict, enum kt_verdict_outcome outcome,
		    enum kt_verdict_kind kind, const char *assertion, const char *format, ...)
{
	char text[KT_TEXT_BYTES_MAX + 2]; /* one more than is kept, so that a cut shows */
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	append(verdict, outcome, kind, one_line(verdict->arena, assertion, KT_NAME_BYTES_MAX),
	       one_line(verdict->arena, text, KT_TEXT_BYTES_MAX));
}

enum kt_verdict_outcome kt_verdict_outcome(const struct kt_verdict *verdict)
{
	return verdict->outcome == KT_VERDICT_NOTE ? KT_VERDICT_PASS : verdict->outcome;
}

const struct kt_verdict_detail *kt_verdict_headline(const struct kt_verdict *verdict)
{
	const struct kt_verdict_detail *detail = verdict->first;

	while (detail && detail->outcome != verdict->outcome)
		detail = detail->next;
	return detail;
}

static const char *text_in(struct kt_verdict *verdict, const struct kt_verdict *other,
			   const char *text)
{
	return verdict->arena == other->arena ? text : kt_arena_strdup(verdict->arena, text);
}

static void merge_at_most(struct kt_verdict *verdict, const struct kt_verdict *other,
			  enum kt_verdict_outcome most)
{
	kt_must(verdict != other);
	for (const struct kt_verdict_detail *d = other->first; d; d = d->next)
		append(verdict, d->outcome < most ? d->outcome : most, d->kind,
		       text_in(verdict, other, d->assertion), text_in(verdict, other, d->text));
}

void kt_verdict_merge(struct kt_verdict *verdict, const struct kt_verdict *other)
{
	merge_at_most(verdict, other, KT_VERDICT_FAIL);
}

void kt_verdict_merge_notes(struct kt_verdict *verdict, const struct kt_verdict *other)
{
	merge_at_most(verdict, other, KT_VERDICT_NOTE);
}

/* The first branch of the outcome that they come to. */
static const struct kt_verdict *first_of(const struct kt_verdict *branches, size_t n,
					 enum kt_verdict_outcome outcome)
{
	for (size_t i = 0; i < n; i++)
		if (kt_verdict_outcome(&branches[i]) == outcome)
			return &branches[i];
	return NULL;
}

void kt_verdict_merge_any(struct kt_verdict *verdict, const struct kt_verdict *branches, size_t n,
			  const char *assertion)
{
	static const enum kt_verdict_outcome order[] = { KT_VERDICT_PASS, KT_VERDICT_FAIL,
							 KT_VERDICT_INCONCLUSIVE, KT_VERDICT_SKIP };
	const struct kt_verdict *chosen = NULL;
	const struct kt_verdict_detail *said;
	size_t rank = 0;

	if (n == 0) {
		kt_verdict_say(verdict, KT_VERDICT_FAIL, KT_VERDICT_KIND_GROUP, assertion,
			       "%s: there is no branch that could hold", assertion);
		return;
	}
	while (!(chosen = first_of(branches, n, order[rank])))
		rank++;
	said = kt_verdict_headline(chosen);
	if (rank == 0) {
		kt_verdict_merge(verdict, chosen);
		if (chosen->outcome == KT_VERDICT_NOTE) /* it said nothing for itself */
			kt_verdict_say(verdict, KT_VERDICT_PASS, KT_VERDICT_KIND_GROUP, assertion,
				       "%s: branch %zu holds", assertion,
				       (size_t)(chosen - branches) + 1);
		return;
	}
	kt_verdict_say(verdict, order[rank], KT_VERDICT_KIND_GROUP, assertion,
		       "%s: none of %zu branches holds; the first: %s", assertion, n, said->text);
	for (size_t i = 0; i < n; i++)
		kt_verdict_merge_notes(verdict, &branches[i]);
}

static void fill(struct kt_msg_detail *msg, enum kt_verdict_outcome outcome,
		 enum kt_verdict_kind kind, const char *assertion, const char *text)
{
	*msg = (struct kt_msg_detail){ .outcome = kt_verdict_outcome_name(outcome),
				       .kind = kt_verdict_kind_name(kind),
				       .assertion = assertion,
				       .text = text };
}

void kt_verdict_finish(const struct kt_verdict *verdict, struct kt_msg_verdict *msg)
{
	size_t most = verdict->n > KT_VERDICT_DETAILS_MAX ? KT_VERDICT_DETAILS_MAX - 1 : verdict->n;
	size_t n = 0;

	*msg = (struct kt_msg_verdict){ .outcome = kt_verdict_outcome_name(
						kt_verdict_outcome(verdict)) };
	msg->details = kt_arena_alloc(verdict->arena, most + 1, sizeof(*msg->details));
	for (int rank = KT_VERDICT_FAIL; rank >= KT_VERDICT_NOTE; rank--)
		for (const struct kt_verdict_detail *d = verdict->first; d && n < most; d = d->next)
			if ((int)d->outcome == rank)
				fill(&msg->details[n++], d->outcome, d->kind, d->assertion,
				     d->text);
	if (most < verdict->n)
		fill(&msg->details[n++], KT_VERDICT_NOTE, KT_VERDICT_KIND_LIMIT, "",
		     kt_arena_printf(verdict->arena, "%zu more details are left out",
				     verdict->n - most));
	msg->n_details = n;
}
