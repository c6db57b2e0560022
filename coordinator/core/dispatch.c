#include "coordinator/core/attempts.h"
#include "coordinator/core/endings.h"
#include "coordinator/core/leases.h"
#include "coordinator/core/orders.h"
#include "coordinator/core/sessions.h"
#include "coordinator/core/waiting.h"
#include "proto/base/must.h"

/* ---- inputs ---- */

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
		return kt_sessions_hello(d, in, out);
	host = kt_fleet_host_by_peer(&d->fleet, in->peer);
	if (!host || host->session != session_of(in->tag, in->body)) {
		kt_out_refuse(out, in->peer, true, "unknown session: say hello again");
		return;
	}
	host->heard_at_ns = d->now_ns;
	switch (in->tag) {
	case KT_TAG_sync:
		return kt_leases_sync(d, host, in->body, out);
	case KT_TAG_phase:
		return kt_attempts_phase(d, host, in->body, out);
	case KT_TAG_sample_sent:
		return kt_attempts_sample(d, host, in->body, out);
	case KT_TAG_log_sent:
		return kt_attempts_log(d, host, in->body, out);
	case KT_TAG_result_sent:
		return kt_attempts_result(d, host, in->body, out);
	case KT_TAG_bye:
		return kt_sessions_bye(d, host, out);
	}
	kt_out_refuse(out, in->peer, false,
		      "that message is not for a coordinator's control endpoint");
}

static void on_tick(struct kt_dispatch *d, struct kt_out *out)
{
	kt_leases_forgive_absence(d);
	kt_sessions_forget_silent(d);
	kt_leases_expire(d, out);
	kt_waiting_tick(d, out);
	kt_leases_nudge_canaries(d, out);
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
	d->placement_config = (struct kt_placement_config){
		.demand = config->demand,
		.arg = config->arg,
		.seed = config->seed,
		.grace_ns = config->grace_ns,
		.keep_ns = config->keep_ns,
		.hopeless_ns = config->hopeless_ns,
	};
	d->placement = kt_placement_new(sweep, &d->fleet, &d->placement_config, now_ns);
	for (size_t i = 0; i < d->fleet.n_hosts; i++) /* those that pairs were begun on */
		d->fleet.hosts[i]->admission = kt_sweep_admission(sweep, d->fleet.hosts[i]->id);
	for (uint64_t i = 0; i < sweep->n_cells; i++) {
		const struct kt_cell *cell = &sweep->cells[i];

		if (cell->state == KT_CELL_LEASED) {
			struct kt_host *host = kt_desk_host(d, sweep->hosts[cell->host].id);
			struct kt_lease *lease =
				kt_fleet_add_lease(&d->fleet, cell->epoch, i, host);

			lease->term = cell->term;
			lease->seen = true;
			lease->expires_at_ns = now_ns + config->grace_ns;
			lease->due_at_ns = kt_leases_due_ns(d, i);
			lease->canary = host->admission == KT_ADMISSION_QUARANTINED;
		} else if (cell->state == KT_CELL_PENDING && cell->epoch &&
			   cell->charged < sweep->attempts_max && !kt_sweep_is_poison(sweep, i)) {
			kt_waiting_add(d, i, now_ns);
		}
	}
	return d;
}

void kt_dispatch_destroy(struct kt_dispatch **dispatch_p)
{
	struct kt_dispatch *d = kt_take(dispatch_p);
	struct kt_desk_late *late;
	struct kt_desk_late *next;

	if (!d)
		return;
	HASH_ITER (hh, d->late, late, next) {
		HASH_DEL(d->late, late);
		free(late);
	}
	kt_placement_destroy(&d->placement);
	kt_fleet_destroy(&d->fleet);
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
		kt_endings_ask_for_group(d, out, cell);
}

void kt_dispatch_begin(struct kt_dispatch *d, struct kt_out *out)
{
	struct kt_msg_fact_term *term = KT_OUT_NEW(out, fact_term);

	term->term = d->sweep->term + 1ull;
	kt_desk_fact(d, out, KT_TAG_fact_term, term);
	for (uint64_t i = 0; i < d->sweep->n_cells; i++) {
		struct kt_cell *cell = &d->sweep->cells[i];

		if (cell->state == KT_CELL_ENDED)
			kt_endings_ask(out, i, cell->epoch);
		/* The journal was cut between the last failure and giving up: say it now. */
		if (cell->state == KT_CELL_PENDING)
			kt_endings_give_up(d, out, i, "host_trouble",
					   "tries used up; the last trouble is in the journal");
		ask_at_last(d, out, i);
	}
	kt_endings_close(d, out);
}

void kt_dispatch_step(struct kt_dispatch *d, const struct kt_input *in, struct kt_out *out)
{
	d->now_ns = in->now_ns;
	if (in->wall_ns > 0)
		d->wall_ns = in->wall_ns;
	switch (in->kind) {
	case KT_INPUT_FRAME:
		on_frame(d, in, out);
		break;
	case KT_INPUT_LOST:
		kt_sessions_forget(d, in->peer);
		break;
	case KT_INPUT_TICK:
		on_tick(d, out);
		break;
	case KT_INPUT_JUDGED:
		kt_endings_judged(d, in, out);
		break;
	case KT_INPUT_GROUPED:
		kt_endings_grouped(d, in, out);
		break;
	case KT_INPUT_DRAIN:
		kt_orders_drain(d, in, out);
		break;
	case KT_INPUT_CANCEL:
		kt_orders_cancel(d, in, out);
		break;
	case KT_INPUT_REVOKED:
		kt_orders_revoked(d, in, out);
		break;
	case KT_INPUT_DAMAGED:
		kt_endings_damaged(d, in, out);
		break;
	}
	kt_endings_close(d, out);
}

const struct kt_fleet *kt_dispatch_fleet(const struct kt_dispatch *d)
{
	return &d->fleet;
}

size_t kt_dispatch_n_live_hosts(const struct kt_dispatch *d)
{
	return kt_fleet_n_live(&d->fleet);
}

size_t kt_dispatch_n_dying(const struct kt_dispatch *d)
{
	return d->fleet.n_dying;
}
