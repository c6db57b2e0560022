#include "proto/codec.h"
#include "proto/base/must.h"
#include "proto/pack.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define MEMBER(type_, struct_, offset_) ((type_ *)(void *)((char *)(struct_) + (offset_)))

/* ---- encode ---- */

/* MAY fields that read as zero are left out: one struct has one encoding. */
static bool is_absent(const struct kt_field *field, const void *from)
{
	const struct kt_bin *bin;

	if (field->must)
		return false;
	switch (field->type) {
	case KT_FIELD_BOOL:
		return !*MEMBER(const bool, from, field->offset);
	case KT_FIELD_U64:
	case KT_FIELD_I64:
	case KT_FIELD_F64: /* by bits: -0.0 is kept */
		return *MEMBER(const uint64_t, from, field->offset) == 0;
	case KT_FIELD_STR: {
		const char *text = *MEMBER(const char *const, from, field->offset);

		return !text || !*text;
	}
	case KT_FIELD_BIN:
		bin = MEMBER(const struct kt_bin, from, field->offset);
		return bin->len == 0;
	case KT_FIELD_VALUE:
		return MEMBER(const struct kt_value, from, field->offset)->type == KT_VALUE_NIL;
	case KT_FIELD_ONE:
		return !*MEMBER(const void *const, from, field->offset);
	case KT_FIELD_LIST:
		return *MEMBER(const size_t, from, field->count_offset) == 0;
	}
	return false;
}

static void encode_struct(const struct kt_schema *schema, const void *from, msgpack_packer *packer);

static void encode_field(const struct kt_field *field, const void *from, msgpack_packer *packer)
{
	switch (field->type) {
	case KT_FIELD_BOOL:
		(*MEMBER(const bool, from, field->offset) ? msgpack_pack_true
							  : msgpack_pack_false)(packer);
		break;
	case KT_FIELD_U64: {
		uint64_t number = *MEMBER(const uint64_t, from, field->offset);

		kt_must(number >= field->min);
		kt_must(number <= field->max);
		msgpack_pack_uint64(packer, number);
		break;
	}
	case KT_FIELD_I64: {
		int64_t number = *MEMBER(const int64_t, from, field->offset);

		kt_must(number >= (int64_t)field->min);
		kt_must(number <= (int64_t)field->max);
		msgpack_pack_int64(packer, number);
		break;
	}
	case KT_FIELD_F64:
		msgpack_pack_double(packer, *MEMBER(const double, from, field->offset));
		break;
	case KT_FIELD_STR: {
		const char *text = *MEMBER(const char *const, from, field->offset);
		size_t len;

		kt_must(text);
		len = strlen(text);
		kt_must(len <= field->max);
		msgpack_pack_str(packer, len);
		msgpack_pack_str_body(packer, text, len);
		break;
	}
	case KT_FIELD_BIN: {
		const struct kt_bin *bin = MEMBER(const struct kt_bin, from, field->offset);

		kt_must(bin->len >= field->min);
		kt_must(bin->len <= field->max);
		msgpack_pack_bin(packer, bin->len);
		msgpack_pack_bin_body(packer, bin->data, bin->len);
		break;
	}
	case KT_FIELD_VALUE:
		kt_pack_value(packer, MEMBER(const struct kt_value, from, field->offset));
		break;
	case KT_FIELD_ONE: {
		const void *one = *MEMBER(const void *const, from, field->offset);

		kt_must(one);
		encode_struct(field->of, one, packer);
		break;
	}
	case KT_FIELD_LIST: {
		const char *items = *MEMBER(const char *const, from, field->offset);
		size_t n = *MEMBER(const size_t, from, field->count_offset);

		kt_must(n <= field->max);
		msgpack_pack_array(packer, n);
		for (size_t i = 0; i < n; i++)
			encode_struct(field->of, items + i * field->of->size, packer);
		break;
	}
	}
}

/* Recursion follows the schema, which is a finite tree, not the input. */
static void encode_struct(const struct kt_schema *schema, const void *from, msgpack_packer *packer)
{
	size_t n = 0;

	for (size_t i = 0; i < schema->n_fields; i++)
		n += !is_absent(&schema->fields[i], from);
	msgpack_pack_map(packer, n);
	for (size_t i = 0; i < schema->n_fields; i++) {
		if (is_absent(&schema->fields[i], from))
			continue;
		msgpack_pack_uint32(packer, schema->fields[i].key);
		encode_field(&schema->fields[i], from, packer);
	}
}

