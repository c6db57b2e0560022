#include "tests/sim/world.h"
#include "proto/base/must.h"

#include <errno.h>
#include <string.h>

#define TICK_NS     (100 * MS)
#define BATCH       64 /* frames between two commits, as the router reads them */
#define GRACE_NS    (30 * S)
#define TTL_NS      (15 * S)
#define SYNC_NS     (1 * S)
#define RETRY_NS    (500 * MS)
#define KEEP_NS     (5 * S)
#define HOPELESS_NS (10 * S)
#define INBOX_MAX   20000

static void settle(struct world *w);

/* ---- the journal ---- */

static void append(struct world *w, struct entry entry, const struct kt_schema *schema,
		   const void *body)
{
	struct coord *c = &w->coord;

	if (c->n_entries == c->cap_entries) {
		c->cap_entries = c->cap_entries ? c->cap_entries * 2 : 512;
		c->entries = kt_must_realloc(c->entries, c->cap_entries, sizeof(*c->entries));
	}
	entry.at = c->bytes.len;
	if (schema)
		kt_codec_encode(schema, body, &c->bytes);
	entry.len = c->bytes.len - entry.at;
	entry.from = c->from;
	entry.at_ns = w->now_ns;
	c->entries[c->n_entries++] = entry;
}

static void keep_sample(struct world *w, const struct kt_msg_sample_sent *sample)
{
	struct truth *truth = promises_truth(w, sample->epoch);
	struct entry entry = {
		.is_sample = true, .epoch = sample->epoch, .cell = sample->cell, .seq = sample->seq
	};

	if (sample->seq != truth->kept || sample->body.len != sizeof(struct reading))
		promises_broken(w, PROMISE_SAME_BYTES,
				"sample %llu of epoch %llu is kept when %llu are there",
				(unsigned long long)sample->seq, (unsigned long long)sample->epoch,
				(unsigned long long)truth->kept);
	memcpy(&truth->stored[truth->kept++], sample->body.data, sizeof(struct reading));
	append(w, entry, NULL, NULL);
}

/* What is not committed was never there. */
static void roll_back(struct world *w)
{
	struct coord *c = &w->coord;

	while (c->n_entries > c->n_durable) {
		const struct entry *entry = &c->entries[--c->n_entries];

		if (entry->is_sample)
			promises_truth(w, entry->epoch)->kept = entry->seq;
		c->bytes.len = entry->at;
	}
}

static const void *decode(struct world *w, const struct entry *entry)
{
	const struct kt_schema *schema = kt_codec_message(&kt_facts_family, entry->tag)->schema;
	struct kt_err err = { 0 };
	void *fact;

	kt_arena_reset(&w->scratch);
	fact = kt_arena_alloc(&w->scratch, 1, schema->size);
	if (kt_codec_decode(schema, w->coord.bytes.data + entry->at, entry->len, &w->scratch, fact,
			    &err) < 0)
		promises_broken(w, PROMISE_REPLAY, "a fact cannot be read back: %s", err.text);
	return fact;
}

static void commit(struct world *w)
{
	struct coord *c = &w->coord;

	for (; c->n_durable < c->n_entries; c->n_durable++) {
		const struct entry *entry = &c->entries[c->n_durable];
		struct kt_err err = { 0 };
		const void *fact;

		if (entry->is_sample) {
			promises_truth(w, entry->epoch)->kept_durable = entry->seq + 1;
			continue;
		}
		fact = decode(w, entry);
		if (kt_sweep_apply(&c->folded, entry->tag, fact, &err) < 0)
			promises_broken(w, PROMISE_REPLAY, "%s", err.text);
		promises_fact(w, entry, fact);
	}
}

/* Everything that is on disk, from the beginning. */
static void fold(struct world *w, struct kt_sweep *sweep)
{
	struct coord *c = &w->coord;

	kt_sweep_init(sweep);
	for (size_t i = 0; i < c->n_durable; i++) {
		struct kt_err err = { 0 };

		if (c->entries[i].is_sample)
			continue;
		if (kt_sweep_apply(sweep, c->entries[i].tag, decode(w, &c->entries[i]), &err) < 0)
			promises_broken(w, PROMISE_REPLAY, "%s", err.text);
	}
}

