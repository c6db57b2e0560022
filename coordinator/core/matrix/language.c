/* language.c - the matrix as a whole: its axes, and what its cells are. The keys of each axis stand in a file
 * of their own (language.h lists them).
 */
#include "coordinator/core/matrix/language.h"
#include "coordinator/core/matrix/asserts.h"
#include "coordinator/core/matrix/checkskeys.h"
#include "coordinator/core/matrix/fit.h"
#include "coordinator/core/matrix/payloadkeys.h"
#include "coordinator/core/matrix/profile.h"
#include "coordinator/core/matrix/reading.h"
#include "coordinator/core/matrix/rehearsal.h"
#include "coordinator/core/matrix/rows.h"
#include "coordinator/core/matrix/scenariokeys.h"
#include "coordinator/core/matrix/schedulerkeys.h"
#include "coordinator/core/matrix/topologykeys.h"
#include "proto/job.h"

#include <ctype.h>
#include <inttypes.h>
#include <string.h>

#define ATTEMPTS_DEFAULT 3

KT_AXIS_CHECK_HEAD(struct kt_matrix_kernel);
KT_AXIS_CHECK_HEAD(struct kt_matrix_sweep);

/* ---- [sweep] ---- */

/* clang-format off */

static const struct kt_grammar_key sweep_keys[] = {
	ROW(name,     STRING, MUST, 1, KT_NAME_BYTES_MAX, "name = \"nightly\"", "what reports call the sweep", kt_axis_set_head, kt_matrix_sweep, name),
	ROW(attempts, INT,    MAY,  1, KT_ATTEMPTS_MAX,   "attempts = 3", "tries per cell when hosts make trouble, the first included", kt_grammar_number, kt_matrix_sweep, attempts),
	ROW(repeats,  INT,    MAY,  1, KT_REPEATS_MAX,    "repeats = 5", "how often every cell runs", kt_grammar_number, kt_matrix_sweep, repeats),
	ROW(seed,     INT,    MAY,  0, INT64_MAX,         "seed = 42", "what random numbers are drawn from", kt_grammar_number, kt_matrix_sweep, seed),
	WORD(guest,           MAY,  kt_scenariokeys_guests, "guest = \"cold\"", "\"warm\" (restored from one that was booted before; the default) or \"cold\" (booted for its cell)", kt_matrix_sweep, guest),
	ROW(paired,   BOOL,   MAY,  0, 0, "paired = true", "the schedulers of a scenario are compared on one host, by turns", kt_grammar_bool, kt_matrix_sweep, paired),
	WORD(accel,           MAY,  kt_scenariokeys_accels, "accel = \"kvm\"", "only hosts with it run the cells; left out: all hosts do", kt_matrix_sweep, accel),
	ROW(template_renew, INT, MAY, 1, KT_TEMPLATE_RENEW_MAX, "template_renew = 100", "cells after which warm guests come from a new boot", kt_grammar_number, kt_matrix_sweep, template_renew),
	ROW(out,      STRING, MAY,  1, KT_PATH_BYTES_MAX, "out = \"results\"", "the folder for the sweep's files", kt_grammar_text, kt_matrix_sweep, out),
	LIST(include,         MAY,  0, KT_NAME_BYTES_MAX, "include = [\"basic/*\", \"swapped\"]", "scenarios of the catalogue (`ktcoord scenarios`)", kt_grammar_texts, kt_matrix_sweep, include, NULL),
	ROW(assert,   ARRAY,  MAY,  0, KT_ASSERTS_MAX,    "[[sweep.assert]]", "what must hold of a series in every cell", kt_asserts_set, kt_matrix_sweep, asserts),
	ROW(checks,   TABLE,  MAY,  0, 0, "checks = { not_stuck = true, gap = \"3s\" }", "what must hold of the workers and run queues in every cell", kt_checkskeys_set, kt_matrix_sweep, checks),
};
static const struct kt_grammar_table sweep_table = TABLE("[sweep]", sweep_keys, NULL);

