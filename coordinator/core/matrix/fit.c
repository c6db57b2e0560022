#include "coordinator/core/matrix/fit.h"
#include "coordinator/core/matrix/cpus.h"
#include "coordinator/core/matrix/expand.h"
#include "coordinator/core/matrix/profile.h"
#include "coordinator/core/matrix/reading.h"
#include "coordinator/core/matrix/requires.h"
#include "proto/base/buf.h"
#include "proto/base/must.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* ---- the gauntlet ---- */

static bool is_own(const struct kt_matrix *matrix, const char *name)
{
	for (size_t i = 0; i < matrix->n_own_topologies; i++)
		if (strcmp(matrix->topologies[i].name, name) == 0)
			return true;
	return false;
}

static struct kt_matrix_topology topology_of(const struct kt_cpus_preset *preset)
{
	const struct kt_cpus *cpus = &preset->cpus;

	return (struct kt_matrix_topology){
		.name = preset->name,
		.numa_nodes = cpus->numa_nodes,
		.llcs = cpus->llcs,
		.cores = cpus->cores,
		.threads = cpus->threads,
		.cpus = kt_cpus_total(cpus),
		.mem_bytes = kt_cpus_mem_bytes(cpus, 0),
	};
}

/* Behind the matrix's own, so that those keep their numbers. A [[topology]] of a preset's name stands for it. */
static void add_presets(struct kt_grammar_reader *reader, struct kt_matrix *matrix)
{
	size_t n = matrix->n_topologies;
	struct kt_matrix_topology *all =
		kt_arena_alloc(reader->arena, n + kt_cpus_n_presets, sizeof(*all));

	memcpy(all, matrix->topologies, n * sizeof(*all));
	for (size_t i = 0; i < kt_cpus_n_presets; i++)
		if (!is_own(matrix, kt_cpus_presets[i].name))
			all[n++] = topology_of(&kt_cpus_presets[i]);
	matrix->topologies = all;
	matrix->n_topologies = n;
}

static bool is_preset(const char *name)
{
	for (size_t i = 0; i < kt_cpus_n_presets; i++)
		if (strcmp(kt_cpus_presets[i].name, name) == 0)
			return true;
	return false;
}

/* What its filter chose, and every preset, each once. */
static void run_gauntlet(struct kt_grammar_reader *reader, const struct kt_matrix *matrix,
			 struct kt_matrix_scenario *scenario)
{
	uint32_t *all = kt_arena_alloc(reader->arena, matrix->n_topologies, sizeof(*all));
	size_t n = 0;

	for (size_t i = 0, next = 0; i < matrix->n_topologies; i++) {
		bool chosen = next < scenario->n_topologies && scenario->topologies[next] == i;

		next += chosen;
		if (chosen || is_preset(matrix->topologies[i].name))
			all[n++] = (uint32_t)i;
	}
	scenario->topologies = all;
	scenario->n_topologies = n;
}

/* ---- what is chosen ---- */

static void choose_rest(struct kt_grammar_reader *reader, struct kt_matrix_scenario *scenario)
{
	const struct kt_reading *reading = reader->context;
	const struct kt_matrix *matrix = reading->matrix;

	if (!scenario->kernels) {
		scenario->kernels = reading->kernels.all;
		scenario->n_kernels = reading->kernels.n;
	}
	if (!scenario->schedulers) {
		scenario->schedulers = reading->schedulers.all;
		scenario->n_schedulers = reading->schedulers.n;
	}
	if (!scenario->topologies) {
		scenario->topologies = reading->topologies.all;
		scenario->n_topologies = reading->topologies.n;
	}
	if (scenario->gauntlet)
		run_gauntlet(reader, matrix, scenario);
	if (scenario->repeats == 0)
		scenario->repeats = matrix->sweep.repeats;
	if (!scenario->guest)
		scenario->guest = matrix->sweep.guest;
	if (!kt_doc_get(scenario->node, "paired"))
		scenario->paired = matrix->sweep.paired;
	if (!scenario->accel)
		scenario->accel = matrix->sweep.accel;
}

