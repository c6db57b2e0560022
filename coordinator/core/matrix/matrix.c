#include "coordinator/core/matrix/matrix.h"
#include "coordinator/core/matrix/expand.h"
#include "proto/base/must.h"
#include "proto/job.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* The axes of one scenario's cells, slowest first. A place is a scheduler in a topology. */
enum { KERNEL, PLACE, REPEAT, N_AXES };

void kt_matrix_destroy(struct kt_matrix **matrix_p)
{
	struct kt_doc *doc;

	if (!*matrix_p)
		return;
	/* The matrix itself lies in the document's arena. */
	doc = (*matrix_p)->doc;
	*matrix_p = NULL;
	kt_doc_destroy(&doc);
}

void kt_matrix_make_cold(struct kt_matrix *matrix)
{
	matrix->sweep.guest = KT_JOB_GUEST_COLD;
	for (size_t i = 0; i < matrix->n_scenarios; i++)
		matrix->scenarios[i].guest = KT_JOB_GUEST_COLD;
}

const char *kt_matrix_level_name(enum kt_matrix_level level)
{
	static const char *const names[] = {
		[KT_MATRIX_LEVEL_SWEEP] = "sweep",
		[KT_MATRIX_LEVEL_SCHEDULER] = "scheduler",
		[KT_MATRIX_LEVEL_SCENARIO] = "scenario",
	};

	kt_must(level < KT_MATRIX_LEVEL_N);
	return names[level];
}

/* The one of the same name among those found so far; NULL for an assertion without a name. */
static struct kt_matrix_assert *find_named(struct kt_matrix_assert *asserts, size_t n,
					   const struct kt_assertion *assertion)
{
	const struct kt_param_arg *name = &assertion->options[KT_ASSERTION_NAME];

	for (size_t i = 0; name->given && i < n; i++) {
		const struct kt_param_arg *other =
			&asserts[i].assertion->options[KT_ASSERTION_NAME];

		if (other->given && strcmp(name->text, other->text) == 0)
			return &asserts[i];
	}
	return NULL;
}

size_t kt_matrix_asserts(const struct kt_matrix *matrix, const struct kt_matrix_scenario *scenario,
			 const struct kt_matrix_scheduler *scheduler, struct kt_arena *arena,
			 struct kt_matrix_assert **asserts)
{
	const struct kt_matrix_asserts *levels[] = {
		[KT_MATRIX_LEVEL_SWEEP] = &matrix->sweep.asserts,
		[KT_MATRIX_LEVEL_SCHEDULER] = &scheduler->asserts,
		[KT_MATRIX_LEVEL_SCENARIO] = &scenario->asserts,
	};
	size_t n = 0;

	*asserts = kt_arena_alloc(arena, levels[0]->n + levels[1]->n + levels[2]->n,
				  sizeof(**asserts));
	for (enum kt_matrix_level level = 0; level < KT_MATRIX_LEVEL_N; level++) {
		for (size_t i = 0; i < levels[level]->n; i++) {
			struct kt_matrix_assert added = { .assertion = &levels[level]->list[i],
							  .level = level,
							  .node = levels[level]->nodes[i] };
			struct kt_matrix_assert *same = find_named(*asserts, n, added.assertion);

			if (same) {
				struct kt_matrix_assert *before =
					kt_arena_alloc(arena, 1, sizeof(*before));

				*before = *same;
				added.replaces = before;
				*same = added;
			} else {
				(*asserts)[n++] = added;
			}
		}
	}
	return n;
}

size_t kt_matrix_judged(const struct kt_matrix *matrix, const struct kt_matrix_cell *cell,
			struct kt_arena *arena, const struct kt_assertion *const **list)
{
	struct kt_matrix_assert *asserts;
	size_t n = kt_matrix_asserts(matrix, cell->scenario, cell->scheduler, arena, &asserts);
	const struct kt_assertion **judged = kt_arena_alloc(arena, n, sizeof(*judged));
	size_t n_judged = 0;

	for (size_t i = 0; i < n; i++)
		if (!kt_assertion_is_off(asserts[i].assertion))
			judged[n_judged++] = asserts[i].assertion;
	*list = judged;
	return n_judged;
}

uint64_t kt_matrix_n_cells(const struct kt_matrix *matrix)
{
	return matrix->n_cells;
}

