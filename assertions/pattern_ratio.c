#include "assertions/pattern_ratio.h"
#include "assertions/pattern_talk.h"
#include "proto/base/limits.h"
#include "proto/base/must.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

/* ---- ratio_within ---- */

enum ratio_param { RATIO_OTHER, RATIO_LO, RATIO_HI, RATIO_N };

const struct kt_param kt_pattern_ratio_params[] = {
	[RATIO_OTHER] = { .name = "other",
			  .kind = KT_PARAM_SERIES,
			  .required = true,
			  .sentence = "the series that is divided by, \"axis:path\"" },
	[RATIO_LO] = { .name = "lo",
		       .kind = KT_PARAM_NUMBER,
		       .required = true,
		       .sentence = "the smallest ratio that is right" },
	[RATIO_HI] = { .name = "hi",
		       .kind = KT_PARAM_NUMBER,
		       .required = true,
		       .sentence = "the largest ratio that is right" },
};

int kt_pattern_ratio_check(const struct kt_pattern_use *use, const char **param, struct kt_err *err)
{
	return kt_param_refuse_empty("lo", &use->args[RATIO_LO], "hi", &use->args[RATIO_HI], param,
				     err);
}

/* Slots of the other column by their tag, 8 to 12 bytes each. A tag that is used again has its slots in
 * order: the first of one column belongs to the first of the other.
 */
struct by_tag {
	const struct kt_column *column;
	uint32_t *heads; /* by hash: index of the first slot that is left */
	uint32_t *next; /* by slot: index of the next one with the same hash */
	size_t mask;
};

#define NO_SLOT UINT32_MAX

static void by_tag_destroy(struct by_tag *by_tag)
{
	free(by_tag->heads);
	free(by_tag->next);
}

/* FNV-1a */
static size_t hash_of(const char *tag)
{
	uint64_t hash = 14695981039346656037u;

	for (; *tag; tag++)
		hash = (hash ^ (unsigned char)*tag) * 1099511628211u;
	return (size_t)(hash ^ hash >> 32);
}

static void by_tag_fill(struct by_tag *by_tag, const struct kt_column *column)
{
	size_t n_heads = 1;

	kt_must(column->n < NO_SLOT);
	while (n_heads < column->n)
		n_heads *= 2;
	by_tag->column = column;
	by_tag->mask = n_heads - 1;
	by_tag->heads = kt_must_calloc(n_heads, sizeof(*by_tag->heads));
	by_tag->next = kt_must_calloc(column->n ? column->n : 1, sizeof(*by_tag->next));
	memset(by_tag->heads, 0xff, n_heads * sizeof(*by_tag->heads));
	for (size_t i = column->n; i-- > 0;) {
		uint32_t *head = &by_tag->heads[hash_of(column->slots[i].tag) & by_tag->mask];

		by_tag->next[i] = *head;
		*head = (uint32_t)i;
	}
}

/* The next slot of this tag, NULL when there is no more. */
static const struct kt_column_slot *by_tag_take(struct by_tag *by_tag, const char *tag)
{
	uint32_t *at = &by_tag->heads[hash_of(tag) & by_tag->mask];

	while (*at != NO_SLOT) {
		const struct kt_column_slot *slot = &by_tag->column->slots[*at];

		if (strcmp(slot->tag, tag) == 0) {
			*at = by_tag->next[*at];
			return slot;
		}
		at = &by_tag->next[*at];
	}
	return NULL;
}

/* Columns of one series: nothing needs to be looked up. */
static bool in_step(const struct kt_column *a, const struct kt_column *b)
{
	for (size_t i = 0; i < a->n; i++)
		if (a->slots[i].tag != b->slots[i].tag &&
		    strcmp(a->slots[i].tag, b->slots[i].tag) != 0)
			return false;
	return true;
}

