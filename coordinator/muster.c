#include "coordinator/muster.h"
#include "proto/json/tojson.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define MEM_BYTES_BOUNDLESS   (1ull << 60) /* of a host that plays its cells */
#define LACKS_BYTES           128
#define PENDING_LOOKED_AT_MAX 1000000 /* cells that are looked through for why they wait */

void kt_muster_note(struct kt_muster_pace *pace, int64_t now_ns, uint64_t done)
{
	size_t last = (pace->n + KT_MUSTER_PACE_N - 1) % KT_MUSTER_PACE_N;

	if (pace->n && now_ns - pace->ring[last].at_ns < KT_MUSTER_PACE_NS)
		return;
	pace->ring[pace->n % KT_MUSTER_PACE_N].at_ns = now_ns;
	pace->ring[pace->n % KT_MUSTER_PACE_N].done = done;
	pace->n++;
}

/* Cells a second since the oldest moment that is remembered; 0: too early to tell. */
static double rate_of(const struct kt_muster_pace *pace, int64_t now_ns, uint64_t done)
{
	size_t oldest = pace->n > KT_MUSTER_PACE_N ? pace->n % KT_MUSTER_PACE_N : 0;
	int64_t span_ns = pace->n ? now_ns - pace->ring[oldest].at_ns : 0;

	if (span_ns < KT_NS_PER_S || done <= pace->ring[oldest].done)
		return 0;
	return (double)(done - pace->ring[oldest].done) / ((double)span_ns / (double)KT_NS_PER_S);
}

static void add_text(struct json_object *to, const char *key, const char *text)
{
	json_object_object_add(to, key, kt_tojson_text(text, strlen(text)));
}

static void add_u64(struct json_object *to, const char *key, uint64_t number)
{
	json_object_object_add(to, key, json_object_new_uint64(number));
}

static void add_bool(struct json_object *to, const char *key, bool is)
{
	json_object_object_add(to, key, json_object_new_boolean(is));
}

/* With three digits behind the point: of seconds what people and scripts compare with. */
static void add_span(struct json_object *to, const char *key, int64_t ns)
{
	double seconds = (double)(ns / KT_NS_PER_MS) / 1000.0;
	char text[32];

	snprintf(text, sizeof(text), "%.3f", seconds);
	json_object_object_add(to, key, json_object_new_double_s(seconds, text));
}

/* total 0: without bound. */
static void add_share(struct json_object *to, const char *key, const char *what, uint64_t used,
		      uint64_t total)
{
	struct json_object *share = json_object_new_object();

	add_u64(share, what, used);
	if (total)
		add_u64(share, "total", total);
	else
		json_object_object_add(share, "total", NULL);
	json_object_object_add(to, key, share);
}

/* ---- workers ---- */

static struct json_object *running_of(const struct kt_muster *muster, const struct kt_lease *lease)
{
	const struct kt_roster_cell *cell = kt_roster_find_cell(muster->roster, lease->cell);
	struct json_object *row = json_object_new_object();
	char name[KT_CELL_NAME_BYTES_MAX];

	add_text(row, "cell", kt_matrix_cell_name(muster->matrix, lease->cell, name));
	add_u64(row, "epoch", lease->epoch);
	add_u64(row, "attempt", muster->sweep->cells[lease->cell].tries);
	add_text(row, "phase", cell ? cell->phase : lease->phase);
	if (cell)
		add_span(row, "since_s", muster->now_ns - cell->since_ns);
	return row;
}

static void add_clock(struct json_object *row, const struct kt_muster *muster,
		      const struct kt_host *host)
{
	struct kt_msg_clock_fit fit;
	struct json_object *clock;

	if (!host || !kt_clockfit_tell(&host->clock, muster->now_ns, &fit)) {
		json_object_object_add(row, "clock", NULL);
		return;
	}
	clock = json_object_new_object();
	json_object_object_add(clock, "ahead_s",
			       json_object_new_double((double)fit.ahead_ns / 1e9));
	json_object_object_add(clock, "error_s",
			       json_object_new_double((double)fit.error_ns / 1e9));
	json_object_object_add(row, "clock", clock);
}

