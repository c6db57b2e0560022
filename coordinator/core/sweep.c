#include "coordinator/core/sweep.h"
#include "coordinator/core/health.h"
#include "proto/base/must.h"
#include "proto/job.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define FROM(state_) (1u << KT_CELL_##state_)

struct kt_sweep_name {
	const char *id; /* key: the host's own */
	uint16_t index;
	UT_hash_handle hh;
};

/* Which fact takes a cell from where to where. */
static const struct {
	uint32_t tag;
	unsigned int from; /* set of states */
	enum kt_cell_state to;
} moves[] = {
	{ KT_TAG_fact_granted, FROM(PENDING), KT_CELL_LEASED },
	{ KT_TAG_fact_ended, FROM(LEASED), KT_CELL_ENDED },
	{ KT_TAG_fact_failed, FROM(LEASED) | FROM(ENDED), KT_CELL_PENDING },
	{ KT_TAG_fact_judged, FROM(ENDED), KT_CELL_JUDGED },
	{ KT_TAG_fact_rejudged, FROM(JUDGED), KT_CELL_JUDGED },
	{ KT_TAG_fact_errored, FROM(PENDING), KT_CELL_ERRORED },
	{ KT_TAG_fact_cancelled, FROM(PENDING) | FROM(LEASED) | FROM(ENDED), KT_CELL_CANCELLED },
	{ KT_TAG_fact_reopened, FROM(ERRORED) | FROM(CANCELLED), KT_CELL_PENDING },
};

static const char *const state_names[] = {
	[KT_CELL_PENDING] = "pending",     [KT_CELL_LEASED] = "leased",
	[KT_CELL_ENDED] = "ended",         [KT_CELL_JUDGED] = "judged",
	[KT_CELL_ERRORED] = "errored",     [KT_CELL_LEFT_OUT] = "left_out",
	[KT_CELL_CANCELLED] = "cancelled",
};

static const char *const admission_names[] = {
	[KT_ADMISSION_OPEN] = "open",
	[KT_ADMISSION_DRAINED] = "drained",
	[KT_ADMISSION_QUARANTINED] = "quarantined",
};

static const char *const outcome_names[] = {
	[KT_OUTCOME_NONE] = "none", [KT_OUTCOME_SKIP] = "skip",
	[KT_OUTCOME_PASS] = "pass", [KT_OUTCOME_INCONCLUSIVE] = "inconclusive",
	[KT_OUTCOME_FAIL] = "fail",
};

const char *kt_sweep_state_name(enum kt_cell_state state)
{
	kt_must(state < KT_CELL_STATE_N);
	return state_names[state];
}

const char *kt_sweep_admission_name(enum kt_admission admission)
{
	kt_must(admission < KT_ADMISSION_N);
	return admission_names[admission];
}

const char *kt_sweep_outcome_name(enum kt_outcome outcome)
{
	kt_must(outcome < KT_OUTCOME_N);
	return outcome_names[outcome];
}

enum kt_outcome kt_sweep_outcome_by_name(const char *name)
{
	for (int i = KT_OUTCOME_SKIP; i < KT_OUTCOME_N; i++)
		if (strcmp(outcome_names[i], name) == 0)
			return (enum kt_outcome)i;
	return KT_OUTCOME_NONE;
}

void kt_sweep_init(struct kt_sweep *sweep)
{
	memset(sweep, 0, sizeof(*sweep));
}

void kt_sweep_destroy(struct kt_sweep *sweep)
{
	struct kt_sweep_downs *downs;
	struct kt_sweep_downs *next_downs;
	struct kt_sweep_name *name;
	struct kt_sweep_name *next_name;

	HASH_ITER (hh, sweep->downs, downs, next_downs) {
		HASH_DEL(sweep->downs, downs);
		free(downs);
	}
	HASH_ITER (hh, sweep->names, name, next_name) {
		HASH_DEL(sweep->names, name);
		free(name);
	}
	for (size_t i = 0; i < sweep->n_hosts; i++)
		free(sweep->hosts[i].id);
	free(sweep->hosts);
	free(sweep->cells);
	memset(sweep, 0, sizeof(*sweep));
}

__attribute__((cold)) static int cannot(struct kt_err *err, uint32_t tag, const char *why)
{
	const struct kt_message *message = kt_codec_message(&kt_facts_family, tag);

	return kt_err_set(err, KT_FAULT_BUG, EPROTO, "%s cannot be: %s",
			  message ? message->schema->name : "an unknown fact", why);
}

