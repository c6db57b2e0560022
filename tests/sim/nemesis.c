#include "tests/sim/world.h"
#include "proto/base/must.h"

#include <string.h>

/* Faults that strike from time to time, and how often: mean. The others are asked for where they belong. */
static const struct {
	enum fault fault;
	int64_t every_ns;
} timed[] = {
	{ FAULT_RESET, 8 * S },         { FAULT_PARTITION, 25 * S },
	{ FAULT_COORD_CRASH, 40 * S },  { FAULT_COORD_PAUSE, 40 * S },
	{ FAULT_WORKER_CRASH, 20 * S }, { FAULT_WORKER_PAUSE, 25 * S },
	{ FAULT_WORKER_DISK, 30 * S },  { FAULT_SPOOL_CUT, 50 * S },
	{ FAULT_LEAVE, 30 * S },        { FAULT_CLOCK, 20 * S },
	{ FAULT_TWIN, 15 * S },         { FAULT_STRANGER, 4 * S },
	{ FAULT_GONE, 30 * S },         { FAULT_CANCEL, 20 * S },
	{ FAULT_DRAIN, 15 * S },        { FAULT_REVOKE, 25 * S },
};

static void plan_strike(struct world *w, enum fault fault, int64_t every_ns)
{
	world_push(w, world_span(w, (int)fault, 0, 2 * every_ns),
		   (struct event){ .kind = EV_FAULT, .number = fault });
}

void nemesis_plan(struct world *w)
{
	w->attempts_max = 60;
	if (world_draw(w, STREAM_PLAN, 3) == 0)
		w->attempts_max = 2 + (uint32_t)world_draw(w, STREAM_PLAN, 4);
	w->delay_ns = world_span(w, STREAM_PLAN, 10 * MS, 5 * S);
	w->percent_drop = 1 + (unsigned int)world_draw(w, STREAM_PLAN, 12);
	w->percent_twice = 1 + (unsigned int)world_draw(w, STREAM_PLAN, 20);
	w->percent_reorder = 1 + (unsigned int)world_draw(w, STREAM_PLAN, 15);
	w->percent_infra = 1 + (unsigned int)world_draw(w, STREAM_PLAN, 25);
	w->percent_codec = w->seed % 50 == 7 ? 100 : 3;
	w->quiet_ns = w->faults ? world_span(w, STREAM_PLAN, 30 * S, 120 * S) : 0;
}

void nemesis_begin(struct world *w)
{
	if (w->quiet_ns)
		world_push(w, w->quiet_ns, (struct event){ .kind = EV_QUIET });
	else
		w->quiet = true;
	if (w->faults & 1u << FAULT_CLOCK)
		for (uint32_t who = 0; who < PROCS_MAX; who++)
			w->crews[who].drift_ppm =
				(int64_t)world_draw(w, FAULT_CLOCK, 20001) - 10000;
	if (w->faults & 1u << FAULT_BAD_HOST)
		w->crews[w->sized ? 1 + world_draw(w, FAULT_BAD_HOST, HOSTS - 1)
				  : world_draw(w, FAULT_BAD_HOST, HOSTS)]
			.bad = true; /* not the one that takes the large guests */
	coord_start(w);
	for (uint32_t who = 0; who < HOSTS; who++)
		world_push(w, world_span(w, STREAM_OTHER, 0, 2 * S),
			   (struct event){ .kind = EV_CREW_START, .who = who });
	if (world_has(w, FAULT_LATE))
		world_push(w, world_span(w, FAULT_LATE, 5 * S, 90 * S),
			   (struct event){ .kind = EV_CREW_START, .who = LATECOMER });
	if (world_has(w, FAULT_STRANGER))
		crew_start(w, STRANGER);
	for (size_t i = 0; i < sizeof(timed) / sizeof(timed[0]); i++)
		if (world_has(w, timed[i].fault))
			plan_strike(w, timed[i].fault, timed[i].every_ns);
}

static uint32_t victim(struct world *w, enum fault fault)
{
	return (uint32_t)world_draw(w, (int)fault, w->crews[TWIN].alive ? TWIN + 1 : HOSTS);
}

/* From 50 ms to a minute, short ones more often: some are longer than a lease. */
static int64_t some_time(struct world *w, enum fault fault)
{
	int64_t most_ns = world_draw(w, (int)fault, 3) ? 5 * S : 60 * S;

	return world_span(w, (int)fault, 50 * MS, most_ns);
}

