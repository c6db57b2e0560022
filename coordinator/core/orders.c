#include "coordinator/core/orders.h"
#include "coordinator/core/attempts.h"
#include "coordinator/core/endings.h"
#include "coordinator/core/leases.h"
#include "coordinator/core/sessions.h"

#include <utlist.h>

void kt_orders_drain(struct kt_dispatch *d, const struct kt_input *in, struct kt_out *out)
{
	struct kt_host *host = kt_fleet_find_host(&d->fleet, in->host);

	/* Nobody that the sweep has not heard of: names are not taken in without end. */
	if (!host && kt_sweep_find_host(d->sweep, in->host) == d->sweep->n_hosts)
		return;
	host = kt_desk_host(d, in->host);
	kt_desk_admit(d, out, host, in->on ? KT_ADMISSION_DRAINED : KT_ADMISSION_OPEN, in->line);
	kt_health_forget(&host->health);
	kt_leases_nudge(d, out, host);
}

/* Its guest may run: it has to die, and the cell is not free of it before. */
static void end_lease(struct kt_dispatch *d, uint64_t epoch)
{
	struct kt_lease *lease = kt_fleet_lease(&d->fleet, epoch);

	if (!lease)
		return;
	kt_leases_revoke(d, lease);
	kt_fleet_drop_lease(&d->fleet, lease);
}

static bool has_end(const struct kt_cell *cell)
{
	return cell->state != KT_CELL_PENDING && cell->state != KT_CELL_LEASED &&
	       cell->state != KT_CELL_ENDED;
}

void kt_orders_cancel(struct kt_dispatch *d, const struct kt_input *in, struct kt_out *out)
{
	uint64_t first = in->cell < d->sweep->n_cells ? in->cell : d->sweep->n_cells;
	uint64_t n = in->n < d->sweep->n_cells - first ? in->n : d->sweep->n_cells - first;
	const char *line =
		kt_arena_printf(&out->arena, "%.*s", KT_TEXT_BYTES_MAX, in->line ? in->line : "");

	for (uint64_t i = first; i < first + n; i++) {
		const struct kt_cell *cell = &d->sweep->cells[i];
		struct kt_msg_fact_cancelled *fact;

		if (has_end(cell))
			continue;
		/* Its result is in the journal already: sent again, it is no more evidence. */
		if (cell->state == KT_CELL_ENDED)
			kt_attempts_is_known_late(d, cell->epoch);
		end_lease(d, cell->epoch);
		fact = KT_OUT_NEW(out, fact_cancelled);
		fact->cell = i;
		fact->line = line;
		kt_desk_fact(d, out, KT_TAG_fact_cancelled, fact);
		kt_endings_ask_for_group(d, out, i);
	}
	kt_leases_send_revokes(d, out);
}

void kt_orders_revoked(struct kt_dispatch *d, const struct kt_input *in, struct kt_out *out)
{
	struct kt_host *host = kt_fleet_find_host(&d->fleet, in->who);
	struct kt_lease *lease;
	struct kt_lease *next;

	/* A name may have another key by now, and be here with it. */
	if (!host || (host->peer && in->peer && host->peer != in->peer))
		return;
	if (host->peer) {
		kt_out_refuse(out, host->peer, false,
			      "the key of %.64s was revoked: it is not served any more", host->id);
		kt_sessions_forget(d, host->peer);
	}
	DL_FOREACH_SAFE (host->leases, lease, next)
		kt_endings_fail(d, out, lease->cell, lease->epoch, "worker_lost",
				"its host's key was revoked", kt_endings_is_worn(d, lease->cell),
				NULL);
}
