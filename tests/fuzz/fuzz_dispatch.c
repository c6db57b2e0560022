/* layer: coordinator/core */
/* The input is a history: pieces [kind, length (2 bytes), bytes] that become frames of workers, time, lost peers,
 * restarts and an operator's words. Whatever workers say, with whichever key, the dispatch goes on, all that it says can be encoded,
 * and the facts, read back, fold to the state.
 */
#include "coordinator/core/dispatch.h"
#include "proto/base/must.h"

#include <string.h>

#define CELLS     5
#define PEERS     4
#define FACTS_MAX 20000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct world {
	int64_t now_ns;
	struct kt_sweep sweep, folded;
	struct kt_dispatch_config config;
	struct kt_dispatch *dispatch;
	struct kt_out out;
	uint64_t sessions[PEERS];
	size_t n_facts;
	uint64_t kept[CELLS]; /* samples of the cell's newest lease */
	uint64_t epochs[CELLS];
};

static void job(void *arg, uint64_t cell, struct kt_arena *arena, struct kt_msg_job *out)
{
	static struct kt_msg_kernel kernel = { .name = "k", .version = "" };
	static struct kt_msg_scheduler scheduler = { .name = "s" };
	static struct kt_msg_topology topology = {
		.name = "t", .numa_nodes = 1, .llcs = 1, .cores = 1, .threads = 1, .mem_bytes = 1
	};
	static struct kt_msg_scenario scenario = { .name = "c", .duration_ns = 1 };
	static struct kt_msg_arg args[60];
	static char text[4001];

	/* Cell 4 is so large that two of it do not fit into one STATE with much else. */
	memset(text, 'x', sizeof(text) - 1);
	for (size_t i = 0; i < 60; i++)
		args[i].text = text;
	*out = (struct kt_msg_job){ .cell_name = "c/k/s/t#0",
				    .kernel = &kernel,
				    .scheduler = kt_arena_alloc(arena, 1, sizeof(scheduler)),
				    .topology = &topology,
				    .scenario = &scenario,
				    .script = "" };
	*out->scheduler = scheduler;
	out->scheduler->args = args;
	out->scheduler->n_args = cell == 4 ? 60 : 0;
}

/* Through its bytes, as the journal does it. */
static void fold(struct world *w, uint32_t tag, const void *body)
{
	const struct kt_schema *schema = kt_codec_message(&kt_facts_family, tag)->schema;
	KT_AUTO_ARENA arena = { 0 };
	KT_AUTO_BUF bytes = { 0 };
	void *fact = kt_arena_alloc(&arena, 1, schema->size);

	kt_codec_encode(schema, body, &bytes);
	kt_must(kt_codec_decode(schema, bytes.data, bytes.len, &arena, fact, NULL) == 0);
	kt_must(kt_sweep_apply(&w->folded, tag, fact, NULL) == 0);
	w->n_facts++;
}

static void keep(struct world *w, const struct kt_msg_sample_sent *sample)
{
	kt_must(sample->cell < CELLS);
	if (w->epochs[sample->cell] != sample->epoch)
		w->kept[sample->cell] = 0;
	w->epochs[sample->cell] = sample->epoch;
	kt_must(sample->seq == w->kept[sample->cell]);
	w->kept[sample->cell]++;
}

