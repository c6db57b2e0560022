#include "coordinator/core/matrix/estimate.h"
#include "proto/job.h"

#include <string.h>

/* Boot of a generic guest under TCG by vCPUs (PVH, single-threaded TCG). */
static const struct {
	uint32_t cpus;
	int64_t ns;
} boots[] = {
	{ 2, 2200 * KT_NS_PER_MS },  { 4, 2600 * KT_NS_PER_MS },   { 8, 3200 * KT_NS_PER_MS },
	{ 16, 4800 * KT_NS_PER_MS }, { 32, 11000 * KT_NS_PER_MS },
};
#define N_BOOTS (sizeof(boots) / sizeof(boots[0]))

#define KVM_BOOT_NS (1500 * KT_NS_PER_MS) /* not measured: a guess on the safe side */
#define RESTORE_NS  (200 * KT_NS_PER_MS) /* of a warm guest, 2 to 8 vCPUs under TCG */
#define LOAD_NS     (800 * KT_NS_PER_MS) /* files, scheduler, workers, reading, unloading */

int64_t kt_estimate_boot_ns(uint32_t cpus, const char *accel)
{
	if (accel && strcmp(accel, "kvm") == 0)
		return KVM_BOOT_NS;
	for (size_t i = 0; i < N_BOOTS; i++)
		if (cpus <= boots[i].cpus)
			return boots[i].ns;
	return boots[N_BOOTS - 1].ns * cpus / boots[N_BOOTS - 1].cpus;
}

bool kt_estimate_is_warm(const struct kt_matrix_scenario *scenario)
{
	return strcmp(scenario->guest, KT_JOB_GUEST_WARM) == 0;
}

int64_t kt_estimate_cell_ns(const struct kt_matrix_cell *cell, const char *accel)
{
	int64_t guest_ns = kt_estimate_is_warm(cell->scenario)
				   ? RESTORE_NS
				   : kt_estimate_boot_ns(cell->topology->cpus, accel);

	return guest_ns + LOAD_NS + kt_matrix_cell_run_ns(cell);
}
