#include "worker/guest/gbtf.h"
#include "proto/base/buf.h"

#include <errno.h>
#include <linux/btf.h>
#include <string.h>

#define HOPS_MAX  32 /* typedefs and qualifiers before a type must be met */
#define NAMES_MAX 400 /* bytes of the names that an error lists */

struct reader {
	const uint8_t *types;
	size_t types_bytes;
	const char *strings;
	size_t strings_bytes;
};

/* The bytes behind a struct btf_type that belong to it, by kind; `each` as often as its vlen says. */
static const struct {
	uint8_t fixed;
	uint8_t each;
	bool is_known;
} tails[] = {
	[BTF_KIND_INT] = { 4, 0, true },
	[BTF_KIND_PTR] = { 0, 0, true },
	[BTF_KIND_ARRAY] = { sizeof(struct btf_array), 0, true },
	[BTF_KIND_STRUCT] = { 0, sizeof(struct btf_member), true },
	[BTF_KIND_UNION] = { 0, sizeof(struct btf_member), true },
	[BTF_KIND_ENUM] = { 0, sizeof(struct btf_enum), true },
	[BTF_KIND_FWD] = { 0, 0, true },
	[BTF_KIND_TYPEDEF] = { 0, 0, true },
	[BTF_KIND_VOLATILE] = { 0, 0, true },
	[BTF_KIND_CONST] = { 0, 0, true },
	[BTF_KIND_RESTRICT] = { 0, 0, true },
	[BTF_KIND_FUNC] = { 0, 0, true },
	[BTF_KIND_FUNC_PROTO] = { 0, sizeof(struct btf_param), true },
	[BTF_KIND_VAR] = { sizeof(struct btf_var), 0, true },
	[BTF_KIND_DATASEC] = { 0, sizeof(struct btf_var_secinfo), true },
	[BTF_KIND_FLOAT] = { 0, 0, true },
	[BTF_KIND_DECL_TAG] = { sizeof(struct btf_decl_tag), 0, true },
	[BTF_KIND_TYPE_TAG] = { 0, 0, true },
	[BTF_KIND_ENUM64] = { 0, sizeof(struct btf_enum64), true },
};

static int damaged(struct kt_err *err, const char *what)
{
	return kt_err_set(err, KT_FAULT_GUEST, EPROTO, "the map's BTF cannot be read: %s", what);
}

/* One part of the bytes behind the header. */
static const void *part(const uint8_t *bytes, size_t len, size_t at, size_t part_bytes)
{
	return at <= len && part_bytes <= len - at ? bytes + at : NULL;
}

static int open_btf(const void *btf, size_t len, struct reader *reader, struct kt_err *err)
{
	struct btf_header header;
	const uint8_t *bytes = btf;

	if (len < sizeof(header) || len > KT_GBTF_BYTES_MAX)
		return damaged(err, "its size");
	memcpy(&header, btf, sizeof(header));
	if (header.magic != BTF_MAGIC || header.hdr_len < sizeof(header) || header.hdr_len > len)
		return damaged(err, "its header");
	bytes += header.hdr_len;
	len -= header.hdr_len;
	reader->types = part(bytes, len, header.type_off, header.type_len);
	reader->types_bytes = header.type_len;
	reader->strings = part(bytes, len, header.str_off, header.str_len);
	reader->strings_bytes = header.str_len;
	if (!reader->types || !reader->strings || header.str_len == 0 ||
	    reader->strings[header.str_len - 1] != 0)
		return damaged(err, "its parts");
	return 0;
}

static const char *name_of(const struct reader *reader, uint32_t offset)
{
	return offset < reader->strings_bytes ? reader->strings + offset : "";
}

/* Where what follows the type begins, and how long it is; false when it does not fit. */
static bool tail_of(const struct reader *reader, size_t at, struct btf_type *type, size_t *bytes)
{
	uint32_t kind;

	if (at > reader->types_bytes || reader->types_bytes - at < sizeof(*type))
		return false;
	memcpy(type, reader->types + at, sizeof(*type));
	kind = BTF_INFO_KIND(type->info);
	if (kind >= sizeof(tails) / sizeof(tails[0]) || !tails[kind].is_known)
		return false;
	*bytes = tails[kind].fixed + (size_t)tails[kind].each * BTF_INFO_VLEN(type->info);
	return reader->types_bytes - at - sizeof(*type) >= *bytes;
}

