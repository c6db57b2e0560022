#include "coordinator/core/endings.h"
#include "coordinator/core/leases.h"
#include "coordinator/core/waiting.h"
#include "proto/cause.h"

/* ---- of attempts ---- */

struct kt_msg_result *kt_endings_cut(struct kt_out *out, const struct kt_msg_result *result)
{
	struct kt_msg_result *cut = KT_OUT_NEW(out, result);

	*cut = *result;
	cut->evidence = "";
	cut->n_timeline = 0;
	cut->n_reports = 0;
	cut->n_wakes = 0;
	cut->n_latencies = 0;
	cut->n_payloads = 0;
	return cut;
}

/* Whether another host is connected: one that is alone is not put into quarantine, for there is nowhere else. */
static bool has_others(const struct kt_dispatch *d, const struct kt_host *host)
{
	return kt_fleet_n_live(&d->fleet) > (host->peer ? 1u : 0u);
}

/* Trouble of this host. What failed of it in one moment is one trouble: a host that dies takes all that it has. */
static void blame(struct kt_dispatch *d, struct kt_out *out, struct kt_host *host, uint64_t cell,
		  bool is_canary)
{
	bool is_enough = false;

	if (host->blamed_at_ns != d->now_ns)
		is_enough = kt_health_trouble(&host->health, cell);
	host->blamed_at_ns = d->now_ns;
	if (host->admission == KT_ADMISSION_OPEN && is_enough && has_others(d, host)) {
		kt_desk_admit(d, out, host, KT_ADMISSION_QUARANTINED,
			      kt_arena_printf(&out->arena,
					      "%u attempts in a row ended by trouble, of different "
					      "cells; the last was cell %llu",
					      host->health.row, (unsigned long long)cell));
		kt_health_wait(&host->health, false, d->fleet.n_taking == 0, d->config->retry_ns,
			       d->now_ns);
	} else if (host->admission == KT_ADMISSION_QUARANTINED && is_canary) {
		kt_health_wait(&host->health, true, d->fleet.n_taking == 0, d->config->retry_ns,
			       d->now_ns);
	}
}

void kt_endings_praise(struct kt_dispatch *d, struct kt_out *out, struct kt_host *host,
		       bool is_canary)
{
	kt_health_result(&host->health);
	if (!is_canary || host->admission != KT_ADMISSION_QUARANTINED)
		return;
	kt_desk_admit(d, out, host, KT_ADMISSION_OPEN, "a canary cell gave a result");
	kt_health_forget(&host->health);
}

void kt_endings_fail(struct kt_dispatch *d, struct kt_out *out, uint64_t cell, uint64_t epoch,
		     const char *cause, const char *line, bool charged,
		     const struct kt_msg_result *result)
{
	struct kt_msg_fact_failed *failed = KT_OUT_NEW(out, fact_failed);
	const struct kt_cell *c = &d->sweep->cells[cell];
	struct kt_lease *lease = kt_fleet_lease(&d->fleet, epoch);
	struct kt_host *host = kt_desk_host(d, d->sweep->hosts[c->host].id);
	bool is_canary = lease && lease->canary;

	/* A canary says something about its host, not about the cell: while that may go elsewhere. */
	if (charged)
		blame(d, out, host, cell, is_canary);
	if (is_canary && d->fleet.n_taking > 0 && !kt_endings_is_worn(d, cell))
		charged = false;
	failed->cell = cell;
	failed->epoch = epoch;
	failed->cause = kt_arena_strdup(&out->arena, cause);
	failed->line = kt_arena_strdup(&out->arena, line);
	failed->charged = charged;
	failed->result = (struct kt_msg_result *)(uintptr_t)result;
	if (result && !kt_facts_fits(KT_TAG_fact_failed, failed))
		failed->result = kt_endings_cut(out, result);
	kt_desk_fact(d, out, KT_TAG_fact_failed, failed);
	if (lease)
		kt_fleet_drop_lease(&d->fleet, lease);
	if (!kt_endings_give_up(d, out, cell, failed->cause, failed->line))
		kt_waiting_add(d, cell, d->now_ns + d->config->retry_ns * c->charged);
}

static const char *poison_line(const struct kt_dispatch *d, struct kt_out *out, uint64_t cell,
			       const char *cause, const char *line)
{
	const struct kt_sweep_downs *downs = kt_sweep_downs(d->sweep, cell);
	const char *names = d->sweep->hosts[downs->hosts[0]].id;

	for (size_t i = 1; i < downs->n; i++)
		names = kt_arena_printf(&out->arena, "%s%s%s", names,
					i + 1u < downs->n ? ", " : " and ",
					d->sweep->hosts[downs->hosts[i]].id);
	return kt_arena_printf(&out->arena, "it took down %s, the last by %.64s: %.1024s", names,
			       cause, line);
}

bool kt_endings_give_up(struct kt_dispatch *d, struct kt_out *out, uint64_t cell, const char *cause,
			const char *line)
{
	bool is_poison = kt_sweep_is_poison(d->sweep, cell);
	struct kt_msg_fact_errored *errored;

	if (!is_poison && d->sweep->cells[cell].charged < d->sweep->attempts_max)
		return false;
	errored = KT_OUT_NEW(out, fact_errored);
	errored->cell = cell;
	errored->cause = is_poison ? kt_cause(KT_CAUSE_ID_poison)->name : cause;
	errored->line = is_poison ? poison_line(d, out, cell, cause, line) : line;
	kt_desk_fact(d, out, KT_TAG_fact_errored, errored);
	kt_endings_ask_for_group(d, out, cell);
	return true;
}

