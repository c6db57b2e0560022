/* test_budget.c - which cells a budget takes. Here, not in core/, because it reads matrix files. */
#include "coordinator/core/matrix/budget.h"
#include "coordinator/core/matrix/estimate.h"
#include "coordinator/matrixfile.h"
#include "tests/unit/coordinator/drawn.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define S KT_NS_PER_S

static struct kt_matrix *parse(const char *text)
{
	struct kt_matrix *matrix = NULL;

	kt_matrixfile_parse("m.toml", text, strlen(text), NULL, NULL, &matrix, NULL);
	return matrix;
}

static int64_t ten_seconds(void *arg, uint64_t index)
{
	return 10 * S;
}

/* Some cells take much longer than others, always the same ones. */
static int64_t uneven(void *arg, uint64_t index)
{
	return (1 + (int64_t)(index * 7919 % 23)) * S;
}

static struct kt_budget choose(const struct kt_matrix *matrix, int64_t budget_ns, uint64_t slots,
			       int64_t (*cell_ns)(void *arg, uint64_t index))
{
	const struct kt_budget_ask ask = {
		.matrix = matrix, .budget_ns = budget_ns, .slots = slots, .cell_ns = cell_ns
	};
	struct kt_budget budget;
	struct kt_err err = { 0 };

	kt_budget_choose(&ask, &budget, &err);
	return budget;
}

/* 2 scenarios, 2 kernels, 2 schedulers, 3 topologies, 2 repeats, cold: 48 cells of 10 s. */
static const char square[] =
	"[sweep]\nname = \"s\"\nrepeats = 2\nguest = \"cold\"\n"
	"[[kernel]]\nname = \"k0\"\npath = \"p\"\n[[kernel]]\nname = \"k1\"\npath = \"p\"\n"
	"[[scheduler]]\nname = \"x\"\nbinary = \"b\"\n[[scheduler]]\nname = \"eevdf\"\n"
	"[[topology]]\nname = \"one\"\ncpus = \"1n1l2c1t\"\n"
	"[[topology]]\nname = \"smt\"\ncpus = \"1n3l1c2t\"\n"
	"[[topology]]\nname = \"numa\"\ncpus = \"2n2l2c1t\"\n"
	"[[scenario]]\nname = \"a\"\nduration = \"1s\"\n" DRAWN_STEP
	"[[scenario]]\nname = \"b\"\nduration = \"1s\"\n" DRAWN_STEP;

static void print_taken(const struct kt_matrix *matrix, const struct kt_budget *budget,
			struct kt_buf *out)
{
	char name[KT_CELL_NAME_BYTES_MAX];

	for (uint64_t i = 0; i < budget->n_cells; i++)
		if (budget->taken[i])
			kt_buf_printf(out, "%s%s", out->len ? " " : "",
				      kt_matrix_cell_name(matrix, i, name));
}

Test(budget, what_was_not_seen_yet_comes_first)
{
	KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = parse(square);
	struct kt_budget budget = choose(matrix, 40 * S, 1, ten_seconds);
	KT_AUTO_BUF taken = { 0 };

	print_taken(matrix, &budget, &taken);
	/* Four cells: both scenarios with both schedulers, both kernels, every trait; no repeat. */
	cr_assert_str_eq(kt_buf_text(&taken),
			 "a/k0/x/smt#0 a/k0/eevdf/numa#0 b/k1/x/numa#0 b/k1/eevdf/smt#0");
	cr_assert_eq(budget.n_taken, 4);
	cr_assert_eq(budget.taken_ns, 40 * S);
	cr_assert_eq(budget.all_ns, 480 * S);
	kt_budget_destroy(&budget);
}

Test(budget, it_is_never_exceeded_and_used_as_far_as_cells_fit)
{
	KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = parse(square);

	for (int64_t s = 10; s <= 500; s += 7) {
		for (uint64_t slots = 1; slots <= 3; slots++) {
			struct kt_budget budget = choose(matrix, s * S, slots, ten_seconds);
			uint64_t fit = (uint64_t)s * slots / 10;

			cr_assert_eq(budget.n_taken, fit < 48 ? fit : 48);
			cr_assert_leq(budget.taken_ns, s * S * (int64_t)slots);
			kt_budget_destroy(&budget);
		}
	}
}