static void sizes_of(const struct kt_matrix_scenario *scenario, uint64_t sizes[N_AXES])
{
	sizes[KERNEL] = scenario->n_kernels;
	sizes[PLACE] = scenario->n_places;
	sizes[REPEAT] = scenario->repeats;
}

/* The last scenario that begins at or before index: one without cells begins where the next one does. */
static const struct kt_matrix_scenario *scenario_of(const struct kt_matrix *matrix, uint64_t index)
{
	size_t low = 0;
	size_t high = matrix->n_scenarios;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (matrix->scenarios[middle].first_cell <= index)
			low = middle;
		else
			high = middle;
	}
	return &matrix->scenarios[low];
}

/* The last scheduler with at most `place` places before it, as above. */
static size_t scheduler_at(const struct kt_matrix_scenario *scenario, uint64_t place)
{
	size_t low = 0;
	size_t high = scenario->n_schedulers;

	if (!scenario->places)
		return place / scenario->n_topologies;
	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (scenario->places[middle].before <= place)
			low = middle;
		else
			high = middle;
	}
	return low;
}

static struct kt_matrix_places places_of(const struct kt_matrix_scenario *scenario,
					 size_t scheduler)
{
	if (scenario->places)
		return scenario->places[scheduler];
	return (struct kt_matrix_places){
		.topologies = scenario->topologies,
		.n = (uint32_t)scenario->n_topologies,
		.before = (uint32_t)(scheduler * scenario->n_topologies),
	};
}

void kt_matrix_cell(const struct kt_matrix *matrix, uint64_t index, struct kt_matrix_cell *cell)
{
	const struct kt_matrix_scenario *scenario;
	struct kt_matrix_places places;
	uint64_t sizes[N_AXES];
	uint64_t at[N_AXES];
	size_t scheduler;

	kt_must(index < matrix->n_cells);
	scenario = scenario_of(matrix, index);
	sizes_of(scenario, sizes);
	kt_expand_split(sizes, N_AXES, index - scenario->first_cell, at);
	scheduler = scheduler_at(scenario, at[PLACE]);
	places = places_of(scenario, scheduler);
	*cell = (struct kt_matrix_cell){
		.scenario = scenario,
		.kernel = &matrix->kernels[scenario->kernels[at[KERNEL]]],
		.scheduler = &matrix->schedulers[scenario->schedulers[scheduler]],
		.topology = &matrix->topologies[places.topologies[at[PLACE] - places.before]],
		.repeat = at[REPEAT],
	};
}

/* Where topology number index stands among a scheduler's places. */
static bool find_place(const struct kt_matrix_places *places, uint32_t index, uint32_t *at)
{
	size_t low = 0;
	size_t high = places->n;

	while (high > low) {
		size_t middle = low + (high - low) / 2;

		if (places->topologies[middle] < index)
			low = middle + 1;
		else
			high = middle;
	}
	*at = (uint32_t)low;
	return low < places->n && places->topologies[low] == index;
}

bool kt_matrix_first_cell_in(const struct kt_matrix_scenario *scenario, size_t k, uint64_t *index)
{
	for (size_t i = 0; i < scenario->n_schedulers; i++) {
		struct kt_matrix_places places = places_of(scenario, i);
		uint32_t at;

		if (!find_place(&places, scenario->topologies[k], &at))
			continue;
		*index = scenario->first_cell + (places.before + at) * scenario->repeats;
		return true;
	}
	return false;
}

bool kt_matrix_first_cell_with(const struct kt_matrix_scenario *scenario, size_t i, uint64_t *index)
{
	struct kt_matrix_places places = places_of(scenario, i);

	*index = scenario->first_cell + places.before * scenario->repeats;
	return places.n > 0 && scenario->n_cells > 0;
}

uint64_t kt_matrix_n_schedulers_in(const struct kt_matrix_scenario *scenario, size_t k)
{
	uint64_t n = 0;

	if (!scenario->places)
		return scenario->n_schedulers;
	for (size_t i = 0; i < scenario->n_schedulers; i++) {
		uint32_t at;

		n += find_place(&scenario->places[i], scenario->topologies[k], &at);
	}
	return n;
}

