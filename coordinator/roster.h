/* roster.h - what hosts said of themselves and what they run, for whoever asks (muster.h).
 *
 * A reading beside the dispatch, which keeps what it decides with (core/fleet.h) and no more. Nothing here
 * survives a restart, and nothing is decided by it.
 */
#ifndef KT_ROSTER_H
#define KT_ROSTER_H

#include "coordinator/core/facts.h"

#include <stdbool.h>
#include <uthash.h>

struct kt_roster_host {
	char id[KT_NAME_BYTES_MAX + 1]; /* key */
	char address[64]; /* it connected from; empty: not known, or over a local socket */
	bool by_key; /* its name is that of its key in the allow-list; else taken on trust */
	char build[KT_NAME_BYTES_MAX + 1];
	char runner[33];
	char accel[33];
	char accel_reason[256]; /* why not KVM */
	uint64_t slots;
	uint64_t cpus; /* of the host */
	uint64_t guest_cpus; /* of all its guests together; 0: no bound */
	uint64_t mem_bytes; /* likewise */
	uint64_t cached; /* artifacts that its last SYNC told of */
	bool leaving; /* it said that it takes no more: SIGTERM */
	char why[256]; /* of its admission, in this term */
	bool connected; /* when somebody last looked (kt_roster_look) */
	char left_why[256]; /* empty: it went silent */
	UT_hash_handle hh;
};

struct kt_roster_cell { /* under way */
	uint64_t cell; /* key */
	char phase[33];
	int64_t since_ns; /* boot-time clock */
	UT_hash_handle hh;
};

struct kt_roster { /* all 0: nobody */
	struct kt_roster_host *hosts;
	struct kt_roster_cell *cells;
};

void kt_roster_destroy(struct kt_roster *roster); /* frees what it holds, not the struct */

/* Of a host that was taken in. address may be empty. */
void kt_roster_hello(struct kt_roster *roster, const struct kt_msg_hello *hello, const char *id,
		     const char *address, bool by_key);
void kt_roster_sync(struct kt_roster *roster, const char *id, const struct kt_msg_sync *sync);
void kt_roster_phase(struct kt_roster *roster, int64_t now_ns, uint64_t cell, const char *phase);
void kt_roster_fact(struct kt_roster *roster, int64_t now_ns, uint32_t tag, const void *fact);

/* Whether it is connected now; true when that is news. */
bool kt_roster_look(struct kt_roster *roster, const char *id, bool connected);
void kt_roster_leaves(struct kt_roster *roster, const char *id, const char *why);

const struct kt_roster_host *kt_roster_find_host(const struct kt_roster *roster, const char *id);
const struct kt_roster_cell *kt_roster_find_cell(const struct kt_roster *roster, uint64_t cell);

#endif