void kt_codec_encode(const struct kt_schema *schema, const void *from, struct kt_buf *out)
{
	msgpack_packer packer;

	kt_pack_init(&packer, out);
	encode_struct(schema, from, &packer);
}

static int count_bytes(void *n, const char *bytes, size_t len)
{
	*(size_t *)n += len;
	return 0;
}

size_t kt_codec_frame_bytes(const struct kt_family *family, uint32_t tag, const void *from)
{
	const struct kt_message *message = kt_codec_message(family, tag);
	msgpack_packer packer;
	size_t n = 0;

	kt_must(message);
	msgpack_packer_init(&packer, &n, count_bytes);
	msgpack_pack_array(&packer, 2);
	msgpack_pack_uint32(&packer, tag);
	encode_struct(message->schema, from, &packer);
	return n;
}

bool kt_codec_try_frame(const struct kt_family *family, uint32_t tag, const void *from,
			struct kt_buf *out)
{
	const struct kt_message *message = kt_codec_message(family, tag);
	msgpack_packer packer;
	size_t before = out->len;

	kt_must(message);
	kt_pack_init(&packer, out);
	msgpack_pack_array(&packer, 2);
	msgpack_pack_uint32(&packer, tag);
	encode_struct(message->schema, from, &packer);
	return !out->full && out->len - before <= family->frame_bytes_max;
}

void kt_codec_encode_frame(const struct kt_family *family, uint32_t tag, const void *from,
			   struct kt_buf *out)
{
	bool fits = kt_codec_try_frame(family, tag, from, out);

	kt_must(fits);
}

/* ---- decode ---- */

struct decode {
	struct kt_arena *arena;
	struct kt_err *err;
};

__attribute__((cold)) static int bad(const struct decode *to, const struct kt_schema *schema,
				     const struct kt_field *field, const char *what)
{
	return kt_err_set(to->err, KT_FAULT_PEER, EPROTO, "%s.%s: %s", schema->name, field->name,
			  what);
}

static int decode_struct(const struct decode *to, const struct kt_schema *schema,
			 const msgpack_object *object, void *into);

static int decode_integer(const struct decode *to, const struct kt_schema *schema,
			  const struct kt_field *field, const msgpack_object *object, void *into)
{
	bool is_negative = object->type == MSGPACK_OBJECT_NEGATIVE_INTEGER;
	int64_t number;

	if (!is_negative && object->type != MSGPACK_OBJECT_POSITIVE_INTEGER)
		return bad(to, schema, field, "not an integer");
	if (field->type == KT_FIELD_U64) {
		if (is_negative || object->via.u64 < field->min || object->via.u64 > field->max)
			return bad(to, schema, field, "out of range");
		*MEMBER(uint64_t, into, field->offset) = object->via.u64;
		return 0;
	}
	if (!is_negative && object->via.u64 > INT64_MAX)
		return bad(to, schema, field, "out of range");
	number = is_negative ? object->via.i64 : (int64_t)object->via.u64;
	if (number < (int64_t)field->min || number > (int64_t)field->max)
		return bad(to, schema, field, "out of range");
	*MEMBER(int64_t, into, field->offset) = number;
	return 0;
}

static int decode_list(const struct decode *to, const struct kt_schema *schema,
		       const struct kt_field *field, const msgpack_object *object, void *into)
{
	size_t n;
	char *items;
	int status;

	if (object->type != MSGPACK_OBJECT_ARRAY)
		return bad(to, schema, field, "not a list");
	n = object->via.array.size;
	if (n > field->max)
		return bad(to, schema, field, "too many items");
	items = kt_arena_alloc(to->arena, n, field->of->size);
	if (!items)
		return bad(to, schema, field, "too large");
	for (size_t i = 0; i < n; i++) {
		status = decode_struct(to, field->of, &object->via.array.ptr[i],
				       items + i * field->of->size);
		if (status < 0)
			return kt_err_wrap(to->err, "%s.%s[%zu]", schema->name, field->name, i);
	}
	*MEMBER(void *, into, field->offset) = items;
	*MEMBER(size_t, into, field->count_offset) = n;
	return 0;
}

