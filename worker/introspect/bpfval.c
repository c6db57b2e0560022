#include "worker/introspect/bpfval.h"

#include "proto/base/must.h"
#include "worker/introspect/kbtf.h"
#include "worker/introspect/ktext.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define KEY_SLOTS  4096 /* of the set that keeps keys unique; a power of two above 2 * members */
#define FEW_KEYS   16 /* up to here they are compared one by one */
#define WORK_BYTES 16 /* of raw bytes looked at, per unit of work */

struct decoder {
	const struct btf *btf;
	struct kt_arena *arena;
	struct kt_bpfval_budget *budget;
};

static int decode(struct decoder *decoder, uint32_t id, const uint8_t *bytes, size_t len, int depth,
		  struct kt_value *value);

static bool work(struct kt_bpfval_budget *budget, size_t n)
{
	if (budget->work < n) {
		budget->work = 0;
		return false;
	}
	budget->work -= n;
	return true;
}

bool kt_bpfval_charge(struct kt_bpfval_budget *budget, size_t bytes, size_t values)
{
	if (!work(budget, values) || budget->bytes < bytes || budget->values < values)
		return false;
	budget->bytes -= bytes;
	budget->values -= values;
	return true;
}

/* What value.h's wire form (msgpack) takes for it; of containers, the head only. */
static size_t encoded_bytes(const struct kt_value *value)
{
	switch (value->type) {
	case KT_VALUE_U64:
		return value->u64 < 128           ? 1
		       : value->u64 < 256         ? 2
		       : value->u64 < 65536       ? 3
		       : value->u64 <= UINT32_MAX ? 5
						  : 9;
	case KT_VALUE_I64:
		return value->i64 >= -32         ? 1
		       : value->i64 >= INT8_MIN  ? 2
		       : value->i64 >= INT16_MIN ? 3
		       : value->i64 >= INT32_MIN ? 5
						 : 9;
	case KT_VALUE_F64:
		return 9;
	case KT_VALUE_STR:
		return 5 + (size_t)value->n;
	case KT_VALUE_LIST:
	case KT_VALUE_MAP:
		return value->n < 16 ? 1 : value->n < 65536 ? 3 : 5;
	default:
		return 1;
	}
}

static int put(struct decoder *decoder, struct kt_value from, struct kt_value *value)
{
	*value = kt_value_nil();
	if (!kt_bpfval_charge(decoder->budget, encoded_bytes(&from), 1))
		return -ENOSPC;
	*value = from;
	return 0;
}

/* `bits` bits that begin `first` bits into the bytes, little-endian, at most 64 of them. */
static bool load_bits(const uint8_t *bytes, size_t len, uint32_t first, uint32_t bits,
		      uint64_t *value)
{
	unsigned __int128 wide = 0;
	size_t at = first / 8, n = (first % 8 + bits + 7) / 8;

	if (!bits || bits > 64 || at > len || n > len - at)
		return false;
	memcpy(&wide, bytes + at, n);
	wide >>= first % 8;
	*value = (uint64_t)wide & (bits == 64 ? UINT64_MAX : (1ull << bits) - 1);
	return true;
}

static struct kt_value integer(uint64_t raw, uint32_t bits, bool is_signed)
{
	if (is_signed && bits < 64 && raw >> (bits - 1) & 1)
		raw |= UINT64_MAX << bits;
	return is_signed ? kt_value_i64((int64_t)raw) : kt_value_u64(raw);
}

static bool is_signed(const struct btf_type *type)
{
	if (btf_is_int(type))
		return btf_int_encoding(type) & BTF_INT_SIGNED;
	return btf_kflag(type); /* enum, enum64 */
}

static int put_hex(struct decoder *decoder, const uint8_t *bytes, size_t len, bool number,
		   struct kt_value *value)
{
	char *text;

