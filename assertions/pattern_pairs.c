#include "assertions/pattern_pairs.h"
#include "assertions/pattern_talk.h"
#include "proto/base/limits.h"

#include <errno.h>
#include <math.h>

/* Pairs that a note lists: "a/b, b/c and 3 more". */
struct listed {
	struct kt_buf list;
	size_t n;
};

static void listed_destroy(struct listed *listed)
{
	kt_buf_destroy(&listed->list);
}

static void list_pair(struct listed *listed, const struct kt_column_slot *a,
		      const struct kt_column_slot *b)
{
	if (listed->n++ < KT_PATTERN_TALK_LISTED_MAX)
		kt_buf_printf(&listed->list, "%s%s/%s", listed->n > 1 ? ", " : "", a->tag, b->tag);
}

static void say_listed(struct kt_pattern_talk *talk, const char *what, const struct listed *listed)
{
	KT_AUTO_BUF text = { 0 };

	if (listed->n == 0)
		return;
	kt_buf_printf(&text, "%s: %s", what, kt_buf_text(&listed->list));
	if (listed->n > KT_PATTERN_TALK_LISTED_MAX)
		kt_buf_printf(&text, " and %zu more", listed->n - KT_PATTERN_TALK_LISTED_MAX);
	kt_pattern_talk_note(talk, &text);
}

typedef void judge_pair_fn(const struct kt_pattern_use *use, struct kt_pattern_talk *talk,
			   const struct kt_column_slot *slot, const struct kt_column_slot *before);

static void judge_pairs(const struct kt_pattern_use *use, struct kt_pattern_talk *talk,
			judge_pair_fn *judge_pair)
{
	const struct kt_column *column = talk->input->column;
	bool bridge = talk->input->bridge;
	const struct kt_column_slot *before = NULL; /* last one that carries a value */
	KT_AUTO(listed_destroy) struct listed gaps = { 0 }; /* pairs with an errored slot */
	KT_AUTO(listed_destroy) struct listed restarts = { 0 }; /* pairs with a restart between */
	KT_AUTO_BUF few = { 0 };

	for (size_t i = 0; i < column->n; i++) {
		const struct kt_column_slot *slot = &column->slots[i];
		bool adjacent = i > 0 && before == slot - 1;

		if (!kt_column_slot_usable(slot)) {
			if (!bridge && i > 0)
				list_pair(&gaps, slot - 1, slot);
			continue;
		}
		if (!adjacent && (bridge ? before != NULL : i > 0))
			list_pair(&gaps, bridge ? before : slot - 1, slot);
		if (adjacent || (before && bridge)) {
			if (talk->input->reset && slot->epoch != before->epoch)
				list_pair(&restarts, before, slot);
			else
				judge_pair(use, talk, slot, before);
		}
		before = slot;
	}
	say_listed(talk, bridge ? "judged across errors" : "pairs not judged because of errors",
		   &gaps);
	say_listed(talk, "not judged across restarts of the scheduler", &restarts);
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
		kt_pattern_talk_mark(talk, slot, KT_PATTERN_MARK_UNSURE);
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
