#include "coordinator/core/leases.h"
#include "coordinator/core/endings.h"
#include "coordinator/core/overdue.h"
#include "proto/base/clock.h"
#include "proto/base/must.h"
#include "proto/cause.h"

#include <stdio.h>
#include <string.h>
#include <utlist.h>

/* Hosts that are nudged at least. */
#define NUDGED_MIN 8

/* Of a STATE: what the heads of its lists may grow by. */
#define STATE_SPARE_BYTES 64

static bool is_phase(const char *phase, const char *name)
{
	return strcmp(phase, name) == 0;
}

int64_t kt_leases_sync_ns(const struct kt_dispatch *d)
{
	int64_t spread_ns =
		(int64_t)kt_fleet_n_live(&d->fleet) * KT_NS_PER_S / KT_LEASES_SYNCS_PER_S;

	return spread_ns > d->config->sync_ns ? spread_ns : d->config->sync_ns;
}

/* Of a host that SYNCs so often. */
static int64_t ttl_ns(const struct kt_dispatch *d, int64_t sync_ns)
{
	int64_t needed_ns = sync_ns * 7 / 2;

	return needed_ns > d->config->ttl_ns ? needed_ns : d->config->ttl_ns;
}

/* How often it SYNCs now: as it was told last, or as it does, while it has not heard that. */
static int64_t pace_ns(const struct kt_dispatch *d, const struct kt_host *host)
{
	int64_t told_ns = kt_leases_sync_ns(d);
	int64_t gap_ns = host->synced_at_ns ? d->now_ns - host->synced_at_ns : 0;

	if (gap_ns > host->sync_ns)
		gap_ns = host->sync_ns;
	return gap_ns > told_ns ? gap_ns : told_ns;
}

static const char *note_of(const struct kt_host *host, struct kt_out *out)
{
	if (host->foreign)
		return kt_arena_printf(
			&out->arena,
			"the message schema differs (coordinator " KT_VERSION
			", worker %.64s): what it has is taken, it gets no work; install the "
			"same ktcoord version on both",
			host->build);
	if (host->admission == KT_ADMISSION_DRAINED)
		return "an operator drains this host: it gets no work until it is let in again";
	if (host->admission == KT_ADMISSION_QUARANTINED)
		return "quarantined: attempts on different cells ended by trouble of this host, "
		       "one after "
		       "the other; it gets one cell at a time until one gives a result";
	return "";
}

struct kt_msg_state *kt_leases_state(struct kt_dispatch *d, struct kt_host *host, uint64_t seq,
				     struct kt_out *out)
{
	struct kt_msg_state *state = KT_OUT_NEW(out, state);

	state->session = host->session;
	state->seq = seq;
	state->finished = d->sweep->closed;
	state->sync_ns = kt_leases_sync_ns(d);
	state->drain = host->admission == KT_ADMISSION_DRAINED;
	state->note = note_of(host, out);
	if (d->wall_ns > 0) {
		state->clock = KT_OUT_NEW(out, clock);
		kt_clockfit_say(&host->clock, d->wall_ns, d->now_ns, state->clock);
	}
	if (state->sync_ns > host->sync_ns)
		host->sync_ns = state->sync_ns;
	return state;
}

void kt_leases_nudge(struct kt_dispatch *d, struct kt_out *out, const struct kt_host *host)
{
	struct kt_msg_nudge *nudge;

	if (!host->peer)
		return;
	nudge = KT_OUT_NEW(out, nudge);
	nudge->session = host->session;
	kt_out_send(out, host->peer, KT_TAG_nudge, nudge);
}

void kt_leases_nudge_hosts(struct kt_dispatch *d, struct kt_out *out, size_t n_ready)
{
	size_t n = d->fleet.n_hosts;

	if (n_ready > 0 && n_ready < NUDGED_MIN)
		n_ready = NUDGED_MIN;
	for (size_t i = 0; n_ready > 0 && i < n; i++) {
		const struct kt_host *host = d->fleet.hosts[d->nudged++ % n];

		if (!host->taking || host->room == 0)
			continue;
		kt_leases_nudge(d, out, host);
		n_ready--;
	}
}

/* One cell, while none is out, after a pause: so a host comes out of its quarantine. */
static bool may_have_canary(const struct kt_dispatch *d, const struct kt_host *host)
{
	return host->n_leases == 0 && d->now_ns >= host->health.canary_at_ns;
}

void kt_leases_nudge_canaries(struct kt_dispatch *d, struct kt_out *out)
{
	for (size_t i = 0; i < d->fleet.n_hosts; i++) {
		struct kt_host *host = d->fleet.hosts[i];

		if (!host->peer || host->admission != KT_ADMISSION_QUARANTINED ||
		    host->health.nudged || !may_have_canary(d, host))
			continue;
		host->health.nudged = true;
		kt_leases_nudge(d, out, host);
	}
}