	if (len > decoder->budget->bytes || !work(decoder->budget, len))
		return -ENOSPC;
	text = kt_arena_alloc(decoder->arena, 2 * len + 3, 1);
	kt_must(text);
	memcpy(text, "0x", 3);
	for (size_t i = 0; i < len; i++)
		snprintf(text + 2 + 2 * i, 3, "%02x", bytes[number ? len - 1 - i : i]);
	return put(decoder,
		   (struct kt_value){
			   .type = KT_VALUE_STR, .n = (uint32_t)(2 * len + 2), .str = text },
		   value);
}

/* An integer or enum of `bits` bits, `first` bits into the bytes. */
static int decode_bits(struct decoder *decoder, const struct btf_type *type, const uint8_t *bytes,
		       size_t len, uint32_t first, uint32_t bits, struct kt_value *value)
{
	uint64_t raw;

	if (!load_bits(bytes, len, first, bits, &raw))
		return -EINVAL;
	if (btf_is_int(type) && btf_int_encoding(type) & BTF_INT_BOOL)
		return put(decoder, kt_value_bool(raw), value);
	return put(decoder, integer(raw, bits, is_signed(type)), value);
}

static int decode_scalar(struct decoder *decoder, const struct btf_type *type, const uint8_t *bytes,
			 size_t len, struct kt_value *value)
{
	float narrow;
	double wide;

	if (type->size > len)
		return -EINVAL;
	if (btf_is_float(type)) {
		if (type->size == sizeof(narrow)) {
			memcpy(&narrow, bytes, sizeof(narrow));
			return put(decoder, kt_value_f64((double)narrow), value);
		}
		if (type->size != sizeof(wide))
			return put_hex(decoder, bytes, type->size, true, value);
		memcpy(&wide, bytes, sizeof(wide));
		return put(decoder, kt_value_f64(wide), value);
	}
	if (type->size > 8)
		return put_hex(decoder, bytes, type->size, true, value);
	if (btf_is_int(
		    type)) /* bits and offset differ from the size in old-style bit-fields only */
		return decode_bits(decoder, type, bytes, type->size, btf_int_offset(type),
				   btf_int_bits(type), value);
	return decode_bits(decoder, type, bytes, type->size, 0, type->size * 8, value);
}

static bool is_char(const struct btf *btf, const struct btf_type *type)
{
	const char *name = btf__name_by_offset(btf, type->name_off);

	return btf_is_int(type) && type->size == 1 && name && !strcmp(name, "char");
}

static int decode_array(struct decoder *decoder, const struct btf_type *type, const uint8_t *bytes,
			size_t len, int depth, struct kt_value *value)
{
	const struct btf_array *array = btf_array(type);
	uint32_t id = array->type, stripped = array->type;
	const struct btf_type *item = kt_kbtf_strip(decoder->btf, &stripped);
	int64_t size = btf__resolve_size(decoder->btf, id);
	struct kt_value list = { .type = KT_VALUE_LIST, .n = array->nelems };
	int rc;

	if (!item || size < 0 || (uint64_t)size * array->nelems > len)
		return -EINVAL;
	if (is_char(decoder->btf, item)) {
		size_t n = strnlen((const char *)bytes, array->nelems);
		const char *text;

		if (n > decoder->budget->bytes || !work(decoder->budget, 1 + n / WORK_BYTES))
			return -ENOSPC;
		text = kt_ktext_clean(decoder->arena, bytes, n, n * 4);
		return put(decoder, kt_value_str(decoder->arena, text), value);
	}
	/* Elements without size cost no memory to read, but one value each. */
	if (array->nelems > decoder->budget->values || array->nelems > decoder->budget->bytes ||
	    !work(decoder->budget, array->nelems))
		return -ENOSPC;
	rc = put(decoder, list, value);
	if (rc)
		return rc;
	*value = kt_value_list(decoder->arena, array->nelems);
	kt_must(value->items || !value->n);
	for (uint32_t i = 0; i < array->nelems; i++) {
		rc = decode(decoder, id, bytes + (size_t)size * i, (size_t)size, depth + 1,
			    &value->items[i]);
		if (rc)
			return rc;
	}
	return 0;
}

