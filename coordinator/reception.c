#include "coordinator/reception.h"
#include "coordinator/muster.h"
#include "coordinator/present.h"
#include "proto/base/clock.h"
#include "proto/base/must.h"

struct kt_reception {
	const struct kt_reception_config *config;
	struct kt_present *present;
	struct kt_roster roster;
	struct kt_muster_pace pace;
	int64_t begun_at_ns;
};

/* ---- readings ---- */

static struct kt_muster muster_of(struct kt_reception *r)
{
	return (struct kt_muster){ .sweep = r->config->sweep,
				   .matrix = r->config->matrix,
				   .file = r->config->file,
				   .fleet = r->config->fleet,
				   .roster = &r->roster,
				   .pace = &r->pace,
				   .endpoint = r->config->endpoint,
				   .now_ns = kt_clock_now_ns(),
				   .begun_at_ns = r->begun_at_ns };
}

void kt_reception_frame(struct kt_reception *r, uint32_t tag, const void *body, const char *host,
			const char *address, bool by_key)
{
	if (!r)
		return;
	if (tag == KT_TAG_hello)
		kt_roster_hello(&r->roster, body, host, address, by_key);
	else if (tag == KT_TAG_sync)
		kt_roster_sync(&r->roster, host, body);
}

void kt_reception_fact(struct kt_reception *r, uint32_t tag, const void *fact)
{
	if (r)
		kt_roster_fact(&r->roster, kt_clock_now_ns(), tag, fact);
}

void kt_reception_phase(struct kt_reception *r, uint64_t cell, const char *phase)
{
	if (r)
		kt_roster_phase(&r->roster, kt_clock_now_ns(), cell, phase);
}

void kt_reception_look(struct kt_reception *r)
{
	if (r)
		kt_muster_note(&r->pace, kt_clock_now_ns(), kt_sweep_n_done(r->config->sweep));
}

bool kt_reception_is_waited_for(const struct kt_reception *r)
{
	return false;
}

/* ---- asks ---- */

static void on_ask(void *arg, uint64_t client, const struct kt_present_ask *ask)
{
	struct kt_reception *r = arg;
	struct kt_muster muster = muster_of(r);

	switch (ask->kind) {
	case KT_PRESENT_WORKERS:
		kt_present_answer(r->present, client, kt_muster_workers(&muster), true);
		break;
	case KT_PRESENT_STATUS:
		kt_present_answer(r->present, client, kt_muster_status(&muster), true);
		break;
	case KT_PRESENT_DRAIN:
	case KT_PRESENT_CANCEL:
		kt_present_refuse(r->present, client, "this version cannot");
		break;
	case KT_PRESENT_KEYS_CHANGED:
		if (r->config->keys_changed)
			r->config->keys_changed(r->config->arg);
		kt_present_answer(r->present, client, json_object_new_object(), true);
		break;
	case KT_PRESENT_KIND_N:
		break;
	}
}

static void on_gone(void *arg, uint64_t client)
{
}

static const struct kt_present_events events = { .ask = on_ask, .gone = on_gone };

/* ---- life ---- */

int kt_reception_open(uv_loop_t *loop, const struct kt_reception_config *config,
		      struct kt_reception **reception, struct kt_err *err)
{
	KT_AUTO(kt_reception_destroy) struct kt_reception *r = kt_must_calloc(1, sizeof(*r));
	int status;

	r->config = config;
	r->begun_at_ns = kt_clock_now_ns();
	status = kt_present_open(loop, config->socket, &events, r, &r->present, err);
	if (status < 0)
		return status;
	*reception = kt_take(&r);
	return 0;
}

void kt_reception_destroy(struct kt_reception **reception_p)
{
	struct kt_reception *r = kt_take(reception_p);

	if (!r)
		return;
	kt_present_destroy(&r->present);
	kt_roster_destroy(&r->roster);
	free(r);
}
