/* test_fit.c - requires, gauntlet, flags: which cells there are. Here, not in core/, because it reads matrix files. */
#include "coordinator/core/matrix/fit.h"
#include "coordinator/core/matrix/cpus.h"
#include "coordinator/core/matrix/profile.h"
#include "coordinator/core/matrix/requires.h"
#include "coordinator/matrixfile.h"
#include "tests/unit/coordinator/drawn.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define HEAD "[sweep]\nname = \"s\"\n[[kernel]]\nname = \"k\"\npath = \"a\"\n"
#define STEP DRAWN_STEP

static void keep_problem(void *arg, const char *line)
{
	kt_buf_printf(arg, "%s\n", line);
}

static struct kt_matrix *parse(const char *text, struct kt_buf *problems)
{
	struct kt_matrix *matrix = NULL;

	kt_matrixfile_parse("m.toml", text, strlen(text), keep_problem, problems, &matrix, NULL);
	return matrix;
}

static struct kt_matrix *must_parse(const char *text)
{
	KT_AUTO_BUF problems = { 0 };
	struct kt_matrix *matrix = parse(text, &problems);

	cr_assert(matrix, "%s", kt_buf_text(&problems));
	return matrix;
}

/* "a/k/eevdf/t#0 ...": all cells' names. */
static void print_cells(const struct kt_matrix *matrix, struct kt_buf *out)
{
	char name[KT_CELL_NAME_BYTES_MAX];

	for (uint64_t i = 0; i < matrix->n_cells; i++)
		kt_buf_printf(out, "%s%s", i ? " " : "", kt_matrix_cell_name(matrix, i, name));
}

/* ---- profiles ---- */

Test(fit, every_set_of_flags_that_its_rules_allow_is_a_profile)
{
	KT_AUTO(kt_matrix_destroy)
	struct kt_matrix *matrix = must_parse(
		HEAD "[[scheduler]]\nname = \"x\"\nbinary = \"b\"\nargs = [\"-v\"]\n"
		     "flags = [{ name = \"llc\", args = [\"--llc\"] },\n"
		     "{ name = \"steal\", args = [\"--steal\", \"2\"], requires = [\"llc\"] },\n"
		     "{ name = \"fifo\", args = [], excludes = [\"llc\"] }]\n"
		     "[[scheduler]]\nname = \"eevdf\"\n"
		     "[[topology]]\nname = \"t\"\ncpus = \"1n1l2c1t\"\n"
		     "[[scenario]]\nname = \"a\"\nduration = \"1s\"\n" STEP
		     "[[scenario]]\nname = \"b\"\nduration = \"1s\"\nschedulers = [\"x\"]\n"
		     "flags = { required = [\"llc\"] }\n" STEP
		     "[[scenario]]\nname = \"c\"\nduration = \"1s\"\nschedulers = [\"x+llc\", "
		     "\"eevdf\"]\n"
		     "flags = { excluded = [\"steal\"] }\n" STEP);
	const struct kt_matrix_scheduler *both = &matrix->schedulers[2];
	KT_AUTO_BUF cells = { 0 };

	print_cells(matrix, &cells);
	cr_assert_str_eq(kt_buf_text(&cells),
			 "a/k/x/t#0 a/k/x+llc/t#0 a/k/x+llc+steal/t#0 a/k/x+fifo/t#0 a/k/eevdf/t#0 "
			 "b/k/x+llc/t#0 b/k/x+llc+steal/t#0 "
			 "c/k/x+llc/t#0 c/k/eevdf/t#0");
	cr_assert_str_eq(both->base, "x");
	cr_assert_eq(both->given, 3);
	cr_assert_eq(both->n_args, 4);
	cr_assert_str_eq(both->args[0], "-v");
	cr_assert_str_eq(both->args[1], "--llc");
	cr_assert_str_eq(both->args[3], "2");
}

