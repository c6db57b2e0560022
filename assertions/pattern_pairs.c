#include "assertions/pattern_pairs.h"
#include "assertions/pattern_talk.h"
#include "proto/base/limits.h"

#include <errno.h>
#include <math.h>

struct unjudged {
	struct kt_buf list;
	size_t n;
};

static void unjudged_destroy(struct unjudged *unjudged)
{
	kt_buf_destroy(&unjudged->list);
}

static void note_unjudged(struct unjudged *unjudged, const struct kt_column_slot *a,
			  const struct kt_column_slot *b)
{
	if (unjudged->n++ < KT_PATTERN_TALK_LISTED_MAX)
		kt_buf_printf(&unjudged->list, "%s%s/%s", unjudged->n > 1 ? ", " : "", a->tag,
			      b->tag);
}

static void say_unjudged(struct kt_pattern_talk *talk, const struct unjudged *unjudged)
{
	KT_AUTO_BUF text = { 0 };

	if (unjudged->n == 0)
		return;
	kt_buf_printf(&text, "%s: %s",
		      talk->input->bridge ? "judged across errors"
					  : "pairs not judged because of errors",
		      kt_buf_text(&unjudged->list));
	if (unjudged->n > KT_PATTERN_TALK_LISTED_MAX)
		kt_buf_printf(&text, " and %zu more", unjudged->n - KT_PATTERN_TALK_LISTED_MAX);
	kt_pattern_talk_note(talk, &text);
}

typedef void judge_pair_fn(const struct kt_pattern_use *use, struct kt_pattern_talk *talk,
			   const struct kt_column_slot *slot, const struct kt_column_slot *before);

static void judge_pairs(const struct kt_pattern_use *use, struct kt_pattern_talk *talk,
			judge_pair_fn *judge_pair)
{
	const struct kt_column *column = talk->input->column;
	const struct kt_column_slot *before = NULL; /* last one that carries a value */
	KT_AUTO(unjudged_destroy) struct unjudged unjudged = { 0 };
	KT_AUTO_BUF few = { 0 };

	for (size_t i = 0; i < column->n; i++) {
		const struct kt_column_slot *slot = &column->slots[i];
		bool adjacent = i > 0 && before == slot - 1;

		if (!kt_column_slot_usable(slot)) {
			if (!talk->input->bridge && i > 0)
				note_unjudged(&unjudged, slot - 1, slot);
			continue;
		}
		if (adjacent || (before && talk->input->bridge))
			judge_pair(use, talk, slot, before);
		if (!adjacent && (talk->input->bridge ? before != NULL : i > 0))
			note_unjudged(&unjudged, talk->input->bridge ? before : slot - 1, slot);
		before = slot;
	}
	say_unjudged(talk, &unjudged);
	if (column->n < 2) {
		kt_buf_printf(&few, "%zu of the 2 samples that a pair needs", column->n);
		kt_pattern_talk_note(talk, &few);
	}
}

/* ---- nondecreasing, strictly_increasing ---- */

static void judge_order(struct kt_pattern_talk *talk, bool strictly,
			const struct kt_column_slot *slot, const struct kt_column_slot *before)
{
	struct kt_number now = kt_column_slot_number(slot);
	struct kt_number then = kt_column_slot_number(before);
	int order;

	if (kt_number_is_nan(&now) || kt_number_is_nan(&then)) {
		kt_pattern_talk_fail_pair(talk, "incomparable", slot, before);
		return;
	}
	order = kt_number_compare(&now, &then);
	if (order < 0)
		kt_pattern_talk_fail_pair(talk, "fell", slot, before);
	else if (strictly && order == 0)
		kt_pattern_talk_fail_pair(talk, "did not rise", slot, before);
}

static void judge_rise(const struct kt_pattern_use *use, struct kt_pattern_talk *talk,
		       const struct kt_column_slot *slot, const struct kt_column_slot *before)
{
	judge_order(talk, true, slot, before);
}