/* Its own filter against its own bounds: one of the two is a mistake. */
static void check_named(struct kt_grammar_reader *reader, const struct kt_matrix_scenario *scenario)
{
	const struct kt_reading *reading = reader->context;
	const struct kt_doc_node *item =
		scenario->topologies_node ? scenario->topologies_node->first : NULL;

	for (; item; item = item->next) {
		const struct kt_matrix_topology *topology;
		char text[KT_REQUIRES_TEXT_BYTES];
		uint32_t index;
		int bound;

		if (!kt_axis_find(reader, &reading->topologies, item->string, item->pos, &index))
			continue;
		topology = &reading->matrix->topologies[index];
		bound = kt_requires_broken(&scenario->requires, topology);
		if (bound >= 0)
			kt_problem_add(
				reader->problems, item->pos,
				"scenario '%s' names topology '%s' and requires %s, which it "
				"is not",
				scenario->name, topology->name,
				kt_requires_print(&scenario->requires, bound, text));
	}
}

/* ---- what fits ---- */

/* Schedulers that require the same have the same places: profiles of one, and all that require nothing. */
struct classes {
	size_t *of; /* each scheduler's */
	size_t n;
};

static void find_classes(const struct kt_matrix *matrix, struct classes *classes)
{
	const struct kt_matrix_requires **each =
		kt_must_calloc(matrix->n_schedulers, sizeof(*each));

	classes->of = kt_must_calloc(matrix->n_schedulers, sizeof(*classes->of));
	classes->n = 0;
	for (size_t i = 0; i < matrix->n_schedulers; i++) {
		size_t k = 0;

		while (k < classes->n &&
		       !kt_requires_equal(each[k], &matrix->schedulers[i].requires))
			k++;
		if (k == classes->n)
		each[classes->n++] = &matrix->schedulers[i].requires;
		classes->of[i] = k;
	}
	free(each);
}

static struct kt_matrix_places places_for(struct kt_grammar_reader *reader,
					  const struct kt_matrix *matrix,
					  const struct kt_matrix_scenario *scenario,
					  const struct kt_matrix_requires *requires)
{
	uint32_t *list = kt_must_calloc(scenario->n_topologies, sizeof(*list));
	struct kt_matrix_places places = { 0 };

	for (size_t i = 0; i < scenario->n_topologies; i++) {
		uint32_t index = scenario->topologies[i];
		const struct kt_matrix_topology *topology = &matrix->topologies[index];

		if (kt_requires_broken(&scenario->requires, topology) < 0 &&
		    kt_requires_broken(requires, topology) < 0)
			list[places.n++] = index;
	}
	if (places.n == scenario->n_topologies) {
		places.topologies = scenario->topologies;
	} else {
		uint32_t *kept = kt_arena_alloc(reader->arena, places.n, sizeof(*kept));

		if (places.n)
			memcpy(kept, list, places.n * sizeof(*kept));
		places.topologies = kept;
	}
	free(list);
	return places;
}

/* False when nothing of it is dropped: then nobody needs the list. */
static bool list_places(struct kt_grammar_reader *reader, const struct kt_matrix *matrix,
			const struct classes *classes, const struct kt_matrix_scenario *scenario,
			struct kt_matrix_places *list, uint64_t *n)
{
	KT_AUTO_FREE struct kt_matrix_places *known = kt_must_calloc(classes->n, sizeof(*known));
	bool all = true;

	*n = 0;
	for (size_t i = 0; i < scenario->n_schedulers; i++) {
		const struct kt_matrix_scheduler *scheduler =
			&matrix->schedulers[scenario->schedulers[i]];
		struct kt_matrix_places *places = &known[classes->of[scenario->schedulers[i]]];

		if (!places->topologies)
			*places = places_for(reader, matrix, scenario, &scheduler->requires);
		if (kt_profile_passes(&scenario->flags, scheduler))
			list[i] = *places;
		list[i].before = (uint32_t)*n;
		*n += list[i].n;
		all &= list[i].n == scenario->n_topologies;
		if (*n > KT_CELLS_MAX)
			return true; /* refused below */
	}
	return !all;
}

