#include "assertions/judge.h"
#include "proto/base/must.h"
#include "proto/cause.h"

#include <string.h>

#define LISTED_MAX 8 /* slots named in one line; then "and 3 more" */
#define GROUPS_MAX 4 /* different errors told in notes of one assertion */

/* One assertion while it is judged. */
struct judging {
	const struct kt_assertion *assertion;
	const struct kt_column *column;
	const struct kt_column *others; /* others[i] of patterns[i] */
	const char *name; /* of the assertion, or its series */
	const char *label; /* the same with the unit: begins every message */
	size_t usable;
	struct kt_verdict *verdict;
	struct kt_judge_seen *seen; /* NULL when nobody looks */
	uint8_t *marks; /* of column; NULL when nobody looks */
};

static const struct kt_column_slot *first_errored(const struct kt_column *column)
{
	for (size_t i = 0; i < column->n; i++)
		if (!kt_column_slot_usable(&column->slots[i]))
			return &column->slots[i];
	return NULL;
}

/* ---- does it apply, and was enough measured? ---- */

static bool is_applicable(const struct kt_column *column)
{
	for (size_t i = 0; i < column->n; i++)
		if (kt_column_slot_usable(&column->slots[i]) ||
		    column->slots[i].error->type != KT_COLUMN_ERROR_NOT_APPLICABLE)
			return true;
	return column->n == 0;
}

static bool too_few_samples(struct judging *judging)
{
	const struct kt_param_arg *min = &judging->assertion->options[KT_ASSERTION_MIN_SAMPLES];

	if (!min->given || judging->usable >= min->count)
		return false;
	kt_verdict_say(judging->verdict, KT_VERDICT_INCONCLUSIVE, KT_VERDICT_KIND_COVERAGE,
		       judging->name,
		       "%s: %zu of %zu samples carry a value, min_samples asks for %llu",
		       judging->label, judging->usable, judging->column->n,
		       (unsigned long long)min->count);
	return true;
}

static bool covers_too_little(struct judging *judging, const char *label,
			      const struct kt_column *column)
{
	const struct kt_param_arg *min = &judging->assertion->options[KT_ASSERTION_MIN_COVERAGE];
	double share = min->given ? min->share : KT_ASSERTION_COVERAGE_DEFAULT;
	const struct kt_column_slot *errored = first_errored(column);
	size_t usable = kt_column_usable(column);
	KT_AUTO_BUF place = { 0 };

	/* The division is rounded as the option was when it was read: 11 of 20 is 0.55. */
	if (column->n == 0 || (double)usable / (double)column->n >= share)
		return false;
	kt_must(errored);
	kt_column_slot_print_place(errored, &place);
	kt_verdict_say(judging->verdict, KT_VERDICT_INCONCLUSIVE, KT_VERDICT_KIND_COVERAGE,
		       judging->name,
		       "%s: %zu of %zu samples carry a value, min_coverage asks for %.4g of them; "
		       "at %s: %s",
		       label, usable, column->n, share, kt_buf_text(&place), errored->error->text);
	return true;
}

/* The column, and those that patterns divide by. */
static bool too_little_coverage(struct judging *judging)
{
	const struct kt_assertion *assertion = judging->assertion;
	bool too_little = covers_too_little(judging, judging->label, judging->column);

	for (size_t i = 0; i < assertion->n_patterns; i++) {
		const struct kt_formula *other = kt_pattern_other(&assertion->patterns[i]);

		if (other)
			too_little |= covers_too_little(judging, other->text, &judging->others[i]);
	}
	return too_little;
}

/* ---- must_progress ---- */

static bool same(const struct kt_number *a, const struct kt_number *b)
{
	if (kt_number_is_nan(a) || kt_number_is_nan(b))
		return kt_number_is_nan(a) && kt_number_is_nan(b);
	return kt_number_compare(a, b) == 0;
}

