/* A small world around the real dispatch: hosts that run cells, die, fall silent and come back, a
 * network that loses messages, a coordinator that is killed and folds its facts again. One seed, one
 * history. tests/sim will grow out of it.
 *
 * Worker 3 has the name of worker 0: whoever speaks while the other is silent is in. Worker 4 lies:
 * about cells, epochs, samples, slots, leases of others. Frames are encoded and decoded on their way, so
 * that nothing outlives what it borrows from; they come twice, late, and in another order.
 */
#include "coordinator/core/dispatch.h"
#include "proto/base/must.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define HOSTS    5
#define TWIN     3
#define LIAR     4
#define SLOTS    2
#define CELLS    40
#define EPOCHS   65536
#define TTL_NS   (2 * KT_NS_PER_S)
#define GRACE_NS (3 * KT_NS_PER_S)
#define STEP_NS  (100 * KT_NS_PER_MS)

struct held {
	uint64_t cell, epoch;
	uint64_t run; /* whose samples they are: no two runs of anything have the same */
	int64_t done_at_ns;
	bool acked;
};

struct worker {
	uint64_t boot_id, peer, session, seq;
	struct held held[SLOTS * 4];
	size_t n_held;
	int64_t silent_until_ns;
	int64_t drain_until_ns;
};

struct frame { /* on its way to the coordinator */
	struct kt_buf bytes;
	uint64_t peer;
	size_t from; /* worker */
};

struct log_entry {
	uint32_t tag;
	struct kt_buf bytes;
};

struct world {
	uint64_t random;
	int64_t now_ns;
	struct kt_sweep sweep;
	struct kt_dispatch *dispatch;
	struct kt_dispatch_config config;
	struct kt_out out;
	struct worker workers[HOSTS];
	struct log_entry *log; /* the journal */
	size_t n_log;
	uint64_t judged_times[CELLS];
	struct { /* what the world itself knows of a lease */
		uint64_t cell, kept, run, total;
		int64_t renewed_ns;
		char host[8];
		bool over, mixed;
	} leases[EPOCHS];
	uint64_t runs;
	struct frame wire[512];
	size_t n_wire;
	const struct frame *now; /* being delivered */
	const struct kt_msg_sync *now_sync; /* when it is one */
	unsigned int twice, swapped; /* percent */
	unsigned int loss; /* percent */
	uint64_t peers;
};

static uint64_t draw(struct world *w, uint64_t n)
{
	w->random ^= w->random << 13;
	w->random ^= w->random >> 7;
	w->random ^= w->random << 17;
	return w->random % n;
}

static void job(void *arg, uint64_t cell, struct kt_arena *arena, struct kt_msg_job *out)
{
	static struct kt_msg_kernel kernel = { .name = "k", .version = "" };
	static struct kt_msg_scheduler scheduler = { .name = "s" };
	static struct kt_msg_topology topology = {
		.name = "t", .numa_nodes = 1, .llcs = 1, .cores = 1, .threads = 1, .mem_bytes = 1
	};
	static struct kt_msg_scenario scenario = { .name = "c", .duration_ns = 1 };

	*out = (struct kt_msg_job){ .cell_name = "c/k/s/t#0",
				    .script = "",
				    .kernel = &kernel,
				    .scheduler = &scheduler,
				    .topology = &topology,
				    .scenario = &scenario };
}

static struct held *held_of(struct worker *worker, uint64_t epoch)
{
	for (size_t i = 0; i < worker->n_held; i++)
		if (worker->held[i].epoch == epoch)
			return &worker->held[i];
	return NULL;
}

static void drop_held(struct worker *worker, struct held *held)
{
	*held = worker->held[--worker->n_held];
}

