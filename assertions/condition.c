#include "assertions/condition.h"
#include "assertions/pattern_temporal.h"
#include "proto/base/clock.h"
#include "proto/base/limits.h"
#include "proto/base/must.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool is_until(const struct kt_pattern_use *use)
{
	return use->pattern->params == kt_pattern_temporal_until_params;
}

static const struct kt_pattern_use *hold_of(const struct kt_pattern_use *until)
{
	return until->args[KT_PATTERN_TEMPORAL_UNTIL_HOLD].uses;
}

static const struct kt_pattern_use *then_of(const struct kt_pattern_use *until)
{
	return until->args[KT_PATTERN_TEMPORAL_UNTIL_THEN].uses;
}

bool kt_condition_nests(const struct kt_pattern_use *use)
{
	if (is_until(use))
		return kt_condition_nests(hold_of(use)) || kt_condition_nests(then_of(use));
	for (size_t i = KT_COMPARISON_N; i < KT_PATTERN_TEMPORAL_CONDITION_N; i++)
		if (use->args[i].given)
			return true;
	return false;
}

/* ---- truth ---- */

static int64_t ns_of(const struct kt_param_arg *arg, int64_t otherwise)
{
	return arg->given ? (int64_t)arg->count * KT_NS_PER_MS : otherwise;
}

/* The window that a nested operator looks through, from the slot that is asked about. */
static void window_of(const struct kt_pattern_use *use, int64_t *from_ns, int64_t *to_ns)
{
	*from_ns = 0;
	if (is_until(use)) {
		*to_ns =
			ns_of(&use->args[KT_PATTERN_TEMPORAL_UNTIL_WITHIN_MS], KT_TRUTH_TO_THE_END);
	} else if (use->pattern->params == kt_pattern_temporal_eventually_params) {
		*to_ns = ns_of(&use->args[KT_PATTERN_TEMPORAL_WITHIN_MS], KT_TRUTH_TO_THE_END);
	} else {
		*from_ns = ns_of(&use->args[KT_PATTERN_TEMPORAL_FROM_MS], 0);
		*to_ns = ns_of(&use->args[KT_PATTERN_TEMPORAL_TO_MS], KT_TRUTH_TO_THE_END);
	}
}

static uint8_t *operator_truth(const struct kt_pattern_use *use, const struct kt_column *column)
{
	int64_t from_ns;
	int64_t to_ns;
	uint8_t *truth;

	window_of(use, &from_ns, &to_ns);
	if (is_until(use)) {
		KT_AUTO_FREE uint8_t *then = NULL;

		truth = kt_condition_truth(hold_of(use), column);
		then = kt_condition_truth(then_of(use), column);
		kt_truth_until(column, to_ns, truth, then);
		return truth;
	}
	truth = kt_condition_truth(use, column);
	if (use->pattern->params == kt_pattern_temporal_eventually_params)
		kt_truth_eventually(column, from_ns, to_ns, truth);
	else
		kt_truth_always(column, from_ns, to_ns, truth);
	return truth;
}

static uint8_t *any_truth(const struct kt_param_arg *any_of, const struct kt_column *column)
{
	uint8_t *truth = kt_condition_truth(&any_of->uses[0], column);

	for (size_t i = 1; i < any_of->n_uses; i++) {
		KT_AUTO_FREE uint8_t *branch = kt_condition_truth(&any_of->uses[i], column);

		kt_truth_or(truth, branch, column->n);
	}
	return truth;
}

/* Of a condition in which nothing temporal nests: a value decides it. */
static bool holds(const struct kt_pattern_use *use, const struct kt_number *value)
{
	const struct kt_param_arg *any_of = &use->args[KT_PATTERN_TEMPORAL_ANY_OF];
	bool any = !any_of->given;

	if (!kt_comparison_holds(use->args, value))
		return false;
	for (size_t i = 0; i < any_of->n_uses && !any; i++)
		any = holds(&any_of->uses[i], value);
	return any;
}

static bool is_temporal(const struct kt_pattern_use *use)
{
	const struct kt_param_arg *any_of = &use->args[KT_PATTERN_TEMPORAL_ANY_OF];

	for (size_t p = KT_COMPARISON_N; p < KT_PATTERN_TEMPORAL_ANY_OF; p++)
		if (use->args[p].given)
			return true;
	for (size_t i = 0; i < any_of->n_uses; i++)
		if (is_temporal(&any_of->uses[i]))
			return true;
	return false;
}

