#include "coordinator/core/leases.h"
#include "coordinator/core/endings.h"
#include "proto/base/must.h"
#include "proto/cause.h"

#include <stdio.h>
#include <string.h>
#include <utlist.h>

/* Of a STATE: what the heads of its lists may grow by. */
#define STATE_SPARE_BYTES 64

/* What the worker lists. Renews what is still its own, finds what is not. */
static void compare_held(struct kt_dispatch *d, const struct kt_host *host,
			 const struct kt_msg_sync *sync, struct kt_msg_state *state,
			 struct kt_out *out)
{
	state->revokes = kt_arena_alloc(&out->arena, sync->n_held, sizeof(*state->revokes));
	for (size_t i = 0; i < sync->n_held; i++) {
		const struct kt_msg_held *held = &sync->held[i];
		struct kt_lease *lease = kt_fleet_lease(&d->fleet, held->epoch);

		if (lease && lease->cell == held->cell && lease->host == host) {
			lease->seen = true;
			lease->listed = d->syncs;
			lease->expires_at_ns = d->now_ns + d->config->ttl_ns;
			snprintf(lease->phase, sizeof(lease->phase), "%s", held->phase);
		} else if (strcmp(held->phase, "done") != 0) {
			/* A finished one is let deliver its result: evidence. */
			state->revokes[state->n_revokes++] = (struct kt_msg_revoke){
				.epoch = held->epoch,
				.reason = "the lease expired or its cell has its end",
			};
		}
	}
}

/* The lease as a grant of this STATE, unless the frame is full: it is offered again by the next. */
static bool offer(struct kt_dispatch *d, const struct kt_lease *lease, struct kt_msg_state *state,
		  size_t *bytes, struct kt_out *out)
{
	struct kt_msg_grant *grant = &state->grants[state->n_grants];
	struct kt_msg_state alone = {
		.session = state->session, .seq = state->seq, .grants = grant, .n_grants = 1
	};
	size_t more;

	if (state->n_grants == KT_GRANTS_PER_STATE_MAX)
		return false;
	grant->cell = lease->cell;
	grant->epoch = lease->epoch;
	grant->attempt = d->sweep->cells[lease->cell].tries;
	if (grant->attempt > KT_ATTEMPTS_MAX)
		grant->attempt = KT_ATTEMPTS_MAX;
	grant->ttl_ns = d->config->ttl_ns;
	grant->job = KT_OUT_NEW(out, job);
	d->config->job(d->config->arg, lease->cell, &out->arena, grant->job);
	more = kt_codec_frame_bytes(&kt_schema_fleet, KT_TAG_state, &alone);
	if (more > KT_FRAME_BYTES_MAX - *bytes)
		return false;
	*bytes += more;
	state->n_grants++;
	return true;
}

/* Leases of this host that it does not list: offered again when it never spoke of them, lost when it
 * once did. Returns how many wait for it.
 */
static uint64_t find_unlisted(struct kt_dispatch *d, struct kt_host *host,
			      struct kt_msg_state *state, size_t *bytes, struct kt_out *out)
{
	struct kt_lease *lease;
	struct kt_lease *next;
	uint64_t n = 0;

	DL_FOREACH_SAFE (host->leases, lease, next) {
		if (lease->listed == d->syncs)
			continue;
		if (lease->seen) {
			kt_endings_fail(d, out, lease->cell, lease->epoch, "worker_lost",
					kt_cause(KT_CAUSE_ID_worker_lost)->advice,
					lease->term == d->sweep->term, NULL);
		} else if (host->draining) {
			/* It would only say no; the cell has not been tried. */
			kt_endings_fail(d, out, lease->cell, lease->epoch, "worker_lost",
					"the worker is being drained",
					kt_endings_is_worn(d, lease->cell), NULL);
		} else {
			offer(d, lease, state, bytes, out);
			n++;
		}
	}
	return n;
}

static void grant_new(struct kt_dispatch *d, struct kt_host *host, struct kt_placement_room *room,
		      struct kt_msg_state *state, size_t *bytes, struct kt_out *out)
{
	struct kt_lease *lease;
	bool fits_in = true;
	uint64_t cell;

	while (fits_in && state->n_grants < KT_GRANTS_PER_STATE_MAX &&
	       kt_placement_pick(d->placement, host, room, d->now_ns, &cell)) {
		struct kt_msg_fact_granted *granted = KT_OUT_NEW(out, fact_granted);

		granted->cell = cell;
		granted->epoch = d->sweep->epoch + 1;
		granted->attempt = d->sweep->cells[cell].tries + 1ull;
		granted->host = host->id;
		kt_desk_fact(d, out, KT_TAG_fact_granted, granted);
		lease = kt_fleet_add_lease(&d->fleet, granted->epoch, cell, host);
		lease->term = d->sweep->term;
		lease->expires_at_ns = d->now_ns + d->config->ttl_ns;
		fits_in = offer(d, lease, state, bytes, out);
	}
}

void kt_leases_sync(struct kt_dispatch *d, struct kt_host *host, const struct kt_msg_sync *sync,
		    struct kt_out *out)
{
	struct kt_msg_state *state;
	struct kt_placement_room room;
	uint64_t slots = sync->slots_free;
	uint64_t offered;
	size_t bytes;

	/* One that was overtaken, or came twice, tells of leases and slots that are no more. */
	if (sync->seq <= host->sync_seq)
		return;
	host->sync_seq = sync->seq;
	host->draining = sync->draining;
	d->syncs++;
	state = KT_OUT_NEW(out, state);
	state->session = host->session;
	state->seq = sync->seq;
	state->finished = d->sweep->closed;
	state->grants =
		kt_arena_alloc(&out->arena, KT_GRANTS_PER_STATE_MAX, sizeof(*state->grants));
	compare_held(d, host, sync, state, out);
	bytes = kt_codec_frame_bytes(&kt_schema_fleet, KT_TAG_state, state) + STATE_SPARE_BYTES;
	offered = find_unlisted(d, host, state, &bytes, out);
	/* Offers that are on their way count. */
	slots = slots > offered ? slots - offered : 0;
	if (!host->draining) {
		kt_placement_room(d->placement, host, sync, slots, d->now_ns, &room);
		grant_new(d, host, &room, state, &bytes, out);
	}
	kt_out_send(out, host->peer, KT_TAG_state, state);
}

void kt_leases_expire(struct kt_dispatch *d, struct kt_out *out)
{
	struct kt_lease *lease;
	struct kt_lease *next;

	HASH_ITER (hh, d->fleet.leases, lease, next) {
		if (lease->expires_at_ns > d->now_ns)
			continue;
		kt_endings_fail(d, out, lease->cell, lease->epoch, "lease_expired",
				kt_cause(KT_CAUSE_ID_lease_expired)->advice,
				lease->term == d->sweep->term, NULL);
	}
}

/* Ticks come many times in a sync_ns. When they did not, we were stopped or starved: what the workers
 * said meanwhile still waits to be read, so that time is not theirs. A little of it always counts:
 * however slow we are, leases come to their end.
 */
void kt_leases_forgive_absence(struct kt_dispatch *d)
{
	int64_t away_ns = d->now_ns - d->ticked_at_ns - d->config->sync_ns;
	struct kt_lease *lease;
	struct kt_lease *next;

	d->ticked_at_ns = d->now_ns;
	if (away_ns <= 0)
		return;
	HASH_ITER (hh, d->fleet.leases, lease, next)
		lease->expires_at_ns += away_ns;
	for (size_t i = 0; i < d->fleet.n_hosts; i++)
		d->fleet.hosts[i]->heard_at_ns += away_ns;
}
