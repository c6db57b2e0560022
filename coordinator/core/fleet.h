/* fleet.h - who is connected and which leases are out: the volatile half of the dispatch.
 *
 * Nothing here survives a restart; one SYNC of every worker brings it back.
 */
#ifndef KT_FLEET_H
#define KT_FLEET_H

#include "coordinator/core/clockfit.h"
#include "coordinator/core/health.h"
#include "coordinator/core/sweep.h"
#include "proto/schema.h"

#include <uthash.h>

/* Hosts of a sweep, all terms together: cells number them with 16 bits. */
#define KT_FLEET_HOSTS_MAX 16384

struct kt_lease;

struct kt_fleet_dying { /* a lease that was ended here while its guest may still run there */
	uint64_t epoch;
	int64_t since_wall_ns; /* who has heard of this moment has heard that it must end */
};

struct kt_host {
	char id[KT_NAME_BYTES_MAX + 1]; /* key */
	uint64_t boot_id; /* of its process; 0: only known from an earlier term */
	uint64_t peer; /* 0: not connected; else a key */
	uint64_t session;
	uint64_t slots;
	uint64_t guest_cpus; /* that its guests may have together; 0: no bound */
	uint64_t mem_bytes; /* likewise */
	char accel[33];
	uint64_t sync_seq; /* of the newest SYNC of this session: what is older says nothing */
	int64_t heard_at_ns; /* last message */
	int64_t sync_ns; /* the longest pause between SYNCs that it was told of in this session */
	int64_t synced_at_ns; /* its last SYNC of this session; 0: none */
	uint64_t room; /* slots that its newest SYNC told of and nothing was granted for since */
	bool draining; /* it said so: it is about to leave */
	bool foreign; /* its messages are of another schema: it may deliver, and gets nothing */
	bool taking; /* connected, and may be granted cells without further thought */
	char build[64];
	enum kt_admission admission; /* as the sweep has it */
	struct kt_health health;
	int64_t blamed_at_ns; /* the last trouble; 0: none */
	struct kt_clockfit clock;
	struct kt_fleet_dying *dying;
	size_t n_dying;
	struct kt_lease *leases; /* its own: a utlist, in order of their epochs */
	size_t n_leases;
	UT_hash_handle hh; /* by id */
	UT_hash_handle hh_peer;
};

struct kt_lease {
	uint64_t epoch; /* key */
	uint64_t cell;
	struct kt_host *host;
	uint32_t term; /* in which it was granted */
	int64_t expires_at_ns;
	int64_t due_at_ns; /* it should have had its end long before, whatever its host says */
	bool canary; /* the one cell that its quarantined host was given */
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
	struct kt_host *by_id; /* uthash */
	struct kt_host *by_peer; /* uthash, of those that are connected */
	size_t n_taking;
	size_t n_dying; /* of all hosts */
	struct kt_lease *leases; /* uthash by epoch */
};

void kt_fleet_destroy(struct kt_fleet *fleet);

struct kt_host *kt_fleet_find_host(const struct kt_fleet *fleet, const char *id); /* NULL: none */
struct kt_host *kt_fleet_host(struct kt_fleet *fleet, const char *id); /* found or added */
struct kt_host *kt_fleet_host_by_peer(struct kt_fleet *fleet, uint64_t peer); /* NULL: none */
size_t kt_fleet_n_live(const struct kt_fleet *fleet);
/* peer 0: it is not connected any more. No two hosts have one peer. */
void kt_fleet_connect(struct kt_fleet *fleet, struct kt_host *host, uint64_t peer);
/* taking follows from the rest of the host: after any change of that. */
void kt_fleet_weigh(struct kt_fleet *fleet, struct kt_host *host);

/* A guest that was told to die, and the end of that: of one epoch, or of all of them (0). */
void kt_fleet_add_dying(struct kt_fleet *fleet, struct kt_host *host, uint64_t epoch,
			int64_t since_wall_ns);
void kt_fleet_drop_dying(struct kt_fleet *fleet, struct kt_host *host, uint64_t epoch);

struct kt_lease *kt_fleet_lease(const struct kt_fleet *fleet, uint64_t epoch); /* NULL: none */
struct kt_lease *kt_fleet_add_lease(struct kt_fleet *fleet, uint64_t epoch, uint64_t cell,
				    struct kt_host *host);
void kt_fleet_drop_lease(struct kt_fleet *fleet, struct kt_lease *lease);

#endif