const char *kt_matrix_cell_name(const struct kt_matrix *matrix, uint64_t index,
				char name[KT_CELL_NAME_BYTES_MAX])
{
	struct kt_matrix_cell cell;
	int len;

	kt_matrix_cell(matrix, index, &cell);
	len = snprintf(name, KT_CELL_NAME_BYTES_MAX, "%s/%s/%s/%s#%" PRIu64, cell.scenario->name,
		       cell.kernel->name, cell.scheduler->name, cell.topology->name, cell.repeat);
	kt_must(len > 0 && len < KT_CELL_NAME_BYTES_MAX);
	return name;
}

/* Takes what stands before `stop` off the front of *text, into part. */
static bool take_part(const char **text, char stop, char part[KT_NAME_BYTES_MAX + 1])
{
	const char *end = strchr(*text, stop);
	size_t len;

	if (!end)
		return false;
	len = (size_t)(end - *text);
	if (len > KT_NAME_BYTES_MAX)
		return false;
	memcpy(part, *text, len);
	part[len] = 0;
	*text = end + 1;
	return true;
}

/* Every entry begins with its name. */
static bool find_entry(const char *name, const void *entries, size_t size, const uint32_t *chosen,
		       size_t n_chosen, uint64_t *at)
{
	for (size_t i = 0; i < n_chosen; i++) {
		const char *const *entry = (const void *)((const char *)entries + size * chosen[i]);

		if (strcmp(*entry, name) == 0) {
			*at = i;
			return true;
		}
	}
	return false;
}

/* The number of a repeat as kt_matrix_cell_name() prints it: no sign, no leading zero. */
static bool parse_repeat(const char *text, uint64_t repeats, uint64_t *repeat)
{
	char again[24];
	char *end;

	errno = 0;
	*repeat = strtoull(text, &end, 10);
	if (errno || *end || *repeat >= repeats)
		return false;
	snprintf(again, sizeof(again), "%" PRIu64, *repeat);
	return strcmp(again, text) == 0;
}

static const struct kt_matrix_scenario *find_scenario(const struct kt_matrix *matrix,
						      const char *name)
{
	for (size_t i = 0; i < matrix->n_scenarios; i++)
		if (strcmp(matrix->scenarios[i].name, name) == 0)
			return &matrix->scenarios[i];
	return NULL;
}

bool kt_matrix_find_cell(const struct kt_matrix *matrix, const char *name, uint64_t *index)
{
	char parts[4][KT_NAME_BYTES_MAX + 1];
	const struct kt_matrix_scenario *scenario;
	struct kt_matrix_places places;
	uint64_t sizes[N_AXES];
	uint64_t at[N_AXES];
	uint64_t scheduler;
	uint64_t topology;

	if (!take_part(&name, '/', parts[0]) || !take_part(&name, '/', parts[1]) ||
	    !take_part(&name, '/', parts[2]) || !take_part(&name, '#', parts[3]))
		return false;
	scenario = find_scenario(matrix, parts[0]);
	if (!scenario ||
	    !find_entry(parts[1], matrix->kernels, sizeof(*matrix->kernels), scenario->kernels,
			scenario->n_kernels, &at[KERNEL]) ||
	    !find_entry(parts[2], matrix->schedulers, sizeof(*matrix->schedulers),
			scenario->schedulers, scenario->n_schedulers, &scheduler))
		return false;
	places = places_of(scenario, scheduler);
	if (!find_entry(parts[3], matrix->topologies, sizeof(*matrix->topologies),
			places.topologies, places.n, &topology) ||
	    !parse_repeat(name, scenario->repeats, &at[REPEAT]))
		return false;
	at[PLACE] = places.before + topology;
	sizes_of(scenario, sizes);
	*index = scenario->first_cell + kt_expand_join(sizes, N_AXES, at);
	return true;
}

/* ---- a cell as a job ---- */

/* A change of the matrix elsewhere must not change a cell's random numbers: only the seed that the
 * user set and the cell's own name go in.
 */
static uint64_t seed_of(uint64_t sweep_seed, const char *cell_name)
{
	char text[KT_CELL_NAME_BYTES_MAX + 32];
	struct kt_digest digest;
	uint64_t seed = 0;
	int len;

	len = snprintf(text, sizeof(text), "%" PRIu64 " %s", sweep_seed, cell_name);
	kt_must(len > 0 && (size_t)len < sizeof(text));
	kt_digest_of(text, (size_t)len, &digest);
	for (size_t i = 0; i < sizeof(seed); i++)
		seed = seed << 8 | digest.bytes[i];
	return seed;
}

