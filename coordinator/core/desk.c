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