/* ---- what the dispatch said ---- */

static void trace_fact(const struct world *w, const struct kt_fact *fact)
{
	const struct kt_msg_fact_granted *granted = fact->body;
	const struct kt_msg_fact_failed *failed = fact->body;
	const struct kt_msg_fact_judged *judged = fact->body;
	const struct kt_msg_fact_errored *errored = fact->body;
	const struct kt_msg_fact_admission *admission = fact->body;
	const char *name = kt_codec_message(&kt_facts_family, fact->tag)->schema->name;

	switch (fact->tag) {
	case KT_TAG_fact_granted:
		world_trace(w, "coordinator: %s: cell %llu, epoch %llu, %s", name,
			    (unsigned long long)granted->cell, (unsigned long long)granted->epoch,
			    granted->host);
		break;
	case KT_TAG_fact_failed:
		world_trace(w, "coordinator: %s: cell %llu, epoch %llu, %s%s: %s", name,
			    (unsigned long long)failed->cell, (unsigned long long)failed->epoch,
			    failed->cause, failed->charged ? ", charged" : "", failed->line);
		break;
	case KT_TAG_fact_ended:
	case KT_TAG_fact_late:
	case KT_TAG_fact_judged:
		world_trace(w, "coordinator: %s: cell %llu, epoch %llu", name,
			    (unsigned long long)judged->cell, (unsigned long long)judged->epoch);
		break;
	case KT_TAG_fact_errored:
		world_trace(w, "coordinator: %s: cell %llu, %s: %s", name,
			    (unsigned long long)errored->cell, errored->cause, errored->line);
		break;
	case KT_TAG_fact_cancelled:
		world_trace(w, "coordinator: %s: cell %llu", name,
			    (unsigned long long)errored->cell);
		break;
	case KT_TAG_fact_admission:
		world_trace(w, "coordinator: %s: %s is %s", name, admission->host,
			    admission->admission);
		break;
	default:
		world_trace(w, "coordinator: %s", name);
	}
}

/* Into the open transaction, while what the facts borrow from the input is still there. */
static void absorb(struct world *w)
{
	struct coord *c = &w->coord;

	for (; c->facts_taken < c->out.n_facts; c->facts_taken++) {
		const struct kt_fact *fact = &c->out.facts[c->facts_taken];
		const struct kt_schema *schema =
			kt_codec_message(&kt_facts_family, fact->tag)->schema;

		if (w->trace)
			trace_fact(w, fact);
		append(w, (struct entry){ .tag = fact->tag }, schema, fact->body);
	}
	for (; c->effects_taken < c->out.n_effects; c->effects_taken++)
		if (c->out.effects[c->effects_taken].kind == KT_EFFECT_KEEP_SAMPLE)
			keep_sample(w, c->out.effects[c->effects_taken].body);
}

static void step(struct world *w, struct kt_input *input)
{
	struct coord *c = &w->coord;

	input->now_ns = w->now_ns + 1000 * S;
	input->wall_ns = WALL_NS + w->now_ns;
	kt_dispatch_step(c->dispatch, input, &c->out);
	absorb(w);
}

/* What coordinator/stored.c does, and coordinator/judging.c. */
/* asked: before long; else the answer comes when it comes, and the cell may have its end. */
static void give_verdict(struct world *w, uint64_t cell, uint64_t epoch, bool asked)
{
	struct truth *truth = promises_truth(w, epoch);
	struct kt_msg_verdict verdict = { 0 };
	struct kt_input input = {
		.kind = KT_INPUT_JUDGED, .cell = cell, .epoch = epoch, .verdict = &verdict
	};

	if (world_has(w, FAULT_DAMAGE) && world_chance(w, FAULT_DAMAGE, 5) && truth->kept) {
		w->hits[FAULT_DAMAGE]++;
		truth->damaged = true;
	}
	if (truth->damaged) {
		input.kind = KT_INPUT_DAMAGED;
		input.line = "what arrived is not what the worker recorded";
	} else {
		if (asked || truth->state == LEASE_ENDED)
			promises_judge(w, cell, epoch, truth);
		verdict.outcome = kt_sweep_outcome_name(
			promises_verdict(truth->stored, truth->kept, truth->outcome.cause));
	}
	step(w, &input);
}

