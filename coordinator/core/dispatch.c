#include "coordinator/core/dispatch.h"
#include "coordinator/core/fleet.h"
#include "proto/base/must.h"
#include "proto/cause.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <utlist.h>

/* A worker that was silent for so many sync intervals is taken for gone: its name may come back from
 * elsewhere. Its leases expire by their own time.
 */
#define SILENT_SYNCS 3

/* So often an attempt may be told that pieces are missing; then it is given up: a worker that cannot
 * or will not send them would hold its cell for ever.
 */
#define REFUSED_MAX 16

/* Of a STATE: what the heads of its lists may grow by. */
#define STATE_SPARE_BYTES 64

/* Of the logs of one attempt: four streams with their markers, and as much again. */
#define LOG_BYTES_MAX (8u * KT_LOG_BYTES_MAX)

struct returned { /* a cell that went back, waiting for its next try */
	uint64_t cell;
	int64_t ready_at_ns;
	bool nudged; /* the workers were told that it is ready */
};

struct late { /* a lease whose late result is kept already: its resends are no more evidence */
	uint64_t epoch; /* key */
	UT_hash_handle hh;
};

struct kt_dispatch {
	struct kt_sweep *sweep;
	const struct kt_dispatch_config *config;
	struct kt_fleet fleet;
	uint64_t sessions;
	uint64_t fresh; /* every cell below was granted at least once or is in `returned` */
	struct returned *returned;
	size_t n_returned;
	struct late *late;
	uint64_t syncs; /* SYNCs of all hosts */
	int64_t now_ns;
	int64_t ticked_at_ns;
};

/* ---- out ---- */

void kt_out_reset(struct kt_out *out)
{
	out->n_facts = 0;
	out->n_effects = 0;
	kt_arena_reset(&out->arena);
}

void kt_out_destroy(struct kt_out *out)
{
	free(out->facts);
	free(out->effects);
	kt_arena_destroy(&out->arena);
	memset(out, 0, sizeof(*out));
}

/* Applied at once: what comes next in this step decides on the new state. */
static void state_fact(struct kt_dispatch *d, struct kt_out *out, uint32_t tag, const void *body)
{
	struct kt_err err = { 0 };
	int status = kt_sweep_apply(d->sweep, tag, body, &err);

	kt_must(status == 0);
	out->facts = kt_must_realloc(out->facts, out->n_facts + 1, sizeof(*out->facts));
	out->facts[out->n_facts++] = (struct kt_fact){ .tag = tag, .body = body };
}

static struct kt_effect *effect(struct kt_out *out, enum kt_effect_kind kind, const void *body)
{
	struct kt_effect *added;

	out->effects = kt_must_realloc(out->effects, out->n_effects + 1, sizeof(*out->effects));
	added = &out->effects[out->n_effects++];
	*added = (struct kt_effect){ .kind = kind, .body = body };
	return added;
}

static void send(struct kt_out *out, uint64_t peer, uint32_t tag, const void *body)
{
	struct kt_effect *added = effect(out, KT_EFFECT_SEND, body);

	added->peer = peer;
	added->tag = tag;
}

