#include "assertions/formula.h"
#include "proto/base/limits.h"
#include "proto/base/must.h"
#include "proto/base/suggest.h"

#include <errno.h>
#include <string.h>

static const struct {
	const char *name;
	const char *sentence;
	size_t operands_min;
	size_t operands_max; /* 1: a series by itself, not a list */
	const char *between; /* in the text */
} operations[] = {
	[KT_FORMULA_OF] = { "of", "a series as it is, to give it a unit", 1, 1, "" },
	[KT_FORMULA_DIFFERENCE] = { "difference", "the first minus the second", 2, 2, " - " },
	[KT_FORMULA_SUM] = { "sum", "all of them added", 2, KT_FORMULA_OPERANDS_MAX, " + " },
	[KT_FORMULA_RATIO] = { "ratio", "the first divided by the second", 2, 2, " / " },
	[KT_FORMULA_RATE] = { "rate", "how much it grew from sample to sample, per second", 1, 1,
			      " per s" },
};
_Static_assert(sizeof(operations) / sizeof(operations[0]) == KT_FORMULA_OPERATION_N,
	       "one row for each operation");

const char *kt_formula_operation_name(enum kt_formula_operation operation)
{
	kt_must(operation < KT_FORMULA_OPERATION_N);
	return operations[operation].name;
}

const char *kt_formula_operation_sentence(enum kt_formula_operation operation)
{
	kt_must(operation < KT_FORMULA_OPERATION_N);
	return operations[operation].sentence;
}

/* ---- values to a formula ---- */

struct reader {
	struct kt_arena *arena;
	struct kt_place *place;
	struct kt_err *err;
};

static int read_formula(struct reader *reader, const struct kt_value *value, unsigned int depth,
			struct kt_formula *formula);

static int read_text(struct reader *reader, const struct kt_value *value,
		     struct kt_formula *formula)
{
	int status;

	if (value->n == 0 || value->n > KT_NAME_BYTES_MAX || strlen(value->str) != value->n)
		return kt_err_set(reader->err, KT_FAULT_INPUT, EINVAL,
				  "a series must have 1 to %d bytes, not %u", KT_NAME_BYTES_MAX,
				  (unsigned int)value->n);
	status = kt_projection_parse(value->str, reader->arena, &formula->projection,
				     &reader->place->offset, reader->err);
	formula->operation = KT_FORMULA_OF;
	formula->text = formula->projection.text;
	formula->unit = "";
	return status;
}

static int read_unit(struct reader *reader, const struct kt_value *value, const char **unit)
{
	if (value->type != KT_VALUE_STR || value->n == 0 || value->n > KT_FORMULA_UNIT_BYTES_MAX)
		return kt_err_set(reader->err, KT_FAULT_INPUT, EINVAL,
				  "unit must be a text of 1 to %d bytes, for example \"tasks\"",
				  KT_FORMULA_UNIT_BYTES_MAX);
	for (uint32_t i = 0; i < value->n; i++)
		if ((unsigned char)value->str[i] <= 0x20 || value->str[i] == 0x7f)
			return kt_err_set(reader->err, KT_FAULT_INPUT, EINVAL,
					  "unit must be one word without control characters");
	*unit = kt_arena_copy(reader->arena, value->str, value->n);
	return 0;
}

/* Which operation a key names; KT_FORMULA_OPERATION_N when none. */
static enum kt_formula_operation operation_of(const char *key)
{
	enum kt_formula_operation i = 0;

	while (i < KT_FORMULA_OPERATION_N && strcmp(operations[i].name, key) != 0)
		i++;
	return i;
}

static int unknown_key(struct reader *reader, const char *key)
{
	const char *names[KT_FORMULA_OPERATION_N + 1];
	KT_AUTO_BUF known = { 0 };

	for (size_t i = 0; i < KT_FORMULA_OPERATION_N; i++)
		names[i] = operations[i].name;
	names[KT_FORMULA_OPERATION_N] = "unit";
	kt_suggest_print(key, names, KT_FORMULA_OPERATION_N + 1, &known);
	reader->place->at_key = true;
	return kt_err_set(reader->err, KT_FAULT_INPUT, EINVAL, "unknown key '%.*s' of a series; %s",
			  KT_NAME_BYTES_MAX, key, kt_buf_text(&known));
}