/* Every eighth cell has a plug-in, which takes its time. */
static void judge(struct world *w, uint64_t cell, uint64_t epoch)
{
	if (world_mix(w->seed, 5000 + cell) % 8) {
		give_verdict(w, cell, epoch, true);
		return;
	}
	w->coord.n_asked++;
	world_push(
		w, world_span(w, STREAM_OTHER, 10 * MS, 4 * S),
		(struct event){ .kind = EV_COORD_VERDICT, .life = w->coord.life, .number = epoch });
}

static void judge_group(struct world *w, uint64_t first, uint64_t n)
{
	struct kt_msg_verdict verdict = { .outcome = "pass" };
	struct kt_input input = {
		.kind = KT_INPUT_GROUPED, .cell = first, .repeats = n, .verdict = &verdict
	};

	step(w, &input);
}

static void perform(struct world *w, const struct kt_effect *effect)
{
	if (effect->kind == KT_EFFECT_GROUP) {
		judge_group(w, effect->cell, effect->repeats);
		return;
	}
	if (effect->kind == KT_EFFECT_JUDGE) {
		judge(w, effect->cell, effect->epoch);
		return;
	}
	if (effect->kind != KT_EFFECT_SEND)
		return;
	promises_send(w, effect->peer, effect->tag, effect->body);
	if (wires_send_down(w, effect->peer, effect->tag, effect->body) == -EHOSTUNREACH) {
		struct kt_input lost = { .kind = KT_INPUT_LOST, .peer = effect->peer };

		step(w, &lost);
	}
}

/* ---- group commit: as settle() of coordinator/server.c, but a commit takes time ---- */

static void plan_read(struct world *w)
{
	struct coord *c = &w->coord;

	if (c->read_planned || c->committing || c->read_inbox == c->n_inbox)
		return;
	c->read_planned = true;
	world_push(w, world_span(w, STREAM_OTHER, 0, 200 * KT_NS_PER_US),
		   (struct event){ .kind = EV_COORD_READ, .life = c->life });
}

static void tick(struct world *w)
{
	struct kt_input input = { .kind = KT_INPUT_TICK };

	w->coord.tick_due = false;
	w->coord.from = PROCS_MAX;
	promises_tick(w);
	step(w, &input);
}

/* A plug-in has judged: which the dispatch may not care for any more. */
static void answer(struct world *w, uint64_t epoch)
{
	w->coord.n_asked--;
	w->coord.from = PROCS_MAX;
	give_verdict(w, promises_truth(w, epoch)->cell, epoch, false);
}

static void begin_commit(struct world *w)
{
	struct coord *c = &w->coord;
	int64_t takes_ns = world_span(w, STREAM_OTHER, 100 * KT_NS_PER_US, 4 * MS);

	c->end = c->out.n_effects;
	c->committing = true;
	c->crash_after = -1;
	c->commit_fails = false;
	if (world_has(w, FAULT_SLOW_DISK) && world_chance(w, FAULT_SLOW_DISK, 3)) {
		w->hits[FAULT_SLOW_DISK]++;
		takes_ns += world_span(w, FAULT_SLOW_DISK, 0, 3 * S);
	}
	if (world_has(w, FAULT_COORD_CRASH) && world_draw(w, FAULT_COORD_CRASH, 250) == 0) {
		w->hits[FAULT_COORD_CRASH]++;
		c->crash_after = (int)world_draw(w, FAULT_COORD_CRASH, 5);
	}
	if (world_has(w, FAULT_COORD_DISK) && world_draw(w, FAULT_COORD_DISK, 400) == 0) {
		w->hits[FAULT_COORD_DISK]++;
		c->commit_fails = true;
		c->commit_lands = world_draw(w, FAULT_COORD_DISK, 3) == 0;
	}
	world_push(w, takes_ns, (struct event){ .kind = EV_COORD_COMMIT, .life = c->life });
}

