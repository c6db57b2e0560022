#include "tests/sim/world.h"
#include "coordinator/core/health.h"
#include "proto/base/must.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define TTL_NS            (15 * S) /* as coord.c gives it */
#define GRACE_NS          (30 * S)
#define SYNC_NS           (1 * S)
#define SLACK_NS          (5 * S) /* for a tick to come, a commit to be written */
#define RUN_NS            (12 * S) /* the longest undisturbed attempt, with its fetch */
#define REFUSED_NS        (40 * S) /* before a worker that was refused asks again, with its jitter */
#define OVERDUE_NS        (3600 * S) /* more than kt_overdue_ns() of our job, and its grace */
#define CLOCK_NS          (120 * S) /* for a clock that was set to be found out */
#define ORPHAN_NS         (30 * S) /* for a guest to be told, and to die */
#define LEASES_MAX        400 /* of one worker, all together */
#define CONCERNED(epoch_) ((epoch_) > 0 && (epoch_) < w->n_truths)

static const struct {
	const char *name, *invariant, *words;
} table[PROMISE_N] = {
#define X(name_, invariant_, words_) [PROMISE_##name_] = { #name_, invariant_, words_ },
	SIM_PROMISES(X)
#undef X
};

const char *promises_name(enum promise promise)
{
	return table[promise].name;
}

const char *promises_invariant(enum promise promise)
{
	return table[promise].invariant;
}

const char *promises_words(enum promise promise)
{
	return table[promise].words;
}

void promises_broken(struct world *w, enum promise promise, const char *format, ...)
{
	struct breach breach = { .promise = promise, .at_ns = w->now_ns, .event = w->n_events };
	va_list args;

	va_start(args, format);
	vsnprintf(breach.text, sizeof(breach.text), format, args);
	va_end(args);
	ktsim_breach(w, &breach);
}