/* The values of one life of the scheduler, or of all of them when restarts do not matter. */
struct progress {
	const struct kt_column_slot *first;
	const struct kt_column_slot *last;
	struct kt_number value; /* of the first */
	bool changes;
};

static void say_stayed(struct judging *judging, const struct progress *seen,
		       struct kt_verdict *verdict)
{
	char value[KT_NUMBER_TEXT_BYTES];
	KT_AUTO_BUF places = { 0 };

	kt_column_slot_print_place(seen->first, &places);
	kt_buf_puts(&places, " to ");
	kt_column_slot_print_place(seen->last, &places);
	kt_verdict_say(verdict, KT_VERDICT_FAIL, KT_VERDICT_KIND_PROGRESS, judging->name,
		       "%s (must_progress): stayed at %s from %s", judging->label,
		       kt_number_format(&seen->value, value), kt_buf_text(&places));
}

static void judge_progress(struct judging *judging, struct kt_verdict *verdict)
{
	const struct kt_column *column = judging->column;
	bool reset = judging->assertion->options[KT_ASSERTION_RESET].given;
	struct progress seen = { 0 };
	size_t judged = 0; /* lives with two values at least */
	size_t stayed = 0;

	for (size_t i = 0; i <= column->n; i++) {
		const struct kt_column_slot *slot = i < column->n ? &column->slots[i] : NULL;
		struct kt_number number;

		if (slot && !kt_column_slot_usable(slot))
			continue;
		/* A life has ended. */
		if (seen.first != seen.last &&
		    (!slot || (reset && slot->epoch != seen.first->epoch))) {
			judged++;
			if (!seen.changes && stayed++ < KT_PATTERN_SAID_MAX)
				say_stayed(judging, &seen, verdict);
		}
		if (!slot)
			break;
		number = kt_column_slot_number(slot);
		if (!seen.first || (reset && slot->epoch != seen.first->epoch))
			seen = (struct progress){ .first = slot, .value = number };
		seen.changes |= !same(&seen.value, &number);
		seen.last = slot;
	}
	if (judged == 0)
		kt_verdict_say(verdict, KT_VERDICT_INCONCLUSIVE, KT_VERDICT_KIND_PROGRESS,
			       judging->name,
			       "%s (must_progress): %zu of the 2 values that progress shows in%s",
			       judging->label, judging->usable,
			       judging->usable > 1 ? " in one life of the scheduler" : "");
	else if (stayed > KT_PATTERN_SAID_MAX)
		kt_verdict_say(verdict, KT_VERDICT_NOTE, KT_VERDICT_KIND_LIMIT, judging->name,
			       "%s (must_progress): %zu more like these", judging->label,
			       stayed - KT_PATTERN_SAID_MAX);
	else if (stayed == 0)
		kt_verdict_say(verdict, KT_VERDICT_PASS, KT_VERDICT_KIND_PROGRESS, judging->name,
			       "%s (must_progress): it changes", judging->label);
}

/* ---- notes ---- */

/* Errors with the same text in one note each: "no value in 2 of 3 samples: a (+1 ms), b (+2 ms): why" */
static void note_errors(struct judging *judging)
{
	const struct kt_column *column = judging->column;
	const char *told[GROUPS_MAX];
	size_t n_told = 0;
	size_t left = column->n - judging->usable;

	for (size_t i = 0; i < column->n && left && n_told < GROUPS_MAX; i++) {
		KT_AUTO_BUF places = { 0 };
		const char *text;
		size_t n = 0;
		bool known = false;

		if (kt_column_slot_usable(&column->slots[i]))
			continue;
		text = column->slots[i].error->text;
		for (size_t j = 0; j < n_told; j++)
			known |= strcmp(told[j], text) == 0;
		if (known)
			continue;
		for (size_t j = i; j < column->n; j++) {
			const struct kt_column_slot *slot = &column->slots[j];

			if (kt_column_slot_usable(slot) || strcmp(slot->error->text, text) != 0)
				continue;
			if (n++ >= LISTED_MAX)
				continue;
			kt_buf_puts(&places, n > 1 ? ", " : "");
			kt_column_slot_print_place(slot, &places);
		}
		if (n > LISTED_MAX)
			kt_buf_printf(&places, " and %zu more", n - LISTED_MAX);
		kt_verdict_say(judging->verdict, KT_VERDICT_NOTE, KT_VERDICT_KIND_PROJECTION,
			       judging->name, "%s: no value in %zu of %zu samples: %s: %s",
			       judging->label, n, column->n, kt_buf_text(&places), text);
		told[n_told++] = text;
		left -= n;
	}
	if (left)
		kt_verdict_say(judging->verdict, KT_VERDICT_NOTE, KT_VERDICT_KIND_PROJECTION,
			       judging->name, "%s: no value in %zu more samples, for other reasons",
			       judging->label, left);
}