Test(fit, sixty_four_profiles_are_the_limit)
{
	for (int n = 6; n <= 7; n++) {
		KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = NULL;
		KT_AUTO_BUF text = { 0 };
		KT_AUTO_BUF problems = { 0 };

		kt_buf_puts(&text, HEAD "[[scheduler]]\nname = \"x\"\nbinary = \"b\"\nflags = [");
		for (int i = 0; i < n; i++)
			kt_buf_printf(&text, "{ name = \"f%d\", args = [\"%d\"] },", i, i);
		kt_buf_puts(&text, "]\n[[topology]]\nname = \"t\"\ncpus = \"1n1l2c1t\"\n"
				   "[[scenario]]\nname = \"a\"\nduration = \"1s\"\n" STEP);
		matrix = parse(kt_buf_text(&text), &problems);
		if (n == 6)
			cr_assert_eq(matrix->n_cells, 64);
		else
			cr_assert_str_eq(
				kt_buf_text(&problems),
				"m.toml:9:1: the flags of scheduler 'x' make 128 profiles; "
				"at most 64: let some require or exclude each other\n");
	}
}

/* ---- the gauntlet ---- */

Test(fit, a_gauntlet_is_every_preset_that_fits_and_only_its_own)
{
	KT_AUTO(kt_matrix_destroy)
	struct kt_matrix *matrix = must_parse(
		HEAD "[[scheduler]]\nname = \"eevdf\"\n"
		     "[[topology]]\nname = \"t\"\ncpus = \"2n2l1c1t\"\n"
		     "[[topology]]\nname = \"numa2-4llc\"\ncpus = \"2n4l2c1t\"\n"
		     "[[scenario]]\nname = \"a\"\nduration = \"1s\"\n" STEP
		     "[[scenario]]\nname = \"g\"\nduration = \"1s\"\ntopologies = [\"t\"]\n"
		     "gauntlet = true\nrequires = { min_nodes = 2, max_cpus = 32 }\n" STEP);
	KT_AUTO_BUF cells = { 0 };
	struct kt_matrix_cell cell;

	print_cells(matrix, &cells);
	cr_assert_str_eq(kt_buf_text(&cells), "a/k/eevdf/t#0 a/k/eevdf/numa2-4llc#0 "
					      "g/k/eevdf/t#0 g/k/eevdf/numa2-4llc#0 "
					      "g/k/eevdf/numa4-8llc#0");
	kt_matrix_cell(matrix, 3, &cell);
	cr_assert_eq(cell.topology->cpus, 8, "the matrix's own of that name");
	kt_matrix_cell(matrix, 4, &cell);
	cr_assert_eq(cell.topology->mem_bytes, 32ull * 64 << 20);
	cr_assert_eq(matrix->n_own_topologies, 2);
	cr_assert_eq(matrix->n_topologies, 1 + kt_cpus_n_presets);
}

/* ---- what is refused ---- */

#define SCHEDULER(more_) "[[scheduler]]\nname = \"x\"\nbinary = \"b\"\n" more_ "\n"
#define TOPOLOGY         "[[topology]]\nname = \"t\"\ncpus = \"1n1l2c1t\"\n"
#define SCENARIO(more_)  "[[scenario]]\nname = \"a\"\nduration = \"1s\"\n" more_ "\n" STEP