static int open_sweep(struct kt_sweep *sweep, const struct kt_msg_fact_opened *fact,
		      struct kt_err *err)
{
	if (sweep->cells)
		return cannot(err, KT_TAG_fact_opened, "the sweep is open already");
	snprintf(sweep->id, sizeof(sweep->id), "%s", fact->sweep_id);
	sweep->n_cells = fact->n_cells;
	sweep->attempts_max = (uint32_t)fact->attempts_max;
	sweep->cells = kt_must_calloc(fact->n_cells, sizeof(*sweep->cells));
	sweep->counts[KT_CELL_PENDING] = fact->n_cells;
	return 0;
}

size_t kt_sweep_find_host(const struct kt_sweep *sweep, const char *host)
{
	struct kt_sweep_name *name;

	HASH_FIND_STR(sweep->names, host, name);
	return name ? name->index : sweep->n_hosts;
}

static uint16_t host_index(struct kt_sweep *sweep, const char *host)
{
	size_t i = kt_sweep_find_host(sweep, host);
	struct kt_sweep_name *name;

	if (i < sweep->n_hosts)
		return (uint16_t)i;
	sweep->hosts = kt_must_realloc(sweep->hosts, sweep->n_hosts + 1, sizeof(*sweep->hosts));
	sweep->hosts[i] = (struct kt_sweep_host){ .id = kt_must_strdup(host) };
	name = kt_must_calloc(1, sizeof(*name));
	name->id = sweep->hosts[i].id;
	name->index = (uint16_t)i;
	HASH_ADD_KEYPTR(hh, sweep->names, name->id, strlen(name->id), name);
	return (uint16_t)sweep->n_hosts++;
}

enum kt_admission kt_sweep_admission(const struct kt_sweep *sweep, const char *host)
{
	size_t i = kt_sweep_find_host(sweep, host);

	return i < sweep->n_hosts ? sweep->hosts[i].admission : KT_ADMISSION_OPEN;
}

static int admit(struct kt_sweep *sweep, const struct kt_msg_fact_admission *fact,
		 struct kt_err *err)
{
	uint16_t host;
	size_t i = 0;

	while (i < KT_ADMISSION_N && strcmp(admission_names[i], fact->admission) != 0)
		i++;
	if (i == KT_ADMISSION_N)
		return cannot(err, KT_TAG_fact_admission, "no such admission");
	if (sweep->n_hosts == UINT16_MAX)
		return cannot(err, KT_TAG_fact_admission, "too many hosts");
	host = host_index(sweep, fact->host); /* may move hosts */
	sweep->hosts[host].admission = (enum kt_admission)i;
	return 0;
}

/* Every fact about a cell begins with these two; those of has_lease() == false have no lease. */
static uint64_t epoch_of(uint32_t tag, const void *fact)
{
	switch (tag) {
	case KT_TAG_fact_granted:
		return ((const struct kt_msg_fact_granted *)fact)->epoch;
	case KT_TAG_fact_ended:
		return ((const struct kt_msg_fact_ended *)fact)->epoch;
	case KT_TAG_fact_failed:
		return ((const struct kt_msg_fact_failed *)fact)->epoch;
	case KT_TAG_fact_judged:
		return ((const struct kt_msg_fact_judged *)fact)->epoch;
	case KT_TAG_fact_rejudged:
		return ((const struct kt_msg_fact_rejudged *)fact)->epoch;
	}
	return 0;
}

static bool has_lease(uint32_t tag)
{
	return tag != KT_TAG_fact_errored && tag != KT_TAG_fact_reopened &&
	       tag != KT_TAG_fact_cancelled;
}

static uint64_t cell_of(uint32_t tag, const void *fact)
{
	switch (tag) {
	case KT_TAG_fact_granted:
		return ((const struct kt_msg_fact_granted *)fact)->cell;
	case KT_TAG_fact_ended:
		return ((const struct kt_msg_fact_ended *)fact)->cell;
	case KT_TAG_fact_failed:
		return ((const struct kt_msg_fact_failed *)fact)->cell;
	case KT_TAG_fact_judged:
		return ((const struct kt_msg_fact_judged *)fact)->cell;
	case KT_TAG_fact_rejudged:
		return ((const struct kt_msg_fact_rejudged *)fact)->cell;
	case KT_TAG_fact_reopened:
		return ((const struct kt_msg_fact_reopened *)fact)->cell;
	case KT_TAG_fact_cancelled:
		return ((const struct kt_msg_fact_cancelled *)fact)->cell;
	default:
		return ((const struct kt_msg_fact_errored *)fact)->cell;
	}
}

