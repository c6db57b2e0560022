#include "coordinator/core/placement.h"
#include "coordinator/core/backlog.h"
#include "coordinator/core/elsewhere.h"
#include "coordinator/core/pairing.h"
#include "proto/base/must.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define NONE KT_BACKLOG_NONE

/* Of those that came back, so many are looked at for one that may be tried on the host that asks. */
#define AGAIN_AHEAD 64

#define LOOK_NS \
	(1 *    \
	 KT_NS_PER_S) /* between two looks at what no host can take, and at hosts that are away */

/* Pairs of a size and a host that may be looked at in every tick. */
#define LOOK_ALWAYS 4096

/* After a restart, so many times hopeless_ns pass before anything is hopeless: hosts have to come back first. */
#define RESTART_TIMES 3

#define FAILED_TWICE 2 /* of a pair's cell: it need not stay */

/* Artifacts that a host is known to have: what it told, and those of its leases. */
#define HAS_MAX (4 * KT_CACHED_TOLD_MAX)

struct place { /* a host as placement sees it */
	const struct kt_host *host; /* key */
	UT_hash_handle hh;
	int64_t asked_ns; /* when it was last asked about */
	uint64_t cpus, mem_bytes; /* what it had left then */
	uint32_t open; /* pairs that were begun on it */
	uint64_t *has; /* artifacts, ascending */
	size_t n_has, cap_has;
};

struct kt_placement {
	const struct kt_sweep *sweep;
	struct kt_fleet *fleet;
	const struct kt_placement_config *config;
	struct kt_backlog backlog;
	struct kt_pairing pairing;
	struct place *places; /* uthash */
	struct kt_backlog_queue *kept; /* whose first has room kept for it; NULL: nobody's */
	struct place *keeper; /* where */
	uint32_t cpus_max; /* of any cell that was seen */
	uint64_t mem_bytes_max;
	int64_t began_ns;
	bool restarted; /* hosts of an earlier term may still come back */
	int64_t looked_ns;
	size_t n_woke; /* since the last tick */
	size_t complain_at; /* the queue that is to be looked at next */
	size_t give_up_at;
	int64_t now_ns; /* of the last tick */
};

/* ---- what cells want ---- */

static void demand_of(const struct kt_placement *p, uint64_t cell,
		      struct kt_placement_demand *demand)
{
	memset(demand, 0, sizeof(*demand));
	if (p->config->demand)
		p->config->demand(p->config->arg, cell, demand);
}

static uint32_t queue_of(struct kt_placement *p, const struct kt_placement_demand *demand)
{
	if (demand->cpus > p->cpus_max)
		p->cpus_max = demand->cpus;
	if (demand->mem_bytes > p->mem_bytes_max)
		p->mem_bytes_max = demand->mem_bytes;
	return kt_backlog_queue(&p->backlog, demand->cpus, demand->mem_bytes, demand->accel);
}

/* Whether an entry of `fresh` or `again` still waits; *cell is its first that does. A range gets shorter on the way. */
static bool still_waits(struct kt_placement *p, uint32_t entry, bool is_fresh, uint32_t *cell)
{
	struct kt_backlog_entry *e = &p->backlog.entries[entry];

	if (e->n == 0) {
		const struct kt_pairing_pair *pair = &p->pairing.pairs[e->first];

		return pair->where == KT_PAIRING_QUEUED &&
		       kt_pairing_next(&p->pairing, pair, p->sweep, cell) == KT_PAIRING_WAITS;
	}
	for (; e->n > 0; e->first++, e->n--) {
		const struct kt_cell *c = &p->sweep->cells[e->first];

		if (c->state == KT_CELL_PENDING && (!is_fresh || c->epoch == 0)) {
			*cell = e->first;
			return true;
		}
	}
	return false;
}

/* The entry, or the next behind it that still waits: what does not is dropped. */
static uint32_t live(struct kt_placement *p, struct kt_backlog_queue *queue, bool is_fresh,
		     uint32_t entry, uint32_t *cell)
{
	while (entry != NONE) {
		struct kt_backlog_entry *e = &p->backlog.entries[entry];
		uint32_t next = e->next;
		bool is_pair = e->n == 0;
		uint32_t first = e->first;

		if (still_waits(p, entry, is_fresh, cell))
			return entry;
		if (is_pair && p->pairing.pairs[first].where == KT_PAIRING_QUEUED)
			p->pairing.pairs[first].where = KT_PAIRING_DONE;
		kt_backlog_drop(&p->backlog, is_fresh ? &queue->fresh : &queue->again, entry);
		entry = next;
	}
	return NONE;
}

