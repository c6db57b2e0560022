#include "assertions/pattern_temporal.h"
#include "assertions/pattern_each.h"
#include "assertions/pattern_talk.h"
#include "proto/base/limits.h"

#include <errno.h>

#define DEADLINE_MS_MAX ((uint64_t)(KT_DURATION_NS_MAX / KT_NS_PER_MS))

enum eventually_param { EVENTUALLY_WITHIN_MS = KT_COMPARISON_N, EVENTUALLY_N };
enum always_param { ALWAYS_FROM_MS = KT_COMPARISON_N, ALWAYS_TO_MS, ALWAYS_N };

const struct kt_param kt_pattern_temporal_eventually_params[] = {
	KT_COMPARISON_PARAMS,
	[EVENTUALLY_WITHIN_MS] = { .name = "within_ms",
				   .kind = KT_PARAM_COUNT,
				   .unit = "ms",
				   .max = DEADLINE_MS_MAX,
				   .required = true,
				   .sentence = "by when one value must stand so" },
};

const struct kt_param kt_pattern_temporal_always_params[] = {
	KT_COMPARISON_PARAMS,
	[ALWAYS_FROM_MS] = { .name = "from_ms",
			     .kind = KT_PARAM_COUNT,
			     .unit = "ms",
			     .max = DEADLINE_MS_MAX,
			     .fallback = "0",
			     .sentence = "samples before it are not judged" },
	[ALWAYS_TO_MS] = { .name = "to_ms",
			   .kind = KT_PARAM_COUNT,
			   .unit = "ms",
			   .max = DEADLINE_MS_MAX,
			   .fallback = "the end",
			   .sentence = "samples after it are not judged" },
};

int kt_pattern_temporal_check(const struct kt_pattern_use *use, const char **param,
			      struct kt_err *err)
{
	KT_AUTO_BUF names = { 0 };

	if (kt_comparison_given(use->args))
		return kt_comparison_check(use->args, param, err);
	for (size_t i = 0; i < KT_COMPARISON_N; i++)
		kt_buf_printf(&names, "%s%s", i ? ", " : "", use->pattern->params[i].name);
	return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "%s needs at least one of: %s",
			  use->pattern->name, kt_buf_text(&names));
}

int kt_pattern_temporal_check_always(const struct kt_pattern_use *use, const char **param,
				     struct kt_err *err)
{
	const struct kt_param_arg *from = &use->args[ALWAYS_FROM_MS];
	const struct kt_param_arg *to = &use->args[ALWAYS_TO_MS];

	if (from->given && to->given && from->count > to->count) {
		*param = "from_ms";
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "from_ms %llu is after to_ms %llu",
				  (unsigned long long)from->count, (unsigned long long)to->count);
	}
	return kt_pattern_temporal_check(use, param, err);
}

/* "2 samples have no value, the first periodic_001 (+100 ms): AxisError: ..." */
static void unsure_unknown(struct kt_pattern_talk *talk, const char *what, size_t n,
			   const struct kt_column_slot *first)
{
	KT_AUTO_BUF text = { 0 };

	kt_buf_printf(&text, "%s%zu samples have no value, the first ", what, n);
	kt_column_slot_print_place(first, &text);
	kt_buf_printf(&text, ": %s", first->error->text);
	kt_pattern_talk_unsure(talk, &text);
}

static void unsure_empty(struct kt_pattern_talk *talk)
{
	KT_AUTO_BUF text = { 0 };

	kt_buf_puts(&text, "no sample in that time");
	kt_pattern_talk_unsure(talk, &text);
}

void kt_pattern_temporal_eventually(const struct kt_pattern_use *use, struct kt_pattern_talk *talk)
{
	const struct kt_column *column = talk->input->column;
	int64_t end_ns = (int64_t)use->args[EVENTUALLY_WITHIN_MS].count * KT_NS_PER_MS;
	const struct kt_column_slot *unknown = NULL; /* the first */
	const struct kt_column_slot *last = NULL;
	size_t n_unknown = 0;

	for (size_t i = 0; i < column->n; i++) {
		const struct kt_column_slot *slot = &column->slots[i];
		struct kt_number value;

		if (slot->elapsed_ns > end_ns)
			continue;
		if (!kt_column_slot_usable(slot)) {
			if (n_unknown++ == 0)
				unknown = slot;
			continue;
		}
		value = kt_column_slot_number(slot);
		if (kt_comparison_holds(use->args, &value)) {
			KT_AUTO_BUF text = { 0 };

			kt_buf_puts(&text, "first ");
			kt_column_slot_print(slot, &text);
			kt_pattern_talk_note(talk, &text);
			return;
		}
		last = slot;
	}
	if (unknown)
		unsure_unknown(talk, "not seen, but ", n_unknown, unknown);
	else if (last)
		kt_pattern_talk_fail_slot(talk, "never, last seen", last);
	else
		unsure_empty(talk);
}

void kt_pattern_temporal_always(const struct kt_pattern_use *use, struct kt_pattern_talk *talk)
{
	const struct kt_column *column = talk->input->column;
	const struct kt_param_arg *from = &use->args[ALWAYS_FROM_MS];
	const struct kt_param_arg *to = &use->args[ALWAYS_TO_MS];
	int64_t from_ns = from->given ? (int64_t)from->count * KT_NS_PER_MS : INT64_MIN;
	int64_t to_ns = to->given ? (int64_t)to->count * KT_NS_PER_MS : INT64_MAX;
	const struct kt_column_slot *unknown = NULL; /* the first */
	size_t n_unknown = 0;
	size_t n = 0;

	for (size_t i = 0; i < column->n; i++) {
		const struct kt_column_slot *slot = &column->slots[i];

		if (slot->elapsed_ns < from_ns || slot->elapsed_ns > to_ns)
			continue;
		n++;
		if (kt_column_slot_usable(slot))
			kt_pattern_each_slot(use->args, talk, slot);
		else if (n_unknown++ == 0)
			unknown = slot;
	}
	if (n == 0)
		unsure_empty(talk);
	else if (unknown && talk->fails == 0)
		unsure_unknown(talk, "", n_unknown, unknown);
}