Test(budget, no_cell_takes_longer_than_the_budget_however_many_slots_there_are)
{
	KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = parse(square);
	const struct kt_budget_ask ask = {
		.matrix = matrix, .budget_ns = 9 * S, .slots = 8, .cell_ns = ten_seconds
	};
	struct kt_budget budget;
	struct kt_err err = { 0 };

	cr_assert_eq(kt_budget_choose(&ask, &budget, &err), -EINVAL);
	cr_assert_eq(err.fault, KT_FAULT_INPUT);
	cr_assert_str_eq(err.text,
			 "a budget of 9s is too short: the shortest cell takes about 10s");
	kt_budget_destroy(&budget);
}

static int64_t x_is_slow(void *arg, uint64_t index)
{
	struct kt_matrix_cell cell;

	kt_matrix_cell(arg, index, &cell);
	return strcmp(cell.scheduler->name, "x") == 0 ? 60 * S : S;
}

Test(budget, what_takes_long_must_be_worth_it)
{
	KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = parse(square);
	const struct kt_budget_ask ask = { .matrix = matrix,
					   .budget_ns = 90 * S,
					   .slots = 1,
					   .cell_ns = x_is_slow,
					   .arg = matrix };
	struct kt_budget budget;
	uint64_t slow = 0;

	cr_assert_eq(kt_budget_choose(&ask, &budget, NULL), 0);
	for (uint64_t i = 0; i < budget.n_cells; i++)
		slow += budget.taken[i] && x_is_slow(matrix, i) > S;
	cr_assert_eq(slow, 1);
	cr_assert_eq(budget.n_taken, 1 + 24, "and all of the quick ones");
	kt_budget_destroy(&budget);
}

Test(budget, the_first_warm_cell_of_a_machine_pays_its_template)
{
	KT_AUTO_BUF text = { 0 };
	KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = NULL;
	struct kt_budget budget;

	kt_buf_puts(&text,
		    "[sweep]\nname = \"s\"\nrepeats = 3\n"
		    "[[kernel]]\nname = \"k\"\npath = \"p\"\n[[scheduler]]\nname = \"eevdf\"\n"
		    "[[topology]]\nname = \"two\"\ncpus = \"1n1l2c1t\"\n"
		    "[[topology]]\nname = \"big\"\ncpus = \"1n2l16c1t\"\n"
		    "[[scenario]]\nname = \"a\"\nduration = \"1s\"\n" DRAWN_STEP);
	matrix = parse(kt_buf_text(&text));
	/* boots of 2.2 s and 11 s */
	budget = choose(matrix, 100 * S, 1, ten_seconds);
	cr_assert_eq(budget.all_ns, 6 * 10 * S + 13200 * KT_NS_PER_MS);
	cr_assert_eq(budget.taken_ns, budget.all_ns);
	kt_budget_destroy(&budget);
	budget = choose(matrix, 33 * S, 1, ten_seconds);
	cr_assert_eq(budget.taken_ns, 10 * S * 3 + 2200 * KT_NS_PER_MS, "the other does not fit");
	kt_budget_destroy(&budget);
}

Test(budget, repeats_of_which_something_is_asserted_together_stay_together)
{
	KT_AUTO_BUF text = { 0 };
	KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = NULL;

	kt_buf_puts(&text,
		    "[sweep]\nname = \"s\"\nrepeats = 4\nguest = \"cold\"\n"
		    "[[kernel]]\nname = \"k\"\npath = \"p\"\n[[scheduler]]\nname = \"eevdf\"\n"
		    "[[topology]]\nname = \"t\"\ncpus = \"1n1l2c1t\"\n"
		    "[[scenario]]\nname = \"alone\"\nduration = \"1s\"\n" DRAWN_STEP
		    "[[scenario]]\nname = \"together\"\nduration = \"1s\"\nsamples = 1\n" DRAWN_STEP
		    "[[scenario.assert]]\nseries = \"bpf:n\"\nover = { at_least = 2 }\n"
		    "each = { at_least = 0 }\n");
	matrix = parse(kt_buf_text(&text));
	for (int64_t s = 10; s <= 80; s += 10) {
		struct kt_budget budget = choose(matrix, s * S, 1, ten_seconds);
		uint64_t together = 0;

		for (uint64_t i = 4; i < 8; i++)
			together += budget.taken[i];
		cr_assert(together == 0 || together == 4, "%lld s: %llu", (long long)s,
			  (unsigned long long)together);
		/* less telling than two repeats more of the other, per second */
		cr_assert_eq(together == 4, s >= 70, "%lld s", (long long)s);
		kt_budget_destroy(&budget);
	}
}

