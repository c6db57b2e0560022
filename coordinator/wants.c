#include "coordinator/wants.h"
#include "coordinator/core/matrix/estimate.h"
#include "coordinator/durations.h"
#include "coordinator/prepare.h"
#include "proto/base/must.h"
#include "proto/job.h"

#include <string.h>

struct list { /* the first 8 bytes of digests */
	uint64_t *items;
	size_t n;
};

struct kt_wants {
	const struct kt_matrix *matrix;
	struct kt_durations *durations;
	struct list *kernels; /* one each, or none when the cells are scripted */
	struct list *schedulers;
	struct list *scenarios; /* what they change to, and payloads */
	uint64_t *room; /* for one answer */
	/* Repeats are neighbours: how long the last cell takes that was asked for, without its repeat. */
	struct kt_matrix_cell last;
	int64_t last_ns;
};

static void add(struct list *list, const struct kt_bin *digest)
{
	if (digest->len != KT_DIGEST_BYTES)
		return;
	list->items = kt_must_realloc(list->items, list->n + 1, sizeof(*list->items));
	memcpy(&list->items[list->n++], digest->data, KT_CACHED_BYTES);
}

static void add_files(struct list *list, const struct kt_msg_file *files, size_t n)
{
	for (size_t i = 0; i < n; i++)
		add(list, &files[i].digest);
}

static void add_scenario(struct kt_wants *wants, const struct kt_msg_manifest *manifest, size_t i)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_msg_job job;

	if (!wants->matrix->scenarios[i].n_cells)
		return;
	kt_prepare_job(wants->matrix, manifest, wants->matrix->scenarios[i].first_cell, &arena,
		       &job);
	for (size_t k = 0; k < job.n_schedulers; k++)
		add_files(&wants->scenarios[i], job.schedulers[k].files, job.schedulers[k].n_files);
	for (size_t k = 0; k < job.n_payloads; k++)
		add_files(&wants->scenarios[i], job.payloads[k].files, job.payloads[k].n_files);
}

static size_t longest(const struct list *lists, size_t n)
{
	size_t most = 0;

	for (size_t i = 0; i < n; i++)
		most = lists[i].n > most ? lists[i].n : most;
	return most;
}

struct kt_wants *kt_wants_new(const struct kt_matrix *matrix,
			      const struct kt_msg_manifest *manifest, const char *state_dir,
			      const char *runner)
{
	struct kt_wants *wants = kt_must_calloc(1, sizeof(*wants));

	wants->matrix = matrix;
	if (matrix->n_cells > 1)
		wants->durations = kt_durations_load(state_dir, runner, KT_WANTS_STORED_BYTES_MAX);
	wants->kernels = kt_must_calloc(matrix->n_kernels, sizeof(*wants->kernels));
	wants->schedulers = kt_must_calloc(matrix->n_schedulers, sizeof(*wants->schedulers));
	wants->scenarios = kt_must_calloc(matrix->n_scenarios, sizeof(*wants->scenarios));
	for (size_t i = 0; i < manifest->n_kernels; i++)
		add(&wants->kernels[i], &manifest->kernels[i].digest);
	for (size_t i = 0; i < manifest->n_schedulers; i++)
		add_files(&wants->schedulers[i], manifest->schedulers[i].files,
			  manifest->schedulers[i].n_files);
	for (size_t i = 0; i < matrix->n_scenarios; i++)
		add_scenario(wants, manifest, i);
	wants->room = kt_must_calloc(1 + longest(wants->schedulers, matrix->n_schedulers) +
					     longest(wants->scenarios, matrix->n_scenarios),
				     sizeof(*wants->room));
	return wants;
}

static void destroy_lists(struct list *lists, size_t n)
{
	for (size_t i = 0; i < n; i++)
		free(lists[i].items);
	free(lists);
}

void kt_wants_destroy(struct kt_wants **wants_p)
{
	struct kt_wants *wants = kt_take(wants_p);

	if (!wants)
		return;
	kt_durations_destroy(&wants->durations);
	destroy_lists(wants->kernels, wants->matrix->n_kernels);
	destroy_lists(wants->schedulers, wants->matrix->n_schedulers);
	destroy_lists(wants->scenarios, wants->matrix->n_scenarios);
	free(wants->room);
	free(wants);
}

static int64_t expected_ns(struct kt_wants *wants, uint64_t index,
			   const struct kt_matrix_cell *cell)
{
	const struct kt_matrix_cell *last = &wants->last;
	int64_t measured_ns = 0;

	if (cell->scenario == last->scenario && cell->kernel == last->kernel &&
	    cell->scheduler == last->scheduler && cell->topology == last->topology)
		return wants->last_ns;
	wants->last = *cell;
	if (wants->durations)
		measured_ns = kt_durations_cell_ns(wants->durations, wants->matrix, index);
	wants->last_ns = measured_ns ? measured_ns : kt_estimate_cell_ns(cell, NULL);
	return wants->last_ns;
}

/* Cells that differ in their scheduler alone have the same; 16 bits hold any of the four. */
static uint64_t pair_of(const struct kt_wants *wants, const struct kt_matrix_cell *cell)
{
	uint64_t number = (uint64_t)(cell->scenario - wants->matrix->scenarios);

	number = number << 16 | (uint64_t)(cell->kernel - wants->matrix->kernels);
	number = number << 16 | (uint64_t)(cell->topology - wants->matrix->topologies);
	return (number << 16 | cell->repeat) + 1;
}

static size_t append(uint64_t *room, size_t n, const struct list *list)
{
	if (list->n)
		memcpy(room + n, list->items, list->n * sizeof(*room));
	return n + list->n;
}

void kt_wants_demand(void *arg, uint64_t index, struct kt_placement_demand *demand)
{
	struct kt_wants *wants = arg;
	const struct kt_matrix *matrix = wants->matrix;
	struct kt_matrix_cell cell;
	size_t n = 0;

	kt_matrix_cell(matrix, index, &cell);
	n = append(wants->room, n, &wants->kernels[cell.kernel - matrix->kernels]);
	n = append(wants->room, n, &wants->schedulers[cell.scheduler - matrix->schedulers]);
	n = append(wants->room, n, &wants->scenarios[cell.scenario - matrix->scenarios]);
	*demand = (struct kt_placement_demand){
		.cpus = cell.topology->cpus,
		.mem_bytes = cell.topology->mem_bytes,
		.expected_ns = expected_ns(wants, index, &cell),
		.artifacts = wants->room,
		.n_artifacts = n,
		.accel = cell.scenario->accel,
		.pair = cell.scenario->paired ? pair_of(wants, &cell) : 0,
	};
}
