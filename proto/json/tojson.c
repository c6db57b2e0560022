#include "proto/json/tojson.h"
#include "proto/base/must.h"

#include <math.h>
#include <string.h>

#define MEMBER(type_, struct_, offset_) \
	(*(const type_ *)(const void *)((const char *)(struct_) + (offset_)))

/* Bytes of the UTF-8 sequence at text, 0 when there is none. Surrogates and over-long forms are not
 * told apart from others: parsers of JSON take them.
 */
static size_t utf8_len(const unsigned char *text, size_t len)
{
	unsigned char c = text[0];
	size_t n = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;

	if (n > len)
		return 0;
	for (size_t i = 1; i < n; i++)
		if ((text[i] & 0xc0) != 0x80)
			return 0;
	/* over-long three and four byte forms, surrogates, beyond U+10FFFF */
	if ((c == 0xe0 && text[1] < 0xa0) || (c == 0xed && text[1] > 0x9f) ||
	    (c == 0xf0 && text[1] < 0x90) || (c == 0xf4 && text[1] > 0x8f))
		return 0;
	return n;
}

struct json_object *kt_tojson_text(const char *text, size_t len)
{
	KT_AUTO_BUF clean = { 0 };

	for (size_t i = 0; i < len;) {
		size_t n = utf8_len((const unsigned char *)text + i, len - i);

		kt_buf_append(&clean, n ? text + i : "\xef\xbf\xbd", n ? n : 3);
		i += n ? n : 1;
	}
	return json_object_new_string_len(kt_buf_text(&clean), (int)clean.len);
}

static struct json_object *number(double f64)
{
	return isfinite(f64) ? json_object_new_double(f64) : NULL;
}

/* Depth as in the wire check: KT_WIRE_DEPTH_MAX. */
struct json_object *kt_tojson_value(const struct kt_value *value)
{
	struct json_object *json;

	switch (value->type) {
	case KT_VALUE_NIL:
		return NULL;
	case KT_VALUE_BOOL:
		return json_object_new_boolean(value->boolean);
	case KT_VALUE_U64:
		return json_object_new_uint64(value->u64);
	case KT_VALUE_I64:
		return json_object_new_int64(value->i64);
	case KT_VALUE_F64:
		return number(value->f64);
	case KT_VALUE_STR:
		return kt_tojson_text(value->str, value->n);
	case KT_VALUE_LIST:
		json = json_object_new_array();
		for (uint32_t i = 0; i < value->n; i++)
			json_object_array_add(json, kt_tojson_value(&value->items[i]));
		return json;
	case KT_VALUE_MAP:
		json = json_object_new_object();
		for (uint32_t i = 0; i < value->n; i++)
			json_object_object_add(json, value->pairs[i].key,
					       kt_tojson_value(&value->pairs[i].value));
		return json;
	}
	return NULL;
}

static struct json_object *hex_of(const struct kt_bin *bin)
{
	KT_AUTO_BUF hex = { 0 };

	for (size_t i = 0; i < bin->len; i++)
		kt_buf_printf(&hex, "%02x", bin->data[i]);
	return json_object_new_string_len(kt_buf_text(&hex), (int)hex.len);
}

static struct json_object *list_of(const struct kt_field *field, const void *from)
{
	struct json_object *list = json_object_new_array();
	const char *items = MEMBER(char *, from, field->offset);
	size_t n = MEMBER(size_t, from, field->count_offset);

	for (size_t i = 0; i < n; i++)
		json_object_array_add(list,
				      kt_tojson_struct(field->of, items + i * field->of->size));
	return list;
}

static struct json_object *field_of(const struct kt_field *field, const void *from)
{
	const char *text;

	switch (field->type) {
	case KT_FIELD_BOOL:
		return json_object_new_boolean(MEMBER(bool, from, field->offset));
	case KT_FIELD_U64:
		return json_object_new_uint64(MEMBER(uint64_t, from, field->offset));
	case KT_FIELD_I64:
		return json_object_new_int64(MEMBER(int64_t, from, field->offset));
	case KT_FIELD_F64:
		return number(MEMBER(double, from, field->offset));
	case KT_FIELD_STR:
		text = MEMBER(char *, from, field->offset);
		return kt_tojson_text(text ? text : "", text ? strlen(text) : 0);
	case KT_FIELD_BIN:
		return hex_of(&MEMBER(struct kt_bin, from, field->offset));
	case KT_FIELD_VALUE:
		return kt_tojson_value(&MEMBER(struct kt_value, from, field->offset));
	case KT_FIELD_ONE:
		return MEMBER(void *, from, field->offset)
			       ? kt_tojson_struct(field->of, MEMBER(void *, from, field->offset))
			       : NULL;
	case KT_FIELD_LIST:
		return list_of(field, from);
	}
	return NULL;
}

/* Recursion follows the schema, which is a finite tree. */
struct json_object *kt_tojson_struct(const struct kt_schema *schema, const void *from)
{
	struct json_object *json = json_object_new_object();

	kt_must(json);
	for (size_t i = 0; i < schema->n_fields; i++)
		json_object_object_add(json, schema->fields[i].name,
				       field_of(&schema->fields[i], from));
	return json;
}
