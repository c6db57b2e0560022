#include "assertions/column.h"
#include "proto/base/limits.h"
#include "proto/base/must.h"

#include <inttypes.h>
#include <math.h>

_Static_assert(sizeof(struct kt_column_slot) == 32, "the header says 32 bytes");
_Static_assert((int)KT_COLUMN_SLOT_U64 == (int)KT_NUMBER_U64 &&
		       (int)KT_COLUMN_SLOT_I64 == (int)KT_NUMBER_I64 &&
		       (int)KT_COLUMN_SLOT_F64 == (int)KT_NUMBER_F64 &&
		       (int)KT_COLUMN_SLOT_BOOL == (int)KT_NUMBER_BOOL,
	       "a slot's type is its number's");

const char *kt_column_error_name(enum kt_column_error_type type)
{
	static const char *const names[] = {
#define X(id_, name_, sentence_) name_,
		KT_COLUMN_ERRORS(X)
#undef X
	};

	kt_must(type < KT_COLUMN_ERROR_N);
	return names[type];
}

const char *kt_column_error_sentence(enum kt_column_error_type type)
{
	static const char *const sentences[] = {
#define X(id_, name_, sentence_) sentence_,
		KT_COLUMN_ERRORS(X)
#undef X
	};

	kt_must(type < KT_COLUMN_ERROR_N);
	return sentences[type];
}

void kt_column_slot_set(struct kt_column_slot *slot, const struct kt_number *number)
{
	slot->type = (uint8_t)number->type;
	switch (number->type) {
	case KT_NUMBER_U64:
		slot->u64 = number->u64;
		break;
	case KT_NUMBER_I64:
		slot->i64 = number->i64;
		break;
	case KT_NUMBER_F64:
		slot->f64 = number->f64;
		break;
	case KT_NUMBER_BOOL:
		slot->boolean = number->boolean;
		break;
	}
}

void kt_column_slot_fail(struct kt_column_slot *slot, const struct kt_column_error *error)
{
	slot->type = KT_COLUMN_SLOT_ERROR;
	slot->error = error;
}

struct kt_number kt_column_slot_number(const struct kt_column_slot *slot)
{
	switch (slot->type) {
	case KT_COLUMN_SLOT_U64:
		return kt_number_u64(slot->u64);
	case KT_COLUMN_SLOT_I64:
		return kt_number_i64(slot->i64);
	case KT_COLUMN_SLOT_F64:
		return kt_number_f64(slot->f64);
	case KT_COLUMN_SLOT_BOOL:
		return kt_number_bool(slot->boolean);
	}
	kt_must(kt_column_slot_usable(slot));
	return kt_number_f64(NAN);
}

void kt_column_slot_print_place(const struct kt_column_slot *slot, struct kt_buf *out)
{
	int64_t us = slot->elapsed_ns / KT_NS_PER_US;
	int64_t rest = us % 1000;

	kt_buf_printf(out, "%s (+%" PRId64, slot->tag, us / 1000);
	if (rest) {
		int digits = 3;

		for (; rest % 10 == 0; rest /= 10)
			digits--;
		kt_buf_printf(out, ".%0*" PRId64, digits, rest);
	}
	kt_buf_puts(out, " ms)");
}

void kt_column_slot_print(const struct kt_column_slot *slot, struct kt_buf *out)
{
	struct kt_number number = kt_column_slot_number(slot);
	char text[KT_NUMBER_TEXT_BYTES];

	kt_buf_printf(out, "%s at ", kt_number_format(&number, text));
	kt_column_slot_print_place(slot, out);
}

size_t kt_column_usable(const struct kt_column *column)
{
	size_t n = 0;

	for (size_t i = 0; i < column->n; i++)
		n += kt_column_slot_usable(&column->slots[i]);
	return n;
}