static bool has_waiting(struct kt_placement *p, struct kt_backlog_queue *queue)
{
	uint32_t cell;

	return queue->n_asleep > 0 || live(p, queue, false, queue->again.head, &cell) != NONE ||
	       live(p, queue, true, queue->fresh.head, &cell) != NONE;
}

/* ---- hosts ---- */

static struct place *place_of(struct kt_placement *p, const struct kt_host *host, int64_t now_ns)
{
	struct place *place;

	HASH_FIND(hh, p->places, &host, sizeof(host), place);
	if (place)
		return place;
	place = kt_must_calloc(1, sizeof(*place));
	place->host = host;
	place->asked_ns = now_ns;
	place->open = NONE;
	HASH_ADD(hh, p->places, host, sizeof(place->host), place);
	return place;
}

/* It is there, and was asked about before long. */
static bool is_taking(struct kt_placement *p, const struct kt_host *host, int64_t now_ns)
{
	struct place *place;

	if (!host->peer || host->draining || host->foreign || host->admission != KT_ADMISSION_OPEN)
		return false;
	HASH_FIND(hh, p->places, &host, sizeof(host), place);
	return !place || now_ns - place->asked_ns <= p->config->grace_ns;
}

static bool has_accel(const struct kt_placement *p, const struct kt_host *host, uint32_t accel)
{
	return !accel || strcmp(p->backlog.accels[accel - 1], host->accel) == 0;
}

/* Were it empty. */
static bool could_take(const struct kt_placement *p, const struct kt_host *host,
		       const struct kt_backlog_size *size)
{
	return host->boot_id && (!host->guest_cpus || size->cpus <= host->guest_cpus) &&
	       size->mem_bytes <= host->mem_bytes && has_accel(p, host, size->accel);
}

static bool fits_now(const struct kt_placement *p, const struct kt_host *host,
		     const struct kt_placement_room *room, const struct kt_backlog_size *size)
{
	return size->cpus <= room->cpus && size->mem_bytes <= room->mem_bytes &&
	       has_accel(p, host, size->accel);
}

/* ---- what lies in its cache ---- */

static size_t lower_bound(const uint64_t *list, size_t n, uint64_t value)
{
	size_t low = 0;

	while (n > 0) {
		size_t half = n / 2;

		if (list[low + half] < value) {
			low += half + 1;
			n -= half + 1;
		} else {
			n = half;
		}
	}
	return low;
}

static void add_has(struct place *place, uint64_t artifact)
{
	size_t at = lower_bound(place->has, place->n_has, artifact);

	if ((at < place->n_has && place->has[at] == artifact) || place->n_has == HAS_MAX)
		return;
	if (place->n_has == place->cap_has) {
		place->cap_has = place->cap_has ? place->cap_has * 2 : 32;
		place->has = kt_must_realloc(place->has, place->cap_has, sizeof(*place->has));
	}
	memmove(&place->has[at + 1], &place->has[at], (place->n_has - at) * sizeof(*place->has));
	place->has[at] = artifact;
	place->n_has++;
}

static void take_cached(struct place *place, const struct kt_bin *cached)
{
	place->n_has = 0;
	for (size_t at = 0; at + KT_CACHED_BYTES <= cached->len; at += KT_CACHED_BYTES) {
		uint64_t artifact;

		memcpy(&artifact, (const uint8_t *)cached->data + at, sizeof(artifact));
		add_has(place, artifact);
	}
}

static size_t n_missing(const struct place *place, const struct kt_backlog_set *set)
{
	size_t missing = 0;

	for (size_t i = 0; i < set->n; i++) {
		size_t at = lower_bound(place->has, place->n_has, set->artifacts[i]);

		missing += at == place->n_has || place->has[at] != set->artifacts[i];
	}
	return missing;
}

/* ---- room ---- */

static void subtract(uint64_t *left, uint64_t part)
{
	if (*left != UINT64_MAX)
		*left = *left > part ? *left - part : 0;
}

static void charge(struct kt_placement *p, struct place *place, struct kt_placement_room *room,
		   uint64_t cell)
{
	struct kt_placement_demand demand;

	demand_of(p, cell, &demand);
	subtract(&room->cpus, demand.cpus);
	subtract(&room->mem_bytes, demand.mem_bytes);
	/* What is being fetched for it will be there. */
	for (size_t i = 0; i < demand.n_artifacts && p->backlog.n_sets > 1; i++)
		add_has(place, demand.artifacts[i]);
}

static bool is_done(const char *phase)
{
	return strcmp(phase, "done") == 0;
}

