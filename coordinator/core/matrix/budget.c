#include "coordinator/core/matrix/budget.h"
#include "assertions/group.h"
#include "coordinator/core/matrix/estimate.h"
#include "coordinator/core/matrix/profile.h"
#include "proto/base/duration.h"
#include "proto/base/must.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#define WEIGHT_ONE  (1ull << 32) /* a weight of 1 that nobody has seen yet */
#define HALVINGS    40 /* after so many it counts for nothing */
#define N_CLASSES   256
#define NOT_IN_HEAP UINT32_MAX

/* ---- topologies ---- */

static bool has_nodes(const struct kt_matrix_topology *topology)
{
	return topology->numa_nodes > 1;
}

static bool has_llcs(const struct kt_matrix_topology *topology)
{
	return topology->llcs > 1;
}

static bool has_threads(const struct kt_matrix_topology *topology)
{
	return topology->threads > 1;
}

static bool is_odd(const struct kt_matrix_topology *topology)
{
	return topology->llcs > 1 && topology->llcs % 2 == 1;
}

static bool is_uneven(const struct kt_matrix_topology *topology)
{
	return topology->n_nodes > 0;
}

static bool (*const traits[])(const struct kt_matrix_topology *) = { has_nodes, has_llcs,
								     has_threads, is_odd,
								     is_uneven };
#define N_TRAITS (sizeof(traits) / sizeof(traits[0]))

static unsigned int traits_of(const struct kt_matrix_topology *topology)
{
	unsigned int bits = 0;

	for (size_t i = 0; i < N_TRAITS; i++)
		bits |= traits[i](topology) ? 1u << i : 0;
	return bits;
}

/* Traits in the low bits, the CPUs' power of two above: 255 CPUs are 7. */
static unsigned int class_of(const struct kt_matrix_topology *topology)
{
	unsigned int power = 0;

	while (topology->cpus >> (power + 1))
		power++;
	return traits_of(topology) | power << N_TRAITS;
}

_Static_assert(8u << N_TRAITS == N_CLASSES, "traits and powers of two make the classes");

/* ---- cells that differ in their repeat only ---- */

struct unit {
	uint64_t first; /* cell */
	uint32_t repeats;
	uint32_t taken;
	uint32_t step; /* repeats that are taken at once */
	uint32_t scenario, kernel, scheduler, topology; /* indexes into the matrix */
	uint32_t at; /* in the heap */
	int64_t each_ns;
	/* Its place in the heap; worth may be less by now, never more. */
	uint64_t worth;
	int64_t cost_ns;
};

struct chooser {
	const struct kt_budget_ask *ask;
	const struct kt_matrix *matrix;
	struct unit *units;
	size_t n;
	uint32_t *heap; /* of units, the best on top */
	size_t n_heap;
	uint32_t *by_guest; /* units, those of one kernel and topology side by side */
	bool *booted; /* kernel * topologies + topology */
	size_t *base_of; /* each scheduler's [[scheduler]] */
	size_t n_bases;
	int64_t left_ns;
	/* How often each feature was taken, up to HALVINGS. */
	uint8_t *scenarios, *kernels, *bases;
	uint8_t *scenario_profiles, *scenario_classes;
	uint8_t *flags; /* base * KT_PROFILE_FLAGS_MAX + flag */
	uint8_t traits[N_TRAITS];
	uint8_t *kernel_bases, *base_classes;
};

/* Calls fn for every feature of the unit but the cell itself. */
static void each_feature(struct chooser *c, const struct unit *unit,
			 void (*fn)(uint8_t *seen, unsigned int weight, void *arg), void *arg)
{
	const struct kt_matrix *matrix = c->matrix;
	const struct kt_matrix_scheduler *scheduler = &matrix->schedulers[unit->scheduler];
	const struct kt_matrix_topology *topology = &matrix->topologies[unit->topology];
	size_t base = c->base_of[unit->scheduler];
	unsigned int class = class_of(topology);

	fn(&c->scenarios[unit->scenario], 16, arg);
	fn(&c->kernels[unit->kernel], 16, arg);
	fn(&c->bases[base], 16, arg);
	fn(&c->scenario_profiles[unit->scenario * matrix->n_schedulers + unit->scheduler], 8, arg);
	fn(&c->scenario_classes[unit->scenario * N_CLASSES + class], 8, arg);
	for (size_t i = 0; i < scheduler->n_flags; i++)
		if (scheduler->given & 1u << i)
			fn(&c->flags[base * KT_PROFILE_FLAGS_MAX + i], 8, arg);
	for (size_t i = 0; i < N_TRAITS; i++)
		if (traits_of(topology) & 1u << i)
			fn(&c->traits[i], 8, arg);
	fn(&c->kernel_bases[unit->kernel * c->n_bases + base], 4, arg);
	fn(&c->base_classes[base * N_CLASSES + class], 4, arg);
}