static int read_operands(struct reader *reader, const struct kt_value *value, unsigned int depth,
			 struct kt_formula *formula)
{
	enum kt_formula_operation operation = formula->operation;
	bool single = operations[operation].operands_max == 1;
	size_t n = single ? 1 : value->n;

	if (!single && (value->type != KT_VALUE_LIST || n < operations[operation].operands_min ||
			n > operations[operation].operands_max))
		return kt_err_set(reader->err, KT_FAULT_INPUT, EINVAL,
				  "%s must be a list of %zu%s series", operations[operation].name,
				  operations[operation].operands_min,
				  operation == KT_FORMULA_SUM ? " to 8" : "");
	if (depth == 0)
		return kt_err_set(reader->err, KT_FAULT_INPUT, EINVAL,
				  "series made of series, at most %d deep", KT_FORMULA_DEPTH_MAX);
	formula->operands = kt_arena_alloc(reader->arena, n, sizeof(*formula->operands));
	formula->n_operands = n;
	for (size_t i = 0; i < n; i++) {
		size_t mark = single ? strlen(reader->place->path)
				     : kt_place_enter_item(reader->place, i);
		int status = read_formula(reader, single ? value : &value->items[i], depth - 1,
					  &formula->operands[i]);

		if (status < 0)
			return status;
		kt_place_leave(reader->place, mark);
	}
	return 0;
}

/* "bpf:a - bpf:b"; operands that are formulas themselves stand in parentheses. */
static void write_text(struct reader *reader, struct kt_formula *formula)
{
	const char *between = operations[formula->operation].between;
	bool rate = formula->operation == KT_FORMULA_RATE;
	KT_AUTO_BUF text = { 0 };

	for (size_t i = 0; i < formula->n_operands; i++) {
		const struct kt_formula *operand = &formula->operands[i];
		bool simple = operand->n_operands == 0;

		kt_buf_printf(&text, "%s%s%s%s%s", i ? between : "", simple ? "" : "(",
			      operand->text, simple ? "" : ")", rate ? between : "");
	}
	formula->text = kt_arena_strdup(reader->arena, kt_buf_text(&text));
}

/* "tasks", "ns"; in a quotient "(tasks/s)". */
static const char *factor(struct reader *reader, const char *unit)
{
	return strchr(unit, '/') ? kt_arena_printf(reader->arena, "(%s)", unit) : unit;
}

static int derive_unit(struct reader *reader, struct kt_formula *formula)
{
	const char *first = formula->operands[0].unit;
	const char *other;

	formula->unit = "";
	switch (formula->operation) {
	case KT_FORMULA_RATE:
		if (*first)
			formula->unit =
				kt_arena_printf(reader->arena, "%s/s", factor(reader, first));
		return 0;
	case KT_FORMULA_RATIO:
		other = formula->operands[1].unit;
		if (*first && *other && strcmp(first, other) != 0)
			formula->unit =
				kt_arena_printf(reader->arena, "%s/%s", factor(reader, first),
						factor(reader, other));
		return 0;
	default:
		break;
	}
	for (size_t i = 0; i < formula->n_operands; i++) {
		other = formula->operands[i].unit;
		if (*formula->unit && *other && strcmp(formula->unit, other) != 0)
			return kt_err_set(reader->err, KT_FAULT_INPUT, EINVAL,
					  "a %s of %s and %s: their units differ",
					  operations[formula->operation].name, formula->unit,
					  other);
		if (*other)
			formula->unit = other;
	}
	return 0;
}

/* { of = series } is the series itself, and gives it a unit. */
static void take_only_operand(struct kt_formula *formula)
{
	struct kt_formula operand = formula->operands[0];

	*formula = operand;
}

/* What stands beside the operation: its unit, which must be what the operands' units make. */
static int finish(struct reader *reader, const char *unit, const char *unit_key,
		  struct kt_formula *formula)
{
	int status;

