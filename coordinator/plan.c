#include "coordinator/plan.h"
#include "coordinator/core/matrix/estimate.h"
#include "coordinator/core/matrix/fit.h"
#include "coordinator/core/matrix/playbill.h"
#include "proto/base/buf.h"
#include "proto/base/duration.h"
#include "proto/base/must.h"
#include "proto/job.h"
#include "proto/json/tojson.h"

#include <errno.h>
#include <inttypes.h>
#include <json.h>
#include <string.h>

#define LEFT_OUT_NAMES 5 /* per axis, then "and n more" */

/* Where a topology stands among the scenario's; they are in the matrix's order. */
static bool find_topology(const struct kt_matrix_scenario *scenario, size_t topology, size_t *at)
{
	size_t low = 0;
	size_t high = scenario->n_topologies;

	while (high - low > 1) {
		size_t middle = low + (high - low) / 2;

		if (scenario->topologies[middle] <= topology)
			low = middle;
		else
			high = middle;
	}
	*at = low;
	return scenario->topologies[low] == topology;
}

/* Boots that warm guests in this topology come from: one per kernel, and again every template_renew cells. */
static uint64_t n_templates(const struct kt_matrix *matrix, size_t topology)
{
	KT_AUTO_FREE uint64_t *cells = kt_must_calloc(matrix->n_kernels, sizeof(*cells));
	uint64_t renew = matrix->sweep.template_renew;
	uint64_t n = 0;

	for (size_t i = 0; i < matrix->n_scenarios; i++) {
		const struct kt_matrix_scenario *scenario = &matrix->scenarios[i];
		uint64_t each;
		size_t at;

		if (!kt_estimate_is_warm(scenario) || !find_topology(scenario, topology, &at))
			continue;
		each = kt_matrix_n_schedulers_in(scenario, at) * scenario->repeats;
		for (size_t k = 0; k < scenario->n_kernels; k++)
			cells[scenario->kernels[k]] += each;
	}
	for (size_t k = 0; k < matrix->n_kernels; k++)
		n += renew ? (cells[k] + renew - 1) / renew : cells[k] > 0;
	return n;
}

/* All cells, one after the other, and the templates: by scenario and topology, never by cell. */
static int64_t all_ns(const struct kt_matrix *matrix, const struct kt_plan_options *options)
{
	__int128 sum = 0;

	for (size_t i = 0; i < matrix->n_scenarios; i++) {
		const struct kt_matrix_scenario *scenario = &matrix->scenarios[i];

		for (size_t j = 0; j < scenario->n_topologies; j++) {
			struct kt_matrix_cell cell = {
				.scenario = scenario,
				.topology = &matrix->topologies[scenario->topologies[j]],
			};

			sum += (__int128)kt_estimate_cell_ns(&cell, options->accel) *
			       kt_matrix_n_schedulers_in(scenario, j) * scenario->n_kernels *
			       scenario->repeats;
		}
	}
	for (size_t i = 0; i < matrix->n_topologies; i++)
		sum += (__int128)kt_estimate_boot_ns(matrix->topologies[i].cpus, options->accel) *
		       n_templates(matrix, i);
	return sum > INT64_MAX ? INT64_MAX : (int64_t)sum;
}

/* With `slots` at a time: full rounds of the mean cell. */
static int64_t wall_ns(const struct kt_matrix *matrix, const struct kt_plan_options *options)
{
	uint64_t slots = options->slots ? options->slots : 1;
	uint64_t rounds = (matrix->n_cells + slots - 1) / slots;

	return (int64_t)((__int128)all_ns(matrix, options) * rounds / matrix->n_cells);
}

/* ---- what a scenario's filters leave out ---- */

struct left_out {
	const char *axis;
	const void *entries; /* each begins with its name */
	size_t size;
	size_t n;
	const uint32_t *chosen; /* ascending */
	size_t n_chosen;
};

static const char *entry_name(const struct left_out *axis, size_t i)
{
	const char *const *entry = (const void *)((const char *)axis->entries + i * axis->size);

	return *entry;
}

#define N_AXES 3