static uint64_t slots_used(const struct kt_host *host)
{
	const struct kt_lease *lease;
	uint64_t n = host->n_dying;

	for (lease = host->leases; lease; lease = lease->next)
		n++;
	return n;
}

/* Even when it is empty, and whatever the cell: an operator wonders why such a host is given nothing. */
static bool is_too_small(const struct kt_muster *muster, const struct kt_roster_host *said,
			 char text[static LACKS_BYTES])
{
	const struct kt_matrix_topology *smallest = NULL;

	for (size_t i = 0; i < muster->matrix->n_topologies; i++) {
		const struct kt_matrix_topology *topology = &muster->matrix->topologies[i];

		if ((!said->guest_cpus || topology->cpus <= said->guest_cpus) &&
		    topology->mem_bytes <= said->mem_bytes)
			return false;
		if (!smallest || topology->cpus < smallest->cpus)
			smallest = topology;
	}
	if (!smallest)
		return false;
	snprintf(text, LACKS_BYTES,
		 "the smallest guest of this sweep has %" PRIu64 " CPUs and %" PRIu64 "M",
		 (uint64_t)smallest->cpus, (uint64_t)smallest->mem_bytes >> 20);
	return true;
}

static struct json_object *worker_of(const struct kt_muster *muster, const char *id)
{
	static const struct kt_roster_host unknown;
	const struct kt_host *host = kt_fleet_find_host(muster->fleet, id);
	const struct kt_roster_host *said = kt_roster_find_host(muster->roster, id);
	struct json_object *row = json_object_new_object();
	struct json_object *running = json_object_new_array();
	char lacks[LACKS_BYTES] = "";
	uint64_t cpus = 0;
	uint64_t mem_bytes = 0;

	if (!said)
		said = &unknown;
	for (const struct kt_lease *lease = host ? host->leases : NULL; lease;
	     lease = lease->next) {
		struct kt_matrix_cell cell;

		kt_matrix_cell(muster->matrix, lease->cell, &cell);
		cpus += cell.topology->cpus;
		mem_bytes += cell.topology->mem_bytes;
		json_object_array_add(running, running_of(muster, lease));
	}
	add_text(row, "host", id);
	add_bool(row, "connected", host && host->peer);
	add_text(row, "trust", said == &unknown ? "" : said->by_key ? "key" : "local");
	add_text(row, "address", said->address);
	add_text(row, "build", said->build);
	add_text(row, "runner", said->runner);
	add_text(row, "accel", said->accel);
	add_text(row, "accel_reason", said->accel_reason);
	add_share(row, "slots", "used", host ? slots_used(host) : 0, said->slots);
	add_share(row, "cpus", "given", cpus, said->guest_cpus);
	add_share(row, "mem_bytes", "given", mem_bytes,
		  said->mem_bytes < MEM_BYTES_BOUNDLESS ? said->mem_bytes : 0);
	add_text(row, "admission", kt_sweep_admission_name(kt_sweep_admission(muster->sweep, id)));
	add_text(row, "why", said->why);
	if (host && host->peer && said != &unknown)
		is_too_small(muster, said, lacks);
	add_text(row, "too_small", lacks);
	add_bool(row, "leaving", said->leaving);
	json_object_object_add(row, "running", running);
	add_u64(row, "ending", host ? host->n_dying : 0);
	if (host && host->boot_id)
		add_span(row, "heard_s", muster->now_ns - host->heard_at_ns);
	else
		json_object_object_add(row, "heard_s", NULL); /* in an earlier term */
	add_clock(row, muster, host);
	add_u64(row, "cached", said->cached);
	return row;
}