void kt_leases_revoke(struct kt_dispatch *d, struct kt_lease *lease)
{
	struct kt_host *host = lease->host;

	if (is_phase(lease->phase, "done") || host->n_dying == KT_SLOTS_MAX)
		return;
	kt_fleet_add_dying(&d->fleet, host, lease->epoch, d->wall_ns);
	d->dying_until_ns = d->now_ns + ttl_ns(d, pace_ns(d, host));
}

void kt_leases_send_revokes(struct kt_dispatch *d, struct kt_out *out)
{
	for (size_t i = 0; d->fleet.n_dying > 0 && i < d->fleet.n_hosts; i++) {
		struct kt_host *host = d->fleet.hosts[i];
		struct kt_msg_state *state;

		if (!host->peer || host->n_dying == 0)
			continue;
		state = kt_leases_state(d, host, 0, out);
		state->revokes =
			kt_arena_alloc(&out->arena, host->n_dying, sizeof(*state->revokes));
		for (size_t k = 0; k < host->n_dying; k++)
			state->revokes[state->n_revokes++] =
				(struct kt_msg_revoke){ .epoch = host->dying[k].epoch,
							.reason = "its cell has its end" };
		kt_out_send(out, host->peer, KT_TAG_state, state);
	}
}

static bool lists(const struct kt_msg_sync *sync, uint64_t epoch)
{
	for (size_t i = 0; i < sync->n_held; i++)
		if (sync->held[i].epoch == epoch)
			return true;
	return false;
}

/* Who does not list a lease any more, and has heard that it must end, has no guest for it. (Without clocks
 * nobody knows what it has heard: then its word is enough.) When our own clock was set back meanwhile, what it hears
 * from now on counts, and what it heard before says nothing.
 */
static void bury(struct kt_dispatch *d, struct kt_host *host, const struct kt_msg_sync *sync)
{
	for (size_t i = host->n_dying; i-- > 0;) {
		struct kt_fleet_dying *dying = &host->dying[i];

		if (dying->since_wall_ns > d->wall_ns)
			dying->since_wall_ns = d->wall_ns;
		if (!lists(sync, dying->epoch) &&
		    (!sync->clock || (sync->clock->echo_ns >= dying->since_wall_ns &&
				      sync->clock->echo_ns <= d->wall_ns)))
			kt_fleet_drop_dying(&d->fleet, host, dying->epoch);
	}
}

/* What the worker lists. Renews what is still its own, finds what is not. */
static void compare_held(struct kt_dispatch *d, const struct kt_host *host,
			 const struct kt_msg_sync *sync, struct kt_msg_state *state,
			 struct kt_out *out)
{
	int64_t expires_at_ns = d->now_ns + ttl_ns(d, pace_ns(d, host));

