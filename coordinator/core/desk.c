#include "coordinator/core/desk.h"
#include "proto/base/must.h"

/* Applied at once: what comes next in this step decides on the new state. */
void kt_desk_fact(struct kt_dispatch *d, struct kt_out *out, uint32_t tag, const void *body)
{
	struct kt_err err = { 0 };
	int status = kt_sweep_apply(d->sweep, tag, body, &err);

	kt_must(status == 0);
	out->facts = kt_must_realloc(out->facts, out->n_facts + 1, sizeof(*out->facts));
	out->facts[out->n_facts++] = (struct kt_fact){ .tag = tag, .body = body };
}

struct kt_host *kt_desk_host(struct kt_dispatch *d, const char *id)
{
	struct kt_host *host = kt_fleet_find_host(&d->fleet, id);

	if (host)
		return host;
	host = kt_fleet_host(&d->fleet, id);
	host->admission = kt_sweep_admission(d->sweep, id);
	return host;
}

void kt_desk_admit(struct kt_dispatch *d, struct kt_out *out, struct kt_host *host,
		   enum kt_admission admission, const char *why)
{
	struct kt_msg_fact_admission *fact;

	if (host->admission == admission)
		return;
	fact = KT_OUT_NEW(out, fact_admission);
	fact->host = host->id;
	fact->admission = kt_sweep_admission_name(admission);
	fact->why = kt_arena_printf(&out->arena, "%.*s", KT_TEXT_BYTES_MAX, why ? why : "");
	kt_desk_fact(d, out, KT_TAG_fact_admission, fact);
	host->admission = admission;
	kt_fleet_weigh(&d->fleet, host);
}