/* A pair of conditions while values are tried on it: every one at which a comparison can change. */
struct trying {
	const struct kt_pattern_use *a;
	const struct kt_pattern_use *b;
	unsigned int seen;
};

static void try(struct trying *trying, struct kt_number value)
{
	unsigned int pair = holds(trying->a, &value) + 2u * holds(trying->b, &value);

	trying->seen |= 1u << pair;
}

/* The limit itself, and the nearest values above and below it, as a float and as an integer. */
static void try_limit(struct trying *trying, const struct kt_number *limit)
{
	const struct kt_number one = kt_number_u64(1);
	double f64 = kt_number_to_f64(limit);

	try(trying, *limit);
	try(trying, kt_number_minus(limit, &one));
	try(trying, kt_number_plus(limit, &one));
	try(trying, kt_number_f64(nextafter(f64, -INFINITY)));
	try(trying, kt_number_f64(nextafter(f64, INFINITY)));
}

static void try_limits(struct trying *trying, const struct kt_pattern_use *use)
{
	const struct kt_param_arg *any_of = &use->args[KT_PATTERN_TEMPORAL_ANY_OF];

	for (size_t p = 0; p < KT_COMPARISON_N; p++) {
		const struct kt_param_arg *arg = &use->args[p];

		if (!arg->given)
			continue;
		if (p == KT_COMPARISON_BETWEEN) {
			try_limit(trying, &arg->range[0]);
			try_limit(trying, &arg->range[1]);
		} else {
			try_limit(trying, &arg->number);
		}
	}
	for (size_t i = 0; i < any_of->n_uses; i++)
		try_limits(trying, &any_of->uses[i]);
}

unsigned int kt_condition_possible(const struct kt_pattern_use *a, const struct kt_pattern_use *b)
{
	struct trying trying = { .a = a, .b = b };

	if (is_temporal(a) || is_temporal(b))
		return 0xf;
	try_limits(&trying, a);
	try_limits(&trying, b);
	return trying.seen;
}

/* What it is whatever the value, when no value is there. */
static enum kt_truth whatever(const struct kt_pattern_use *use)
{
	switch (kt_condition_possible(use, use)) {
	case 1u << 0:
		return KT_TRUTH_FALSE;
	case 1u << 3:
		return KT_TRUTH_TRUE;
	}
	return KT_TRUTH_UNKNOWN;
}

/* Of one in which nothing temporal nests. */
static enum kt_truth truth_at(const struct kt_pattern_use *use, enum kt_truth without_value,
			      const struct kt_column_slot *slot)
{
	struct kt_number value;

	if (!kt_column_slot_usable(slot))
		return without_value;
	value = kt_column_slot_number(slot);
	return holds(use, &value) ? KT_TRUTH_TRUE : KT_TRUTH_FALSE;
}

static uint8_t *plain_truth(const struct kt_pattern_use *use, const struct kt_column *column)
{
	enum kt_truth without_value = whatever(use);
	uint8_t *truth = kt_must_calloc(column->n ? column->n : 1, 1);

	for (size_t i = 0; i < column->n; i++)
		truth[i] = (uint8_t)truth_at(use, without_value, &column->slots[i]);
	return truth;
}

static enum kt_truth compared(const struct kt_pattern_use *use, const struct kt_column_slot *slot)
{
	struct kt_number value;

	if (!kt_comparison_given(use->args))
		return KT_TRUTH_TRUE;
	if (!kt_column_slot_usable(slot))
		return KT_TRUTH_UNKNOWN;
	value = kt_column_slot_number(slot);
	return kt_comparison_holds(use->args, &value) ? KT_TRUTH_TRUE : KT_TRUTH_FALSE;
}

uint8_t *kt_condition_truth(const struct kt_pattern_use *use, const struct kt_column *column)
{
	const struct kt_param_arg *any_of = &use->args[KT_PATTERN_TEMPORAL_ANY_OF];
	uint8_t *truth;

	if (!is_temporal(use))
		return plain_truth(use, column);
	truth = any_of->given ? any_truth(any_of, column) : NULL;
	for (size_t p = KT_COMPARISON_N; p < KT_PATTERN_TEMPORAL_ANY_OF; p++) {
		KT_AUTO_FREE uint8_t *nested = NULL;

		if (!use->args[p].given)
			continue;
		nested = operator_truth(use->args[p].uses, column);
		if (truth)
			kt_truth_and(truth, nested, column->n);
		else
			truth = kt_take(&nested);
	}
	for (size_t i = 0; i < column->n; i++) {
		uint8_t own = (uint8_t)compared(use, &column->slots[i]);

		truth[i] = truth[i] < own ? truth[i] : own;
	}
	return truth;
}

