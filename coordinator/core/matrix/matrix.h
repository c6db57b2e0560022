/* matrix.h - what the user asked for: scenarios x kernels x schedulers x topologies x repeats.
 *
 *	text -> kt_doc (coordinator/toml.h) -> kt_matrix (core/language.h) -> cells, by number
 *
 * coordinator/matrixfile.h does all of it for a file. A matrix is immutable once it is there (but for
 * kt_matrix_make_cold) and owns everything that it points to. Cells are never listed: cell number i is found by arithmetic
 * (scenario slowest, then kernel, scheduler, topology, repeat fastest), so ten million cells cost
 * nothing. Where a scenario or a scheduler requires something of a topology, each scheduler of a scenario has its
 * own list of topologies, and the places of those before it are summed up (coordinator/core/matrix/fit.h).
 * The same text always gives the same numbers and names: journals may keep either.
 */
#ifndef KT_MATRIX_H
#define KT_MATRIX_H

#include "assertions/assertion.h"
#include "assertions/checks.h"
#include "assertions/expect.h"
#include "assertions/payloadcheck.h"
#include "coordinator/core/matrix/doc.h"
#include "proto/base/err.h"
#include "proto/base/limits.h"
#include "proto/schema.h"

/* All entries: `name` is unique within its axis, [A-Za-z0-9_.-]+; `pos` is where the name stands. */

struct kt_matrix_kernel {
	const char *name;
	struct kt_doc_pos pos;
	const char *path; /* as written; NULL when it comes from Debian */
	const char *debian_suite; /* NULL when it is a path */
	const char *debian_package;
	struct kt_doc_pos from_pos; /* of `path` or `debian`: for "no such file" and the like */
};

/* Where assertions can be attached, from the outermost to the innermost: of one name the last wins. */
enum kt_matrix_level {
	KT_MATRIX_LEVEL_SWEEP, /* [[sweep.assert]]: of every cell */
	KT_MATRIX_LEVEL_SCHEDULER, /* [[scheduler.assert]]: of the cells that it runs in */
	KT_MATRIX_LEVEL_SCENARIO, /* [[scenario.assert]] */
	KT_MATRIX_LEVEL_N
};

struct kt_matrix_asserts {
	const struct kt_assertion *list; /* in the order of the file */
	const struct kt_doc_node *const *nodes; /* of each */
	size_t n;
};

/* requires = { ... }: what a scenario or a scheduler needs of a topology; 0: it does not mind. */
enum kt_matrix_smt { KT_MATRIX_SMT_ANY, KT_MATRIX_SMT_YES, KT_MATRIX_SMT_NO };

struct kt_matrix_requires {
	uint64_t min_cpus, max_cpus;
	uint64_t min_llcs, max_llcs;
	uint64_t min_nodes, max_nodes;
	uint64_t smt; /* enum kt_matrix_smt */
};

/* flags = [{ ... }] of a scheduler: what it can be told beside its args. */
struct kt_matrix_flag {
	const char *name;
	struct kt_doc_pos pos;
	const char *const *args;
	size_t n_args;
	const char *const *requires; /* flags that must be given as well */
	size_t n_requires;
	const char *const *excludes; /* flags that must not */
	size_t n_excludes;
};

#define KT_MATRIX_EEVDF "eevdf" /* the kernel's own scheduler: no binary */

/* A profile of a [[scheduler]]: one for every set of its flags that their rules allow, the one without any first
 * (coordinator/core/matrix/profile.h).
 */
struct kt_matrix_scheduler {
	const char *name; /* "scx_x+llc+steal": the base's, then its flags' */
	struct kt_doc_pos pos;
	const char *base; /* of [[scheduler]] */
	struct kt_matrix_requires requires;
	const struct kt_matrix_flag *flags; /* that it may be given */
	size_t n_flags;
	uint32_t given; /* bit i: flags[i] */
	const char *binary; /* as written; NULL exactly for KT_MATRIX_EEVDF */
	struct kt_doc_pos binary_pos;
	const char *const *args; /* without args[0]; with those of its flags */
	size_t n_args;
	struct kt_matrix_asserts asserts;
};

struct kt_matrix_topology {
	const char *name;
	struct kt_doc_pos pos;
	uint32_t numa_nodes;
	uint32_t llcs; /* in all */
	uint32_t cores; /* per LLC */
	uint32_t threads; /* per core */
	uint32_t cpus; /* llcs * cores * threads */
	uint64_t mem_bytes; /* after the rule of semantics.md section 7; of all nodes together */
	const struct kt_msg_node *nodes; /* numa_nodes of them; NULL: all alike */
	size_t n_nodes;
};

/* A file of the user's for a payload. */
struct kt_matrix_payload_file {
	const char *path; /* as written, from the matrix's folder on */
	struct kt_doc_pos pos;
	const char *to; /* in the guest */
};