/* What is not charged has an end as well: nobody may take and give back one cell for ever. */
bool kt_endings_is_worn(const struct kt_dispatch *d, uint64_t cell)
{
	return d->sweep->cells[cell].tries >= KT_ATTEMPTS_MAX;
}

void kt_endings_damaged(struct kt_dispatch *d, const struct kt_input *in, struct kt_out *out)
{
	if (d->sweep->cells[in->cell].state == KT_CELL_ENDED &&
	    d->sweep->cells[in->cell].epoch == in->epoch)
		kt_endings_fail(d, out, in->cell, in->epoch, "series_damaged", in->line, true,
				NULL);
}

/* ---- verdicts ---- */

void kt_endings_ask(struct kt_out *out, uint64_t cell, uint64_t epoch)
{
	struct kt_effect *judge = kt_out_effect(out, KT_EFFECT_JUDGE, NULL);

	judge->cell = cell;
	judge->epoch = epoch;
}

/* Once the last of its repeats has its end. */
void kt_endings_ask_for_group(struct kt_dispatch *d, struct kt_out *out, uint64_t cell)
{
	struct kt_effect *group;
	uint64_t first;
	uint64_t n;

	if (!d->config->group || !d->config->group(d->config->arg, cell, &first, &n) ||
	    !kt_sweep_has_ended(d->sweep, first, n) || kt_sweep_is_grouped(d->sweep, first, n))
		return;
	group = kt_out_effect(out, KT_EFFECT_GROUP, NULL);
	group->cell = first;
	group->repeats = n;
}

void kt_endings_judged(struct kt_dispatch *d, const struct kt_input *in, struct kt_out *out)
{
	struct kt_msg_fact_judged *judged;

	/* Only the attempt that ended is judged, and only once: whoever asks twice gets nothing. */
	if (d->sweep->cells[in->cell].state != KT_CELL_ENDED ||
	    d->sweep->cells[in->cell].epoch != in->epoch)
		return;
	judged = KT_OUT_NEW(out, fact_judged);
	judged->cell = in->cell;
	judged->epoch = in->epoch;
	judged->verdict = in->verdict;
	kt_facts_cut(KT_TAG_fact_judged, judged, &judged->verdict, &out->arena);
	kt_desk_fact(d, out, KT_TAG_fact_judged, judged);
	kt_endings_ask_for_group(d, out, in->cell);
}

void kt_endings_grouped(struct kt_dispatch *d, const struct kt_input *in, struct kt_out *out)
{
	struct kt_msg_fact_grouped *grouped;

	/* Asked for twice, or one of them was reopened meanwhile: the answer is no more. */
	if (!kt_sweep_has_ended(d->sweep, in->cell, in->repeats) ||
	    kt_sweep_is_grouped(d->sweep, in->cell, in->repeats))
		return;
	grouped = KT_OUT_NEW(out, fact_grouped);
	grouped->cell = in->cell;
	grouped->repeats = in->repeats;
	grouped->verdict = in->verdict;
	kt_facts_cut(KT_TAG_fact_grouped, grouped, &grouped->verdict, &out->arena);
	kt_desk_fact(d, out, KT_TAG_fact_grouped, grouped);
}

/* ---- of the sweep ---- */

/* Whether every group has its verdict. All cells have their end, and none of them loses it or its group's verdict
 * again: what was looked at once needs no second look. (After the cancel of a large sweep this is asked after every
 * single group.)
 */
static bool groups_are_done(struct kt_dispatch *d)
{
	uint64_t first;
	uint64_t n;

	for (; d->config->group && d->groups_done < d->sweep->n_cells; d->groups_done++) {
		const struct kt_cell *cell = &d->sweep->cells[d->groups_done];

		if (!cell->grouped && cell->state != KT_CELL_LEFT_OUT &&
		    d->config->group(d->config->arg, d->groups_done, &first, &n))
			return false;
	}
	return true;
}

void kt_endings_close(struct kt_dispatch *d, struct kt_out *out)
{
	struct kt_msg_fact_closed *closed;

	if (d->sweep->closed || !kt_sweep_is_done(d->sweep) || !groups_are_done(d))
		return;
	if (d->fleet.n_dying > 0 && d->now_ns < d->dying_until_ns)
		return;
	closed = KT_OUT_NEW(out, fact_closed);
	closed->judged = d->sweep->counts[KT_CELL_JUDGED];
	closed->errored = d->sweep->counts[KT_CELL_ERRORED];
	closed->left_out = d->sweep->counts[KT_CELL_LEFT_OUT];
	closed->cancelled = d->sweep->counts[KT_CELL_CANCELLED];
	kt_desk_fact(d, out, KT_TAG_fact_closed, closed);
	for (size_t i = 0; i < d->fleet.n_hosts; i++) {
		struct kt_msg_state *state;

		if (!d->fleet.hosts[i]->peer)
			continue;
		state = kt_leases_state(d, d->fleet.hosts[i], 0, out);
		kt_out_send(out, d->fleet.hosts[i]->peer, KT_TAG_state, state);
	}
}
