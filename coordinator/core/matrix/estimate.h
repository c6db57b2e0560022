/* estimate.h - how long a cell will take, as far as one can tell from its matrix. Pure.
 *
 * The scenario's own length, and what a guest costs: tests/bench/bench_boot.py under TCG, on two cores that had other
 * work too; under KVM a guess on the safe side. What was measured in earlier sweeps is better (durations.h).
 */
#ifndef KT_ESTIMATE_H
#define KT_ESTIMATE_H

#include "coordinator/core/matrix/matrix.h"

/* accel: "kvm", "tcg", or NULL when it is not known: TCG's times. */
int64_t kt_estimate_boot_ns(uint32_t cpus, const char *accel);

/* In its slot: with its boot when it is cold, with its restore when it is warm. A template's boot comes on top, once
 * for all cells of one kernel and topology. The cell's kernel and scheduler are not looked at.
 */
int64_t kt_estimate_cell_ns(const struct kt_matrix_cell *cell, const char *accel);

bool kt_estimate_is_warm(const struct kt_matrix_scenario *scenario);

#endif