static void judge_no_fall(const struct kt_pattern_use *use, struct kt_pattern_talk *talk,
			  const struct kt_column_slot *slot, const struct kt_column_slot *before)
{
	judge_order(talk, false, slot, before);
}

void kt_pattern_pairs_nondecreasing(const struct kt_pattern_use *use, struct kt_pattern_talk *talk)
{
	judge_pairs(use, talk, judge_no_fall);
}

void kt_pattern_pairs_strictly_increasing(const struct kt_pattern_use *use,
					  struct kt_pattern_talk *talk)
{
	judge_pairs(use, talk, judge_rise);
}

/* ---- rate_within ---- */

enum rate_param { RATE_LO, RATE_HI, RATE_PER, RATE_N };

static const char *const rate_words[] = { "ms", "s", NULL };
static const double rate_unit_ns[] = { KT_NS_PER_MS, KT_NS_PER_S };

const struct kt_param kt_pattern_pairs_rate_params[] = {
	[RATE_LO] = { .name = "lo",
		      .kind = KT_PARAM_NUMBER,
		      .unit = "per ms or s",
		      .required = true,
		      .sentence = "the slowest that is right" },
	[RATE_HI] = { .name = "hi",
		      .kind = KT_PARAM_NUMBER,
		      .unit = "per ms or s",
		      .required = true,
		      .sentence = "the fastest that is right" },
	[RATE_PER] = { .name = "per",
		       .kind = KT_PARAM_WORD,
		       .words = rate_words,
		       .fallback = "ms",
		       .sentence = "the time that lo and hi are counted in" },
};

int kt_pattern_pairs_check_rate(const struct kt_pattern_use *use, const char **param,
				struct kt_err *err)
{
	return kt_param_refuse_empty("lo", &use->args[RATE_LO], "hi", &use->args[RATE_HI], param,
				     err);
}

static void judge_rate(const struct kt_pattern_use *use, struct kt_pattern_talk *talk,
		       const struct kt_column_slot *slot, const struct kt_column_slot *before)
{
	size_t word = use->args[RATE_PER].given ? use->args[RATE_PER].word : 0;
	struct kt_number now = kt_column_slot_number(slot);
	struct kt_number then = kt_column_slot_number(before);
	struct kt_number delta = kt_number_minus(&now, &then);
	int64_t dt_ns = slot->elapsed_ns - before->elapsed_ns;
	struct kt_number rate;
	const char *what = NULL;
	char limit[KT_NUMBER_TEXT_BYTES];
	char value[KT_NUMBER_TEXT_BYTES];
	KT_AUTO_BUF text = { 0 };

	if (dt_ns <= 0) {
		kt_buf_puts(&text, "no time passed");
		kt_pattern_talk_print_pair(slot, before, &text);
		kt_pattern_talk_unsure(talk, &text);
		return;
	}
	/* The difference of counters is exact; a rate is a division, in doubles: what stands in the
	 * numerator is a whole number up to 2^53, so that 3 in 10 ms is just what 0.3 reads as.
	 */
	rate = kt_number_f64(kt_number_to_f64(&delta) * rate_unit_ns[word] / (double)dt_ns);
	if (!isfinite(rate.f64)) {
		kt_pattern_talk_fail_pair(talk, "no finite rate", slot, before);
		return;
	}
	if (kt_number_compare(&rate, &use->args[RATE_LO].number) < 0) {
		what = "below";
		kt_number_format(&use->args[RATE_LO].number, limit);
	} else if (kt_number_compare(&rate, &use->args[RATE_HI].number) > 0) {
		what = "above";
		kt_number_format(&use->args[RATE_HI].number, limit);
	}
	if (what) {
		kt_buf_printf(&text, "%s per %s, %s %s,", kt_number_format(&rate, value),
			      rate_words[word], what, limit);
		kt_pattern_talk_fail_pair(talk, kt_buf_text(&text), slot, before);
	}
}

void kt_pattern_pairs_rate_within(const struct kt_pattern_use *use, struct kt_pattern_talk *talk)
{
	judge_pairs(use, talk, judge_rate);
}