void kt_placement_room(struct kt_placement *p, struct kt_host *host, const struct kt_msg_sync *sync,
		       uint64_t slots, int64_t now_ns, struct kt_placement_room *room)
{
	struct place *place = place_of(p, host, now_ns);
	uint64_t n_leases = 0;
	uint64_t n_listed = 0;
	uint64_t n_hidden;
	struct kt_lease *lease;

	place->asked_ns = now_ns;
	*room = (struct kt_placement_room){ .cpus = host->guest_cpus ? host->guest_cpus
								     : UINT64_MAX,
					    .mem_bytes = host->mem_bytes };
	if (p->backlog.n_sets > 1)
		take_cached(place, &sync->cached);
	for (lease = host->leases; lease; lease = lease->next) {
		if (is_done(lease->phase))
			continue;
		n_leases++;
		charge(p, place, room, lease->cell);
	}
	/* What it still has of leases that are no more takes room as well, until its guest is dead. */
	for (size_t i = 0; i < sync->n_held; i++) {
		const struct kt_msg_held *held = &sync->held[i];
		const struct kt_lease *known = kt_fleet_lease(p->fleet, held->epoch);

		if (is_done(held->phase))
			continue;
		n_listed++;
		if ((!known || known->host != host) && held->cell < p->sweep->n_cells)
			charge(p, place, room, held->cell);
	}
	/* Slots that are taken by something that it does not list: a guest that is being killed, of whatever size. */
	n_hidden = host->slots > sync->slots_free + n_listed
			   ? host->slots - sync->slots_free - n_listed
			   : 0;
	subtract(&room->cpus, n_hidden * p->cpus_max);
	subtract(&room->mem_bytes, n_hidden * p->mem_bytes_max);
	room->slots = host->slots > n_leases ? host->slots - n_leases : 0;
	if (slots < room->slots)
		room->slots = slots;
	place->cpus = room->cpus;
	place->mem_bytes = room->mem_bytes;
}

/* ---- pairs ---- */

/* Where it has to go on; NULL: anywhere. A verdict from elsewhere is better than none: a host that failed the cell that
 * is next twice has had its chance.
 */
static struct place *begun_at(struct kt_placement *p, const struct kt_pairing_pair *pair,
			      int64_t now_ns)
{
	const char *id = kt_pairing_host(&p->pairing, pair, p->sweep);
	struct kt_host *host = id ? kt_fleet_find_host(p->fleet, id) : NULL;
	uint32_t next;

	if (kt_pairing_next(&p->pairing, pair, p->sweep, &next) == KT_PAIRING_WAITS &&
	    p->sweep->cells[next].charged >= FAILED_TWICE)
		return NULL;
	if (id && !host) { /* it was there in an earlier term, and is not back */
		host = kt_fleet_host(p->fleet, id);
		host->admission = kt_sweep_admission(p->sweep, id);
	}
	return id ? place_of(p, host, now_ns) : NULL;
}

static void open_pair(struct kt_placement *p, uint32_t index, struct place *place)
{
	struct kt_pairing_pair *pair = &p->pairing.pairs[index];
	uint32_t *link = &place->open;

	while (*link != NONE) /* the oldest first */
		link = &p->pairing.pairs[*link].next;
	*link = index;
	pair->where = KT_PAIRING_OPEN;
	pair->host = place;
	pair->next = NONE;
}

static void close_pair(struct kt_placement *p, uint32_t *link, enum kt_pairing_where where)
{
	struct kt_pairing_pair *pair = &p->pairing.pairs[*link];

	*link = pair->next;
	pair->where = where;
	pair->host = NULL;
}

static void queue_pair(struct kt_placement *p, uint32_t index)
{
	struct kt_pairing_pair *pair = &p->pairing.pairs[index];

	pair->where = KT_PAIRING_QUEUED;
	kt_backlog_sleep(&p->backlog, pair->queue, pair->set, index, 0, pair->ready_at_ns);
}

static void return_pair(struct kt_placement *p, uint32_t index, int64_t ready_at_ns)
{
	struct kt_pairing_pair *pair = &p->pairing.pairs[index];
	struct place *place = begun_at(p, pair, ready_at_ns);

	pair->ready_at_ns = ready_at_ns;
	if (pair->where == KT_PAIRING_OPEN && pair->host != place) {
		struct place *former = pair->host;
		uint32_t *link = &former->open;

		while (*link != index)
			link = &p->pairing.pairs[*link].next;
		close_pair(p, link, KT_PAIRING_DONE);
	}
	if (pair->where != KT_PAIRING_DONE)
		return;
	if (place)
		open_pair(p, index, place);
	else
		queue_pair(p, index);
}

/* The pairs of a host that is away for too long are anybody's. */
static void free_pairs(struct kt_placement *p, struct place *place)
{
	uint32_t *link = &place->open;

	while (*link != NONE) {
		uint32_t index = *link;
		struct kt_pairing_pair *pair = &p->pairing.pairs[index];
		uint32_t cell;

		switch (kt_pairing_next(&p->pairing, pair, p->sweep, &cell)) {
		case KT_PAIRING_BUSY: /* its lease has an end of its own */
			link = &pair->next;
			break;
		case KT_PAIRING_OVER:
			close_pair(p, link, KT_PAIRING_DONE);
			break;
		case KT_PAIRING_WAITS:
			close_pair(p, link, KT_PAIRING_QUEUED);
			queue_pair(p, index);
			break;
		}
	}
}

