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
#define REPEATS  4
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
	uint64_t grouped_times[CELLS]; /* by the first cell */
	uint64_t charges[CELLS]; /* failed attempts that count */
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
	bool restarts; /* the coordinator is killed now and then */
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

/* Every other four cells are repeats that something is asserted over. */
static bool group(void *arg, uint64_t cell, uint64_t *first, uint64_t *n)
{
	*first = cell - cell % REPEATS;
	*n = REPEATS;
	return cell / REPEATS % 2 == 0;
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

/* Of the group that begins with cell i. */
static size_t n_left_out(const struct world *w, uint64_t i)
{
	size_t n = 0;

	for (uint64_t k = i; k < i + REPEATS && k < CELLS; k++)
		n += w->sweep.cells[k].state == KT_CELL_LEFT_OUT;
	return n;
}

/* What may be said of a lease, whoever says what. */
static void check_fact(struct world *w, uint32_t tag, const void *body)
{
	const struct kt_msg_fact_granted *granted = body;
	const struct kt_msg_fact_ended *ended = body;
	const struct kt_msg_fact_failed *failed = body;
	const struct kt_msg_fact_judged *judged = body;
	const struct kt_msg_fact_grouped *grouped = body;
	const struct kt_msg_fact_late *late = body;

	switch (tag) {
	case KT_TAG_fact_granted:
		cr_assert_lt(granted->epoch, EPOCHS);
		cr_assert_neq(w->sweep.cells[granted->cell].state, KT_CELL_LEFT_OUT);
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
		w->charges[failed->cell] += failed->charged;
		if (strcmp(failed->cause, "lease_expired") == 0)
			cr_assert_geq(w->now_ns - w->leases[failed->epoch].renewed_ns, TTL_NS,
				      "a lease that was renewed does not expire");
		break;
	case KT_TAG_fact_judged:
		w->judged_times[judged->cell]++;
		break;
	case KT_TAG_fact_grouped:
		w->grouped_times[grouped->cell]++;
		break;
	case KT_TAG_fact_closed:
		for (uint64_t i = 0; i < CELLS; i++)
			cr_assert_eq(w->grouped_times[i],
				     i % (2 * REPEATS) == 0 && n_left_out(w, i) < REPEATS,
				     "a sweep is closed when every group has its verdict, once");
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

static void judge_group(struct world *w, const struct kt_effect *effect)
{
	struct kt_msg_verdict verdict = { .outcome = "pass" };
	struct kt_input input = { .kind = KT_INPUT_GROUPED,
				  .cell = effect->cell,
				  .repeats = effect->repeats,
				  .verdict = &verdict };

	cr_assert(kt_sweep_has_ended(&w->sweep, effect->cell, effect->repeats));
	if (w->restarts && !draw(w, 3))
		return; /* killed before it was judged: asked again after the restart */
	step(w, &input);
	if (!draw(w, 2))
		step(w, &input);
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
		if (effect->kind == KT_EFFECT_GROUP)
			judge_group(w, effect);
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
	if (!worker->peer || draw(w, 2)) /* else the same connection, another session */
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
	struct kt_msg_held held[8];
	struct kt_msg_sync sync = { .session = worker->session,
				    .seq = draw(w, 3) ? ++worker->seq : UINT64_MAX,
				    .slots_free = draw(w, 2) ? KT_SLOTS_MAX : 0,
				    .held = held,
				    .n_held = draw(w, 9),
				    .draining = !draw(w, 4) };
	struct kt_msg_bye bye = { .session = worker->session, .reason = "" };

	for (size_t i = 0; i < 8; i++) { /* mostly leases that there are */
		uint64_t of = draw(w, CELLS);

		held[i] = (struct kt_msg_held){ .cell = draw(w, 4) ? of : cell,
						.epoch = draw(w, 4) ? w->sweep.cells[of].epoch
								    : epoch,
						.phase = draw(w, 2) ? "run" : "done" };
		if (!held[i].epoch)
			held[i].epoch = epoch;
	}
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
		worker->peer = 0;
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

/* Nothing waits longer than a lease for a worker that is silent, whoever else speaks of it. */
static void check_leases(const struct world *w)
{
	for (size_t i = 0; i < CELLS; i++) {
		const struct kt_cell *cell = &w->sweep.cells[i];

		if (cell->state == KT_CELL_LEASED)
			cr_assert_leq(w->now_ns - w->leases[cell->epoch].renewed_ns, TTL_NS,
				      "silent leases expire");
		cr_assert_neq(cell->state, KT_CELL_ENDED, "what ended is judged at once");
	}
}

/* As a sweep with a budget begins: a whole group, and here and there a cell. */
static void leave_out(struct world *w)
{
	struct kt_msg_fact_left_out fact = { .cell = 2 * REPEATS,
					     .n = REPEATS,
					     .why = "by a test" };

	while (fact.cell < CELLS) {
		cr_assert_eq(kt_sweep_apply(&w->sweep, KT_TAG_fact_left_out, &fact, NULL), 0);
		w->log = kt_must_realloc(w->log, w->n_log + 1, sizeof(*w->log));
		w->log[w->n_log] = (struct log_entry){ .tag = KT_TAG_fact_left_out };
		kt_codec_encode(&kt_schema_fact_left_out, &fact, &w->log[w->n_log++].bytes);
		fact.cell += fact.n + draw(w, 9);
		fact.n = fact.cell + 3 < CELLS ? 1 + draw(w, 3) : 1;
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
	w->restarts = seed % 3 != 0;
	w->twice = loss;
	w->swapped = loss;
	w->config = (struct kt_dispatch_config){ .runner = "scripted",
						 .bulk_endpoint = "ipc:///b",
						 .ttl_ns = TTL_NS,
						 .sync_ns = STEP_NS,
						 .grace_ns = GRACE_NS,
						 .retry_ns = STEP_NS,
						 .session_seed = 1,
						 .job = job,
						 .group = group };
	kt_sweep_init(&w->sweep);
	cr_assert_eq(kt_sweep_apply(&w->sweep, KT_TAG_fact_opened, &fact, NULL), 0);
	w->log = kt_must_calloc(1, sizeof(*w->log));
	w->log[w->n_log++].tag = KT_TAG_fact_opened;
	kt_codec_encode(&kt_schema_fact_opened, &fact, &w->log[0].bytes);
	if (seed % 2 == 0)
		leave_out(w);
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
		if (w->restarts && !draw(w, 150))
			restart_coordinator(w);
	}
	restart_coordinator(w);
	for (size_t i = 0; i < w->n_wire; i++)
		kt_buf_destroy(&w->wire[i].bytes);
	for (size_t i = 0; i < CELLS; i++) {
		cr_assert_eq(w->judged_times[i], w->sweep.cells[i].state == KT_CELL_JUDGED,
			     "no cell is judged twice");
		cr_assert_eq(w->sweep.cells[i].charged, w->charges[i]);
		cr_assert(w->sweep.cells[i].state == KT_CELL_JUDGED ||
				  w->sweep.cells[i].state == KT_CELL_ERRORED ||
				  w->sweep.cells[i].state == KT_CELL_LEFT_OUT,
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

/* ---- one thing at a time ---- */

struct scene {
	struct kt_sweep sweep;
	struct kt_dispatch_config config;
	struct kt_dispatch *dispatch;
	struct kt_out out; /* of the last step; the one before is gone */
	int64_t now_ns;
	uint64_t session, seq;
	const char *who; /* the host that its key is of; NULL: no keys */
	enum kt_role role;
};

static void scene_step(struct scene *scene, struct kt_input *input)
{
	input->now_ns = scene->now_ns;
	kt_out_reset(&scene->out);
	kt_dispatch_step(scene->dispatch, input, &scene->out);
	for (size_t i = 0; i < scene->out.n_effects; i++) {
		const struct kt_effect *effect = &scene->out.effects[i];
		KT_AUTO_BUF bytes = { 0 };

		if (effect->kind != KT_EFFECT_SEND)
			continue;
		kt_codec_encode_frame(&kt_schema_fleet, effect->tag, effect->body, &bytes);
		if (effect->tag == KT_TAG_welcome)
			scene->session = ((const struct kt_msg_welcome *)effect->body)->session;
	}
	for (size_t i = 0; i < scene->out.n_facts; i++) {
		KT_AUTO_BUF bytes = { 0 };

		kt_codec_encode(kt_codec_message(&kt_facts_family, scene->out.facts[i].tag)->schema,
				scene->out.facts[i].body, &bytes);
		cr_assert_leq(bytes.len, KT_FRAME_BYTES_MAX, "every fact can be read back");
	}
}

static void scene_say(struct scene *scene, uint32_t tag, const void *body)
{
	struct kt_input input = { .kind = KT_INPUT_FRAME,
				  .peer = 1,
				  .tag = tag,
				  .body = body,
				  .who = scene->who,
				  .role = scene->role };

	scene_step(scene, &input);
}

static void scene_hello(struct scene *scene, const char *id)
{
	struct kt_digest digest;
	struct kt_msg_machine machine = { .runner = "scripted", .accel = "none" };
	struct kt_msg_hello msg = { .version_min = 1,
				    .version_max = 1,
				    .build = "t",
				    .worker_id = id,
				    .boot_id = 1,
				    .slots = KT_SLOTS_MAX,
				    .cpus = 1,
				    .mem_bytes = 1,
				    .machine = &machine,
				    .accel_reason = "" };

	kt_schema_digest(&kt_schema_fleet, &digest);
	msg.schema_digest = (struct kt_bin){ digest.bytes, KT_DIGEST_BYTES };
	scene_say(scene, KT_TAG_hello, &msg);
}

static void scene_open(struct scene *scene, uint64_t n_cells)
{
	struct kt_msg_fact_opened opened = {
		.sweep_id = "s", .n_cells = n_cells, .attempts_max = 3, .version = "0"
	};

	memset(scene, 0, sizeof(*scene));
	scene->config = (struct kt_dispatch_config){ .runner = "scripted",
						     .bulk_endpoint = "ipc:///b",
						     .ttl_ns = TTL_NS,
						     .sync_ns = STEP_NS,
						     .grace_ns = GRACE_NS,
						     .retry_ns = STEP_NS,
						     .session_seed = 1,
						     .job = job };
	kt_sweep_init(&scene->sweep);
	kt_sweep_apply(&scene->sweep, KT_TAG_fact_opened, &opened, NULL);
	scene->dispatch = kt_dispatch_new(&scene->sweep, &scene->config, 0);
	kt_dispatch_begin(scene->dispatch, &scene->out);
	scene_hello(scene, "a");
}

static void scene_sync(struct scene *scene, uint64_t slots_free, struct kt_msg_held *held, size_t n)
{
	struct kt_msg_sync sync = { .session = scene->session,
				    .seq = ++scene->seq,
				    .slots_free = slots_free,
				    .held = held,
				    .n_held = n };

	scene_say(scene, KT_TAG_sync, &sync);
}

static void scene_close(struct scene *scene)
{
	kt_dispatch_destroy(&scene->dispatch);
	kt_sweep_destroy(&scene->sweep);
	kt_out_destroy(&scene->out);
}

Test(dispatch, a_key_speaks_for_its_own_host_and_only_with_the_role_work)
{
	static const struct {
		const char *who;
		enum kt_role role;
		const char *id;
		const char *refusal; /* NULL: it is welcome */
	} rows[] = {
		{ NULL, KT_ROLE_WORK, "b", NULL }, /* on trust */
		{ "b", KT_ROLE_WORK, "b", NULL },
		{ "b", KT_ROLE_WORK, "c",
		  "that of 'b', but it calls itself 'c': start it with --id b" },
		{ "b", KT_ROLE_WORK, "B", "but it calls itself 'B'" },
		{ "b", KT_ROLE_WORK, "", "but it calls itself ''" },
		{ "b", KT_ROLE_OBSERVE, "b", "has the role observe, which gets no work" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct kt_effect *effect;
		struct scene scene;

		scene_open(&scene, 1);
		scene.who = rows[i].who;
		scene.role = rows[i].role;
		scene_hello(&scene, rows[i].id);
		cr_assert_eq(scene.out.n_effects, 1);
		effect = &scene.out.effects[0];
		cr_assert_eq(effect->tag, rows[i].refusal ? KT_TAG_refuse : KT_TAG_welcome,
			     "row %zu", i);
		if (rows[i].refusal) {
			const struct kt_msg_refuse *refuse = effect->body;

			cr_assert(strstr(refuse->reason, rows[i].refusal), "row %zu: %s", i,
				  refuse->reason);
			cr_assert_not(refuse->rejoin);
			cr_assert_eq(scene.out.n_facts, 0, "it leaves no trace");
		} else {
			const struct kt_msg_welcome *welcome = effect->body;

			cr_assert(strcmp(welcome->host, rows[i].who ? rows[i].who : "") == 0);
		}
		scene_close(&scene);
	}
}

Test(dispatch, samples_that_never_come_do_not_hold_a_cell_for_ever)
{
	struct kt_msg_result result = {
		.cause = "finished", .line = "", .samples_total = 3, .evidence = "", .note = ""
	};
	struct kt_msg_held held = { .epoch = 1, .phase = "done" };
	struct scene scene;
	unsigned int n = 0;

	scene_open(&scene, 1);
	scene_sync(&scene, 1, NULL, 0);
	while (scene.sweep.cells[0].state == KT_CELL_LEASED) {
		struct kt_msg_result_sent sent = { .session = scene.session,
						   .epoch = 1,
						   .result = &result };

		cr_assert_lt(++n, 100);
		scene_say(&scene, KT_TAG_result_sent, &sent);
		if (scene.sweep.cells[0].state != KT_CELL_LEASED)
			break;
		scene_hello(&scene, "a");
		scene_sync(&scene, 0, &held, 1);
	}
	cr_assert_eq(scene.sweep.cells[0].charged, 1);
	scene_close(&scene);
}

static void big_job(void *arg, uint64_t cell, struct kt_arena *arena, struct kt_msg_job *out)
{
	static char text[KT_TEXT_BYTES_MAX + 1];
	static struct kt_msg_arg args[60];

	memset(text, 'x', sizeof(text) - 1);
	for (size_t i = 0; i < 60; i++)
		args[i].text = text;
	job(arg, cell, arena, out);
	out->scheduler = kt_arena_alloc(arena, 1, sizeof(*out->scheduler));
	*out->scheduler = (struct kt_msg_scheduler){ .name = "s", .args = args, .n_args = 60 };
}

Test(dispatch, grants_that_do_not_fit_one_state_come_with_the_next)
{
	struct kt_msg_held held[KT_SLOTS_MAX];
	size_t n_held = 0;
	struct scene scene;

	scene_open(&scene, 20);
	scene.config.job = big_job;
	for (unsigned int i = 0; i < 20 && n_held < 20; i++) {
		const struct kt_msg_state *state;

		scene_sync(&scene, 20 - n_held, held, n_held);
		cr_assert_eq(scene.out.effects[scene.out.n_effects - 1].tag, KT_TAG_state);
		state = scene.out.effects[scene.out.n_effects - 1].body;
		cr_assert_gt(state->n_grants, 0);
		for (size_t k = 0; k < state->n_grants; k++)
			held[n_held++] = (struct kt_msg_held){ .cell = state->grants[k].cell,
							       .epoch = state->grants[k].epoch,
							       .phase = "run" };
	}
	cr_assert_eq(n_held, 20);
	scene_close(&scene);
}

/* The frame is as large as a frame may be; the fact says the cause and the line once more. */
Test(dispatch, a_result_of_a_whole_frame_becomes_a_fact_that_can_be_read)
{
	static struct kt_msg_worker_report reports[KT_WORKERS_MAX];
	static char line[KT_TEXT_BYTES_MAX + 1];
	static char evidence[KT_LOG_BYTES_MAX + 1];
	struct kt_msg_result result = {
		.cause = "qemu_died", .line = line, .evidence = evidence, .note = ""
	};
	struct kt_msg_result_sent sent = { .epoch = 1, .result = &result };
	static char missing[160];
	struct scene scene;

	memset(line, 'l', sizeof(line) - 1);
	memset(evidence, 'e', sizeof(evidence) - 1);
	memset(missing, 'm', sizeof(missing) - 1);
	result.reports = reports;
	for (size_t i = 0; i < KT_WORKERS_MAX; i++)
		reports[i] = (struct kt_msg_worker_report){ .cgroup = "c", .missing = missing };
	scene_open(&scene, 1);
	scene_sync(&scene, 1, NULL, 0);
	sent.session = scene.session;
	while (result.n_reports < KT_WORKERS_MAX &&
	       kt_codec_frame_bytes(&kt_schema_fleet, KT_TAG_result_sent, &sent) <
		       KT_FRAME_BYTES_MAX - 300)
		result.n_reports++;
	scene_say(&scene, KT_TAG_result_sent, &sent);
	cr_assert_eq(scene.out.facts[0].tag, KT_TAG_fact_failed);
	cr_assert_str_eq(
		((const struct kt_msg_fact_failed *)scene.out.facts[0].body)->result->cause,
		"qemu_died");
	scene_close(&scene);
}

Test(dispatch, a_verdict_of_many_words_is_cut_and_says_so)
{
	static struct kt_msg_detail details[4096];
	static char text[KT_TEXT_BYTES_MAX + 1];
	struct kt_msg_verdict verdict = { .outcome = "fail",
					  .details = details,
					  .n_details = 4096 };
	struct kt_msg_result result = {
		.cause = "finished", .line = "", .evidence = "", .note = ""
	};
	struct kt_msg_result_sent sent = { .epoch = 1, .result = &result };
	struct kt_input input = { .kind = KT_INPUT_JUDGED, .epoch = 1, .verdict = &verdict };
	const struct kt_msg_fact_judged *judged;
	struct scene scene;

	memset(text, 't', sizeof(text) - 1);
	for (size_t i = 0; i < 4096; i++)
		details[i] = (struct kt_msg_detail){
			.outcome = "fail", .kind = "Temporal", .assertion = "", .text = text
		};
	scene_open(&scene, 1);
	scene_sync(&scene, 1, NULL, 0);
	sent.session = scene.session;
	scene_say(&scene, KT_TAG_result_sent, &sent);
	scene_step(&scene, &input);
	cr_assert_eq(scene.out.facts[0].tag, KT_TAG_fact_judged);
	judged = scene.out.facts[0].body;
	cr_assert_gt(judged->verdict->n_details, 100);
	cr_assert_str_eq(judged->verdict->details[judged->verdict->n_details - 1].kind, "Cut");
	cr_assert_eq(verdict.n_details, 4096, "what was given is as it was");
	scene_close(&scene);
}

Test(dispatch, leases_do_not_expire_while_the_coordinator_was_stopped)
{
	struct kt_msg_held held = { .epoch = 1, .phase = "run" };
	struct kt_input tick = { .kind = KT_INPUT_TICK };
	struct scene scene;

	scene_open(&scene, 1);
	scene_sync(&scene, 1, NULL, 0);
	scene_sync(&scene, 0, &held, 1);
	scene.now_ns = 3600 * KT_NS_PER_S;
	scene_step(&scene, &tick);
	cr_assert_eq(scene.sweep.cells[0].state, KT_CELL_LEASED);
	scene_sync(&scene, 0, &held, 1);
	for (int i = 0; i < 25; i++) {
		cr_assert_eq(scene.sweep.cells[0].state, i <= 20 ? KT_CELL_LEASED : KT_CELL_PENDING,
			     "after that they do, in their time: %d", i);
		scene.now_ns += STEP_NS;
		scene_step(&scene, &tick);
		if (scene.sweep.cells[0].state == KT_CELL_PENDING)
			break;
	}
	cr_assert_eq(scene.sweep.cells[0].state, KT_CELL_PENDING);
	scene_close(&scene);
}

Test(dispatch, who_leaves_gives_back_at_once_and_without_a_charge)
{
	struct kt_msg_held held[2] = { { .epoch = 1, .phase = "run" },
				       { .cell = 1, .epoch = 2, .phase = "done" } };
	struct kt_msg_bye bye = { .reason = "" };
	struct scene scene;

	scene_open(&scene, 2);
	scene_sync(&scene, 2, NULL, 0);
	scene_sync(&scene, 0, held, 2);
	bye.session = scene.session;
	scene_say(&scene, KT_TAG_bye, &bye);
	cr_assert_eq(scene.sweep.cells[0].state, KT_CELL_PENDING);
	cr_assert_eq(scene.sweep.cells[0].charged, 0);
	cr_assert_eq(scene.sweep.cells[1].state, KT_CELL_LEASED, "its result may still come");
	scene_close(&scene);
}

Test(dispatch, names_are_not_taken_in_without_end)
{
	struct scene scene;
	char id[16];

	scene_open(&scene, 1);
	for (int i = 0; i < 17000; i++) {
		snprintf(id, sizeof(id), "w%d", i);
		scene_hello(&scene, id);
		cr_assert_leq(kt_dispatch_n_live_hosts(scene.dispatch), 1,
			      "one connection is one worker");
	}
	cr_assert_eq(scene.out.effects[0].tag, KT_TAG_refuse);
	scene_close(&scene);
}

Test(dispatch, what_belongs_to_an_earlier_session_changes_nothing)
{
	struct kt_msg_held held = { .epoch = 1, .phase = "run" };
	struct scene scene;
	uint64_t earlier;

	scene_open(&scene, 1);
	scene_sync(&scene, 1, NULL, 0);
	scene_sync(&scene, 0, &held, 1);
	earlier = scene.session;
	scene_hello(&scene, "a");
	cr_assert_neq(scene.session, earlier);
	scene.session = earlier;
	scene_sync(&scene, 1, NULL, 0);
	cr_assert_eq(scene.sweep.cells[0].state, KT_CELL_LEASED, "not lost by it");
	cr_assert_eq(scene.out.effects[0].tag, KT_TAG_refuse);
	scene_close(&scene);
}

/* The worker of an earlier term may be the same process: its guests live on until it says otherwise. */
Test(dispatch, who_comes_back_after_a_restart_may_have_guests_that_were_cancelled_meanwhile)
{
	struct kt_input cancel = { .kind = KT_INPUT_CANCEL, .n = 1 };
	struct kt_msg_held held = { .epoch = 1, .phase = "run" };
	struct scene scene;

	scene_open(&scene, 2);
	scene_sync(&scene, 1, NULL, 0);
	scene_sync(&scene, 0, &held, 1);
	kt_dispatch_destroy(&scene.dispatch);
	kt_out_reset(&scene.out);
	scene.config.session_seed += 1000;
	scene.dispatch = kt_dispatch_new(&scene.sweep, &scene.config, scene.now_ns);
	kt_dispatch_begin(scene.dispatch, &scene.out);
	scene_step(&scene, &cancel);
	cr_assert_eq(scene.sweep.cells[0].state, KT_CELL_CANCELLED);
	cr_assert_eq(kt_dispatch_n_dying(scene.dispatch), 1);
	scene_hello(&scene, "a");
	cr_assert_eq(kt_dispatch_n_dying(scene.dispatch), 1, "nobody said that it is dead");
	scene.seq = 0;
	scene_sync(&scene, 0, &held, 1);
	cr_assert_eq(kt_dispatch_n_dying(scene.dispatch), 1);
	scene_sync(&scene, 1, NULL, 0);
	cr_assert_eq(kt_dispatch_n_dying(scene.dispatch), 0, "now it was said");
	scene_close(&scene);
}