static void print_named(const char *name, const struct kt_column_slot *slot, struct kt_buf *out)
{
	kt_buf_printf(out, "%s%s ", out->len ? ", " : "", name);
	kt_column_slot_print(slot, out);
}

/* Every value of a short column; of a long one the first, the lowest, the highest and the last. */
static void note_measured(struct judging *judging)
{
	const struct kt_column *column = judging->column;
	const struct kt_column_slot *first = NULL;
	const struct kt_column_slot *low = NULL;
	const struct kt_column_slot *high = NULL;
	const struct kt_column_slot *last = NULL;
	KT_AUTO_BUF text = { 0 };

	for (size_t i = 0; i < column->n; i++) {
		const struct kt_column_slot *slot = &column->slots[i];
		struct kt_number number;
		struct kt_number other;

		if (!kt_column_slot_usable(slot))
			continue;
		if (judging->usable <= LISTED_MAX) {
			kt_buf_puts(&text, text.len ? ", " : "");
			kt_column_slot_print(slot, &text);
			continue;
		}
		if (!first)
			first = slot;
		last = slot;
		number = kt_column_slot_number(slot);
		if (kt_number_is_nan(&number))
			continue;
		other = low ? kt_column_slot_number(low) : number;
		if (!low || kt_number_compare(&number, &other) < 0)
			low = slot;
		other = high ? kt_column_slot_number(high) : number;
		if (!high || kt_number_compare(&number, &other) > 0)
			high = slot;
	}
	if (first) {
		print_named("first", first, &text);
		if (low)
			print_named("lowest", low, &text);
		if (high)
			print_named("highest", high, &text);
		print_named("last", last, &text);
	}
	kt_verdict_say(judging->verdict, KT_VERDICT_NOTE, KT_VERDICT_KIND_MEASURED, judging->name,
		       "%s: %zu of %zu samples carry a value%s%s", judging->label, judging->usable,
		       column->n, text.len ? ": " : "", kt_buf_text(&text));
}

/* ---- the whole ---- */

/* What the patterns and must_progress find, whether or not enough was measured. Parameters that cannot
 * be are the assertion's own fault: they fail it in any case, and are said at once.
 */
static void find(struct judging *judging, struct kt_verdict *found)
{
	const struct kt_assertion *assertion = judging->assertion;
	const struct kt_param_arg *bridge = &assertion->options[KT_ASSERTION_BRIDGE];
	const struct kt_param_arg *progress = &assertion->options[KT_ASSERTION_MUST_PROGRESS];
	struct kt_pattern_input input = { .column = judging->column,
					  .label = judging->label,
					  .assertion = judging->name,
					  .marks = judging->marks,
					  .bridge = bridge->given && bridge->flag,
					  .reset = assertion->options[KT_ASSERTION_RESET].given };

	for (size_t i = 0; i < assertion->n_patterns; i++) {
		const struct kt_pattern_use *use = &assertion->patterns[i];
		bool right = kt_pattern_check(use, NULL, NULL) == 0;

		input.other = kt_pattern_other(use) ? &judging->others[i] : NULL;
		kt_pattern_judge(use, &input, right ? found : judging->verdict);
	}
	if (progress->given && progress->flag)
		judge_progress(judging, found);
}

