/* crowd.h - a dispatch with several hosts, one step at a time: for tests of what hosts do to each other. */
#ifndef KT_TESTS_CROWD_H
#define KT_TESTS_CROWD_H

#include "coordinator/core/dispatch.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#define CROWD_MAX   200
#define CROWD_TTL   (15 * KT_NS_PER_S)
#define CROWD_SYNC  (1 * KT_NS_PER_S)
#define CROWD_GRACE (30 * KT_NS_PER_S)
#define CROWD_RETRY (500 * KT_NS_PER_MS)
#define CROWD_WALL  (1800000000ll * KT_NS_PER_S) /* wall clock when now is 0 */

struct crowd_host {
	uint64_t session, seq;
	struct kt_msg_held held[64]; /* what it would list */
	size_t n_held;
	int64_t sync_ns; /* as it was told last */
	int64_t clock_ns; /* newest STATE.clock */
	bool drain, finished;
	char note[300];
	size_t n_nudges, n_revokes, n_refused;
	bool is_welcome;
};

struct crowd {
	struct kt_sweep sweep;
	struct kt_dispatch_config config;
	struct kt_dispatch *dispatch;
	struct kt_out out; /* of the last step */
	int64_t now_ns;
	int64_t wall_back_ns; /* the coordinator's wall clock was set back by so much */
	struct crowd_host hosts[CROWD_MAX];
	size_t n_judge; /* JUDGE effects of the last step */
};

static inline void crowd_job(void *arg, uint64_t cell, struct kt_arena *arena,
			     struct kt_msg_job *out)
{
	static struct kt_msg_kernel kernel = { .name = "k", .version = "" };
	static struct kt_msg_scheduler scheduler = { .name = "s" };
	static struct kt_msg_topology topology = {
		.name = "t", .numa_nodes = 1, .llcs = 1, .cores = 1, .threads = 1, .mem_bytes = 1
	};
	static struct kt_msg_scenario scenario = { .name = "c", .duration_ns = KT_NS_PER_S };

	*out = (struct kt_msg_job){ .cell_name = "c/k/s/t#0",
				    .script = "",
				    .kernel = &kernel,
				    .scheduler = &scheduler,
				    .topology = &topology,
				    .scenario = &scenario };
}

static inline void crowd_hear(struct crowd_host *host, const struct kt_effect *effect)
{
	const struct kt_msg_state *state = effect->body;

	if (effect->tag == KT_TAG_welcome) {
		host->session = ((const struct kt_msg_welcome *)effect->body)->session;
		host->sync_ns = ((const struct kt_msg_welcome *)effect->body)->sync_ns;
		host->seq = 0;
		host->is_welcome = true;
	}
	host->n_nudges += effect->tag == KT_TAG_nudge;
	if (effect->tag == KT_TAG_refuse) {
		host->n_refused++;
		host->is_welcome = false;
	}
	if (effect->tag != KT_TAG_state)
		return;
	host->sync_ns = state->sync_ns;
	host->drain = state->drain;
	host->finished = state->finished;
	host->clock_ns = state->clock ? state->clock->wall_ns : 0;
	snprintf(host->note, sizeof(host->note), "%.299s", state->note ? state->note : "");
	for (size_t i = 0; i < state->n_revokes; i++)
		for (size_t k = 0; k < host->n_held; k++)
			if (host->held[k].epoch == state->revokes[i].epoch) {
				host->n_revokes++;
				host->held[k].phase = "end";
			}
	for (size_t i = 0; i < state->n_grants; i++) {
		cr_assert_lt(host->n_held, 64);
		host->held[host->n_held++] = (struct kt_msg_held){ .cell = state->grants[i].cell,
								   .epoch = state->grants[i].epoch,
								   .phase = "run" };
	}
}

static inline void crowd_step(struct crowd *c, struct kt_input *input)
{
	input->now_ns = c->now_ns;
	input->wall_ns = CROWD_WALL + c->now_ns - c->wall_back_ns;
	kt_out_reset(&c->out);
	c->n_judge = 0;
	kt_dispatch_step(c->dispatch, input, &c->out);
	for (size_t i = 0; i < c->out.n_effects; i++) {
		const struct kt_effect *effect = &c->out.effects[i];

		c->n_judge += effect->kind == KT_EFFECT_JUDGE;
		if (effect->kind == KT_EFFECT_SEND && effect->peer <= CROWD_MAX)
			crowd_hear(&c->hosts[effect->peer - 1], effect);
	}
}

static inline void crowd_say(struct crowd *c, size_t host, uint32_t tag, const void *body)
{
	struct kt_input input = {
		.kind = KT_INPUT_FRAME, .peer = host + 1, .tag = tag, .body = body
	};

	crowd_step(c, &input);
}

static inline const char *crowd_name(size_t host)
{
	static char names[CROWD_MAX][8];

	snprintf(names[host], sizeof(names[host]), "h%u", (unsigned int)host);
	return names[host];
}