static bool pick_open(struct kt_placement *p, struct place *place,
		      const struct kt_placement_room *room, int64_t now_ns, uint32_t *cell)
{
	uint32_t *link = &place->open;

	while (*link != NONE) {
		struct kt_pairing_pair *pair = &p->pairing.pairs[*link];
		enum kt_pairing_state state = kt_pairing_next(&p->pairing, pair, p->sweep, cell);

		if (state == KT_PAIRING_OVER) {
			close_pair(p, link, KT_PAIRING_DONE);
			continue;
		}
		if (state == KT_PAIRING_WAITS && pair->ready_at_ns <= now_ns &&
		    !kt_elsewhere_crowds(p->sweep, place->host, *cell) &&
		    fits_now(p, place->host, room, &p->backlog.queues[pair->queue]->size))
			return true;
		link = &pair->next;
	}
	return false;
}

/* ---- room that is kept ---- */

/* Of the hosts that could take it the one with the most room: it has the least to wait for. */
static struct place *choose_keeper(struct kt_placement *p, const struct kt_backlog_size *size,
				   int64_t now_ns)
{
	struct place *best = NULL;
	struct place *place;
	struct place *next;

	HASH_ITER (hh, p->places, place, next) {
		if (!is_taking(p, place->host, now_ns) || !could_take(p, place->host, size))
			continue;
		if (!best || place->cpus > best->cpus ||
		    (place->cpus == best->cpus && place->mem_bytes > best->mem_bytes))
			best = place;
	}
	return best;
}

static bool is_larger(const struct kt_backlog_size *a, const struct kt_backlog_size *b)
{
	return a->cpus != b->cpus ? a->cpus > b->cpus : a->mem_bytes > b->mem_bytes;
}

/* The largest guest that found no room for keep_ns gets a host. One at a time: the others run meanwhile. */
static void keep_room(struct kt_placement *p, int64_t now_ns)
{
	struct kt_backlog_queue *largest = NULL;

	if (p->kept && p->kept->is_blocked && is_taking(p, p->keeper->host, now_ns) &&
	    could_take(p, p->keeper->host, &p->kept->size) && has_waiting(p, p->kept))
		return;
	p->kept = NULL;
	for (size_t i = 0; i < p->backlog.n_queues; i++) {
		struct kt_backlog_queue *queue = p->backlog.queues[i];

		queue->is_blocked = queue->is_blocked && has_waiting(p, queue);
		if (queue->is_blocked && now_ns - queue->blocked_ns >= p->config->keep_ns &&
		    (!largest || is_larger(&queue->size, &largest->size)))
			largest = queue;
	}
	if (!largest)
		return;
	p->keeper = choose_keeper(p, &largest->size, now_ns);
	if (p->keeper)
		p->kept = largest;
}

static void note_blocked(struct kt_placement *p, const struct kt_host *host,
			 struct kt_backlog_queue *queue, int64_t now_ns)
{
	if (queue->is_blocked || !could_take(p, host, &queue->size) || !has_waiting(p, queue))
		return;
	queue->is_blocked = true;
	queue->blocked_ns = now_ns;
}

/* ---- choosing ---- */

struct choice {
	struct kt_backlog_queue *queue; /* NULL: nothing was found yet */
	uint32_t entry;
	uint32_t cell;
	bool is_fresh;
};

/* Whether another host there is would take it, before long: one where it did not fail; or, for the host where it failed
 * last, any.
 */
static bool is_elsewhere(struct kt_placement *p, const struct kt_host *host, uint32_t cell,
			 const struct kt_backlog_size *size, int64_t now_ns)
{
	const char *last = p->sweep->hosts[p->sweep->cells[cell].host].id;
	bool any = strcmp(last, host->id) == 0;

	for (size_t i = 0; i < p->fleet->n_hosts; i++) {
		const struct kt_host *other = p->fleet->hosts[i];

		if (other != host && is_taking(p, other, now_ns) && could_take(p, other, size) &&
		    (any || !kt_elsewhere_failed(p->sweep, cell, other->id)))
			return true;
	}
	return false;
}