/* `first` of them are left for the program. */
static struct kt_msg_arg *copy_args(const char *const *texts, size_t n, size_t first,
				    struct kt_arena *arena)
{
	struct kt_msg_arg *args = kt_arena_alloc(arena, first + n, sizeof(*args));

	for (size_t i = 0; i < first; i++)
		args[i].text = "";
	for (size_t i = 0; i < n; i++)
		args[first + i].text = texts[i];
	return args;
}

static void fill_scheduler(const struct kt_matrix_scheduler *scheduler, struct kt_arena *arena,
			   struct kt_msg_scheduler *msg)
{
	msg->name = scheduler->name;
	if (!scheduler->binary)
		return;
	msg->n_args = scheduler->n_args + 1;
	msg->args = copy_args(scheduler->args, scheduler->n_args, 1, arena);
}

static bool is_named(const char *name, const char *payload)
{
	return name && payload && strcmp(name, payload) == 0;
}

static bool any_cgroup_starts(const struct kt_msg_cgroup *cgroups, size_t n, const char *payload)
{
	for (size_t i = 0; i < n; i++)
		if (is_named(cgroups[i].payload, payload))
			return true;
	return false;
}

static bool any_op_starts(const struct kt_msg_op *ops, size_t n, const char *payload)
{
	for (size_t i = 0; i < n; i++)
		if ((strcmp(ops[i].kind, "run_payload") == 0 && is_named(ops[i].name, payload)) ||
		    (ops[i].make && any_cgroup_starts(ops[i].make, 1, payload)))
			return true;
	return false;
}

static bool starts(const struct kt_msg_scenario *msg, const char *payload)
{
	const struct kt_msg_backdrop *backdrop = msg->backdrop;

	if (backdrop && (any_cgroup_starts(backdrop->cgroups, backdrop->n_cgroups, payload) ||
			 any_op_starts(backdrop->ops, backdrop->n_ops, payload)))
		return true;
	for (size_t i = 0; i < msg->n_steps; i++)
		if (any_cgroup_starts(msg->steps[i].cgroups, msg->steps[i].n_cgroups, payload) ||
		    any_op_starts(msg->steps[i].ops, msg->steps[i].n_ops, payload))
			return true;
	return false;
}

size_t kt_matrix_payloads(const struct kt_matrix *matrix, const struct kt_matrix_scenario *scenario,
			  struct kt_arena *arena, const struct kt_matrix_payload ***payloads)
{
	size_t n = 0;

	*payloads = kt_arena_alloc(arena, matrix->n_payloads, sizeof(const void *));
	for (size_t i = 0; i < matrix->n_payloads; i++)
		if (starts(&scenario->msg, matrix->payloads[i].name))
			(*payloads)[n++] = &matrix->payloads[i];
	return n;
}

static void fill_payloads(const struct kt_matrix *matrix, const struct kt_matrix_scenario *scenario,
			  struct kt_arena *arena, struct kt_msg_job *job)
{
	const struct kt_matrix_payload **payloads;
	size_t n = kt_matrix_payloads(matrix, scenario, arena, &payloads);

	job->payloads = kt_arena_alloc(arena, n, sizeof(*job->payloads));
	job->n_payloads = n;
	for (size_t i = 0; i < n; i++)
		job->payloads[i] = (struct kt_msg_payload){
			.name = payloads[i]->name,
			.args = copy_args(payloads[i]->args, payloads[i]->n_args, 1, arena),
			.n_args = payloads[i]->n_args + 1,
			.env = copy_args(payloads[i]->env, payloads[i]->n_env, 0, arena),
			.n_env = payloads[i]->n_env,
			.deadline_ns = payloads[i]->check.deadline_ns,
		};
}

static bool any_op_loads(const struct kt_msg_op *ops, size_t n, const char *scheduler)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(ops[i].kind, "replace_scheduler") == 0 &&
		    strcmp(ops[i].name, scheduler) == 0)
			return true;
	return false;
}