/* Of its topologies those of the matrix; they come first. */
static size_t n_own(const struct kt_matrix *matrix, const struct kt_matrix_scenario *scenario)
{
	size_t n = scenario->n_topologies;

	while (n > 0 && scenario->topologies[n - 1] >= matrix->n_own_topologies)
		n--;
	return n;
}

static void axes_of(const struct kt_matrix *matrix, const struct kt_matrix_scenario *scenario,
		    struct left_out axes[N_AXES])
{
	axes[0] = (struct left_out){ "kernels",         matrix->kernels,   sizeof(*matrix->kernels),
				     matrix->n_kernels, scenario->kernels, scenario->n_kernels };
	axes[1] = (struct left_out){
		"schedulers",         matrix->schedulers,   sizeof(*matrix->schedulers),
		matrix->n_schedulers, scenario->schedulers, scenario->n_schedulers
	};
	axes[2] = (struct left_out){
		"topologies",
		matrix->topologies,
		sizeof(*matrix->topologies),
		matrix->n_own_topologies,
		scenario->topologies,
		n_own(matrix, scenario),
	};
}

/* Presets of a gauntlet are not the matrix's, so they are neither left out nor make up for what is. */
static uint64_t n_left_out(const struct kt_matrix *matrix,
			   const struct kt_matrix_scenario *scenario)
{
	unsigned __int128 all = (unsigned __int128)matrix->n_kernels * matrix->n_schedulers *
				matrix->n_own_topologies * scenario->repeats;

	/* 4096^3 * 10000 is below 2^64. */
	return (uint64_t)all - scenario->n_kernels * scenario->n_schedulers *
				       n_own(matrix, scenario) * scenario->repeats;
}

static void print_left_axis(const struct left_out *axis, struct kt_buf *out)
{
	size_t next = 0;
	size_t said = 0;

	if (axis->n_chosen == axis->n)
		return;
	kt_buf_printf(out, "%s not its %s: ", out->len ? ";" : "", axis->axis);
	for (size_t i = 0; i < axis->n; i++) {
		if (next < axis->n_chosen && axis->chosen[next] == i) {
			next++;
			continue;
		}
		if (said == LEFT_OUT_NAMES) {
			kt_buf_printf(out, " and %zu more", axis->n - axis->n_chosen - said);
			return;
		}
		kt_buf_printf(out, "%s%s", said++ ? ", " : "", entry_name(axis, i));
	}
}

static void why_left_out(const struct kt_matrix *matrix, const struct kt_matrix_scenario *scenario,
			 struct kt_buf *out)
{
	struct left_out axes[N_AXES];

	axes_of(matrix, scenario, axes);
	for (size_t i = 0; i < N_AXES; i++)
		print_left_axis(&axes[i], out);
}

/* ---- text ---- */

static const char *plural(uint64_t n)
{
	return n == 1 ? "" : "s";
}

static uint64_t n_dropped(const struct kt_matrix *matrix)
{
	uint64_t n = 0;

	for (size_t i = 0; i < matrix->n_scenarios; i++) {
		const struct kt_matrix_scenario *scenario = &matrix->scenarios[i];

		n += scenario->n_kernels * scenario->n_schedulers * scenario->n_topologies *
			     scenario->repeats -
		     scenario->n_cells;
	}
	return n;
}

static void print_head(const struct kt_matrix *matrix, const struct kt_plan_options *options,
		       FILE *out)
{
	uint64_t slots = options->slots ? options->slots : 1;
	uint64_t n = n_dropped(matrix);
	char text[KT_DURATION_TEXT_BYTES];

	fprintf(out,
		"%s: %" PRIu64 " cell%s, about %s with %" PRIu64 " guest%s at a time under %s\n",
		matrix->sweep.name, matrix->n_cells, plural(matrix->n_cells),
		kt_duration_format(wall_ns(matrix, options), text), slots, plural(slots),
		options->accel ? options->accel : "tcg");
	if (n)
		fprintf(out, "%" PRIu64 " more do%s not fit\n", n, n == 1 ? "es" : "");
}