static void add_worth(uint8_t *seen, unsigned int weight, void *arg)
{
	uint64_t *worth = arg;

	*worth += weight * WEIGHT_ONE >> *seen;
}

static void see(uint8_t *seen, unsigned int weight, void *arg)
{
	*seen += *seen < HALVINGS;
}

static uint64_t worth_of(struct chooser *c, const struct unit *unit)
{
	uint64_t worth = 0;

	each_feature(c, unit, add_worth, &worth);
	return worth + (WEIGHT_ONE >> (unit->taken < HALVINGS ? unit->taken : HALVINGS));
}

/* ---- time ---- */

static size_t guest_of(const struct chooser *c, const struct unit *unit)
{
	return unit->kernel * c->matrix->n_topologies + unit->topology;
}

static int64_t boot_ns(const struct chooser *c, const struct unit *unit)
{
	if (!kt_estimate_is_warm(&c->matrix->scenarios[unit->scenario]) ||
	    c->booted[guest_of(c, unit)])
		return 0;
	return kt_estimate_boot_ns(c->matrix->topologies[unit->topology].cpus, c->ask->accel);
}

static int64_t cost_of(const struct chooser *c, const struct unit *unit)
{
	return unit->each_ns * unit->step + boot_ns(c, unit);
}

static bool has_room(const struct chooser *c, const struct unit *unit)
{
	return cost_of(c, unit) <= c->left_ns &&
	       unit->each_ns + boot_ns(c, unit) <= c->ask->budget_ns;
}

/* ---- the heap ---- */

static bool is_better(const struct unit *a, const struct unit *b)
{
	unsigned __int128 left = (unsigned __int128)a->worth * (uint64_t)b->cost_ns;
	unsigned __int128 right = (unsigned __int128)b->worth * (uint64_t)a->cost_ns;

	return left != right ? left > right : a->first < b->first;
}

static void put_at(struct chooser *c, size_t at, uint32_t unit)
{
	c->heap[at] = unit;
	c->units[unit].at = (uint32_t)at;
}