/* The members of one struct as they come together, anonymous ones included. */
struct members {
	struct kt_value_pair *pairs;
	uint32_t n;
	uint32_t max;
	uint16_t *seen; /* KEY_SLOTS of 1 + index into pairs, by hash; NULL when max is small */
};

static bool is_new_key(struct members *members, const char *key)
{
	uint32_t hash = 2166136261u;

	for (uint32_t i = 0; !members->seen && i < members->n; i++) {
		if (!strcmp(members->pairs[i].key, key))
			return false;
	}
	if (!members->seen)
		return true;
	for (const char *at = key; *at; at++)
		hash = (hash ^ (uint8_t)*at) * 16777619u;
	for (;; hash++) {
		uint16_t *slot = &members->seen[hash % KEY_SLOTS];

		if (!*slot) {
			*slot = (uint16_t)(members->n + 1);
			return true;
		}
		if (!strcmp(members->pairs[*slot - 1].key, key))
			return false;
	}
}

/* The anonymous struct or union that member i is; NULL when it has a name or is padding. */
static const struct btf_type *anonymous(const struct decoder *decoder, const struct btf_type *type,
					uint32_t i)
{
	const struct btf_member *member = &btf_members(type)[i];
	const char *name = btf__name_by_offset(decoder->btf, member->name_off);
	uint32_t id = member->type;
	const struct btf_type *inner;

	if (name && *name)
		return NULL;
	inner = kt_kbtf_strip(decoder->btf, &id);
	return inner && btf_is_composite(inner) ? inner : NULL;
}

/* How many pairs the struct can make at most. */
static int count_members(struct decoder *decoder, const struct btf_type *type, int depth,
			 uint32_t *n)
{
	for (uint32_t i = 0; depth <= KT_BPFVAL_DEPTH_MAX && i < btf_vlen(type); i++) {
		const struct btf_type *inner = anonymous(decoder, type, i);

		if (!work(decoder->budget, 1))
			return -ENOSPC;
		if (!inner)
			++*n;
		else if (count_members(decoder, inner, depth + 1, n))
			return -ENOSPC;
	}
	return 0;
}

static int decode_member(struct decoder *decoder, const struct btf_type *type, uint32_t i,
			 const uint8_t *bytes, size_t len, int depth, struct kt_value *value)
{
	const struct btf_member *member = &btf_members(type)[i];
	uint32_t first = btf_member_bit_offset(type, i);
	uint32_t bits = btf_member_bitfield_size(type, i);
	uint32_t id = member->type;

	if (bits) {
		const struct btf_type *of = kt_kbtf_strip(decoder->btf, &id);

		if (!of || !(btf_is_int(of) || btf_is_any_enum(of)))
			return -EINVAL;
		return decode_bits(decoder, of, bytes, len, first, bits, value);
	}
	if (first % 8 || first / 8 > len)
		return -EINVAL;
	return decode(decoder, id, bytes + first / 8, len - first / 8, depth + 1, value);
}

static int collect_members(struct decoder *decoder, const struct btf_type *type,
			   const uint8_t *bytes, size_t len, int depth, struct members *members)
{
	for (uint32_t i = 0; depth <= KT_BPFVAL_DEPTH_MAX && i < btf_vlen(type); i++) {
		const struct btf_member *member = &btf_members(type)[i];
		const char *name = btf__name_by_offset(decoder->btf, member->name_off);
		const struct btf_type *inner = anonymous(decoder, type, i);
		uint32_t at = btf_member_bit_offset(type, i) / 8;
		struct kt_value_pair *pair = &members->pairs[members->n];
		int rc;

		if (!work(decoder->budget, 1))
			return -ENOSPC;
		if (inner) {
			if (at > len)
				return -EINVAL;
			rc = collect_members(decoder, inner, bytes + at, len - at, depth + 1,
					     members);
			if (rc)
				return rc;
			continue;
		}
		if (!name || !*name)
			continue; /* padding */
		kt_must(members->n < members->max);
		pair->key = kt_ktext_clean(decoder->arena, name, strlen(name),
					   KT_BPFVAL_NAME_BYTES_MAX);
		if (!is_new_key(members, pair->key))
			continue;
		if (!kt_bpfval_charge(decoder->budget, strlen(pair->key) + 5, 0))
			return -ENOSPC;
		members->n++;
		rc = decode_member(decoder, type, i, bytes, len, depth, &pair->value);
		if (rc)
			return rc;
	}
	return 0;
}

