/* fill.h - a struct of any schema, filled by its table: everything that it may hold, or the least
 * that it must. Deterministic: golden frames and fuzz corpora are made from it.
 */
#ifndef FILL_H
#define FILL_H

#include "proto/base/must.h"
#include "proto/schema.h"

#include <math.h>
#include <string.h>

enum fill { FILL_MINIMAL, FILL_FULL };

#define FILL_MEMBER(type_, struct_, offset_) ((type_ *)(void *)((char *)(struct_) + (offset_)))

static inline struct kt_value fill_value(struct kt_arena *arena)
{
	struct kt_value value = kt_value_map(arena, 8);
	struct kt_value list = kt_value_list(arena, 3);

	list.items[0] = kt_value_u64(UINT64_MAX);
	list.items[1] = kt_value_map(arena, 0);
	list.items[2] = kt_value_list(arena, 0);
	value.pairs[0] = (struct kt_value_pair){ "nil", kt_value_nil() };
	value.pairs[1] = (struct kt_value_pair){ "bool", kt_value_bool(true) };
	value.pairs[2] = (struct kt_value_pair){ "u64", kt_value_u64(300) };
	value.pairs[3] = (struct kt_value_pair){ "i64", kt_value_i64(INT64_MIN) };
	value.pairs[4] = (struct kt_value_pair){ "f64", kt_value_f64(0.1) };
	value.pairs[5] = (struct kt_value_pair){ "nan", kt_value_f64(NAN) };
	value.pairs[6] = (struct kt_value_pair){ "str", kt_value_str(arena, "gr\xc3\xbc\xc3\x9f") };
	value.pairs[7] = (struct kt_value_pair){ "list", list };
	return value;
}

/* Somewhere within min..max that needs as many bytes as it can. */
static inline uint64_t fill_number(uint64_t min, uint64_t max, uint32_t key)
{
	return max - min > key ? max - key : max;
}

static inline void fill_struct(const struct kt_schema *schema, enum fill how,
			       struct kt_arena *arena, void *into)
{
	for (size_t i = 0; i < schema->n_fields; i++) {
		const struct kt_field *field = &schema->fields[i];
		bool is_full = how == FILL_FULL;
		size_t n;

		if (field->type == KT_FIELD_STR)
			*FILL_MEMBER(const char *, into, field->offset) = "";
		if (!field->must && !is_full)
			continue;
		switch (field->type) {
		case KT_FIELD_BOOL:
			*FILL_MEMBER(bool, into, field->offset) = is_full;
			break;
		case KT_FIELD_U64:
			*FILL_MEMBER(uint64_t, into, field->offset) =
				is_full ? fill_number(field->min, field->max, field->key)
					: field->min;
			break;
		case KT_FIELD_I64:
			*FILL_MEMBER(int64_t, into, field->offset) =
				is_full ? (int64_t)field->max - (int64_t)field->key
					: (int64_t)field->min;
			break;
		case KT_FIELD_F64:
			*FILL_MEMBER(double, into, field->offset) = is_full ? -0.0 : 0;
			break;
		case KT_FIELD_STR:
			n = strlen(field->name);
			if (is_full)
				*FILL_MEMBER(const char *, into, field->offset) =
					n <= field->max ? field->name : "x";
			break;
		case KT_FIELD_BIN: {
			uint8_t *bytes;

			n = is_full ? (field->min ? field->min : 5) : field->min;
			kt_must(n <= field->max);
			bytes = kt_arena_alloc(arena, n, 1);
			for (size_t k = 0; k < n; k++)
				bytes[k] = (uint8_t)(field->key * 16 + k);
			*FILL_MEMBER(struct kt_bin, into, field->offset) =
				(struct kt_bin){ bytes, n };
			break;
		}
		case KT_FIELD_VALUE:
			*FILL_MEMBER(struct kt_value, into, field->offset) =
				is_full ? fill_value(arena) : kt_value_nil();
			break;
		case KT_FIELD_ONE: {
			void *one = kt_arena_alloc(arena, 1, field->of->size);

			fill_struct(field->of, how, arena, one);
			*FILL_MEMBER(void *, into, field->offset) = one;
			break;
		}
		case KT_FIELD_LIST: {
			char *items;

			n = is_full ? 2 : 0;
			items = kt_arena_alloc(arena, n, field->of->size);
			for (size_t k = 0; k < n; k++)
				fill_struct(field->of, k ? FILL_MINIMAL : how, arena,
					    items + k * field->of->size);
			*FILL_MEMBER(void *, into, field->offset) = items;
			*FILL_MEMBER(size_t, into, field->count_offset) = n;
			break;
		}
		}
	}
}

static inline void fill_frame(const struct kt_family *family, const struct kt_message *message,
			      enum fill how, struct kt_buf *out)
{
	KT_AUTO_ARENA arena = { 0 };
	void *body = kt_arena_alloc(&arena, 1, message->schema->size);

	fill_struct(message->schema, how, &arena, body);
	kt_codec_encode_frame(family, message->tag, body, out);
}

static const struct kt_family *const fill_families[] = { &kt_schema_fleet, &kt_schema_runner,
							 &kt_schema_guest };
#define FILL_N_FAMILIES (sizeof(fill_families) / sizeof(fill_families[0]))

#endif
