/* fleet.h - who is connected and which leases are out: the volatile half of the dispatch.
 *
 * Nothing here survives a restart; one SYNC of every worker brings it back.
 */
#ifndef KT_FLEET_H
#define KT_FLEET_H

#include "proto/schema.h"

#include <uthash.h>

/* Hosts of a sweep, all terms together: cells number them with 16 bits. */
#define KT_FLEET_HOSTS_MAX 16384

struct kt_lease;

struct kt_host {
	char id[KT_NAME_BYTES_MAX + 1];
	uint64_t boot_id; /* of its process; 0: only known from an earlier term */
	uint64_t peer; /* 0: not connected */
	uint64_t session;
	uint64_t slots;
	uint64_t guest_cpus; /* that its guests may have together; 0: no bound */
	uint64_t mem_bytes; /* likewise */
	char accel[33];
	uint64_t sync_seq; /* of the newest SYNC of this session: what is older says nothing */
	int64_t heard_at_ns; /* last message */
	bool draining;
	struct kt_lease *leases; /* its own: a utlist, in order of their epochs */
};

struct kt_lease {
	uint64_t epoch; /* key */
	uint64_t cell;
	struct kt_host *host;
	uint32_t term; /* in which it was granted */
	int64_t expires_at_ns;
	bool seen; /* the worker has spoken of it: from then on it must list it */
	uint64_t listed; /* number of the SYNC that listed it last, over all hosts */
	uint64_t n_samples; /* 0 .. n - 1 are kept */
	uint64_t sample_bytes; /* of those that came in this term */
	uint64_t n_logs; /* pieces 0 .. n - 1 came in this term */
	uint64_t log_bytes;
	unsigned int n_refused; /* times that it had to be told to send again */
	char phase[33];
	UT_hash_handle hh;
	struct kt_lease *prev, *next; /* of its host */
};

struct kt_fleet {
	struct kt_host **hosts; /* stable addresses */
	size_t n_hosts;
	struct kt_lease *leases; /* uthash by epoch */
};

void kt_fleet_destroy(struct kt_fleet *fleet);

struct kt_host *kt_fleet_find_host(const struct kt_fleet *fleet, const char *id); /* NULL: none */
struct kt_host *kt_fleet_host(struct kt_fleet *fleet, const char *id); /* found or added */
struct kt_host *kt_fleet_host_by_peer(struct kt_fleet *fleet, uint64_t peer); /* NULL: none */
size_t kt_fleet_n_live(const struct kt_fleet *fleet);
size_t kt_fleet_n_taking(const struct kt_fleet *fleet); /* live, and not being drained */

struct kt_lease *kt_fleet_lease(const struct kt_fleet *fleet, uint64_t epoch); /* NULL: none */
struct kt_lease *kt_fleet_add_lease(struct kt_fleet *fleet, uint64_t epoch, uint64_t cell,
				    struct kt_host *host);
void kt_fleet_drop_lease(struct kt_fleet *fleet, struct kt_lease *lease);

#endif