static int decode_field(const struct decode *to, const struct kt_schema *schema,
			const struct kt_field *field, const msgpack_object *object, void *into)
{
	void *one;
	int status;

	switch (field->type) {
	case KT_FIELD_BOOL:
		if (object->type != MSGPACK_OBJECT_BOOLEAN)
			return bad(to, schema, field, "not a bool");
		*MEMBER(bool, into, field->offset) = object->via.boolean;
		return 0;
	case KT_FIELD_U64:
	case KT_FIELD_I64:
		return decode_integer(to, schema, field, object, into);
	case KT_FIELD_F64:
		if (object->type != MSGPACK_OBJECT_FLOAT64)
			return bad(to, schema, field, "not a float");
		*MEMBER(double, into, field->offset) = object->via.f64;
		return 0;
	case KT_FIELD_STR:
		if (object->type != MSGPACK_OBJECT_STR)
			return bad(to, schema, field, "not a text");
		if (object->via.str.size > field->max)
			return bad(to, schema, field, "too long");
		if (kt_pack_has_zero(&object->via.str))
			return bad(to, schema, field, "holds a 0 byte");
		*MEMBER(const char *, into, field->offset) =
			kt_arena_copy(to->arena, object->via.str.ptr, object->via.str.size);
		if (!*MEMBER(const char *, into, field->offset))
			return bad(to, schema, field, "too large");
		return 0;
	case KT_FIELD_BIN:
		if (object->type != MSGPACK_OBJECT_BIN)
			return bad(to, schema, field, "not binary");
		if (object->via.bin.size > field->max)
			return bad(to, schema, field, "too long");
		if (object->via.bin.size < field->min)
			return bad(to, schema, field, "too short");
		MEMBER(struct kt_bin, into, field->offset)->len = object->via.bin.size;
		MEMBER(struct kt_bin, into, field->offset)->data =
			kt_arena_copy(to->arena, object->via.bin.ptr, object->via.bin.size);
		if (!MEMBER(struct kt_bin, into, field->offset)->data)
			return bad(to, schema, field, "too large");
		return 0;
	case KT_FIELD_VALUE:
		status = kt_pack_to_value(object, to->arena,
					  MEMBER(struct kt_value, into, field->offset), to->err);
		return status < 0 ? kt_err_wrap(to->err, "%s.%s", schema->name, field->name) : 0;
	case KT_FIELD_ONE:
		one = kt_arena_alloc(to->arena, 1, field->of->size);
		if (!one)
			return bad(to, schema, field, "too large");
		*MEMBER(void *, into, field->offset) = one;
		status = decode_struct(to, field->of, object, one);
		return status < 0 ? kt_err_wrap(to->err, "%s.%s", schema->name, field->name) : 0;
	case KT_FIELD_LIST:
		return decode_list(to, schema, field, object, into);
	}
	return 0;
}

static const struct kt_field *field_of(const struct kt_schema *schema, uint64_t key, size_t *index)
{
	for (size_t i = 0; i < schema->n_fields; i++) {
		if (schema->fields[i].key != key)
			continue;
		*index = i;
		return &schema->fields[i];
	}
	return NULL;
}

/* So that a text is never NULL, whether it came or not. */
static void default_texts(const struct kt_schema *schema, void *into)
{
	for (size_t i = 0; i < schema->n_fields; i++)
		if (schema->fields[i].type == KT_FIELD_STR)
			*MEMBER(const char *, into, schema->fields[i].offset) = "";
}

static int decode_struct(const struct decode *to, const struct kt_schema *schema,
			 const msgpack_object *object, void *into)
{
	uint64_t seen = 0; /* one bit per row of the schema */
	int status;

	kt_must(schema->n_fields <= 64);
	default_texts(schema, into);
	if (object->type != MSGPACK_OBJECT_MAP)
		return kt_err_set(to->err, KT_FAULT_PEER, EPROTO, "%s: not a map", schema->name);
	for (uint32_t i = 0; i < object->via.map.size; i++) {
		const msgpack_object *key = &object->via.map.ptr[i].key;
		const struct kt_field *field;
		size_t index = 0;

		if (key->type != MSGPACK_OBJECT_POSITIVE_INTEGER)
			return kt_err_set(to->err, KT_FAULT_PEER, EPROTO,
					  "%s: a key is not a number", schema->name);
		field = field_of(schema, key->via.u64, &index);
		if (!field)
			continue; /* from a newer version */
		if (seen & 1ull << index)
			return bad(to, schema, field, "twice");
		seen |= 1ull << index;
		status = decode_field(to, schema, field, &object->via.map.ptr[i].val, into);
		if (status < 0)
			return status;
	}
	for (size_t i = 0; i < schema->n_fields; i++)
		if (schema->fields[i].must && !(seen & 1ull << i))
			return bad(to, schema, &schema->fields[i], "missing");
	return 0;
}

int kt_codec_decode(const struct kt_schema *schema, const void *bytes, size_t len,
		    struct kt_arena *arena, void *into, struct kt_err *err)
{
	struct decode to = { .arena = arena, .err = err };
	msgpack_zone zone;
	msgpack_object object;
	int status;