static const struct {
	const char *text;
	const char *problem;
} refusals[] = {
	{ HEAD SCHEDULER("") TOPOLOGY SCENARIO("topologies = [\"t\"]\nrequires = { min_llcs = 2 }"),
	  "m.toml:16:15: scenario 'a' names topology 't' and requires min_llcs = 2, which it is "
	  "not\n" },
	{ HEAD SCHEDULER("") TOPOLOGY SCENARIO("requires = { smt = true }"),
	  "m.toml:14:8: no scenario of the matrix fits any of its schedulers and topologies: 'a' "
	  "requires smt = true, which topology 't' is not\n" },
	{ HEAD SCHEDULER("requires = { min_nodes = 2 }") TOPOLOGY SCENARIO(""),
	  "m.toml:14:8: no scenario of the matrix fits any of its schedulers and topologies: 'a' "
	  "with x requires min_nodes = 2, which topology 't' is not\n" },
	{ HEAD SCHEDULER("") TOPOLOGY SCENARIO("requires = { min_cpus = 4, max_cpus = 2 }"),
	  "m.toml:16:25: min_cpus = 4 is more than max_cpus = 2: nothing can fit\n" },
	{ HEAD SCHEDULER("requires = { min_lcls = 2 }") TOPOLOGY SCENARIO(""),
	  "m.toml:9:14: unknown key 'min_lcls' in requires; did you mean 'min_llcs'?\n" },
	{ HEAD SCHEDULER("") TOPOLOGY SCENARIO("requires = { max_nodes = 0 }"),
	  "m.toml:16:26: 'max_nodes' in requires is 0; it goes from 1 to 16\n" },
	{ HEAD SCHEDULER("flags = [{ name = \"llc\", args = [], requires = [\"ll\"] }]")
		  TOPOLOGY SCENARIO(""),
	  "m.toml:9:49: unknown flag 'll' in the matrix; did you mean 'llc'?\n" },
	{ HEAD SCHEDULER("flags = [{ name = \"f\", args = [], requires = [\"g\"] },\n"
			 "{ name = \"g\", args = [], excludes = [\"f\"] }]") TOPOLOGY SCENARIO(""),
	  "m.toml:9:19: flag 'f' can never be given: what it requires is excluded\n" },
	{ HEAD SCHEDULER("flags = [{ name = \"f\", args = [] }, { name = \"f\", args = [] }]")
		  TOPOLOGY SCENARIO(""),
	  "m.toml:9:46: a second flag named 'f' of scheduler 'x'\n" },
	{ HEAD SCHEDULER("flags = [{ name = \"a+b\", args = [] }]") TOPOLOGY SCENARIO(""),
	  "m.toml:9:19: name 'a+b' in flags of [[scheduler]]: only letters, digits, '_', '.' and "
	  "'-'\n" },
	{ HEAD SCHEDULER("flags = [3, { name = 3, requires = \"x\", args = [] }]")
		  TOPOLOGY SCENARIO(""),
	  "m.toml:9:10: 'flags' in [[scheduler]] takes tables, not an integer; e.g. flags = [{ "
	  "name "
	  "= \"llc\", args = [\"--llc\"] }]\n"
	  "m.toml:9:22: 'name' in flags of [[scheduler]] must be a string, not an integer; e.g. "
	  "name = \"llc\"\n"
	  "m.toml:9:36: 'requires' in flags of [[scheduler]] must be an array, not a string; e.g. "
	  "requires = [\"steal\"]\n" },
	{ HEAD SCHEDULER("flags = [{ name = \"f\", args = [], requires = [7], excludes = \"f\" }]")
		  TOPOLOGY SCENARIO(""),
	  "m.toml:9:47: 'requires' in flags of [[scheduler]] takes strings, not an integer; e.g. "
	  "requires = [\"steal\"]\n"
	  "m.toml:9:62: 'excludes' in flags of [[scheduler]] must be an array, not a string; e.g. "
	  "excludes = [\"fifo\"]\n" },
	{ HEAD "[[scheduler]]\nname = \"eevdf\"\nflags = [{ name = \"f\", args = [] }]\n" TOPOLOGY
		  SCENARIO(""),
	  "m.toml:8:1: scheduler 'eevdf' is the kernel's own and has no 'flags'; leave it out, or "
	  "choose another name\n" },
	{ HEAD SCHEDULER("flags = [{ name = \"llc\", args = [] }]")
		  TOPOLOGY SCENARIO("flags = { required = [\"lcl\"] }"),
	  "m.toml:16:23: unknown flag 'lcl' in flags of [[scenario]]; did you mean 'llc'?\n" },
	{ HEAD SCHEDULER("flags = [{ name = \"llc\", args = [] }]")
		  TOPOLOGY SCENARIO("schedulers = [\"x+lcl\"]"),
	  "m.toml:16:15: unknown scheduler 'x+lcl' in [[scenario]]; did you mean 'x+llc'?\n" },
};

Test(fit, what_is_wrong_is_said_with_its_place)
{
	for (size_t i = 0; i < sizeof(refusals) / sizeof(refusals[0]); i++) {
		KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = NULL;
		KT_AUTO_BUF problems = { 0 };

		matrix = parse(refusals[i].text, &problems);
		cr_expect_null(matrix, "%s", refusals[i].problem);
		cr_expect_str_eq(kt_buf_text(&problems), refusals[i].problem);
	}
}

/* ---- what is said of cells, and of schedulers, is said of those that are there ---- */