/* Broken unless the condition holds. */
#define PROMISE(condition_, name_, ...)                                   \
	do {                                                              \
		if (__builtin_expect(!(condition_), 0))                   \
			promises_broken(w, PROMISE_##name_, __VA_ARGS__); \
	} while (0)

#define U(number_) ((unsigned long long)(number_))

struct truth *promises_truth(struct world *w, uint64_t epoch)
{
	PROMISE(CONCERNED(epoch), EPOCHS_GROW, "epoch %llu was never given", U(epoch));
	return &w->truths[epoch];
}

enum kt_outcome promises_verdict(const struct reading *readings, uint64_t n, enum kt_cause_id cause)
{
	uint64_t sum = 0;

	if (kt_cause(cause)->side == KT_CAUSE_LACK)
		return KT_OUTCOME_SKIP;
	if (kt_cause(cause)->side == KT_CAUSE_GUEST)
		return KT_OUTCOME_FAIL;
	for (uint64_t i = 0; i < n; i++)
		sum = world_mix(sum, readings[i].value);
	return sum % 8 == 0   ? KT_OUTCOME_FAIL
	       : sum % 8 == 1 ? KT_OUTCOME_INCONCLUSIVE
			      : KT_OUTCOME_PASS;
}

#define F(name_) (1u << FAULT_##name_)

static bool has_any(const struct world *w, uint32_t faults)
{
	return w->faults & faults;
}

/* ---- facts, when they are durable ---- */

/* A host that is drained is given nothing, one in quarantine one cell at a time. */
static void check_admission(struct world *w, const struct kt_msg_fact_granted *fact,
			    struct truth *truth)
{
	enum kt_admission admission = kt_sweep_admission(&w->coord.folded, fact->host);

	PROMISE(admission != KT_ADMISSION_DRAINED, DRAINED, "cell %llu is granted to %s",
		U(fact->cell), fact->host);
	truth->canary = admission == KT_ADMISSION_QUARANTINED;
	for (uint64_t i = 1; truth->canary && i < fact->epoch; i++)
		PROMISE(w->truths[i].state != LEASE_LIVE || w->truths[i].name != truth->name,
			CANARY, "%s has epoch %llu and is given cell %llu", fact->host, U(i),
			U(fact->cell));
}

static void on_granted(struct world *w, const struct entry *entry,
		       const struct kt_msg_fact_granted *fact)
{
	uint32_t name = 0;
	struct truth *truth;

	PROMISE(fact->epoch > w->newest_epoch, EPOCHS_GROW, "epoch %llu after %llu", U(fact->epoch),
		U(w->newest_epoch));
	w->newest_epoch = fact->epoch;
	if (fact->epoch >= w->cap_truths) {
		w->cap_truths = fact->epoch * 2 + 256;
		w->truths = kt_must_realloc(w->truths, w->cap_truths, sizeof(*w->truths));
	}
	memset(&w->truths[w->n_truths], 0, (fact->epoch + 1 - w->n_truths) * sizeof(*truth));
	w->n_truths = fact->epoch + 1;
	while (name < PROCS_MAX && strcmp(crew_name(name), fact->host) != 0)
		name++;
	truth = &w->truths[fact->epoch];
	truth->state = LEASE_LIVE;
	truth->granted_ns = entry->at_ns;
	truth->cell = fact->cell;
	truth->name = name;
	truth->term = w->coord.folded.term;
	truth->renewed_ns = entry->at_ns;
	PROMISE(!w->tallies[fact->cell].epoch ||
			w->truths[w->tallies[fact->cell].epoch].state != LEASE_LIVE,
		ONE_LEASE, "cell %llu is granted again, epoch %llu is live", U(fact->cell),
		U(w->tallies[fact->cell].epoch));
	w->tallies[fact->cell].epoch = fact->epoch;
	for (uint64_t i = 0; w->plans[fact->cell].pair && i < w->n_cells; i++)
		PROMISE(i == fact->cell || w->plans[i].pair != w->plans[fact->cell].pair ||
				!w->tallies[i].epoch ||
				w->truths[w->tallies[i].epoch].state != LEASE_LIVE,
			PAIRED, "cell %llu is granted, cell %llu of its pair runs", U(fact->cell),
			U(i));
	check_admission(w, fact, truth);
	PROMISE(!w->tallies[fact->cell].cancelled, CANCELLED, "cell %llu is granted",
		U(fact->cell));
	w->tallies[fact->cell].tries++;
	PROMISE(w->tallies[fact->cell].judged == 0, JUDGED_ONCE,
		"cell %llu has a verdict and is granted again", U(fact->cell));
}

static void on_ended(struct world *w, const struct entry *entry,
		     const struct kt_msg_fact_ended *fact)
{
	struct truth *truth = promises_truth(w, fact->epoch);

	PROMISE(truth->state == LEASE_LIVE, OWN_EPOCH, "epoch %llu of cell %llu ends, but is over",
		U(fact->epoch), U(fact->cell));
	PROMISE(truth->cell == fact->cell, OWN_EPOCH, "epoch %llu is not of cell %llu",
		U(fact->epoch), U(fact->cell));
	PROMISE(entry->from < PROCS_MAX && w->crews[entry->from].name == truth->name, OWN_HOST,
		"epoch %llu of host %u is ended by worker %u", U(fact->epoch), truth->name,
		entry->from);
	PROMISE(truth->has_outcome && !truth->ours &&
			strcmp(kt_cause(truth->outcome.cause)->name, fact->result->cause) == 0,
		INFRA_IS_NONE, "epoch %llu ends as %s, its guest did not", U(fact->epoch),
		fact->result->cause);
	PROMISE(!kt_cause_is_infra(kt_cause(truth->outcome.cause)), INFRA_IS_NONE,
		"epoch %llu ends with a result by %s", U(fact->epoch), fact->result->cause);
	if (fact->clock && !has_any(w, F(TWIN)) &&
	    (!w->crews[entry->from].jumped_ns ||
	     w->now_ns - w->crews[entry->from].jumped_ns > CLOCK_NS)) {
		int64_t off_ns = fact->clock->ahead_ns - w->crews[entry->from].wall_offset_ns;

		PROMISE(off_ns <= fact->clock->error_ns && -off_ns <= fact->clock->error_ns, CLOCKS,
			"worker %u is %lld ns off, by no more than %lld it is said", entry->from,
			(long long)off_ns, (long long)fact->clock->error_ns);
		w->n_clocks++;
	}
	if (truth->canary && kt_sweep_admission(&w->coord.folded, crew_name(truth->name)) ==
				     KT_ADMISSION_QUARANTINED)
		w->heals[truth->name] = true;
	truth->state = LEASE_ENDED;
}

#define WIRE_FAULTS                                                                              \
	(F(DELAY) | F(DROP) | F(TWICE) | F(REORDER) | F(RESET) | F(PARTITION) | F(COORD_CRASH) | \
	 F(COORD_PAUSE) | F(COORD_DISK) | F(SLOW_DISK) | F(WORKER_PAUSE) | F(TWIN) | F(STRANGER))
#define WORKER_CRASHES (F(WORKER_CRASH) | F(GONE) | F(POISON) | F(INFRA) | F(BAD_HOST))
#define WORKER_FAULTS \
	(F(WORKER_CRASH) | F(LEAVE) | F(GONE) | F(POISON) | F(TWIN) | F(SPOOL_CUT) | F(STRANGER))

/* A charge is for trouble that there was. */
static void check_charge(struct world *w, const struct entry *entry,
			 const struct kt_msg_fact_failed *fact, const struct truth *truth)
{
	const struct kt_cause *cause = kt_cause_by_name(fact->cause);

	PROMISE(cause, NO_EXCUSE, "no cause is named %s", fact->cause);
	PROMISE(cause->side == KT_CAUSE_HOST || cause->side == KT_CAUSE_PEER, UNCHARGED,
		"cell %llu is charged for %s", U(fact->cell), fact->cause);
	switch (cause->id) {
	case KT_CAUSE_ID_lease_expired:
	case KT_CAUSE_ID_worker_lost:
		PROMISE(truth->term == w->coord.folded.term, UNCHARGED,
			"epoch %llu of an earlier term is charged for %s", U(fact->epoch),
			fact->cause);
		PROMISE(has_any(w, WIRE_FAULTS | WORKER_FAULTS), NO_EXCUSE,
			"epoch %llu: %s, and nothing was wrong", U(fact->epoch), fact->cause);
		/* ZeroMQ keeps the order within a connection: a SYNC that was overtaken by a phase may
		 * not list what that spoke of. Who reorders pays with a try.
		 */
		if (cause->id == KT_CAUSE_ID_worker_lost &&
		    !has_any(w, F(TWIN) | F(STRANGER) | F(REORDER)))
			PROMISE(truth->lost, NO_EXCUSE, "epoch %llu: its worker did not lose it",
				U(fact->epoch));
		break;
	case KT_CAUSE_ID_overdue:
		PROMISE(has_any(w, F(HANG)) && entry->at_ns - truth->granted_ns > 60 * S, NO_EXCUSE,
			"epoch %llu is overdue after %.3f s", U(fact->epoch),
			(double)(entry->at_ns - truth->granted_ns) / 1e9);
		break;
	case KT_CAUSE_ID_protocol:
		PROMISE(has_any(w, WIRE_FAULTS | WORKER_FAULTS | F(WORKER_DISK)), NO_EXCUSE,
			"epoch %llu: protocol, and nothing was wrong: %s", U(fact->epoch),
			fact->line);
		break;
	case KT_CAUSE_ID_series_damaged:
		PROMISE(truth->damaged, NO_EXCUSE, "epoch %llu: its series was whole",
			U(fact->epoch));
		break;
	default:
		PROMISE(truth->ours || (truth->has_outcome && truth->outcome.cause == cause->id),
			NO_EXCUSE, "epoch %llu: %s, its worker never said so", U(fact->epoch),
			fact->cause);
	}
}

static void on_failed(struct world *w, const struct entry *entry,
		      const struct kt_msg_fact_failed *fact)
{
	struct truth *truth = promises_truth(w, fact->epoch);
	const struct kt_cause *cause = kt_cause_by_name(fact->cause);

	PROMISE(truth->state == LEASE_LIVE || truth->state == LEASE_ENDED, OWN_EPOCH,
		"epoch %llu fails, but is over", U(fact->epoch));
	PROMISE(cause && cause->side != KT_CAUSE_GUEST && cause->side != KT_CAUSE_NONE,
		INFRA_IS_NONE, "epoch %llu is tried again for %s", U(fact->epoch), fact->cause);
	if (strcmp(fact->cause, "lease_expired") == 0)
		PROMISE(entry->at_ns - truth->renewed_ns >= TTL_NS, RENEWED,
			"epoch %llu expires %.3f s after it was renewed", U(fact->epoch),
			(double)(entry->at_ns - truth->renewed_ns) / 1e9);
	/* Unless its farewell was lost. */
	PROMISE(!fact->charged || !truth->given || has_any(w, WIRE_FAULTS | WORKER_CRASHES) ||
			w->tallies[fact->cell].tries >= KT_ATTEMPTS_MAX,
		UNCHARGED, "epoch %llu is charged, its worker was told to stop", U(fact->epoch));
	if (fact->charged) {
		check_charge(w, entry, fact, truth);
		w->tallies[fact->cell].charged++;
		if (kt_health_takes_down(cause))
			w->tallies[fact->cell].downs |= 1u << truth->name;
	}
	truth->state = LEASE_FAILED;
}

static void on_judged(struct world *w, const struct kt_msg_fact_judged *fact)
{
	struct truth *truth = promises_truth(w, fact->epoch);
	struct tally *tally = &w->tallies[fact->cell];
	enum kt_outcome outcome = kt_sweep_outcome_by_name(fact->verdict->outcome);

	PROMISE(tally->judged++ == 0, JUDGED_ONCE, "cell %llu is judged again", U(fact->cell));
	PROMISE(!tally->cancelled, CANCELLED, "cell %llu is judged", U(fact->cell));
	PROMISE(truth->state == LEASE_ENDED && truth->cell == fact->cell, OWN_EPOCH,
		"cell %llu is judged by epoch %llu", U(fact->cell), U(fact->epoch));
	PROMISE(outcome == w->plans[fact->cell].outcome, SAME_REPORT,
		"cell %llu is %s, undisturbed it is %s", U(fact->cell), fact->verdict->outcome,
		kt_sweep_outcome_name(w->plans[fact->cell].outcome));
	PROMISE(!w->plans[fact->cell].poison, RAN, "cell %llu is poison and has a verdict",
		U(fact->cell));
	tally->outcome = outcome;
}

/* Nobody who is large enough is there, or was before long. */
static void check_hopeless(struct world *w, const struct kt_msg_fact_errored *fact)
{
	const struct plan *plan = &w->plans[fact->cell];

	w->tallies[fact->cell].hopeless = true;
	for (uint32_t who = 0; who < STRANGER; who++) {
		const struct crew *c = &w->crews[who];

		if (c->guest_cpus < plan->cpus || c->mem_bytes < plan->mem_bytes || !c->heard_ns)
			continue;
		PROMISE(w->now_ns - c->heard_ns >= GRACE_NS, NO_EXCUSE,
			"cell %llu is said to be too large, worker %u takes it: %s", U(fact->cell),
			who, fact->line);
	}
}

static void on_errored(struct world *w, const struct kt_msg_fact_errored *fact)
{
	struct tally *tally = &w->tallies[fact->cell];

	tally->errored++;
	PROMISE(!tally->cancelled, CANCELLED, "cell %llu is given up", U(fact->cell));
	if (strcmp(fact->cause, "unschedulable") == 0)
		check_hopeless(w, fact);
	else if ((tally->poisoned = strcmp(fact->cause, "poison") == 0))
		PROMISE(__builtin_popcount(tally->downs) >= KT_POISON_HOSTS, NO_EXCUSE,
			"cell %llu is poison to %d hosts", U(fact->cell),
			__builtin_popcount(tally->downs));
	else
		PROMISE(tally->charged >= w->attempts_max, NO_EXCUSE,
			"cell %llu is given up after %u of %u tries", U(fact->cell), tally->charged,
			w->attempts_max);
}

static void on_cancelled(struct world *w, const struct kt_msg_fact_cancelled *fact)
{
	struct tally *tally = &w->tallies[fact->cell];
	struct truth *truth = tally->epoch ? promises_truth(w, tally->epoch) : NULL;

	PROMISE(tally->cancelled++ == 0 && !tally->judged && !tally->errored, CANCELLED,
		"cell %llu has its end already", U(fact->cell));
	PROMISE(has_any(w, F(CANCEL)), CANCELLED, "nobody cancelled cell %llu", U(fact->cell));
	if (truth && (truth->state == LEASE_LIVE || truth->state == LEASE_ENDED)) {
		truth->state = LEASE_CANCELLED;
		truth->cancelled_life = w->coord.life;
	}
}

static void on_admission(struct world *w, const struct kt_msg_fact_admission *fact)
{
	for (uint32_t name = 0; name < NAMES; name++)
		if (strcmp(crew_name(name), fact->host) == 0)
			w->heals[name] = false;
}

static void on_host(struct world *w, const struct entry *entry, const struct kt_msg_fact_host *fact)
{
	if (!w->keyed)
		return;
	PROMISE(strcmp(fact->host, crew_name(w->crews[entry->from].name)) == 0, ENTITLED,
		"worker %u is taken for %s", entry->from, fact->host);
	PROMISE(entry->from != STRANGER || !w->observes, ENTITLED,
		"who may only look is taken for a worker");
}

static void on_grouped(struct world *w, const struct kt_msg_fact_grouped *fact)
{
	PROMISE(fact->repeats == REPEATS && fact->cell % (2 * REPEATS) == 0, GROUPED,
		"cells %llu and on are no group", U(fact->cell));
	PROMISE(w->tallies[fact->cell].grouped++ == 0, GROUPED, "group %llu is judged again",
		U(fact->cell));
	for (uint64_t i = fact->cell; i < fact->cell + REPEATS; i++)
		PROMISE(w->tallies[i].judged + w->tallies[i].errored + w->tallies[i].cancelled == 1,
			GROUPED, "group %llu is judged, cell %llu has no end", U(fact->cell), U(i));
}

void promises_fact(struct world *w, const struct entry *entry, const void *fact)
{
	const struct kt_msg_fact_late *late = fact;

	w->n_facts++;
	switch (entry->tag) {
	case KT_TAG_fact_granted:
		on_granted(w, entry, fact);
		break;
	case KT_TAG_fact_ended:
		on_ended(w, entry, fact);
		break;
	case KT_TAG_fact_failed:
		on_failed(w, entry, fact);
		break;
	case KT_TAG_fact_judged:
		on_judged(w, fact);
		break;
	case KT_TAG_fact_errored:
		on_errored(w, fact);
		break;
	case KT_TAG_fact_cancelled:
		on_cancelled(w, fact);
		break;
	case KT_TAG_fact_admission:
		on_admission(w, fact);
		break;
	case KT_TAG_fact_host:
		on_host(w, entry, fact);
		return;
	case KT_TAG_fact_grouped:
		on_grouped(w, fact);
		break;
	case KT_TAG_fact_late:
		PROMISE(!CONCERNED(late->epoch) || w->truths[late->epoch].state != LEASE_LIVE ||
				w->truths[late->epoch].cell != late->cell,
			LATE_ONLY, "epoch %llu is late, but live", U(late->epoch));
		return;
	default:
		return;
	}
	w->progress_ns = w->now_ns;
}

/* ---- what the coordinator says ---- */

static uint32_t name_of_peer(const struct world *w, uint64_t peer)
{
	for (uint32_t i = w->n_conns - 1; i > 0; i--)
		if (w->conns[i].peer == peer && w->conns[i].coord_life == w->coord.life)
			return w->crews[w->conns[i].who].name;
	return PROCS_MAX;
}

static void check_ack(struct world *w, uint32_t name, const struct kt_msg_ack *ack)
{
	const struct truth *truth;

	if (!CONCERNED(ack->epoch))
		return;
	truth = &w->truths[ack->epoch];
	if (truth->name != name)
		return;
	if (truth->state == LEASE_LIVE || truth->state == LEASE_ENDED)
		PROMISE(ack->samples <= truth->kept_durable, DURABLE,
			"%llu samples of epoch %llu are acknowledged, %llu are on disk",
			U(ack->samples), U(ack->epoch), U(truth->kept_durable));
	if (ack->result)
		PROMISE(truth->state != LEASE_LIVE, DURABLE,
			"the result of epoch %llu is acknowledged and not on disk", U(ack->epoch));
}

void promises_send(struct world *w, uint64_t peer, uint32_t tag, const void *body)
{
	uint32_t name = name_of_peer(w, peer);

	if (tag == KT_TAG_ack)
		check_ack(w, name, body);
	if (tag == KT_TAG_state) {
		const struct kt_msg_state *state = body;

		for (size_t i = 0; i < state->n_grants; i++) {
			const struct truth *truth = promises_truth(w, state->grants[i].epoch);

			PROMISE(truth->cell == state->grants[i].cell && truth->name == name,
				OWN_HOST, "epoch %llu is offered to another host",
				U(state->grants[i].epoch));
		}
	}
}

/* What a host says that it holds and what it is given beside that fits. */
static void check_room(struct world *w, uint32_t name, const struct kt_msg_sync *sync,
		       const struct kt_msg_state *state)
{
	uint64_t cpus = 0;
	uint64_t mem_bytes = 0;
	uint32_t who = 0;

	while (who < STRANGER && (!w->crews[who].exists || w->crews[who].name != name))
		who++;
	if (who == STRANGER || !w->sized)
		return;
	for (size_t i = 0; i < sync->n_held; i++) {
		if (strcmp(sync->held[i].phase, "done") == 0)
			continue;
		cpus += w->plans[sync->held[i].cell].cpus;
		mem_bytes += w->plans[sync->held[i].cell].mem_bytes;
	}
	for (size_t i = 0; i < state->n_grants; i++) {
		cpus += w->plans[state->grants[i].cell].cpus;
		mem_bytes += w->plans[state->grants[i].cell].mem_bytes;
	}
	PROMISE(cpus <= w->crews[who].guest_cpus && mem_bytes <= w->crews[who].mem_bytes,
		GIVEN_ROOM, "host %u is given %llu CPUs and %llu GiB, it gives %llu and %llu", name,
		U(cpus), U(mem_bytes >> 30), U(w->crews[who].guest_cpus),
		U(w->crews[who].mem_bytes >> 30));
}

/* A SYNC was answered: what it lists and holds rightly is renewed, what it holds wrongly is revoked. */
void promises_synced(struct world *w, uint64_t peer, const struct kt_msg_sync *sync,
		     size_t facts_before)
{
	const struct coord *c = &w->coord;
	uint32_t name = name_of_peer(w, peer);
	const struct kt_msg_state *state = NULL;
	size_t n_new = 0;

	for (size_t i = c->out.n_effects; i-- > 0 && !state;)
		if (c->out.effects[i].kind == KT_EFFECT_SEND && c->out.effects[i].peer == peer &&
		    c->out.effects[i].tag == KT_TAG_state)
			state = c->out.effects[i].body;
	if (!state || state->seq != sync->seq || state->session != sync->session)
		return;
	/* What was given before and is on its way may be offered once more, whatever was said meanwhile. */
	for (size_t i = facts_before; i < c->out.n_facts; i++)
		n_new += c->out.facts[i].tag == KT_TAG_fact_granted;
	PROMISE(n_new == 0 || state->n_grants <= sync->slots_free, ASKED_FOR,
		"%zu grants for %llu slots", state->n_grants, U(sync->slots_free));
	if (n_new)
		check_room(w, name, sync, state);
	for (size_t i = 0; i < sync->n_held; i++) {
		const struct kt_msg_held *held = &sync->held[i];
		struct truth *truth = CONCERNED(held->epoch) ? &w->truths[held->epoch] : NULL;
		bool revoked = false;

		if (truth && truth->state == LEASE_LIVE && truth->cell == held->cell &&
		    truth->name == name) {
			truth->renewed_ns = w->now_ns;
			truth->term = c->sweep.term; /* from now on it is no fault of ours */
			continue;
		}
		for (size_t k = 0; k < state->n_revokes; k++)
			revoked |= state->revokes[k].epoch == held->epoch;
		PROMISE(revoked || strcmp(held->phase, "done") == 0, REVOKED,
			"epoch %llu is no more and is not revoked", U(held->epoch));
	}
}

/* ---- time ---- */

/* As the dispatch forgives it: time in which it did not tick is nobody's. */
static void forgive(struct world *w)
{
	int64_t away_ns = w->now_ns - w->coord_ticked_ns - SYNC_NS;

	w->coord_ticked_ns = w->now_ns;
	if (away_ns <= 0)
		return;
	for (uint64_t i = 1; i < w->n_truths; i++)
		if (w->truths[i].state == LEASE_LIVE)
			w->truths[i].renewed_ns += away_ns;
}

static void check_guests(struct world *w)
{
	for (uint32_t who = 0; who < PROCS_MAX; who++)
		for (size_t i = 0; i < GUESTS_MAX; i++) {
			struct guest *guest = &w->crews[who].guests[i];

			if (!guest->run || guest->killed || !CONCERNED(guest->epoch) ||
			    w->truths[guest->epoch].state == LEASE_LIVE)
				continue;
			if (!guest->dead_since_ns)
				guest->dead_since_ns = w->now_ns;
			PROMISE(w->now_ns - guest->dead_since_ns < ORPHAN_NS, NO_ORPHAN,
				"worker %u runs epoch %llu, which is no more since %.3f s", who,
				U(guest->epoch), (double)(w->now_ns - guest->dead_since_ns) / 1e9);
		}
}

void promises_tick(struct world *w)
{
	forgive(w);
	for (uint64_t i = 1; i < w->n_truths; i++)
		if (w->truths[i].state == LEASE_LIVE)
			PROMISE(w->now_ns - w->truths[i].renewed_ns <= TTL_NS + SLACK_NS, EXPIRES,
				"epoch %llu is silent since %.3f s and has not expired", U(i),
				(double)(w->now_ns - w->truths[i].renewed_ns) / 1e9);
	if (w->quiet) {
		check_guests(w);
		PROMISE(w->now_ns - w->progress_ns <=
				TTL_NS + GRACE_NS + RUN_NS + REFUSED_NS +
					(has_any(w, F(HANG)) ? OVERDUE_NS : 0),
			PROGRESS, "nothing happened for %.0f s",
			(double)(w->now_ns - w->progress_ns) / 1e9);
	}
}

void promises_restart(struct world *w)
{
	w->coord_ticked_ns = w->now_ns;
	for (uint64_t i = 1; i < w->n_truths; i++)
		if (w->truths[i].state == LEASE_LIVE)
			w->truths[i].renewed_ns = w->now_ns + GRACE_NS - TTL_NS;
	for (uint32_t who = 0; who < PROCS_MAX; who++)
		for (size_t i = 0; i < GUESTS_MAX; i++)
			w->crews[who].guests[i].dead_since_ns = 0;
	if (!kt_sweep_equal(&w->coord.sweep, &w->coord.folded))
		promises_broken(w, PROMISE_REPLAY, "after a restart the fold is another one");
}

/* Of what this life of the coordinator cancelled nothing runs any more. */
static void check_dead(struct world *w)
{
	for (uint32_t who = 0; who < STRANGER; who++)
		for (size_t i = 0; i < GUESTS_MAX; i++) {
			const struct guest *guest = &w->crews[who].guests[i];
			const struct truth *truth =
				CONCERNED(guest->epoch) ? &w->truths[guest->epoch] : NULL;

			PROMISE(!guest->run || !truth || truth->state != LEASE_CANCELLED ||
					truth->cancelled_life != w->coord.life,
				DEAD, "worker %u runs epoch %llu of cell %llu", who,
				U(guest->epoch), U(guest->cell));
		}
}

void promises_replay(struct world *w)
{
	const struct coord *c = &w->coord;

	PROMISE(kt_sweep_equal(&c->sweep, &c->folded), REPLAY,
		"what is in memory is not what is on disk");
	for (uint32_t name = 0; name < NAMES; name++)
		PROMISE(!w->heals[name], CANARY, "the canary of %s gave a result, it is not let in",
			crew_name(name));
	if (has_any(w, F(CANCEL)) && !has_any(w, F(TWIN)) && kt_dispatch_n_dying(c->dispatch) == 0)
		check_dead(w);
	PROMISE(c->sweep.counts[KT_CELL_ENDED] <= c->n_asked, PROGRESS,
		"%llu ended, for %zu a plug-in is asked", U(c->sweep.counts[KT_CELL_ENDED]),
		c->n_asked);
	PROMISE(c->out.n_effects < 20000 && c->out.arena.used < 64u << 20, BOUNDED,
		"one turn of the coordinator has %zu effects", c->out.n_effects);
}

/* ---- series ---- */

void promises_judge(struct world *w, uint64_t cell, uint64_t epoch, const struct truth *truth)
{
	PROMISE(truth->cell == cell && truth->state == LEASE_ENDED, OWN_EPOCH,
		"cell %llu is to be judged by epoch %llu", U(cell), U(epoch));
	PROMISE(truth->kept_durable == truth->outcome.n, WHOLE,
		"%llu of %llu samples of epoch %llu are there", U(truth->kept_durable),
		U(truth->outcome.n), U(epoch));
	PROMISE(truth->n_recorded >= truth->kept_durable &&
			memcmp(truth->stored, truth->recorded,
			       truth->kept_durable * sizeof(struct reading)) == 0,
		SAME_BYTES, "the series of epoch %llu is another one", U(epoch));
}

/* ---- workers ---- */

void promises_start(struct world *w, uint32_t who, uint64_t epoch, uint64_t cell)
{
	struct truth *truth = promises_truth(w, epoch);
	size_t n = 0;
	uint64_t cpus = w->plans[cell].cpus;
	uint64_t mem_bytes = w->plans[cell].mem_bytes;

	/* Who is offered it again by a STATE that its own ACK has overtaken may run it again, for nothing. */
	PROMISE(truth->run == 0 || (truth->state != LEASE_LIVE && has_any(w, F(REORDER))), ONE_RUN,
		"worker %u runs epoch %llu, which was run by worker %u", who, U(epoch),
		truth->ran_by);
	PROMISE(truth->cell == cell && truth->name == w->crews[who].name, OWN_HOST,
		"worker %u runs epoch %llu of another", who, U(epoch));
	truth->ran_by = who;
	for (size_t i = 0; i < GUESTS_MAX; i++) {
		const struct guest *guest = &w->crews[who].guests[i];

		if (!guest->run)
			continue;
		n++;
		cpus += w->plans[guest->cell].cpus;
		mem_bytes += w->plans[guest->cell].mem_bytes;
	}
	PROMISE(!w->crews[who].guest_cpus || cpus <= w->crews[who].guest_cpus, FITS,
		"worker %u gives %llu CPUs, its guests have %llu", who, U(w->crews[who].guest_cpus),
		U(cpus));
	PROMISE(mem_bytes <= w->crews[who].mem_bytes, FITS, "worker %u has %llu bytes too few", who,
		U(mem_bytes - w->crews[who].mem_bytes));
	PROMISE(n < w->crews[who].slots, SLOTS, "worker %u with %zu slots starts one guest more",
		who, w->crews[who].slots);
}

void promises_revoked(struct world *w, uint32_t who, const struct kt_msg_state *state)
{
	for (size_t i = 0; i < state->n_revokes; i++)
		for (size_t k = 0; k < GUESTS_MAX; k++) {
			const struct guest *guest = &w->crews[who].guests[k];

			PROMISE(!guest->run || guest->killed ||
					guest->epoch != state->revokes[i].epoch,
				NO_ORPHAN,
				"worker %u heard that epoch %llu is no more, and runs it", who,
				U(guest->epoch));
		}
}

void promises_trim(struct world *w, uint64_t epoch, uint64_t samples)
{
	const struct truth *truth = promises_truth(w, epoch);

	if (truth->state == LEASE_LIVE || truth->state == LEASE_ENDED)
		PROMISE(samples <= truth->kept_durable, NOT_FORGOTTEN,
			"%llu samples of epoch %llu are let go, %llu are on the other disk",
			U(samples), U(epoch), U(truth->kept_durable));
}

void promises_forget(struct world *w, uint32_t who, uint64_t epoch)
{
	struct truth *truth = promises_truth(w, epoch);

	if (w->crews[who].duty.stopping) {
		truth->lost = true;
		return;
	}
	PROMISE(truth->state != LEASE_LIVE || truth->name != w->crews[who].name, NOT_FORGOTTEN,
		"worker %u forgets epoch %llu, which is live", who, U(epoch));
}

static void check_crew(struct world *w, uint32_t who)
{
	struct crew *c = &w->crews[who];

	PROMISE(kt_duty_active(&c->duty) <= c->slots, SLOTS, "worker %u has %zu active leases", who,
		kt_duty_active(&c->duty));
	PROMISE(c->duty.n_leases < LEASES_MAX, BOUNDED, "worker %u holds %zu leases", who,
		c->duty.n_leases);
	for (size_t i = 0; i < GUESTS_MAX; i++) {
		const struct guest *guest = &c->guests[i];
		const struct kt_duty_lease *lease;

		if (!guest->run)
			continue;
		lease = kt_duty_lease(&c->duty, guest->lease);
		PROMISE(lease && kt_held_is_active(lease->state), NO_ORPHAN,
			"worker %u has a guest of epoch %llu and no lease", who, U(guest->epoch));
	}
}

void promises_step(struct world *w)
{
	for (uint32_t who = 0; who < STRANGER; who++)
		if (w->crews[who].alive)
			check_crew(w, who);
}

/* ---- the end ---- */

void promises_end(struct world *w)
{
	const struct kt_sweep *sweep = &w->coord.folded;

	for (uint64_t i = 0; i < w->n_cells; i++) {
		const struct tally *tally = &w->tallies[i];

		PROMISE(tally->judged + tally->errored + tally->cancelled == 1, ONE_END,
			"cell %llu has %u verdicts and was given up %u times", U(i), tally->judged,
			tally->errored);
		PROMISE(sweep->cells[i].state == (tally->judged      ? KT_CELL_JUDGED
						  : tally->cancelled ? KT_CELL_CANCELLED
								     : KT_CELL_ERRORED),
			ONE_END, "cell %llu is %s", U(i),
			kt_sweep_state_name(sweep->cells[i].state));
		PROMISE(!w->grouped || i % (2 * REPEATS) || tally->grouped == 1, GROUPED,
			"group %llu was judged %u times", U(i), tally->grouped);
		PROMISE(w->faults || tally->judged || w->plans[i].cpus == GIANT_CPUS, SAME_REPORT,
			"cell %llu is given up in an undisturbed world", U(i));
		PROMISE(tally->judged || tally->cancelled || tally->hopeless ||
				w->plans[i].poison || tally->poisoned || w->attempts_max < 10 ||
				tally->tries >= KT_ATTEMPTS_MAX,
			SAME_REPORT, "cell %llu is given up, though it could be tried again", U(i));
	}
	for (uint32_t who = 0; who < PROCS_MAX; who++)
		for (size_t i = 0; i < GUESTS_MAX; i++)
			PROMISE(w->crews[who].guests[i].run == 0 || w->crews[who].guests[i].hangs,
				NO_ORPHAN, "worker %u has a guest of epoch %llu after the end", who,
				U(w->crews[who].guests[i].epoch));
}