static inline void crowd_hello(struct crowd *c, size_t host, uint64_t boot_id, bool other_schema)
{
	struct kt_msg_machine machine = { .runner = "scripted", .accel = "none" };
	struct kt_digest digest;
	struct kt_msg_hello hello = { .version_min = KT_PROTOCOL_VERSION,
				      .version_max = KT_PROTOCOL_VERSION,
				      .build = "t",
				      .worker_id = crowd_name(host),
				      .boot_id = boot_id,
				      .slots = 8,
				      .cpus = 1,
				      .mem_bytes = 1 << 30,
				      .machine = &machine,
				      .accel_reason = "" };

	kt_schema_digest(&kt_schema_fleet, &digest);
	digest.bytes[0] ^= other_schema;
	hello.schema_digest = (struct kt_bin){ digest.bytes, KT_DIGEST_BYTES };
	crowd_say(c, host, KT_TAG_hello, &hello);
}

static inline void crowd_open(struct crowd *c, uint64_t n_cells, size_t n_hosts, uint64_t attempts)
{
	struct kt_msg_fact_opened opened = {
		.sweep_id = "s", .n_cells = n_cells, .attempts_max = attempts, .version = "0"
	};

	memset(c, 0, sizeof(*c));
	c->now_ns = KT_NS_PER_S;
	c->config = (struct kt_dispatch_config){ .runner = "scripted",
						 .bulk_endpoint = "ipc:///b",
						 .ttl_ns = CROWD_TTL,
						 .sync_ns = CROWD_SYNC,
						 .grace_ns = CROWD_GRACE,
						 .retry_ns = CROWD_RETRY,
						 .hopeless_ns = CROWD_GRACE,
						 .keep_ns = CROWD_GRACE,
						 .session_seed = 1,
						 .job = crowd_job };
	kt_sweep_init(&c->sweep);
	cr_assert_eq(kt_sweep_apply(&c->sweep, KT_TAG_fact_opened, &opened, NULL), 0);
	c->dispatch = kt_dispatch_new(&c->sweep, &c->config, c->now_ns);
	kt_dispatch_begin(c->dispatch, &c->out);
	for (size_t i = 0; i < n_hosts; i++)
		crowd_hello(c, i, 1, false);
}

/* The coordinator is killed: the sweep is what its facts say, nobody is connected. */
static inline void crowd_restart(struct crowd *c)
{
	kt_dispatch_destroy(&c->dispatch);
	c->config.session_seed += 1000;
	c->dispatch = kt_dispatch_new(&c->sweep, &c->config, c->now_ns);
	kt_out_reset(&c->out);
	kt_dispatch_begin(c->dispatch, &c->out);
}

static inline void crowd_sync(struct crowd *c, size_t host, uint64_t slots_free)
{
	struct crowd_host *h = &c->hosts[host];
	struct kt_msg_clock clock = { .wall_ns = CROWD_WALL + c->now_ns,
				      .echo_ns = h->clock_ns,
				      .echo_heard_ns = h->clock_ns };
	struct kt_msg_sync sync = { .session = h->session,
				    .seq = ++h->seq,
				    .slots_free = slots_free,
				    .held = h->held,
				    .n_held = h->n_held,
				    .clock = &clock };

	crowd_say(c, host, KT_TAG_sync, &sync);
}

/* The newest lease of the host ends so; it is gone from what the host lists. */
static inline void crowd_end(struct crowd *c, size_t host, const char *cause)
{
	struct crowd_host *h = &c->hosts[host];
	struct kt_msg_result result = { .cause = cause, .line = "", .evidence = "", .note = "" };
	struct kt_msg_result_sent sent = { .session = h->session, .result = &result };

	cr_assert_gt(h->n_held, 0);
	h->n_held--;
	sent.cell = h->held[h->n_held].cell;
	sent.epoch = h->held[h->n_held].epoch;
	crowd_say(c, host, KT_TAG_result_sent, &sent);
}

static inline void crowd_tick(struct crowd *c, int64_t span_ns)
{
	struct kt_input tick = { .kind = KT_INPUT_TICK };

	for (int64_t end_ns = c->now_ns + span_ns; c->now_ns < end_ns;) {
		c->now_ns += span_ns < 100 * KT_NS_PER_MS ? span_ns : 100 * KT_NS_PER_MS;
		crowd_step(c, &tick);
	}
}

static inline const void *crowd_fact(const struct crowd *c, uint32_t tag)
{
	for (size_t i = 0; i < c->out.n_facts; i++)
		if (c->out.facts[i].tag == tag)
			return c->out.facts[i].body;
	return NULL;
}

static inline void crowd_close(struct crowd *c)
{
	kt_dispatch_destroy(&c->dispatch);
	kt_sweep_destroy(&c->sweep);
	kt_out_destroy(&c->out);
}

#endif
