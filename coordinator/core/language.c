/* language.c - the tables first, then what their rows do. Rows are read from top to bottom: one may rely
 * on those above it (a step's hold on the scenario's duration, a filter on the kernels' names).
 */
#include "coordinator/core/language.h"
#include "coordinator/core/asserts.h"
#include "coordinator/core/cpus.h"
#include "coordinator/core/expand.h"
#include "coordinator/core/grammar.h"
#include "proto/base/duration.h"
#include "proto/base/must.h"
#include "proto/job.h"
#include "proto/work.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <uthash.h>

#define LENGTH(array_) (sizeof(array_) / sizeof((array_)[0]))

#define DURATION_NS_MIN KT_NS_PER_MS
#define WATCHDOG_NS_MIN (10 * KT_NS_PER_MS) /* a few jiffies at HZ = 250 */
#define WATCHDOG_NS_MAX (3600 * KT_NS_PER_S)

#define ATTEMPTS_DEFAULT 3

#define PLUGIN_DEADLINE_NS_MIN (100 * KT_NS_PER_MS)
#define PLUGIN_DEADLINE_NS_MAX (300 * KT_NS_PER_S)

static const char *const guests[] = { KT_JOB_GUEST_WARM, KT_JOB_GUEST_COLD };

/* Entries of an axis by name. */
struct named {
	const char *name; /* key; borrowed from the document */
	uint32_t index;
	uint32_t line;
	UT_hash_handle hh;
};

struct axis {
	struct named *by_name;
	const char **names; /* of all that have one, for suggestions */
	size_t n_names;
	size_t n; /* entries */
	uint32_t *all; /* 0 .. n - 1: what a scenario without a filter uses */
};

struct language {
	struct kt_matrix *matrix;
	struct axis kernels;
	struct axis schedulers;
	struct axis topologies;
	struct axis scenarios;
	int64_t duration_ns; /* of the scenario being read; 0 when it is not known */
};

/* How every entry begins. */
struct head {
	const char *name;
	struct kt_doc_pos pos;
};
#define CHECK_HEAD(type_)                                                          \
	_Static_assert(offsetof(type_, name) == 0 &&                               \
			       offsetof(type_, pos) == offsetof(struct head, pos), \
		       "begins with struct head")
CHECK_HEAD(struct kt_matrix_kernel);
CHECK_HEAD(struct kt_matrix_scheduler);
CHECK_HEAD(struct kt_matrix_topology);
CHECK_HEAD(struct kt_matrix_scenario);
CHECK_HEAD(struct kt_matrix_sweep);

static kt_grammar_set_fn set_head, set_debian_word, set_path, set_plugin, set_binary, set_debian,
	set_cpus, set_hold, set_cgroup_name, set_workers, set_work, set_guest, set_duration,
	choose_kernels, choose_schedulers, choose_topologies, set_kernels, set_schedulers,
	set_topologies, set_scenarios;

static void check_kernel(struct kt_grammar_reader *reader, const struct kt_doc_node *node,
			 void *into);
static void check_scheduler(struct kt_grammar_reader *reader, const struct kt_doc_node *node,
			    void *into);
static void check_topology(struct kt_grammar_reader *reader, const struct kt_doc_node *node,
			   void *into);
static void check_step(struct kt_grammar_reader *reader, const struct kt_doc_node *node,
		       void *into);
static void check_scenario(struct kt_grammar_reader *reader, const struct kt_doc_node *node,
			   void *into);

/* ---- the tables ---- */

/* clang-format off */

#define TABLE(title_, keys_, check_) { .title = (title_), .keys = (keys_), .n_keys = LENGTH(keys_), .check = (check_) }
#define ROW(name_, types_, need_, min_, max_, example_, sentence_, set_, in_, member_) \
	{ .name = #name_, .types = KT_GRAMMAR_##types_, .need = KT_GRAMMAR_##need_, .min = (min_), .max = (max_), \
	  .example = (example_), .sentence = (sentence_), .set = (set_), .offset = offsetof(struct in_, member_) }
