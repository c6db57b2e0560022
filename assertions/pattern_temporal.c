#include "assertions/pattern_temporal.h"
#include "assertions/condition.h"
#include "assertions/pattern_each.h"
#include "assertions/pattern_talk.h"
#include "proto/base/limits.h"

#include <errno.h>

#define DEADLINE_MS_MAX ((uint64_t)(KT_DURATION_NS_MAX / KT_NS_PER_MS))

/* ---- parameters ---- */

#define NESTED(id_, name_, kind_, sentence_) \
	[KT_PATTERN_TEMPORAL_##              \
		id_] = { .name = (name_), .kind = KT_PARAM_##kind_, .sentence = (sentence_) }
#define CONDITION                                                                               \
	KT_COMPARISON_PARAMS, NESTED(EVENTUALLY, "eventually", PATTERN, "from that sample on"), \
		NESTED(ALWAYS, "always", PATTERN, "from that sample on"),                       \
		NESTED(UNTIL, "until", PATTERN, "from that sample on"),                         \
		NESTED(ANY_OF, "any_of", CONDITIONS, "at least one of them")
#define TIME(id_, name_, fallback_, sentence_)                              \
	[KT_PATTERN_TEMPORAL_##id_] = { .name = (name_),                    \
					.kind = KT_PARAM_COUNT,             \
					.unit = "ms",                       \
					.max = DEADLINE_MS_MAX,             \
					.fallback = (fallback_),            \
					.required = sizeof(fallback_) == 1, \
					.sentence = (sentence_) }

static const struct kt_param condition_params[] = { CONDITION };

const struct kt_pattern kt_pattern_temporal_condition = {
	.name = "condition",
	.sentence = "the value stands so at a sample, and what nests holds from there",
	.params = condition_params,
	.n_params = KT_PATTERN_TEMPORAL_CONDITION_N,
	.check = kt_condition_check,
};

const struct kt_param kt_pattern_temporal_eventually_params[] = {
	CONDITION,
	TIME(WITHIN_MS, "within_ms", "", "by when the condition must hold once"),
};

const struct kt_param kt_pattern_temporal_always_params[] = {
	CONDITION,
	TIME(FROM_MS, "from_ms", "0", "samples before it are not judged"),
	TIME(TO_MS, "to_ms", "the end", "samples after it are not judged"),
};

const struct kt_param kt_pattern_temporal_until_params[] = {
	[KT_PATTERN_TEMPORAL_UNTIL_HOLD] = { .name = "hold",
					     .kind = KT_PARAM_CONDITION,
					     .required = true,
					     .sentence = "what must hold at every sample before" },
	[KT_PATTERN_TEMPORAL_UNTIL_THEN] = { .name = "then",
					     .kind = KT_PARAM_CONDITION,
					     .required = true,
					     .sentence = "what must be reached" },
	TIME(UNTIL_WITHIN_MS, "within_ms", "the end", "by when it must be reached"),
};

int kt_pattern_temporal_check_always(const struct kt_pattern_use *use, const char **param,
				     struct kt_err *err)
{
	const struct kt_param_arg *from = &use->args[KT_PATTERN_TEMPORAL_FROM_MS];
	const struct kt_param_arg *to = &use->args[KT_PATTERN_TEMPORAL_TO_MS];

	if (from->given && to->given && from->count > to->count) {
		*param = "from_ms";
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "from_ms %llu is after to_ms %llu",
				  (unsigned long long)from->count, (unsigned long long)to->count);
	}
	return kt_condition_check(use, param, err);
}

/* ---- what is said ---- */

/* The slots of the window that are not decided. */
struct unknown {
	size_t n;
	size_t first;
};

static void remember_unknown(struct unknown *unknown, size_t i)
{
	if (unknown->n++ == 0)
		unknown->first = i;
}

/* "2 samples without a value, the first periodic_001 (+100 ms): AxisError: ..." */
static void unsure_unknown(struct kt_pattern_talk *talk, const struct kt_pattern_use *use,
			   const char *what, const struct unknown *unknown)
{
	const struct kt_column *column = talk->input->column;
	const struct kt_column_slot *first = &column->slots[unknown->first];
	KT_AUTO_BUF text = { 0 };

	kt_pattern_talk_mark(talk, first, KT_PATTERN_MARK_UNSURE);
	if (!kt_column_slot_usable(first) && !kt_condition_nests(use)) {
		kt_buf_printf(&text, "%s%zu sample%s without a value, the first ", what, unknown->n,
			      unknown->n == 1 ? "" : "s");
		kt_column_slot_print_place(first, &text);
		kt_buf_printf(&text, ": %s", first->error->text);
	} else {
		kt_buf_printf(&text, "%s%zu sample%s not decided; ", what, unknown->n,
			      unknown->n == 1 ? "" : "s");
		kt_condition_explain(use, column, unknown->first, KT_TRUTH_UNKNOWN, &text);
	}
	kt_pattern_talk_unsure(talk, &text);
}

