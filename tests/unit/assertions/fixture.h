/* fixture.h - what the tests of assertions/ share: judging a column that is written as in notation.h, and
 * looking at what was said; encoded samples.
 */
#ifndef KT_TEST_FIXTURE_H
#define KT_TEST_FIXTURE_H

#include "notation.h"

#include <criterion/criterion.h>

/* Outcome of an assertion over a column; *said is what was said, for counting and looking. */
static inline enum kt_verdict_outcome fixture_judge(struct kt_arena *arena, const char *assertion,
						    const char *column, struct kt_verdict *said)
{
	struct kt_column others[KT_ASSERTION_PATTERNS_MAX];
	char *own = kt_arena_strdup(arena, column);
	char *other = strchr(own, '|');
	struct kt_column parsed;
	struct kt_assertion built;
	struct kt_err err = { 0 };

	cr_assert(fixture_assertion(arena, assertion, &built, &err), "%s: %s", assertion, err.text);
	kt_verdict_init(said, arena);
	if (other)
		*other++ = 0;
	parsed = fixture_column(arena, own);
	for (size_t i = 0; i < KT_ASSERTION_PATTERNS_MAX; i++)
		others[i] = fixture_column(arena, other ? other : own);
	kt_judge_column(&built, &parsed, others, said);
	return kt_verdict_outcome(said);
}

static inline size_t fixture_count(const struct kt_verdict *said, enum kt_verdict_outcome outcome)
{
	size_t n = 0;

	for (const struct kt_verdict_detail *d = said->first; d; d = d->next)
		n += d->outcome == outcome;
	return n;
}

static inline bool fixture_says(const struct kt_verdict *said, enum kt_verdict_outcome outcome,
				const char *text)
{
	for (const struct kt_verdict_detail *d = said->first; d; d = d->next)
		if (d->outcome == outcome && strstr(d->text, text))
			return true;
	return false;
}

static inline const char *fixture_all(struct kt_arena *arena, const struct kt_verdict *said)
{
	KT_AUTO_BUF text = { 0 };

	for (const struct kt_verdict_detail *d = said->first; d; d = d->next)
		kt_buf_printf(&text, "\n%s %s: %s", kt_verdict_outcome_name(d->outcome),
			      kt_verdict_kind_name(d->kind), d->text);
	return kt_arena_strdup(arena, kt_buf_text(&text));
}

/* An encoded sample. axis may be NULL; value is used when error is empty. */
static inline void fixture_body(uint64_t seq, int64_t ms, const char *placeholder, const char *axis,
				const struct kt_value *value, const char *error, struct kt_buf *out)
{
	char tag[32];
	struct kt_msg_axis one = { .name = axis ? axis : "",
				   .value = value ? *value : kt_value_nil(),
				   .error = error,
				   .text = "" };
	struct kt_msg_sample sample = { .tag = tag,
					.seq = seq,
					.elapsed_ns = ms * KT_NS_PER_MS,
					.placeholder = placeholder,
					.axes = &one,
					.n_axes = axis != NULL };

	snprintf(tag, sizeof(tag), "periodic_%03d", (int)seq);
	kt_codec_encode(&kt_schema_sample, &sample, out);
}

#endif
