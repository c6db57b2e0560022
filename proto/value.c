#include "proto/value.h"
#include "proto/base/must.h"
#include "proto/pack.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <math.h>
#include <string.h>

struct kt_value kt_value_nil(void)
{
	return (struct kt_value){ .type = KT_VALUE_NIL };
}

struct kt_value kt_value_bool(bool boolean)
{
	return (struct kt_value){ .type = KT_VALUE_BOOL, .boolean = boolean };
}

struct kt_value kt_value_u64(uint64_t u64)
{
	return (struct kt_value){ .type = KT_VALUE_U64, .u64 = u64 };
}

struct kt_value kt_value_i64(int64_t i64)
{
	if (i64 >= 0)
		return kt_value_u64((uint64_t)i64);
	return (struct kt_value){ .type = KT_VALUE_I64, .i64 = i64 };
}

struct kt_value kt_value_f64(double f64)
{
	return (struct kt_value){ .type = KT_VALUE_F64, .f64 = f64 };
}

struct kt_value kt_value_str(struct kt_arena *arena, const char *text)
{
	return (struct kt_value){ .type = KT_VALUE_STR,
				  .n = (uint32_t)strlen(text),
				  .str = kt_arena_strdup(arena, text) };
}

struct kt_value kt_value_list(struct kt_arena *arena, size_t n)
{
	struct kt_value value = { .type = KT_VALUE_LIST, .n = (uint32_t)n };

	kt_must(n <= UINT32_MAX);
	value.items = kt_arena_alloc(arena, n, sizeof(*value.items));
	return value;
}

struct kt_value kt_value_map(struct kt_arena *arena, size_t n)
{
	struct kt_value value = { .type = KT_VALUE_MAP, .n = (uint32_t)n };

	kt_must(n <= UINT32_MAX);
	value.pairs = kt_arena_alloc(arena, n, sizeof(*value.pairs));
	return value;
}

const struct kt_value *kt_value_get(const struct kt_value *value, const char *key)
{
	if (value->type != KT_VALUE_MAP)
		return NULL;
	for (uint32_t i = 0; i < value->n; i++)
		if (strcmp(value->pairs[i].key, key) == 0)
			return &value->pairs[i].value;
	return NULL;
}

const char *kt_value_type_name(enum kt_value_type type)
{
	static const char *const names[] = {
		[KT_VALUE_NIL] = "nil",     [KT_VALUE_BOOL] = "bool", [KT_VALUE_U64] = "integer",
		[KT_VALUE_I64] = "integer", [KT_VALUE_F64] = "float", [KT_VALUE_STR] = "string",
		[KT_VALUE_LIST] = "list",   [KT_VALUE_MAP] = "map",
	};

	kt_must(type <= KT_VALUE_MAP);
	return names[type];
}

/* The three walks below recurse: depth is bounded by the wire check (KT_WIRE_DEPTH_MAX), and trees
 * of our own making are shallower.
 */
bool kt_value_equal(const struct kt_value *a, const struct kt_value *b)
{
	if (a->type != b->type || a->n != b->n)
		return false;
	switch (a->type) {
	case KT_VALUE_NIL:
		return true;
	case KT_VALUE_BOOL:
		return a->boolean == b->boolean;
	case KT_VALUE_U64:
	case KT_VALUE_I64:
		return a->u64 == b->u64;
	case KT_VALUE_F64:
		return a->f64 == b->f64 || (isnan(a->f64) && isnan(b->f64));
	case KT_VALUE_STR:
		return memcmp(a->str, b->str, a->n) == 0;
	case KT_VALUE_LIST:
		for (uint32_t i = 0; i < a->n; i++)
			if (!kt_value_equal(&a->items[i], &b->items[i]))
				return false;
		return true;
	case KT_VALUE_MAP:
		for (uint32_t i = 0; i < a->n; i++)
			if (strcmp(a->pairs[i].key, b->pairs[i].key) != 0 ||
			    !kt_value_equal(&a->pairs[i].value, &b->pairs[i].value))
				return false;
		return true;
	}
	return false;
}