static void unsure_empty(struct kt_pattern_talk *talk)
{
	KT_AUTO_BUF text = { 0 };

	kt_buf_puts(&text, "no sample in that time");
	kt_pattern_talk_unsure(talk, &text);
}

static void fail_explained(struct kt_pattern_talk *talk, const struct kt_pattern_use *use,
			   const char *what, size_t i)
{
	KT_AUTO_BUF text = { 0 };

	kt_buf_puts(&text, what);
	kt_condition_explain(use, talk->input->column, i, KT_TRUTH_FALSE, &text);
	kt_pattern_talk_mark(talk, &talk->input->column->slots[i], KT_PATTERN_MARK_FAIL);
	kt_pattern_talk_fail(talk, &text);
}

static void note_witness(struct kt_pattern_talk *talk, const char *what,
			 const struct kt_column_slot *slot)
{
	KT_AUTO_BUF text = { 0 };

	kt_buf_printf(&text, "%s ", what);
	if (kt_column_slot_usable(slot))
		kt_column_slot_print(slot, &text);
	else
		kt_column_slot_print_place(slot, &text);
	kt_pattern_talk_note(talk, &text);
}

/* Windows need to know what comes first. */
static bool in_order(struct kt_pattern_talk *talk, const struct kt_pattern_use *use)
{
	const struct kt_column *column = talk->input->column;
	size_t i;
	KT_AUTO_BUF text = { 0 };

	if (!kt_condition_nests(use) || (i = kt_truth_in_order(column)) == column->n)
		return true;
	kt_buf_puts(&text, "time runs backwards at ");
	kt_column_slot_print_place(&column->slots[i], &text);
	kt_pattern_talk_unsure(talk, &text);
	return false;
}

/* ---- eventually ---- */

void kt_pattern_temporal_eventually(const struct kt_pattern_use *use, struct kt_pattern_talk *talk)
{
	const struct kt_column *column = talk->input->column;
	int64_t end_ns = (int64_t)use->args[KT_PATTERN_TEMPORAL_WITHIN_MS].count * KT_NS_PER_MS;
	KT_AUTO_FREE uint8_t *truth = NULL;
	struct unknown unknown = { 0 };
	size_t last = column->n; /* that is decided */

	if (!in_order(talk, use))
		return;
	truth = kt_condition_truth(use, column);
	for (size_t i = 0; i < column->n; i++) {
		if (column->slots[i].elapsed_ns > end_ns)
			continue;
		if (truth[i] == KT_TRUTH_TRUE) {
			note_witness(talk, "first", &column->slots[i]);
			return;
		}
		if (truth[i] == KT_TRUTH_UNKNOWN)
			remember_unknown(&unknown, i);
		else
			last = i;
	}
	if (unknown.n)
		unsure_unknown(talk, use, "not seen, but ", &unknown);
	else if (last == column->n)
		unsure_empty(talk);
	else if (kt_condition_nests(use) || !kt_column_slot_usable(&column->slots[last]))
		fail_explained(talk, use, "never, last: ", last);
	else
		kt_pattern_talk_fail_slot(talk, "never, last seen", &column->slots[last]);
}

/* ---- always ---- */

/* The first of those that break it is explained. */
static void fail_always(struct kt_pattern_talk *talk, const struct kt_pattern_use *use, size_t i)
{
	const struct kt_column_slot *slot = &talk->input->column->slots[i];
	size_t fails = talk->fails;

	if (kt_column_slot_usable(slot))
		kt_pattern_each_slot(use->args, talk, slot);
	if (talk->fails == 0) {
		fail_explained(talk, use, "", i);
	} else if (talk->fails == fails) {
		KT_AUTO_BUF text = { 0 };

		kt_buf_puts(&text, "nor at ");
		kt_column_slot_print_place(slot, &text);
		kt_pattern_talk_mark(talk, slot, KT_PATTERN_MARK_FAIL);
		kt_pattern_talk_fail(talk, &text);
	}
}

void kt_pattern_temporal_always(const struct kt_pattern_use *use, struct kt_pattern_talk *talk)
{
	const struct kt_column *column = talk->input->column;
	const struct kt_param_arg *from = &use->args[KT_PATTERN_TEMPORAL_FROM_MS];
	const struct kt_param_arg *to = &use->args[KT_PATTERN_TEMPORAL_TO_MS];
	int64_t from_ns = from->given ? (int64_t)from->count * KT_NS_PER_MS : INT64_MIN;
	int64_t to_ns = to->given ? (int64_t)to->count * KT_NS_PER_MS : INT64_MAX;
	KT_AUTO_FREE uint8_t *truth = NULL;
	struct unknown unknown = { 0 };
	size_t n = 0;

	if (!in_order(talk, use))
		return;
	truth = kt_condition_truth(use, column);
	for (size_t i = 0; i < column->n; i++) {
		const struct kt_column_slot *slot = &column->slots[i];

		if (slot->elapsed_ns < from_ns || slot->elapsed_ns > to_ns)
			continue;
		n++;
		if (truth[i] == KT_TRUTH_FALSE)
			fail_always(talk, use, i);
		else if (truth[i] == KT_TRUTH_UNKNOWN)
			remember_unknown(&unknown, i);
	}
	if (n == 0)
		unsure_empty(talk);
	else if (unknown.n && talk->fails == 0)
		unsure_unknown(talk, use, "", &unknown);
}

