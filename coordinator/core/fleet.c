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
	HASH_CLEAR(hh, fleet->by_id);
	HASH_CLEAR(hh_peer, fleet->by_peer);
	for (size_t i = 0; i < fleet->n_hosts; i++) {
		free(fleet->hosts[i]->dying);
		free(fleet->hosts[i]);
	}
	free(fleet->hosts);
	memset(fleet, 0, sizeof(*fleet));
}

struct kt_host *kt_fleet_find_host(const struct kt_fleet *fleet, const char *id)
{
	struct kt_host *host;

	HASH_FIND(hh, fleet->by_id, id, strlen(id), host);
	return host;
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
	HASH_ADD(hh, fleet->by_id, id, strlen(host->id), host);
	return host;
}

struct kt_host *kt_fleet_host_by_peer(struct kt_fleet *fleet, uint64_t peer)
{
	struct kt_host *host;

	HASH_FIND(hh_peer, fleet->by_peer, &peer, sizeof(peer), host);
	return host;
}

size_t kt_fleet_n_live(const struct kt_fleet *fleet)
{
	return HASH_CNT(hh_peer, fleet->by_peer);
}

void kt_fleet_weigh(struct kt_fleet *fleet, struct kt_host *host)
{
	bool taking = host->peer && !host->draining && !host->foreign &&
		      host->admission == KT_ADMISSION_OPEN;

	fleet->n_taking -= host->taking;
	host->taking = taking;
	fleet->n_taking += host->taking;
}

void kt_fleet_connect(struct kt_fleet *fleet, struct kt_host *host, uint64_t peer)
{
	if (host->peer)
		HASH_DELETE(hh_peer, fleet->by_peer, host);
	host->peer = peer;
	if (peer) {
		kt_must(!kt_fleet_host_by_peer(fleet, peer));
		HASH_ADD(hh_peer, fleet->by_peer, peer, sizeof(host->peer), host);
	}
	kt_fleet_weigh(fleet, host);
}

void kt_fleet_add_dying(struct kt_fleet *fleet, struct kt_host *host, uint64_t epoch,
			int64_t since_wall_ns)
{
	host->dying = kt_must_realloc(host->dying, host->n_dying + 1, sizeof(*host->dying));
	host->dying[host->n_dying++] =
		(struct kt_fleet_dying){ .epoch = epoch, .since_wall_ns = since_wall_ns };
	fleet->n_dying++;
}

void kt_fleet_drop_dying(struct kt_fleet *fleet, struct kt_host *host, uint64_t epoch)
{
	size_t kept = 0;

	for (size_t i = 0; i < host->n_dying; i++)
		if (epoch && host->dying[i].epoch != epoch)
			host->dying[kept++] = host->dying[i];
	fleet->n_dying -= host->n_dying - kept;
	host->n_dying = kept;
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
	host->n_leases++;
	HASH_ADD(hh, fleet->leases, epoch, sizeof(lease->epoch), lease);
	return lease;
}

void kt_fleet_drop_lease(struct kt_fleet *fleet, struct kt_lease *lease)
{
	HASH_DEL(fleet->leases, lease);
	DL_DELETE(lease->host->leases, lease);
	lease->host->n_leases--;
	free(lease);
}