static void print_str(const char *text, size_t len, struct kt_buf *out)
{
	kt_buf_puts(out, "\"");
	for (size_t i = 0; i < len && !out->full; i++) {
		unsigned char c = (unsigned char)text[i];

		if (c == '"' || c == '\\')
			kt_buf_printf(out, "\\%c", c);
		else if (c < 0x20 || c == 0x7f)
			kt_buf_printf(out, "\\x%02x", c);
		else
			kt_buf_append(out, &c, 1);
	}
	kt_buf_puts(out, "\"");
}

/* Keys come from outside as well: bare only when nothing in them can be misread. */
static void print_key(const char *key, struct kt_buf *out)
{
	bool is_plain = *key != 0;

	for (const char *c = key; *c && is_plain; c++)
		is_plain = isalnum((unsigned char)*c) || strchr("_.-", *c);
	if (is_plain)
		kt_buf_puts(out, key);
	else
		print_str(key, strlen(key), out);
}

static void print_value(const struct kt_value *value, struct kt_buf *out)
{
	switch (value->type) {
	case KT_VALUE_NIL:
		kt_buf_puts(out, "nil");
		break;
	case KT_VALUE_BOOL:
		kt_buf_puts(out, value->boolean ? "true" : "false");
		break;
	case KT_VALUE_U64:
		kt_buf_printf(out, "%" PRIu64, value->u64);
		break;
	case KT_VALUE_I64:
		kt_buf_printf(out, "%" PRId64, value->i64);
		break;
	case KT_VALUE_F64:
		kt_buf_printf(out, "%.10g", value->f64);
		break;
	case KT_VALUE_STR:
		print_str(value->str, value->n, out);
		break;
	case KT_VALUE_LIST:
		kt_buf_puts(out, "[");
		for (uint32_t i = 0; i < value->n && !out->full; i++) {
			kt_buf_puts(out, i ? ", " : "");
			print_value(&value->items[i], out);
		}
		kt_buf_puts(out, out->full ? "" : "]");
		break;
	case KT_VALUE_MAP:
		kt_buf_puts(out, "{");
		for (uint32_t i = 0; i < value->n && !out->full; i++) {
			kt_buf_puts(out, i ? ", " : "");
			print_key(value->pairs[i].key, out);
			kt_buf_puts(out, ": ");
			print_value(&value->pairs[i].value, out);
		}
		kt_buf_puts(out, out->full ? "" : "}");
		break;
	}
}

void kt_value_print(const struct kt_value *value, size_t max, struct kt_buf *out)
{
	KT_AUTO_BUF text = KT_BUF_MAX(max);

	print_value(value, &text);
	kt_buf_puts(out, kt_buf_text(&text));
	if (text.full)
		kt_buf_puts(out, "...");
}

void kt_pack_value(msgpack_packer *packer, const struct kt_value *value)
{
	switch (value->type) {
	case KT_VALUE_NIL:
		msgpack_pack_nil(packer);
		break;
	case KT_VALUE_BOOL:
		(value->boolean ? msgpack_pack_true : msgpack_pack_false)(packer);
		break;
	case KT_VALUE_U64:
		msgpack_pack_uint64(packer, value->u64);
		break;
	case KT_VALUE_I64:
		msgpack_pack_int64(packer, value->i64);
		break;
	case KT_VALUE_F64:
		msgpack_pack_double(packer, value->f64);
		break;
	case KT_VALUE_STR:
		msgpack_pack_str(packer, value->n);
		msgpack_pack_str_body(packer, value->str, value->n);
		break;
	case KT_VALUE_LIST:
		msgpack_pack_array(packer, value->n);
		for (uint32_t i = 0; i < value->n; i++)
			kt_pack_value(packer, &value->items[i]);
		break;
	case KT_VALUE_MAP:
		msgpack_pack_map(packer, value->n);
		for (uint32_t i = 0; i < value->n; i++) {
			size_t len = strlen(value->pairs[i].key);

			msgpack_pack_str(packer, len);
			msgpack_pack_str_body(packer, value->pairs[i].key, len);
			kt_pack_value(packer, &value->pairs[i].value);
		}
		break;
	}
}