static void receive(struct world *w, struct worker *worker, const struct kt_effect *effect)
{
	if (effect->tag == KT_TAG_welcome) {
		worker->session = ((const struct kt_msg_welcome *)effect->body)->session;
	} else if (effect->tag == KT_TAG_refuse) {
		worker->session = 0;
	} else if (effect->tag == KT_TAG_ack) {
		const struct kt_msg_ack *ack = effect->body;
		struct held *held = held_of(worker, ack->epoch);

		if (held && ack->result)
			drop_held(worker, held);
	} else if (effect->tag == KT_TAG_state) {
		const struct kt_msg_state *state = effect->body;

		for (size_t i = 0; i < state->n_revokes; i++) {
			struct held *held = held_of(worker, state->revokes[i].epoch);

			if (held)
				drop_held(worker, held);
		}
		for (size_t i = 0; i < state->n_grants; i++) {
			size_t running = 0;

			if (held_of(worker, state->grants[i].epoch))
				continue;
			for (size_t k = 0; k < worker->n_held; k++)
				running += worker->held[k].done_at_ns > w->now_ns;
			if (worker == &w->workers[LIAR] && worker->n_held == SLOTS)
				continue;
			cr_assert_lt(running, SLOTS, "slots are never oversubscribed");
			cr_assert_geq(w->now_ns, worker->drain_until_ns,
				      "a worker that is drained is granted nothing");
			worker->held[worker->n_held++] = (struct held){
				.cell = state->grants[i].cell,
				.epoch = state->grants[i].epoch,
				.run = ++w->runs,
				.done_at_ns = w->now_ns + (int64_t)(1 + draw(w, 30)) * STEP_NS,
			};
		}
	}
}

static void absorb(struct world *w);

static void step(struct world *w, struct kt_input *input)
{
	input->now_ns = w->now_ns;
	kt_dispatch_step(w->dispatch, input, &w->out);
	absorb(w);
}

static const char *name_of(size_t worker)
{
	static const char *const names[HOSTS] = { "a", "b", "c", "a", "liar" };

	return names[worker];
}

/* What may be said of a lease, whoever says what. */
static void check_fact(struct world *w, uint32_t tag, const void *body)
{
	const struct kt_msg_fact_granted *granted = body;
	const struct kt_msg_fact_ended *ended = body;
	const struct kt_msg_fact_failed *failed = body;
	const struct kt_msg_fact_judged *judged = body;
	const struct kt_msg_fact_late *late = body;

	switch (tag) {
	case KT_TAG_fact_granted:
		cr_assert_lt(granted->epoch, EPOCHS);
		w->leases[granted->epoch].cell = granted->cell;
		w->leases[granted->epoch].renewed_ns = w->now_ns;
		snprintf(w->leases[granted->epoch].host, 8, "%.7s", granted->host);
		break;
	case KT_TAG_fact_ended:
		cr_assert_not(w->leases[ended->epoch].over, "a lease ends once");
		cr_assert_eq(w->leases[ended->epoch].cell, ended->cell);
		cr_assert(w->now);
		cr_assert_eq(strncmp(name_of(w->now->from), w->leases[ended->epoch].host, 7), 0,
			     "only its host ends a lease");
		w->leases[ended->epoch].over = true;
		w->leases[ended->epoch].total = ended->result->samples_total;
		break;
	case KT_TAG_fact_failed:
		w->leases[failed->epoch].over = true;
		if (strcmp(failed->cause, "lease_expired") == 0)
			cr_assert_geq(w->now_ns - w->leases[failed->epoch].renewed_ns, TTL_NS,
				      "a lease that was renewed does not expire");
		break;
	case KT_TAG_fact_judged:
		w->judged_times[judged->cell]++;
		break;
	case KT_TAG_fact_late:
		cr_assert(w->leases[late->epoch].over || w->leases[late->epoch].cell != late->cell,
			  "what is late has ended before");
		break;
	}
}

/* What a SYNC that was answered has renewed. */
static void note_renewals(struct world *w, const struct kt_msg_sync *sync)
{
	for (size_t i = 0; i < sync->n_held; i++) {
		uint64_t epoch = sync->held[i].epoch;

		if (epoch < EPOCHS && w->leases[epoch].cell == sync->held[i].cell &&
		    strncmp(w->leases[epoch].host, name_of(w->now->from), 7) == 0)
			w->leases[epoch].renewed_ns = w->now_ns;
	}
}

static void check_send(struct world *w, const struct kt_effect *effect)
{
	const struct kt_msg_ack *ack = effect->body;
	KT_AUTO_BUF bytes = { 0 };

	kt_codec_encode_frame(&kt_schema_fleet, effect->tag, effect->body, &bytes);
	if (effect->tag == KT_TAG_state && w->now_sync)
		note_renewals(w, w->now_sync);
	if (effect->tag != KT_TAG_ack || ack->epoch >= EPOCHS || !w->now ||
	    w->now->from == LIAR /* whatever it is told */ ||
	    strncmp(w->leases[ack->epoch].host, name_of(w->now->from), 7) != 0)
		return;
	if (ack->result)
		cr_assert(w->leases[ack->epoch].over, "no result is acknowledged before its fact");
	else if (!w->leases[ack->epoch].over)
		cr_assert_leq(ack->samples, w->leases[ack->epoch].kept,
			      "no sample is acknowledged that is not kept");
}