#define NEW(out_, type_) \
	((struct kt_msg_##type_ *)kt_arena_alloc(&(out_)->arena, 1, sizeof(struct kt_msg_##type_)))

__attribute__((format(printf, 4, 5))) static void refuse(struct kt_out *out, uint64_t peer,
							 bool rejoin, const char *format, ...)
{
	struct kt_msg_refuse *msg = NEW(out, refuse);
	char reason[KT_ERR_TEXT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(reason, sizeof(reason), format, args);
	va_end(args);
	msg->reason = kt_arena_strdup(&out->arena, reason);
	msg->rejoin = rejoin;
	send(out, peer, KT_TAG_refuse, msg);
}

static void acknowledge(struct kt_out *out, const struct kt_host *host, uint64_t epoch,
			uint64_t n_samples, bool result)
{
	struct kt_msg_ack *ack = NEW(out, ack);

	ack->session = host->session;
	ack->epoch = epoch;
	ack->samples = n_samples;
	ack->result = result;
	send(out, host->peer, KT_TAG_ack, ack);
}

static void ask_to_judge(struct kt_out *out, uint64_t cell, uint64_t epoch)
{
	struct kt_effect *judge = effect(out, KT_EFFECT_JUDGE, NULL);

	judge->cell = cell;
	judge->epoch = epoch;
}

/* Once the last of its repeats has its end. */
static void ask_for_group(struct kt_dispatch *d, struct kt_out *out, uint64_t cell)
{
	struct kt_effect *group;
	uint64_t first;
	uint64_t n;

	if (!d->config->group || !d->config->group(d->config->arg, cell, &first, &n) ||
	    !kt_sweep_has_ended(d->sweep, first, n) || kt_sweep_is_grouped(d->sweep, first, n))
		return;
	group = effect(out, KT_EFFECT_GROUP, NULL);
	group->cell = first;
	group->repeats = n;
}

/* ---- cells that wait ---- */

static void give_back(struct kt_dispatch *d, uint64_t cell, int64_t ready_at_ns)
{
	d->returned = kt_must_realloc(d->returned, d->n_returned + 1, sizeof(*d->returned));
	d->returned[d->n_returned++] =
		(struct returned){ .cell = cell, .ready_at_ns = ready_at_ns };
}

/* A failed cell goes elsewhere when there is an elsewhere, and that takes it before long. */
static bool may_retry_on(const struct kt_dispatch *d, const struct returned *returned,
			 const struct kt_host *host)
{
	const struct kt_cell *c = &d->sweep->cells[returned->cell];

	if (!c->charged || kt_fleet_n_taking(&d->fleet) < 2 ||
	    d->now_ns - returned->ready_at_ns > d->config->grace_ns)
		return true;
	return strcmp(d->sweep->hosts[c->host].id, host->id) != 0;
}

static bool next_cell(struct kt_dispatch *d, const struct kt_host *host, uint64_t *cell)
{
	for (size_t i = 0; i < d->n_returned; i++) {
		if (d->returned[i].ready_at_ns > d->now_ns ||
		    !may_retry_on(d, &d->returned[i], host))
			continue;
		*cell = d->returned[i].cell;
		memmove(&d->returned[i], &d->returned[i + 1],
			(d->n_returned - i - 1) * sizeof(*d->returned));
		d->n_returned--;
		return true;
	}
	/* Cells granted in an earlier term are not fresh: kt_dispatch_new put them in `returned`
	 * or among the leases.
	 */
	while (d->fresh < d->sweep->n_cells &&
	       (d->sweep->cells[d->fresh].state != KT_CELL_PENDING ||
		d->sweep->cells[d->fresh].epoch != 0))
		d->fresh++;
	if (d->fresh == d->sweep->n_cells)
		return false;
	*cell = d->fresh++;
	return true;
}

/* ---- ends of attempts ---- */

/* A fact is read back through the limits of one frame, and a fact says more than the frame that it came
 * in: what does not fit is left out, the long texts first.
 */
static bool fits(uint32_t tag, const void *fact)
{
	return kt_facts_fits(tag, fact);
}

static struct kt_msg_result *without_length(struct kt_out *out, const struct kt_msg_result *result)
{
	struct kt_msg_result *cut = NEW(out, result);

	*cut = *result;
	cut->evidence = "";
	cut->n_timeline = 0;
	cut->n_reports = 0;
	cut->n_wakes = 0;
	cut->n_latencies = 0;
	cut->n_payloads = 0;
	return cut;
}

static void fail_attempt(struct kt_dispatch *d, struct kt_out *out, uint64_t cell, uint64_t epoch,
			 const char *cause, const char *line, bool charged,
			 const struct kt_msg_result *result)
{
	struct kt_msg_fact_failed *failed = NEW(out, fact_failed);
	const struct kt_cell *c = &d->sweep->cells[cell];
	struct kt_lease *lease = kt_fleet_lease(&d->fleet, epoch);

	failed->cell = cell;
	failed->epoch = epoch;
	failed->cause = kt_arena_strdup(&out->arena, cause);
	failed->line = kt_arena_strdup(&out->arena, line);
	failed->charged = charged;
	failed->result = (struct kt_msg_result *)(uintptr_t)result;
	if (result && !fits(KT_TAG_fact_failed, failed))
		failed->result = without_length(out, result);
	state_fact(d, out, KT_TAG_fact_failed, failed);
	if (lease)
		kt_fleet_drop_lease(&d->fleet, lease);
	if (c->charged >= d->sweep->attempts_max) {
		struct kt_msg_fact_errored *errored = NEW(out, fact_errored);

		errored->cell = cell;
		errored->cause = failed->cause;
		errored->line = failed->line;
		state_fact(d, out, KT_TAG_fact_errored, errored);
		ask_for_group(d, out, cell);
		return;
	}
	give_back(d, cell, d->now_ns + d->config->retry_ns * c->charged);
}

/* What is not charged has an end as well: nobody may take and give back one cell for ever. */
static bool is_worn(const struct kt_dispatch *d, uint64_t cell)
{
	return d->sweep->cells[cell].tries >= KT_ATTEMPTS_MAX;
}

/* Whether every group has its verdict. All cells have their end. */
static bool groups_are_done(const struct kt_dispatch *d)
{
	uint64_t first;
	uint64_t n;

	for (uint64_t i = 0; d->config->group && i < d->sweep->n_cells; i++)
		if (!d->sweep->cells[i].grouped && d->sweep->cells[i].state != KT_CELL_LEFT_OUT &&
		    d->config->group(d->config->arg, i, &first, &n))
			return false;
	return true;
}

static void close_when_done(struct kt_dispatch *d, struct kt_out *out)
{
	struct kt_msg_fact_closed *closed;

	if (d->sweep->closed || !kt_sweep_is_done(d->sweep) || !groups_are_done(d))
		return;
	closed = NEW(out, fact_closed);
	closed->judged = d->sweep->counts[KT_CELL_JUDGED];
	closed->errored = d->sweep->counts[KT_CELL_ERRORED];
	closed->left_out = d->sweep->counts[KT_CELL_LEFT_OUT];
	closed->cancelled = d->sweep->counts[KT_CELL_CANCELLED];
	state_fact(d, out, KT_TAG_fact_closed, closed);
	for (size_t i = 0; i < d->fleet.n_hosts; i++) {
		struct kt_msg_state *state;

		if (!d->fleet.hosts[i]->peer)
			continue;
		state = NEW(out, state);
		state->session = d->fleet.hosts[i]->session;
		state->finished = true;
		send(out, d->fleet.hosts[i]->peer, KT_TAG_state, state);
	}
}

/* ---- messages ---- */

static void forget_peer(struct kt_dispatch *d, uint64_t peer)
{
	struct kt_host *host = kt_fleet_host_by_peer(&d->fleet, peer);

	if (!host)
		return;
	host->peer = 0;
	host->session = 0;
}

/* A name that is in use may be that of a worker that was just killed: the newcomer is told to ask
 * again, and gets in when the other has missed a SYNC.
 */
static bool is_taken(const struct kt_dispatch *d, const struct kt_msg_hello *hello,
		     const struct kt_host *host)
{
	return host->peer && host->boot_id != hello->boot_id &&
	       d->now_ns - host->heard_at_ns < d->config->sync_ns * 3 / 2;
}

static const char *refuse_reason(const struct kt_dispatch *d, const struct kt_msg_hello *hello)
{
	struct kt_digest digest;
	static char text[256];

	if (hello->version_min > KT_PROTOCOL_VERSION || hello->version_max < KT_PROTOCOL_VERSION) {
		snprintf(text, sizeof(text),
			 "protocol version %d is spoken here, %llu to %llu there: install the same "
			 "ktcoord version on both",
			 KT_PROTOCOL_VERSION, (unsigned long long)hello->version_min,
			 (unsigned long long)hello->version_max);
		return text;
	}
	kt_schema_digest(&kt_schema_fleet, &digest);
	if (hello->schema_digest.len != KT_DIGEST_BYTES ||
	    memcmp(hello->schema_digest.data, digest.bytes, KT_DIGEST_BYTES) != 0) {
		snprintf(text, sizeof(text),
			 "the message schema differs (coordinator " KT_VERSION
			 ", worker %.64s): install the same ktcoord version on both",
			 hello->build);
		return text;
	}
	if (strcmp(hello->machine->runner, d->config->runner) != 0) {
		snprintf(text, sizeof(text),
			 "this sweep wants the %s runner, the worker has %.32s: start it with "
			 "--runner %s",
			 d->config->runner, hello->machine->runner, d->config->runner);
		return text;
	}
	return NULL;
}

/* Another process under the same name: the former one may have them, so this one must not. */
static void drop_unseen(struct kt_dispatch *d, struct kt_host *host, struct kt_out *out)
{
	struct kt_lease *lease;
	struct kt_lease *next;

	DL_FOREACH_SAFE (host->leases, lease, next)
		if (!lease->seen)
			fail_attempt(d, out, lease->cell, lease->epoch, "worker_lost",
				     "the worker was restarted before it began",
				     is_worn(d, lease->cell), NULL);
}

static void on_hello(struct kt_dispatch *d, uint64_t peer, const struct kt_msg_hello *hello,
		     struct kt_out *out)
{
	struct kt_host *host = kt_fleet_find_host(&d->fleet, hello->worker_id);
	struct kt_host *former = kt_fleet_host_by_peer(&d->fleet, peer);
	const char *reason = refuse_reason(d, hello);
	struct kt_msg_welcome *welcome;

	if (reason) {
		refuse(out, peer, false, "%s", reason);
		return;
	}
	if (!host && d->fleet.n_hosts + d->sweep->n_hosts >= KT_FLEET_HOSTS_MAX) {
		refuse(out, peer, false, "this sweep has seen %d workers: it takes no other name",
		       KT_FLEET_HOSTS_MAX);
		return;
	}
	if (!host)
		host = kt_fleet_host(&d->fleet, hello->worker_id);
	if (is_taken(d, hello, host)) {
		refuse(out, peer, true,
		       "a worker named %.64s is connected already: give this one another --id",
		       hello->worker_id);
		return;
	}
	if (host->boot_id != hello->boot_id)
		drop_unseen(d, host, out);
	if (host->boot_id != hello->boot_id) {
		struct kt_msg_fact_host *fact = NEW(out, fact_host);

		fact->host = hello->worker_id;
		fact->boot_id = hello->boot_id;
		fact->machine = hello->machine;
		fact->accel_reason = hello->accel_reason;
		fact->slots = hello->slots;
		state_fact(d, out, KT_TAG_fact_host, fact);
	}
	if (former && former != host) /* one connection speaks for one worker */
		forget_peer(d, peer);
	host->boot_id = hello->boot_id;
	host->peer = peer;
	host->session = d->config->session_seed + ++d->sessions;
	host->slots = hello->slots;
	host->heard_at_ns = d->now_ns;
	host->sync_seq = 0;
	host->draining = false;
	welcome = NEW(out, welcome);
	welcome->version = KT_PROTOCOL_VERSION;
	welcome->session = host->session;
	welcome->sweep_id = d->sweep->id;
	welcome->bulk_endpoint = d->config->bulk_endpoint;
	welcome->sync_ns = d->config->sync_ns;
	welcome->build = KT_VERSION;
	send(out, peer, KT_TAG_welcome, welcome);
}

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
	grant->job = NEW(out, job);
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
			fail_attempt(d, out, lease->cell, lease->epoch, "worker_lost",
				     kt_cause(KT_CAUSE_ID_worker_lost)->advice,
				     lease->term == d->sweep->term, NULL);
		} else if (host->draining) {
			/* It would only say no; the cell has not been tried. */
			fail_attempt(d, out, lease->cell, lease->epoch, "worker_lost",
				     "the worker is being drained", is_worn(d, lease->cell), NULL);
		} else {
			offer(d, lease, state, bytes, out);
			n++;
		}
	}
	return n;
}