Test(budget, what_is_left_out_comes_in_runs)
{
	bool taken[] = { true, false, false, true, false };
	const struct kt_budget budget = { .taken = taken, .n_cells = 5 };
	uint64_t at = 0;
	uint64_t n;

	cr_assert(kt_budget_left_out(&budget, &at, &n));
	cr_assert_eq(at, 1);
	cr_assert_eq(n, 2);
	at += n;
	cr_assert(kt_budget_left_out(&budget, &at, &n));
	cr_assert_eq(at, 4);
	cr_assert_eq(n, 1);
	at += n;
	cr_assert_not(kt_budget_left_out(&budget, &at, &n));
}

/* ---- against the same, done without a heap ---- */

#define FEATURES_MAX 64

/* One line per feature, as budget.h lists them. */
struct features {
	char names[FEATURES_MAX][160];
	unsigned int weights[FEATURES_MAX];
	size_t n;
};

__attribute__((format(printf, 3, 4))) static void add(struct features *features,
						      unsigned int weight, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	vsnprintf(features->names[features->n], sizeof(features->names[0]), format, args);
	va_end(args);
	features->weights[features->n++] = weight;
}

static void features_of(const struct kt_matrix_cell *cell, struct features *features)
{
	const struct kt_matrix_topology *t = cell->topology;
	int power = 31 - __builtin_clz(t->cpus);
	bool odd = t->llcs > 1 && t->llcs % 2;
	char class[64];

	snprintf(class, sizeof(class), "%d %d %d %d %d %d", t->numa_nodes > 1, t->llcs > 1,
		 t->threads > 1, odd, t->n_nodes > 0, power);
	features->n = 0;
	add(features, 16, "scenario %s", cell->scenario->name);
	add(features, 16, "kernel %s", cell->kernel->name);
	add(features, 16, "base %s", cell->scheduler->base);
	add(features, 8, "scenario %s profile %s", cell->scenario->name, cell->scheduler->name);
	add(features, 8, "scenario %s class %s", cell->scenario->name, class);
	for (size_t i = 0; i < cell->scheduler->n_flags; i++)
		if (cell->scheduler->given >> i & 1)
			add(features, 8, "base %s flag %s", cell->scheduler->base,
			    cell->scheduler->flags[i].name);
	if (t->numa_nodes > 1)
		add(features, 8, "nodes");
	if (t->llcs > 1)
		add(features, 8, "llcs");
	if (t->threads > 1)
		add(features, 8, "threads");
	if (odd)
		add(features, 8, "odd");
	if (t->n_nodes > 0)
		add(features, 8, "uneven");
	add(features, 4, "kernel %s base %s", cell->kernel->name, cell->scheduler->base);
	add(features, 4, "base %s class %s", cell->scheduler->base, class);
	add(features, 1, "cell %s/%s/%s/%s", cell->scenario->name, cell->kernel->name,
	    cell->scheduler->name, t->name);
}

#define SEEN_MAX 4096

static struct {
	char name[160];
	unsigned int n;
} seen[SEEN_MAX];
static size_t n_seen;

static unsigned int *count_of(const char *name)
{
	size_t i = 0;

	while (i < n_seen && strcmp(seen[i].name, name) != 0)
		i++;
	cr_assert_lt(i, SEEN_MAX);
	if (i == n_seen) {
		snprintf(seen[n_seen].name, sizeof(seen[0].name), "%s", name);
		seen[n_seen++].n = 0;
	}
	return &seen[i].n;
}