static int decode_struct(struct decoder *decoder, const struct btf_type *type, const uint8_t *bytes,
			 size_t len, int depth, struct kt_value *value)
{
	KT_AUTO_FREE uint16_t *seen = NULL;
	struct members members = { 0 };
	int rc;

	if (type->size > len)
		return -EINVAL;
	rc = count_members(decoder, type, depth, &members.max);
	if (rc)
		return rc;
	if (members.max > KT_BPFVAL_MEMBERS_MAX)
		return -EINVAL;
	rc = put(decoder, (struct kt_value){ .type = KT_VALUE_MAP, .n = members.max }, value);
	if (rc)
		return rc;
	*value = kt_value_map(decoder->arena, members.max);
	members.pairs = value->pairs;
	value->n = 0;
	if (members.max > FEW_KEYS)
		members.seen = seen = kt_must_calloc(KEY_SLOTS, sizeof(*seen));
	rc = collect_members(decoder, type, bytes, type->size, depth, &members);
	value->n = members.n;
	return rc;
}

static int decode(struct decoder *decoder, uint32_t id, const uint8_t *bytes, size_t len, int depth,
		  struct kt_value *value)
{
	const struct btf_type *type = kt_kbtf_strip(decoder->btf, &id);
	uint64_t raw;

	*value = kt_value_nil();
	if (!type || depth > KT_BPFVAL_DEPTH_MAX)
		return put(decoder, kt_value_nil(), value);
	switch (btf_kind(type)) {
	case BTF_KIND_INT:
	case BTF_KIND_FLOAT:
	case BTF_KIND_ENUM:
	case BTF_KIND_ENUM64:
		return decode_scalar(decoder, type, bytes, len, value);
	case BTF_KIND_PTR:
		if (!load_bits(bytes, len, 0, 64, &raw))
			return -EINVAL;
		return put(decoder, kt_value_u64(raw), value);
	case BTF_KIND_ARRAY:
		return decode_array(decoder, type, bytes, len, depth, value);
	case BTF_KIND_STRUCT:
	case BTF_KIND_UNION:
		return decode_struct(decoder, type, bytes, len, depth, value);
	default:
		return put(decoder, kt_value_nil(), value);
	}
}

int kt_bpfval_decode(const struct btf *btf, uint32_t type_id, const uint8_t *bytes, size_t len,
		     struct kt_arena *arena, struct kt_bpfval_budget *budget,
		     struct kt_value *value)
{
	struct decoder decoder = { .btf = btf, .arena = arena, .budget = budget };
	struct kt_bpfval_budget before = *budget;
	int rc;

	kt_must(!arena->max);
	rc = decode(&decoder, type_id, bytes, len, 0, value);
	if (rc) {
		*budget = before;
		*value = kt_value_nil();
	}
	return rc;
}

int kt_bpfval_raw(const uint8_t *bytes, size_t len, struct kt_arena *arena,
		  struct kt_bpfval_budget *budget, struct kt_value *value)
{
	struct decoder decoder = { .arena = arena, .budget = budget };
	uint64_t raw;

	kt_must(!arena->max);
	if ((len == 1 || len == 2 || len == 4 || len == 8) &&
	    load_bits(bytes, len, 0, (uint32_t)len * 8, &raw))
		return put(&decoder, kt_value_u64(raw), value);
	return put_hex(&decoder, bytes, len, false, value);
}