/* A failed cell goes elsewhere when there is an elsewhere, and that takes it before long. */
static bool may_retry_on(struct kt_placement *p, uint32_t cell, int64_t ready_at_ns,
			 const struct kt_host *host, const struct kt_backlog_size *size,
			 int64_t now_ns)
{
	if (kt_elsewhere_crowds(p->sweep, host, cell))
		return false;
	if (!p->sweep->cells[cell].charged || !kt_elsewhere_failed(p->sweep, cell, host->id))
		return true;
	return now_ns - ready_at_ns > p->config->grace_ns ||
	       !is_elsewhere(p, host, cell, size, now_ns);
}

static bool choose_again(struct kt_placement *p, const struct kt_host *host,
			 struct kt_backlog_queue *queue, int64_t now_ns, struct choice *choice)
{
	uint32_t cell;
	uint32_t entry = live(p, queue, false, queue->again.head, &cell);

	for (int i = 0; i < AGAIN_AHEAD && entry != NONE; i++) {
		if (may_retry_on(p, cell, p->backlog.entries[entry].at_ns, host, &queue->size,
				 now_ns)) {
			*choice = (struct choice){ .queue = queue, .entry = entry, .cell = cell };
			return true;
		}
		entry = live(p, queue, false, p->backlog.entries[entry].next, &cell);
	}
	return false;
}

static bool choose_fresh(struct kt_placement *p, struct kt_backlog_queue *queue,
			 struct choice *choice)
{
	uint32_t cell;
	uint32_t entry = live(p, queue, true, queue->fresh.head, &cell);

	*choice = (struct choice){ queue, entry, cell, .is_fresh = true };
	return entry != NONE;
}

/* In place of the first of a queue one close behind it of whose artifacts fewer are missing, and that is not much
 * shorter.
 */
static void prefer_cached(struct kt_placement *p, const struct place *place, struct choice *choice)
{
	struct kt_backlog_queue *queue = choice->queue;
	const struct kt_backlog_entry *first = &p->backlog.entries[choice->entry];
	uint32_t entry = choice->entry;
	uint32_t looked_at = first->set; /* neighbours often have the same */
	uint32_t cell;
	size_t least;

	if (!choice->is_fresh || !place->n_has || queue->n_passed >= KT_PLACEMENT_PASSED_MAX)
		return;
	least = n_missing(place, p->backlog.sets[first->set]);
	for (int i = 1; i < KT_PLACEMENT_AHEAD && least > 0; i++) {
		const struct kt_backlog_entry *e;
		size_t missing;

		entry = live(p, queue, true, p->backlog.entries[entry].next, &cell);
		if (entry == NONE)
			return;
		e = &p->backlog.entries[entry];
		if (e->at_ns < first->at_ns / 2)
			return;
		if (e->set == looked_at)
			continue;
		looked_at = e->set;
		missing = n_missing(place, p->backlog.sets[e->set]);
		if (missing >= least)
			continue;
		least = missing;
		*choice = (struct choice){ queue, entry, cell, .is_fresh = true };
	}
}

static bool is_better(const struct kt_placement *p, const struct choice *a, const struct choice *b,
		      bool fresh_first)
{
	int64_t x = p->backlog.entries[a->entry].at_ns;
	int64_t y;

	if (!b->queue || a->is_fresh != b->is_fresh)
		return !b->queue || a->is_fresh == fresh_first;
	y = p->backlog.entries[b->entry].at_ns;
	if (x != y)
		return a->is_fresh ? x > y : x < y;
	if (is_larger(&a->queue->size, &b->queue->size) ||
	    is_larger(&b->queue->size, &a->queue->size))
		return is_larger(&a->queue->size, &b->queue->size);
	return a->cell < b->cell;
}

static void choose(struct kt_placement *p, struct place *place,
		   const struct kt_placement_room *room, int64_t now_ns, struct choice *best)
{
	/* A canary should say something about its host, not about the cell. */
	bool is_canary = place->host->admission == KT_ADMISSION_QUARANTINED;

	*best = (struct choice){ 0 };
	for (size_t i = 0; i < p->backlog.n_queues; i++) {
		struct kt_backlog_queue *queue = p->backlog.queues[i];
		struct choice choice;

		if (p->kept && p->keeper == place && queue != p->kept)
			continue;
		if (!fits_now(p, place->host, room, &queue->size)) {
			note_blocked(p, place->host, queue, now_ns);
			continue;
		}
		if (is_canary && !choose_fresh(p, queue, &choice) &&
		    !choose_again(p, place->host, queue, now_ns, &choice))
			continue;
		if (!is_canary && !choose_again(p, place->host, queue, now_ns, &choice) &&
		    !choose_fresh(p, queue, &choice))
			continue;
		if (is_better(p, &choice, best, is_canary))
			*best = choice;
	}
}