static void grant_new(struct kt_dispatch *d, struct kt_host *host, uint64_t room,
		      struct kt_msg_state *state, size_t *bytes, struct kt_out *out)
{
	struct kt_lease *lease;
	bool fits_in = true;
	uint64_t cell;

	while (room-- > 0 && fits_in && state->n_grants < KT_GRANTS_PER_STATE_MAX &&
	       next_cell(d, host, &cell)) {
		struct kt_msg_fact_granted *granted = NEW(out, fact_granted);

		granted->cell = cell;
		granted->epoch = d->sweep->epoch + 1;
		granted->attempt = d->sweep->cells[cell].tries + 1ull;
		granted->host = host->id;
		state_fact(d, out, KT_TAG_fact_granted, granted);
		lease = kt_fleet_add_lease(&d->fleet, granted->epoch, cell, host);
		lease->term = d->sweep->term;
		lease->expires_at_ns = d->now_ns + d->config->ttl_ns;
		fits_in = offer(d, lease, state, bytes, out);
	}
}

static void on_sync(struct kt_dispatch *d, struct kt_host *host, const struct kt_msg_sync *sync,
		    struct kt_out *out)
{
	struct kt_msg_state *state;
	uint64_t room = sync->slots_free;
	uint64_t offered;
	size_t bytes;

