/* leases.h - SYNC in, STATE out: what is held is renewed, what is not is found, room is filled.
 *
 * All hosts together SYNC at most KT_LEASES_SYNCS_PER_S times a second when nothing happens: each is told so with every
 * STATE. A lease lives for 3.5 of those pauses, and never less than the configured time.
 */
#ifndef KT_LEASES_H
#define KT_LEASES_H

#include "coordinator/core/desk.h"

#define KT_LEASES_SYNCS_PER_S 50

/* The pause between two SYNCs of one host, for now. */
int64_t kt_leases_sync_ns(const struct kt_dispatch *d);
/* A STATE for this host with all but lists. seq 0: it did not ask. */
struct kt_msg_state *kt_leases_state(struct kt_dispatch *d, struct kt_host *host, uint64_t seq,
				     struct kt_out *out);
/* When an attempt at this cell that is granted now should have had its end long before. */
int64_t kt_leases_due_ns(const struct kt_dispatch *d, uint64_t cell);
void kt_leases_nudge(struct kt_dispatch *d, struct kt_out *out, const struct kt_host *host);
/* So many cells are ready that were not before: so many hosts with room are told (a few more when the cells are few:
 * the first may not be the right one), each time others first. A herd that is told of one cell would only SYNC for
 * nothing; a nudge that is lost costs the time to the next SYNC.
 */
void kt_leases_nudge_hosts(struct kt_dispatch *d, struct kt_out *out, size_t n_ready);
/* Quarantined hosts whose pause is over. */
void kt_leases_nudge_canaries(struct kt_dispatch *d, struct kt_out *out);

/* The lease is about to be dropped while its guest may run: its host is told to end it, by
 * kt_leases_send_revokes() and by the answer to each SYNC that still lists it. A finished one is let deliver.
 */
void kt_leases_revoke(struct kt_dispatch *d, struct kt_lease *lease);
void kt_leases_send_revokes(struct kt_dispatch *d, struct kt_out *out);

void kt_leases_sync(struct kt_dispatch *d, struct kt_host *host, const struct kt_msg_sync *sync,
		    struct kt_out *out);
/* Those that nobody renewed, and those that should have had their end long before. */
void kt_leases_expire(struct kt_dispatch *d, struct kt_out *out);
/* Before anything else is done with the time of a tick. */
void kt_leases_forgive_absence(struct kt_dispatch *d);

#endif
