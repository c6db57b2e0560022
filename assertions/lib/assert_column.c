#include "assertions/lib/assert_inside.h"
#include "assertions/valuetext.h"
#include "proto/base/must.h"

#include <string.h>

/* "bpf:n" is as good as "'bpf:n'". */
static int read_text(const char *text, struct kt_arena *arena, struct kt_value *value,
		     struct kt_err *err)
{
	if (strchr("{'\"", text[strspn(text, " \t\n")]) && *text)
		return kt_valuetext_value(text, arena, value, err);
	*value = kt_value_str(arena, text);
	return 0;
}

int kt_assert_column_of(const struct kt_assert_series *series, const char *text,
			struct kt_assert_column **column_p, struct kt_assert_error *error)
{
	KT_AUTO(kt_assert_column_destroy)
	struct kt_assert_column *column = kt_must_calloc(1, sizeof(*column));
	struct kt_place place = { 0 };
	struct kt_formula formula;
	struct kt_column found;
	struct kt_err err = { 0 };

	assert_inside_begin(error);
	*column_p = NULL;
	if (read_text(text, &column->arena, &column->from, &err) < 0 ||
	    kt_formula_read(&column->from, &column->arena, &place, &formula, &err) < 0)
		return assert_inside_error(&err, error);
	kt_formula_column(&formula, &series->series, KT_NUMBER_WANT_ANY, &column->arena, &found);
	column->series = series;
	column->label = formula.text;
	column->unit = formula.unit;
	column->slots = (struct kt_column_slot *)(uintptr_t)found.slots; /* never written */
	column->n = found.n;
	*column_p = kt_take(&column);
	return 0;
}

struct kt_assert_column *kt_assert_column_new(const char *label, const char *unit)
{
	struct kt_assert_column *column = kt_must_calloc(1, sizeof(*column));

	column->label = kt_arena_copy(&column->arena, label, strnlen(label, KT_NAME_BYTES_MAX));
	column->unit =
		kt_arena_copy(&column->arena, unit, strnlen(unit, KT_FORMULA_UNIT_BYTES_MAX - 1));
	return column;
}

void kt_assert_column_destroy(struct kt_assert_column **column_p)
{
	struct kt_assert_column *column = kt_take(column_p);

	if (!column)
		return;
	if (!column->series)
		free(column->slots);
	kt_arena_destroy(&column->arena);
	free(column);
}

static struct kt_column_slot *add(struct kt_assert_column *column, const char *tag,
				  int64_t elapsed_ns)
{
	struct kt_column_slot *slot;

	kt_must(!column->series);
	kt_must(elapsed_ns >= 0);
	if (column->n == column->cap) {
		column->cap = column->cap ? 2 * column->cap : 16;
		column->slots = kt_must_realloc(column->slots, column->cap, sizeof(*column->slots));
	}
	slot = &column->slots[column->n++];
	*slot = (struct kt_column_slot){ .elapsed_ns = elapsed_ns,
					 .tag = kt_arena_strdup(&column->arena, tag) };
	return slot;
}

static void add_number(struct kt_assert_column *column, const char *tag, int64_t elapsed_ns,
		       struct kt_number number)
{
	kt_column_slot_set(add(column, tag, elapsed_ns), &number);
}

void kt_assert_column_add_u64(struct kt_assert_column *column, const char *tag, int64_t elapsed_ns,
			      uint64_t value)
{
	add_number(column, tag, elapsed_ns, kt_number_u64(value));
}

void kt_assert_column_add_i64(struct kt_assert_column *column, const char *tag, int64_t elapsed_ns,
			      int64_t value)
{
	add_number(column, tag, elapsed_ns, kt_number_i64(value));
}

void kt_assert_column_add_f64(struct kt_assert_column *column, const char *tag, int64_t elapsed_ns,
			      double value)
{
	add_number(column, tag, elapsed_ns, kt_number_f64(value));
}

void kt_assert_column_add_missing(struct kt_assert_column *column, const char *tag,
				  int64_t elapsed_ns, const char *why)
{
	struct kt_column_slot *slot = add(column, tag, elapsed_ns);
	struct kt_column_error *error = kt_arena_alloc(&column->arena, 1, sizeof(*error));

	error->type = KT_COLUMN_ERROR_NO_VALUE;
	error->text = kt_arena_strdup(&column->arena, why);
	kt_column_slot_fail(slot, error);
}

size_t kt_assert_column_size(const struct kt_assert_column *column)
{
	return column->n;
}

const char *kt_assert_column_label(const struct kt_assert_column *column)
{
	return column->label;
}

static const struct kt_column_slot *slot_at(const struct kt_assert_column *column, size_t i)
{
	kt_must(i < column->n);
	return &column->slots[i];
}

const char *kt_assert_column_tag(const struct kt_assert_column *column, size_t i)
{
	return slot_at(column, i)->tag;
}

int64_t kt_assert_column_elapsed_ns(const struct kt_assert_column *column, size_t i)
{
	return slot_at(column, i)->elapsed_ns;
}

/* The numbers of the two enums are the same: strangers have them compiled in. */
_Static_assert(KT_ASSERT_U64 == (int)KT_COLUMN_SLOT_U64, "u64");
_Static_assert(KT_ASSERT_I64 == (int)KT_COLUMN_SLOT_I64, "i64");
_Static_assert(KT_ASSERT_F64 == (int)KT_COLUMN_SLOT_F64, "f64");
_Static_assert(KT_ASSERT_BOOL == (int)KT_COLUMN_SLOT_BOOL, "bool");
_Static_assert(KT_ASSERT_MISSING == (int)KT_COLUMN_SLOT_ERROR, "missing");

enum kt_assert_kind kt_assert_column_kind(const struct kt_assert_column *column, size_t i)
{
	return (enum kt_assert_kind)slot_at(column, i)->type;
}

uint64_t kt_assert_column_u64(const struct kt_assert_column *column, size_t i)
{
	kt_must(kt_assert_column_kind(column, i) == KT_ASSERT_U64);
	return slot_at(column, i)->u64;
}

int64_t kt_assert_column_i64(const struct kt_assert_column *column, size_t i)
{
	kt_must(kt_assert_column_kind(column, i) == KT_ASSERT_I64);
	return slot_at(column, i)->i64;
}

double kt_assert_column_f64(const struct kt_assert_column *column, size_t i)
{
	struct kt_number number;

	kt_must(kt_assert_column_kind(column, i) != KT_ASSERT_MISSING);
	number = kt_column_slot_number(slot_at(column, i));
	return kt_number_to_f64(&number);
}

bool kt_assert_column_bool(const struct kt_assert_column *column, size_t i)
{
	kt_must(kt_assert_column_kind(column, i) == KT_ASSERT_BOOL);
	return slot_at(column, i)->boolean;
}

const char *kt_assert_column_missing(const struct kt_assert_column *column, size_t i)
{
	kt_must(kt_assert_column_kind(column, i) == KT_ASSERT_MISSING);
	return slot_at(column, i)->error->text;
}