static bool loads(const struct kt_msg_scenario *msg, const char *scheduler)
{
	const struct kt_msg_backdrop *backdrop = msg->backdrop;

	if (backdrop && any_op_loads(backdrop->ops, backdrop->n_ops, scheduler))
		return true;
	for (size_t i = 0; i < msg->n_steps; i++)
		if (any_op_loads(msg->steps[i].ops, msg->steps[i].n_ops, scheduler))
			return true;
	return false;
}

/* Those that replace_scheduler loads; the cell's own is there anyway. */
static void fill_others(const struct kt_matrix *matrix, const struct kt_matrix_cell *cell,
			struct kt_arena *arena, struct kt_msg_job *job)
{
	job->schedulers = kt_arena_alloc(arena, KT_OTHERS_MAX, sizeof(*job->schedulers));
	for (size_t i = 0; i < matrix->n_schedulers; i++) {
		const struct kt_matrix_scheduler *other = &matrix->schedulers[i];

		if (other == cell->scheduler || !loads(&cell->scenario->msg, other->name))
			continue;
		kt_must(job->n_schedulers < KT_OTHERS_MAX); /* kt_rehearsal_follow() counts them */
		fill_scheduler(other, arena, &job->schedulers[job->n_schedulers++]);
	}
}

void kt_matrix_job(const struct kt_matrix *matrix, uint64_t index, struct kt_arena *arena,
		   struct kt_msg_job *job)
{
	struct kt_matrix_cell cell;
	char name[KT_CELL_NAME_BYTES_MAX];

	kt_matrix_cell(matrix, index, &cell);
	kt_matrix_cell_name(matrix, index, name);
	*job = (struct kt_msg_job){
		.cell_name = kt_arena_strdup(arena, name),
		.kernel = kt_arena_alloc(arena, 1, sizeof(*job->kernel)),
		.scheduler = kt_arena_alloc(arena, 1, sizeof(*job->scheduler)),
		.topology = kt_arena_alloc(arena, 1, sizeof(*job->topology)),
		.scenario = kt_arena_alloc(arena, 1, sizeof(*job->scenario)),
		.seed = seed_of(matrix->sweep.seed, name),
		.script = cell.scenario->script,
		.guest = strcmp(cell.scenario->guest, KT_JOB_GUEST_COLD) == 0 ? KT_JOB_GUEST_COLD
									      : "",
		.template_renew = matrix->sweep.template_renew,
	};
	kt_must(job->cell_name && job->kernel && job->scheduler && job->topology && job->scenario);
	*job->kernel = (struct kt_msg_kernel){ .name = cell.kernel->name, .version = "" };
	fill_scheduler(cell.scheduler, arena, job->scheduler);
	*job->topology = (struct kt_msg_topology){
		.name = cell.topology->name,
		.numa_nodes = cell.topology->numa_nodes,
		.llcs = cell.topology->llcs,
		.cores = cell.topology->cores,
		.threads = cell.topology->threads,
		.mem_bytes = cell.topology->mem_bytes,
		.nodes = (struct kt_msg_node *)cell.topology->nodes, /* never written to */
		.n_nodes = cell.topology->n_nodes,
	};
	*job->scenario = cell.scenario->msg; /* its steps are never written to */
	fill_payloads(matrix, cell.scenario, arena, job);
	fill_others(matrix, &cell, arena, job);
}

int64_t kt_matrix_cell_run_ns(const struct kt_matrix_cell *cell)
{
	const struct kt_msg_scenario *msg = &cell->scenario->msg;
	int64_t holds_ns = 0;

	for (size_t i = 0; i < msg->n_steps; i++)
		holds_ns += msg->steps[i].hold_ns;
	return holds_ns > msg->duration_ns ? holds_ns : msg->duration_ns;
}

/* ---- errors ---- */

void kt_matrix_checks(const struct kt_matrix *matrix, const struct kt_matrix_scenario *scenario,
		      struct kt_checks *checks)
{
	kt_checks_merge(&matrix->sweep.checks, &scenario->checks, checks);
}

int kt_matrix_err_at(const struct kt_matrix *matrix, struct kt_doc_pos pos, struct kt_err *err,
		     const char *format, ...)
{
	const char *file = matrix->doc ? kt_doc_place(matrix->doc, &pos) : matrix->file;
	char words[KT_ERR_TEXT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(words, sizeof(words), format, args);
	va_end(args);
	return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "%s:%" PRIu32 ":%" PRIu32 ": %s", file,
			  pos.line, pos.column, words);
}