/* A program of the user's; cgroups and ops of scenarios name it. */
struct kt_matrix_payload {
	const char *name;
	struct kt_doc_pos pos;
	const char *program; /* as written */
	struct kt_doc_pos program_pos;
	const char *const *args; /* without args[0] */
	size_t n_args;
	const char *const *env; /* NAME=value */
	size_t n_env;
	const struct kt_matrix_payload_file *files;
	size_t n_files;
	struct kt_payloadcheck check; /* its deadline, how it must end, its metrics */
};

/* verdict = { plugin = "path.so" }: a program part of the user's that judges too (assertions/lib/ktassert_plugin.h). */
struct kt_matrix_plugin {
	const char *path; /* as written, from the matrix's folder on; NULL: there is none */
	struct kt_doc_pos pos;
	int64_t deadline_ns; /* for one cell */
};
#define KT_MATRIX_PLUGIN_DEADLINE_NS (10 * KT_NS_PER_S) /* when the matrix says nothing */

/* Of one scheduler in one scenario: the topologies that both agree to. */
struct kt_matrix_places {
	const uint32_t *topologies; /* ascending */
	uint32_t n;
	uint32_t before; /* the sum of n of the schedulers before it */
};

/* flags = { required = [...], excluded = [...] }: which profiles a scenario runs with. */
struct kt_matrix_flag_filter {
	const char *const *required;
	size_t n_required;
	const char *const *excluded;
	size_t n_excluded;
};

struct kt_matrix_scenario {
	const char *name;
	struct kt_doc_pos pos;
	const struct kt_doc_node *node;
	const char *about; /* one sentence; NULL: it says none */
	const char *group; /* of the catalogue; NULL: of none */
	struct kt_msg_scenario
		msg; /* duration, watchdog, samples, steps: holds are resolved to ns */
	uint64_t n_captures; /* samples that its ops take beside the periodic ones, at most */
	bool needs_machine; /* cpusets, affinities, CPUs: whether it fits depends on the topology */
	bool needs_scheduler; /* maps: whether it fits depends on whose cell it is */
	const char *script; /* scripted runner only; "" when there is none */
	const char *guest; /* KT_JOB_GUEST_*: its own or the sweep's */
	bool paired; /* its schedulers run on one host, by turns: its own or the sweep's */
	const char *
		accel; /* "kvm": hosts without it do not run it; NULL: any; its own or the sweep's */
	uint64_t repeats; /* of this scenario: its own or the sweep's */
	const uint32_t *kernels; /* indexes into matrix->kernels, in the matrix's order */
	size_t n_kernels;
	const uint32_t *schedulers;
	size_t n_schedulers;
	const uint32_t *topologies;
	size_t n_topologies;
	const struct kt_doc_node *topologies_node; /* its filter; NULL: it has none */
	bool gauntlet; /* also in every preset that fits */
	struct kt_matrix_requires requires;
	struct kt_matrix_flag_filter flags;
	const struct kt_matrix_places *places; /* of each scheduler; NULL: all of the topologies */
	uint64_t n_places; /* pairs of scheduler and topology that have cells */
	struct kt_matrix_asserts asserts; /* of [[scenario.assert]] */
	struct kt_checks checks; /* its own; kt_matrix_checks() says what counts */
	const struct kt_expect *expect; /* NULL: it is not meant to fail */
	struct kt_matrix_plugin plugin; /* judges beside the assertions */
	uint64_t first_cell; /* number of its first cell */
	uint64_t n_cells; /* kernels * n_places * repeats; 0 when nothing fits */
};

struct kt_matrix_sweep {
	const char *name;
	struct kt_doc_pos pos;
	uint64_t attempts; /* tries per cell when there is infra trouble, the first included */
	uint64_t repeats; /* of scenarios that do not say their own */
	uint64_t seed;
	const char *guest; /* KT_JOB_GUEST_*, of scenarios that do not say their own */
	bool paired; /* likewise */
	const char *accel; /* likewise; NULL: any */
	uint64_t template_renew; /* cells that one template serves at most; 0: no limit */
	const char *out; /* folder for the sweep's files as written; NULL: the program's default */
	const char *const *
		include; /* of the catalogue: their text stands behind the user's (coordinator/catalogue.h) */
	size_t n_include;
	struct kt_matrix_asserts asserts;
	struct kt_checks checks; /* of scenarios that say nothing else */
};

struct kt_matrix {
	const char *file; /* as the user named it */
	struct kt_matrix_sweep sweep;
	struct kt_matrix_kernel *kernels;
	size_t n_kernels;
	struct kt_matrix_scheduler *schedulers;
	size_t n_schedulers;
	struct kt_matrix_topology *topologies;
	size_t n_topologies;
	size_t n_own_topologies; /* of these from [[topology]]; presets of a gauntlet follow */
	struct kt_matrix_payload *payloads;
	size_t n_payloads;
	struct kt_matrix_scenario *scenarios;
	size_t n_scenarios;
	uint64_t n_cells; /* at most KT_CELLS_MAX */
	struct kt_doc *doc; /* where every text above lives */
};

