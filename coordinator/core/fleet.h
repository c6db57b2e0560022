/* fleet.h - who is connected and which leases are out: the volatile half of the dispatch.
 *
 * Nothing here survives a restart; one SYNC of every worker brings it back.
 */
#ifndef KT_FLEET_H
#define KT_FLEET_H

#include "proto/schema.h"

#include <uthash.h>

struct kt_host {
	char id[KT_NAME_BYTES_MAX + 1];
	uint64_t boot_id; /* of its process; 0: only known from an earlier term */
	uint64_t peer; /* 0: not connected */
	uint64_t session;
	uint64_t slots;
	int64_t heard_at_ns; /* last message */
	bool draining;
};

struct kt_lease {
	uint64_t epoch; /* key */
	uint64_t cell;
	char host[KT_NAME_BYTES_MAX + 1];
	uint32_t term; /* in which it was granted */
	int64_t expires_at_ns;
	bool seen; /* the worker has spoken of it: from then on it must list it */
	uint64_t n_samples; /* 0 .. n - 1 are kept */
	char phase[33];
	UT_hash_handle hh;
};

struct kt_fleet {
	struct kt_host **hosts; /* stable addresses */
	size_t n_hosts;
	struct kt_lease *leases; /* uthash by epoch */
};

void kt_fleet_destroy(struct kt_fleet *fleet);

struct kt_host *kt_fleet_host(struct kt_fleet *fleet, const char *id); /* found or added */
struct kt_host *kt_fleet_host_by_peer(struct kt_fleet *fleet, uint64_t peer); /* NULL: none */
size_t kt_fleet_n_live(const struct kt_fleet *fleet);

struct kt_lease *kt_fleet_lease(const struct kt_fleet *fleet, uint64_t epoch); /* NULL: none */
struct kt_lease *kt_fleet_add_lease(struct kt_fleet *fleet, uint64_t epoch, uint64_t cell,
				    const char *host);
void kt_fleet_drop_lease(struct kt_fleet *fleet, struct kt_lease *lease);

#endif
