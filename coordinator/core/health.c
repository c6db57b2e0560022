#include "coordinator/core/health.h"

#include <stddef.h>
#include <string.h>

/* A host that is silent, a worker that came back without the lease, a process of ours or QEMU that died
 * under it, a host that hangs. Not: what the host lacked, or could not fetch: that is nothing the cell did.
 */
static const enum kt_cause_id takes_down[] = {
	KT_CAUSE_ID_lease_expired, KT_CAUSE_ID_worker_lost, KT_CAUSE_ID_runner_crashed,
	KT_CAUSE_ID_qemu_died,     KT_CAUSE_ID_overdue,
};

bool kt_health_trouble(struct kt_health *health, uint64_t cell)
{
	if (health->row == 0)
		health->cell = cell;
	else if (health->cell != cell)
		health->several = true;
	health->row += health->row < UINT32_MAX;
	return health->several && health->row >= KT_HEALTH_ROW_MIN;
}

void kt_health_result(struct kt_health *health)
{
	health->row = 0;
	health->several = false;
}

void kt_health_wait(struct kt_health *health, bool failed, bool last_resort, int64_t pause_ns,
		    int64_t now_ns)
{
	uint32_t doublings;

	health->canaries += failed && health->canaries < UINT32_MAX;
	health->nudged = false;
	doublings = last_resort ? 0 : health->canaries;
	while (doublings-- > 0 && pause_ns < KT_HEALTH_PAUSE_NS_MAX)
		pause_ns *= 2;
	if (pause_ns > KT_HEALTH_PAUSE_NS_MAX)
		pause_ns = KT_HEALTH_PAUSE_NS_MAX;
	health->canary_at_ns = now_ns + pause_ns;
}

void kt_health_forget(struct kt_health *health)
{
	memset(health, 0, sizeof(*health));
}

bool kt_health_takes_down(const struct kt_cause *cause)
{
	for (size_t i = 0; cause && i < sizeof(takes_down) / sizeof(takes_down[0]); i++)
		if (takes_down[i] == cause->id)
			return true;
	return false;
}
