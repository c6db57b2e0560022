#include "worker/introspect/kbtf.h"

#include <errno.h>
#include <string.h>

#define STRIP_MAX 32 /* modifiers around one type */
#define DEPTH_MAX 16 /* anonymous members within one another */

/* libbpf 1.1 believes the header's offsets; a kernel would not have let odd ones in
 * (kernel/bpf/btf.c, btf_parse_hdr and btf_parse_type_sec).
 */
static bool is_plausible(const void *bytes, size_t len)
{
	struct btf_header header;

	if (len < sizeof(header) || len > UINT32_MAX)
		return false;
	memcpy(&header, bytes, sizeof(header));
	return header.magic == BTF_MAGIC && header.version == BTF_VERSION &&
	       header.hdr_len >= sizeof(header) && header.hdr_len % 4 == 0 &&
	       header.type_off % 4 == 0;
}

int kt_kbtf_open(const void *bytes, size_t len, struct btf **btf, struct kt_err *err)
{
	*btf = is_plausible(bytes, len) ? btf__new(bytes, (uint32_t)len) : NULL;
	if (!*btf)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "its type information is damaged");
	return 0;
}

void kt_kbtf_destroy(struct btf **btf_p)
{
	btf__free(*btf_p); /* accepts NULL */
	*btf_p = NULL;
}

const struct btf_type *kt_kbtf_strip(const struct btf *btf, uint32_t *id)
{
	for (int i = 0; i < STRIP_MAX; i++) {
		const struct btf_type *type = *id ? btf__type_by_id(btf, *id) : NULL;

		if (!type || (!btf_is_mod(type) && !btf_is_typedef(type) && !btf_is_type_tag(type)))
			return type;
		*id = type->type;
	}
	return NULL;
}

/* One member by name, through anonymous ones. */
static int find_member(const struct btf *btf, const struct btf_type *type, const char *name,
		       size_t name_len, int depth, uint32_t *offset_bits, uint32_t *member_id)
{
	const struct btf_member *member = btf_members(type);

	if (depth > DEPTH_MAX)
		return -ENOENT;
	for (uint32_t i = 0; i < btf_vlen(type); i++, member++) {
		const char *is = btf__name_by_offset(btf, member->name_off);
		uint32_t at = btf_member_bit_offset(type, i);
		uint32_t id = member->type;

		if (is && *is) {
			if (strlen(is) != name_len || memcmp(is, name, name_len) != 0)
				continue;
			if (btf_member_bitfield_size(type, i))
				return -ENOENT;
			*offset_bits += at;
			*member_id = member->type;
			return 0;
		}
		const struct btf_type *inner = kt_kbtf_strip(btf, &id);

		if (inner && btf_is_composite(inner) &&
		    !find_member(btf, inner, name, name_len, depth + 1, offset_bits, member_id)) {
			*offset_bits += at;
			return 0;
		}
	}
	return -ENOENT;
}

static int32_t find_struct(const struct btf *btf, const char *name, size_t len)
{
	char text[128];

	if (!len || len >= sizeof(text))
		return -ENOENT;
	memcpy(text, name, len);
	text[len] = 0;
	return btf__find_by_name_kind(btf, text, BTF_KIND_STRUCT);
}

int kt_kbtf_member(const struct btf *btf, const char *path, struct kt_kbtf_member *found)
{
	const char *dot = strchrnul(path, '.');
	int32_t first = find_struct(btf, path, (size_t)(dot - path));
	uint32_t id = (uint32_t)first;
	uint32_t bits = 0;
	const struct btf_type *type;
	int64_t bytes;

	if (first < 0)
		return -ENOENT;
	while (*dot) {
		const char *name = dot + 1;
		int rc;

		dot = strchrnul(name, '.');
		type = kt_kbtf_strip(btf, &id);
		if (!type || !btf_is_composite(type))
			return -ENOENT;
		rc = find_member(btf, type, name, (size_t)(dot - name), 0, &bits, &id);
		if (rc)
			return rc;
	}
	bytes = btf__resolve_size(btf, id);
	type = kt_kbtf_strip(btf, &id);
	if (bytes < 0 || bits % 8 || !type)
		return -ENOENT;
	found->offset = bits / 8;
	found->bytes = (uint32_t)bytes;
	found->elements = btf_is_array(type) ? btf_array(type)->nelems : 0;
	return 0;
}

int kt_kbtf_sizeof(const struct btf *btf, const char *name, uint32_t *bytes)
{
	int32_t id = find_struct(btf, name, strlen(name));

	if (id < 0)
		return -ENOENT;
	*bytes = btf__type_by_id(btf, (uint32_t)id)->size;
	return 0;
}

size_t kt_kbtf_members(const struct btf *btf, const char *name, struct kt_kbtf_named *members,
		       size_t max)
{
	int32_t id = find_struct(btf, name, strlen(name));
	const struct btf_type *type = id < 0 ? NULL : btf__type_by_id(btf, (uint32_t)id);
	size_t n = 0;

	for (uint32_t i = 0; type && i < btf_vlen(type) && n < max; i++) {
		const struct btf_member *member = &btf_members(type)[i];
		const char *is = btf__name_by_offset(btf, member->name_off);
		int64_t bytes = btf__resolve_size(btf, member->type);
		uint32_t bits = btf_member_bit_offset(type, i);

		if (!is || !*is || btf_member_bitfield_size(type, i) || bytes < 0 ||
		    bytes > UINT32_MAX)
			continue;
		members[n++] = (struct kt_kbtf_named){ is, bits / 8, (uint32_t)bytes };
	}
	return n;
}

uint32_t kt_kbtf_enum(const struct btf *btf, const char *name)
{
	int32_t id = btf__find_by_name_kind(btf, name, BTF_KIND_ENUM);

	return id < 0 ? 0 : (uint32_t)id;
}

const char *kt_kbtf_enum_name(const struct btf *btf, uint32_t id, int64_t value)
{
	const struct btf_type *type = id ? btf__type_by_id(btf, id) : NULL;

	if (!type || !btf_is_enum(type))
		return NULL;
	for (uint32_t i = 0; i < btf_vlen(type); i++) {
		if (btf_enum(type)[i].val == value)
			return btf__name_by_offset(btf, btf_enum(type)[i].name_off);
	}
	return NULL;
}