static void print_spend(const struct kt_spend *spend, FILE *out)
{
	const struct kt_budget *budget = &spend->budget;
	char wall[KT_DURATION_TEXT_BYTES];

	fprintf(out,
		"budget %s: %" PRIu64 " of them, about %s with %" PRIu64
		" guest%s at a time; the time of %" PRIu64 " was measured in earlier sweeps\n",
		spend->text, budget->n_taken, kt_duration_format(kt_spend_wall_ns(spend), wall),
		spend->slots, plural(spend->slots), spend->n_measured);
}

/* Where cells run is the fleet's affair; what a scenario wants of it is the matrix's. */
static void print_placement(const struct kt_matrix *matrix, FILE *out)
{
	bool any = false;

	for (size_t i = 0; i < matrix->n_scenarios; i++) {
		const struct kt_matrix_scenario *scenario = &matrix->scenarios[i];

		if (!scenario->n_cells || (!scenario->paired && !scenario->accel))
			continue;
		fputs(any ? "" : "\nplaced\n", out);
		any = true;
		if (scenario->paired)
			fprintf(out,
				"  %s: its %zu scheduler%s run on one host in each kernel, "
				"topology "
				"and repeat, one after the other, in an order drawn from seed "
				"%" PRIu64 "\n",
				scenario->name, scenario->n_schedulers,
				plural(scenario->n_schedulers), matrix->sweep.seed);
		if (scenario->accel)
			fprintf(out, "  %s: only on hosts with %s\n", scenario->name,
				scenario->accel);
	}
}

static bool is_taken(const struct kt_plan_options *options, uint64_t index)
{
	return !options->spend || options->spend->budget.taken[index];
}

static void print_cell(const struct kt_matrix *matrix, uint64_t index, FILE *out)
{
	KT_AUTO_ARENA arena = { 0 };
	const struct kt_assertion *const *judged;
	char run[KT_DURATION_TEXT_BYTES];
	char name[KT_CELL_NAME_BYTES_MAX];
	struct kt_matrix_cell cell;

	kt_matrix_cell(matrix, index, &cell);
	fprintf(out, "%8s %8" PRIu64 " %5" PRIu32 " %6" PRIu64 "M %7zu %5s  %s\n",
		kt_duration_format(kt_matrix_cell_run_ns(&cell), run), cell.scenario->msg.samples,
		cell.topology->cpus, cell.topology->mem_bytes >> 20,
		kt_matrix_judged(matrix, &cell, &arena, &judged), cell.scenario->guest,
		kt_matrix_cell_name(matrix, index, name));
}

static void print_cells(const struct kt_matrix *matrix, const struct kt_plan_options *options,
			FILE *out)
{
	uint64_t n = options->spend ? options->spend->budget.n_taken : matrix->n_cells;
	uint64_t shown = !options->all && n > KT_PLAN_CELLS ? KT_PLAN_CELLS : n;
	uint64_t left = shown;

	fprintf(out, "\n%8s %8s %5s %7s %7s %5s  %s\n", "run", "samples", "CPUs", "memory",
		"asserts", "guest", "cell");
	for (uint64_t i = 0; i < matrix->n_cells && left > 0; i++) {
		if (!is_taken(options, i))
			continue;
		print_cell(matrix, i, out);
		left--;
	}
	if (shown < n)
		fprintf(out, "... and %" PRIu64 " more; --all shows them\n", n - shown);
}

/* By scenario; with --all each by its name. */
static void print_unspent(const struct kt_matrix *matrix, const struct kt_plan_options *options,
			  FILE *out)
{
	const struct kt_budget *budget = &options->spend->budget;
	char name[KT_CELL_NAME_BYTES_MAX];

	if (budget->n_taken == budget->n_cells)
		return;
	fprintf(out, "\nleft out by the budget\n");
	for (size_t i = 0; i < matrix->n_scenarios; i++) {
		const struct kt_matrix_scenario *scenario = &matrix->scenarios[i];
		uint64_t n = 0;

		for (uint64_t k = 0; k < scenario->n_cells; k++)
			n += !budget->taken[scenario->first_cell + k];
		if (n)
			fprintf(out, "%8" PRIu64 " of %" PRIu64 " cell%s of %s\n", n,
				scenario->n_cells, plural(scenario->n_cells), scenario->name);
		for (uint64_t k = 0; options->all && k < scenario->n_cells; k++)
			if (!budget->taken[scenario->first_cell + k])
				fprintf(out, "         %s\n",
					kt_matrix_cell_name(matrix, scenario->first_cell + k,
							    name));
	}
}