static void keep_sample(struct world *w, const struct kt_msg_sample_sent *sample)
{
	uint64_t run;

	cr_assert_not(w->leases[sample->epoch].over);
	cr_assert_eq(w->leases[sample->epoch].kept, sample->seq,
		     "samples are kept once and in order");
	w->leases[sample->epoch].kept++;
	memcpy(&run, sample->body.data, sizeof(run));
	w->leases[sample->epoch].mixed |= sample->seq && run != w->leases[sample->epoch].run;
	w->leases[sample->epoch].run = run;
}

static void judge(struct world *w, const struct kt_effect *effect)
{
	struct kt_msg_verdict verdict = { .outcome = "pass" };
	struct kt_input input = { .kind = KT_INPUT_JUDGED,
				  .cell = effect->cell,
				  .epoch = effect->epoch,
				  .verdict = &verdict };

	cr_assert(w->leases[effect->epoch].over);
	cr_assert_not(w->leases[effect->epoch].mixed, "one lease is one run");
	cr_assert_eq(w->leases[effect->epoch].kept, w->leases[effect->epoch].total,
		     "what is judged is complete");
	if (!draw(w, 20)) {
		input.kind = KT_INPUT_DAMAGED;
		input.line = "";
	}
	step(w, &input);
	if (!draw(w, 4)) { /* answers to questions that were not asked */
		input.epoch += draw(w, 3);
		step(w, &input);
	}
}

/* The journal, then the effects, as the server does it. */
static void absorb(struct world *w)
{
	struct kt_out out = w->out;

	memset(&w->out, 0, sizeof(w->out));
	for (size_t i = 0; i < out.n_facts; i++) {
		struct log_entry *entry;

		w->log = kt_must_realloc(w->log, w->n_log + 1, sizeof(*w->log));
		entry = &w->log[w->n_log++];
		*entry = (struct log_entry){ .tag = out.facts[i].tag };
		kt_codec_encode(kt_codec_message(&kt_facts_family, entry->tag)->schema,
				out.facts[i].body, &entry->bytes);
		check_fact(w, entry->tag, out.facts[i].body);
	}
	for (size_t i = 0; i < out.n_effects; i++)
		if (out.effects[i].kind == KT_EFFECT_KEEP_SAMPLE)
			keep_sample(w, out.effects[i].body);
	for (size_t i = 0; i < out.n_effects; i++) {
		const struct kt_effect *effect = &out.effects[i];

		if (effect->kind == KT_EFFECT_JUDGE)
			judge(w, effect);
		if (effect->kind != KT_EFFECT_SEND)
			continue;
		check_send(w, effect);
		if (draw(w, 100) < w->loss)
			continue;
		for (size_t k = 0; k < HOSTS; k++)
			if (w->workers[k].peer == effect->peer)
				receive(w, &w->workers[k], effect);
	}
	kt_out_destroy(&out);
}

static void deliver_frame(struct world *w, const struct frame *frame)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_input input = { .kind = KT_INPUT_FRAME, .peer = frame->peer };
	const struct kt_message *message;
	struct kt_err err = { 0 };
	void *body;

	cr_assert_eq(kt_codec_decode_frame(&kt_schema_fleet, frame->bytes.data, frame->bytes.len,
					   &arena, &message, &body, &err),
		     0, "%s", err.text);
	input.tag = message->tag;
	input.body = body;
	w->now_sync = message->tag == KT_TAG_sync ? body : NULL;
	w->now = frame;
	step(w, &input);
	w->now_sync = NULL;
	w->now = NULL;
}