	state->revokes = kt_arena_alloc(&out->arena, sync->n_held, sizeof(*state->revokes));
	for (size_t i = 0; i < sync->n_held; i++) {
		const struct kt_msg_held *held = &sync->held[i];
		struct kt_lease *lease = kt_fleet_lease(&d->fleet, held->epoch);

		if (lease && lease->cell == held->cell && lease->host == host) {
			lease->seen = true;
			lease->listed = d->syncs;
			lease->expires_at_ns = expires_at_ns;
			snprintf(lease->phase, sizeof(lease->phase), "%s", held->phase);
		} else if (!is_phase(held->phase, "done")) {
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
	grant->ttl_ns = ttl_ns(d, pace_ns(d, lease->host));
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
		if (lease->seen && !host->draining) {
			kt_endings_fail(d, out, lease->cell, lease->epoch, "worker_lost",
					kt_cause(KT_CAUSE_ID_worker_lost)->advice,
					lease->term == d->sweep->term, NULL);
		} else if (lease->seen) {
			/* It is told to stop, and ends what it held. */
			kt_endings_fail(d, out, lease->cell, lease->epoch, "worker_lost",
					"the worker left and gave it up",
					kt_endings_is_worn(d, lease->cell), NULL);
		} else if (host->draining || host->admission == KT_ADMISSION_DRAINED ||
			   host->foreign) {
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

static bool may_have_more(const struct kt_dispatch *d, const struct kt_host *host)
{
	if (host->draining || host->foreign || host->admission == KT_ADMISSION_DRAINED)
		return false;
	return host->admission == KT_ADMISSION_OPEN || may_have_canary(d, host);
}

static int64_t due_ns(const struct kt_dispatch *d, const struct kt_msg_job *job)
{
	return kt_clock_add_ns(d->now_ns, kt_clock_add_ns(d->config->grace_ns, kt_overdue_ns(job)));
}

int64_t kt_leases_due_ns(const struct kt_dispatch *d, uint64_t cell)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_msg_job job = { 0 };

	d->config->job(d->config->arg, cell, &arena, &job);
	return due_ns(d, &job);
}

static void grant_new(struct kt_dispatch *d, struct kt_host *host, struct kt_placement_room *room,
		      struct kt_msg_state *state, size_t *bytes, struct kt_out *out)
{
	bool canary = host->admission == KT_ADMISSION_QUARANTINED;
	struct kt_lease *lease;
	bool fits_in = true;
	uint64_t cell;

	while (fits_in && state->n_grants < KT_GRANTS_PER_STATE_MAX &&
	       (!canary || may_have_canary(d, host)) &&
	       kt_placement_pick(d->placement, host, room, d->now_ns, &cell)) {
		struct kt_msg_fact_granted *granted = KT_OUT_NEW(out, fact_granted);
		const struct kt_msg_grant *grant = &state->grants[state->n_grants];

		host->room -= host->room > 0;
		granted->cell = cell;
		granted->epoch = d->sweep->epoch + 1;
		granted->attempt = d->sweep->cells[cell].tries + 1ull;
		granted->host = host->id;
		kt_desk_fact(d, out, KT_TAG_fact_granted, granted);
		lease = kt_fleet_add_lease(&d->fleet, granted->epoch, cell, host);
		lease->term = d->sweep->term;
		lease->canary = canary;
		lease->expires_at_ns = d->now_ns + ttl_ns(d, pace_ns(d, host));
		fits_in = offer(d, lease, state, bytes, out);
		lease->due_at_ns = due_ns(d, grant->job); /* it has one, even if it did not fit */
	}
}

void kt_leases_sync(struct kt_dispatch *d, struct kt_host *host, const struct kt_msg_sync *sync,
		    struct kt_out *out)
{
	struct kt_msg_state *state;
	struct kt_placement_room room;
	uint64_t offered;
	size_t bytes;

	/* One that was overtaken, or came twice, tells of leases and slots that are no more. */
	if (sync->seq <= host->sync_seq)
		return;
	host->sync_seq = sync->seq;
	host->draining = sync->draining;
	kt_fleet_weigh(&d->fleet, host);
	d->syncs++;
	if (sync->clock && d->wall_ns > 0)
		kt_clockfit_hear(&host->clock, sync->clock, d->wall_ns, d->now_ns);
	bury(d, host, sync);
	state = kt_leases_state(d, host, sync->seq, out);
	state->grants =
		kt_arena_alloc(&out->arena, KT_GRANTS_PER_STATE_MAX, sizeof(*state->grants));
	compare_held(d, host, sync, state, out);
	host->synced_at_ns = d->now_ns;
	bytes = kt_codec_frame_bytes(&kt_schema_fleet, KT_TAG_state, state) + STATE_SPARE_BYTES;
	offered = find_unlisted(d, host, state, &bytes, out);
	/* Offers that are on their way count. */
	host->room = sync->slots_free > offered ? sync->slots_free - offered : 0;
	if (may_have_more(d, host)) {
		kt_placement_room(d->placement, host, sync, host->room, d->now_ns, &room);
		grant_new(d, host, &room, state, &bytes, out);
	}
	kt_out_send(out, host->peer, KT_TAG_state, state);
}

void kt_leases_expire(struct kt_dispatch *d, struct kt_out *out)
{
	struct kt_lease *lease;
	struct kt_lease *next;
	bool revoked = false;

	HASH_ITER (hh, d->fleet.leases, lease, next) {
		if (lease->expires_at_ns <= d->now_ns) {
			kt_endings_fail(d, out, lease->cell, lease->epoch, "lease_expired",
					kt_cause(KT_CAUSE_ID_lease_expired)->advice,
					lease->term == d->sweep->term, NULL);
		} else if (lease->due_at_ns <= d->now_ns) {
			kt_leases_revoke(d, lease);
			kt_endings_fail(d, out, lease->cell, lease->epoch, "overdue",
					kt_cause(KT_CAUSE_ID_overdue)->advice, true, NULL);
			revoked = true;
		}
	}
	if (revoked)
		kt_leases_send_revokes(d, out);
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
	HASH_ITER (hh, d->fleet.leases, lease, next) {
		lease->expires_at_ns += away_ns;
		lease->due_at_ns = kt_clock_add_ns(lease->due_at_ns, away_ns);
	}
	for (size_t i = 0; i < d->fleet.n_hosts; i++)
		d->fleet.hosts[i]->heard_at_ns += away_ns;
}