#define ON_SECOND_LLC(requires_)                                                                   \
	HEAD SCHEDULER("") TOPOLOGY "[[topology]]\nname = \"u\"\ncpus = \"1n2l2c1t\"\n"            \
				    "[[scenario]]\nname = \"a\"\nduration = \"1s\"\n" requires_    \
				    "[[scenario.step]]\nhold = \"full\"\n"                         \
				    "cgroup = [{ name = \"c\", cpuset = \"llc(1)\", workers = 1, " \
				    "work = \"spin\" }]\n"

Test(fit, a_cpuset_must_be_in_the_machines_that_are_left)
{
	KT_AUTO(kt_matrix_destroy) struct kt_matrix *refused = NULL;
	KT_AUTO(kt_matrix_destroy)
	struct kt_matrix *matrix = must_parse(ON_SECOND_LLC("requires = { min_llcs = 2 }\n"));
	KT_AUTO_BUF problems = { 0 };

	cr_assert_eq(matrix->n_cells, 1);
	refused = parse(ON_SECOND_LLC(""), &problems);
	cr_assert_null(refused);
	cr_assert(strstr(kt_buf_text(&problems), "in cell a/k/x/t#0\n"), "%s",
		  kt_buf_text(&problems));
}

Test(fit, what_is_wrong_with_a_scheduler_is_said_once_for_its_profiles)
{
	KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = NULL;
	KT_AUTO_BUF problems = { 0 };

	matrix = parse(HEAD SCHEDULER("flags = [{ name = \"f\", args = [] }]\n"
				      "[[scheduler.assert]]\nseries = \"bpf:n\"\nsteps = 4\n"
				      "min_samples = 1") TOPOLOGY SCENARIO("samples = 1"),
		       &problems);
	cr_assert_null(matrix);
	cr_assert_str_eq(kt_buf_text(&problems),
			 "m.toml:12:9: there is no step 4: scenario 'a' has 1, counted from 0\n");
}

/* ---- properties, on matrices drawn at random ---- */

static bool fits(const struct kt_matrix_cell *cell)
{
	return kt_requires_broken(&cell->scenario->requires, cell->topology) < 0 &&
	       kt_requires_broken(&cell->scheduler->requires, cell->topology) < 0 &&
	       kt_profile_passes(&cell->scenario->flags, cell->scheduler);
}

/* All cells as they must be, in their order, by going through all that is chosen. */
static void check_order(const struct kt_matrix *matrix)
{
	uint64_t index = 0;

	for (size_t s = 0; s < matrix->n_scenarios; s++) {
		const struct kt_matrix_scenario *of = &matrix->scenarios[s];

		cr_assert_eq(of->first_cell, index);
		for (size_t k = 0; k < of->n_kernels; k++)
			for (size_t x = 0; x < of->n_schedulers; x++)
				for (size_t t = 0; t < of->n_topologies; t++) {
					struct kt_matrix_cell wanted = {
						.scenario = of,
						.kernel = &matrix->kernels[of->kernels[k]],
						.scheduler = &matrix->schedulers[of->schedulers[x]],
						.topology = &matrix->topologies[of->topologies[t]],
					};

					for (; fits(&wanted) && wanted.repeat < of->repeats;
					     wanted.repeat++, index++) {
						struct kt_matrix_cell cell;

						kt_matrix_cell(matrix, index, &cell);
						cr_assert_eq(cell.scenario, wanted.scenario);
						cr_assert_eq(cell.kernel, wanted.kernel);
						cr_assert_eq(cell.scheduler, wanted.scheduler);
						cr_assert_eq(cell.topology, wanted.topology);
						cr_assert_eq(cell.repeat, wanted.repeat);
					}
				}
		cr_assert_eq(of->first_cell + of->n_cells, index);
	}
	cr_assert_eq(index, matrix->n_cells);
}

static void check_names(const struct kt_matrix *matrix)
{
	for (uint64_t i = 0; i < matrix->n_cells; i++) {
		char name[KT_CELL_NAME_BYTES_MAX];
		uint64_t again;

		cr_assert(
			kt_matrix_find_cell(matrix, kt_matrix_cell_name(matrix, i, name), &again));
		cr_assert_eq(again, i, "%s", name);
	}
}