/* Everything that is on its way, in some order; some of it comes once more, later. */
static void deliver_wire(struct world *w)
{
	size_t n = w->n_wire;
	size_t kept = 0;

	for (size_t i = 0; i < n; i++) {
		struct frame frame;

		if (draw(w, 100) < w->swapped) {
			size_t with = i + draw(w, n - i);

			frame = w->wire[i];
			w->wire[i] = w->wire[with];
			w->wire[with] = frame;
		}
		frame = w->wire[i];
		deliver_frame(w, &frame);
		if (draw(w, 100) < w->twice)
			w->wire[kept++] = frame;
		else
			kt_buf_destroy(&frame.bytes);
	}
	w->n_wire = kept;
}

static void say(struct world *w, struct worker *worker, uint32_t tag, void *body)
{
	struct frame *frame = &w->wire[w->n_wire];

	if (draw(w, 100) < w->loss || w->n_wire == sizeof(w->wire) / sizeof(w->wire[0]))
		return;
	*frame = (struct frame){ .peer = worker->peer, .from = (size_t)(worker - w->workers) };
	kt_codec_encode_frame(&kt_schema_fleet, tag, body, &frame->bytes);
	w->n_wire++;
}

static void hello(struct world *w, struct worker *worker)
{
	struct kt_digest digest;
	struct kt_msg_machine machine = { .runner = "scripted", .accel = "none" };
	struct kt_msg_hello msg = { .version_min = 1,
				    .version_max = 1,
				    .build = "t",
				    .worker_id = name_of((size_t)(worker - w->workers)),
				    .boot_id = worker->boot_id,
				    .slots = SLOTS,
				    .cpus = 1,
				    .mem_bytes = 1,
				    .machine = &machine,
				    .accel_reason = "" };

	kt_schema_digest(&kt_schema_fleet, &digest);
	msg.schema_digest = (struct kt_bin){ digest.bytes, KT_DIGEST_BYTES };
	worker->peer = ++w->peers;
	say(w, worker, KT_TAG_hello, &msg);
}

static void deliver(struct world *w, struct worker *worker, struct held held)
{
	struct kt_msg_result result = { .cause = draw(w, 10) ? "finished" : "qemu_died",
					.line = "",
					.series_digest = { 0 },
					.samples_total = 2,
					.evidence = "",
					.note = "" };
	struct kt_msg_result_sent sent = { .session = worker->session,
					   .cell = held.cell,
					   .epoch = held.epoch,
					   .result = &result };

	for (uint64_t seq = 0; seq < 2; seq++) {
		struct kt_msg_sample_sent sample = { .session = worker->session,
						     .cell = held.cell,
						     .epoch = held.epoch,
						     .seq = seq,
						     .body = { (const uint8_t *)&held.run,
							       sizeof(held.run) } };

		say(w, worker, KT_TAG_sample_sent, &sample);
	}
	say(w, worker, KT_TAG_result_sent, &sent);
}

/* Says what comes to its mind, within what a frame can hold. */
static void lie(struct world *w, struct worker *worker)
{
	static const char *const causes[] = { "finished",  "kernel_panic", "qemu_died",
					      "cancelled", "no_such",      "host_trouble" };
	static const uint64_t seqs[] = { 0, 1, 2, 3, 4095, 4096 };
	struct held *own = worker->n_held ? &worker->held[draw(w, worker->n_held)] : NULL;
	uint64_t cell = own && draw(w, 2) ? own->cell : draw(w, CELLS + 3);
	uint64_t epoch = own && draw(w, 2) ? own->epoch
			 : draw(w, 9)      ? 1 + draw(w, w->sweep.epoch + 2)
					   : UINT64_MAX;
	struct kt_msg_result result = { .cause = causes[draw(w, 6)],
					.line = "",
					.samples_total = seqs[draw(w, 6)],
					.evidence = "",
					.note = "" };
	struct kt_msg_result_sent sent = {
		.session = worker->session, .cell = cell, .epoch = epoch, .result = &result
	};
	struct kt_msg_sample_sent sample = { .session = worker->session,
					     .cell = cell,
					     .epoch = epoch,
					     .seq = seqs[draw(w, 6)],
					     .body = { (const uint8_t *)"liar....", 8 } };
	struct kt_msg_phase phase = { .session = worker->session,
				      .cell = cell,
				      .epoch = epoch,
				      .phase = "run",
				      .detail = "" };
	struct kt_msg_log_sent log = { .session = worker->session,
				       .cell = cell,
				       .epoch = epoch,
				       .stream = "console",
				       .seq = seqs[draw(w, 6)] };
	struct kt_msg_held held = { .cell = cell,
				    .epoch = epoch,
				    .phase = draw(w, 2) ? "run" : "done" };
	struct kt_msg_sync sync = { .session = worker->session,
				    .seq = draw(w, 3) ? ++worker->seq : UINT64_MAX,
				    .slots_free = draw(w, 2) ? KT_SLOTS_MAX : 0,
				    .held = &held,
				    .n_held = draw(w, 2),
				    .draining = !draw(w, 4) };
	struct kt_msg_bye bye = { .session = worker->session, .reason = "" };

	if (own && !draw(w, 30))
		drop_held(worker, own);
	switch (draw(w, 8)) {
	case 0:
		return say(w, worker, KT_TAG_sample_sent, &sample);
	case 1:
	case 2:
		return say(w, worker, KT_TAG_result_sent, &sent);
	case 3:
		return say(w, worker, KT_TAG_phase, &phase);
	case 4:
		return say(w, worker, KT_TAG_log_sent, &log);
	case 5:
		return say(w, worker, KT_TAG_sync, &sync);
	case 6:
		if (!draw(w, 10))
			say(w, worker, KT_TAG_bye, &bye);
		return;
	default:
		return hello(w, worker);
	}
}