static void stop_when_closed(struct world *w)
{
	struct coord *c = &w->coord;

	if (!c->folded.closed)
		return;
	coord_die(w, false);
	c->stopped = true;
}

static void perform_all(struct world *w)
{
	struct coord *c = &w->coord;
	uint32_t life = c->life;

	for (; c->at < c->end; c->at++) {
		struct kt_effect effect = c->out.effects[c->at];

		if (c->crash_after > 0 && --c->crash_after == 0) {
			coord_die(w, false);
			return;
		}
		perform(w, &effect);
	}
	if (c->life == life)
		settle(w);
}

static void settle(struct world *w)
{
	struct coord *c = &w->coord;

	c->from = PROCS_MAX;
	if (c->n_durable < c->n_entries) {
		begin_commit(w);
		return;
	}
	if (c->at < c->out.n_effects) {
		c->end = c->out.n_effects;
		c->crash_after = -1;
		perform_all(w);
		return;
	}
	promises_replay(w);
	c->facts_taken = c->effects_taken = c->at = 0;
	kt_out_reset(&c->out);
	stop_when_closed(w);
	if (!c->alive)
		return;
	if (c->n_answers > 0) {
		answer(w, c->answers[--c->n_answers]);
		settle(w);
	} else if (c->tick_due) {
		tick(w);
		settle(w);
	} else {
		plan_read(w);
	}
}

static void on_commit(struct world *w)
{
	struct coord *c = &w->coord;

	c->committing = false;
	if (c->crash_after == 0) {
		coord_die(w, false);
		return;
	}
	if (c->commit_fails) {
		/* The process stops, whether the bytes got there or not (a failed fsync tells neither). */
		world_trace(w, "coordinator: a commit fails%s",
			    c->commit_lands ? ", but is on disk" : "");
		if (c->commit_lands)
			commit(w);
		coord_die(w, false);
		return;
	}
	commit(w);
	perform_all(w);
}

/* ---- inputs ---- */

static void read_inbox(struct world *w)
{
	struct coord *c = &w->coord;

	c->read_planned = false;
	if (c->committing)
		return; /* when it is done */
	for (int n = 0; n < BATCH && c->read_inbox < c->n_inbox; n++) {
		struct waiting_frame frame = c->inbox[c->read_inbox++];
		struct kt_input input = { .kind = KT_INPUT_FRAME,
					  .peer = frame.peer,
					  .tag = frame.message->tag,
					  .body = frame.message->body,
					  .role = KT_ROLE_WORK };
		size_t facts_before = c->out.n_facts;

		world_trace(w, "coordinator: %s of peer %llu (worker %u)",
			    kt_codec_message(&kt_schema_fleet, input.tag)->schema->name,
			    (unsigned long long)frame.peer, frame.from);
		c->from = frame.from;
		if (w->keyed) {
			input.who = crew_name(w->crews[frame.from].name);
			if (frame.from == STRANGER && w->observes)
				input.role = KT_ROLE_OBSERVE;
		}
		w->crews[frame.from].heard_ns = w->now_ns;
		step(w, &input);
		if (input.tag == KT_TAG_sync)
			promises_synced(w, frame.peer, input.body, facts_before);
		wires_release(w, frame.message);
	}
	if (c->read_inbox == c->n_inbox)
		c->read_inbox = c->n_inbox = 0;
	settle(w);
}

static void take_frame(struct world *w, const struct event *event)
{
	struct coord *c = &w->coord;
	const struct conn *conn = &w->conns[event->number];

	if (c->n_inbox == c->cap_inbox) {
		c->cap_inbox = c->cap_inbox ? c->cap_inbox * 2 : 64;
		c->inbox = kt_must_realloc(c->inbox, c->cap_inbox, sizeof(*c->inbox));
	}
	if (c->n_inbox > INBOX_MAX)
		promises_broken(w, PROMISE_BOUNDED, "%zu frames wait", c->n_inbox);
	event->message->refs++;
	c->inbox[c->n_inbox++] = (struct waiting_frame){ .message = event->message,
							 .peer = conn->peer,
							 .from = conn->who };
	plan_read(w);
}

