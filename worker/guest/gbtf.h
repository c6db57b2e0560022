/* gbtf.h - finds a variable of a .bss or .data map in the BTF that came with it.
 *
 * A small reader of the format of Documentation/bpf/btf.rst: types are numbered from 1 as they stand, a DATASEC
 * lists the variables of a section with their places, a variable's type is followed through typedefs and
 * qualifiers to an integer, a bool or an enum. Pure; never reads outside the bytes.
 */
#ifndef KT_GBTF_H
#define KT_GBTF_H

#include "proto/base/err.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define KT_GBTF_BYTES_MAX (16u << 20)
#define KT_GBTF_TYPES_MAX (1u << 20)

struct kt_gbtf_var {
	uint32_t offset; /* within the section */
	uint32_t bytes; /* 1, 2, 4 or 8 */
};

/* section: the number of its DATASEC, bpf_map_info.btf_value_type_id of the map. -ENOENT with the names that
 * there are, -EINVAL when the variable is no integer, -EPROTO when the bytes are no BTF. All of them fault GUEST.
 */
int kt_gbtf_find(const void *btf, size_t len, uint32_t section, const char *variable,
		 struct kt_gbtf_var *var, struct kt_err *err);

#endif