#define LIST(name_, need_, min_, max_, example_, sentence_, set_, in_, member_, of_) \
	{ .name = #name_, .types = KT_GRAMMAR_ARRAY, .need = KT_GRAMMAR_##need_, .min = (min_), .max = (max_), \
	  .example = (example_), .sentence = (sentence_), .set = (set_), .offset = offsetof(struct in_, member_), \
	  .count_offset = offsetof(struct in_, n_##member_), .item_size = sizeof(*((struct in_ *)0)->member_), .of = (of_) }

static const struct kt_grammar_key sweep_keys[] = {
	ROW(name,     STRING, MUST, 1, KT_NAME_BYTES_MAX, "name = \"nightly\"", "what reports call the sweep", set_head, kt_matrix_sweep, name),
	ROW(attempts, INT,    MAY,  1, KT_ATTEMPTS_MAX,   "attempts = 3", "tries per cell when hosts make trouble, the first included", kt_grammar_number, kt_matrix_sweep, attempts),
	ROW(repeats,  INT,    MAY,  1, KT_REPEATS_MAX,    "repeats = 5", "how often every cell runs", kt_grammar_number, kt_matrix_sweep, repeats),
	ROW(seed,     INT,    MAY,  0, INT64_MAX,         "seed = 42", "what random numbers are drawn from", kt_grammar_number, kt_matrix_sweep, seed),
	ROW(guest,    STRING, MAY,  1, KT_NAME_BYTES_MAX, "guest = \"cold\"", "\"warm\" (restored from one that was booted before; the default) or \"cold\" (booted for its cell)", set_guest, kt_matrix_sweep, guest),
	ROW(template_renew, INT, MAY, 1, KT_TEMPLATE_RENEW_MAX, "template_renew = 100", "cells after which warm guests come from a new boot", kt_grammar_number, kt_matrix_sweep, template_renew),
	ROW(out,      STRING, MAY,  1, KT_PATH_BYTES_MAX, "out = \"results\"", "the folder for the sweep's files", kt_grammar_text, kt_matrix_sweep, out),
	ROW(assert,   ARRAY,  MAY,  0, KT_ASSERTS_MAX,    "[[sweep.assert]]", "what must hold of a series in every cell", kt_asserts_set, kt_matrix_sweep, asserts),
};
static const struct kt_grammar_table sweep_table = TABLE("[sweep]", sweep_keys, NULL);

static const struct kt_grammar_key debian_keys[] = {
	ROW(suite,   STRING, MUST, 1, KT_NAME_BYTES_MAX, "suite = \"sid\"", "the Debian suite", set_debian_word, kt_matrix_kernel, debian_suite),
	ROW(package, STRING, MUST, 1, KT_NAME_BYTES_MAX, "package = \"linux-image-cloud-amd64\"", "the kernel's package", set_debian_word, kt_matrix_kernel, debian_package),
};
static const struct kt_grammar_table debian_table = TABLE("debian of [[kernel]]", debian_keys, NULL);

static const struct kt_grammar_key kernel_keys[] = {
	ROW(name,   STRING, MUST, 1, KT_NAME_BYTES_MAX, "name = \"sid\"", "its part of the cells' names", set_head, kt_matrix_kernel, name),
	ROW(path,   STRING, MAY,  1, KT_PATH_BYTES_MAX, "path = \"/boot/vmlinuz\"", "a boot image", set_path, kt_matrix_kernel, path),
	ROW(debian, TABLE,  MAY,  0, 0, "debian = { suite = \"sid\", package = \"linux-image-cloud-amd64\" }", "a kernel of Debian's archive", set_debian, kt_matrix_kernel, debian_suite),
};
static const struct kt_grammar_table kernel_table = TABLE("[[kernel]]", kernel_keys, check_kernel);

static const struct kt_grammar_key scheduler_keys[] = {
	ROW(name,   STRING, MUST, 1, KT_NAME_BYTES_MAX, "name = \"scx_kt\"", "its part of the cells' names, or \"eevdf\" for the kernel's own scheduler", set_head, kt_matrix_scheduler, name),
	ROW(binary, STRING, MAY,  1, KT_PATH_BYTES_MAX, "binary = \"scx_kt\"", "the program that loads it", set_binary, kt_matrix_scheduler, binary),
	LIST(args,          MAY,  0, KT_TEXT_BYTES_MAX, "args = [\"--stall-after\", \"4\"]", "its arguments", kt_grammar_texts, kt_matrix_scheduler, args, NULL),
	ROW(assert, ARRAY,  MAY,  0, KT_ASSERTS_MAX, "[[scheduler.assert]]", "what must hold of a series wherever it runs", kt_asserts_set, kt_matrix_scheduler, asserts),
};
static const struct kt_grammar_table scheduler_table = TABLE("[[scheduler]]", scheduler_keys, check_scheduler);

static const struct kt_grammar_key topology_keys[] = {
	ROW(name,   STRING, MUST, 1, KT_NAME_BYTES_MAX, "name = \"small\"", "its part of the cells' names", set_head, kt_matrix_topology, name),
	ROW(cpus,   STRING, MUST, 1, KT_NAME_BYTES_MAX, "cpus = \"1n1l2c1t\"", "NUMA nodes, LLCs in all, cores per LLC, threads per core; or a preset", set_cpus, kt_matrix_topology, cpus),
	ROW(memory, STRING, MAY,  1ull << 20, KT_GUEST_MEM_BYTES_MAX, "memory = \"512M\"", "at least so much for the guest", kt_grammar_size, kt_matrix_topology, mem_bytes),
};
static const struct kt_grammar_table topology_table = TABLE("[[topology]]", topology_keys, check_topology);

static const struct kt_grammar_key cgroup_keys[] = {
	ROW(name,    STRING, MUST, 1, KT_NAME_BYTES_MAX, "name = \"cg_0\"", "what the guest calls it", set_cgroup_name, kt_msg_cgroup, name),
	ROW(workers, INT,    MUST, 0, KT_WORKERS_MAX,    "workers = 2", "processes in it", set_workers, kt_msg_cgroup, groups),
	ROW(work,    STRING, MUST, 1, KT_NAME_BYTES_MAX, "work = \"spin\"", "what they do", set_work, kt_msg_cgroup, groups),
};
static const struct kt_grammar_table cgroup_table = TABLE("cgroup of [[scenario.step]]", cgroup_keys, NULL);

static const struct kt_grammar_key step_keys[] = {
	{ .name = "hold", .types = KT_GRAMMAR_STRING | KT_GRAMMAR_FLOAT, .need = KT_GRAMMAR_MUST, .min = 1, .max = KT_DURATION_NS_MAX,
	  .example = "hold = \"full\"", .sentence = "how long it lasts: \"full\", \"50%\", 0.5 or \"3s\"", .set = set_hold, .offset = offsetof(struct kt_msg_step, hold_ns) },
	LIST(cgroup, MAY, 0, KT_CGROUPS_MAX, "cgroup = [{ name = \"cg_0\", workers = 2, work = \"spin\" }]", "the cgroups made when it begins", kt_grammar_tables, kt_msg_step, cgroups, &cgroup_table),
};
static const struct kt_grammar_table step_table = TABLE("[[scenario.step]]", step_keys, check_step);

static const struct kt_grammar_key verdict_keys[] = {
	ROW(plugin,   STRING, MUST, 1, KT_PATH_BYTES_MAX, "plugin = \"verdict.so\"", "a shared library with the function of ktassert_plugin.h", set_plugin, kt_matrix_plugin, path),
	ROW(deadline, STRING, MAY,  PLUGIN_DEADLINE_NS_MIN, PLUGIN_DEADLINE_NS_MAX, "deadline = \"10s\"", "how long it may take for one cell", kt_grammar_span, kt_matrix_plugin, deadline_ns),
};
static const struct kt_grammar_table verdict_table = TABLE("verdict of [[scenario]]", verdict_keys, NULL);

/* [[*.assert]] is assertions/assertion.h's own table, read by asserts.h. */

static const struct kt_grammar_key scenario_keys[] = {
	ROW(name,     STRING, MUST, 1, KT_NAME_BYTES_MAX, "name = \"two_spinners\"", "its part of the cells' names", set_head, kt_matrix_scenario, name),
	ROW(duration, STRING, MUST, DURATION_NS_MIN, KT_DURATION_NS_MAX, "duration = \"10s\"", "the window in which samples are taken", set_duration, kt_matrix_scenario, msg.duration_ns),
	ROW(samples,  INT,    MAY,  0, KT_SAMPLES_MAX, "samples = 3", "periodic samples within the duration", kt_grammar_number, kt_matrix_scenario, msg.samples),
	ROW(watchdog, STRING, MAY,  WATCHDOG_NS_MIN, WATCHDOG_NS_MAX, "watchdog = \"15s\"", "sched_ext's stall watchdog", kt_grammar_span, kt_matrix_scenario, msg.watchdog_ns),
	ROW(repeats,  INT,    MAY,  1, KT_REPEATS_MAX, "repeats = 5", "how often every cell runs", kt_grammar_number, kt_matrix_scenario, repeats),
	ROW(guest,    STRING, MAY,  1, KT_NAME_BYTES_MAX, "guest = \"cold\"", "\"warm\" or \"cold\", as in [sweep]", set_guest, kt_matrix_scenario, guest),
	ROW(script,   STRING, MAY,  1, KT_TEXT_BYTES_MAX, "script = \"boot; run; end\"", "what the scripted runner plays", kt_grammar_text, kt_matrix_scenario, script),
	LIST(kernels,    MAY, 1, KT_AXIS_ENTRIES_MAX, "kernels = [\"sid\"]", "the kernels it runs on; left out: all", choose_kernels, kt_matrix_scenario, kernels, NULL),
	LIST(schedulers, MAY, 1, KT_AXIS_ENTRIES_MAX, "schedulers = [\"scx_kt\"]", "the schedulers it runs with; left out: all", choose_schedulers, kt_matrix_scenario, schedulers, NULL),
	LIST(topologies, MAY, 1, KT_AXIS_ENTRIES_MAX, "topologies = [\"small\"]", "the topologies it runs in; left out: all", choose_topologies, kt_matrix_scenario, topologies, NULL),
	{ .name = "step", .types = KT_GRAMMAR_ARRAY, .need = KT_GRAMMAR_MAY, .min = 1, .max = KT_STEPS_MAX,
	  .example = "[[scenario.step]]", .sentence = "what happens, in order", .set = kt_grammar_tables, .of = &step_table,
	  .offset = offsetof(struct kt_matrix_scenario, msg.steps), .count_offset = offsetof(struct kt_matrix_scenario, msg.n_steps), .item_size = sizeof(struct kt_msg_step) },
	ROW(assert, ARRAY, MAY, 0, KT_ASSERTS_MAX, "[[scenario.assert]]", "what must hold of a series", kt_asserts_set, kt_matrix_scenario, asserts),
	{ .name = "verdict", .types = KT_GRAMMAR_TABLE, .need = KT_GRAMMAR_MAY, .example = "verdict = { plugin = \"verdict.so\" }",
	  .sentence = "a plug-in that judges beside the assertions", .set = kt_grammar_one, .of = &verdict_table, .offset = offsetof(struct kt_matrix_scenario, plugin) },
	{ .name = "expect", .types = KT_GRAMMAR_STRING | KT_GRAMMAR_TABLE, .need = KT_GRAMMAR_MAY, .example = "expect = { outcome = \"fail\", cause = \"scheduler_stalled\" }",
	  .sentence = "that it is meant to fail", .set = kt_asserts_expect, .offset = offsetof(struct kt_matrix_scenario, expect) },
};
static const struct kt_grammar_table scenario_table = TABLE("[[scenario]]", scenario_keys, check_scenario);

static const struct kt_grammar_key matrix_keys[] = {
	{ .name = "sweep", .types = KT_GRAMMAR_TABLE, .need = KT_GRAMMAR_MUST, .example = "[sweep] with name = \"nightly\"",
	  .sentence = "its name", .set = kt_grammar_one, .offset = offsetof(struct kt_matrix, sweep), .of = &sweep_table },
	LIST(kernel,    MUST, 1, KT_AXIS_ENTRIES_MAX, "[[kernel]]",    "what boots",             set_kernels,    kt_matrix, kernels,    &kernel_table),
	LIST(scheduler, MUST, 1, KT_AXIS_ENTRIES_MAX, "[[scheduler]]", "what schedules",         set_schedulers, kt_matrix, schedulers, &scheduler_table),
	LIST(topology,  MUST, 1, KT_AXIS_ENTRIES_MAX, "[[topology]]",  "the guest's CPUs",       set_topologies, kt_matrix, topologies, &topology_table),
	LIST(scenario,  MUST, 1, KT_AXIS_ENTRIES_MAX, "[[scenario]]",  "what happens in a cell", set_scenarios,  kt_matrix, scenarios,  &scenario_table),
};
static const struct kt_grammar_table matrix_table = TABLE("the matrix", matrix_keys, NULL);

/* clang-format on */

/* ---- names and axes ---- */

static void set_head(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		     const struct kt_doc_node *node, void *into)
{
	struct head *head = into;

	head->pos = node->pos;
	kt_grammar_name(reader, key, node, into);
}

/* Finds entries that share a name and makes the rest known by theirs. */
static void index_axis(struct kt_grammar_reader *reader, struct axis *axis, const char *what,
		       const void *entries, size_t n, size_t size)
{
	axis->n = n;
	axis->all = kt_arena_alloc(reader->arena, n, sizeof(*axis->all));
	axis->names = kt_arena_alloc(reader->arena, n, sizeof(*axis->names));
	for (size_t i = 0; i < n; i++) {
		const struct head *head = (const void *)((const char *)entries + i * size);
		struct named *named;

		axis->all[i] = (uint32_t)i;
		if (!head->name)
			continue;
		HASH_FIND_STR(axis->by_name, head->name, named);
		if (named) {
			kt_problem_add(reader->problems, head->pos,
				       "a second %s named '%s'; the first is in line %" PRIu32,
				       what, head->name, named->line);
			continue;
		}
		named = kt_arena_alloc(reader->arena, 1, sizeof(*named));
		*named = (struct named){ .name = head->name,
					 .index = (uint32_t)i,
					 .line = head->pos.line };
		HASH_ADD_KEYPTR(hh, axis->by_name, named->name, strlen(named->name), named);
		axis->names[axis->n_names++] = head->name;
	}
}

/* The entries lie in the arena; the hash table's own memory does not. */
static void forget_axis(struct axis *axis)
{
	HASH_CLEAR(hh, axis->by_name);
}

static void set_kernels(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
			const struct kt_doc_node *node, void *into)
{
	struct language *language = reader->context;
	struct kt_matrix *matrix = into;

	kt_grammar_tables(reader, key, node, into);
	index_axis(reader, &language->kernels, "kernel", matrix->kernels, matrix->n_kernels,
		   sizeof(*matrix->kernels));
}

static void set_schedulers(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
			   const struct kt_doc_node *node, void *into)
{
	struct language *language = reader->context;
	struct kt_matrix *matrix = into;

	kt_grammar_tables(reader, key, node, into);
	index_axis(reader, &language->schedulers, "scheduler", matrix->schedulers,
		   matrix->n_schedulers, sizeof(*matrix->schedulers));
}

static void set_topologies(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
			   const struct kt_doc_node *node, void *into)
{
	struct language *language = reader->context;
	struct kt_matrix *matrix = into;

	kt_grammar_tables(reader, key, node, into);
	index_axis(reader, &language->topologies, "topology", matrix->topologies,
		   matrix->n_topologies, sizeof(*matrix->topologies));
}

static void set_scenarios(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
			  const struct kt_doc_node *node, void *into)
{
	struct language *language = reader->context;
	struct kt_matrix *matrix = into;

	kt_grammar_tables(reader, key, node, into);
	index_axis(reader, &language->scenarios, "scenario", matrix->scenarios, matrix->n_scenarios,
		   sizeof(*matrix->scenarios));
}

/* ---- filters: kernels = ["a", "b"] ---- */

static void choose_one(struct kt_grammar_reader *reader, const struct axis *axis, const char *what,
		       const struct kt_doc_node *item, bool *chosen)
{
	struct named *named = NULL;

	if (item->type != KT_DOC_STRING) {
		kt_problem_add(reader->problems, item->pos, "a %s is chosen by its name, not by %s",
			       what, kt_doc_type_words(item->type));
		return;
	}
	HASH_FIND_STR(axis->by_name, item->string, named);
	if (named && !chosen[named->index])
		chosen[named->index] = true;
	else if (named)
		kt_problem_add(reader->problems, item->pos, "%s '%s' is chosen twice", what,
			       named->name);
	else if (axis->n_names == axis->n) /* else it may be the one whose name was refused */
		kt_grammar_unknown(reader, item->pos, what, item->string, axis->names,
				   axis->n_names);
}

/* Indexes come in the matrix's order whatever the filter's is: cell numbers then depend on one list. */
static void choose(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		   const struct kt_doc_node *node, void *into, const struct axis *axis,
		   const char *what)
{
	const uint32_t **list = (void *)((char *)into + key->offset);
	size_t *n = (void *)((char *)into + key->count_offset);
	KT_AUTO_FREE bool *chosen = kt_must_calloc(axis->n + 1, sizeof(*chosen));
	uint32_t *indexes;

	if (node->n == 0) {
		kt_problem_add(reader->problems, node->pos,
			       "'%s' in [[scenario]] chooses none; leave it out to choose all",
			       key->name);
		return;
	}
	for (const struct kt_doc_node *item = node->first; item; item = item->next)
		choose_one(reader, axis, what, item, chosen);
	indexes = kt_arena_alloc(reader->arena, node->n, sizeof(*indexes));
	for (size_t i = 0; i < axis->n; i++)
		if (chosen[i])
			indexes[(*n)++] = (uint32_t)i;
	*list = indexes;
}

static void choose_kernels(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
			   const struct kt_doc_node *node, void *into)
{
	struct language *language = reader->context;

	choose(reader, key, node, into, &language->kernels, "kernel");
}

static void choose_schedulers(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
			      const struct kt_doc_node *node, void *into)
{
	struct language *language = reader->context;

	choose(reader, key, node, into, &language->schedulers, "scheduler");
}

static void choose_topologies(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
			      const struct kt_doc_node *node, void *into)
{
	struct language *language = reader->context;

	choose(reader, key, node, into, &language->topologies, "topology");
}

/* ---- kernels ---- */

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

static void set_path(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		     const struct kt_doc_node *node, void *into)
{
	struct kt_matrix_kernel *kernel = into;

	kernel->from_pos = node->pos;
	kt_grammar_text(reader, key, node, into);
}

static void set_plugin(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		       const struct kt_doc_node *node, void *into)
{
	struct kt_matrix_plugin *plugin = into;

	plugin->pos = node->pos;
	plugin->deadline_ns = KT_MATRIX_PLUGIN_DEADLINE_NS; /* `deadline` is read behind it */
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

/* ---- schedulers ---- */

static void set_binary(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		       const struct kt_doc_node *node, void *into)
{
	struct kt_matrix_scheduler *scheduler = into;

	scheduler->binary_pos = node->pos;
	kt_grammar_text(reader, key, node, into);
}

static void check_scheduler(struct kt_grammar_reader *reader, const struct kt_doc_node *node,
			    void *into)
{
	const struct kt_matrix_scheduler *scheduler = into;
	const struct kt_doc_node *binary = kt_doc_get(node, "binary");
	const struct kt_doc_node *args = kt_doc_get(node, "args");
	size_t bytes = 0;

	if (!scheduler->name)
		return;
	if (strcmp(scheduler->name, KT_MATRIX_EEVDF) == 0) {
		if (binary || args)
			kt_problem_add(reader->problems, (binary ? binary : args)->key_pos,
				       "scheduler 'eevdf' is the kernel's own and has no '%s'; "
				       "leave it out, or choose another name",
				       (binary ? binary : args)->key);
		return;
	}
	if (!binary)
		kt_problem_add(reader->problems, node->pos,
			       "[[scheduler]] '%s' needs 'binary': the program that loads it; e.g. "
			       "binary = \"scx_kt\" (only 'eevdf', the kernel's own, has none)",
			       scheduler->name);
	for (size_t i = 0; i < scheduler->n_args; i++)
		bytes += strlen(scheduler->args[i]) + 8;
	if (bytes > KT_JOB_BYTES_MAX)
		kt_problem_add(reader->problems, args->key_pos,
			       "'args' in [[scheduler]]: %zu bytes in all; at most %u", bytes,
			       KT_JOB_BYTES_MAX);
}

/* ---- topologies ---- */

static void set_cpus(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		     const struct kt_doc_node *node, void *into)
{
	struct kt_matrix_topology *topology = into;
	const char *text = kt_grammar_check_text(reader, key, node);
	struct kt_cpus cpus;
	struct kt_err err = { 0 };

	if (!text)
		return;
	if (kt_cpus_parse(text, &cpus, &err) < 0) {
		kt_problem_add(reader->problems, node->pos, "'cpus' in [[topology]]: %s", err.text);
		return;
	}
	topology->numa_nodes = cpus.numa_nodes;
	topology->llcs = cpus.llcs;
	topology->cores = cpus.cores;
	topology->threads = cpus.threads;
	topology->cpus = kt_cpus_total(&cpus);
}

/* What was asked for becomes what the guest gets. */
static void check_topology(struct kt_grammar_reader *reader, const struct kt_doc_node *node,
			   void *into)
{
	struct kt_matrix_topology *topology = into;
	struct kt_cpus cpus = { topology->numa_nodes, topology->llcs, topology->cores,
				topology->threads };

	topology->mem_bytes = kt_cpus_mem_bytes(&cpus, topology->mem_bytes);
}

/* ---- steps ---- */

static void set_duration(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
			 const struct kt_doc_node *node, void *into)
{
	struct kt_matrix_scenario *scenario = into;
	struct language *language = reader->context;

	kt_grammar_span(reader, key, node, into);
	language->duration_ns = scenario->msg.duration_ns;
}

/* "50%", "12.5%": at most six digits after the point; in millionths of a percent. */
static bool parse_percent(const char *text, int64_t *micro)
{
	int64_t scale = 1000000;
	int64_t sum = 0;
	const char *at = text;

	for (; isdigit((unsigned char)*at) && sum <= 100; at++)
		sum = sum * 10 + (*at - '0');
	if (at == text)
		return false;
	sum *= scale;
	if (*at == '.') {
		for (at++; isdigit((unsigned char)*at) && scale > 1; at++) {
			scale /= 10;
			sum += (*at - '0') * scale;
		}
	}
	*micro = sum;
	return strcmp(at, "%") == 0 && sum > 0 && sum <= 100 * 1000000;
}

/* In ns; 0 when it does not read. A fraction of an unknown duration (refused already) is 1 ns. */
static int64_t hold_of(const struct kt_doc_node *node, int64_t duration_ns)
{
	int64_t micro;
	int64_t ns = 0;

	if (node->type == KT_DOC_FLOAT) {
		if (!isfinite(node->real) || node->real <= 0 || node->real > 1)
			return 0;
		ns = (int64_t)(node->real * (double)duration_ns + 0.5);
		return ns > 0 ? ns : 1;
	}
	if (node->has_zero)
		return 0;
	if (strcmp(node->string, "full") == 0)
		return duration_ns > 0 ? duration_ns : 1;
	if (parse_percent(node->string, &micro)) {
		ns = (int64_t)((__int128)duration_ns * micro / (100 * 1000000));
		return ns > 0 ? ns : 1;
	}
	return kt_duration_parse(node->string, &ns) ? ns : 0;
}

static void set_hold(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		     const struct kt_doc_node *node, void *into)
{
	const struct language *language = reader->context;
	struct kt_msg_step *step = into;

	step->hold_ns = hold_of(node, language->duration_ns);
	if (step->hold_ns > 0)
		return;
	if (node->type == KT_DOC_FLOAT)
		kt_problem_add(reader->problems, node->pos,
			       "'hold' in [[scenario.step]] is %g; a share of the duration is more "
			       "than 0 and at most 1.0",
			       node->real);
	else
		kt_problem_add(
			reader->problems, node->pos,
			"'hold' in [[scenario.step]] is \"%.64s\"; it is \"full\", a share of "
			"the duration (\"50%%\", 0.5) or a time of more than 0 (\"3s\")",
			node->string);
}

/* Files that cgroup v2 keeps in every folder begin with the name of a controller or of the core. */
static const char *const cgroup_files[] = {
	"cgroup.", "cpu.",  "cpuset.",  "memory.", "io.",         "pids.",
	"misc.",   "rdma.", "hugetlb.", "irq.",    "perf_event.",
};

static void set_cgroup_name(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
			    const struct kt_doc_node *node, void *into)
{
	struct kt_msg_cgroup *cgroup = into;

	kt_grammar_name(reader, key, node, into);
	for (size_t i = 0; cgroup->name && i < LENGTH(cgroup_files); i++)
		if (strncmp(cgroup->name, cgroup_files[i], strlen(cgroup_files[i])) == 0)
			kt_problem_add(
				reader->problems, node->pos,
				"name '%s' in %s: the kernel's own files there begin with '%s'; "
				"choose another",
				cgroup->name, reader->table->title, cgroup_files[i]);
}

/* The short form, { workers, work }, is a cgroup with one group. */
static struct kt_msg_group *only_group(struct kt_grammar_reader *reader,
				       struct kt_msg_cgroup *cgroup)
{
	if (!cgroup->groups) {
		cgroup->groups = kt_arena_alloc(reader->arena, 1, sizeof(*cgroup->groups));
		*cgroup->groups = (struct kt_msg_group){
			.work = "", .policy = "", .mem_policy = "", .mem_nodes = ""
		};
		cgroup->n_groups = 1;
	}
	return cgroup->groups;
}

static void set_workers(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
			const struct kt_doc_node *node, void *into)
{
	struct kt_grammar_key in_group = *key;

	in_group.offset = offsetof(struct kt_msg_group, workers);
	kt_grammar_number(reader, &in_group, node, only_group(reader, into));
}

static void set_work(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		     const struct kt_doc_node *node, void *into)
{
	struct kt_msg_group *group = only_group(reader, into);
	const char *text = kt_grammar_check_text(reader, key, node);
	const char *names[KT_WORK_N];

	if (!text)
		return;
	if (kt_work_by_name(text)) {
		group->work = text;
		return;
	}
	for (size_t i = 0; i < KT_WORK_N; i++)
		names[i] = kt_work[i].name;
	kt_grammar_unknown(reader, node->pos, "work type", text, names, KT_WORK_N);
}

/* At most KT_CGROUPS_MAX of them: comparing all pairs is cheap. */
static void check_step(struct kt_grammar_reader *reader, const struct kt_doc_node *node, void *into)
{
	const struct kt_msg_step *step = into;

	for (size_t i = 0; i < step->n_cgroups; i++) {
		for (size_t j = 0; j < i; j++) {
			if (!step->cgroups[i].name || !step->cgroups[j].name ||
			    strcmp(step->cgroups[i].name, step->cgroups[j].name) != 0)
				continue;
			kt_problem_add(
				reader->problems, kt_doc_item(kt_doc_get(node, "cgroup"), i)->pos,
				"a second cgroup named '%s' in one step; a step makes each once",
				step->cgroups[i].name);
			break;
		}
	}
}

/* ---- scenarios ---- */

static void set_guest(struct kt_grammar_reader *reader, const struct kt_grammar_key *key,
		      const struct kt_doc_node *node, void *into)
{
	const char **guest = (void *)((char *)into + key->offset);
	const char *text = kt_grammar_check_text(reader, key, node);

	if (!text)
		return;
	for (size_t i = 0; i < LENGTH(guests); i++)
		if (strcmp(text, guests[i]) == 0) {
			*guest = guests[i];
			return;
		}
	kt_grammar_unknown(reader, node->pos, "guest", text, guests, LENGTH(guests));
}

/* semantics.md section 2: the boundaries stand 0.8 * duration / (samples + 1) apart. */
static void check_samples(struct kt_grammar_reader *reader, const struct kt_doc_node *node,
			  const struct kt_msg_scenario *msg)
{
	int64_t n = (int64_t)msg->samples;
	int64_t window_ns = msg->duration_ns / 10 * 8; /* for people; what decides is exact */
	int64_t most = msg->duration_ns * 8 / (KT_SAMPLE_GAP_NS_MIN * 10) - 1;
	int64_t needed_ns = (n + 1) * KT_SAMPLE_GAP_NS_MIN / 8 * 10;
	char duration[KT_DURATION_TEXT_BYTES];
	char gap[KT_DURATION_TEXT_BYTES];
	char needed[KT_DURATION_TEXT_BYTES];

	if (n == 0 || msg->duration_ns * 8 >= (n + 1) * KT_SAMPLE_GAP_NS_MIN * 10)
		return;
	/* As it will be printed, never less than what is needed. */
	if (needed_ns > KT_NS_PER_S)
		needed_ns = (needed_ns + KT_NS_PER_S / 10 - 1) / (KT_NS_PER_S / 10) *
			    (KT_NS_PER_S / 10);
	kt_problem_add(reader->problems, kt_doc_get(node, "samples")->pos,
		       "%" PRId64 " samples in %s come every %s, less than 100ms apart; at most "
		       "%" PRId64 " fit, or make the duration %s",
		       n, kt_duration_format(msg->duration_ns, duration),
		       kt_duration_format(window_ns / (n + 1), gap), most > 0 ? most : 0,
		       kt_duration_format(needed_ns, needed));
}

/* The samples are spread over the duration, so the steps must fill it up to the last of them and may not
 * go on behind it, where nobody looks.
 */
static void check_steps(struct kt_grammar_reader *reader, const struct kt_doc_node *node,
			const struct kt_msg_scenario *msg)
{
	const struct kt_doc_node *steps = kt_doc_get(node, "step");
	int64_t pre_ns = msg->duration_ns / 10;
	int64_t window_ns = msg->duration_ns - 2 * pre_ns;
	int64_t n = (int64_t)msg->samples;
	int64_t last_ns = pre_ns + (int64_t)((__int128)window_ns * n / (n + 1));
	int64_t end_ns = 0;
	char duration[KT_DURATION_TEXT_BYTES];
	char at[KT_DURATION_TEXT_BYTES];

	for (size_t i = 0; i < msg->n_steps; i++) {
		if (msg->steps[i].hold_ns == 0)
			return; /* refused already */
		end_ns += msg->steps[i].hold_ns;
		/* Shares are rounded to 1 ns each. */
		if (end_ns > msg->duration_ns + (int64_t)msg->n_steps) {
			kt_problem_add(
				reader->problems, kt_doc_item(steps, i)->pos,
				"this step ends %s after the scenario began, but its duration is "
				"%s; hold shorter or make the duration longer",
				kt_duration_format(end_ns, at),
				kt_duration_format(msg->duration_ns, duration));
			return;
		}
	}
	if (n > 0 && end_ns < last_ns)
		kt_problem_add(reader->problems, kt_doc_item(steps, msg->n_steps - 1)->pos,
			       "the steps end after %s, before the last of %" PRId64
			       " samples at %s; hold longer or make the duration shorter",
			       kt_duration_format(end_ns, duration), n,
			       kt_duration_format(last_ns, at));
}

/* Every process sends one report, and a result has room for so many. */
static void check_workers(struct kt_grammar_reader *reader, const struct kt_doc_node *node,
			  const struct kt_msg_scenario *msg)
{
	uint64_t n = 0;

	for (size_t i = 0; i < msg->n_steps; i++)
		for (size_t j = 0; j < msg->steps[i].n_cgroups; j++)
			for (size_t k = 0; k < msg->steps[i].cgroups[j].n_groups; k++)
				n += msg->steps[i].cgroups[j].groups[k].workers;
	if (n > KT_WORKERS_MAX)
		kt_problem_add(reader->problems, node->pos,
			       "[[scenario]] starts %" PRIu64 " workers in all; at most %d", n,
			       KT_WORKERS_MAX);
}

static void hold_full(struct kt_grammar_reader *reader, struct kt_msg_scenario *msg)
{
	msg->steps = kt_arena_alloc(reader->arena, 1, sizeof(*msg->steps));
	msg->steps->hold_ns = msg->duration_ns;
	msg->n_steps = 1;
}

static void check_scenario(struct kt_grammar_reader *reader, const struct kt_doc_node *node,
			   void *into)
{
	struct language *language = reader->context;
	struct kt_matrix_scenario *scenario = into;
	const struct kt_doc_node *samples = kt_doc_get(node, "samples");

	scenario->msg.name = scenario->name;
	if (!scenario->script)
		scenario->script = "";
	language->duration_ns = 0;
	if (!kt_doc_get(node, "step") && *scenario->script)
		hold_full(reader, &scenario->msg); /* a script plays its own workload */
	else if (!kt_doc_get(node, "step"))
		kt_problem_add(reader->problems, node->pos,
			       "[[scenario]] needs [[scenario.step]]: what runs in the guest");
	check_workers(reader, node, &scenario->msg);
	/* Where duration or samples were refused, what follows from them would only confuse. */
	if (scenario->msg.duration_ns == 0 ||
	    (samples && scenario->msg.samples == 0 &&
	     !(samples->type == KT_DOC_INT && samples->integer == 0)))
		return;
	check_samples(reader, node, &scenario->msg);
	if (scenario->msg.n_steps && kt_doc_get(node, "step"))
		check_steps(reader, node, &scenario->msg);
}

/* ---- the whole ---- */

static void check_size(struct kt_problems *problems, const struct kt_matrix_scenario *scenario)
{
	KT_AUTO_BUF encoded = { 0 };

	kt_codec_encode(&kt_schema_scenario, &scenario->msg, &encoded);
	if (encoded.len > KT_JOB_BYTES_MAX)
		kt_problem_add(problems, scenario->pos,
			       "scenario '%s' is %zu bytes long as a job; at most %u",
			       scenario->name, encoded.len, KT_JOB_BYTES_MAX);
}

/* What a filter left open is everything; then cells get their numbers. */
static void count_cells(struct language *language, struct kt_problems *problems)
{
	struct kt_matrix *matrix = language->matrix;

	for (size_t i = 0; i < matrix->n_scenarios; i++) {
		struct kt_matrix_scenario *scenario = &matrix->scenarios[i];
		uint64_t sizes[4];

		if (!scenario->kernels) {
			scenario->kernels = language->kernels.all;
			scenario->n_kernels = language->kernels.n;
		}
		if (!scenario->schedulers) {
			scenario->schedulers = language->schedulers.all;
			scenario->n_schedulers = language->schedulers.n;
		}
		if (!scenario->topologies) {
			scenario->topologies = language->topologies.all;
			scenario->n_topologies = language->topologies.n;
		}
		if (scenario->repeats == 0)
			scenario->repeats = matrix->sweep.repeats;
		if (!scenario->guest)
			scenario->guest = matrix->sweep.guest;
		scenario->first_cell = matrix->n_cells;
		sizes[0] = scenario->n_kernels;
		sizes[1] = scenario->n_schedulers;
		sizes[2] = scenario->n_topologies;
		sizes[3] = scenario->repeats;
		if (!kt_expand_count(sizes, 4, KT_CELLS_MAX - matrix->n_cells,
				     &scenario->n_cells)) {
			kt_problem_add(
				problems, scenario->pos,
				"with scenario '%s' (%zu kernels x %zu schedulers x %zu "
				"topologies x %" PRIu64
				" repeats) the matrix has more than %llu cells; choose fewer",
				scenario->name, scenario->n_kernels, scenario->n_schedulers,
				scenario->n_topologies, scenario->repeats, KT_CELLS_MAX);
			return;
		}
		matrix->n_cells += scenario->n_cells;
		check_size(problems, scenario);
	}
}

int kt_language_read(struct kt_doc **doc_p, struct kt_problems *problems, struct kt_matrix **matrix,
		     struct kt_err *err)
{
	KT_AUTO(kt_doc_destroy) struct kt_doc *doc = kt_take(doc_p);
	KT_AUTO_ARENA scratch = { 0 };
	struct language language = { 0 };
	struct kt_grammar_reader reader = {
		.problems = problems,
		.arena = &doc->arena,
		.context = &language,
	};

	*problems = (struct kt_problems){ .file = doc->file };
	language.matrix = kt_arena_alloc(&doc->arena, 1, sizeof(*language.matrix));
	language.matrix->file = doc->file;
	language.matrix->sweep.attempts = ATTEMPTS_DEFAULT;
	language.matrix->sweep.repeats = 1;
	language.matrix->sweep.guest = KT_JOB_GUEST_WARM;
	kt_grammar_read(&reader, &matrix_table, doc->root, language.matrix);
	if (problems->n == 0)
		count_cells(&language, problems);
	if (problems->n == 0)
		kt_asserts_check(language.matrix, &scratch, problems);
	forget_axis(&language.kernels);
	forget_axis(&language.schedulers);
	forget_axis(&language.topologies);
	forget_axis(&language.scenarios);
	if (problems->n > 0) {
		problems->file = NULL; /* the document goes; the lines are complete */
		return kt_problem_err(problems, err);
	}
	*matrix = language.matrix;
	language.matrix->doc = kt_take(&doc);
	return 0;
}