	/* One that was overtaken, or came twice, tells of leases and slots that are no more. */
	if (sync->seq <= host->sync_seq)
		return;
	host->sync_seq = sync->seq;
	host->draining = sync->draining;
	d->syncs++;
	state = NEW(out, state);
	state->session = host->session;
	state->seq = sync->seq;
	state->finished = d->sweep->closed;
	state->grants =
		kt_arena_alloc(&out->arena, KT_GRANTS_PER_STATE_MAX, sizeof(*state->grants));
	compare_held(d, host, sync, state, out);
	bytes = kt_codec_frame_bytes(&kt_schema_fleet, KT_TAG_state, state) + STATE_SPARE_BYTES;
	offered = find_unlisted(d, host, state, &bytes, out);
	/* Offers that are on their way count. */
	room = room > offered ? room - offered : 0;
	if (!host->draining)
		grant_new(d, host, room, state, &bytes, out);
	send(out, host->peer, KT_TAG_state, state);
}

static struct kt_lease *lease_of(const struct kt_dispatch *d, const struct kt_host *host,
				 uint64_t cell, uint64_t epoch)
{
	struct kt_lease *lease = kt_fleet_lease(&d->fleet, epoch);

	return lease && lease->cell == cell && lease->host == host ? lease : NULL;
}