/* Type `id`, and what follows it. */
static const void *get(const struct reader *reader, uint32_t id, struct btf_type *type)
{
	size_t at = 0;

	for (uint32_t i = 1; i <= id && i <= KT_GBTF_TYPES_MAX; i++) {
		size_t bytes;

		if (!tail_of(reader, at, type, &bytes))
			return NULL;
		at += sizeof(*type);
		if (i == id)
			return reader->types + at;
		at += bytes;
	}
	return NULL;
}

/* 0 when it is nothing that has a number as its value. */
static uint32_t bytes_of_number(const struct reader *reader, uint32_t id)
{
	for (int hop = 0; hop < HOPS_MAX; hop++) {
		struct btf_type type;

		if (!get(reader, id, &type))
			return 0;
		switch (BTF_INFO_KIND(type.info)) {
		case BTF_KIND_INT:
		case BTF_KIND_ENUM:
		case BTF_KIND_ENUM64:
			return type.size == 1 || type.size == 2 || type.size == 4 || type.size == 8
				       ? type.size
				       : 0;
		case BTF_KIND_TYPEDEF:
		case BTF_KIND_VOLATILE:
		case BTF_KIND_CONST:
		case BTF_KIND_TYPE_TAG:
			id = type.type;
			break;
		default:
			return 0;
		}
	}
	return 0;
}

static const char *name_of_var(const struct reader *reader, uint32_t id, struct btf_type *type)
{
	if (!get(reader, id, type) || BTF_INFO_KIND(type->info) != BTF_KIND_VAR)
		return "";
	return name_of(reader, type->name_off);
}

static int not_found(const struct reader *reader, const struct btf_type *section,
		     const uint8_t *places, const char *variable, struct kt_err *err)
{
	struct kt_buf names = KT_BUF_MAX(NAMES_MAX);
	int status;

	for (uint32_t i = 0; i < BTF_INFO_VLEN(section->info); i++) {
		struct btf_var_secinfo place;
		struct btf_type type;

		memcpy(&place, places + i * sizeof(place), sizeof(place));
		kt_buf_printf(&names, "%s%s", i ? ", " : "",
			      name_of_var(reader, place.type, &type));
	}
	status = kt_err_set(err, KT_FAULT_GUEST, ENOENT,
			    "there is no %.100s in %.64s; there are %s%s", variable,
			    name_of(reader, section->name_off), kt_buf_text(&names),
			    names.full ? ", ..." : "");
	kt_buf_destroy(&names);
	return status;
}

int kt_gbtf_find(const void *btf, size_t len, uint32_t section, const char *variable,
		 struct kt_gbtf_var *var, struct kt_err *err)
{
	struct reader reader;
	struct btf_type type;
	const uint8_t *places;
	int status = open_btf(btf, len, &reader, err);

	if (status < 0)
		return status;
	places = get(&reader, section, &type);
	if (!places || BTF_INFO_KIND(type.info) != BTF_KIND_DATASEC)
		return damaged(err, "the map's value is no section");
	for (uint32_t i = 0; i < BTF_INFO_VLEN(type.info); i++) {
		struct btf_var_secinfo place;
		struct btf_type own;

		memcpy(&place, places + i * sizeof(place), sizeof(place));
		if (strcmp(name_of_var(&reader, place.type, &own), variable) != 0)
			continue;
		var->offset = place.offset;
		var->bytes = bytes_of_number(&reader, own.type);
		if (!var->bytes || var->bytes != place.size)
			return kt_err_set(err, KT_FAULT_GUEST, EINVAL,
					  "%.100s is no integer of 1, 2, 4 or 8 bytes", variable);
		return 0;
	}
	return not_found(&reader, &type, places, variable, err);
}