static void find_places(struct kt_grammar_reader *reader, const struct kt_matrix *matrix,
			const struct classes *classes, struct kt_matrix_scenario *scenario)
{
	KT_AUTO_FREE struct kt_matrix_places *list =
		kt_must_calloc(scenario->n_schedulers, sizeof(*list));

	if (list_places(reader, matrix, classes, scenario, list, &scenario->n_places))
		scenario->places =
			kt_arena_copy(reader->arena, list, scenario->n_schedulers * sizeof(*list));
}

/* ---- numbers ---- */

static bool number_cells(struct kt_grammar_reader *reader, struct kt_matrix *matrix,
			 struct kt_matrix_scenario *scenario)
{
	const uint64_t sizes[] = { scenario->n_kernels, scenario->n_places, scenario->repeats };

	scenario->first_cell = matrix->n_cells;
	if (!kt_expand_count(sizes, 3, KT_CELLS_MAX - matrix->n_cells, &scenario->n_cells)) {
		kt_problem_add(
			reader->problems, scenario->pos,
			"with scenario '%s' (%zu kernels x %zu schedulers x %zu topologies x "
			"%" PRIu64 " repeats) the matrix has more than %llu cells; choose "
			"fewer",
			scenario->name, scenario->n_kernels, scenario->n_schedulers,
			scenario->n_topologies, scenario->repeats, KT_CELLS_MAX);
		return false;
	}
	matrix->n_cells += scenario->n_cells;
	return true;
}

static void say_none(struct kt_grammar_reader *reader, const struct kt_matrix *matrix)
{
	const struct kt_matrix_scenario *scenario = &matrix->scenarios[0];
	struct kt_fit_drop *drops;
	size_t n = kt_fit_drops(matrix, scenario, reader->arena, &drops);

	kt_must(n > 0);
	kt_problem_add(
		reader->problems, scenario->pos,
		"no scenario of the matrix fits any of its schedulers and topologies: '%s'%s%s "
		"%s, which %s '%s' is not",
		scenario->name, drops->with ? " with " : "", drops->with ? drops->with : "",
		drops->why, strcmp(drops->what, "profiles") == 0 ? "profile" : "topology",
		drops->names[0]);
}

void kt_fit_expand(struct kt_grammar_reader *reader)
{
	struct kt_reading *reading = reader->context;
	struct kt_matrix *matrix = reading->matrix;
	struct classes classes;
	bool gauntlet = false;

	matrix->n_own_topologies = matrix->n_topologies;
	for (size_t i = 0; i < matrix->n_scenarios; i++)
		gauntlet |= matrix->scenarios[i].gauntlet;
	if (gauntlet)
		add_presets(reader, matrix);
	find_classes(matrix, &classes);
	for (size_t i = 0; i < matrix->n_scenarios; i++) {
		struct kt_matrix_scenario *scenario = &matrix->scenarios[i];

		check_named(reader, scenario);
		choose_rest(reader, scenario);
		find_places(reader, matrix, &classes, scenario);
		if (!number_cells(reader, matrix, scenario))
			break;
	}
	free(classes.of);
	if (reader->problems->n == 0 && matrix->n_cells == 0)
		say_none(reader, matrix);
}

/* ---- what was dropped ---- */

struct drops {
	const struct kt_matrix *matrix;
	const struct kt_matrix_scenario *scenario;
	struct kt_arena *arena;
	struct kt_fit_drop *list;
	size_t n;
};

/* Cells of one scheduler in one topology. */
static uint64_t cells_each(const struct kt_matrix_scenario *scenario)
{
	return scenario->n_kernels * scenario->repeats;
}