	if (formula->operation == KT_FORMULA_OF)
		take_only_operand(formula);
	else
		write_text(reader, formula);
	status = formula->n_operands ? derive_unit(reader, formula) : 0;
	if (status < 0 || !unit)
		return status;
	if (*formula->unit && strcmp(formula->unit, unit) != 0) {
		kt_place_enter(reader->place, unit_key);
		return kt_err_set(reader->err, KT_FAULT_INPUT, EINVAL,
				  "%s is in %s as its operands are, not in %s", formula->text,
				  formula->unit, unit);
	}
	formula->unit = unit;
	return 0;
}

static int read_table(struct reader *reader, const struct kt_value *map, unsigned int depth,
		      struct kt_formula *formula)
{
	const char *unit = NULL;
	bool found = false;

	for (uint32_t i = 0; i < map->n; i++) {
		const char *key = map->pairs[i].key;
		const struct kt_value *value = &map->pairs[i].value;
		enum kt_formula_operation operation = operation_of(key);
		size_t mark = kt_place_enter(reader->place, key);
		int status;

		if (strcmp(key, "unit") == 0) {
			status = read_unit(reader, value, &unit);
		} else if (operation == KT_FORMULA_OPERATION_N) {
			status = unknown_key(reader, key);
		} else if (found) {
			reader->place->at_key = true;
			status = kt_err_set(reader->err, KT_FAULT_INPUT, EINVAL,
					    "a series has one operation: %s or %s",
					    operations[formula->operation].name, key);
		} else {
			found = true;
			formula->operation = operation;
			status = read_operands(reader, value, depth, formula);
		}
		if (status < 0)
			return status;
		kt_place_leave(reader->place, mark);
	}
	if (!found)
		return kt_err_set(reader->err, KT_FAULT_INPUT, EINVAL,
				  "a series needs one of: of, difference, sum, ratio, rate");
	return finish(reader, unit, "unit", formula);
}

/* Calls itself through read_operands(), no deeper than KT_FORMULA_DEPTH_MAX. */
static int read_formula(struct reader *reader, const struct kt_value *value, unsigned int depth,
			struct kt_formula *formula)
{
	if (value->type == KT_VALUE_STR)
		return read_text(reader, value, formula);
	if (value->type == KT_VALUE_MAP)
		return read_table(reader, value, depth, formula);
	return kt_err_set(reader->err, KT_FAULT_INPUT, EINVAL,
			  "a series must be a text, \"axis:path\", or a table, not %s",
			  kt_value_type_name(value->type));
}

int kt_formula_read(const struct kt_value *value, struct kt_arena *arena, struct kt_place *place,
		    struct kt_formula *formula, struct kt_err *err)
{
	struct reader reader = { .arena = arena, .place = place, .err = err };

	*formula = (struct kt_formula){ .text = "", .unit = "" };
	return read_formula(&reader, value, KT_FORMULA_DEPTH_MAX, formula);
}

/* ---- a formula to a column ---- */

/* Of slots that the column will not have: a rate belongs to the later of two samples. */
static const struct kt_column_error absent;

static bool is_absent(const struct kt_column_slot *slot)
{
	return slot->type == KT_COLUMN_SLOT_ERROR && slot->error == &absent;
}

/* Always the slot's error, so that `return failed(...)` reads as what it is. */
static void failed(const struct kt_formula *formula, struct kt_arena *arena,
		   struct kt_column_slot *slot, enum kt_column_error_type type, const char *what)
{
	struct kt_column_error *error = kt_arena_alloc(arena, 1, sizeof(*error));

	error->type = type;
	error->text = kt_arena_printf(arena, "%s: %s: %s", kt_column_error_name(type),
				      formula->text, what);
	kt_column_slot_fail(slot, error);
}

static bool is_integer(const struct kt_number *number)
{
	return number->type != KT_NUMBER_F64;
}

static void combine(const struct kt_formula *formula, struct kt_arena *arena,
		    const struct kt_number *a, const struct kt_number *b,
		    struct kt_column_slot *slot)
{
	struct kt_number result;

