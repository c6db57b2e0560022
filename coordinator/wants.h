/* wants.h - what the cells of a matrix want of a host, for core/placement.h.
 *
 * Size of the guest from its topology, accelerator and pairs from its scenario, artifacts from the manifest; how long it
 * takes from the sweeps that are stored here where they tell it (durations.h), else as estimated (core/matrix/estimate.h).
 * An answer costs a copy of a few numbers: it is given for every cell when a sweep begins, and for every lease
 * at each SYNC.
 */
#ifndef KT_WANTS_H
#define KT_WANTS_H

#include "coordinator/core/matrix/matrix.h"
#include "coordinator/core/placement.h"

/* Of stored sweeps, the newest first: a start must not take longer the more is stored. */
#define KT_WANTS_STORED_BYTES_MAX (32ull << 20)

struct kt_wants;

/* Borrows matrix. Blocks while it reads stored sweeps. runner: "qemu" or "scripted". */
struct kt_wants *kt_wants_new(const struct kt_matrix *matrix,
			      const struct kt_msg_manifest *manifest, const char *state_dir,
			      const char *runner);
void kt_wants_destroy(struct kt_wants **wants_p);

/* As kt_placement_config.demand; arg is the kt_wants. */
void kt_wants_demand(void *arg, uint64_t cell, struct kt_placement_demand *demand);

#endif