static void run_worker(struct world *w, struct worker *worker)
{
	struct kt_msg_held list[SLOTS * 4];
	struct kt_msg_sync sync = { .seq = ++worker->seq, .slots_free = SLOTS, .held = list };
	struct held copy[SLOTS * 4];
	size_t n = worker->n_held;

	if (w->now_ns < worker->silent_until_ns)
		return;
	if (!draw(w, 400)) { /* kill -9: what ran is gone, what is finished is in the spool */
		worker->boot_id += 100;
		worker->session = 0;
		for (size_t i = worker->n_held; i-- > 0;)
			if (worker->held[i].done_at_ns > w->now_ns)
				drop_held(worker, &worker->held[i]);
		return;
	}
	if (!draw(w, 300)) { /* stopped, or cut off, for longer than a lease */
		worker->silent_until_ns = w->now_ns + 4 * KT_NS_PER_S;
		return;
	}
	if (!worker->session)
		return hello(w, worker);
	if (worker == &w->workers[LIAR])
		return lie(w, worker);
	if (!draw(w, 200))
		worker->drain_until_ns = w->now_ns + KT_NS_PER_S;
	sync.draining = w->now_ns < worker->drain_until_ns;
	memcpy(copy, worker->held, sizeof(copy));
	for (size_t i = 0; i < n && worker->session; i++)
		if (copy[i].done_at_ns <= w->now_ns)
			deliver(w, worker, copy[i]);
	sync.session = worker->session;
	for (size_t i = 0; i < worker->n_held; i++) {
		bool done = worker->held[i].done_at_ns <= w->now_ns;

		list[sync.n_held++] = (struct kt_msg_held){ .cell = worker->held[i].cell,
							    .epoch = worker->held[i].epoch,
							    .phase = done ? "done" : "run" };
		sync.slots_free -= !done && sync.slots_free;
	}
	if (worker->session && worker->n_held <= SLOTS)
		say(w, worker, KT_TAG_sync, &sync);
}

/* kill -9 of the coordinator: only the log is left. */
static void restart_coordinator(struct world *w)
{
	struct kt_sweep again;

	kt_sweep_init(&again);
	for (size_t i = 0; i < w->n_log; i++) {
		const struct kt_schema *schema =
			kt_codec_message(&kt_facts_family, w->log[i].tag)->schema;
		KT_AUTO_ARENA arena = { 0 };
		void *fact = kt_arena_alloc(&arena, 1, schema->size);
		struct kt_err err = { 0 };

		cr_assert_eq(kt_codec_decode(schema, w->log[i].bytes.data, w->log[i].bytes.len,
					     &arena, fact, &err),
			     0, "%s", err.text);
		cr_assert_eq(kt_sweep_apply(&again, w->log[i].tag, fact, &err), 0, "%s", err.text);
	}
	cr_assert(kt_sweep_equal(&again, &w->sweep), "replay(journal) == state");
	kt_dispatch_destroy(&w->dispatch);
	kt_sweep_destroy(&w->sweep);
	w->sweep = again;
	w->config.session_seed += 1000000;
	w->dispatch = kt_dispatch_new(&w->sweep, &w->config, w->now_ns);
	for (uint64_t i = 0; i < CELLS; i++) {
		uint64_t epoch = w->sweep.cells[i].epoch;

		kt_dispatch_restore_samples(w->dispatch, epoch, w->leases[epoch].kept);
		w->leases[epoch].renewed_ns = w->now_ns + GRACE_NS - TTL_NS;
	}
	kt_dispatch_begin(w->dispatch, &w->out);
	absorb(w);
}