static void perform(struct world *w)
{
	for (size_t i = 0, n = 0; i < w->out.n_effects || n < w->out.n_facts; i++) {
		struct kt_effect effect;

		for (; n < w->out.n_facts; n++)
			fold(w, w->out.facts[n].tag, w->out.facts[n].body);
		if (i >= w->out.n_effects)
			break;
		effect = w->out.effects[i];
		if (effect.kind == KT_EFFECT_KEEP_SAMPLE)
			keep(w, effect.body);
		if (effect.kind == KT_EFFECT_SEND) {
			KT_AUTO_BUF bytes = { 0 };

			kt_codec_encode_frame(&kt_schema_fleet, effect.tag, effect.body, &bytes);
			if (effect.tag == KT_TAG_welcome)
				w->sessions[effect.peer - 1] =
					((const struct kt_msg_welcome *)effect.body)->session;
		}
		if (effect.kind == KT_EFFECT_JUDGE) {
			struct kt_msg_verdict verdict = { .outcome = "fail" };
			struct kt_input input = { .kind = effect.epoch % 3 ? KT_INPUT_JUDGED
									   : KT_INPUT_DAMAGED,
						  .now_ns = w->now_ns,
						  .cell = effect.cell,
						  .epoch = effect.epoch,
						  .verdict = &verdict,
						  .line = "" };

			kt_dispatch_step(w->dispatch, &input, &w->out);
			for (; n < w->out.n_facts; n++)
				fold(w, w->out.facts[n].tag, w->out.facts[n].body);
		}
	}
	kt_out_reset(&w->out);
	kt_must(kt_sweep_equal(&w->sweep, &w->folded));
}

static void begin(struct world *w)
{
	w->config.session_seed += 1000;
	w->dispatch = kt_dispatch_new(&w->sweep, &w->config, w->now_ns);
	for (size_t i = 0; i < CELLS; i++)
		kt_dispatch_restore_samples(w->dispatch, w->epochs[i], w->kept[i]);
	kt_dispatch_begin(w->dispatch, &w->out);
	perform(w);
}

/* A frame with the right session and, for HELLO, the right digest: else nothing would get far. */
static void complete(struct world *w, uint64_t peer, uint32_t tag, void *body,
		     struct kt_digest *digest)
{
	uint64_t *session = NULL;

	switch (tag) {
	case KT_TAG_hello:
		kt_schema_digest(&kt_schema_fleet, digest);
		((struct kt_msg_hello *)body)->schema_digest =
			(struct kt_bin){ digest->bytes, KT_DIGEST_BYTES };
		break;
	case KT_TAG_sync:
		session = &((struct kt_msg_sync *)body)->session;
		break;
	case KT_TAG_phase:
		session = &((struct kt_msg_phase *)body)->session;
		break;
	case KT_TAG_sample_sent:
		session = &((struct kt_msg_sample_sent *)body)->session;
		break;
	case KT_TAG_log_sent:
		session = &((struct kt_msg_log_sent *)body)->session;
		break;
	case KT_TAG_result_sent:
		session = &((struct kt_msg_result_sent *)body)->session;
		break;
	case KT_TAG_bye:
		session = &((struct kt_msg_bye *)body)->session;
		break;
	}
	if (session && w->sessions[peer - 1])
		*session = w->sessions[peer - 1];
}

static const char *const names[] = { "a", "b", "c", "d" };

/* Whose key the peer has: nobody's says (bit 6 of kind is not set), or its own, or (bit 7) one that may not work. */
static struct kt_input input_of(const struct world *w, uint8_t kind)
{
	return (struct kt_input){
		.now_ns = w->now_ns,
		.wall_ns = 1000 * KT_NS_PER_S + w->now_ns,
		.peer = 1 + (kind >> 4) % PEERS,
		.who = kind & 64 ? names[(kind >> 4) % PEERS] : NULL,
		.role = (kind & 192) == 192 ? KT_ROLE_OBSERVE : KT_ROLE_WORK,
	};
}

static void tell(struct world *w, uint8_t kind, uint32_t tag, void *body)
{
	struct kt_input input = input_of(w, kind);
	struct kt_digest digest;

	if (!(kind & 8))
		complete(w, input.peer, tag, body, &digest);
	input.kind = KT_INPUT_FRAME;
	input.tag = tag;
	input.body = body;
	kt_dispatch_step(w->dispatch, &input, &w->out);
	perform(w);
}

static uint64_t lease_of(const struct world *w, uint64_t cell, uint8_t off)
{
	uint64_t epoch = cell < CELLS ? w->sweep.cells[cell].epoch : 1;

	return epoch > off % 4 ? epoch - off % 4 : 1;
}

