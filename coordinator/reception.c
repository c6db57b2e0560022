#include "coordinator/reception.h"
#include "coordinator/muster.h"
#include "coordinator/present.h"
#include "proto/base/clock.h"
#include "proto/base/log.h"
#include "proto/base/must.h"

#include <stdio.h>

#define LOOK_NS        (100 * KT_NS_PER_MS)
#define COMPLAINTS_MAX 32

struct kt_reception {
	const struct kt_reception_config *config;
	struct kt_present *present;
	struct kt_roster roster;
	struct kt_muster_pace pace;
	int64_t begun_at_ns;
	int64_t looked_at_ns;
	struct kt_muster_complaint
		complaints[COMPLAINTS_MAX]; /* the newest; told once by placement */
	size_t n_complaints;
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
				   .complaints = r->complaints,
				   .n_complaints = r->n_complaints,
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

void kt_reception_leaves(struct kt_reception *r, const char *host, const char *why)
{
	if (r)
		kt_roster_leaves(&r->roster, host, why);
}

/* Silence is nobody's message: who went is found by looking. */
static void look_at_hosts(struct kt_reception *r)
{
	const struct kt_fleet *fleet = r->config->fleet;

	for (size_t i = 0; i < fleet->n_hosts; i++) {
		const struct kt_host *host = fleet->hosts[i];
		const struct kt_roster_host *said;

		if (!kt_roster_look(&r->roster, host->id, host->peer != 0) || host->peer)
			continue;
		said = kt_roster_find_host(&r->roster, host->id);
		KT_LOG("host_left", "host=%s why=%s", kt_log_quote(host->id),
		       kt_log_quote(said->left_why[0] ? said->left_why : "silent"));
	}
}

void kt_reception_fact(struct kt_reception *r, uint32_t tag, const void *fact)
{
	if (r)
		kt_roster_fact(&r->roster, kt_clock_now_ns(), tag, fact);
}

void kt_reception_complaint(struct kt_reception *r, uint64_t cell, uint64_t n, const char *why)
{
	struct kt_muster_complaint *complaint = NULL;

	if (!r)
		return;
	for (size_t i = 0; i < r->n_complaints; i++)
		if (r->complaints[i].cell == cell)
			complaint = &r->complaints[i];
	if (!complaint && r->n_complaints < COMPLAINTS_MAX)
		complaint = &r->complaints[r->n_complaints++];
	if (!complaint)
		return;
	complaint->cell = cell;
	complaint->n = n;
	snprintf(complaint->why, sizeof(complaint->why), "%s", why);
}

void kt_reception_phase(struct kt_reception *r, uint64_t cell, const char *phase)
{
	if (r)
		kt_roster_phase(&r->roster, kt_clock_now_ns(), cell, phase);
}

void kt_reception_look(struct kt_reception *r)
{
	int64_t now_ns;

	if (!r)
		return;
	now_ns = kt_clock_now_ns();
	if (now_ns - r->looked_at_ns < LOOK_NS)
		return;
	r->looked_at_ns = now_ns;
	look_at_hosts(r);
	kt_muster_note(&r->pace, now_ns, kt_sweep_n_done(r->config->sweep));
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