	switch (formula->operation) {
	case KT_FORMULA_RATIO:
		if (kt_number_is_zero(b)) {
			failed(formula, arena, slot, KT_COLUMN_ERROR_ZERO_DIVISOR,
			       "nothing to divide by");
			return;
		}
		result = kt_number_f64(kt_number_to_f64(a) / kt_number_to_f64(b));
		break;
	case KT_FORMULA_SUM:
		result = kt_number_plus(a, b);
		break;
	default:
		result = kt_number_minus(a, b);
		break;
	}
	if (formula->operation != KT_FORMULA_RATIO && is_integer(a) && is_integer(b) &&
	    !is_integer(&result))
		failed(formula, arena, slot, KT_COLUMN_ERROR_OVERFLOW,
		       "it needs more than 64 bits");
	else
		kt_column_slot_set(slot, &result);
}

/* into[i] = into[i] operation other[i]. What is absent on either side is so afterwards, as any error. */
static void combine_columns(const struct kt_formula *formula, struct kt_arena *arena, size_t n,
			    struct kt_column_slot *into, const struct kt_column_slot *other)
{
	for (size_t i = 0; i < n; i++) {
		struct kt_number a;
		struct kt_number b;

		if (!kt_column_slot_usable(&into[i]))
			continue;
		if (!kt_column_slot_usable(&other[i])) {
			kt_column_slot_fail(&into[i], other[i].error);
			continue;
		}
		a = kt_column_slot_number(&into[i]);
		b = kt_column_slot_number(&other[i]);
		combine(formula, arena, &a, &b, &into[i]);
	}
}

/* From the last to the first, so that the one before is still what it was. */
static void rate_column(const struct kt_formula *formula, struct kt_arena *arena, size_t n,
			struct kt_column_slot *slots)
{
	for (size_t i = n; i-- > 0;) {
		struct kt_column_slot *slot = &slots[i];
		const struct kt_column_slot *before = i ? slot - 1 : NULL;
		struct kt_number now;
		struct kt_number then;
		struct kt_number rate;

		if (is_absent(slot))
			continue;
		if (!before || is_absent(before) || before->epoch != slot->epoch) {
			kt_column_slot_fail(slot, &absent);
			continue;
		}
		if (!kt_column_slot_usable(slot))
			continue;
		if (!kt_column_slot_usable(before)) {
			kt_column_slot_fail(slot, before->error);
			continue;
		}
		if (slot->elapsed_ns <= before->elapsed_ns) {
			failed(formula, arena, slot, KT_COLUMN_ERROR_NO_TIME,
			       "no time passed since the sample before");
			continue;
		}
		now = kt_column_slot_number(slot);
		then = kt_column_slot_number(before);
		rate = kt_number_minus(&now, &then);
		rate = kt_number_f64(kt_number_to_f64(&rate) * KT_NS_PER_S /
				     (double)(slot->elapsed_ns - before->elapsed_ns));
		kt_column_slot_set(slot, &rate);
	}
}

/* One slot for every sample, some of them absent. Calls itself as deep as it was read. */
static struct kt_column_slot *reckon(const struct kt_formula *formula,
				     const struct kt_series *series, enum kt_number_want want,
				     struct kt_arena *arena)
{
	struct kt_column_slot *slots;
	struct kt_column column;

	if (formula->n_operands == 0) {
		kt_projection_column(&formula->projection, series, want, arena, &column);
		slots = kt_arena_alloc(arena, column.n, sizeof(*slots));
		if (column.n)
			memcpy(slots, column.slots, column.n * sizeof(*slots));
		return slots;
	}
	slots = reckon(&formula->operands[0], series, KT_NUMBER_WANT_ANY, arena);
	if (formula->operation == KT_FORMULA_RATE)
		rate_column(formula, arena, series->n, slots);
	for (size_t i = 1; i < formula->n_operands; i++)
		combine_columns(formula, arena, series->n, slots,
				reckon(&formula->operands[i], series, KT_NUMBER_WANT_ANY, arena));
	return slots;
}

void kt_formula_column(const struct kt_formula *formula, const struct kt_series *series,
		       enum kt_number_want want, struct kt_arena *arena, struct kt_column *column)
{
	struct kt_column_slot *slots;
	size_t n = 0;

	if (formula->n_operands == 0) {
		kt_projection_column(&formula->projection, series, want, arena, column);
		return;
	}
	slots = reckon(formula, series, want, arena);
	for (size_t i = 0; i < series->n; i++)
		if (!is_absent(&slots[i]))
			slots[n++] = slots[i];
	*column = (struct kt_column){ .slots = slots, .n = n };
}