/* What workers say, in a few bytes and about what is there, so that it gets far: [what, cell, epoch, more]... */
static void say(struct world *w, uint8_t kind, const uint8_t *b, size_t len)
{
	static const char *const causes[] = { "finished",         "finished",     "host_trouble",
					      "disk_full",        "worker_lost",  "no_kvm",
					      "artifact_corrupt", "no such cause" };
	static struct kt_msg_machine machine = { .runner = "scripted",
						 .accel = "none",
						 .guest = "" };
	struct kt_msg_hello hello = { .version_min = 1,
				      .version_max = 1,
				      .build = "",
				      .machine = &machine,
				      .accel_reason = "",
				      .mem_bytes = 1ull << 34 };
	struct kt_msg_held held[8];
	struct kt_msg_clock clock = { 0 };
	struct kt_msg_sync sync = { .seq = 1, .held = held, .clock = &clock };
	struct kt_msg_phase phase = { .phase = "boot", .detail = "" };
	struct kt_msg_sample_sent sample = { .body = { (const uint8_t *)"x", 1 } };
	struct kt_msg_log_sent log = { .stream = "console", .body = { (const uint8_t *)"x", 1 } };
	struct kt_msg_result result = { .line = "", .evidence = "", .note = "" };
	struct kt_msg_result_sent sent = { .result = &result };
	struct kt_msg_bye bye = { .reason = "" };
	uint64_t cell;

	if (len < 4)
		return;
	cell = b[1] % (CELLS + 1);
	switch (b[0] % 8) {
	case 0:
		hello.worker_id = kind & 8 ? "a" : names[(kind >> 4) % PEERS];
		hello.boot_id = 1 + b[1] % 4;
		hello.slots = 1 + b[2] % 4;
		hello.cpus = hello.guest_cpus = 1 + b[3] % 8;
		return tell(w, kind & ~8, KT_TAG_hello, &hello);
	case 1:
	case 2:
		sync.slots_free = b[1] % 5;
		sync.draining = b[2] & 1;
		sync.cached = (struct kt_bin){ b, len / 8 * 8 };
		clock.wall_ns = 1000 * KT_NS_PER_S + w->now_ns + (b[3] - 128) * KT_NS_PER_MS;
		clock.echo_ns = b[2] & 2 ? clock.wall_ns - b[3] * KT_NS_PER_MS : 0;
		clock.echo_heard_ns = clock.echo_ns + b[2];
		for (b += 4, len -= 4; len >= 2 && sync.n_held < 8; b += 2, len -= 2)
			held[sync.n_held++] =
				(struct kt_msg_held){ .cell = b[0] % (CELLS + 1),
						      .epoch =
							      lease_of(w, b[0] % (CELLS + 1), b[1]),
						      .phase = "run" };
		return tell(w, kind, KT_TAG_sync, &sync);
	case 3:
		phase.cell = cell;
		phase.epoch = lease_of(w, cell, b[2]);
		return tell(w, kind, KT_TAG_phase, &phase);
	case 4:
		sample.cell = cell;
		sample.epoch = lease_of(w, cell, b[2]);
		sample.seq = b[3] % 8;
		return tell(w, kind, KT_TAG_sample_sent, &sample);
	case 5:
		log.cell = cell;
		log.epoch = lease_of(w, cell, b[2]);
		log.seq = b[3] % 8;
		return tell(w, kind, KT_TAG_log_sent, &log);
	case 6:
		sent.cell = cell;
		sent.epoch = lease_of(w, cell, b[2]);
		result.cause = causes[b[3] % 8];
		result.samples_total = result.samples_fired = b[3] / 8 % 4;
		return tell(w, kind, KT_TAG_result_sent, &sent);
	case 7:
		return tell(w, kind, KT_TAG_bye, &bye);
	}
}