static void partition(struct world *w, uint32_t who)
{
	struct crew *c = &w->crews[who];
	int64_t for_ns = some_time(w, FAULT_PARTITION);
	uint64_t kind = world_draw(w, FAULT_PARTITION, 4);

	c->cut.up = kind != 0;
	c->cut.down = kind != 1;
	c->cut.holds = world_draw(w, FAULT_PARTITION, 2) == 0;
	c->cut.until_ns = w->now_ns + for_ns;
	world_trace(w, "worker %u: is cut off%s%s%s for %.3f s", who,
		    c->cut.up ? ", its words" : "", c->cut.down ? ", its ears" : "",
		    c->cut.holds ? " (held)" : "", (double)for_ns / 1e9);
	world_push(w, for_ns, (struct event){ .kind = EV_HEAL, .who = who });
	if (world_draw(w, FAULT_PARTITION, 3)) /* else nobody notices */
		world_push(
			w, world_span(w, FAULT_PARTITION, 1 * S, 9 * S),
			(struct event){
				.kind = EV_SNAP, .who = who, .life = c->life, .number = c->conn });
}

static void overhear(struct world *w, struct message *message)
{
	/* Without keys names are taken on trust: whoever says HELLO in the name of another is that one. */
	if (message->tag == KT_TAG_hello && !w->keyed)
		return;
	if (w->n_overheard == OVERHEARD_MAX) {
		size_t i = world_draw(w, FAULT_STRANGER, OVERHEARD_MAX);

		wires_release(w, w->overheard[i]);
		w->overheard[i] = w->overheard[--w->n_overheard];
	}
	message->refs++;
	w->overheard[w->n_overheard++] = message;
}

/* With a session of its own it speaks of the leases of others. */
static void say_as_own(struct world *w, const struct message *message)
{
	const struct kt_msg_result_sent *result = message->body;
	const struct kt_msg_sample_sent *sample = message->body;
	uint64_t session = w->crews[STRANGER].stranger_session;

	if (!session)
		return;
	if (message->tag == KT_TAG_result_sent) {
		struct kt_msg_result_sent own = *result;

		own.session = session;
		wires_send_up(w, STRANGER, message->tag, &own);
	} else if (message->tag == KT_TAG_sample_sent) {
		struct kt_msg_sample_sent own = *sample;

		own.session = session;
		wires_send_up(w, STRANGER, message->tag, &own);
	}
}

/* What is on its way to the coordinator now; what was heard earlier is said again, by the stranger. */
static void speak_again(struct world *w)
{
	for (size_t i = 0; i < w->queue.n; i++)
		if (w->queue.list[i].kind == EV_UP && w->queue.list[i].who != STRANGER)
			overhear(w, w->queue.list[i].message);
	for (size_t n = world_draw(w, FAULT_STRANGER, 8); n > 0 && w->n_overheard > 0; n--) {
		struct message *message =
			w->overheard[world_draw(w, FAULT_STRANGER, w->n_overheard)];

		if (world_draw(w, FAULT_STRANGER, 2))
			say_as_own(w, message);
		else
			wires_send_up(w, STRANGER, message->tag, message->body);
	}
}

static void leave(struct world *w, uint32_t who)
{
	bool drain = world_draw(w, FAULT_LEAVE, 2);
	struct crew *c = &w->crews[who];

	for (size_t i = 0; !drain && i < c->n_holds; i++)
		promises_truth(w, c->holds[i].epoch)->lost =
			promises_truth(w, c->holds[i].epoch)->given = true;
	world_trace(w, "worker %u: is told to %s", who, drain ? "drain" : "stop");
	crew_input(w, who,
		   (struct kt_duty_input){ .type = drain ? KT_DUTY_IN_DRAIN : KT_DUTY_IN_STOP });
}

/* All but one may go, and not the only one that is any good. */
static void go_for_ever(struct world *w)
{
	uint32_t who = (uint32_t)world_draw(w, FAULT_GONE, HOSTS);
	unsigned int others = 0;

	for (uint32_t i = 0; i < HOSTS; i++)
		others += i != who && !w->crews[i].gone && !w->crews[i].bad;
	/* Who takes the large guests stays. */
	if (!others || w->crews[who].gone || (w->sized && who == 0))
		return;
	world_trace(w, "worker %u: leaves for ever", who);
	w->crews[who].gone = true;
	crew_die(w, who, world_draw(w, FAULT_GONE, 2), -1);
}

static void cancel(struct world *w)
{
	struct kt_input input = { .kind = KT_INPUT_CANCEL,
				  .cell = world_draw(w, FAULT_CANCEL, w->n_cells),
				  .n = 1 + world_draw(w, FAULT_CANCEL, 3),
				  .line = "somebody" };

	if (world_draw(w, FAULT_CANCEL, 40) == 0)
		input.n = UINT64_MAX;
	coord_ask(w, &input);
}

static void drain(struct world *w, uint32_t who, bool on)
{
	struct kt_input input = { .kind = KT_INPUT_DRAIN,
				  .host = crew_name(w->crews[who].name),
				  .on = on,
				  .line = "somebody" };

	coord_ask(w, &input);
}

