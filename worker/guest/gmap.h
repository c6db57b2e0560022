/* gmap.h - writes an entry of a BPF map, or a variable of a .bss or .data map: bpf(2), without libbpf.
 *
 * A map is meant by its name, as the kernel has it (15 bytes: a longer one is cut as libbpf cuts it). Of several the
 * running scheduler's counts: its maps share their BTF with a STRUCT_OPS map.
 * A variable is written through a mapping of its map (BPF_F_MMAPABLE, which .bss and .data have), in one store:
 * reading the whole value and writing it back would undo what the scheduler writes to its neighbours meanwhile.
 */
#ifndef KT_GMAP_H
#define KT_GMAP_H

#include "proto/schema.h"

#include <stdbool.h>

#define KT_GMAP_NAME_BYTES 16 /* BPF_OBJ_NAME_LEN: with the 0 byte */
#define KT_GMAP_MAPS_MAX   4096 /* that are looked at */

/* What is known of one map, of all that have a name that fits. */
struct kt_gmap_candidate {
	uint32_t id;
	uint32_t btf_id; /* 0: none */
	bool is_running; /* a STRUCT_OPS map has the same BTF */
	char name[KT_GMAP_NAME_BYTES];
};

/* op: name, and variable or key, and value. -EAGAIN when more than one map is meant: one of a scheduler that has
 * just been unloaded goes a moment later.
 */
int kt_gmap_write(const struct kt_msg_op *op, struct kt_err *err);

/* Pure. */
bool kt_gmap_is_named(const char *wanted, const char *name);
/* Pure. Which one, or -ENOENT, or -EAGAIN with what they are. */
int kt_gmap_choose(const char *wanted, const struct kt_gmap_candidate *candidates, size_t n,
		   struct kt_err *err);
/* Pure. A number as the guest's CPU stores it; -ERANGE when it does not fit, signed or not. */
int kt_gmap_pack(int64_t value, uint32_t bytes, uint8_t out[8], struct kt_err *err);

#endif