static void operate(struct world *w, uint8_t kind, const uint8_t *b, size_t len)
{
	struct kt_input input = input_of(w, kind);

	if (len < 3)
		return;
	input.line = b[0] & 8 ? "because" : NULL;
	switch (b[0] % 3) {
	case 0:
		input.kind = KT_INPUT_DRAIN;
		input.host = names[b[1] % PEERS];
		input.on = b[2] & 1;
		break;
	case 1:
		input.kind = KT_INPUT_CANCEL;
		input.cell = b[1] % CELLS;
		input.n = 1 + b[2] % (CELLS - input.cell);
		break;
	case 2:
		input.kind = KT_INPUT_REVOKED;
		input.who = names[b[1] % PEERS];
		input.peer = b[2] & 1 ? input.peer : 0;
		break;
	}
	kt_dispatch_step(w->dispatch, &input, &w->out);
	perform(w);
}

/* Cells that want different hosts, two of them, alike, one after the other. */
static void demand(void *arg, uint64_t cell, struct kt_placement_demand *demand)
{
	static const uint64_t artifacts[] = { 1, 2 };

	*demand = (struct kt_placement_demand){ .cpus = (uint32_t)(1 + cell / 2 * 2),
						.mem_bytes = 1ull << 30,
						.expected_ns = (int64_t)(cell / 2) * KT_NS_PER_S,
						.pair = cell < 2 ? 1 : 0,
						.artifacts = artifacts,
						.n_artifacts = cell % 3 };
}

static void take_frame(struct world *w, uint8_t kind, const uint8_t *bytes, size_t len)
{
	KT_AUTO_ARENA arena = { .max = 64u << 20 };
	const struct kt_message *message;
	struct kt_err err;
	void *body;

	if (kt_codec_decode_frame(&kt_schema_fleet, bytes, len, &arena, &message, &body, &err) < 0)
		return;
	tell(w, kind, message->tag, body);
}

static void take(struct world *w, uint8_t kind, const uint8_t *bytes, size_t len)
{
	struct kt_input input = input_of(w, kind);

	switch (kind & 7) {
	case 3:
		return say(w, kind, bytes, len);
	case 7:
		return operate(w, kind, bytes, len);
	case 4:
		input.kind = KT_INPUT_TICK;
		w->now_ns += (int64_t)(len % 64) * 100 * KT_NS_PER_MS;
		break;
	case 5:
		input.kind = KT_INPUT_LOST;
		break;
	case 6:
		kt_dispatch_destroy(&w->dispatch);
		memset(w->sessions, 0, sizeof(w->sessions));
		return begin(w);
	default:
		return take_frame(w, kind, bytes, len);
	}
	input.now_ns = w->now_ns;
	kt_dispatch_step(w->dispatch, &input, &w->out);
	perform(w);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	struct kt_msg_fact_opened opened = {
		.sweep_id = "s", .n_cells = CELLS, .attempts_max = 3, .version = "0"
	};
	struct world w = { .config = { .runner = "scripted",
				       .bulk_endpoint = "ipc:///b",
				       .ttl_ns = 2 * KT_NS_PER_S,
				       .sync_ns = KT_NS_PER_S,
				       .grace_ns = 3 * KT_NS_PER_S,
				       .retry_ns = 100 * KT_NS_PER_MS,
				       .job = job,
				       .demand = len % 2 ? demand : NULL,
				       .keep_ns = 2 * KT_NS_PER_S,
				       .hopeless_ns = 5 * KT_NS_PER_S } };

	kt_sweep_init(&w.sweep);
	kt_sweep_init(&w.folded);
	kt_must(kt_sweep_apply(&w.sweep, KT_TAG_fact_opened, &opened, NULL) == 0);
	fold(&w, KT_TAG_fact_opened, &opened);
	begin(&w);
	while (len >= 3 && w.n_facts < FACTS_MAX) {
		size_t n = (size_t)data[1] << 8 | data[2];

		if (n > len - 3)
			n = len - 3;
		take(&w, data[0], data + 3, n);
		data += 3 + n;
		len -= 3 + n;
	}
	kt_dispatch_destroy(&w.dispatch);
	kt_out_destroy(&w.out);
	kt_sweep_destroy(&w.sweep);
	kt_sweep_destroy(&w.folded);
	return 0;
}