/* The worker is told to say HELLO and to send again what is not acknowledged: but not for ever. */
static bool told_too_often(struct kt_dispatch *d, struct kt_lease *lease, struct kt_out *out,
			   const struct kt_msg_result *result)
{
	if (++lease->n_refused <= REFUSED_MAX)
		return false;
	fail_attempt(d, out, lease->cell, lease->epoch, "protocol",
		     "samples are missing, however often they are asked for", true, result);
	return true;
}

static void on_sample(struct kt_dispatch *d, const struct kt_host *host,
		      const struct kt_msg_sample_sent *sample, struct kt_out *out)
{
	struct kt_lease *lease = lease_of(d, host, sample->cell, sample->epoch);

	if (sample->seq >= KT_SAMPLES_PER_ATTEMPT_MAX ||
	    (lease && lease->sample_bytes + sample->body.len > KT_SERIES_BYTES_MAX)) {
		if (lease)
			fail_attempt(d, out, lease->cell, lease->epoch, "protocol",
				     "the worker sent more samples than an attempt may have", true,
				     NULL);
		return;
	}
	if (!lease) /* fenced: acknowledged so that the worker forgets it, kept nowhere */
		return acknowledge(out, host, sample->epoch, sample->seq + 1, false);
	lease->seen = true;
	if (sample->seq > lease->n_samples) {
		if (!told_too_often(d, lease, out, NULL))
			refuse(out, host->peer, true, "sample %llu came before sample %llu",
			       (unsigned long long)sample->seq,
			       (unsigned long long)lease->n_samples);
		return;
	}
	if (sample->seq == lease->n_samples) {
		effect(out, KT_EFFECT_KEEP_SAMPLE, sample);
		lease->n_samples++;
		lease->sample_bytes += sample->body.len;
	}
	acknowledge(out, host, sample->epoch, lease->n_samples, false);
}

static bool is_known_late(struct kt_dispatch *d, uint64_t epoch)
{
	struct late *late;

	HASH_FIND(hh, d->late, &epoch, sizeof(epoch), late);
	if (late)
		return true;
	late = kt_must_calloc(1, sizeof(*late));
	late->epoch = epoch;
	HASH_ADD(hh, d->late, epoch, sizeof(late->epoch), late);
	return false;
}

static void on_late_result(struct kt_dispatch *d, const struct kt_host *host,
			   const struct kt_msg_result_sent *msg, struct kt_out *out)
{
	const struct kt_cell *cell =
		msg->cell < d->sweep->n_cells ? &d->sweep->cells[msg->cell] : NULL;
	struct kt_msg_fact_late *late;

	/* The accepted result itself, sent again because its ack was lost, is no evidence. */
	if (cell && msg->epoch <= d->sweep->epoch &&
	    (cell->epoch != msg->epoch || cell->state == KT_CELL_PENDING ||
	     cell->state == KT_CELL_ERRORED || cell->state == KT_CELL_LEFT_OUT) &&
	    !is_known_late(d, msg->epoch)) {
		late = NEW(out, fact_late);
		late->cell = msg->cell;
		late->epoch = msg->epoch;
		late->host = host->id;
		late->result = msg->result;
		if (!fits(KT_TAG_fact_late, late))
			late->result = without_length(out, msg->result);
		state_fact(d, out, KT_TAG_fact_late, late);
	}
	acknowledge(out, host, msg->epoch, msg->result->samples_total, true);
}

/* Not for what somebody asked for: a cancel, or a drain that crossed a grant. */
static bool is_charged(const struct kt_dispatch *d, const struct kt_host *host, uint64_t cell,
		       const struct kt_cause *cause)
{
	if (is_worn(d, cell))
		return true;
	return cause->side != KT_CAUSE_USER &&
	       !(host->draining && cause == kt_cause(KT_CAUSE_ID_host_trouble));
}