static void print_left_out(const struct kt_matrix *matrix, FILE *out)
{
	bool any = false;

	for (size_t i = 0; i < matrix->n_scenarios; i++) {
		const struct kt_matrix_scenario *scenario = &matrix->scenarios[i];
		uint64_t n = n_left_out(matrix, scenario);
		KT_AUTO_BUF why = { 0 };

		if (n == 0)
			continue;
		why_left_out(matrix, scenario, &why);
		fprintf(out, "%s%8" PRIu64 " cell%s of %s:%s\n", any ? "" : "\nleft out\n", n,
			plural(n), scenario->name, kt_buf_text(&why));
		any = true;
	}
}

/* "small, odd and 3 more" */
static void print_names(const char *const *names, size_t n, struct kt_buf *out)
{
	for (size_t i = 0; i < n && i < LEFT_OUT_NAMES; i++)
		kt_buf_printf(out, "%s%s", i ? ", " : "", names[i]);
	if (n > LEFT_OUT_NAMES)
		kt_buf_printf(out, " and %zu more", n - LEFT_OUT_NAMES);
}

static void print_dropped(const struct kt_matrix *matrix, FILE *out)
{
	bool any = false;

	for (size_t i = 0; i < matrix->n_scenarios; i++) {
		const struct kt_matrix_scenario *scenario = &matrix->scenarios[i];
		KT_AUTO_ARENA arena = { 0 };
		struct kt_fit_drop *drops;
		size_t n = kt_fit_drops(matrix, scenario, &arena, &drops);

		for (size_t k = 0; k < n; k++, any = true) {
			KT_AUTO_BUF names = { 0 };

			print_names(drops[k].names, drops[k].n_names, &names);
			fprintf(out, "%s%8" PRIu64 " cell%s of %s: %s%s%s; not %s: %s\n",
				any ? "" : "\ndoes not fit\n", drops[k].n_cells,
				plural(drops[k].n_cells), scenario->name,
				drops[k].with ? drops[k].with : "", drops[k].with ? " " : "",
				drops[k].why, drops[k].what, kt_buf_text(&names));
		}
	}
}

/* ---- what will be judged ---- */

static void print_assert(const struct kt_matrix *matrix, const struct kt_matrix_assert *assert_,
			 FILE *out)
{
	const struct kt_param_arg *name = &assert_->assertion->options[KT_ASSERTION_NAME];
	KT_AUTO_BUF text = { 0 };

	kt_assertion_print(assert_->assertion, &text);
	fprintf(out, "    %s%s%s\n        [[%s.assert]] %s:%" PRIu32, name->given ? name->text : "",
		name->given ? ": " : "", kt_buf_text(&text), kt_matrix_level_name(assert_->level),
		matrix->file, assert_->node->pos.line);
	if (assert_->replaces)
		fprintf(out, ", instead of [[%s.assert]] :%" PRIu32,
			kt_matrix_level_name(assert_->replaces->level),
			assert_->replaces->node->pos.line);
	fputc('\n', out);
}

static void print_expected(const struct kt_expect *expect, FILE *out)
{
	if (!expect)
		return;
	fprintf(out, "    is meant to fail%s%s%s%s%s\n", expect->cause ? " as " : "",
		expect->cause ? expect->cause : "", expect->log ? ", saying '" : "",
		expect->log ? expect->log : "", expect->log ? "'" : "");
}

static void print_plugin(const struct kt_matrix_plugin *plugin, FILE *out)
{
	char deadline[KT_DURATION_TEXT_BYTES];

	if (plugin->path)
		fprintf(out, "    plug-in %s judges too, within %s\n", plugin->path,
			kt_duration_format(plugin->deadline_ns, deadline));
}