static void take(struct kt_placement *p, struct place *place, const struct choice *choice)
{
	struct kt_backlog_queue *queue = choice->queue;
	struct kt_backlog_entry *e = &p->backlog.entries[choice->entry];
	struct kt_backlog_list *list = choice->is_fresh ? &queue->fresh : &queue->again;
	uint32_t pair = e->n == 0 ? e->first : KT_PAIRING_NONE;

	if (choice->is_fresh)
		queue->n_passed = choice->entry == list->head ? 0 : queue->n_passed + 1;
	queue->is_blocked = false; /* and no room is kept for it any more */
	if (e->n > 1) {
		e->first++;
		e->n--;
	} else {
		kt_backlog_drop(&p->backlog, list, choice->entry);
	}
	if (pair != KT_PAIRING_NONE)
		open_pair(p, pair, place);
}

bool kt_placement_pick(struct kt_placement *p, struct kt_host *host, struct kt_placement_room *room,
		       int64_t now_ns, uint64_t *cell)
{
	struct place *place = place_of(p, host, now_ns);
	struct kt_placement_demand demand;
	struct choice choice;
	uint32_t next;

	p->n_woke += kt_backlog_wake(&p->backlog, now_ns);
	if (!room->slots)
		return false;
	if (!pick_open(p, place, room, now_ns, &next)) {
		keep_room(p, now_ns);
		choose(p, place, room, now_ns, &choice);
		if (!choice.queue)
			return false;
		prefer_cached(p, place, &choice);
		next = choice.cell;
		take(p, place, &choice);
	}
	*cell = next;
	demand_of(p, next, &demand);
	kt_must(demand.cpus <= room->cpus);
	kt_must(demand.mem_bytes <= room->mem_bytes);
	charge(p, place, room, next);
	room->slots--;
	place->cpus = room->cpus;
	place->mem_bytes = room->mem_bytes;
	return true;
}

/* ---- what no host can take ---- */

/* It is there, or was before long: then it may come back. One that is drained or quarantined may be given cells again,
 * one of another build will not.
 */
static bool is_known(const struct kt_placement *p, const struct kt_host *host)
{
	return host->boot_id && !host->foreign &&
	       (host->peer || p->now_ns - host->heard_at_ns <= p->config->grace_ns);
}

static bool anybody_could_take(const struct kt_placement *p, const struct kt_backlog_size *size)
{
	for (size_t i = 0; i < p->fleet->n_hosts; i++)
		if (is_known(p, p->fleet->hosts[i]) && could_take(p, p->fleet->hosts[i], size))
			return true;
	return false;
}

static bool any_is_there(const struct kt_placement *p)
{
	for (size_t i = 0; i < p->fleet->n_hosts; i++)
		if (p->fleet->hosts[i]->peer && is_known(p, p->fleet->hosts[i]))
			return true;
	return false;
}

static void look_for_hopeless(struct kt_placement *p)
{
	bool any = any_is_there(p) &&
		   (!p->restarted ||
		    p->now_ns - p->began_ns >= RESTART_TIMES * p->config->hopeless_ns);

	for (size_t i = 0; i < p->backlog.n_queues; i++) {
		struct kt_backlog_queue *queue = p->backlog.queues[i];

		if (!any || anybody_could_take(p, &queue->size) || !has_waiting(p, queue)) {
			queue->is_hopeless = false;
			queue->is_told = false;
		} else if (!queue->is_hopeless) {
			queue->is_hopeless = true;
			queue->hopeless_ns = p->now_ns;
		}
	}
}

size_t kt_placement_tick(struct kt_placement *p, int64_t now_ns)
{
	struct place *place;
	struct place *next;
	size_t n_woke;

	p->now_ns = now_ns;
	p->complain_at = 0;
	p->give_up_at = 0;
	n_woke = kt_backlog_wake(&p->backlog, now_ns) + p->n_woke;
	p->n_woke = 0;
	if (now_ns - p->looked_ns < LOOK_NS &&
	    p->backlog.n_queues * p->fleet->n_hosts > LOOK_ALWAYS)
		return n_woke;
	p->looked_ns = now_ns;
	look_for_hopeless(p);
	HASH_ITER (hh, p->places, place, next)
		if (place->open != NONE && !is_taking(p, place->host, now_ns) &&
		    now_ns - place->asked_ns > p->config->grace_ns)
			free_pairs(p, place);
	return n_woke;
}

static void print_bytes(char text[32], uint64_t bytes)
{
	if (bytes % (1ull << 30) == 0)
		snprintf(text, 32, "%" PRIu64 " GiB", bytes >> 30);
	else
		snprintf(text, 32, "%" PRIu64 " MiB", bytes >> 20);
}

