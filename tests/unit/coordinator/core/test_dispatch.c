/* A small world around the real dispatch: hosts that run cells, die, fall silent and come back, a
 * network that loses messages, a coordinator that is killed and folds its facts again. One seed, one
 * history. tests/sim will grow out of it.
 */
#include "coordinator/core/dispatch.h"
#include "proto/base/must.h"

#include <criterion/criterion.h>
#include <string.h>

#define HOSTS   3
#define SLOTS   2
#define CELLS   40
#define STEP_NS (100 * KT_NS_PER_MS)

struct held {
	uint64_t cell, epoch;
	uint64_t sent; /* samples that were sent */
	int64_t done_at_ns;
	bool acked;
};

struct worker {
	uint64_t boot_id, peer, session, seq;
	struct held held[SLOTS * 4];
	size_t n_held;
	int64_t silent_until_ns;
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
	uint64_t kept[CELLS * 64]; /* samples per epoch */
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
	static struct kt_msg_kernel kernel = { .name = "k" };
	static struct kt_msg_scheduler scheduler = { .name = "s" };
	static struct kt_msg_topology topology = { .name = "t" };
	static struct kt_msg_scenario scenario = { .name = "c" };

	*out = (struct kt_msg_job){ .cell_name = "c/k/s/t#0",
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
		/* everything that is not acknowledged is sent again after the next HELLO */
		for (size_t i = 0; i < worker->n_held; i++)
			worker->held[i].sent = 0;
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
			cr_assert_lt(running, SLOTS, "slots are never oversubscribed");
			worker->held[worker->n_held++] = (struct held){
				.cell = state->grants[i].cell,
				.epoch = state->grants[i].epoch,
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
		if (entry->tag == KT_TAG_fact_judged)
			w->judged_times[((const struct kt_msg_fact_judged *)out.facts[i].body)
						->cell]++;
	}
	for (size_t i = 0; i < out.n_effects; i++) {
		const struct kt_effect *effect = &out.effects[i];

		if (effect->kind == KT_EFFECT_KEEP_SAMPLE) {
			const struct kt_msg_sample_sent *sample = effect->body;

			cr_assert_eq(w->kept[sample->epoch], sample->seq,
				     "samples are kept once and in order");
			w->kept[sample->epoch]++;
		} else if (effect->kind == KT_EFFECT_JUDGE) {
			struct kt_msg_verdict verdict = { .outcome = "pass" };
			struct kt_input input = { .kind = KT_INPUT_JUDGED,
						  .cell = effect->cell,
						  .epoch = effect->epoch,
						  .verdict = &verdict };

			cr_assert_eq(w->kept[effect->epoch], 2, "what is judged is complete");
			step(w, &input);
		} else if (effect->kind == KT_EFFECT_SEND && draw(w, 100) >= w->loss) {
			for (size_t k = 0; k < HOSTS; k++)
				if (w->workers[k].peer == effect->peer)
					receive(w, &w->workers[k], effect);
		}
	}
	kt_out_destroy(&out);
}

static void say(struct world *w, struct worker *worker, uint32_t tag, void *body)
{
	struct kt_input input = {
		.kind = KT_INPUT_FRAME, .peer = worker->peer, .tag = tag, .body = body
	};

	if (draw(w, 100) >= w->loss)
		step(w, &input);
}

static void hello(struct world *w, struct worker *worker)
{
	struct kt_digest digest;
	struct kt_msg_machine machine = { .runner = "scripted", .accel = "none" };
	char id[2] = { (char)('a' + (worker - w->workers)), 0 };
	struct kt_msg_hello msg = { .version_min = 1,
				    .version_max = 1,
				    .build = "t",
				    .worker_id = id,
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
						     .body = { (const uint8_t *)"x", 1 } };

		say(w, worker, KT_TAG_sample_sent, &sample);
	}
	say(w, worker, KT_TAG_result_sent, &sent);
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
	for (uint64_t i = 0; i < CELLS; i++)
		kt_dispatch_restore_samples(w->dispatch, w->sweep.cells[i].epoch,
					    w->kept[w->sweep.cells[i].epoch]);
	kt_dispatch_begin(w->dispatch, &w->out);
	absorb(w);
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
	w->config = (struct kt_dispatch_config){ .runner = "scripted",
						 .bulk_endpoint = "ipc:///b",
						 .ttl_ns = 2 * KT_NS_PER_S,
						 .sync_ns = STEP_NS,
						 .grace_ns = 3 * KT_NS_PER_S,
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
		step(w, &tick);
		if (!draw(w, 150))
			restart_coordinator(w);
	}
	restart_coordinator(w);
	for (size_t i = 0; i < CELLS; i++) {
		cr_assert_leq(w->judged_times[i], 1, "no cell is judged twice");
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