/* Nothing waits longer than a lease and a grace for a worker that is silent. */
static void check_leases(const struct world *w)
{
	for (size_t i = 0; i < CELLS; i++) {
		const struct kt_cell *cell = &w->sweep.cells[i];

		if (cell->state == KT_CELL_LEASED)
			cr_assert_leq(w->now_ns - w->leases[cell->epoch].renewed_ns,
				      TTL_NS + GRACE_NS, "silent leases expire");
		cr_assert_neq(cell->state, KT_CELL_ENDED, "what ended is judged at once");
	}
}

static void run_world(uint64_t seed, unsigned int loss)
{
	static struct world world;
	struct world *w = &world;
	struct kt_msg_fact_opened fact = {
		.sweep_id = "s", .n_cells = CELLS, .attempts_max = 50, .version = "0"
	};
	unsigned int steps = 0;

	memset(w, 0, sizeof(*w));
	w->random = seed * 2654435761u + 88172645463325252ull;
	w->loss = loss;
	w->twice = loss;
	w->swapped = loss;
	w->config = (struct kt_dispatch_config){ .runner = "scripted",
						 .bulk_endpoint = "ipc:///b",
						 .ttl_ns = TTL_NS,
						 .sync_ns = STEP_NS,
						 .grace_ns = GRACE_NS,
						 .retry_ns = STEP_NS,
						 .session_seed = 1,
						 .job = job };
	kt_sweep_init(&w->sweep);
	cr_assert_eq(kt_sweep_apply(&w->sweep, KT_TAG_fact_opened, &fact, NULL), 0);
	w->log = kt_must_calloc(1, sizeof(*w->log));
	w->log[w->n_log++].tag = KT_TAG_fact_opened;
	kt_codec_encode(&kt_schema_fact_opened, &fact, &w->log[0].bytes);
	w->dispatch = kt_dispatch_new(&w->sweep, &w->config, 0);
	kt_dispatch_begin(w->dispatch, &w->out);
	absorb(w);
	for (size_t i = 0; i < HOSTS; i++)
		w->workers[i].boot_id = i + 1;
	while (!w->sweep.closed) {
		struct kt_input tick = { .kind = KT_INPUT_TICK };

		cr_assert_lt(++steps, 20000u, "seed %llu does not come to an end",
			     (unsigned long long)seed);
		w->now_ns += STEP_NS;
		for (size_t i = 0; i < HOSTS; i++)
			run_worker(w, &w->workers[i]);
		deliver_wire(w);
		step(w, &tick);
		check_leases(w);
		if (!draw(w, 150))
			restart_coordinator(w);
	}
	restart_coordinator(w);
	for (size_t i = 0; i < w->n_wire; i++)
		kt_buf_destroy(&w->wire[i].bytes);
	for (size_t i = 0; i < CELLS; i++) {
		cr_assert_eq(w->judged_times[i], w->sweep.cells[i].state == KT_CELL_JUDGED,
			     "no cell is judged twice");
		cr_assert(w->sweep.cells[i].state == KT_CELL_JUDGED ||
				  w->sweep.cells[i].state == KT_CELL_ERRORED,
			  "every cell has its end");
	}
	kt_dispatch_destroy(&w->dispatch);
	kt_sweep_destroy(&w->sweep);
	kt_out_destroy(&w->out);
	for (size_t i = 0; i < w->n_log; i++)
		kt_buf_destroy(&w->log[i].bytes);
	free(w->log);
}

Test(dispatch, every_cell_ends_once_in_a_quiet_world)
{
	run_world(1, 0);
}

Test(dispatch, every_cell_ends_once_whatever_is_lost_killed_or_restarted, .timeout = 60)
{
	for (uint64_t seed = 1; seed <= 60; seed++)
		run_world(seed, (unsigned int)(seed % 4) * 8);
}