/* What is checked, in one line; the number of checks. */
static size_t print_checks(const struct kt_matrix *matrix,
			   const struct kt_matrix_scenario *scenario, FILE *out)
{
	struct kt_checks checks;
	size_t n = 0;

	kt_matrix_checks(matrix, scenario, &checks);
	for (size_t i = 0; i < KT_CHECKS_N; i++) {
		KT_AUTO_BUF text = { 0 };

		if (checks.of[i].state != KT_CHECKS_ON)
			continue;
		kt_checks_print(&checks, (enum kt_checks_id)i, &text);
		fprintf(out, "%s%s", n++ ? ", " : "    checks: ", kt_buf_text(&text));
	}
	if (n)
		fputc('\n', out);
	return n;
}

/* By scenario and scheduler: what else a cell is made of does not change it. */
static void print_asserts(const struct kt_matrix *matrix, FILE *out)
{
	fputs("\nasserts\n", out);
	for (size_t i = 0; i < matrix->n_scenarios; i++) {
		const struct kt_matrix_scenario *scenario = &matrix->scenarios[i];

		for (size_t j = 0; j < scenario->n_schedulers; j++) {
			const struct kt_matrix_scheduler *scheduler =
				&matrix->schedulers[scenario->schedulers[j]];
			KT_AUTO_ARENA arena = { 0 };
			struct kt_matrix_assert *asserts;
			size_t n = kt_matrix_asserts(matrix, scenario, scheduler, &arena, &asserts);
			size_t n_checks;

			fprintf(out, "  %s with %s\n", scenario->name, scheduler->name);
			print_expected(scenario->expect, out);
			print_plugin(&scenario->plugin, out);
			n_checks = print_checks(matrix, scenario, out);
			for (size_t k = 0; k < n; k++)
				print_assert(matrix, &asserts[k], out);
			if (n == 0 && n_checks == 0 && !scenario->expect && !scenario->plugin.path)
				fputs("    nothing: it passes when it runs to its end\n", out);
		}
	}
}

/* ---- what will happen ---- */

static void print_steps(const struct kt_matrix *matrix, FILE *out)
{
	fputs("\nsteps\n", out);
	for (size_t i = 0; i < matrix->n_scenarios; i++) {
		const struct kt_matrix_scenario *scenario = &matrix->scenarios[i];
		char duration[KT_DURATION_TEXT_BYTES];
		KT_AUTO_BUF steps = { 0 };

		fprintf(out, "  %s, %s\n", scenario->name,
			kt_duration_format(scenario->msg.duration_ns, duration));
		if (scenario->about)
			fprintf(out, "    %s\n", scenario->about);
		kt_playbill_print(&scenario->msg, 4, &steps);
		fputs(kt_buf_text(&steps), out);
	}
}

/* ---- JSON ---- */

static void add_text(struct json_object *to, const char *key, const char *text)
{
	json_object_object_add(to, key, json_object_new_string(text));
}

static void add_u64(struct json_object *to, const char *key, uint64_t number)
{
	json_object_object_add(to, key, json_object_new_uint64(number));
}

static void print_json(struct json_object *object, FILE *out)
{
	fputs(json_object_to_json_string_ext(object, JSON_C_TO_STRING_PLAIN |
							     JSON_C_TO_STRING_NOSLASHESCAPE),
	      out);
	json_object_put(object);
}

static struct json_object *json_left_out(const struct kt_matrix *matrix)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < matrix->n_scenarios; i++) {
		const struct kt_matrix_scenario *scenario = &matrix->scenarios[i];
		uint64_t n = n_left_out(matrix, scenario);
		struct json_object *entry;
		KT_AUTO_BUF why = { 0 };

		if (n == 0)
			continue;
		why_left_out(matrix, scenario, &why);
		entry = json_object_new_object();
		add_text(entry, "scenario", scenario->name);
		add_u64(entry, "cells", n);
		add_text(entry, "why", kt_buf_text(&why) + strspn(kt_buf_text(&why), " "));
		json_object_array_add(list, entry);
	}
	return list;
}

static struct json_object *json_spend(const struct kt_spend *spend)
{
	struct json_object *json = json_object_new_object();