/* Why it must hold, behind the first sentence that says it does not. */
static void say_because(const struct kt_assertion *assertion, const char *label,
			struct kt_verdict *verdict)
{
	const struct kt_param_arg *because = &assertion->options[KT_ASSERTION_BECAUSE];

	if (because->given && kt_verdict_outcome(verdict) > KT_VERDICT_PASS)
		kt_verdict_say(verdict, KT_VERDICT_NOTE, KT_VERDICT_KIND_BECAUSE,
			       kt_assertion_label(assertion), "%s: it must hold because %s", label,
			       because->text);
}

/* The first column that the cell has nothing for; NULL when there is none. */
static const struct kt_column *inapplicable(const struct judging *judging)
{
	if (!is_applicable(judging->column))
		return judging->column;
	for (size_t i = 0; i < judging->assertion->n_patterns; i++)
		if (kt_pattern_other(&judging->assertion->patterns[i]) &&
		    !is_applicable(&judging->others[i]))
			return &judging->others[i];
	return NULL;
}

/* Only the slots of the steps that were asked for. */
static struct kt_column of_steps(const struct kt_column *column, const uint64_t steps[2],
				 struct kt_arena *arena)
{
	struct kt_column_slot *slots = kt_arena_alloc(arena, column->n, sizeof(*slots));
	struct kt_column chosen = { .slots = slots };

	for (size_t i = 0; i < column->n; i++)
		if (column->slots[i].step >= steps[0] && column->slots[i].step <= steps[1])
			slots[chosen.n++] = column->slots[i];
	return chosen;
}

/* False when no sample is left: that is said, and nothing else can be. */
static bool choose_steps(struct judging *judging, struct kt_arena *arena, struct kt_column *column,
			 struct kt_column *others)
{
	const struct kt_assertion *assertion = judging->assertion;
	const struct kt_param_arg *steps = &assertion->options[KT_ASSERTION_STEPS];
	KT_AUTO_BUF text = { 0 };

	if (!steps->given)
		return true;
	*column = of_steps(judging->column, steps->counts, arena);
	judging->column = column;
	for (size_t i = 0; i < assertion->n_patterns; i++)
		if (kt_pattern_other(&assertion->patterns[i]))
			others[i] = of_steps(&judging->others[i], steps->counts, arena);
	judging->others = others;
	if (column->n)
		return true;
	kt_param_print(&kt_assertion_options()[KT_ASSERTION_STEPS], steps, &text);
	kt_verdict_say(judging->verdict, KT_VERDICT_INCONCLUSIVE, KT_VERDICT_KIND_COVERAGE,
		       judging->name, "%s: no sample in %s", judging->label, kt_buf_text(&text));
	return false;
}

/* What its messages begin with: the label, and the unit when there is one. */
static const char *label_with_unit(const struct kt_assertion *assertion, struct kt_arena *arena)
{
	const struct kt_formula *series = kt_assertion_series(assertion);
	const char *label = kt_assertion_label(assertion);

	if (!series || !*series->unit)
		return label;
	return kt_arena_printf(arena, "%s [%s]", label, series->unit);
}

/* Keeps what is judged for whoever looks; the arena is theirs. */
static void look(struct judging *judging, struct kt_arena *arena)
{
	const struct kt_column *column = judging->column;

	judging->marks = kt_arena_alloc(arena, column->n, 1);
	*judging->seen = (struct kt_judge_seen){
		.column = { .slots = kt_arena_copy(arena, column->slots,
						   column->n * sizeof(*column->slots)),
			    .n = column->n },
		.marks = judging->marks,
	};
}