/* ---- until ---- */

#define HOLDS (1u << 0)
#define THEN  (1u << 1)

/* Everything that may have happened up to here: what is known leaves one way to go on, what is unknown
 * several. hold and then are asked of the same sample, so that not every pair of answers can be.
 */
struct reaching {
	const struct kt_pattern_use *hold;
	const struct kt_pattern_use *then;
	unsigned int
		possible; /* pairs at a sample without a value: kt_condition_possible(hold, then) */
	bool open; /* it may be that hold holds so far, and then was not reached */
	bool reached; /* it may be that it was */
	bool broken; /* it may be that hold broke before */
	struct unknown unknown;
	size_t at; /* where it was decided, or the last of the window */
	size_t n;
};

/* The pairs that can be at a slot. */
static unsigned int pairs_at(const struct reaching *seen, const struct kt_column_slot *slot,
			     enum kt_truth hold, enum kt_truth then)
{
	unsigned int pairs = kt_column_slot_usable(slot) ? 0xf : seen->possible;

	for (unsigned int pair = 0; pair < 4; pair++) {
		if ((hold == KT_TRUTH_TRUE && !(pair & HOLDS)) ||
		    (hold == KT_TRUTH_FALSE && (pair & HOLDS)) ||
		    (then == KT_TRUTH_TRUE && !(pair & THEN)) ||
		    (then == KT_TRUTH_FALSE && (pair & THEN)))
			pairs &= ~(1u << pair);
	}
	return pairs;
}

static void reach(struct reaching *seen, size_t i, unsigned int pairs)
{
	bool reached = false;
	bool broken = false;
	bool open = false;

	for (unsigned int pair = 0; pair < 4; pair++) {
		if (!(pairs & (1u << pair)))
			continue;
		if (pair & THEN)
			reached = true;
		else if (pair & HOLDS)
			open = true;
		else
			broken = true;
	}
	if (reached + broken + open > 1)
		remember_unknown(&seen->unknown, i);
	seen->reached |= reached;
	seen->broken |= broken;
	seen->open = open;
	seen->at = i;
	seen->n++;
}

static void say_until(struct kt_pattern_talk *talk, const struct kt_pattern_use *asked,
		      const struct reaching *seen)
{
	const struct kt_column *column = talk->input->column;

	if (seen->n == 0)
		unsure_empty(talk);
	else if (seen->reached && (seen->broken || seen->open))
		unsure_unknown(talk, asked, "", &seen->unknown);
	else if (seen->reached)
		note_witness(talk, seen->unknown.n ? "reached at the latest at" : "reached at",
			     &column->slots[seen->at]);
	else if (seen->open)
		fail_explained(talk, seen->then, "then is never reached: ", seen->at);
	else
		fail_explained(talk, seen->hold, "broken before then is reached: ", seen->at);
}

void kt_pattern_temporal_until(const struct kt_pattern_use *use, struct kt_pattern_talk *talk)
{
	const struct kt_column *column = talk->input->column;
	const struct kt_param_arg *within = &use->args[KT_PATTERN_TEMPORAL_UNTIL_WITHIN_MS];
	int64_t end_ns = within->given ? (int64_t)within->count * KT_NS_PER_MS : INT64_MAX;
	struct reaching seen = { .hold = use->args[KT_PATTERN_TEMPORAL_UNTIL_HOLD].uses,
				 .then = use->args[KT_PATTERN_TEMPORAL_UNTIL_THEN].uses,
				 .open = true };
	KT_AUTO_FREE uint8_t *hold = NULL;
	KT_AUTO_FREE uint8_t *then = NULL;
	const struct kt_pattern_use *asked = seen.then; /* that the first unknown is unknown in */

	if (!in_order(talk, use))
		return;
	seen.possible = kt_condition_possible(seen.hold, seen.then);
	hold = kt_condition_truth(seen.hold, column);
	then = kt_condition_truth(seen.then, column);
	for (size_t i = 0; i < column->n && seen.open; i++)
		if (column->slots[i].elapsed_ns <= end_ns)
			reach(&seen, i, pairs_at(&seen, &column->slots[i], hold[i], then[i]));
	if (seen.unknown.n && then[seen.unknown.first] != KT_TRUTH_UNKNOWN)
		asked = seen.hold;
	say_until(talk, asked, &seen);
}