/* What was chosen is there, or was dropped for a reason. */
static void check_drops(const struct kt_matrix *matrix)
{
	for (size_t s = 0; s < matrix->n_scenarios; s++) {
		const struct kt_matrix_scenario *of = &matrix->scenarios[s];
		KT_AUTO_ARENA arena = { 0 };
		struct kt_fit_drop *drops;
		size_t n = kt_fit_drops(matrix, of, &arena, &drops);
		uint64_t sum = of->n_cells;

		for (size_t i = 0; i < n; i++) {
			cr_assert_gt(drops[i].n_cells, 0);
			cr_assert_gt(drops[i].n_names, 0);
			sum += drops[i].n_cells;
		}
		cr_assert_eq(sum,
			     of->n_kernels * of->n_schedulers * of->n_topologies * of->repeats);
	}
}

/* The lowest cell, and how many schedulers, of each topology. */
static void check_topologies(const struct kt_matrix *matrix)
{
	for (size_t s = 0; s < matrix->n_scenarios; s++) {
		const struct kt_matrix_scenario *of = &matrix->scenarios[s];

		for (size_t t = 0; t < of->n_topologies; t++) {
			uint64_t lowest = UINT64_MAX;
			uint64_t n = 0;
			uint64_t found = UINT64_MAX;

			for (uint64_t i = of->first_cell + of->n_cells; i-- > of->first_cell;) {
				struct kt_matrix_cell cell;

				kt_matrix_cell(matrix, i, &cell);
				if (cell.topology != &matrix->topologies[of->topologies[t]])
					continue;
				lowest = i;
				n++;
			}
			cr_assert_eq(kt_matrix_first_cell_in(of, t, &found), n > 0);
			cr_assert_eq(found, lowest);
			cr_assert_eq(kt_matrix_n_schedulers_in(of, t) * of->n_kernels * of->repeats,
				     n);
		}
	}
}

Test(fit, numbers_and_names_are_one_to_one_whatever_is_required)
{
	uint64_t seed = 20261123;
	size_t n_read = 0;
	size_t n_dropping = 0;

	for (int round = 0; round < 400; round++) {
		KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = NULL;
		KT_AUTO_BUF text = { 0 };
		KT_AUTO_BUF problems = { 0 };

		drawn_matrix(&seed, &text);
		matrix = parse(kt_buf_text(&text), &problems);
		if (!matrix) /* named and required against each other, or nothing fits */
			continue;
		n_read++;
		for (size_t s = 0; s < matrix->n_scenarios; s++)
			n_dropping += matrix->scenarios[s].places != NULL;
		check_order(matrix);
		check_names(matrix);
		check_drops(matrix);
		check_topologies(matrix);
	}
	cr_assert_gt(n_read, 100);
	cr_assert_gt(n_dropping, 100);
}

Test(fit, many_cells_cost_nothing)
{
	KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = NULL;
	KT_AUTO_BUF text = { 0 };
	char name[KT_CELL_NAME_BYTES_MAX];
	uint64_t again;

	kt_buf_puts(&text,
		    "[sweep]\nname = \"s\"\nrepeats = 10000\n[[kernel]]\nname = \"k\"\npath = "
		    "\"p\"\n");
	for (int i = 0; i < 20; i++)
		kt_buf_printf(
			&text,
			"[[scheduler]]\nname = \"x%d\"\nbinary = \"b\"\nrequires = { min_cpus = "
			"%d }\n",
			i, 1 + i % 3);
	kt_buf_puts(&text, TOPOLOGY "[[topology]]\nname = \"u\"\ncpus = \"1n1l1c1t\"\n");
	for (int i = 0; i < 30; i++)
		kt_buf_printf(&text, "[[scenario]]\nname = \"s%d\"\nduration = \"1s\"\n" STEP, i);
	matrix = must_parse(kt_buf_text(&text));
	/* 7 schedulers in both, 7 in the one with 2 CPUs, 6 in none */
	cr_assert_eq(matrix->n_cells, 30ull * 21 * 10000);
	for (uint64_t i = 0; i < matrix->n_cells; i += 9973) {
		cr_assert(
			kt_matrix_find_cell(matrix, kt_matrix_cell_name(matrix, i, name), &again));
		cr_assert_eq(again, i);
	}
	cr_assert_not(kt_matrix_find_cell(matrix, "s0/k/x2/t#0", &again), "it was dropped");
}