/* ---- why ---- */

/* A walk from a condition that is false (or unknown) at a slot to what makes it so. */
struct walk {
	const struct kt_column *column;
	const struct kt_pattern_use *use;
	size_t i;
	enum kt_truth truth;
	struct kt_buf *text;
};

static const struct kt_column_slot *slot_of(const struct walk *walk)
{
	return &walk->column->slots[walk->i];
}

static void print_place(const struct walk *walk)
{
	kt_column_slot_print_place(slot_of(walk), walk->text);
}

static void explain_compared(const struct walk *walk)
{
	const struct kt_column_slot *slot = slot_of(walk);
	struct kt_number value;
	char number[KT_NUMBER_TEXT_BYTES];
	KT_AUTO_BUF what = { 0 };
	size_t next = 0;

	if (!kt_column_slot_usable(slot)) {
		kt_buf_puts(walk->text, walk->truth == KT_TRUTH_FALSE
						? "no value could, and there is none, at "
						: "no value at ");
		print_place(walk);
		kt_buf_printf(walk->text, ": %s", slot->error->text);
		return;
	}
	value = kt_column_slot_number(slot);
	if (kt_number_is_nan(&value))
		kt_buf_puts(&what, "incomparable");
	else
		kt_comparison_broken(walk->use->args, &value, &next, &what);
	kt_buf_printf(walk->text, "%s at ", kt_buf_text(&what));
	print_place(walk);
	kt_buf_printf(walk->text, ": %s", kt_number_format(&value, number));
}

/* The first slot of the window where the truth is `wanted`; n when there is none. */
static size_t find_in_window(const struct walk *walk, const struct kt_pattern_use *use,
			     const uint8_t *truth, enum kt_truth wanted)
{
	int64_t from_ns;
	int64_t to_ns;
	int64_t now_ns = slot_of(walk)->elapsed_ns;

	window_of(use, &from_ns, &to_ns);
	from_ns = kt_clock_add_ns(now_ns, from_ns);
	to_ns = kt_clock_add_ns(now_ns, to_ns);
	for (size_t j = walk->i; j < walk->column->n; j++) {
		int64_t at_ns = walk->column->slots[j].elapsed_ns;

		if (at_ns >= from_ns && at_ns <= to_ns && truth[j] == wanted)
			return j;
	}
	return walk->column->n;
}

static void print_operator(const struct walk *walk, const struct kt_pattern_use *use)
{
	kt_buf_printf(walk->text, "%s from ", use->pattern->name);
	print_place(walk);
	kt_buf_puts(walk->text, ": ");
}

/* What never came: the last value that was seen instead, within the window. */
static void explain_never(struct walk *walk, const struct kt_pattern_use *use, const char *what)
{
	const struct kt_column_slot *last = NULL;
	int64_t from_ns;
	int64_t to_ns;

	window_of(use, &from_ns, &to_ns);
	to_ns = kt_clock_add_ns(slot_of(walk)->elapsed_ns, to_ns);
	for (size_t j = walk->i; j < walk->column->n; j++)
		if (walk->column->slots[j].elapsed_ns <= to_ns &&
		    kt_column_slot_usable(&walk->column->slots[j]))
			last = &walk->column->slots[j];
	kt_buf_puts(walk->text, what);
	if (!last)
		return;
	kt_buf_puts(walk->text, ", last ");
	kt_column_slot_print(last, walk->text);
}

/* On to the slot of the window that decides; false when none does, and all is said. */
static bool descend_until(struct walk *walk, const struct kt_pattern_use *use)
{
	KT_AUTO_FREE uint8_t *hold = kt_condition_truth(hold_of(use), walk->column);
	KT_AUTO_FREE uint8_t *then = kt_condition_truth(then_of(use), walk->column);
	size_t broken = find_in_window(walk, use, hold, walk->truth);
	size_t open = find_in_window(walk, use, then, KT_TRUTH_UNKNOWN);

	if (walk->truth == KT_TRUTH_UNKNOWN && open < walk->column->n && open <= broken) {
		walk->use = then_of(use);
		walk->i = open;
		return true;
	}
	if (broken < walk->column->n) {
		if (walk->truth == KT_TRUTH_FALSE)
			kt_buf_puts(walk->text, "broken before then is reached, ");
		walk->use = hold_of(use);
		walk->i = broken;
		return true;
	}
	explain_never(walk, use,
		      walk->truth == KT_TRUTH_FALSE ? "then is never reached"
						    : "the samples end before then is reached");
	return false;
}