static struct kt_fit_drop *find_drop(struct drops *drops, const char *with, const char *why,
				     const char *what, size_t names_max)
{
	struct kt_fit_drop *drop;

	for (size_t i = 0; i < drops->n; i++) {
		drop = &drops->list[i];
		if (drop->with == with && strcmp(drop->why, why) == 0)
			return drop;
	}
	drop = &drops->list[drops->n++];
	*drop = (struct kt_fit_drop){ .with = with, .what = what };
	snprintf(drop->why, sizeof(drop->why), "%s", why);
	drop->names = kt_arena_alloc(drops->arena, names_max, sizeof(*drop->names));
	return drop;
}

/* Schedulers of one base, and their topologies, come one after the other: a name that is there is near the end. */
static void add_drop(struct kt_fit_drop *drop, const char *name, uint64_t n_cells)
{
	drop->n_cells += n_cells;
	for (size_t i = drop->n_names; i-- > 0;)
		if (drop->names[i] == name)
			return;
	drop->names[drop->n_names++] = name;
}

static void say_filter(const struct kt_matrix_flag_filter *filter, char why[KT_FIT_WHY_BYTES])
{
	KT_AUTO_BUF text = { 0 };

	for (size_t i = 0; i < filter->n_required; i++)
		kt_buf_printf(&text, "%s%s", i ? ", " : "requires flags ", filter->required[i]);
	for (size_t i = 0; i < filter->n_excluded; i++)
		kt_buf_printf(&text, "%s%s",
			      i          ? ", "
			      : text.len ? " and excludes "
					 : "excludes flags ",
			      filter->excluded[i]);
	snprintf(why, KT_FIT_WHY_BYTES, "%s", kt_buf_text(&text));
}

static void drop_place(struct drops *drops, const struct kt_matrix_scheduler *scheduler,
		       const struct kt_matrix_topology *topology)
{
	const struct kt_matrix_scenario *scenario = drops->scenario;
	const struct kt_matrix_requires *requires = &scenario->requires;
	const char *with = NULL;
	int bound = kt_requires_broken(requires, topology);
	char text[KT_REQUIRES_TEXT_BYTES];
	char why[KT_FIT_WHY_BYTES];

	if (bound < 0) {
		requires = &scheduler->requires;
		with = scheduler->base;
		bound = kt_requires_broken(requires, topology);
	}
	if (bound < 0)
		return;
	snprintf(why, sizeof(why), "requires %s", kt_requires_print(requires, bound, text));
	add_drop(find_drop(drops, with, why, "topologies", scenario->n_topologies), topology->name,
		 cells_each(scenario));
}

static void drop_of(struct drops *drops, const struct kt_matrix_scheduler *scheduler)
{
	const struct kt_matrix_scenario *scenario = drops->scenario;
	char why[KT_FIT_WHY_BYTES];

	if (!kt_profile_passes(&scenario->flags, scheduler)) {
		say_filter(&scenario->flags, why);
		add_drop(find_drop(drops, NULL, why, "profiles", scenario->n_schedulers),
			 scheduler->name, scenario->n_topologies * cells_each(scenario));
		return;
	}
	for (size_t i = 0; i < scenario->n_topologies; i++)
		drop_place(drops, scheduler, &drops->matrix->topologies[scenario->topologies[i]]);
}

size_t kt_fit_drops(const struct kt_matrix *matrix, const struct kt_matrix_scenario *scenario,
		    struct kt_arena *arena, struct kt_fit_drop **list)
{
	struct drops drops = { .matrix = matrix, .scenario = scenario, .arena = arena };
	uint64_t chosen = scenario->n_schedulers * scenario->n_topologies * cells_each(scenario);

	*list = NULL;
	if (scenario->n_cells == chosen)
		return 0;
	/* By flags, and by a bound of the scenario or of each scheduler. */
	drops.list = kt_arena_alloc(arena, 1 + (scenario->n_schedulers + 1) * KT_REQUIRES_BOUNDS,
				    sizeof(*drops.list));
	for (size_t i = 0; i < scenario->n_schedulers; i++)
		drop_of(&drops, &matrix->schedulers[scenario->schedulers[i]]);
	*list = drops.list;
	return drops.n;
}