const struct kt_sweep_downs *kt_sweep_downs(const struct kt_sweep *sweep, uint64_t cell)
{
	struct kt_sweep_downs *downs;

	HASH_FIND(hh, sweep->downs, &cell, sizeof(cell), downs);
	return downs;
}

bool kt_sweep_is_poison(const struct kt_sweep *sweep, uint64_t cell)
{
	const struct kt_sweep_downs *downs = kt_sweep_downs(sweep, cell);

	return downs && downs->n == KT_POISON_HOSTS;
}

static void add_downs(struct kt_sweep *sweep, uint64_t cell, uint16_t host)
{
	struct kt_sweep_downs *downs = (struct kt_sweep_downs *)kt_sweep_downs(sweep, cell);

	if (!downs) {
		downs = kt_must_calloc(1, sizeof(*downs));
		downs->cell = cell;
		HASH_ADD(hh, sweep->downs, cell, sizeof(downs->cell), downs);
	}
	for (size_t i = 0; i < downs->n; i++)
		if (downs->hosts[i] == host)
			return;
	if (downs->n < KT_POISON_HOSTS)
		downs->hosts[downs->n++] = host;
}

static void forget_downs(struct kt_sweep *sweep, uint64_t cell)
{
	struct kt_sweep_downs *downs = (struct kt_sweep_downs *)kt_sweep_downs(sweep, cell);

	if (!downs)
		return;
	HASH_DEL(sweep->downs, downs);
	free(downs);
}

static enum kt_sweep_guest guest_of(const struct kt_msg_result *result)
{
	if (!result->machine)
		return KT_SWEEP_GUEST_NONE;
	if (strcmp(result->machine->guest, KT_JOB_GUEST_WARM) == 0)
		return KT_SWEEP_GUEST_WARM;
	return strcmp(result->machine->guest, KT_JOB_GUEST_COLD) == 0 ? KT_SWEEP_GUEST_COLD
								      : KT_SWEEP_GUEST_NONE;
}

static void remember(struct kt_sweep *sweep, struct kt_cell *cell, uint32_t tag, const void *fact)
{
	const struct kt_msg_fact_granted *granted = fact;
	const struct kt_msg_fact_ended *ended = fact;
	const struct kt_msg_fact_failed *failed = fact;
	const struct kt_msg_fact_judged *judged = fact;
	const struct kt_msg_fact_rejudged *rejudged = fact;

	switch (tag) {
	case KT_TAG_fact_granted:
		cell->epoch = granted->epoch;
		cell->term = sweep->term;
		cell->host = host_index(sweep, granted->host);
		cell->tries += cell->tries < UINT8_MAX;
		sweep->epoch = granted->epoch;
		break;
	case KT_TAG_fact_ended:
		cell->guest = (uint8_t)guest_of(ended->result);
		break;
	case KT_TAG_fact_failed:
		cell->guest = KT_SWEEP_GUEST_NONE;
		cell->charged += failed->charged && cell->charged < UINT8_MAX;
		if (failed->charged && kt_health_takes_down(kt_cause_by_name(failed->cause)))
			add_downs(sweep, failed->cell, cell->host);
		break;
	case KT_TAG_fact_reopened:
		forget_downs(sweep, ((const struct kt_msg_fact_reopened *)fact)->cell);
		cell->charged = 0;
		cell->grouped = 0;
		sweep->closed = false;
		break;
	case KT_TAG_fact_judged:
		cell->outcome = (uint8_t)kt_sweep_outcome_by_name(judged->verdict->outcome);
		sweep->outcomes[cell->outcome]++;
		break;
	case KT_TAG_fact_rejudged:
		sweep->outcomes[cell->outcome]--;
		cell->outcome = (uint8_t)kt_sweep_outcome_by_name(rejudged->verdict->outcome);
		cell->judgement = (uint16_t)rejudged->judgement;
		sweep->outcomes[cell->outcome]++;
		break;
	}
}

/* Of the facts that bring a cell a verdict; NULL: another one. */
static const struct kt_msg_verdict *verdict_of(uint32_t tag, const void *fact)
{
	if (tag == KT_TAG_fact_judged)
		return ((const struct kt_msg_fact_judged *)fact)->verdict;
	if (tag == KT_TAG_fact_rejudged)
		return ((const struct kt_msg_fact_rejudged *)fact)->verdict;
	return NULL;
}