static bool descend_operator(struct walk *walk, const struct kt_pattern_use *use)
{
	bool eventually = use->pattern->params == kt_pattern_temporal_eventually_params;
	KT_AUTO_FREE uint8_t *truth = NULL;
	size_t decides;

	print_operator(walk, use);
	if (is_until(use))
		return descend_until(walk, use);
	if (eventually && walk->truth == KT_TRUTH_FALSE) {
		explain_never(walk, use, "never");
		return false;
	}
	truth = kt_condition_truth(use, walk->column);
	decides = find_in_window(walk, use, truth, walk->truth);
	if (decides == walk->column->n) {
		kt_buf_puts(walk->text, "the samples end before it is decided");
		return false;
	}
	walk->use = use;
	walk->i = decides;
	return true;
}

static bool descend_any(struct walk *walk, const struct kt_param_arg *any_of)
{
	if (walk->truth == KT_TRUTH_FALSE) {
		kt_buf_printf(walk->text, "none of %zu branches holds at ", any_of->n_uses);
		print_place(walk);
		if (kt_column_slot_usable(slot_of(walk))) {
			struct kt_number value = kt_column_slot_number(slot_of(walk));
			char number[KT_NUMBER_TEXT_BYTES];

			kt_buf_printf(walk->text, ": %s", kt_number_format(&value, number));
		}
		return false;
	}
	for (size_t i = 0; i < any_of->n_uses; i++) {
		KT_AUTO_FREE uint8_t *branch = kt_condition_truth(&any_of->uses[i], walk->column);

		if (branch[walk->i] != KT_TRUTH_UNKNOWN)
			continue;
		walk->use = &any_of->uses[i];
		return true;
	}
	return false;
}

/* One level down; false when the reason is said. */
static bool descend(struct walk *walk)
{
	const struct kt_param_arg *any_of = &walk->use->args[KT_PATTERN_TEMPORAL_ANY_OF];

	if (!kt_column_slot_usable(slot_of(walk)) && !is_temporal(walk->use)) {
		explain_compared(walk);
		return false;
	}
	if (compared(walk->use, slot_of(walk)) == walk->truth) {
		explain_compared(walk);
		return false;
	}
	for (size_t p = KT_COMPARISON_N; p < KT_PATTERN_TEMPORAL_ANY_OF; p++) {
		const struct kt_pattern_use *nested = walk->use->args[p].uses;
		KT_AUTO_FREE uint8_t *truth = NULL;

		if (!walk->use->args[p].given)
			continue;
		truth = operator_truth(nested, walk->column);
		if (truth[walk->i] == walk->truth)
			return descend_operator(walk, nested);
	}
	kt_must(any_of->given);
	return descend_any(walk, any_of);
}

void kt_condition_explain(const struct kt_pattern_use *use, const struct kt_column *column,
			  size_t i, enum kt_truth truth, struct kt_buf *text)
{
	struct walk walk = { .column = column, .use = use, .i = i, .truth = truth, .text = text };

	while (descend(&walk))
		;
}

/* ---- parameters ---- */

static size_t count_nodes(const struct kt_pattern_use *use)
{
	size_t n = 1;

	for (size_t p = 0; p < use->pattern->n_params; p++) {
		enum kt_param_kind kind = use->pattern->params[p].kind;

		if (kind != KT_PARAM_PATTERN && kind != KT_PARAM_CONDITION &&
		    kind != KT_PARAM_CONDITIONS)
			continue;
		for (size_t i = 0; i < use->args[p].n_uses; i++)
			n += count_nodes(&use->args[p].uses[i]);
	}
	return n;
}

int kt_condition_check(const struct kt_pattern_use *use, const char **param, struct kt_err *err)
{
	KT_AUTO_BUF names = { 0 };
	size_t n = count_nodes(use);

	if (n > KT_PATTERN_NODES_MAX)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "%s: %zu conditions in all; at most %d", use->pattern->name, n,
				  KT_PATTERN_NODES_MAX);
	if (is_until(use))
		return 0;
	for (size_t p = 0; p < KT_PATTERN_TEMPORAL_CONDITION_N; p++) {
		if (use->args[p].given)
			return kt_comparison_check(use->args, param, err);
		kt_buf_printf(&names, "%s%s", p ? ", " : "", use->pattern->params[p].name);
	}
	return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "%s needs at least one of: %s",
			  use->pattern->name, kt_buf_text(&names));
}