	memset(into, 0, schema->size);
	msgpack_zone_init(&zone, 2048);
	status = kt_pack_parse(bytes, len, &zone, &object, err);
	if (status == 0)
		status = decode_struct(&to, schema, &object, into);
	msgpack_zone_destroy(&zone);
	return status;
}

int kt_codec_decode_frame(const struct kt_family *family, const void *bytes, size_t len,
			  struct kt_arena *arena, const struct kt_message **message, void **into,
			  struct kt_err *err)
{
	struct decode to = { .arena = arena, .err = err };
	msgpack_zone zone;
	msgpack_object object;
	int status;

	msgpack_zone_init(&zone, 2048);
	status = kt_pack_parse(bytes, len, &zone, &object, err);
	if (status < 0)
		goto out;
	status = -EPROTO;
	if (object.type != MSGPACK_OBJECT_ARRAY || object.via.array.size != 2 ||
	    object.via.array.ptr[0].type != MSGPACK_OBJECT_POSITIVE_INTEGER) {
		kt_err_set(err, KT_FAULT_PEER, EPROTO, "not a frame [tag, struct]");
		goto out;
	}
	*message = object.via.array.ptr[0].via.u64 > UINT32_MAX
			   ? NULL
			   : kt_codec_message(family, (uint32_t)object.via.array.ptr[0].via.u64);
	if (!*message) {
		kt_err_set(err, KT_FAULT_PEER, EPROTO, "no %s message has tag %" PRIu64,
			   family->name, object.via.array.ptr[0].via.u64);
		goto out;
	}
	*into = kt_arena_alloc(arena, 1, (*message)->schema->size);
	if (!*into) {
		kt_err_set(err, KT_FAULT_PEER, EPROTO, "%s: too large", (*message)->schema->name);
		goto out;
	}
	status = decode_struct(&to, (*message)->schema, &object.via.array.ptr[1], *into);
out:
	msgpack_zone_destroy(&zone);
	return status;
}

const struct kt_message *kt_codec_message(const struct kt_family *family, uint32_t tag)
{
	for (size_t i = 0; i < family->n_messages; i++)
		if (family->messages[i].tag == tag)
			return &family->messages[i];
	return NULL;
}

/* ---- the schema as text ---- */

static const char *type_name(enum kt_field_type type)
{
	static const char *const names[] = {
		[KT_FIELD_BOOL] = "bool",   [KT_FIELD_U64] = "u64", [KT_FIELD_I64] = "i64",
		[KT_FIELD_F64] = "f64",     [KT_FIELD_STR] = "str", [KT_FIELD_BIN] = "bin",
		[KT_FIELD_VALUE] = "value", [KT_FIELD_ONE] = "one", [KT_FIELD_LIST] = "list",
	};

	return names[type];
}

#define DESCRIBED_MAX 256 /* structs of one family */

struct described {
	const struct kt_schema *schemas[DESCRIBED_MAX];
	size_t n;
};

/* Each once, where it is first met: some are in a dozen places, and their parts with them. */
static bool is_new(struct described *described, const struct kt_schema *schema)
{
	for (size_t i = 0; i < described->n; i++)
		if (described->schemas[i] == schema)
			return false;
	kt_must(described->n < DESCRIBED_MAX);
	described->schemas[described->n++] = schema;
	return true;
}

static void describe_struct(const struct kt_schema *schema, struct described *described,
			    struct kt_buf *out)
{
	if (!is_new(described, schema))
		return;
	for (size_t i = 0; i < schema->n_fields; i++) {
		const struct kt_field *field = &schema->fields[i];

		kt_buf_printf(out,
			      "%s.%s key=%" PRIu32 " type=%s%s%s need=%s min=%" PRIu64
			      " max=%" PRIu64 " ; %s\n",
			      schema->name, field->name, field->key, type_name(field->type),
			      field->of ? " of=" : "", field->of ? field->of->name : "",
			      field->must ? "must" : "may", field->min, field->max,
			      field->sentence);
		if (field->of)
			describe_struct(field->of, described, out);
	}
}

void kt_codec_describe(const struct kt_family *family, struct kt_buf *out)
{
	struct described described = { .n = 0 };

	for (size_t i = 0; i < family->n_messages; i++) {
		const struct kt_message *message = &family->messages[i];

		kt_buf_printf(out, "%s %" PRIu32 " %s %s ; %s\n", family->name, message->tag,
			      message->schema->name, message->direction, message->schema->sentence);
		describe_struct(message->schema, &described, out);
	}
}
