#include "coordinator/plot.h"
#include "proto/base/limits.h"

#include <math.h>
#include <string.h>

/* Where the finite values of a column lie; doubles do for drawing. */
struct span {
	double lowest;
	double highest;
};

static bool value_of(const struct kt_column_slot *slot, double *value)
{
	struct kt_number number;

	if (!kt_column_slot_usable(slot))
		return false;
	number = kt_column_slot_number(slot);
	*value = kt_number_to_f64(&number);
	return isfinite(*value);
}

static struct span span_of(const struct kt_column *column)
{
	struct span span = { INFINITY, -INFINITY };
	double value;

	for (size_t i = 0; i < column->n; i++) {
		if (!value_of(&column->slots[i], &value))
			continue;
		span.lowest = value < span.lowest ? value : span.lowest;
		span.highest = value > span.highest ? value : span.highest;
	}
	return span;
}

/* A value that never changes stands in the middle. */
static void draw(const struct kt_column_slot *slot, const struct span *span,
		 char bar[KT_PLOT_COLUMNS + 1])
{
	double width = span->highest - span->lowest;
	double value;

	memset(bar, ' ', KT_PLOT_COLUMNS);
	bar[KT_PLOT_COLUMNS] = 0;
	if (!value_of(slot, &value))
		memset(bar, '.', KT_PLOT_COLUMNS);
	else if (width > 0 && isfinite(width))
		bar[lround((value - span->lowest) / width * (KT_PLOT_COLUMNS - 1))] = '*';
	else
		bar[KT_PLOT_COLUMNS / 2] = '*';
}

void kt_plot_print(const struct kt_assertion *leaf, const struct kt_judge_seen *seen, FILE *out)
{
	static const char *const marks[] = {
		[KT_PATTERN_MARK_NONE] = "",
		[KT_PATTERN_MARK_UNSURE] = "  <- not known",
		[KT_PATTERN_MARK_FAIL] = "  <- fails",
	};
	struct span span = span_of(&seen->column);
	KT_AUTO_BUF title = { 0 };

	kt_assertion_print(leaf, &title);
	fprintf(out, "  %s\n", kt_buf_text(&title));
	for (size_t i = 0; i < seen->column.n; i++) {
		const struct kt_column_slot *slot = &seen->column.slots[i];
		char bar[KT_PLOT_COLUMNS + 1];
		char text[KT_NUMBER_TEXT_BYTES];
		const char *value;

		if (kt_column_slot_usable(slot)) {
			struct kt_number number = kt_column_slot_number(slot);

			value = kt_number_format(&number, text);
		} else {
			value = kt_column_error_name(slot->error->type);
		}
		draw(slot, &span, bar);
		fprintf(out, "    %-16s %+11.3f ms %24s  |%s|%s\n", slot->tag,
			(double)slot->elapsed_ns / KT_NS_PER_MS, value, bar, marks[seen->marks[i]]);
	}
}