static void settle(struct chooser *c, size_t at)
{
	uint32_t unit = c->heap[at];

	while (at > 0 && is_better(&c->units[unit], &c->units[c->heap[(at - 1) / 2]])) {
		put_at(c, at, c->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	for (;;) {
		size_t child = 2 * at + 1;

		if (child + 1 < c->n_heap &&
		    is_better(&c->units[c->heap[child + 1]], &c->units[c->heap[child]]))
			child++;
		if (child >= c->n_heap || !is_better(&c->units[c->heap[child]], &c->units[unit]))
			break;
		put_at(c, at, c->heap[child]);
		at = child;
	}
	put_at(c, at, unit);
}

static void measure(struct chooser *c, struct unit *unit)
{
	unit->worth = worth_of(c, unit);
	unit->cost_ns = cost_of(c, unit);
}

static void push(struct chooser *c, uint32_t index)
{
	put_at(c, c->n_heap, index);
	settle(c, c->n_heap++);
}

static void pop(struct chooser *c)
{
	c->units[c->heap[0]].at = NOT_IN_HEAP;
	if (--c->n_heap == 0)
		return;
	put_at(c, 0, c->heap[c->n_heap]);
	settle(c, 0);
}

/* ---- choosing ---- */

static int compare_guests(const void *a, const void *b, void *arg)
{
	const struct chooser *c = arg;
	uint32_t x = *(const uint32_t *)a;
	uint32_t y = *(const uint32_t *)b;
	size_t gx = guest_of(c, &c->units[x]);
	size_t gy = guest_of(c, &c->units[y]);

	if (gx != gy)
		return gx < gy ? -1 : 1;
	return x < y ? -1 : x > y;
}

/* The template is there now: its other cells became cheaper, and some that had no room may have it. */
static void pay_boot(struct chooser *c, const struct unit *of)
{
	size_t guest = guest_of(c, of);
	size_t low = 0;
	size_t high = c->n;

	c->booted[guest] = true;
	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (guest_of(c, &c->units[c->by_guest[middle]]) < guest)
			low = middle + 1;
		else
			high = middle;
	}
	for (; low < c->n && guest_of(c, &c->units[c->by_guest[low]]) == guest; low++) {
		struct unit *unit = &c->units[c->by_guest[low]];

		if (unit->taken == unit->repeats)
			continue;
		measure(c, unit);
		if (unit->at == NOT_IN_HEAP)
			push(c, c->by_guest[low]);
		else
			settle(c, unit->at);
	}
}

static void take(struct chooser *c, struct unit *unit, struct kt_budget *budget)
{
	bool boots = boot_ns(c, unit) > 0;
	int64_t longest_ns = unit->each_ns + boot_ns(c, unit);

	if (longest_ns > budget->longest_ns)
		budget->longest_ns = longest_ns;
	c->left_ns -= cost_of(c, unit);
	budget->taken_ns += cost_of(c, unit);
	for (uint32_t i = 0; i < unit->step; i++)
		budget->taken[unit->first + unit->taken++] = true;
	budget->n_taken += unit->step;
	each_feature(c, unit, see, NULL);
	if (unit->taken == unit->repeats)
		pop(c);
	if (boots)
		pay_boot(c, unit);
}

static void choose(struct chooser *c, struct kt_budget *budget)
{
	while (c->n_heap > 0) {
		struct unit *unit = &c->units[c->heap[0]];
		uint64_t was = unit->worth;

		measure(c, unit);
		if (unit->worth != was)
			settle(c, 0); /* it may be the best no more */
		else if (has_room(c, unit))
			take(c, unit, budget);
		else
			pop(c);
	}
}

/* ---- begin and end ---- */

static bool is_grouped(const struct kt_matrix *matrix, const struct kt_matrix_cell *cell)
{
	KT_AUTO_ARENA arena = { 0 };
	const struct kt_assertion *const *asserts;
	size_t n = kt_matrix_judged(matrix, cell, &arena, &asserts);

	return kt_group_wanted(asserts, n);
}

static void add_unit(struct chooser *c, uint64_t first)
{
	const struct kt_matrix *matrix = c->matrix;
	struct unit *unit = &c->units[c->n];
	struct kt_matrix_cell cell;

	kt_matrix_cell(matrix, first, &cell);
	*unit = (struct unit){
		.first = first,
		.repeats = (uint32_t)cell.scenario->repeats,
		.step = is_grouped(matrix, &cell) ? (uint32_t)cell.scenario->repeats : 1,
		.scenario = (uint32_t)(cell.scenario - matrix->scenarios),
		.kernel = (uint32_t)(cell.kernel - matrix->kernels),
		.scheduler = (uint32_t)(cell.scheduler - matrix->schedulers),
		.topology = (uint32_t)(cell.topology - matrix->topologies),
		.each_ns = c->ask->cell_ns(c->ask->arg, first),
	};
	kt_must(unit->each_ns > 0);
	c->by_guest[c->n] = (uint32_t)c->n;
	c->n++;
}

static void find_bases(struct chooser *c)
{
	const struct kt_matrix *matrix = c->matrix;

	c->base_of = kt_must_calloc(matrix->n_schedulers, sizeof(*c->base_of));
	for (size_t i = 0; i < matrix->n_schedulers; i++) {
		c->n_bases += matrix->schedulers[i].given == 0;
		c->base_of[i] = c->n_bases - 1; /* the profile without flags comes first */
	}
}

static void begin(struct chooser *c)
{
	const struct kt_matrix *matrix = c->matrix;

	find_bases(c);
	c->units = kt_must_calloc(matrix->n_cells, sizeof(*c->units));
	c->heap = kt_must_calloc(matrix->n_cells, sizeof(*c->heap));
	c->by_guest = kt_must_calloc(matrix->n_cells, sizeof(*c->by_guest));
	c->booted = kt_must_calloc(matrix->n_kernels, matrix->n_topologies);
	c->scenarios = kt_must_calloc(matrix->n_scenarios, 1);
	c->kernels = kt_must_calloc(matrix->n_kernels, 1);
	c->bases = kt_must_calloc(c->n_bases, 1);
	c->scenario_profiles = kt_must_calloc(matrix->n_scenarios, matrix->n_schedulers);
	c->scenario_classes = kt_must_calloc(matrix->n_scenarios, N_CLASSES);
	c->flags = kt_must_calloc(c->n_bases, KT_PROFILE_FLAGS_MAX);
	c->kernel_bases = kt_must_calloc(matrix->n_kernels, c->n_bases);
	c->base_classes = kt_must_calloc(c->n_bases, N_CLASSES);
	for (uint64_t i = 0; i < matrix->n_cells; i += c->units[c->n - 1].repeats)
		add_unit(c, i);
	qsort_r(c->by_guest, c->n, sizeof(*c->by_guest), compare_guests, c);
	for (uint32_t i = 0; i < c->n; i++) {
		measure(c, &c->units[i]);
		push(c, i);
	}
}

static void end(struct chooser *c)
{
	void *const all[] = { c->units,
			      c->heap,
			      c->by_guest,
			      c->booted,
			      c->base_of,
			      c->scenarios,
			      c->kernels,
			      c->bases,
			      c->scenario_profiles,
			      c->scenario_classes,
			      c->flags,
			      c->kernel_bases,
			      c->base_classes };

	for (size_t i = 0; i < sizeof(all) / sizeof(all[0]); i++)
		free(all[i]);
}

/* Before anything is taken: every template is to be booted once. */
static int64_t sum_all(const struct chooser *c)
{
	__int128 sum_ns = 0;
	bool is_paid = false;

	for (size_t i = 0; i < c->n; i++) {
		const struct unit *unit = &c->units[c->by_guest[i]];

		if (i > 0 && guest_of(c, unit) != guest_of(c, &c->units[c->by_guest[i - 1]]))
			is_paid = false;
		sum_ns += (__int128)unit->each_ns * unit->repeats;
		if (!is_paid && boot_ns(c, unit) > 0) {
			sum_ns += boot_ns(c, unit);
			is_paid = true;
		}
	}
	return sum_ns > INT64_MAX ? INT64_MAX : (int64_t)sum_ns;
}

static int too_short(const struct chooser *c, struct kt_err *err)
{
	int64_t least_ns = INT64_MAX;
	char budget[KT_DURATION_TEXT_BYTES];
	char least[KT_DURATION_TEXT_BYTES];

	for (size_t i = 0; i < c->n; i++)
		if (cost_of(c, &c->units[i]) < least_ns)
			least_ns = cost_of(c, &c->units[i]);
	return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
			  "a budget of %s is too short: the shortest cell takes about %s",
			  kt_duration_format(c->ask->budget_ns, budget),
			  kt_duration_format(least_ns, least));
}