static void resume(struct world *w)
{
	struct events backlog = w->coord.backlog;

	world_trace(w, "coordinator: goes on");
	w->coord.paused = false;
	w->coord.backlog = (struct events){ 0 };
	for (size_t i = 0; i < backlog.n; i++) {
		coord_event(w, &backlog.list[i]);
		wires_release(w, backlog.list[i].message);
	}
	free(backlog.list);
}

static void keep_for_later(struct world *w, struct event event)
{
	if (event.message)
		event.message->refs++;
	world_keep(&w->coord.backlog, event);
}

void coord_event(struct world *w, const struct event *event)
{
	struct coord *c = &w->coord;

	if (event->kind == EV_COORD_START) {
		if (!c->alive && !c->stopped)
			coord_start(w);
		return;
	}
	if (event->kind == EV_UP) {
		if (!wires_may_arrive(w, event))
			return;
	} else if (!c->alive || event->life != c->life) {
		return;
	}
	if (event->kind == EV_COORD_RESUME) {
		if (c->paused)
			resume(w);
		return;
	}
	if (event->kind == EV_COORD_TICK)
		world_push(w, TICK_NS, *event);
	if (c->paused) {
		if (event->kind != EV_COORD_TICK)
			keep_for_later(w, *event);
		else
			c->tick_due = true; /* a timer is late once, not many times */
		return;
	}
	switch (event->kind) {
	case EV_COORD_TICK:
		c->tick_due = true;
		if (c->committing)
			return;
		tick(w);
		settle(w);
		break;
	case EV_COORD_READ:
		read_inbox(w);
		break;
	case EV_COORD_COMMIT:
		on_commit(w);
		break;
	case EV_COORD_VERDICT:
		if (c->committing) {
			c->answers[c->n_answers++] = event->number;
			return;
		}
		answer(w, event->number);
		settle(w);
		break;
	default:
		take_frame(w, event);
	}
}

/* ---- life ---- */

static void job(void *arg, uint64_t cell, struct kt_arena *arena, struct kt_msg_job *out)
{
	static struct kt_msg_kernel kernel = { .name = "k", .version = "" };
	static struct kt_msg_scheduler scheduler = { .name = "s" };
	const struct plan *plan = &((const struct world *)arg)->plans[cell];
	struct kt_msg_topology *topology = kt_arena_alloc(arena, 1, sizeof(*topology));
	static struct kt_msg_scenario scenario = { .name = "c", .duration_ns = 1 };

	*topology = (struct kt_msg_topology){ .name = "t",
					      .numa_nodes = 1,
					      .llcs = 1,
					      .cores = plan->cpus ? plan->cpus : 1,
					      .threads = 1,
					      .mem_bytes = plan->mem_bytes ? plan->mem_bytes : 1 };
	*out = (struct kt_msg_job){ .cell_name = "c/k/s/t#0",
				    .script = "",
				    .guest = "",
				    .kernel = &kernel,
				    .scheduler = &scheduler,
				    .topology = topology,
				    .scenario = &scenario };
}

/* Every other five cells are repeats that something is asserted over. */
static bool group(void *arg, uint64_t cell, uint64_t *first, uint64_t *n)
{
	*first = cell - cell % REPEATS;
	*n = REPEATS;
	return cell / REPEATS % 2 == 0;
}

static void demand(void *arg, uint64_t cell, struct kt_placement_demand *out)
{
	const struct world *w = arg;
	const struct plan *plan = &w->plans[cell];

	out->cpus = plan->cpus;
	out->mem_bytes = plan->mem_bytes;
	out->expected_ns = plan->takes_ns;
	out->pair = plan->pair;
	out->artifacts = &plan->artifact;
	out->n_artifacts = 1;
}

static void open_sweep(struct world *w)
{
	struct kt_msg_fact_opened fact = { .sweep_id = "sweep",
					   .n_cells = w->n_cells,
					   .attempts_max = w->attempts_max,
					   .version = "0" };

	kt_sweep_init(&w->coord.folded);
	append(w, (struct entry){ .tag = KT_TAG_fact_opened }, &kt_schema_fact_opened, &fact);
	commit(w);
}

