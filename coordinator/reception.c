#include "coordinator/reception.h"
#include "coordinator/cellfind.h"
#include "coordinator/muster.h"
#include "coordinator/present.h"
#include "proto/base/clock.h"
#include "proto/base/log.h"
#include "proto/base/must.h"
#include "proto/json/tojson.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <utlist.h>

/* In the coordinator's loop nobody looks through the names of millions of cells. */
#define PARTS_MAX      100000
/* How often hosts are looked at, however many batches of messages there are. */
#define LOOK_NS        (100 * KT_NS_PER_MS)
#define COMPLAINTS_MAX 32 /* sizes of guests that no host can take */
/* A client that waits hears of it so often. */
#define PROGRESS_NS    (2 * KT_NS_PER_S)

#define LEAVES "the coordinator is about to leave: nothing was done"

struct guest { /* of a cell that was cancelled while it ran */
	char host[KT_NAME_BYTES_MAX + 1];
	uint64_t cell;
	uint64_t epoch;
	bool dead;
};

struct cancel { /* somebody waits for guests to die */
	struct cancel *next, *prev;
	uint64_t client;
	uint64_t n_cells; /* that were cancelled */
	struct guest *guests;
	size_t n_guests;
	int64_t told_at_ns;
};

struct kt_reception {
	const struct kt_reception_config *config;
	struct kt_present *present;
	struct kt_roster roster;
	struct kt_muster_pace pace;
	struct cancel *cancels;
	bool cancelling; /* one is on its way through the dispatch */
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

/* ---- drain ---- */

static void on_drain(struct kt_reception *r, uint64_t client, const struct kt_present_ask *ask)
{
	KT_AUTO_FREE char *line = kt_must_asprintf("uid %u asked (ktcoord drain)", ask->uid);
	struct kt_input input = {
		.kind = KT_INPUT_DRAIN, .host = ask->host, .on = !ask->undo, .line = line
	};
	const struct kt_sweep *sweep = r->config->sweep;
	struct json_object *answer;
	const struct kt_host *host;

	if (!kt_fleet_find_host(r->config->fleet, ask->host) &&
	    kt_sweep_find_host(sweep, ask->host) == sweep->n_hosts) {
		KT_AUTO_FREE char *text = kt_must_asprintf(
			"this sweep has seen no host '%s'; `ktcoord workers` lists them",
			ask->host);

		return kt_present_refuse(r->present, client, text);
	}
	KT_LOG(ask->undo ? "undrain_asked" : "drain_asked", "host=%s uid=%u",
	       kt_log_quote(ask->host), ask->uid);
	if (!r->config->step(r->config->arg, &input))
		return kt_present_refuse(r->present, client, LEAVES);
	host = kt_fleet_find_host(r->config->fleet, ask->host);
	answer = json_object_new_object();
	json_object_object_add(answer, "host", kt_tojson_text(ask->host, strlen(ask->host)));
	json_object_object_add(answer, "admission",
			       json_object_new_string(kt_sweep_admission_name(
				       kt_sweep_admission(sweep, ask->host))));
	json_object_object_add(answer, "running",
			       json_object_new_uint64(host ? host->n_leases : 0));
	json_object_object_add(answer, "connected",
			       json_object_new_boolean(host && host->peer != 0));
	kt_present_answer(r->present, client, answer, true);
}

/* ---- cancel ---- */

static void forget(struct kt_reception *r, struct cancel *cancel)
{
	DL_DELETE(r->cancels, cancel);
	free(cancel->guests);
	free(cancel);
}

static bool is_dying(const struct kt_host *host, uint64_t epoch)
{
	for (size_t i = 0; i < host->n_dying; i++)
		if (host->dying[i].epoch == epoch)
			return true;
	return false;
}

/* Dead, or nobody can say: then it must have been silent for long enough to be known as away. */
static bool is_settled(const struct kt_reception *r, struct guest *guest)
{
	const struct kt_host *host = kt_fleet_find_host(r->config->fleet, guest->host);

	guest->dead = guest->dead || !host || !is_dying(host, guest->epoch);
	return guest->dead || !host->peer;
}

static struct json_object *tell(const struct kt_reception *r, const struct cancel *cancel)
{
	struct json_object *answer = json_object_new_object();
	struct json_object *alive = json_object_new_array();
	uint64_t n_dead = 0;