/* The host with the most CPUs, or the most memory, of those that are known. Hosts without a bound have the most. */
static const struct kt_host *largest_host(const struct kt_placement *p, bool by_cpus)
{
	const struct kt_host *largest = NULL;

	for (size_t i = 0; i < p->fleet->n_hosts; i++) {
		const struct kt_host *host = p->fleet->hosts[i];

		if (!is_known(p, host))
			continue;
		if (!largest || (by_cpus ? host->guest_cpus - 1 > largest->guest_cpus - 1
					 : host->mem_bytes > largest->mem_bytes))
			largest = host;
	}
	return largest;
}

static bool any_has_accel(const struct kt_placement *p, uint32_t accel)
{
	for (size_t i = 0; i < p->fleet->n_hosts; i++)
		if (is_known(p, p->fleet->hosts[i]) && has_accel(p, p->fleet->hosts[i], accel))
			return true;
	return false;
}

static void say_why(const struct kt_placement *p, const struct kt_backlog_size *size,
		    char text[KT_ERR_TEXT_MAX])
{
	const struct kt_host *most_cpus = largest_host(p, true);
	const struct kt_host *most_memory = largest_host(p, false);
	char wanted[32];
	char there[32];

	print_bytes(wanted, size->mem_bytes);
	if (most_cpus && most_cpus->guest_cpus && size->cpus > most_cpus->guest_cpus) {
		snprintf(text, KT_ERR_TEXT_MAX,
			 "needs %u CPUs, the largest host (%s) gives %" PRIu64, size->cpus,
			 most_cpus->id, most_cpus->guest_cpus);
	} else if (most_memory && size->mem_bytes > most_memory->mem_bytes) {
		print_bytes(there, most_memory->mem_bytes);
		snprintf(text, KT_ERR_TEXT_MAX,
			 "needs %s of memory, the largest host (%s) gives %s", wanted,
			 most_memory->id, there);
	} else if (size->accel && !any_has_accel(p, size->accel)) {
		snprintf(text, KT_ERR_TEXT_MAX, "needs %s, and no host has it",
			 p->backlog.accels[size->accel - 1]);
	} else {
		snprintf(text, KT_ERR_TEXT_MAX,
			 "needs %u CPUs and %s of memory%s%s: some hosts have each of them, none "
			 "all",
			 size->cpus, wanted, size->accel ? " with " : "",
			 size->accel ? p->backlog.accels[size->accel - 1] : "");
	}
}

static uint64_t count_list(struct kt_placement *p, struct kt_backlog_queue *queue, bool is_fresh)
{
	const struct kt_backlog_list *list = is_fresh ? &queue->fresh : &queue->again;
	uint64_t n = 0;
	uint32_t cell;

	for (uint32_t entry = live(p, queue, is_fresh, list->head, &cell); entry != NONE;
	     entry = live(p, queue, is_fresh, p->backlog.entries[entry].next, &cell)) {
		const struct kt_backlog_entry *e = &p->backlog.entries[entry];
		const struct kt_pairing_pair *pair = e->n ? NULL : &p->pairing.pairs[e->first];

		for (uint32_t i = 0; i < e->n; i++)
			n += p->sweep->cells[e->first + i].state == KT_CELL_PENDING;
		for (uint32_t i = 0; pair && i < pair->n; i++)
			n += p->sweep->cells[p->pairing.cells[pair->first + i]].state ==
			     KT_CELL_PENDING;
	}
	return n;
}

/* The first cell that waits; false: all of them sleep. */
static bool first_waiting(struct kt_placement *p, struct kt_backlog_queue *queue,
			  struct choice *choice)
{
	*choice = (struct choice){ .queue = queue, .is_fresh = true };
	choice->entry = live(p, queue, true, queue->fresh.head, &choice->cell);
	if (choice->entry == NONE) {
		choice->is_fresh = false;
		choice->entry = live(p, queue, false, queue->again.head, &choice->cell);
	}
	return choice->entry != NONE;
}

bool kt_placement_complain(struct kt_placement *p, struct kt_placement_complaint *complaint)
{
	int64_t wait_ns = p->config->hopeless_ns < LOOK_NS ? p->config->hopeless_ns : LOOK_NS;

	for (; p->complain_at < p->backlog.n_queues; p->complain_at++) {
		struct kt_backlog_queue *queue = p->backlog.queues[p->complain_at];
		struct choice first;

		/* Hosts come one after the other: the first of them need not be the largest. */
		if (!queue->is_hopeless || queue->is_told ||
		    p->now_ns - queue->hopeless_ns < wait_ns || !first_waiting(p, queue, &first))
			continue;
		queue->is_told = true;
		complaint->cell = first.cell;
		complaint->n =
			count_list(p, queue, true) + count_list(p, queue, false) + queue->n_asleep;
		say_why(p, &queue->size, complaint->text);
		return true;
	}
	return false;
}