static void on_result(struct kt_dispatch *d, const struct kt_host *host,
		      const struct kt_msg_result_sent *msg, struct kt_out *out)
{
	struct kt_lease *lease = lease_of(d, host, msg->cell, msg->epoch);
	const struct kt_cause *cause = kt_cause_by_name(msg->result->cause);
	struct kt_msg_fact_ended *ended;

	if (!lease)
		return on_late_result(d, host, msg, out);
	lease->seen = true;
	if (cause && !kt_cause_is_infra(cause) && cause->side != KT_CAUSE_USER &&
	    msg->result->samples_total != lease->n_samples) {
		if (told_too_often(d, lease, out, msg->result))
			return acknowledge(out, host, msg->epoch, msg->result->samples_total, true);
		refuse(out, host->peer, true,
		       "the result names %llu samples, %llu are here: send them again",
		       (unsigned long long)msg->result->samples_total,
		       (unsigned long long)lease->n_samples);
		return;
	}
	acknowledge(out, host, msg->epoch, msg->result->samples_total, true);
	if (!cause)
		return fail_attempt(d, out, msg->cell, msg->epoch, "protocol",
				    "the worker named a cause that this version does not know",
				    true, msg->result);
	if (kt_cause_is_infra(cause) || cause->side == KT_CAUSE_USER)
		return fail_attempt(d, out, msg->cell, msg->epoch, cause->name,
				    msg->result->line[0] ? msg->result->line : cause->advice,
				    is_charged(d, host, msg->cell, cause), msg->result);
	ended = NEW(out, fact_ended);
	ended->cell = msg->cell;
	ended->epoch = msg->epoch;
	ended->result = msg->result;
	state_fact(d, out, KT_TAG_fact_ended, ended);
	kt_fleet_drop_lease(&d->fleet, lease);
	ask_to_judge(out, msg->cell, msg->epoch);
}

static void on_phase(struct kt_dispatch *d, const struct kt_host *host,
		     const struct kt_msg_phase *phase, struct kt_out *out)
{
	struct kt_lease *lease = lease_of(d, host, phase->cell, phase->epoch);

	if (!lease)
		return;
	lease->seen = true;
	snprintf(lease->phase, sizeof(lease->phase), "%s", phase->phase);
	effect(out, KT_EFFECT_PHASE, phase)->cell = phase->cell;
}

/* In their order, as every session sends them from 0 on: so they can be counted. */
static void on_log(struct kt_dispatch *d, const struct kt_host *host,
		   const struct kt_msg_log_sent *log, struct kt_out *out)
{
	struct kt_lease *lease = lease_of(d, host, log->cell, log->epoch);

	if (!lease || log->seq != lease->n_logs || lease->log_bytes >= LOG_BYTES_MAX)
		return;
	lease->n_logs++;
	lease->log_bytes += log->body.len + sizeof(*log); /* so that empty pieces count as well */
	effect(out, KT_EFFECT_KEEP_LOG, log);
}

/* Who leaves on purpose has given up what it did not finish: that can go elsewhere at once. */
static void on_bye(struct kt_dispatch *d, struct kt_host *host, struct kt_out *out)
{
	struct kt_lease *lease;
	struct kt_lease *next;

	forget_peer(d, host->peer);
	DL_FOREACH_SAFE (host->leases, lease, next) {
		if (strcmp(lease->phase, "done") != 0)
			fail_attempt(d, out, lease->cell, lease->epoch, "worker_lost",
				     "the worker left and gave it up", is_worn(d, lease->cell),
				     NULL);
	}
}

/* Every message but HELLO begins with the session: they share this prefix. */
static uint64_t session_of(uint32_t tag, const void *body)
{
	switch (tag) {
	case KT_TAG_sync:
		return ((const struct kt_msg_sync *)body)->session;
	case KT_TAG_phase:
		return ((const struct kt_msg_phase *)body)->session;
	case KT_TAG_sample_sent:
		return ((const struct kt_msg_sample_sent *)body)->session;
	case KT_TAG_log_sent:
		return ((const struct kt_msg_log_sent *)body)->session;
	case KT_TAG_result_sent:
		return ((const struct kt_msg_result_sent *)body)->session;
	case KT_TAG_bye:
		return ((const struct kt_msg_bye *)body)->session;
	}
	return 0;
}

