#include "coordinator/core/waiting.h"
#include "coordinator/core/desk.h"
#include "proto/base/must.h"

#include <string.h>

void kt_waiting_add(struct kt_dispatch *d, uint64_t cell, int64_t ready_at_ns)
{
	d->waiting.returned = kt_must_realloc(d->waiting.returned, d->waiting.n_returned + 1,
					      sizeof(*d->waiting.returned));
	d->waiting.returned[d->waiting.n_returned++] =
		(struct kt_waiting_returned){ .cell = cell, .ready_at_ns = ready_at_ns };
}

/* A failed cell goes elsewhere when there is an elsewhere, and that takes it before long. */
static bool may_retry_on(const struct kt_dispatch *d, const struct kt_waiting_returned *returned,
			 const struct kt_host *host)
{
	const struct kt_cell *c = &d->sweep->cells[returned->cell];

	if (!c->charged || kt_fleet_n_taking(&d->fleet) < 2 ||
	    d->now_ns - returned->ready_at_ns > d->config->grace_ns)
		return true;
	return strcmp(d->sweep->hosts[c->host].id, host->id) != 0;
}

bool kt_waiting_next(struct kt_dispatch *d, const struct kt_host *host, uint64_t *cell)
{
	for (size_t i = 0; i < d->waiting.n_returned; i++) {
		if (d->waiting.returned[i].ready_at_ns > d->now_ns ||
		    !may_retry_on(d, &d->waiting.returned[i], host))
			continue;
		*cell = d->waiting.returned[i].cell;
		memmove(&d->waiting.returned[i], &d->waiting.returned[i + 1],
			(d->waiting.n_returned - i - 1) * sizeof(*d->waiting.returned));
		d->waiting.n_returned--;
		return true;
	}
	/* Cells granted in an earlier term are not fresh: kt_dispatch_new put them in `returned`
	 * or among the leases.
	 */
	while (d->waiting.fresh < d->sweep->n_cells &&
	       (d->sweep->cells[d->waiting.fresh].state != KT_CELL_PENDING ||
		d->sweep->cells[d->waiting.fresh].epoch != 0))
		d->waiting.fresh++;
	if (d->waiting.fresh == d->sweep->n_cells)
		return false;
	*cell = d->waiting.fresh++;
	return true;
}

/* Once for each cell that came back: whoever has a free slot asks for it. A nudge that is lost costs
 * no more than the time to the next SYNC.
 */
void kt_waiting_nudge(struct kt_dispatch *d, struct kt_out *out)
{
	bool ready = false;

	for (size_t i = 0; i < d->waiting.n_returned; i++) {
		if (d->waiting.returned[i].nudged || d->waiting.returned[i].ready_at_ns > d->now_ns)
			continue;
		d->waiting.returned[i].nudged = true;
		ready = true;
	}
	for (size_t i = 0; ready && i < d->fleet.n_hosts; i++) {
		struct kt_msg_nudge *nudge;

		if (!d->fleet.hosts[i]->peer || d->fleet.hosts[i]->draining)
			continue;
		nudge = KT_OUT_NEW(out, nudge);
		nudge->session = d->fleet.hosts[i]->session;
		kt_out_send(out, d->fleet.hosts[i]->peer, KT_TAG_nudge, nudge);
	}
}