int kt_budget_choose(const struct kt_budget_ask *ask, struct kt_budget *budget, struct kt_err *err)
{
	struct chooser c = { .ask = ask,
			     .matrix = ask->matrix,
			     .left_ns = ask->budget_ns * (int64_t)ask->slots };
	int rc = 0;

	*budget = (struct kt_budget){ .n_cells = ask->matrix->n_cells };
	if (ask->matrix->n_cells > KT_BUDGET_CELLS_MAX)
		return kt_err_set(err, KT_FAULT_INPUT, E2BIG,
				  "a budget chooses among at most %llu cells; the matrix has "
				  "%" PRIu64,
				  KT_BUDGET_CELLS_MAX, ask->matrix->n_cells);
	budget->taken = kt_must_calloc(ask->matrix->n_cells, sizeof(*budget->taken));
	begin(&c);
	budget->all_ns = sum_all(&c);
	choose(&c, budget);
	if (budget->n_taken == 0)
		rc = too_short(&c, err);
	end(&c);
	return rc;
}

void kt_budget_destroy(struct kt_budget *budget)
{
	free(budget->taken);
	*budget = (struct kt_budget){ 0 };
}

bool kt_budget_left_out(const struct kt_budget *budget, uint64_t *at, uint64_t *n)
{
	while (*at < budget->n_cells && budget->taken[*at])
		(*at)++;
	for (*n = 0; *at + *n < budget->n_cells && !budget->taken[*at + *n];)
		(*n)++;
	return *n > 0;
}