bool kt_placement_give_up(struct kt_placement *p, struct kt_placement_complaint *complaint)
{
	for (; p->give_up_at < p->backlog.n_queues; p->give_up_at++) {
		struct kt_backlog_queue *queue = p->backlog.queues[p->give_up_at];
		struct choice first;

		if (!queue->is_hopeless ||
		    p->now_ns - queue->hopeless_ns < p->config->hopeless_ns ||
		    !first_waiting(p, queue, &first))
			continue;
		complaint->cell = first.cell;
		complaint->n = 1;
		say_why(p, &queue->size, complaint->text);
		return true;
	}
	return false;
}

/* ---- life ---- */

static void take_in(struct kt_placement *p, uint32_t cell)
{
	const struct kt_cell *c = &p->sweep->cells[cell];
	struct kt_placement_demand demand;
	uint32_t queue;
	uint32_t set;

	if (c->state == KT_CELL_LEFT_OUT)
		return;
	demand_of(p, cell, &demand);
	queue = queue_of(p, &demand);
	set = kt_backlog_set(&p->backlog, demand.artifacts, demand.n_artifacts);
	if (demand.pair)
		kt_pairing_add(&p->pairing, p->config->seed,
			       &(struct kt_pairing_cell){ .number = demand.pair,
							  .expected_ns = demand.expected_ns,
							  .cell = cell,
							  .queue = queue,
							  .set = set });
	else if (c->state == KT_CELL_PENDING && c->epoch == 0)
		kt_backlog_add_fresh(&p->backlog, queue, set, kt_backlog_round(demand.expected_ns),
				     cell);
}

/* One that was begun goes on where it was, one that nobody tried is fresh, the others are tried again. Fresh ones come
 * before the backlog is sorted, all others after that.
 */
static void take_in_pair(struct kt_placement *p, uint32_t index, bool is_fresh)
{
	struct kt_pairing_pair *pair = &p->pairing.pairs[index];
	bool begun = kt_pairing_host(&p->pairing, pair, p->sweep) != NULL;
	uint32_t cell = 0;
	enum kt_pairing_state state = kt_pairing_next(&p->pairing, pair, p->sweep, &cell);

	if (state == KT_PAIRING_OVER || is_fresh != (!begun && p->sweep->cells[cell].epoch == 0))
		return;
	if (is_fresh) {
		pair->where = KT_PAIRING_QUEUED;
		kt_backlog_add_pair(&p->backlog, pair->queue, pair->set,
				    kt_backlog_round(pair->expected_ns), index);
	} else {
		return_pair(p, index, p->began_ns);
	}
}

struct kt_placement *kt_placement_new(const struct kt_sweep *sweep, struct kt_fleet *fleet,
				      const struct kt_placement_config *config, int64_t now_ns)
{
	struct kt_placement *p = kt_must_calloc(1, sizeof(*p));

	p->sweep = sweep;
	p->fleet = fleet;
	p->config = config;
	p->began_ns = now_ns;
	p->restarted = sweep->n_hosts > 0;
	kt_backlog_init(&p->backlog);
	for (uint64_t i = 0; i < sweep->n_cells; i++)
		take_in(p, (uint32_t)i);
	kt_pairing_settle(&p->pairing);
	for (uint32_t i = 0; i < p->pairing.n_pairs; i++)
		take_in_pair(p, i, true);
	kt_backlog_sort(&p->backlog);
	for (uint32_t i = 0; i < p->pairing.n_pairs; i++)
		take_in_pair(p, i, false);
	return p;
}

void kt_placement_destroy(struct kt_placement **placement_p)
{
	struct kt_placement *p = kt_take(placement_p);
	struct place *place;
	struct place *next;

	if (!p)
		return;
	HASH_ITER (hh, p->places, place, next) {
		HASH_DEL(p->places, place);
		free(place->has);
		free(place);
	}
	kt_pairing_destroy(&p->pairing);
	kt_backlog_destroy(&p->backlog);
	free(p);
}

void kt_placement_return(struct kt_placement *p, uint64_t cell, int64_t ready_at_ns)
{
	struct kt_placement_demand demand;
	uint32_t pair;

	demand_of(p, cell, &demand);
	pair = demand.pair ? kt_pairing_find(&p->pairing, demand.pair) : KT_PAIRING_NONE;
	if (pair != KT_PAIRING_NONE)
		return_pair(p, pair, ready_at_ns);
	else
		kt_backlog_sleep(&p->backlog, queue_of(p, &demand),
				 kt_backlog_set(&p->backlog, demand.artifacts, demand.n_artifacts),
				 (uint32_t)cell, 1, ready_at_ns);
}

size_t kt_placement_bytes(const struct kt_placement *p)
{
	return sizeof(*p) + kt_backlog_bytes(&p->backlog) + kt_pairing_bytes(&p->pairing);
}