/* ", above 2, at periodic_004 (+850 ms): 100 over 40 of bpf:other at periodic_004 (+850 ms)" */
static void print_ratio(const struct kt_pattern_use *use, const struct kt_column_slot *slot,
			const struct kt_column_slot *other, struct kt_buf *text)
{
	struct kt_number above = kt_column_slot_number(slot);
	struct kt_number below = kt_column_slot_number(other);
	char value[KT_NUMBER_TEXT_BYTES];

	kt_buf_puts(text, " at ");
	kt_column_slot_print_place(slot, text);
	kt_buf_printf(text, ": %s over", kt_number_format(&above, value));
	kt_buf_printf(text, " %s of %s at ", kt_number_format(&below, value),
		      use->args[RATIO_OTHER].series->text);
	kt_column_slot_print_place(other, text);
}

static void judge_ratio(const struct kt_pattern_use *use, struct kt_pattern_talk *talk,
			const struct kt_column_slot *slot, const struct kt_column_slot *other)
{
	const struct kt_number *lo = &use->args[RATIO_LO].number;
	const struct kt_number *hi = &use->args[RATIO_HI].number;
	struct kt_number above = kt_column_slot_number(slot);
	struct kt_number below = kt_column_slot_number(other);
	struct kt_number ratio;
	char value[KT_NUMBER_TEXT_BYTES];
	KT_AUTO_BUF text = { 0 };

	if (kt_number_is_zero(&below)) {
		kt_buf_puts(&text, "nothing to divide by");
		print_ratio(use, slot, other, &text);
		kt_pattern_talk_mark(talk, slot, KT_PATTERN_MARK_UNSURE);
		kt_pattern_talk_unsure(talk, &text);
		return;
	}
	/* A quotient is a double's. */
	ratio = kt_number_f64(kt_number_to_f64(&above) / kt_number_to_f64(&below));
	if (!isfinite(ratio.f64)) {
		kt_buf_puts(&text, "no finite ratio");
	} else {
		bool low = kt_number_compare(&ratio, lo) < 0;

		if (!low && kt_number_compare(&ratio, hi) <= 0)
			return;
		kt_buf_puts(&text, kt_number_format(&ratio, value));
		kt_buf_printf(&text, ", %s %s,", low ? "below" : "above",
			      kt_number_format(low ? lo : hi, value));
	}
	print_ratio(use, slot, other, &text);
	kt_pattern_talk_mark(talk, slot, KT_PATTERN_MARK_FAIL);
	kt_pattern_talk_fail(talk, &text);
}

void kt_pattern_ratio_within(const struct kt_pattern_use *use, struct kt_pattern_talk *talk)
{
	const struct kt_column *column = talk->input->column;
	KT_AUTO(by_tag_destroy) struct by_tag by_tag = { 0 };
	KT_AUTO_BUF gaps = { 0 };
	KT_AUTO_BUF text = { 0 };
	size_t n_gaps = 0;
	bool together;

	kt_must(talk->input->other);
	if (talk->input->other->n != column->n) {
		kt_buf_printf(&text, "%zu samples here, %zu of %s", column->n,
			      talk->input->other->n, use->args[RATIO_OTHER].series->text);
		kt_pattern_talk_fail(talk, &text);
		return;
	}
	together = in_step(column, talk->input->other);
	if (!together)
		by_tag_fill(&by_tag, talk->input->other);
	for (size_t i = 0; i < column->n; i++) {
		const struct kt_column_slot *slot = &column->slots[i];
		const struct kt_column_slot *other =
			together ? &talk->input->other->slots[i] : by_tag_take(&by_tag, slot->tag);

		if (other && kt_column_slot_usable(slot) && kt_column_slot_usable(other))
			judge_ratio(use, talk, slot, other);
		else if (n_gaps++ < KT_PATTERN_TALK_LISTED_MAX)
			kt_buf_printf(&gaps, "%s%s", n_gaps > 1 ? ", " : "", slot->tag);
	}
	if (n_gaps == 0)
		return;
	kt_buf_printf(&text, "not judged because of errors: %s", kt_buf_text(&gaps));
	if (n_gaps > KT_PATTERN_TALK_LISTED_MAX)
		kt_buf_printf(&text, " and %zu more", n_gaps - KT_PATTERN_TALK_LISTED_MAX);
	kt_pattern_talk_note(talk, &text);
	if (n_gaps == column->n) {
		KT_AUTO_BUF none = { 0 };

		kt_buf_puts(&none, "no sample has a value of both series");
		kt_pattern_talk_unsure(talk, &none);
	}
}

