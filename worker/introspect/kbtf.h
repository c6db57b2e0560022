/* kbtf.h - where members are, after the kernel's own type information.
 *
 * A path is a struct's name and members with dots: "rq.scx.local_dsq.nr". Members of anonymous structs and
 * unions are found as C finds them.
 */
#ifndef KT_KBTF_H
#define KT_KBTF_H

#include "proto/base/err.h"

#include <bpf/btf.h>
#include <stdbool.h>
#include <stdint.h>

struct kt_kbtf_member {
	uint32_t offset; /* bytes from the outermost struct */
	uint32_t bytes; /* of the member */
	uint32_t elements; /* of an array; 0 for anything else */
};

/* Parses raw BTF; the caller owns it (btf__free). Fault INPUT. */
int kt_kbtf_open(const void *bytes, size_t len, struct btf **btf, struct kt_err *err);
void kt_kbtf_destroy(struct btf **btf_p);

/* -ENOENT when there is no such struct or member, or when it is a bit-field. */
int kt_kbtf_member(const struct btf *btf, const char *path, struct kt_kbtf_member *member);
/* sizeof a struct; -ENOENT. */
int kt_kbtf_sizeof(const struct btf *btf, const char *name, uint32_t *bytes);

/* The members of a struct in their order, at most max of them; how many. 0: there is no such struct. Anonymous ones and
 * bit-fields are left out. Names are borrowed from btf.
 */
struct kt_kbtf_named {
	const char *name;
	uint32_t offset;
	uint32_t bytes;
};
size_t kt_kbtf_members(const struct btf *btf, const char *name, struct kt_kbtf_named *members,
		       size_t max);

/* The id of an enum by name, 0 when there is none: looking it up takes a while (100 us), asking it does not. */
uint32_t kt_kbtf_enum(const struct btf *btf, const char *name);
/* The name of the first enumerator with that value; NULL when there is none. */
const char *kt_kbtf_enum_name(const struct btf *btf, uint32_t id, int64_t value);

/* Skips typedef, const, volatile, restrict and type tags; NULL for void, a bad id or a loop. */
const struct btf_type *kt_kbtf_strip(const struct btf *btf, uint32_t *id);

#endif