void kt_matrix_destroy(struct kt_matrix **matrix_p);

/* --cold: every cell boots, whatever its scenario says. For whoever has just read the matrix. */
void kt_matrix_make_cold(struct kt_matrix *matrix);

/* ---- cells ---- */

struct kt_matrix_cell {
	const struct kt_matrix_scenario *scenario;
	const struct kt_matrix_kernel *kernel;
	const struct kt_matrix_scheduler *scheduler;
	const struct kt_matrix_topology *topology;
	uint64_t repeat; /* from 0 */
};

uint64_t kt_matrix_n_cells(const struct kt_matrix *matrix);

/* index < kt_matrix_n_cells(). */
void kt_matrix_cell(const struct kt_matrix *matrix, uint64_t index, struct kt_matrix_cell *cell);

/* scenario/kernel/scheduler/topology#repeat; returns name. */
const char *kt_matrix_cell_name(const struct kt_matrix *matrix, uint64_t index,
				char name[KT_CELL_NAME_BYTES_MAX]);

/* The way back: false when no cell of this matrix has that name. */
bool kt_matrix_find_cell(const struct kt_matrix *matrix, const char *name, uint64_t *index);

/* The first cell of the scenario in its topology number k; false when none of its schedulers runs there. */
bool kt_matrix_first_cell_in(const struct kt_matrix_scenario *scenario, size_t k, uint64_t *index);

/* The first cell of the scenario with its scheduler number i; false when that fits nowhere. */
bool kt_matrix_first_cell_with(const struct kt_matrix_scenario *scenario, size_t i,
			       uint64_t *index);

/* How many of the scenario's schedulers run in its topology number k. */
uint64_t kt_matrix_n_schedulers_in(const struct kt_matrix_scenario *scenario, size_t k);

/* Everything about cell `index` that the matrix knows, allocated in arena (which must outlive the job;
 * texts are borrowed from the matrix). Left for whoever knows the artifacts: kernel->version, digest
 * and bytes; files and args[0].text (the program's path in the guest; "" here; no args at all for
 * KT_MATRIX_EEVDF) of the scheduler, of those that the scenario changes to (the cell's own left
 * out) and of each payload. seed is drawn from the sweep's seed and the cell's name.
 */
void kt_matrix_job(const struct kt_matrix *matrix, uint64_t index, struct kt_arena *arena,
		   struct kt_msg_job *job);

/* The payloads that a scenario starts, in the matrix's order, each once. In the arena. */
size_t kt_matrix_payloads(const struct kt_matrix *matrix, const struct kt_matrix_scenario *scenario,
			  struct kt_arena *arena, const struct kt_matrix_payload ***payloads);

/* How long the cell's scenario itself takes, without boot: the longer of duration and all holds. */
int64_t kt_matrix_cell_run_ns(const struct kt_matrix_cell *cell);

/* ---- assertions ---- */

/* An assertion that a cell has. */
struct kt_matrix_assert {
	const struct kt_assertion *assertion; /* may be off: it is not judged */
	enum kt_matrix_level level; /* where it is attached */
	const struct kt_doc_node *node; /* where it stands in the file */
	const struct kt_matrix_assert *replaces; /* of an outer level, by its name; NULL: none */
};

/* "sweep", "scheduler", "scenario" */
const char *kt_matrix_level_name(enum kt_matrix_level level);

/* What is attached to the cells of a scenario with a scheduler, in the order in which it is judged: the
 * sweep's, the scheduler's, the scenario's; what replaces another stands in its place. In the arena.
 */
size_t kt_matrix_asserts(const struct kt_matrix *matrix, const struct kt_matrix_scenario *scenario,
			 const struct kt_matrix_scheduler *scheduler, struct kt_arena *arena,
			 struct kt_matrix_assert **asserts);

/* The same without those that are off: what kt_judge_cell() and kt_group_init() want. */
size_t kt_matrix_judged(const struct kt_matrix *matrix, const struct kt_matrix_cell *cell,
			struct kt_arena *arena, const struct kt_assertion *const **list);

/* The checks of a scenario's cells: its own, and the sweep's where it says nothing. */
void kt_matrix_checks(const struct kt_matrix *matrix, const struct kt_matrix_scenario *scenario,
		      struct kt_checks *checks);

/* ---- errors ---- */

/* "<file>:<line>:<column>: <words>", fault INPUT; returns -EINVAL. For what turns out wrong after
 * parsing: a missing scheduler binary, a kernel that cannot be had.
 */
__attribute__((format(printf, 4, 5), cold)) int kt_matrix_err_at(const struct kt_matrix *matrix,
								 struct kt_doc_pos pos,
								 struct kt_err *err,
								 const char *format, ...);

#endif