static void on_frame(struct kt_dispatch *d, const struct kt_input *in, struct kt_out *out)
{
	struct kt_host *host;

	if (in->tag == KT_TAG_hello)
		return on_hello(d, in->peer, in->body, out);
	host = kt_fleet_host_by_peer(&d->fleet, in->peer);
	if (!host || host->session != session_of(in->tag, in->body)) {
		refuse(out, in->peer, true, "unknown session: say hello again");
		return;
	}
	host->heard_at_ns = d->now_ns;
	switch (in->tag) {
	case KT_TAG_sync:
		return on_sync(d, host, in->body, out);
	case KT_TAG_phase:
		return on_phase(d, host, in->body, out);
	case KT_TAG_sample_sent:
		return on_sample(d, host, in->body, out);
	case KT_TAG_log_sent:
		return on_log(d, host, in->body, out);
	case KT_TAG_result_sent:
		return on_result(d, host, in->body, out);
	case KT_TAG_bye:
		return on_bye(d, host, out);
	}
	refuse(out, in->peer, false, "that message is not for a coordinator's control endpoint");
}

/* ---- time ---- */

static void expire_leases(struct kt_dispatch *d, struct kt_out *out)
{
	struct kt_lease *lease;
	struct kt_lease *next;

	HASH_ITER (hh, d->fleet.leases, lease, next) {
		if (lease->expires_at_ns > d->now_ns)
			continue;
		fail_attempt(d, out, lease->cell, lease->epoch, "lease_expired",
			     kt_cause(KT_CAUSE_ID_lease_expired)->advice,
			     lease->term == d->sweep->term, NULL);
	}
}

/* Once for each cell that came back: whoever has a free slot asks for it. A nudge that is lost costs
 * no more than the time to the next SYNC.
 */
static void nudge_hosts(struct kt_dispatch *d, struct kt_out *out)
{
	bool ready = false;

	for (size_t i = 0; i < d->n_returned; i++) {
		if (d->returned[i].nudged || d->returned[i].ready_at_ns > d->now_ns)
			continue;
		d->returned[i].nudged = true;
		ready = true;
	}
	for (size_t i = 0; ready && i < d->fleet.n_hosts; i++) {
		struct kt_msg_nudge *nudge;

		if (!d->fleet.hosts[i]->peer || d->fleet.hosts[i]->draining)
			continue;
		nudge = NEW(out, nudge);
		nudge->session = d->fleet.hosts[i]->session;
		send(out, d->fleet.hosts[i]->peer, KT_TAG_nudge, nudge);
	}
}

/* Ticks come many times in a sync_ns. When they did not, we were stopped or starved: what the workers
 * said meanwhile still waits to be read, so that time is not theirs. A little of it always counts:
 * however slow we are, leases come to their end.
 */
static void forgive_absence(struct kt_dispatch *d)
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

static void on_tick(struct kt_dispatch *d, struct kt_out *out)
{
	forgive_absence(d);
	for (size_t i = 0; i < d->fleet.n_hosts; i++)
		if (d->fleet.hosts[i]->peer &&
		    d->now_ns - d->fleet.hosts[i]->heard_at_ns > SILENT_SYNCS * d->config->sync_ns)
			forget_peer(d, d->fleet.hosts[i]->peer);
	expire_leases(d, out);
	nudge_hosts(d, out);
}

/* ---- verdicts ---- */

static void on_judged(struct kt_dispatch *d, const struct kt_input *in, struct kt_out *out)
{
	struct kt_msg_fact_judged *judged;

	/* Only the attempt that ended is judged, and only once: whoever asks twice gets nothing. */
	if (d->sweep->cells[in->cell].state != KT_CELL_ENDED ||
	    d->sweep->cells[in->cell].epoch != in->epoch)
		return;
	judged = NEW(out, fact_judged);
	judged->cell = in->cell;
	judged->epoch = in->epoch;
	judged->verdict = in->verdict;
	kt_facts_cut(KT_TAG_fact_judged, judged, &judged->verdict, &out->arena);
	state_fact(d, out, KT_TAG_fact_judged, judged);
	ask_for_group(d, out, in->cell);
}

static void on_grouped(struct kt_dispatch *d, const struct kt_input *in, struct kt_out *out)
{
	struct kt_msg_fact_grouped *grouped;

	/* Asked for twice, or one of them was reopened meanwhile: the answer is no more. */
	if (!kt_sweep_has_ended(d->sweep, in->cell, in->repeats) ||
	    kt_sweep_is_grouped(d->sweep, in->cell, in->repeats))
		return;
	grouped = NEW(out, fact_grouped);
	grouped->cell = in->cell;
	grouped->repeats = in->repeats;
	grouped->verdict = in->verdict;
	kt_facts_cut(KT_TAG_fact_grouped, grouped, &grouped->verdict, &out->arena);
	state_fact(d, out, KT_TAG_fact_grouped, grouped);
}