	add_u64(json, "budget_ns", (uint64_t)spend->budget_ns);
	add_u64(json, "slots", spend->slots);
	add_u64(json, "taken", spend->budget.n_taken);
	add_u64(json, "left_out", spend->budget.n_cells - spend->budget.n_taken);
	add_u64(json, "measured", spend->n_measured);
	add_u64(json, "estimated_ns", (uint64_t)kt_spend_wall_ns(spend));
	return json;
}

static struct json_object *json_dropped(const struct kt_matrix *matrix)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < matrix->n_scenarios; i++) {
		const struct kt_matrix_scenario *scenario = &matrix->scenarios[i];
		KT_AUTO_ARENA arena = { 0 };
		struct kt_fit_drop *drops;
		size_t n = kt_fit_drops(matrix, scenario, &arena, &drops);

		for (size_t k = 0; k < n; k++) {
			struct json_object *entry = json_object_new_object();
			struct json_object *names = json_object_new_array();

			add_text(entry, "scenario", scenario->name);
			if (drops[k].with)
				add_text(entry, "scheduler", drops[k].with);
			add_u64(entry, "cells", drops[k].n_cells);
			add_text(entry, "why", drops[k].why);
			for (size_t m = 0; m < drops[k].n_names; m++)
				json_object_array_add(names,
						      json_object_new_string(drops[k].names[m]));
			json_object_object_add(entry, drops[k].what, names);
			json_object_array_add(list, entry);
		}
	}
	return list;
}

static struct json_object *json_assert(const struct kt_matrix_assert *assert_)
{
	struct json_object *entry = json_object_new_object();
	KT_AUTO_BUF text = { 0 };

	kt_assertion_print(assert_->assertion, &text);
	add_text(entry, "label", kt_assertion_label(assert_->assertion));
	add_text(entry, "text", kt_buf_text(&text));
	add_text(entry, "from", kt_matrix_level_name(assert_->level));
	add_u64(entry, "line", assert_->node->pos.line);
	if (assert_->replaces)
		add_u64(entry, "replaces_line", assert_->replaces->node->pos.line);
	return entry;
}

/* "assertions" is how many are judged; with --asserts each of them, and what was switched off. */
static void add_asserts(struct json_object *json, const struct kt_matrix *matrix,
			const struct kt_matrix_cell *cell, bool each)
{
	KT_AUTO_ARENA arena = { 0 };
	struct json_object *list = each ? json_object_new_array() : NULL;
	struct kt_matrix_assert *asserts;
	size_t n = kt_matrix_asserts(matrix, cell->scenario, cell->scheduler, &arena, &asserts);
	uint64_t n_judged = 0;

	for (size_t i = 0; i < n; i++) {
		n_judged += !kt_assertion_is_off(asserts[i].assertion);
		if (each)
			json_object_array_add(list, json_assert(&asserts[i]));
	}
	add_u64(json, "assertions", n_judged);
	if (each)
		json_object_object_add(json, "asserts", list);
}

/* "checks" is how many there are; with --asserts each of them. */
static void add_checks(struct json_object *json, const struct kt_matrix *matrix,
		       const struct kt_matrix_cell *cell, bool each)
{
	struct json_object *list = json_object_new_array();
	struct kt_checks checks;

	kt_matrix_checks(matrix, cell->scenario, &checks);
	for (size_t i = 0; each && i < KT_CHECKS_N; i++) {
		KT_AUTO_BUF text = { 0 };

		if (checks.of[i].state != KT_CHECKS_ON)
			continue;
		kt_checks_print(&checks, (enum kt_checks_id)i, &text);
		json_object_array_add(list, json_object_new_string(kt_buf_text(&text)));
	}
	add_u64(json, "checks", kt_checks_n_on(&checks));
	if (each)
		json_object_object_add(json, "checked", list);
	else
		json_object_put(list);
}