void kt_value_encode(const struct kt_value *value, struct kt_buf *out)
{
	msgpack_packer packer;

	kt_pack_init(&packer, out);
	kt_pack_value(&packer, value);
}

static int no_room(struct kt_err *err)
{
	return kt_err_set(err, KT_FAULT_PEER, EPROTO, "value too large");
}

static int compare_keys(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int map_to_value(const msgpack_object_map *map, struct kt_arena *arena,
			struct kt_value *value, struct kt_err *err)
{
	KT_AUTO_FREE const char **keys = NULL;
	int status;

	*value = kt_value_map(arena, map->size);
	if (!value->pairs)
		return no_room(err);
	keys = kt_must_calloc(map->size, sizeof(*keys));
	for (uint32_t i = 0; i < map->size; i++) {
		const msgpack_object *key = &map->ptr[i].key;

		if (key->type != MSGPACK_OBJECT_STR || kt_pack_has_zero(&key->via.str))
			return kt_err_set(err, KT_FAULT_PEER, EPROTO, "a map key is not a text");
		value->pairs[i].key = kt_arena_copy(arena, key->via.str.ptr, key->via.str.size);
		if (!value->pairs[i].key)
			return no_room(err);
		keys[i] = value->pairs[i].key;
		status = kt_pack_to_value(&map->ptr[i].val, arena, &value->pairs[i].value, err);
		if (status < 0)
			return status;
	}
	/* Sorting finds twins without a quadratic walk over outside input. */
	qsort(keys, map->size, sizeof(*keys), compare_keys);
	for (uint32_t i = 1; i < map->size; i++)
		if (strcmp(keys[i - 1], keys[i]) == 0)
			return kt_err_set(err, KT_FAULT_PEER, EPROTO, "map key '%.64s' twice",
					  keys[i]);
	return 0;
}

int kt_pack_to_value(const msgpack_object *object, struct kt_arena *arena, struct kt_value *value,
		     struct kt_err *err)
{
	int status;

	switch (object->type) {
	case MSGPACK_OBJECT_NIL:
		*value = kt_value_nil();
		return 0;
	case MSGPACK_OBJECT_BOOLEAN:
		*value = kt_value_bool(object->via.boolean);
		return 0;
	case MSGPACK_OBJECT_POSITIVE_INTEGER:
		*value = kt_value_u64(object->via.u64);
		return 0;
	case MSGPACK_OBJECT_NEGATIVE_INTEGER:
		*value = kt_value_i64(object->via.i64);
		return 0;
	case MSGPACK_OBJECT_FLOAT32:
	case MSGPACK_OBJECT_FLOAT64:
		*value = kt_value_f64(object->via.f64);
		return 0;
	case MSGPACK_OBJECT_STR:
		*value = (struct kt_value){ .type = KT_VALUE_STR, .n = object->via.str.size };
		value->str = kt_arena_copy(arena, object->via.str.ptr, object->via.str.size);
		return value->str ? 0 : no_room(err);
	case MSGPACK_OBJECT_ARRAY:
		*value = kt_value_list(arena, object->via.array.size);
		if (!value->items)
			return no_room(err);
		for (uint32_t i = 0; i < value->n; i++) {
			status = kt_pack_to_value(&object->via.array.ptr[i], arena,
						  &value->items[i], err);
			if (status < 0)
				return status;
		}
		return 0;
	case MSGPACK_OBJECT_MAP:
		return map_to_value(&object->via.map, arena, value, err);
	default:
		return kt_err_set(err, KT_FAULT_PEER, EPROTO, "a value of no known type");
	}
}

int kt_value_decode(const void *bytes, size_t len, struct kt_arena *arena, struct kt_value *value,
		    struct kt_err *err)
{
	msgpack_zone zone;
	msgpack_object object;
	int status;

	msgpack_zone_init(&zone, 2048);
	status = kt_pack_parse(bytes, len, &zone, &object, err);
	if (status == 0)
		status = kt_pack_to_value(&object, arena, value, err);
	msgpack_zone_destroy(&zone);
	return status;
}
