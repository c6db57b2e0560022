/* bpfval.h - bytes of a BPF program's memory, decoded after the program's own type information.
 *
 *	bool (BTF_INT_BOOL)          boolean
 *	integers, enums, bit-fields  integer, with its sign; 128-bit ones as "0x..." text
 *	pointers                     integer
 *	float, double                float
 *	char[n]                      text up to its first 0 byte, bytes that are no text as \xNN
 *	other arrays                 list
 *	struct, union                map; members of anonymous ones stand beside the others
 *	void, functions, forward     nil
 *
 * Bytes and types both come from the guest: nesting, sizes, names and the size of the outcome are
 * bounded, keys are unique.
 */
#ifndef KT_BPFVAL_H
#define KT_BPFVAL_H

#include "proto/value.h"

#include <bpf/btf.h>

#define KT_BPFVAL_DEPTH_MAX      10 /* containers in one value: what is deeper reads nil */
#define KT_BPFVAL_NAME_BYTES_MAX 256 /* of a key */
#define KT_BPFVAL_MEMBERS_MAX    1024 /* of one struct, anonymous ones included */

/* What may still be put into the tree: bytes as encoded (value.h), and values. Counts down. `work` also
 * counts what came to nothing, so that types that never fit cannot keep us busy.
 */
struct kt_bpfval_budget {
	size_t bytes;
	size_t values;
	size_t work;
};

/* Takes the price of something put into the tree off the budget; false when it is not there. */
bool kt_bpfval_charge(struct kt_bpfval_budget *budget, size_t bytes, size_t values);

/* 0; -ENOSPC when the budget is too small (bytes and values are then restored); -EINVAL when the type information
 * makes no sense. The value lives in the arena, which must have no limit.
 */
int kt_bpfval_decode(const struct btf *btf, uint32_t type_id, const uint8_t *bytes, size_t len,
		     struct kt_arena *arena, struct kt_bpfval_budget *budget,
		     struct kt_value *value);

/* Without a type: 1, 2, 4 and 8 bytes are an unsigned integer, anything else is "0x..." text. */
int kt_bpfval_raw(const uint8_t *bytes, size_t len, struct kt_arena *arena,
		  struct kt_bpfval_budget *budget, struct kt_value *value);

#endif