static struct json_object *json_cell(const struct kt_matrix *matrix, uint64_t index,
				     const struct kt_plan_options *options)
{
	struct json_object *json = json_object_new_object();
	struct kt_matrix_cell cell;
	char name[KT_CELL_NAME_BYTES_MAX];

	kt_matrix_cell(matrix, index, &cell);
	add_u64(json, "cell", index);
	add_text(json, "name", kt_matrix_cell_name(matrix, index, name));
	add_text(json, "scenario", cell.scenario->name);
	add_text(json, "kernel", cell.kernel->name);
	add_text(json, "scheduler", cell.scheduler->name);
	add_text(json, "topology", cell.topology->name);
	add_u64(json, "repeat", cell.repeat);
	add_text(json, "guest", cell.scenario->guest);
	add_u64(json, "run_ns", (uint64_t)kt_matrix_cell_run_ns(&cell));
	add_u64(json, "estimated_ns", (uint64_t)kt_estimate_cell_ns(&cell, options->accel));
	if (options->spend)
		json_object_object_add(json, "taken",
				       json_object_new_boolean(is_taken(options, index)));
	if (cell.scenario->paired)
		json_object_object_add(json, "paired", json_object_new_boolean(true));
	if (cell.scenario->accel)
		add_text(json, "accel", cell.scenario->accel);
	add_u64(json, "samples", cell.scenario->msg.samples);
	if (cell.scenario->plugin.path)
		add_text(json, "plugin", cell.scenario->plugin.path);
	add_asserts(json, matrix, &cell, options->asserts);
	add_checks(json, matrix, &cell, options->asserts);
	add_u64(json, "cpus", cell.topology->cpus);
	add_u64(json, "mem_bytes", cell.topology->mem_bytes);
	return json;
}

/* What each scenario does, as its cells' jobs say it. */
static struct json_object *json_scenarios(const struct kt_matrix *matrix)
{
	struct json_object *list = json_object_new_array();

	for (size_t i = 0; i < matrix->n_scenarios; i++) {
		const struct kt_matrix_scenario *scenario = &matrix->scenarios[i];
		struct json_object *entry = json_object_new_object();

		add_text(entry, "name", scenario->name);
		if (scenario->about)
			add_text(entry, "about", scenario->about);
		if (scenario->group)
			add_text(entry, "group", scenario->group);
		json_object_object_add(entry, "plays",
				       kt_tojson_struct(&kt_schema_scenario, &scenario->msg));
		json_object_array_add(list, entry);
	}
	return list;
}

/* Ten million cells do not fit into one tree: the frame is written by hand, what is in it by json-c. */
static void print_as_json(const struct kt_matrix *matrix, const struct kt_plan_options *options,
			  FILE *out)
{
	fputs("{\"sweep\":", out);
	print_json(json_object_new_string(matrix->sweep.name), out);
	fprintf(out,
		",\"n_cells\":%" PRIu64 ",\"estimated_ns\":%" PRId64 ",\"slots\":%" PRIu64
		",\"left_out\":",
		matrix->n_cells, wall_ns(matrix, options), options->slots ? options->slots : 1);
	print_json(json_left_out(matrix), out);
	if (options->spend) {
		fputs(",\"budget\":", out);
		print_json(json_spend(options->spend), out);
	}
	fputs(",\"dropped\":", out);
	print_json(json_dropped(matrix), out);
	fputs(",\"scenarios\":", out);
	print_json(json_scenarios(matrix), out);
	fputs(",\"cells\":[", out);
	for (uint64_t i = 0; i < matrix->n_cells && !ferror(out); i++) {
		fputs(i ? ",\n" : "\n", out);
		print_json(json_cell(matrix, i, options), out);
	}
	fputs("\n]}\n", out);
}

int kt_plan_print(const struct kt_matrix *matrix, const struct kt_plan_options *options, FILE *out,
		  struct kt_err *err)
{
	kt_must(matrix->n_cells > 0);
	if (options->json) {
		print_as_json(matrix, options, out);
	} else {
		print_head(matrix, options, out);
		if (options->spend)
			print_spend(options->spend, out);
		print_cells(matrix, options, out);
		if (options->spend)
			print_unspent(matrix, options, out);
		print_placement(matrix, out);
		print_left_out(matrix, out);
		print_dropped(matrix, out);
		if (options->steps)
			print_steps(matrix, out);
		if (options->asserts)
			print_asserts(matrix, out);
	}
	if (fflush(out) != 0 || ferror(out))
		return kt_err_set(err, KT_FAULT_HOST, EIO, "writing the plan failed");
	return 0;
}