static int move_cell(struct kt_sweep *sweep, uint32_t tag, const void *fact, struct kt_err *err)
{
	uint64_t index = cell_of(tag, fact);
	uint64_t epoch = epoch_of(tag, fact);
	const struct kt_msg_verdict *verdict = verdict_of(tag, fact);
	struct kt_cell *cell;
	size_t row = 0;

	if (index >= sweep->n_cells)
		return cannot(err, tag, "no such cell");
	cell = &sweep->cells[index];
	while (row < sizeof(moves) / sizeof(moves[0]) && moves[row].tag != tag)
		row++;
	if (row == sizeof(moves) / sizeof(moves[0]))
		return cannot(err, tag, "not a fact about a cell");
	if (!(moves[row].from & 1u << cell->state))
		return cannot(err, tag, state_names[cell->state]);
	if (tag == KT_TAG_fact_granted && sweep->n_hosts == UINT16_MAX)
		return cannot(err, tag, "too many hosts");
	if (tag == KT_TAG_fact_granted && epoch <= sweep->epoch)
		return cannot(err, tag, "its epoch is not new");
	if (tag != KT_TAG_fact_granted && has_lease(tag) && epoch != cell->epoch)
		return cannot(err, tag, "its lease is not the cell's");
	if (verdict && !kt_sweep_outcome_by_name(verdict->outcome))
		return cannot(err, tag, "no such outcome");
	if (tag == KT_TAG_fact_rejudged &&
	    ((const struct kt_msg_fact_rejudged *)fact)->judgement != sweep->judgements)
		return cannot(err, tag, "it is of another judgement");
	sweep->counts[cell->state]--;
	cell->state = (uint8_t)moves[row].to;
	sweep->counts[cell->state]++;
	remember(sweep, cell, tag, fact);
	return 0;
}

/* Before anything was granted; the journal says it in the transaction that opens the sweep. */
static int leave_out(struct kt_sweep *sweep, const struct kt_msg_fact_left_out *fact,
		     struct kt_err *err)
{
	if (fact->cell >= sweep->n_cells || fact->n > sweep->n_cells - fact->cell)
		return cannot(err, KT_TAG_fact_left_out, "no such cells");
	if (sweep->term > 0)
		return cannot(err, KT_TAG_fact_left_out, "the sweep has begun");
	for (uint64_t i = fact->cell; i < fact->cell + fact->n; i++)
		if (sweep->cells[i].state != KT_CELL_PENDING)
			return cannot(err, KT_TAG_fact_left_out,
				      state_names[sweep->cells[i].state]);
	for (uint64_t i = fact->cell; i < fact->cell + fact->n; i++)
		sweep->cells[i].state = KT_CELL_LEFT_OUT;
	sweep->counts[KT_CELL_PENDING] -= fact->n;
	sweep->counts[KT_CELL_LEFT_OUT] += fact->n;
	snprintf(sweep->left_out_why, sizeof(sweep->left_out_why), "%s", fact->why);
	return 0;
}

bool kt_sweep_has_ended(const struct kt_sweep *sweep, uint64_t first, uint64_t n)
{
	bool any = false;

	for (uint64_t i = first; i < first + n; i++) {
		enum kt_cell_state state = sweep->cells[i].state;

		if (state == KT_CELL_JUDGED || state == KT_CELL_ERRORED ||
		    state == KT_CELL_CANCELLED)
			any = true;
		else if (state != KT_CELL_LEFT_OUT)
			return false;
	}
	return any;
}

bool kt_sweep_is_grouped(const struct kt_sweep *sweep, uint64_t first, uint64_t n)
{
	for (uint64_t i = first; i < first + n; i++)
		if (!sweep->cells[i].grouped)
			return false;
	return true;
}

static int group_cells(struct kt_sweep *sweep, uint32_t tag, uint64_t cell, uint64_t repeats,
		       const struct kt_msg_verdict *verdict, struct kt_err *err)
{
	enum kt_outcome outcome = kt_sweep_outcome_by_name(verdict->outcome);
	struct kt_cell *first;

	if (cell >= sweep->n_cells || repeats > sweep->n_cells - cell)
		return cannot(err, tag, "no such cells");
	if (!kt_sweep_has_ended(sweep, cell, repeats))
		return cannot(err, tag, "cells are left");
	if (outcome == KT_OUTCOME_NONE)
		return cannot(err, tag, "no such outcome");
	first = &sweep->cells[cell];
	if (first->group != KT_OUTCOME_NONE)
		sweep->groups[first->group]--;
	first->group = (uint8_t)outcome;
	sweep->groups[outcome]++;
	for (uint64_t i = 0; i < repeats; i++)
		first[i].grouped = 1;
	return 0;
}