static uint64_t worth_of(const struct features *features)
{
	uint64_t worth = 0;

	for (size_t i = 0; i < features->n; i++) {
		unsigned int n = *count_of(features->names[i]);

		worth += ((uint64_t)features->weights[i] << 32) >> (n < 40 ? n : 40);
	}
	return worth;
}

/* The boot of its template, unless a cell that was taken has paid it. */
static int64_t boot_of(const struct kt_matrix *matrix, const bool *taken, uint64_t index)
{
	struct kt_matrix_cell cell;

	kt_matrix_cell(matrix, index, &cell);
	if (!kt_estimate_is_warm(cell.scenario))
		return 0;
	for (uint64_t i = 0; i < matrix->n_cells; i++) {
		struct kt_matrix_cell other;

		kt_matrix_cell(matrix, i, &other);
		if (taken[i] && other.kernel == cell.kernel && other.topology == cell.topology &&
		    kt_estimate_is_warm(other.scenario))
			return 0;
	}
	return kt_estimate_boot_ns(cell.topology->cpus, NULL);
}

/* Cell by cell the best of all that fit; of a cell's repeats the first that is left. */
static void choose_slowly(const struct kt_matrix *matrix, int64_t budget_ns, uint64_t slots,
			  bool *taken)
{
	int64_t left_ns = budget_ns * (int64_t)slots;

	n_seen = 0;
	memset(taken, 0, matrix->n_cells);
	for (;;) {
		uint64_t best = UINT64_MAX;
		uint64_t best_worth = 0;
		int64_t best_ns = 1;
		struct features features;
		struct kt_matrix_cell cell;

		for (uint64_t i = 0; i < matrix->n_cells; i++) {
			int64_t boot_ns;
			int64_t ns;
			uint64_t worth;

			kt_matrix_cell(matrix, i, &cell);
			if (taken[i] || (cell.repeat > 0 && !taken[i - 1]))
				continue;
			boot_ns = boot_of(matrix, taken, i);
			ns = uneven(NULL, i - cell.repeat) + boot_ns;
			if (ns > left_ns || ns > budget_ns)
				continue;
			features_of(&cell, &features);
			worth = worth_of(&features);
			if (best == UINT64_MAX ||
			    (unsigned __int128)worth * (uint64_t)best_ns >
				    (unsigned __int128)best_worth * (uint64_t)ns) {
				best = i;
				best_worth = worth;
				best_ns = ns;
			}
		}
		if (best == UINT64_MAX)
			return;
		taken[best] = true;
		left_ns -= best_ns;
		kt_matrix_cell(matrix, best, &cell);
		features_of(&cell, &features);
		for (size_t i = 0; i < features.n; i++)
			++*count_of(features.names[i]);
	}
}

Test(budget, it_takes_what_a_walk_over_all_cells_would, .timeout = 120)
{
	uint64_t seed = 4711;
	size_t n_compared = 0;

	for (int round = 0; round < 60; round++) {
		KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = NULL;
		KT_AUTO_FREE bool *taken = NULL;
		KT_AUTO_BUF text = { 0 };
		int64_t budget_ns = (10 + (int64_t)drawn(&seed, 200)) * S;
		uint64_t slots = 1 + drawn(&seed, 3);
		struct kt_budget budget;

		drawn_matrix(&seed, &text);
		matrix = parse(kt_buf_text(&text));
		if (!matrix || matrix->n_cells > 300)
			continue;
		taken = calloc(matrix->n_cells, sizeof(*taken));
		choose_slowly(matrix, budget_ns, slots, taken);
		budget = choose(matrix, budget_ns, slots, uneven);
		for (uint64_t i = 0; i < matrix->n_cells; i++)
			cr_assert_eq(budget.taken[i], taken[i], "round %d, cell %llu", round,
				     (unsigned long long)i);
		kt_budget_destroy(&budget);
		n_compared++;
	}
	cr_assert_gt(n_compared, 10);
}