	for (size_t i = 0; i < cancel->n_guests; i++) {
		const struct guest *guest = &cancel->guests[i];
		const struct kt_host *host = kt_fleet_find_host(r->config->fleet, guest->host);
		struct json_object *row;
		char name[KT_CELL_NAME_BYTES_MAX];

		n_dead += guest->dead;
		if (guest->dead)
			continue;
		row = json_object_new_object();
		kt_matrix_cell_name(r->config->matrix, guest->cell, name);
		json_object_object_add(row, "cell", kt_tojson_text(name, strlen(name)));
		json_object_object_add(row, "host",
				       kt_tojson_text(guest->host, strlen(guest->host)));
		json_object_object_add(row, "connected",
				       json_object_new_boolean(host && host->peer));
		json_object_array_add(alive, row);
	}
	json_object_object_add(answer, "sweep",
			       kt_tojson_text(r->config->sweep->id, strlen(r->config->sweep->id)));
	json_object_object_add(answer, "closed",
			       json_object_new_boolean(kt_sweep_is_done(r->config->sweep)));
	json_object_object_add(answer, "cancelled", json_object_new_uint64(cancel->n_cells));
	json_object_object_add(answer, "guests_dead", json_object_new_uint64(n_dead));
	json_object_object_add(answer, "guests_alive", alive);
	return answer;
}

void kt_reception_look(struct kt_reception *r)
{
	struct cancel *cancel;
	struct cancel *next;
	int64_t now_ns;

	if (!r)
		return;
	now_ns = kt_clock_now_ns();
	if (now_ns - r->looked_at_ns >= LOOK_NS) {
		r->looked_at_ns = now_ns;
		look_at_hosts(r);
		kt_muster_note(&r->pace, now_ns, kt_sweep_n_done(r->config->sweep));
	}
	DL_FOREACH_SAFE (r->cancels, cancel, next) {
		size_t n_settled = 0;

		for (size_t i = 0; i < cancel->n_guests; i++)
			n_settled += is_settled(r, &cancel->guests[i]);
		if (n_settled == cancel->n_guests) {
			kt_present_answer(r->present, cancel->client, tell(r, cancel), true);
			forget(r, cancel);
		} else if (now_ns - cancel->told_at_ns > PROGRESS_NS) {
			cancel->told_at_ns = now_ns;
			kt_present_answer(r->present, cancel->client, tell(r, cancel), false);
		}
	}
}

bool kt_reception_is_waited_for(const struct kt_reception *r)
{
	return r && (r->cancels || r->cancelling);
}

/* Whether the word names the sweep that runs: all of its id, or its beginning up to a '-'. */
static bool names_sweep(const struct kt_sweep *sweep, const char *what)
{
	size_t len = strlen(what);

	return len == 0 || strcmp(what, "last") == 0 || strcmp(what, sweep->id) == 0 ||
	       (strncmp(what, sweep->id, len) == 0 && sweep->id[len] == '-');
}

static void remember_guests(const struct kt_reception *r, struct cancel *cancel, uint64_t first,
			    uint64_t n)
{
	const struct kt_fleet *fleet = r->config->fleet;

	for (const struct kt_lease *lease = fleet->leases; lease; lease = lease->hh.next) {
		struct guest *guest;

		if (lease->cell < first || lease->cell >= first + n)
			continue;
		cancel->guests = kt_must_realloc(cancel->guests, cancel->n_guests + 1,
						 sizeof(*cancel->guests));
		guest = &cancel->guests[cancel->n_guests++];
		*guest = (struct guest){ .cell = lease->cell, .epoch = lease->epoch };
		snprintf(guest->host, sizeof(guest->host), "%s", lease->host->id);
	}
}

static void on_cancel(struct kt_reception *r, uint64_t client, const struct kt_present_ask *ask)
{
	KT_AUTO_FREE char *line = kt_must_asprintf("uid %u asked (ktcoord cancel)", ask->uid);
	const struct kt_sweep *sweep = r->config->sweep;
	struct kt_input input = { .kind = KT_INPUT_CANCEL, .n = sweep->n_cells, .line = line };
	uint64_t before = sweep->counts[KT_CELL_CANCELLED];
	struct cancel *cancel;
	struct kt_err err = { 0 };
	bool taken;

	if (!names_sweep(sweep, ask->what)) {
		if (kt_cellfind(r->config->matrix, ask->what, PARTS_MAX, &input.cell, &err) < 0) {
			KT_AUTO_FREE char *text =
				kt_must_asprintf("sweep %s runs here: %s", sweep->id, err.text);

			return kt_present_refuse(r->present, client, text);
		}
		input.n = 1;
	}
	cancel = kt_must_calloc(1, sizeof(*cancel));
	cancel->client = client;
	cancel->told_at_ns = kt_clock_now_ns();
	remember_guests(r, cancel, input.cell, input.n);
	KT_LOG("cancel_asked", "what=%s cells=%" PRIu64 " running=%zu uid=%u",
	       ask->what[0] ? kt_log_quote(ask->what) : kt_log_quote(sweep->id), input.n,
	       cancel->n_guests, ask->uid);
	r->cancelling = true;
	taken = r->config->step(r->config->arg, &input);
	r->cancelling = false;
	if (!taken) {
		free(cancel->guests);
		free(cancel);
		return kt_present_refuse(r->present, client, LEAVES);
	}
	cancel->n_cells = sweep->counts[KT_CELL_CANCELLED] - before;
	DL_APPEND(r->cancels, cancel);
	kt_reception_look(r);
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
		on_drain(r, client, ask);
		break;
	case KT_PRESENT_CANCEL:
		on_cancel(r, client, ask);
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
	struct kt_reception *r = arg;
	struct cancel *cancel;
	struct cancel *next;

	DL_FOREACH_SAFE (r->cancels, cancel, next)
		if (cancel->client == client)
			forget(r, cancel);
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
	while (r->cancels) {
		kt_present_answer(r->present, r->cancels->client, tell(r, r->cancels), true);
		forget(r, r->cancels);
	}
	kt_present_destroy(&r->present);
	kt_roster_destroy(&r->roster);
	free(r);
}
