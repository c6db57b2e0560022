#include "coordinator/core/waiting.h"
#include "coordinator/core/desk.h"
#include "coordinator/core/endings.h"
#include "coordinator/core/leases.h"
#include "proto/cause.h"

/* Cells that are given up in one tick: a journal's transaction must not grow with the matrix. */
#define GIVEN_UP_MAX 1000

void kt_waiting_add(struct kt_dispatch *d, uint64_t cell, int64_t ready_at_ns)
{
	kt_placement_return(d->placement, cell, ready_at_ns);
}

static void complain(struct kt_dispatch *d, struct kt_out *out)
{
	struct kt_placement_complaint complaint;

	while (kt_placement_complain(d->placement, &complaint)) {
		struct kt_effect *say = kt_out_effect(out, KT_EFFECT_SAY,
						      kt_arena_strdup(&out->arena, complaint.text));

		say->cell = complaint.cell;
		say->repeats = complaint.n;
	}
}

static void give_up(struct kt_dispatch *d, struct kt_out *out)
{
	struct kt_placement_complaint complaint;

	for (int i = 0; i < GIVEN_UP_MAX && kt_placement_give_up(d->placement, &complaint); i++) {
		struct kt_msg_fact_errored *errored = KT_OUT_NEW(out, fact_errored);

		errored->cell = complaint.cell;
		errored->cause = kt_cause(KT_CAUSE_ID_unschedulable)->name;
		errored->line = kt_arena_strdup(&out->arena, complaint.text);
		kt_desk_fact(d, out, KT_TAG_fact_errored, errored);
		kt_endings_ask_for_group(d, out, complaint.cell);
	}
}

void kt_waiting_tick(struct kt_dispatch *d, struct kt_out *out)
{
	kt_leases_nudge_hosts(d, out, kt_placement_tick(d->placement, d->now_ns));
	complain(d, out);
	give_up(d, out);
}
