#include "coordinator/core/elsewhere.h"

#include <string.h>
#include <utlist.h>

bool kt_elsewhere_failed(const struct kt_sweep *sweep, uint64_t cell, const char *host)
{
	const struct kt_sweep_downs *downs = kt_sweep_downs(sweep, cell);

	if (strcmp(sweep->hosts[sweep->cells[cell].host].id, host) == 0)
		return true;
	for (size_t i = 0; downs && i < downs->n; i++)
		if (strcmp(sweep->hosts[downs->hosts[i]].id, host) == 0)
			return true;
	return false;
}

static bool is_suspect(const struct kt_sweep *sweep, uint64_t cell)
{
	const struct kt_sweep_downs *downs = kt_sweep_downs(sweep, cell);

	return downs && (downs->n >= KT_POISON_HOSTS - 1 ||
			 sweep->cells[cell].charged >= KT_POISON_HOSTS - 1);
}

bool kt_elsewhere_crowds(const struct kt_sweep *sweep, const struct kt_host *host, uint64_t cell)
{
	const struct kt_lease *lease;

	if (!is_suspect(sweep, cell))
		return false;
	DL_FOREACH (host->leases, lease)
		if (is_suspect(sweep, lease->cell))
			return true;
	return false;
}
