#include "coordinator/core/fleet.h"
#include "proto/base/must.h"

#include <stdio.h>
#include <string.h>
#include <utlist.h>

void kt_fleet_destroy(struct kt_fleet *fleet)
{
	struct kt_lease *lease;
	struct kt_lease *next;

	HASH_ITER (hh, fleet->leases, lease, next)
		kt_fleet_drop_lease(fleet, lease);
	for (size_t i = 0; i < fleet->n_hosts; i++)
		free(fleet->hosts[i]);
	free(fleet->hosts);
	memset(fleet, 0, sizeof(*fleet));
}

struct kt_host *kt_fleet_find_host(const struct kt_fleet *fleet, const char *id)
{
	for (size_t i = 0; i < fleet->n_hosts; i++)
		if (strcmp(fleet->hosts[i]->id, id) == 0)
			return fleet->hosts[i];
	return NULL;
}

struct kt_host *kt_fleet_host(struct kt_fleet *fleet, const char *id)
{
	struct kt_host *host = kt_fleet_find_host(fleet, id);

	if (host)
		return host;
	host = kt_must_calloc(1, sizeof(*host));
	snprintf(host->id, sizeof(host->id), "%s", id);
	fleet->hosts = kt_must_realloc(fleet->hosts, fleet->n_hosts + 1, sizeof(*fleet->hosts));
	fleet->hosts[fleet->n_hosts++] = host;
	return host;
}

struct kt_host *kt_fleet_host_by_peer(struct kt_fleet *fleet, uint64_t peer)
{
	for (size_t i = 0; peer && i < fleet->n_hosts; i++)
		if (fleet->hosts[i]->peer == peer)
			return fleet->hosts[i];
	return NULL;
}

size_t kt_fleet_n_live(const struct kt_fleet *fleet)
{
	size_t n = 0;

	for (size_t i = 0; i < fleet->n_hosts; i++)
		n += fleet->hosts[i]->peer != 0;
	return n;
}

size_t kt_fleet_n_taking(const struct kt_fleet *fleet)
{
	size_t n = 0;

	for (size_t i = 0; i < fleet->n_hosts; i++)
		n += fleet->hosts[i]->peer != 0 && !fleet->hosts[i]->draining;
	return n;
}

struct kt_lease *kt_fleet_lease(const struct kt_fleet *fleet, uint64_t epoch)
{
	struct kt_lease *lease;

	HASH_FIND(hh, fleet->leases, &epoch, sizeof(epoch), lease);
	return lease;
}

struct kt_lease *kt_fleet_add_lease(struct kt_fleet *fleet, uint64_t epoch, uint64_t cell,
				    struct kt_host *host)
{
	struct kt_lease *lease = kt_must_calloc(1, sizeof(*lease));

	kt_must(!kt_fleet_lease(fleet, epoch));
	lease->epoch = epoch;
	lease->cell = cell;
	lease->host = host;
	DL_APPEND(host->leases, lease);
	HASH_ADD(hh, fleet->leases, epoch, sizeof(lease->epoch), lease);
	return lease;
}

void kt_fleet_drop_lease(struct kt_fleet *fleet, struct kt_lease *lease)
{
	HASH_DEL(fleet->leases, lease);
	DL_DELETE(lease->host->leases, lease);
	free(lease);
}