/* clang-format on */

/* ---- [[kernel]] ---- */

/* A word that apt gets to see: nothing that could be an option, a path or a pattern. */
static void set_debian_word(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
			    const struct kt_doc_node *node, void *into)
{
	const char **word = (void *)((char *)into + key->offset);
	const char *text = kt_grammar_check_text(reader, key, node);

	if (!text)
		return;
	if (text[strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789+.-")] ||
	    !isalnum((unsigned char)*text)) {
		kt_problem_add(
			reader->problems, node->pos,
			"'%s' in %s: '%.64s' is no name of Debian's: lower-case letters, digits, "
			"'+', '.' and '-'; e.g. %s",
			key->name, reader->table->title, text, key->example);
		return;
	}
	*word = text;
}

/* clang-format off */

static const struct kt_grammar_key debian_keys[] = {
	ROW(suite,   STRING, MUST, 1, KT_NAME_BYTES_MAX, "suite = \"sid\"", "the Debian suite", set_debian_word, kt_matrix_kernel, debian_suite),
	ROW(package, STRING, MUST, 1, KT_NAME_BYTES_MAX, "package = \"linux-image-cloud-amd64\"", "the kernel's package", set_debian_word, kt_matrix_kernel, debian_package),
};
static const struct kt_grammar_table debian_table = TABLE("debian of [[kernel]]", debian_keys, NULL);

/* clang-format on */

static void set_path(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		     const struct kt_doc_node *node, void *into)
{
	struct kt_matrix_kernel *kernel = into;

	kernel->from_pos = node->pos;
	kt_grammar_text(reader, key, node, into);
}

static void set_debian(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		       const struct kt_doc_node *node, void *into)
{
	struct kt_matrix_kernel *kernel = into;

	kernel->from_pos = node->pos;
	kt_grammar_read(reader, &debian_table, node, kernel);
}

static void check_kernel(struct kt_grammar_reader *reader, const struct kt_doc_node *node,
			 void *into)
{
	const struct kt_doc_node *path = kt_doc_get(node, "path");
	const struct kt_doc_node *debian = kt_doc_get(node, "debian");

	if (path && debian)
		kt_problem_add(reader->problems, path->key_pos,
			       "[[kernel]] has both 'path' and 'debian'; keep one");
	else if (!path && !debian)
		kt_problem_add(
			reader->problems, node->pos,
			"[[kernel]] needs 'path' or 'debian': where the kernel comes from; e.g. "
			"debian = { suite = \"sid\", package = \"linux-image-cloud-amd64\" }");
}

/* clang-format off */

static const struct kt_grammar_key kernel_keys[] = {
	ROW(name,   STRING, MUST, 1, KT_NAME_BYTES_MAX, "name = \"sid\"", "its part of the cells' names", kt_axis_set_head, kt_matrix_kernel, name),
	ROW(path,   STRING, MAY,  1, KT_PATH_BYTES_MAX, "path = \"/boot/vmlinuz\"", "a boot image", set_path, kt_matrix_kernel, path),
	ROW(debian, TABLE,  MAY,  0, 0, "debian = { suite = \"sid\", package = \"linux-image-cloud-amd64\" }", "a kernel of Debian's archive", set_debian, kt_matrix_kernel, debian_suite),
};
static const struct kt_grammar_table kernel_table = TABLE("[[kernel]]", kernel_keys, check_kernel);

/* clang-format on */

/* ---- axes ---- */

static void set_kernels(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
			const struct kt_doc_node *node, void *into)
{
	struct kt_reading *reading = reader->context;
	struct kt_matrix *matrix = into;

	kt_grammar_tables(reader, key, node, into);
	kt_axis_index(reader, &reading->kernels, "kernel", matrix->kernels, matrix->n_kernels,
		      sizeof(*matrix->kernels));
}

static void set_schedulers(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
			   const struct kt_doc_node *node, void *into)
{
	struct kt_reading *reading = reader->context;
	struct kt_matrix *matrix = into;

	kt_grammar_tables(reader, key, node, into);
	kt_profile_expand(reader, node, matrix);
	kt_axis_index(reader, &reading->schedulers, "scheduler", matrix->schedulers,
		      matrix->n_schedulers, sizeof(*matrix->schedulers));
}

static void set_topologies(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
			   const struct kt_doc_node *node, void *into)
{
	struct kt_reading *reading = reader->context;
	struct kt_matrix *matrix = into;

	kt_grammar_tables(reader, key, node, into);
	kt_axis_index(reader, &reading->topologies, "topology", matrix->topologies,
		      matrix->n_topologies, sizeof(*matrix->topologies));
}

static void set_payloads(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
			 const struct kt_doc_node *node, void *into)
{
	struct kt_reading *reading = reader->context;
	struct kt_matrix *matrix = into;

	kt_grammar_tables(reader, key, node, into);
	kt_axis_index(reader, &reading->payloads, "payload", matrix->payloads, matrix->n_payloads,
		      sizeof(*matrix->payloads));
}

static void set_scenarios(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
			  const struct kt_doc_node *node, void *into)
{
	struct kt_reading *reading = reader->context;
	struct kt_matrix *matrix = into;

	reading->n_problems = reader->problems->n + reader->problems->n_more;
	kt_grammar_tables(reader, key, node, into);
	kt_axis_index(reader, &reading->scenarios, "scenario", matrix->scenarios,
		      matrix->n_scenarios, sizeof(*matrix->scenarios));
}

/* clang-format off */

static const struct kt_grammar_key matrix_keys[] = {
	{ .name = "sweep", .types = KT_GRAMMAR_TABLE, .need = KT_GRAMMAR_MUST, .example = "[sweep] with name = \"nightly\"",
	  .sentence = "its name", .set = kt_grammar_one, .offset = offsetof(struct kt_matrix, sweep), .of = &sweep_table },
	LIST(kernel,    MUST, 1, KT_AXIS_ENTRIES_MAX, "[[kernel]]",    "what boots",             set_kernels,    kt_matrix, kernels,    &kernel_table),
	LIST(scheduler, MUST, 1, KT_AXIS_ENTRIES_MAX, "[[scheduler]]", "what schedules",         set_schedulers, kt_matrix, schedulers, &kt_schedulerkeys_table),
	LIST(topology,  MUST, 1, KT_AXIS_ENTRIES_MAX, "[[topology]]",  "the guest's CPUs",       set_topologies, kt_matrix, topologies, &kt_topologykeys_table),
	LIST(payload,   MAY,  0, KT_PAYLOADS_MAX,     "[[payload]]",   "programs of yours that run in the guest", set_payloads, kt_matrix, payloads, &kt_payloadkeys_table),
	LIST(scenario,  MUST, 1, KT_AXIS_ENTRIES_MAX, "[[scenario]]",  "what happens in a cell", set_scenarios,  kt_matrix, scenarios,  &kt_scenariokeys_table),
};
static const struct kt_grammar_table matrix_table = TABLE("the matrix", matrix_keys, NULL);

/* clang-format on */

/* ---- the whole ---- */

/* All of a job but its own scheduler's arguments, which have a limit of their own: both fit into a frame. */
static void check_size(const struct kt_matrix *matrix, const struct kt_matrix_scenario *scenario,
		       struct kt_problems *problems)
{
	KT_AUTO_ARENA arena = { 0 };
	KT_AUTO_BUF encoded = { 0 };
	struct kt_msg_job job;

	kt_matrix_job(matrix, scenario->first_cell, &arena, &job);
	job.scheduler->n_args = 0;
	kt_codec_encode(&kt_schema_job, &job, &encoded);
	if (encoded.len > KT_JOB_BYTES_MAX)
		kt_problem_add(problems, scenario->pos,
			       "scenario '%s' is %zu bytes long as a job, with what it runs; at "
			       "most %u",
			       scenario->name, encoded.len, KT_JOB_BYTES_MAX);
}

/* Whether what it says of CPUs fits the guests that it runs in. */
static void check_machines(const struct kt_matrix *matrix,
			   const struct kt_matrix_scenario *scenario, struct kt_problems *problems)
{
	for (size_t i = 0; scenario->needs_machine && i < scenario->n_topologies; i++) {
		char name[KT_CELL_NAME_BYTES_MAX];
		uint64_t cell;

		if (!kt_matrix_first_cell_in(scenario, i, &cell))
			continue; /* it does not fit */
		kt_matrix_cell_name(matrix, cell, name);
		kt_rehearsal_on(&scenario->msg, scenario->node,
				&matrix->topologies[scenario->topologies[i]], name, problems);
		if (problems->n == KT_PROBLEMS_MAX)
			return;
	}
}

/* And what it says of schedulers, where there is none but the kernel's own. */
static void check_bare(const struct kt_matrix *matrix, const struct kt_matrix_scenario *scenario,
		       struct kt_problems *problems)
{
	for (size_t i = 0; scenario->needs_scheduler && i < scenario->n_schedulers; i++) {
		char name[KT_CELL_NAME_BYTES_MAX];
		uint64_t cell;

		if (matrix->schedulers[scenario->schedulers[i]].binary ||
		    !kt_matrix_first_cell_with(scenario, i, &cell))
			continue;
		kt_rehearsal_bare(&scenario->msg, scenario->node,
				  kt_matrix_cell_name(matrix, cell, name), problems);
	}
}

static void check_cells(const struct kt_matrix *matrix, struct kt_problems *problems)
{
	for (size_t i = 0; i < matrix->n_scenarios && problems->n < KT_PROBLEMS_MAX; i++) {
		if (!matrix->scenarios[i].n_cells)
			continue;
		check_size(matrix, &matrix->scenarios[i], problems);
		check_machines(matrix, &matrix->scenarios[i], problems);
		check_bare(matrix, &matrix->scenarios[i], problems);
	}
}

int kt_language_read(struct kt_doc **doc_p, struct kt_problems *problems, struct kt_matrix **matrix,
		     struct kt_err *err)
{
	KT_AUTO(kt_doc_destroy) struct kt_doc *doc = kt_take(doc_p);
	KT_AUTO_ARENA scratch = { 0 };
	struct kt_reading reading = { .payloads.what = "payload" }; /* there may be none to index */
	struct kt_grammar_reader reader = {
		.problems = problems,
		.arena = &doc->arena,
		.context = &reading,
	};

	*problems = (struct kt_problems){ .file = doc->file, .doc = doc };
	reading.matrix = kt_arena_alloc(&doc->arena, 1, sizeof(*reading.matrix));
	reading.matrix->file = doc->file;
	reading.matrix->sweep.attempts = ATTEMPTS_DEFAULT;
	reading.matrix->sweep.repeats = 1;
	reading.matrix->sweep.guest = KT_JOB_GUEST_WARM;
	kt_grammar_read(&reader, &matrix_table, doc->root, reading.matrix);
	if (problems->n == 0)
		kt_fit_expand(&reader);
	if (problems->n == 0)
		check_cells(reading.matrix, problems);
	if (problems->n == 0)
		kt_asserts_check(reading.matrix, &scratch, problems);
	kt_axis_forget(&reading.kernels);
	kt_axis_forget(&reading.schedulers);
	kt_axis_forget(&reading.topologies);
	kt_axis_forget(&reading.payloads);
	kt_axis_forget(&reading.scenarios);
	if (problems->n > 0) {
		problems->file = NULL; /* the document goes; the lines are complete */
		problems->doc = NULL;
		return kt_problem_err(problems, err);
	}
	*matrix = reading.matrix;
	reading.matrix->doc = kt_take(&doc);
	return 0;
}
