#include "assertions/pattern_each.h"
#include "assertions/pattern_talk.h"

const struct kt_param kt_pattern_each_params[] = { KT_COMPARISON_PARAMS };

int kt_pattern_each_check(const struct kt_pattern_use *use, const char **param, struct kt_err *err)
{
	return kt_comparison_check(use->args, param, err);
}

void kt_pattern_each_slot(const struct kt_param_arg *args, struct kt_pattern_talk *talk,
			  const struct kt_column_slot *slot)
{
	struct kt_number value = kt_column_slot_number(slot);
	KT_AUTO_BUF what = { 0 };
	size_t next = 0;

	if (kt_number_is_nan(&value)) {
		kt_pattern_talk_fail_slot(talk, "incomparable", slot);
		return;
	}
	while (kt_comparison_broken(args, &value, &next, &what))
		kt_pattern_talk_fail_slot(talk, kt_buf_text(&what), slot);
}

void kt_pattern_each_compared(const struct kt_pattern_use *use, struct kt_pattern_talk *talk)
{
	const struct kt_column *column = talk->input->column;

	for (size_t i = 0; i < column->n; i++) {
		if (kt_column_slot_usable(&column->slots[i]))
			kt_pattern_each_slot(use->args, talk, &column->slots[i]);
		else
			kt_pattern_talk_fail_errored(talk, &column->slots[i]);
	}
}

void kt_pattern_each_true(const struct kt_pattern_use *use, struct kt_pattern_talk *talk)
{
	const struct kt_column *column = talk->input->column;

	for (size_t i = 0; i < column->n; i++) {
		const struct kt_column_slot *slot = &column->slots[i];
		struct kt_number number;

		if (!kt_column_slot_usable(slot)) {
			kt_pattern_talk_fail_errored(talk, slot);
			continue;
		}
		number = kt_column_slot_number(slot);
		if (number.type != KT_NUMBER_BOOL)
			kt_pattern_talk_fail_slot(talk, "not a bool", slot);
		else if (!number.boolean)
			kt_pattern_talk_fail_slot(talk, "not true", slot);
	}
}
