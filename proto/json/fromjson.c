#include "proto/json/fromjson.h"
#include "proto/base/must.h"

#include <ctype.h>
#include <errno.h>
#include <json-c/json.h>
#include <string.h>

static void put_json(struct json_object **object_p)
{
	json_object_put(*object_p);
}

static void put_tokener(struct json_tokener **tokener_p)
{
	if (*tokener_p)
		json_tokener_free(*tokener_p);
}

struct conversion {
	struct kt_arena *arena;
	size_t nodes;
};

static bool convert(struct conversion *conversion, struct json_object *from, struct kt_value *to);

static struct kt_value convert_text(struct kt_arena *arena, struct json_object *from)
{
	struct kt_value value = { .type = KT_VALUE_STR };

	value.n = (uint32_t)json_object_get_string_len(from);
	value.str = kt_arena_copy(arena, json_object_get_string(from), value.n);
	return value;
}

/* What does not fit into 64 bits was refused by fits_64_bits(). */
static struct kt_value convert_int(struct json_object *from)
{
	int64_t i64 = json_object_get_int64(from);

	return i64 < 0 ? kt_value_i64(i64) : kt_value_u64(json_object_get_uint64(from));
}

static bool convert_list(struct conversion *conversion, struct json_object *from,
			 struct kt_value *to)
{
	size_t n = json_object_array_length(from);

	*to = kt_value_list(conversion->arena, n);
	for (size_t i = 0; i < n; i++)
		if (!convert(conversion, json_object_array_get_idx(from, i), &to->items[i]))
			return false;
	return true;
}

static bool convert_map(struct conversion *conversion, struct json_object *from,
			struct kt_value *to)
{
	size_t at = 0;

	*to = kt_value_map(conversion->arena, (size_t)json_object_object_length(from));
	json_object_object_foreach(from, key, member)
	{
		to->pairs[at].key = kt_arena_strdup(conversion->arena, key);
		if (!convert(conversion, member, &to->pairs[at++].value))
			return false;
	}
	return true;
}

/* Recursion is bounded by the tokener's KT_FROMJSON_DEPTH_MAX. */
static bool convert(struct conversion *conversion, struct json_object *from, struct kt_value *to)
{
	if (++conversion->nodes > KT_FROMJSON_NODES_MAX)
		return false;
	switch (json_object_get_type(from)) {
	case json_type_null:
		*to = kt_value_nil();
		return true;
	case json_type_boolean:
		*to = kt_value_bool(json_object_get_boolean(from));
		return true;
	case json_type_int:
		*to = convert_int(from);
		return true;
	case json_type_double:
		*to = kt_value_f64(json_object_get_double(from));
		return true;
	case json_type_string:
		*to = convert_text(conversion->arena, from);
		return true;
	case json_type_array:
		return convert_list(conversion, from, to);
	case json_type_object:
		return convert_map(conversion, from, to);
	}
	return false;
}

/* json-c turns an integer beyond 64 bits into the nearest one that fits, without a word. So the text itself
 * is looked through, outside of strings; it need not be JSON.
 */
static bool fits_64_bits(const char *text, size_t len)
{
	bool in_string = false;

	for (size_t i = 0; i < len; i++) {
		char digits[KT_FROMJSON_DIGITS_MAX + 1];
		unsigned long long magnitude;
		size_t start = i;
		size_t n;

		if (in_string && text[i] == '\\')
			i++;
		else if (text[i] == '"')
			in_string = !in_string;
		if (in_string || !isdigit((unsigned char)text[i]))
			continue;
		while (i < len && (isdigit((unsigned char)text[i]) || strchr(".eE+-", text[i])))
			i++;
		n = i-- - start;
		if (n > KT_FROMJSON_DIGITS_MAX)
			return false;
		memcpy(digits, text + start, n);
		digits[n] = 0;
		errno = 0;
		if (strcspn(digits, ".eE") < n)
			continue;
		magnitude = strtoull(digits, NULL, 10);
		if (errno == ERANGE ||
		    (start > 0 && text[start - 1] == '-' && magnitude > 1ull << 63))
			return false;
	}
	return true;
}

int kt_fromjson(const void *text, size_t len, struct kt_arena *arena, struct kt_value *value,
		size_t *used, struct kt_err *err)
{
	KT_AUTO(put_tokener)
	struct json_tokener *tokener = json_tokener_new_ex(KT_FROMJSON_DEPTH_MAX);
	KT_AUTO(put_json) struct json_object *object = NULL;
	struct conversion conversion = { arena, 0 };
	enum json_tokener_error error;
	size_t end = len;

	kt_must(tokener != NULL);
	if (len > KT_FROMJSON_BYTES_MAX)
		return kt_err_set(err, KT_FAULT_GUEST, E2BIG, "more than %u bytes",
				  KT_FROMJSON_BYTES_MAX);
	json_tokener_set_flags(tokener, JSON_TOKENER_STRICT |
						(used ? JSON_TOKENER_ALLOW_TRAILING_CHARS : 0));
	object = json_tokener_parse_ex(tokener, text, (int)len);
	error = json_tokener_get_error(tokener);
	if (error == json_tokener_success)
		end = json_tokener_get_parse_end(tokener);
	else if (error == json_tokener_continue) /* a number at the very end waits for more */
		object = json_tokener_parse_ex(tokener, "", 1);
	error = json_tokener_get_error(tokener);
	if (error != json_tokener_success)
		return kt_err_set(err, KT_FAULT_GUEST, EINVAL, "not JSON: %s at byte %zu",
				  json_tokener_error_desc(error),
				  json_tokener_get_parse_end(tokener));
	if (!fits_64_bits(text, end))
		return kt_err_set(err, KT_FAULT_GUEST, EINVAL,
				  "not JSON: a number does not fit into 64 bits");
	if (!convert(&conversion, object, value))
		return kt_err_set(err, KT_FAULT_GUEST, E2BIG, "more than %d values",
				  KT_FROMJSON_NODES_MAX);
	if (used)
		*used = end;
	return 0;
}