static void revoke_key(struct world *w, uint32_t who)
{
	struct crew *c = &w->crews[who];
	struct kt_input input = { .kind = KT_INPUT_REVOKED, .who = crew_name(c->name) };

	c->barred = !c->barred;
	if (!c->barred || !coord_ask(w, &input))
		return;
	wires_break(w, who, true, true);
}

static void strike(struct world *w, enum fault fault)
{
	uint32_t who = victim(w, fault);
	struct crew *c = &w->crews[who];

	switch (fault) {
	case FAULT_RESET:
		wires_break(w, who, world_draw(w, FAULT_RESET, 4), true);
		break;
	case FAULT_PARTITION:
		partition(w, who);
		break;
	case FAULT_COORD_CRASH:
		coord_die(w, world_draw(w, FAULT_COORD_CRASH, 3) == 0);
		break;
	case FAULT_COORD_PAUSE:
		coord_pause(w, some_time(w, fault));
		break;
	case FAULT_WORKER_CRASH:
		crew_die(w, who, world_draw(w, FAULT_WORKER_CRASH, 3) == 0,
			 world_span(w, FAULT_WORKER_CRASH, 200 * MS, 30 * S));
		break;
	case FAULT_WORKER_PAUSE:
		crew_pause(w, who, some_time(w, fault));
		break;
	case FAULT_WORKER_DISK:
		c->disk_full = !c->disk_full;
		break;
	case FAULT_SPOOL_CUT:
		/* A file that is damaged as a whole is found so at a start, and set aside. */
		if (world_draw(w, FAULT_SPOOL_CUT, 4) == 0) {
			crew_die(w, who, false, world_span(w, FAULT_SPOOL_CUT, 200 * MS, 5 * S));
			crew_cut_spool(w, who, true);
		} else {
			crew_cut_spool(w, who, false);
		}
		break;
	case FAULT_LEAVE:
		leave(w, who);
		break;
	case FAULT_CLOCK:
		c->jumped_ns = w->now_ns;
		c->wall_offset_ns += world_span(w, FAULT_CLOCK, -7200 * S, 7200 * S);
		break;
	case FAULT_TWIN:
		if (w->crews[TWIN].life == 0)
			crew_start(w, TWIN);
		break;
	case FAULT_STRANGER:
		speak_again(w);
		break;
	case FAULT_CANCEL:
		cancel(w);
		break;
	case FAULT_DRAIN:
		drain(w, who, world_draw(w, FAULT_DRAIN, 2));
		break;
	case FAULT_REVOKE:
		if (w->keyed)
			revoke_key(w, who);
		break;
	case FAULT_GONE:
		go_for_ever(w);
		break;
	default:
		kt_must(!"a fault that does not strike by itself");
	}
}

/* Who drained hosts lets them in again, as soon as there is a coordinator that hears it. */
static void let_all_in(struct world *w)
{
	bool any = !w->coord.alive;

	for (uint32_t name = 0; name < NAMES; name++) {
		struct kt_input input = { .kind = KT_INPUT_DRAIN,
					  .host = crew_name(name),
					  .line = "somebody" };

		if (kt_sweep_admission(&w->coord.folded, input.host) != KT_ADMISSION_DRAINED)
			continue;
		any = true;
		coord_ask(w, &input);
	}
	if (any)
		world_push(w, 500 * MS, (struct event){ .kind = EV_FAULT, .number = FAULT_DRAIN });
}

void nemesis_strike(struct world *w, enum fault fault)
{
	if (w->quiet) {
		let_all_in(w);
		return;
	}
	w->hits[fault]++;
	strike(w, fault);
	for (size_t i = 0; i < sizeof(timed) / sizeof(timed[0]); i++)
		if (timed[i].fault == fault)
			plan_strike(w, fault, timed[i].every_ns);
}

/* Everybody who is not gone for ever is there again, everything is connected, everything works. */
void nemesis_quiet(struct world *w)
{
	world_trace(w, "from here on it is quiet");
	w->progress_ns = w->now_ns;
	for (uint32_t who = 0; who < PROCS_MAX; who++) {
		struct crew *c = &w->crews[who];

		c->cut = (struct cut){ 0 };
		c->disk_full = c->barred = false;
		if (c->alive && c->paused)
			world_push(w, 0,
				   (struct event){
					   .kind = EV_CREW_RESUME, .who = who, .life = c->life });
	}
	if (w->faults & 1u << FAULT_DRAIN)
		let_all_in(w);
	if (w->coord.alive && w->coord.paused)
		world_push(w, 0, (struct event){ .kind = EV_COORD_RESUME, .life = w->coord.life });
	/* Two who fight for one name for ever are nobody's fault but the operator's, who ends one of them. */
	w->crews[TWIN].gone = true;
	crew_die(w, TWIN, false, -1);
}