/* Every host that the sweep ever heard of, and those that came and were given nothing yet. */
struct json_object *kt_muster_workers(const struct kt_muster *muster)
{
	struct json_object *answer = json_object_new_object();
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < muster->fleet->n_hosts; i++)
		json_object_array_add(list, worker_of(muster, muster->fleet->hosts[i]->id));
	for (size_t i = 0; i < muster->sweep->n_hosts; i++)
		if (!kt_fleet_find_host(muster->fleet, muster->sweep->hosts[i].id))
			json_object_array_add(list, worker_of(muster, muster->sweep->hosts[i].id));
	add_text(answer, "sweep", muster->sweep->id);
	add_text(answer, "endpoint", muster->endpoint);
	json_object_object_add(answer, "workers", list);
	return answer;
}

/* ---- status ---- */

static void add_states(struct json_object *to, const struct kt_sweep *sweep)
{
	struct json_object *states = json_object_new_object();
	struct json_object *outcomes = json_object_new_object();

	for (int i = 0; i < KT_CELL_STATE_N; i++)
		add_u64(states, kt_sweep_state_name((enum kt_cell_state)i), sweep->counts[i]);
	for (int i = KT_OUTCOME_SKIP; i < KT_OUTCOME_N; i++)
		add_u64(outcomes, kt_sweep_outcome_name((enum kt_outcome)i), sweep->outcomes[i]);
	add_u64(outcomes, "error", sweep->counts[KT_CELL_ERRORED]);
	add_u64(outcomes, "cancelled", sweep->counts[KT_CELL_CANCELLED]);
	json_object_object_add(to, "states", states);
	json_object_object_add(to, "outcomes", outcomes);
}

struct hosts {
	uint64_t connected;
	uint64_t open; /* of those */
	uint64_t drained;
	uint64_t quarantined;
	uint64_t roomy; /* of the open ones: with a free slot */
	uint64_t away; /* seen, and not connected now */
};

static struct hosts count_hosts(const struct kt_muster *muster)
{
	struct hosts hosts = { 0 };

	for (size_t i = 0; i < muster->fleet->n_hosts; i++) {
		const struct kt_host *host = muster->fleet->hosts[i];
		const struct kt_roster_host *said = kt_roster_find_host(muster->roster, host->id);
		enum kt_admission admission = kt_sweep_admission(muster->sweep, host->id);

		if (!host->peer) {
			hosts.away++;
			continue;
		}
		hosts.connected++;
		hosts.drained += admission == KT_ADMISSION_DRAINED || (said && said->leaving);
		hosts.quarantined += admission == KT_ADMISSION_QUARANTINED;
		if (admission != KT_ADMISSION_OPEN || (said && said->leaving))
			continue;
		hosts.open++;
		hosts.roomy += said && slots_used(host) < said->slots;
	}
	return hosts;
}

struct waiting {
	const char *why;
	uint64_t n;
	uint64_t first;
};

static void count_wait(struct waiting *waiting, uint64_t cell)
{
	if (!waiting->n++)
		waiting->first = cell;
}

static void add_wait(const struct kt_muster *muster, struct json_object *list,
		     const struct waiting *waiting)
{
	struct json_object *row;
	char name[KT_CELL_NAME_BYTES_MAX];

	if (!waiting->n)
		return;
	row = json_object_new_object();
	add_u64(row, "cells", waiting->n);
	add_text(row, "first", kt_matrix_cell_name(muster->matrix, waiting->first, name));
	add_text(row, "why", waiting->why);
	json_object_array_add(list, row);
}

static const char *why_pending(const struct kt_muster *muster, const struct hosts *hosts)
{
	if (!muster->fleet)
		return muster->sweep->closed ? "" : "nobody runs this sweep: ktcoord resume";
	if (!hosts->connected)
		return hosts->away ? "no host is connected: every one that was here is away"
				   : "no host is connected: ktworker --connect";
	if (!hosts->open)
		return hosts->drained
			       ? "no host takes cells: drained or quarantined (ktcoord "
				 "workers; ktcoord drain HOST --undo)"
			       : "no host takes cells: quarantined, each tries one at a time";
	return hosts->roomy ? "no host with a free slot can take them: no room, or not the host of "
			      "their pair"
			    : "every slot is taken";
}