/* ---- ratio_across_steps ---- */

enum steps_param { STEPS_EARLY, STEPS_LATE, STEPS_AT_MOST, STEPS_N };

const struct kt_param kt_pattern_ratio_steps_params[] = {
	[STEPS_EARLY] = { .name = "early",
			  .kind = KT_PARAM_COUNT,
			  .unit = "index of a step, from 0",
			  .max = KT_STEPS_MAX - 1,
			  .required = true,
			  .sentence = "the step whose last value is the baseline" },
	[STEPS_LATE] = { .name = "late",
			 .kind = KT_PARAM_COUNT,
			 .unit = "index of a step, from 0",
			 .max = KT_STEPS_MAX - 1,
			 .required = true,
			 .sentence = "the step whose last value is compared with it" },
	[STEPS_AT_MOST] = { .name = "at_most",
			    .kind = KT_PARAM_NUMBER,
			    .required = true,
			    .sentence = "late / early is not above it" },
};

static const struct kt_column_slot *last_of_step(const struct kt_column *column, uint64_t step)
{
	for (size_t i = column->n; i > 0; i--)
		if (column->slots[i - 1].step == step &&
		    kt_column_slot_usable(&column->slots[i - 1]))
			return &column->slots[i - 1];
	return NULL;
}

void kt_pattern_ratio_across_steps(const struct kt_pattern_use *use, struct kt_pattern_talk *talk)
{
	uint64_t steps[] = { use->args[STEPS_EARLY].count, use->args[STEPS_LATE].count };
	const struct kt_number *at_most = &use->args[STEPS_AT_MOST].number;
	const struct kt_column_slot *slots[2];
	struct kt_number early;
	struct kt_number late;
	struct kt_number ratio;
	char value[KT_NUMBER_TEXT_BYTES];
	KT_AUTO_BUF text = { 0 };

	for (size_t i = 0; i < 2; i++) {
		slots[i] = last_of_step(talk->input->column, steps[i]);
		if (slots[i])
			continue;
		kt_buf_printf(&text, "no value in step %llu", (unsigned long long)steps[i]);
		kt_pattern_talk_unsure(talk, &text);
		return;
	}
	early = kt_column_slot_number(slots[0]);
	late = kt_column_slot_number(slots[1]);
	if (kt_number_is_zero(&early)) {
		kt_buf_printf(&text, "the baseline, step %llu, is ", (unsigned long long)steps[0]);
		kt_column_slot_print(slots[0], &text);
		kt_pattern_talk_mark(talk, slots[0], KT_PATTERN_MARK_UNSURE);
		kt_pattern_talk_unsure(talk, &text);
		return;
	}
	/* A quotient is a double's. */
	ratio = kt_number_f64(kt_number_to_f64(&late) / kt_number_to_f64(&early));
	if (!isfinite(ratio.f64)) {
		kt_pattern_talk_fail_pair(talk, "no finite ratio", slots[1], slots[0]);
		return;
	}
	if (kt_number_compare(&ratio, at_most) <= 0)
		return;
	kt_buf_printf(&text, "%s times,", kt_number_format(&ratio, value));
	kt_buf_printf(&text, " above %s,", kt_number_format(at_most, value));
	kt_pattern_talk_fail_pair(talk, kt_buf_text(&text), slots[1], slots[0]);
}
