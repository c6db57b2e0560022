/* durations.h - how long cells took in the sweeps that are stored here: for whoever chooses among cells by time.
 *
 * Of every attempt that ended with a result: what it took beyond its scenario's own length. The mean of it, for the
 * same cell (its name without the repeat) when there is any, else for the same scenario, is added to the length that
 * the cell has now. Warm guests and cold ones, as the results say, are apart, and so are runners. Blocks while it reads.
 */
#ifndef KT_DURATIONS_H
#define KT_DURATIONS_H

#include "coordinator/core/matrix/matrix.h"

#define KT_DURATIONS_SWEEPS_MAX 20 /* the newest ones are read */

struct kt_durations;

/* runner: "qemu" or "scripted". A file that would make it more than bytes_max together is passed over (0: none is). What
 * cannot be read is as if it were not there: nothing is measured at worst.
 */
struct kt_durations *kt_durations_load(const char *state_dir, const char *runner,
				       uint64_t bytes_max);
void kt_durations_destroy(struct kt_durations **durations_p);

/* 0 when nothing of the kind was measured. */
int64_t kt_durations_cell_ns(const struct kt_durations *durations, const struct kt_matrix *matrix,
			     uint64_t index);

#endif