static void on_damaged(struct kt_dispatch *d, const struct kt_input *in, struct kt_out *out)
{
	if (d->sweep->cells[in->cell].state == KT_CELL_ENDED &&
	    d->sweep->cells[in->cell].epoch == in->epoch)
		fail_attempt(d, out, in->cell, in->epoch, "series_damaged", in->line, true, NULL);
}

/* ---- life ---- */

struct kt_dispatch *kt_dispatch_new(struct kt_sweep *sweep, const struct kt_dispatch_config *config,
				    int64_t now_ns)
{
	struct kt_dispatch *d = kt_must_calloc(1, sizeof(*d));

	kt_must(sweep->cells);
	d->sweep = sweep;
	d->config = config;
	d->now_ns = now_ns;
	d->ticked_at_ns = now_ns;
	for (uint64_t i = 0; i < sweep->n_cells; i++) {
		const struct kt_cell *cell = &sweep->cells[i];

		if (cell->state == KT_CELL_LEASED) {
			struct kt_host *host =
				kt_fleet_host(&d->fleet, sweep->hosts[cell->host].id);
			struct kt_lease *lease =
				kt_fleet_add_lease(&d->fleet, cell->epoch, i, host);

			lease->term = cell->term;
			lease->seen = true;
			lease->expires_at_ns = now_ns + config->grace_ns;
		} else if (cell->state == KT_CELL_PENDING && cell->epoch &&
			   cell->charged < sweep->attempts_max) {
			give_back(d, i, now_ns);
		}
	}
	return d;
}

void kt_dispatch_destroy(struct kt_dispatch **dispatch_p)
{
	struct kt_dispatch *d = kt_take(dispatch_p);
	struct late *late;
	struct late *next;

	if (!d)
		return;
	HASH_ITER (hh, d->late, late, next) {
		HASH_DEL(d->late, late);
		free(late);
	}
	kt_fleet_destroy(&d->fleet);
	free(d->returned);
	free(d);
}

void kt_dispatch_restore_samples(struct kt_dispatch *d, uint64_t epoch, uint64_t n)
{
	struct kt_lease *lease = kt_fleet_lease(&d->fleet, epoch);

	if (lease)
		lease->n_samples = n;
}

/* A group is asked for with the last of its cells: those before are settled then. */
static void ask_at_last(struct kt_dispatch *d, struct kt_out *out, uint64_t cell)
{
	uint64_t first;
	uint64_t n;

	if (d->config->group && d->config->group(d->config->arg, cell, &first, &n) &&
	    cell == first + n - 1)
		ask_for_group(d, out, cell);
}

void kt_dispatch_begin(struct kt_dispatch *d, struct kt_out *out)
{
	struct kt_msg_fact_term *term = NEW(out, fact_term);

	term->term = d->sweep->term + 1ull;
	state_fact(d, out, KT_TAG_fact_term, term);
	for (uint64_t i = 0; i < d->sweep->n_cells; i++) {
		struct kt_cell *cell = &d->sweep->cells[i];

		if (cell->state == KT_CELL_ENDED)
			ask_to_judge(out, i, cell->epoch);
		/* The journal was cut between the last failure and giving up: say it now. */
		if (cell->state == KT_CELL_PENDING && cell->charged >= d->sweep->attempts_max) {
			struct kt_msg_fact_errored *errored = NEW(out, fact_errored);

			errored->cell = i;
			errored->cause = "host_trouble";
			errored->line = "tries used up; the last trouble is in the journal";
			state_fact(d, out, KT_TAG_fact_errored, errored);
		}
		ask_at_last(d, out, i);
	}
	close_when_done(d, out);
}

void kt_dispatch_step(struct kt_dispatch *d, const struct kt_input *in, struct kt_out *out)
{
	d->now_ns = in->now_ns;
	switch (in->kind) {
	case KT_INPUT_FRAME:
		on_frame(d, in, out);
		break;
	case KT_INPUT_LOST:
		forget_peer(d, in->peer);
		break;
	case KT_INPUT_TICK:
		on_tick(d, out);
		break;
	case KT_INPUT_JUDGED:
		on_judged(d, in, out);
		break;
	case KT_INPUT_GROUPED:
		on_grouped(d, in, out);
		break;
	case KT_INPUT_DAMAGED:
		on_damaged(d, in, out);
		break;
	}
	close_when_done(d, out);
}

size_t kt_dispatch_n_live_hosts(const struct kt_dispatch *d)
{
	return kt_fleet_n_live(&d->fleet);
}