static struct json_object *waits_of(const struct kt_muster *muster, const struct hosts *hosts)
{
	struct json_object *list = json_object_new_array();
	const struct kt_sweep *sweep = muster->sweep;
	struct waiting fresh = { .why = why_pending(muster, hosts) };
	struct waiting returned = {
		.why = "came back after infra trouble: waits for its next try"
	};
	struct waiting ended = { .why = "has run: waits for its verdict" };

	for (uint64_t i = 0; i < sweep->n_cells && i < PENDING_LOOKED_AT_MAX; i++) {
		if (sweep->cells[i].state == KT_CELL_PENDING)
			count_wait(sweep->cells[i].charged ? &returned : &fresh, i);
		else if (sweep->cells[i].state == KT_CELL_ENDED)
			count_wait(&ended, i);
	}
	if (sweep->n_cells > PENDING_LOOKED_AT_MAX)
		fresh.n = sweep->counts[KT_CELL_PENDING] - returned.n;
	for (size_t i = 0; i < muster->n_complaints; i++) {
		const struct kt_muster_complaint *complaint = &muster->complaints[i];
		struct waiting hopeless = { .why = complaint->why,
					    .n = complaint->n,
					    .first = complaint->cell };

		if (sweep->cells[complaint->cell].state != KT_CELL_PENDING)
			continue;
		fresh.n -= fresh.n < hopeless.n ? fresh.n : hopeless.n;
		add_wait(muster, list, &hopeless);
	}
	add_wait(muster, list, &fresh);
	add_wait(muster, list, &returned);
	add_wait(muster, list, &ended);
	return list;
}

static void add_pace(const struct kt_muster *muster, struct json_object *answer)
{
	uint64_t done = kt_sweep_n_done(muster->sweep);
	uint64_t left = kt_sweep_n_to_run(muster->sweep) - done;
	double rate = rate_of(muster->pace, muster->now_ns, done);

	add_span(answer, "runs_s", muster->now_ns - muster->begun_at_ns);
	add_span(answer, "cells_per_s", (int64_t)(rate * (double)KT_NS_PER_S));
	if (rate > 0)
		add_span(answer, "left_s", (int64_t)((double)left / rate * (double)KT_NS_PER_S));
	else
		json_object_object_add(answer, "left_s", NULL);
}

struct json_object *kt_muster_status(const struct kt_muster *muster)
{
	struct json_object *answer = json_object_new_object();
	const struct kt_sweep *sweep = muster->sweep;
	struct hosts hosts = { 0 };

	add_bool(answer, "running", muster->fleet != NULL);
	add_text(answer, "sweep", sweep->id);
	add_text(answer, "file", muster->file);
	add_bool(answer, "closed", sweep->closed);
	add_u64(answer, "cells", sweep->n_cells);
	add_u64(answer, "to_run", kt_sweep_n_to_run(sweep));
	add_u64(answer, "done", kt_sweep_n_done(sweep));
	add_states(answer, sweep);
	if (muster->fleet) {
		struct json_object *json = json_object_new_object();

		hosts = count_hosts(muster);
		add_u64(json, "connected", hosts.connected);
		add_u64(json, "open", hosts.open);
		add_u64(json, "drained", hosts.drained);
		add_u64(json, "quarantined", hosts.quarantined);
		add_u64(json, "away", hosts.away);
		json_object_object_add(answer, "hosts", json);
		add_text(answer, "endpoint", muster->endpoint);
		add_pace(muster, answer);
	}
	json_object_object_add(answer, "waits", waits_of(muster, &hosts));
	return answer;
}