static int regroup_cells(struct kt_sweep *sweep, const struct kt_msg_fact_regrouped *fact,
			 struct kt_err *err)
{
	if (fact->judgement != sweep->judgements)
		return cannot(err, KT_TAG_fact_regrouped, "it is of another judgement");
	return group_cells(sweep, KT_TAG_fact_regrouped, fact->cell, fact->repeats, fact->verdict,
			   err);
}

int kt_sweep_apply(struct kt_sweep *sweep, uint32_t tag, const void *fact, struct kt_err *err)
{
	if (tag == KT_TAG_fact_opened)
		return open_sweep(sweep, fact, err);
	if (!sweep->cells)
		return cannot(err, tag, "the sweep is not open");
	switch (tag) {
	case KT_TAG_fact_term:
		if (((const struct kt_msg_fact_term *)fact)->term != sweep->term + 1ull)
			return cannot(err, tag, "terms count up by one");
		sweep->term++;
		return 0;
	case KT_TAG_fact_host:
	case KT_TAG_fact_late:
		return 0; /* evidence: changes nothing */
	case KT_TAG_fact_left_out:
		return leave_out(sweep, fact, err);
	case KT_TAG_fact_admission:
		return admit(sweep, fact, err);
	case KT_TAG_fact_grouped: {
		const struct kt_msg_fact_grouped *grouped = fact;

		return group_cells(sweep, tag, grouped->cell, grouped->repeats, grouped->verdict,
				   err);
	}
	case KT_TAG_fact_regrouped:
		return regroup_cells(sweep, fact, err);
	case KT_TAG_fact_rejudging:
		if (((const struct kt_msg_fact_rejudging *)fact)->judgement !=
		    sweep->judgements + 1ull)
			return cannot(err, tag, "judgements count up by one");
		sweep->judgements++;
		return 0;
	case KT_TAG_fact_closed:
		if (!kt_sweep_is_done(sweep))
			return cannot(err, tag, "cells are left");
		sweep->closed = true;
		return 0;
	}
	return move_cell(sweep, tag, fact, err);
}

uint64_t kt_sweep_n_to_run(const struct kt_sweep *sweep)
{
	return sweep->n_cells - sweep->counts[KT_CELL_LEFT_OUT];
}

uint64_t kt_sweep_n_done(const struct kt_sweep *sweep)
{
	return sweep->counts[KT_CELL_JUDGED] + sweep->counts[KT_CELL_ERRORED] +
	       sweep->counts[KT_CELL_CANCELLED];
}

bool kt_sweep_is_done(const struct kt_sweep *sweep)
{
	return kt_sweep_n_done(sweep) == kt_sweep_n_to_run(sweep);
}

bool kt_sweep_equal(const struct kt_sweep *a, const struct kt_sweep *b)
{
	if (strcmp(a->id, b->id) != 0 || a->n_cells != b->n_cells || a->epoch != b->epoch ||
	    a->judgements != b->judgements || a->term != b->term || a->closed != b->closed ||
	    a->n_hosts != b->n_hosts || strcmp(a->left_out_why, b->left_out_why) != 0)
		return false;
	for (size_t i = 0; i < a->n_hosts; i++)
		if (strcmp(a->hosts[i].id, b->hosts[i].id) != 0 ||
		    a->hosts[i].admission != b->hosts[i].admission)
			return false;
	if (HASH_COUNT(a->downs) != HASH_COUNT(b->downs))
		return false;
	for (const struct kt_sweep_downs *x = a->downs; x; x = x->hh.next) {
		const struct kt_sweep_downs *y = kt_sweep_downs(b, x->cell);

		if (!y || x->n != y->n || memcmp(x->hosts, y->hosts, sizeof(x->hosts)) != 0)
			return false;
	}
	for (uint64_t i = 0; i < a->n_cells; i++) {
		const struct kt_cell *x = &a->cells[i];
		const struct kt_cell *y = &b->cells[i];

		if (x->epoch != y->epoch || x->term != y->term || x->host != y->host ||
		    x->state != y->state || x->outcome != y->outcome || x->charged != y->charged ||
		    x->group != y->group || x->grouped != y->grouped || x->tries != y->tries ||
		    x->guest != y->guest || x->judgement != y->judgement)
			return false;
	}
	return true;
}