static void judge_column(const struct kt_assertion *assertion, const struct kt_column *column,
			 const struct kt_column *others, struct kt_judge_seen *seen,
			 struct kt_arena *seen_arena, struct kt_verdict *verdict)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_column chosen;
	struct kt_column others_chosen[KT_ASSERTION_PATTERNS_MAX] = { 0 };
	struct kt_verdict said;
	struct kt_verdict found;
	struct judging judging = { .assertion = assertion,
				   .column = column,
				   .others = others,
				   .name = kt_assertion_label(assertion),
				   .label = label_with_unit(assertion, &arena),
				   .verdict = &said,
				   .seen = seen };
	const struct kt_column *nothing = inapplicable(&judging);
	bool enough;

	kt_verdict_init(&said, &arena);
	kt_verdict_init(&found, &arena);
	if (nothing) {
		kt_verdict_say(verdict, KT_VERDICT_SKIP, KT_VERDICT_KIND_PROJECTION, judging.name,
			       "%s: does not apply: %s", judging.label,
			       nothing->slots[0].error->text);
		return;
	}
	if (choose_steps(&judging, &arena, &chosen, others_chosen)) {
		judging.usable = kt_column_usable(judging.column);
		if (seen)
			look(&judging, seen_arena);
		enough = !too_few_samples(&judging);
		enough &= !too_little_coverage(&judging);
		find(&judging, &found);
		if (enough)
			kt_verdict_merge(&said, &found);
		else
			kt_verdict_merge_notes(&said, &found);
	}
	say_because(assertion, judging.label, &said);
	note_errors(&judging);
	note_measured(&judging);
	kt_verdict_merge(verdict, &said);
}

void kt_judge_column(const struct kt_assertion *assertion, const struct kt_column *column,
		     const struct kt_column *others, struct kt_verdict *verdict)
{
	judge_column(assertion, column, others, NULL, NULL, verdict);
}

static void judge_series_column(const struct kt_assertion *assertion,
				const struct kt_series *series, struct kt_judge_seen *seen,
				struct kt_arena *seen_arena, struct kt_verdict *verdict)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_column column;
	struct kt_column others[KT_ASSERTION_PATTERNS_MAX] = { 0 };

	kt_must(kt_assertion_series(assertion));
	kt_formula_column(kt_assertion_series(assertion), series, kt_assertion_want(assertion),
			  seen ? seen_arena : &arena, &column);
	for (size_t i = 0; i < assertion->n_patterns; i++) {
		const struct kt_formula *other = kt_pattern_other(&assertion->patterns[i]);

		if (other)
			kt_formula_column(other, series, KT_NUMBER_WANT_ANY, &arena, &others[i]);
	}
	/* Of a rate, when every sample is the first of its life. */
	if (series->n && column.n == 0)
		kt_verdict_say(verdict, KT_VERDICT_INCONCLUSIVE, KT_VERDICT_KIND_COVERAGE,
			       kt_assertion_label(assertion), "%s: too few samples for it: %zu",
			       kt_assertion_label(assertion), series->n);
	else
		judge_column(assertion, &column, others, seen, seen_arena, verdict);
}

void kt_judge_look(const struct kt_assertion *leaf, const struct kt_series *series,
		   struct kt_arena *arena, struct kt_judge_seen *seen, struct kt_verdict *verdict)
{
	*seen = (struct kt_judge_seen){ 0 };
	judge_series_column(leaf, series, seen, arena, verdict);
}

static void judge_branches(const struct kt_assertion *group, const struct kt_series *series,
			   struct kt_verdict *verdict)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_verdict branches[KT_ASSERTION_BRANCHES_MAX];
	struct kt_verdict said;

	kt_verdict_init(&said, &arena);
	for (size_t i = 0; i < group->n_branches; i++) {
		kt_verdict_init(&branches[i], &arena);
		kt_judge_series(&group->branches[i], series, &branches[i]);
		if (group->options[KT_ASSERTION_ALL_OF].given)
			kt_verdict_merge(&said, &branches[i]);
	}
	if (group->options[KT_ASSERTION_ANY_OF].given)
		kt_verdict_merge_any(&said, branches, group->n_branches, kt_assertion_label(group));
	say_because(group, kt_assertion_label(group), &said);
	kt_verdict_merge(verdict, &said);
}