void coord_start(struct world *w)
{
	struct coord *c = &w->coord;

	if (c->n_entries == 0)
		open_sweep(w);
	c->alive = true;
	c->life++;
	w->n_restarts += c->life > 1;
	world_trace(w, "coordinator: starts, life %u", c->life);
	c->from = PROCS_MAX;
	c->peers = 0;
	c->config = (struct kt_dispatch_config){
		.runner = "scripted",
		.bulk_endpoint = "ipc:///b",
		.ttl_ns = TTL_NS,
		.sync_ns = SYNC_NS,
		.grace_ns = GRACE_NS,
		.retry_ns = RETRY_NS,
		.session_seed = world_mix(w->seed, 77 + c->life) >> 1,
		.job = job,
		.group = w->grouped ? group : NULL,
		.demand = w->sized ? demand : NULL,
		.seed = w->seed,
		.keep_ns = KEEP_NS,
		.hopeless_ns = HOPELESS_NS,
		.arg = w,
	};
	fold(w, &c->sweep);
	c->dispatch = kt_dispatch_new(&c->sweep, &c->config, w->now_ns + 1000 * S);
	for (uint64_t i = 0; i < c->sweep.n_cells; i++)
		if (c->sweep.cells[i].state == KT_CELL_LEASED)
			kt_dispatch_restore_samples(
				c->dispatch, c->sweep.cells[i].epoch,
				promises_truth(w, c->sweep.cells[i].epoch)->kept_durable);
	promises_restart(w);
	kt_dispatch_begin(c->dispatch, &c->out);
	absorb(w);
	world_push(w, TICK_NS, (struct event){ .kind = EV_COORD_TICK, .life = c->life });
	settle(w);
}

static void drop_all(struct world *w, struct events *events)
{
	for (size_t i = 0; i < events->n; i++)
		wires_release(w, events->list[i].message);
	events->n = 0;
}

static void forget_memory(struct world *w)
{
	struct coord *c = &w->coord;

	roll_back(w);
	kt_dispatch_destroy(&c->dispatch);
	kt_sweep_destroy(&c->sweep);
	kt_out_destroy(&c->out);
	for (; c->read_inbox < c->n_inbox; c->read_inbox++)
		wires_release(w, c->inbox[c->read_inbox].message);
	c->read_inbox = c->n_inbox = 0;
	drop_all(w, &c->backlog);
	c->facts_taken = c->effects_taken = c->at = c->end = 0;
	c->n_asked = c->n_answers = 0;
	c->committing = c->paused = c->read_planned = c->tick_due = false;
}

void coord_die(struct world *w, bool silently)
{
	struct coord *c = &w->coord;

	if (!c->alive)
		return;
	world_trace(w, "coordinator: dies%s", silently ? " with its machine" : "");
	/* While it commits, the bytes may be there already. */
	if (c->committing && !c->commit_fails && world_draw(w, STREAM_OTHER, 2))
		commit(w);
	c->alive = false;
	forget_memory(w);
	wires_coord_died(w, silently);
	world_push(w, world_span(w, STREAM_OTHER, 500 * MS, w->quiet ? 2 * S : 20 * S),
		   (struct event){ .kind = EV_COORD_START });
}

void coord_pause(struct world *w, int64_t for_ns)
{
	struct coord *c = &w->coord;

	if (!c->alive || c->paused)
		return;
	world_trace(w, "coordinator: stands still");
	c->paused = true;
	world_push(w, for_ns, (struct event){ .kind = EV_COORD_RESUME, .life = c->life });
}

bool coord_ask(struct world *w, struct kt_input *input)
{
	struct coord *c = &w->coord;

	if (!c->alive || c->paused || c->committing || c->stopped)
		return false;
	c->from = PROCS_MAX;
	step(w, input);
	settle(w);
	return true;
}

void coord_free(struct world *w)
{
	struct coord *c = &w->coord;

	forget_memory(w);
	kt_sweep_destroy(&c->folded);
	kt_buf_destroy(&c->bytes);
	free(c->entries);
	free(c->inbox);
	free(c->backlog.list);
}
