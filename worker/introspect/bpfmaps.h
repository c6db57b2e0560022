/* bpfmaps.h - every BPF map of the guest, decoded: the "bpf" axis (introspect.h says how it looks).
 *
 * From map_idr (kernel/bpf/syscall.c) to struct bpf_map, bpf_array and the map's own program BTF. Maps
 * of the enabled scheduler come first, their variables before their arrays, small variables
 * before large ones, so that what does not fit the frame is what is wanted least.
 */
#ifndef KT_BPFMAPS_H
#define KT_BPFMAPS_H

#include "worker/introspect/bpfval.h"
#include "worker/introspect/scx.h"
#include "worker/introspect/xarray.h"

#define KT_BPFMAPS_MAX           256 /* maps looked at */
#define KT_BPFMAPS_ENTRIES_MAX   1024 /* of one array */
#define KT_BPFMAPS_VARS_MAX      4096 /* of one data section */
#define KT_BPFMAPS_BTFS_MAX      64 /* kept parsed */
#define KT_BPFMAPS_BTF_BYTES_MAX (16u << 20) /* BTF_MAX_SIZE of the kernel */

struct kt_bpfmaps; /* keeps parsed BTF between two reads of one guest */

/* Borrows both for its life. */
struct kt_bpfmaps *kt_bpfmaps_new(struct kt_pagewalk *pagewalk, const struct kt_klayout *klayout,
				  uint64_t slide);
void kt_bpfmaps_destroy(struct kt_bpfmaps **bpfmaps_p);

/* Fills the tree. -EFAULT when map_idr is not mapped. The arena must have no limit. */
int kt_bpfmaps_read(struct kt_bpfmaps *bpfmaps, const struct kt_scx *scx, struct kt_arena *arena,
		    const struct kt_bpfval_budget *budget, struct kt_value *tree);

#endif
