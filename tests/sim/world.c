#include "tests/sim/world.h"
#include "proto/base/must.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define EVENTS_MAX    3000000 /* of one history: more is a livelock */
#define AFTERWARDS_NS (90 * S) /* that the workers have for themselves after the end of the sweep */

const char *world_fault_name(enum fault fault)
{
	static const char *const names[FAULT_N] = {
#define X(name_, what_) [FAULT_##name_] = #name_,
		SIM_FAULTS(X)
#undef X
	};

	return names[fault];
}

/* ---- random numbers ---- */

uint64_t world_mix(uint64_t a, uint64_t b)
{
	uint64_t z = a * 0x9e3779b97f4a7c15ull + b + 0x632be59bd9b4e019ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

uint64_t world_draw(struct world *w, int stream, uint64_t below)
{
	w->random[stream]++;
	return world_mix(w->seed * 64 + (uint64_t)stream, w->random[stream]) % below;
}

bool world_chance(struct world *w, int stream, unsigned int percent)
{
	return percent && world_draw(w, stream, 100) < percent;
}

int64_t world_span(struct world *w, int stream, int64_t min_ns, int64_t max_ns)
{
	return min_ns + (int64_t)world_draw(w, stream, (uint64_t)(max_ns - min_ns + 1));
}

bool world_has(const struct world *w, enum fault fault)
{
	return !w->quiet && (w->faults & 1u << fault);
}

/* ---- the trace ---- */

void world_trace(const struct world *w, const char *format, ...)
{
	va_list args;

	if (!w->trace)
		return;
	printf("%11.6f %7llu  ", (double)w->now_ns / 1e9, (unsigned long long)w->n_events);
	va_start(args, format);
	vprintf(format, args);
	va_end(args);
	putchar('\n');
}

/* ---- the heap ---- */

static bool is_before(const struct event *a, const struct event *b)
{
	return a->at_ns != b->at_ns ? a->at_ns < b->at_ns : a->seq < b->seq;
}

void world_keep(struct events *events, struct event event)
{
	if (events->n == events->cap) {
		events->cap = events->cap ? events->cap * 2 : 64;
		events->list = kt_must_realloc(events->list, events->cap, sizeof(*events->list));
	}
	events->list[events->n++] = event;
}

void world_push(struct world *w, int64_t in_ns, struct event event)
{
	struct events *q = &w->queue;
	size_t at = q->n;

	event.at_ns = w->now_ns + (in_ns > 0 ? in_ns : 0);
	event.seq = ++w->seqs;
	world_keep(q, event);
	while (at > 0 && is_before(&event, &q->list[(at - 1) / 2])) {
		q->list[at] = q->list[(at - 1) / 2];
		at = (at - 1) / 2;
	}
	q->list[at] = event;
}

static struct event pop(struct events *q)
{
	struct event first = q->list[0];
	struct event last = q->list[--q->n];
	size_t at = 0;

	for (;;) {
		size_t child = 2 * at + 1;

		if (child >= q->n)
			break;
		if (child + 1 < q->n && is_before(&q->list[child + 1], &q->list[child]))
			child++;
		if (!is_before(&q->list[child], &last))
			break;
		q->list[at] = q->list[child];
		at = child;
	}
	q->list[at] = last;
	return first;
}

/* ---- what the seed says of the cells ---- */

/* Of a guest that fails: what it did is a result. */
static const enum kt_cause_id failures[] = {
	KT_CAUSE_ID_kernel_panic,   KT_CAUSE_ID_scheduler_crashed,  KT_CAUSE_ID_scheduler_stalled,
	KT_CAUSE_ID_workload_stuck, KT_CAUSE_ID_scheduler_rejected, KT_CAUSE_ID_guest_hung,
};

static void plan_cell(struct world *w, uint64_t cell)
{
	struct plan *plan = &w->plans[cell];
	struct reading readings[READINGS_MAX];
	uint64_t h = world_mix(w->seed, 1000 + cell);

	plan->cause = KT_CAUSE_ID_finished;
	plan->n = 1 + h % READINGS_MAX;
	plan->takes_ns = 500 * MS + (int64_t)(h >> 8) % (6 * S);
	plan->takes_ns = plan->takes_ns < 0 ? -plan->takes_ns : plan->takes_ns;
	if (h >> 16 & 7) {
		;
	} else if (h >> 20 & 3) {
		plan->cause = failures[(h >> 24) % (sizeof(failures) / sizeof(failures[0]))];
		plan->n = h % READINGS_MAX;
	} else {
		plan->cause = KT_CAUSE_ID_scenario_unsupported;
		plan->n = 0;
	}
	plan->poison = (w->faults & 1u << FAULT_POISON) && (h >> 40) % 24 == 0;
	if (w->sized) { /* cells that differ in their scheduler alone are a pair: of one size */
		uint64_t size = world_mix(w->seed, 2000 + cell / 2);

		plan->cpus = 1u << size % 4;
		plan->mem_bytes = (1ull + (size >> 8) % 4) << 30;
		plan->pair = (size >> 16) % 2 ? 1 + cell / 2 : 0;
		if ((size >> 24) % 40 == 0)
			plan->cpus = GIANT_CPUS;
	}
	plan->artifact = h >> 52 & 7;
	for (uint64_t i = 0; i < plan->n; i++)
		readings[i].value = world_mix(h, i);
	plan->outcome = promises_verdict(readings, plan->n, plan->cause);
}

struct world *world_new(uint64_t seed, uint32_t faults, bool trace)
{
	struct world *w = kt_must_calloc(1, sizeof(*w));

	w->seed = seed;
	w->trace = trace;
	w->faults = faults;
	w->conns = kt_must_calloc(CONNS_MAX, sizeof(*w->conns));
	w->n_conns = 1; /* 0 is none */
	w->n_cells = 50;
	w->sized = world_mix(seed, 31) % 3 == 0;
	w->keyed = world_mix(seed, 33) % 2 == 0;
	w->observes = world_mix(seed, 34) % 3 == 0;
	w->grouped = world_mix(seed, 32) % 2 == 0;
	nemesis_plan(w);
	for (uint64_t i = 0; i < w->n_cells; i++)
		plan_cell(w, i);
	for (uint32_t who = 0; who < PROCS_MAX; who++)
		crew_init(w, who, who == TWIN ? 0 : who < TWIN ? who : NAMES - 1);
	return w;
}

void world_destroy(struct world **world_p)
{
	struct world *w = kt_take(world_p);

	if (!w)
		return;
	coord_free(w);
	for (uint32_t who = 0; who < PROCS_MAX; who++)
		crew_free(w, who);
	for (size_t i = 0; i < w->n_overheard; i++)
		wires_release(w, w->overheard[i]);
	for (size_t i = 0; i < w->queue.n; i++)
		wires_release(w, w->queue.list[i].message);
	free(w->queue.list);
	while (w->free_messages) {
		struct message *message = w->free_messages;

		w->free_messages = message->next;
		kt_arena_destroy(&message->arena);
		free(message);
	}
	kt_arena_destroy(&w->scratch);
	free(w->truths);
	free(w->conns);
	free(w);
}

/* ---- time ---- */

static void handle(struct world *w, const struct event *event)
{
	switch (event->kind) {
	case EV_COORD_START:
	case EV_COORD_RESUME:
	case EV_COORD_READ:
	case EV_COORD_TICK:
	case EV_COORD_COMMIT:
	case EV_COORD_VERDICT:
	case EV_UP:
		coord_event(w, event);
		break;
	case EV_CONNECT:
		if (event->life == w->crews[event->who].life)
			wires_try(w, event->who);
		break;
	case EV_FAULT:
		if (world_has(w, (enum fault)event->number) || event->number == FAULT_DRAIN)
			nemesis_strike(w, (enum fault)event->number);
		break;
	case EV_HEAL:
		if (w->crews[event->who].cut.until_ns <= w->now_ns)
			w->crews[event->who].cut = (struct cut){ 0 };
		break;
	case EV_QUIET:
		w->quiet = true;
		nemesis_quiet(w);
		break;
	default:
		crew_event(w, event);
	}
}

static void turn(struct world *w)
{
	struct event event = pop(&w->queue);

	w->now_ns = event.at_ns;
	w->n_events++;
	handle(w, &event);
	wires_release(w, event.message);
	promises_step(w);
}

void world_run(struct world *w)
{
	int64_t until_ns;

	nemesis_begin(w);
	while (!w->coord.stopped) {
		if (w->n_events > EVENTS_MAX || w->queue.n == 0)
			promises_broken(w, PROMISE_PROGRESS, "%llu events, and no end",
					(unsigned long long)w->n_events);
		turn(w);
	}
	world_trace(w, "the sweep is closed");
	if (!w->quiet) {
		w->quiet = true;
		nemesis_quiet(w);
	}
	/* Nobody is left who could tell the workers anything: their guests must come to an end all the same. */
	until_ns = w->now_ns + AFTERWARDS_NS;
	while (w->queue.n > 0 && w->queue.list[0].at_ns < until_ns)
		turn(w);
	promises_end(w);
}