/* Calls itself for branches, no deeper than KT_ASSERTION_DEPTH_MAX. */
void kt_judge_series(const struct kt_assertion *assertion, const struct kt_series *series,
		     struct kt_verdict *verdict)
{
	if (kt_assertion_is_off(assertion))
		return;
	if (kt_assertion_is_group(assertion))
		judge_branches(assertion, series, verdict);
	else
		judge_series_column(assertion, series, NULL, NULL, verdict);
}

/* False when nothing else can be judged: this kernel cannot run the cell at all. */
static bool judge_cause(const struct kt_msg_result *result, struct kt_verdict *verdict)
{
	const struct kt_cause *cause = kt_cause_by_name(result->cause);

	kt_must(cause);
	kt_must(!kt_cause_is_infra(cause));
	kt_must(cause->side != KT_CAUSE_USER);
	if (cause->side != KT_CAUSE_NONE)
		kt_verdict_say(verdict,
			       cause->side == KT_CAUSE_LACK ? KT_VERDICT_SKIP : KT_VERDICT_FAIL,
			       KT_VERDICT_KIND_CAUSE, "", "%s: %s", cause->name,
			       *result->line ? result->line : cause->advice);
	return cause->side != KT_CAUSE_LACK;
}

/* What is judged over the repeats decides nothing in one of them. */
static void judge_one_repeat(const struct kt_assertion *assertion, const struct kt_series *series,
			     struct kt_verdict *verdict)
{
	const struct kt_quantifier *over = &assertion->options[KT_ASSERTION_OVER].quantifier;
	const char *label = kt_assertion_label(assertion);
	KT_AUTO_ARENA arena = { 0 };
	KT_AUTO_BUF text = { 0 };
	struct kt_verdict said;

	kt_verdict_init(&said, &arena);
	kt_judge_series(assertion, series, &said);
	kt_quantifier_print(over, &text);
	kt_verdict_say(verdict, KT_VERDICT_NOTE, KT_VERDICT_KIND_OVER, label,
		       "%s: %s in this repeat; judged over %s", label,
		       kt_verdict_outcome_name(kt_verdict_outcome(&said)), kt_buf_text(&text));
	kt_verdict_merge_notes(verdict, &said);
}

static void judge_all(const struct kt_assertion *const *assertions, size_t n,
		      const struct kt_series *series, const struct kt_verdict *const *beside,
		      size_t n_beside, struct kt_verdict *all)
{
	for (size_t i = 0; i < n; i++) {
		if (assertions[i]->options[KT_ASSERTION_OVER].given &&
		    !kt_assertion_is_off(assertions[i]))
			judge_one_repeat(assertions[i], series, all);
		else
			kt_judge_series(assertions[i], series, all);
	}
	for (size_t i = 0; i < n_beside; i++)
		kt_verdict_merge(all, beside[i]);
}

void kt_judge_cell_beside(const struct kt_assertion *const *assertions, size_t n,
			  const struct kt_series *series, const struct kt_verdict *const *beside,
			  size_t n_beside, const struct kt_expect *expect,
			  const struct kt_msg_result *result, struct kt_arena *arena,
			  struct kt_msg_verdict *verdict)
{
	struct kt_verdict all;
	struct kt_verdict turned;

	kt_verdict_init(&all, arena);
	if (judge_cause(result, &all)) {
		judge_all(assertions, n, series, beside, n_beside, &all);
		if (expect) {
			kt_verdict_init(&turned, arena);
			kt_expect_judge(expect, result, &all, &turned);
			all = turned;
		}
	}
	kt_verdict_finish(&all, verdict);
}

void kt_judge_cell(const struct kt_assertion *const *assertions, size_t n,
		   const struct kt_series *series, const struct kt_expect *expect,
		   const struct kt_msg_result *result, struct kt_arena *arena,
		   struct kt_msg_verdict *verdict)
{
	kt_judge_cell_beside(assertions, n, series, NULL, 0, expect, result, arena, verdict);
}
