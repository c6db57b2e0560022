#include "coordinator/cli.h"
#include "coordinator/catalogue.h"
#include "coordinator/cellfind.h"
#include "coordinator/control.h"
#include "coordinator/fleetfile.h"
#include "coordinator/core/bucket.h"
#include "coordinator/kernels.h"
#include "coordinator/keys.h"
#include "coordinator/matrixfile.h"
#include "coordinator/muster.h"
#include "coordinator/patterns.h"
#include "coordinator/plan.h"
#include "coordinator/plugins.h"
#include "coordinator/prepare.h"
#include "coordinator/prompt.h"
#include "coordinator/rejudge.h"
#include "coordinator/report.h"
#include "coordinator/server.h"
#include "coordinator/spend.h"
#include "coordinator/statedir.h"
#include "coordinator/stored.h"
#include "coordinator/trust.h"
#include "coordinator/worktypes.h"
#include "proto/base/clock.h"
#include "proto/base/duration.h"
#include "proto/base/log.h"
#include "proto/base/must.h"
#include "proto/base/suggest.h"
#include "proto/job.h"
#include "proto/net/endpoint.h"

#include <dirent.h>
#include <errno.h>
#include <getopt.h>
#include <inttypes.h>
#include <stdarg.h>
#include <string.h>
#include <sys/stat.h>

#define TTL_NS        (15 * KT_NS_PER_S)
#define LOG_BYTES_MAX (16 << 20) /* of coordinator.log; then it becomes coordinator.log.1 */

struct options {
	const char *state;
	const char *out;
	const char *runner;
	const char *listen;
	const char *bandwidth;
	int64_t unschedulable_ns; /* fleet.toml alone says it; 0: the server's own */
	const char *bulk_listen;
	bool keys;
	const char *role;
	const char *suite;
	const char *package;
	uint64_t slots;
	const char *budget;
	bool json;
	bool quiet;
	bool allow_inconclusive;
	bool logs;
	bool all;
	bool steps;
	bool asserts;
	bool refresh;
	bool verbose;
	bool cold;
	bool cancelled;
	bool undo;
	bool here;
	const char *series;
	const char *kernel;
	const char *scheduler;
	const char *topology;
	const char *memory;
	const char *cell;
	const char *exec;
	const char *with[KT_PROMPT_WITH_MAX];
	size_t n_with;
	const char *words[4]; /* what is not an option */
	size_t n_words;
};

enum option_kind { FLAG, TEXT, NUMBER, WITH };

/* Every option of every command; `commands` says whose they are. */
static const struct {
	const char *name;
	enum option_kind kind;
	size_t offset;
	const char *value;
	const char *commands; /* space separated */
	const char *sentence;
} option_table[] = {
	{ "state", TEXT, offsetof(struct options, state), "DIR",
	  "run resume plan show judge report sweeps workers status drain cancel keys kernels shell",
	  "where sweeps, kernels and artifacts are kept (default: ~/.local/state/ktcoord)" },
	{ "json", FLAG, offsetof(struct options, json), NULL,
	  "run resume plan show judge report sweeps workers status drain cancel keys kernels "
	  "patterns "
	  "work scenarios",
	  "the result as JSON on standard output" },
	{ "out", TEXT, offsetof(struct options, out), "FILE", "run",
	  "write the sweep there instead of below the state folder" },
	{ "runner", TEXT, offsetof(struct options, runner), "NAME", "run",
	  "qemu (default) or scripted: plays the scenario's script, boots nothing, proves "
	  "nothing" },
	{ "listen", TEXT, offsetof(struct options, listen), "ENDPOINT", "run resume",
	  "wait for workers there (tcp://ADDRESS:PORT, with * for all addresses, or ipc://PATH) "
	  "instead of starting one" },
	{ "bulk-listen", TEXT, offsetof(struct options, bulk_listen), "ENDPOINT", "run resume",
	  "hand out artifacts there (default: the address of --listen, any port)" },
	{ "keys", FLAG, offsetof(struct options, keys), NULL, "run resume",
	  "only workers with keys, also on 127.0.0.1 (elsewhere it is always so)" },
	{ "bandwidth", TEXT, offsetof(struct options, bandwidth), "RATE", "run resume",
	  "at most so many bytes of artifacts a second to all workers together, e.g. 100M "
	  "(default: no limit)" },
	{ "here", FLAG, offsetof(struct options, here), NULL, "run resume",
	  "on an embedded worker, although a fleet is configured (fleet.toml in the state "
	  "folder)" },
	{ "slots", NUMBER, offsetof(struct options, slots), "N", "run resume plan",
	  "guests at the same time on this machine (default: half of its CPUs; plan: 1)" },
	{ "budget", TEXT, offsetof(struct options, budget), "TIME", "run plan",
	  "only the cells that tell most within that time, e.g. 20m; the others are left out" },
	{ "cold", FLAG, offsetof(struct options, cold), NULL, "run plan shell",
	  "every cell boots a guest of its own, none is restored from a template" },
	{ "cancelled", FLAG, offsetof(struct options, cancelled), NULL, "resume",
	  "run the cells as well that somebody cancelled" },
	{ "undo", FLAG, offsetof(struct options, undo), NULL, "drain",
	  "the host is given cells again" },
	{ "quiet", FLAG, offsetof(struct options, quiet), NULL, "run resume", "only the totals" },
	{ "verbose", FLAG, offsetof(struct options, verbose), NULL, "run resume shell",
	  "log lines on standard error too" },
	{ "allow-inconclusive", FLAG, offsetof(struct options, allow_inconclusive), NULL,
	  "run resume judge report", "inconclusive cells do not make the exit status 4" },
	{ "logs", FLAG, offsetof(struct options, logs), NULL, "show",
	  "consoles and scheduler output too" },
	{ "series", TEXT, offsetof(struct options, series), "FILE", "show",
	  "write the cell's samples to FILE, for other tools (docs/series-format.md)" },
	{ "all", FLAG, offsetof(struct options, all), NULL, "plan",
	  "every cell, not the first 50" },
	{ "steps", FLAG, offsetof(struct options, steps), NULL, "plan",
	  "what happens in each scenario, step by step" },
	{ "asserts", FLAG, offsetof(struct options, asserts), NULL, "plan",
	  "what will be judged, and where it is attached" },
	{ "role", TEXT, offsetof(struct options, role), "NAME", "keys",
	  "what the key may do, for `keys allow`: work (default) or observe" },
	{ "suite", TEXT, offsetof(struct options, suite), "NAME", "kernels",
	  "Debian suite, for `kernels get` (default: sid)" },
	{ "package", TEXT, offsetof(struct options, package), "NAME", "kernels",
	  "package, for `kernels get` (default: linux-image-cloud-amd64)" },
	{ "refresh", FLAG, offsetof(struct options, refresh), NULL, "kernels",
	  "ask the archive even when the newest answer is fresh" },
	{ "kernel", TEXT, offsetof(struct options, kernel), "KERNEL", "shell",
	  "a file, a name or digest of `kernels list`, a Debian suite or suite/package (default: "
	  "sid)" },
	{ "scheduler", TEXT, offsetof(struct options, scheduler), "WORDS", "shell",
	  "a program and its arguments, loaded before the shell opens; split at blanks, quotes "
	  "keep them (default: the kernel's own)" },
	{ "topology", TEXT, offsetof(struct options, topology), "CPUS", "shell",
	  "nodes, LLCs, cores per LLC, threads per core, or a preset (default: 1n1l2c1t)" },
	{ "memory", TEXT, offsetof(struct options, memory), "SIZE", "shell",
	  "at least so much for the guest, e.g. 512M" },
	{ "cell", TEXT, offsetof(struct options, cell), "SWEEP", "shell",
	  "kernel, scheduler, topology, seed and watchdog of a cell of a stored sweep" },
	{ "exec", TEXT, offsetof(struct options, exec), "COMMAND", "shell",
	  "run it with the guest's sh -c and leave with its exit status" },
	{ "with", WITH, 0, "PROGRAM", "shell",
	  "bring it and its libraries along, e.g. bpftool; may be given more than once" },
};
#define N_OPTIONS (sizeof(option_table) / sizeof(option_table[0]))

static int command_run(const struct options *options);
static int command_resume(const struct options *options);
static int command_plan(const struct options *options);
static int command_show(const struct options *options);
static int command_report(const struct options *options);
static int command_judge(const struct options *options);
static int command_sweeps(const struct options *options);
static int command_workers(const struct options *options);
static int command_status(const struct options *options);
static int command_drain(const struct options *options);
static int command_cancel(const struct options *options);
static int command_patterns(const struct options *options);
static int command_work(const struct options *options);
static int command_scenarios(const struct options *options);
static int command_keys(const struct options *options);
static int command_kernels(const struct options *options);
static int command_shell(const struct options *options);

static const struct command {
	const char *name;
	const char *usage;
	size_t words_min;
	size_t words_max;
	int (*run)(const struct options *options);
	const char *sentence;
	const char *example;
} commands[] = {
	{ "run", "MATRIX.toml", 1, 1, command_run,
	  "run a matrix (`ktcoord MATRIX.toml` does it too)", "ktcoord examples/temporal.toml" },
	{ "plan", "MATRIX.toml", 1, 1, command_plan,
	  "which cells, how long, what does not fit and why; nothing starts",
	  "ktcoord plan examples/temporal.toml" },
	{ "resume", "SWEEP", 1, 1, command_resume,
	  "go on where a killed or interrupted sweep stopped; try again what got no verdict",
	  "ktcoord resume last" },
	{ "show", "SWEEP CELL", 1, 2, command_show,
	  "samples, verdict, attempts and logs of one cell", "ktcoord show last --logs" },
	{ "judge", "SWEEP [MATRIX.toml]", 1, 2, command_judge,
	  "judge the stored series again, maybe with changed assertions; no guest runs",
	  "ktcoord judge last changed.toml" },
	{ "report", "SWEEP", 1, 1, command_report, "the cells of a stored sweep, with totals",
	  "ktcoord report last --json" },
	{ "patterns", "[NAME]", 0, 1, command_patterns,
	  "what may be asserted of a series, and checked of workers: patterns, options, checks",
	  "ktcoord patterns converges_to" },
	{ "work", "[NAME]", 0, 1, command_work,
	  "what workers of a scenario can do, with which parameters", "ktcoord work bursty" },
	{ "scenarios", "[NAME]", 0, 1, command_scenarios,
	  "ready scenarios, which a matrix includes by name; with NAME, its text",
	  "ktcoord scenarios wake" },
	{ "sweeps", "", 0, 0, command_sweeps, "the stored sweeps", "ktcoord sweeps" },
	{ "workers", "", 0, 0, command_workers,
	  "every host of the running sweep: what it has, what it runs, whether it takes more",
	  "ktcoord workers --json" },
	{ "status", "", 0, 0, command_status,
	  "how far the running sweep is, what waits and why; else how the last one ended",
	  "ktcoord status" },
	{ "drain", "HOST", 1, 1, command_drain,
	  "the host finishes what it runs and is given no more, until --undo",
	  "ktcoord drain lab3" },
	{ "cancel", "[SWEEP | CELL]", 0, 1, command_cancel,
	  "end the running sweep, or one cell of it: its guests are dead when this returns",
	  "ktcoord cancel slow/sid/scx_kt/small#3" },
	{ "keys", "new [FILE] | allow NAME KEY | revoke NAME | list", 1, 3, command_keys,
	  "which hosts may connect: the coordinator's key, and the list of theirs",
	  "ktcoord keys allow lab3 lab3.pub" },
	{ "kernels", "get | list | add NAME FILE | remove NAME", 1, 3, command_kernels,
	  "kernel images from Debian's archive or from a file", "ktcoord kernels get --suite sid" },
	{ "shell", "[--cell SWEEP [CELL]]", 0, 1, command_shell,
	  "a prompt in the very same guest as a cell gets, or one command in it",
	  "ktcoord shell --scheduler scx_kt --exec \"cat /sys/kernel/sched_ext/root/ops\"" },
};
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

/* ---- words for people ---- */

static bool is_of(const char *names, const char *name)
{
	size_t len = strlen(name);

	for (const char *at = names; *at; at += strspn(at, " ")) {
		size_t n = strcspn(at, " ");

		if (n == len && memcmp(at, name, n) == 0)
			return true;
		at += n;
	}
	return false;
}

static void print_help(FILE *out)
{
	fprintf(out,
		"ktcoord " KT_VERSION
		" - tests Linux process schedulers: a matrix of scenarios x kernels x\n"
		"schedulers x topologies, run in guests on a fleet of hosts, judged over time\n\n"
		"  ktcoord MATRIX.toml [options]\n");
	for (size_t i = 0; i < N_COMMANDS; i++)
		fprintf(out, "  ktcoord %-8s %-42s %s\n", commands[i].name, commands[i].usage,
			commands[i].sentence);
	fprintf(out, "\noptions:\n");
	for (size_t i = 0; i < N_OPTIONS; i++) {
		char name[64];

		snprintf(name, sizeof(name), "--%s%s%s", option_table[i].name,
			 option_table[i].value ? " " : "",
			 option_table[i].value ? option_table[i].value : "");
		fprintf(out, "  %-22s %s [%s]\n", name, option_table[i].sentence,
			option_table[i].commands);
	}
	fprintf(out, "  --help, --version\n\nexamples:\n");
	for (size_t i = 0; i < N_COMMANDS; i++)
		fprintf(out, "  %s\n", commands[i].example);
	fprintf(out, "\nexit status: 0 all pass or skip; 1 a verdict failed; 2 matrix or command "
		     "line wrong, nothing ran;\n3 infra trouble left cells without a verdict; 4 "
		     "only inconclusive cells; 70 a bug; 130 interrupted or cancelled\n");
}

static void print_command_help(const struct command *command, FILE *out)
{
	fprintf(out, "usage: ktcoord %s%s%s [options]\n\n%s\n\noptions:\n", command->name,
		command->usage[0] ? " " : "", command->usage, command->sentence);
	for (size_t i = 0; i < N_OPTIONS; i++) {
		char name[64];

		if (!is_of(option_table[i].commands, command->name))
			continue;
		snprintf(name, sizeof(name), "--%s%s%s", option_table[i].name,
			 option_table[i].value ? " " : "",
			 option_table[i].value ? option_table[i].value : "");
		fprintf(out, "  %-22s %s\n", name, option_table[i].sentence);
	}
	fprintf(out, "\nexample:\n  %s\n", command->example);
}

/* SWEEP is wrong, the disk is full, ...: the one line, and the exit status that fits. */
static int complain(const struct kt_err *err)
{
	fprintf(stderr, "ktcoord: %s\n", err->text);
	switch (err->fault) {
	case KT_FAULT_INPUT:
		return KT_REPORT_EXIT_INPUT;
	case KT_FAULT_BUG:
		return KT_REPORT_EXIT_BUG;
	default:
		return KT_REPORT_EXIT_INFRA;
	}
}

__attribute__((format(printf, 1, 2))) static int wrong_line(const char *format, ...)
{
	va_list args;

	fputs("ktcoord: ", stderr);
	va_start(args, format);
	vfprintf(stderr, format, args);
	va_end(args);
	fputs("; see ktcoord --help\n", stderr);
	return KT_REPORT_EXIT_INPUT;
}

/* ---- run and resume ---- */

static void find_bin_dir(char dir[PATH_MAX])
{
	ssize_t n = readlink("/proc/self/exe", dir, PATH_MAX - 1);
	char *slash;

	dir[n > 0 ? n : 0] = 0;
	slash = strrchr(dir, '/');
	if (slash)
		*slash = 0;
}

struct run { /* a sweep being worked on */
	const struct options *options;
	char state[PATH_MAX];
	char bin[PATH_MAX];
	int lock;
	FILE *screen; /* where the view goes: stdout, or stderr when stdout carries JSON */
	struct kt_view *view;
	struct kt_matrix *matrix;
	struct kt_artifacts *artifacts;
	struct kt_plugins *plugins;
	struct kt_journal *journal;
	struct kt_sweep sweep;
	struct kt_msg_manifest manifest;
	struct kt_arena arena;
	const char *runner;
	uint64_t bandwidth; /* bytes a second; 0: no limit */
	struct kt_spend spend; /* when there is a budget */
};

static void run_destroy(struct run *run)
{
	kt_view_destroy(&run->view);
	kt_journal_close(&run->journal);
	kt_plugins_destroy(&run->plugins);
	kt_artifacts_destroy(&run->artifacts);
	kt_matrix_destroy(&run->matrix);
	kt_sweep_destroy(&run->sweep);
	kt_arena_destroy(&run->arena);
	kt_spend_destroy(&run->spend);
	kt_own_close(&run->lock);
}

static void say_problem(void *arg, const char *line)
{
	fprintf(stderr, "%s\n", line);
}

static void say_progress(void *arg, const char *line)
{
	kt_view_wait(arg, kt_clock_now_ns(), line);
}

/* Who holds the lock is the only one who writes there. Without it the sweep runs all the same. */
static void open_log(const char *state)
{
	KT_AUTO_FREE char *path = kt_must_asprintf("%s/coordinator.log", state);
	int status = kt_log_file(path, LOG_BYTES_MAX);

	if (status < 0)
		fprintf(stderr, "ktcoord: no log: %s: %s\n", path, strerror(-status));
}

static int run_open(struct run *run, const struct options *options, const char *what,
		    struct kt_err *err)
{
	int status = kt_statedir_find(options->state, run->state, err);

	run->options = options;
	run->lock = -1;
	kt_sweep_init(&run->sweep);
	find_bin_dir(run->bin);
	kt_log_open("ktcoord", options->verbose);
	if (status == 0 && options->bandwidth) {
		status = kt_bucket_parse(options->bandwidth, &run->bandwidth, err);
		if (status < 0)
			kt_err_wrap(err, "--bandwidth");
	}
	if (status == 0)
		status = kt_statedir_lock(run->state, what, &run->lock, err);
	if (status == 0)
		open_log(run->state);
	if (status == 0)
		status = kt_artifacts_open(run->state, &run->artifacts, err);
	run->screen = options->json ? stderr : stdout;
	run->view = kt_view_new(run->screen,
				options->quiet ? KT_VIEW_QUIET : kt_view_mode_of(run->screen), NULL,
				NULL);
	return status;
}

/* The matrix, the manifest and the first fact: one transaction, so that there is no half sweep. */
static int open_journal(struct run *run, const struct kt_buf *text, struct kt_err *err)
{
	KT_AUTO_BUF manifest = { 0 };
	struct kt_msg_fact_opened opened = { .n_cells = kt_matrix_n_cells(run->matrix),
					     .attempts_max = run->matrix->sweep.attempts,
					     .version = KT_VERSION };
	char id[KT_NAME_BYTES_MAX];
	char path[PATH_MAX];
	int status;

	kt_statedir_new_sweep(run->state, run->matrix->sweep.name, id, sizeof(id), path);
	if (run->options->out)
		snprintf(path, sizeof(path), "%s", run->options->out);
	opened.sweep_id = id;
	kt_codec_encode(&kt_schema_manifest, &run->manifest, &manifest);
	if (manifest.len > KT_FRAME_BYTES_MAX) /* a resume could not read it back */
		return kt_err_set(err, KT_FAULT_INPUT, E2BIG,
				  "the matrix ships too many files: their list alone is %zu bytes; "
				  "split it",
				  manifest.len);
	if ((status = kt_journal_create(path, &run->journal, err)) < 0 ||
	    (status = kt_journal_set_meta(run->journal, "matrix", text->data, text->len, err)) <
		    0 ||
	    (status = kt_journal_set_meta(run->journal, "matrix_file", run->matrix->file,
					  strlen(run->matrix->file), err)) < 0 ||
	    (status = kt_journal_set_meta(run->journal, "manifest", manifest.data, manifest.len,
					  err)) < 0 ||
	    (status = kt_journal_set_meta(run->journal, "runner", run->runner, strlen(run->runner),
					  err)) < 0 ||
	    (status = kt_journal_add_fact(run->journal, kt_clock_wall_ns(), KT_TAG_fact_opened,
					  &opened, err)) < 0 ||
	    (status = kt_sweep_apply(&run->sweep, KT_TAG_fact_opened, &opened, err)) < 0)
		return status;
	if (run->options->budget)
		status = kt_spend_record(&run->spend, run->journal, &run->sweep, err);
	if (status == 0)
		status = kt_journal_commit(run->journal, err);
	if (status == 0)
		KT_LOG("sweep_opened", "sweep=%s cells=%" PRIu64 " file=%s", kt_log_quote(id),
		       opened.n_cells, kt_log_quote(path));
	return status;
}

/* Before anything is fetched: a budget that is too short is a mistake. */
static int choose_cells(struct run *run, struct kt_err *err)
{
	const struct options *options = run->options;
	struct kt_spend *spend = &run->spend;
	char wall[KT_DURATION_TEXT_BYTES];
	int status;

	if (!options->budget)
		return 0;
	status = kt_spend_choose(options->budget,
				 options->listen && !options->slots ? 1 : options->slots,
				 run->state, run->runner, run->matrix, spend, err);
	if (status == 0)
		kt_view_say(run->view,
			    "budget %s: %" PRIu64 " of %" PRIu64 " cells, about %s with %" PRIu64
			    " guest%s at a time; the time of %" PRIu64 " was measured",
			    options->budget, spend->budget.n_taken, spend->budget.n_cells,
			    kt_duration_format(kt_spend_wall_ns(spend), wall), spend->slots,
			    spend->slots == 1 ? "" : "s", spend->n_measured);
	return status;
}

/* Below the state folder by its id; anywhere else (--out, resume FILE) by its path. */
static const char *name_to_resume(const struct run *run)
{
	const char *path = kt_journal_path(run->journal);
	size_t len = strlen(run->state);

	return strncmp(path, run->state, len) == 0 && path[len] == '/' ? run->sweep.id : path;
}

/* For whoever finds the folder locked. */
static int note_sweep(const struct run *run, struct kt_err *err)
{
	KT_AUTO_FREE char *what = kt_must_asprintf("sweep %s", name_to_resume(run));

	return kt_statedir_note(run->lock, what, err);
}

static int run_sweep(struct run *run)
{
	const struct options *options = run->options;
	struct kt_server_config config = { .state_dir = run->state,
					   .bin_dir = run->bin,
					   .runner = run->runner,
					   .listen = options->listen,
					   .bulk_listen = options->bulk_listen,
					   .keys = options->keys,
					   .embedded = !options->listen,
					   .slots = options->slots,
					   .ttl_ns = TTL_NS,
					   .unschedulable_ns = options->unschedulable_ns,
					   .bandwidth = run->bandwidth };
	struct kt_err err = { 0 };
	int status;

	if (note_sweep(run, &err) < 0)
		return complain(&err);
	kt_view_attach(run->view, run->matrix, &run->sweep);
	if (run->sweep.closed && run->sweep.counts[KT_CELL_CANCELLED])
		kt_view_say(run->view,
			    "sweep %s is finished, %" PRIu64
			    " of its cells were cancelled: nothing is run again without "
			    "--cancelled",
			    run->sweep.id, run->sweep.counts[KT_CELL_CANCELLED]);
	else if (run->sweep.closed)
		kt_view_say(run->view, "sweep %s is finished: nothing is run again", run->sweep.id);
	else
		kt_view_say(run->view, "sweep %s: %" PRIu64 " cell%s", run->sweep.id,
			    kt_sweep_n_to_run(&run->sweep),
			    kt_sweep_n_to_run(&run->sweep) == 1 ? "" : "s");
	status = kt_server_run(&config, run->matrix, &run->manifest, run->artifacts, run->plugins,
			       run->journal, &run->sweep, run->view, &err);
	kt_view_destroy(&run->view);
	if (status < 0 && status != -EINTR) {
		fprintf(stderr, "ktcoord: %s\n", err.text);
		fprintf(stderr,
			"ktcoord: what is finished is kept; go on with: ktcoord resume %s\n",
			name_to_resume(run));
		return err.fault == KT_FAULT_BUG ? KT_REPORT_EXIT_BUG : KT_REPORT_EXIT_INFRA;
	}
	if (options->json)
		status = kt_report_json(run->journal, run->matrix, &run->sweep, stdout, &err) < 0
				 ? complain(&err)
				 : status;
	else
		kt_report_totals(run->matrix, &run->sweep, kt_journal_path(run->journal), stdout);
	if (status == -EINTR) {
		fprintf(stderr, "ktcoord: interrupted; go on with: ktcoord resume %s\n",
			name_to_resume(run));
		return KT_REPORT_EXIT_INTERRUPTED;
	}
	if (status > 0)
		return status;
	return kt_report_exit_of(&run->sweep, options->allow_inconclusive);
}

static const char *runner_of(const struct options *options)
{
	return options->runner ? options->runner : "qemu";
}

static int check_listen(const struct options *options, struct kt_err *err)
{
	char state[PATH_MAX];
	int status = 0;

	if (!options->listen && (options->keys || options->bulk_listen))
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "--%s is about workers elsewhere: --listen ENDPOINT is missing",
				  options->keys ? "keys" : "bulk-listen");
	if (!options->listen)
		return 0;
	if (kt_endpoint_check(options->listen, true, true, err) < 0)
		return kt_err_wrap(err, "--listen");
	if (options->bulk_listen &&
	    kt_endpoint_check(options->bulk_listen, true,
			      kt_trust_is_needed(options->listen, options->keys), err) < 0)
		return kt_err_wrap(err, "--bulk-listen");
	if (kt_trust_is_needed(options->listen, options->keys)) {
		status = kt_statedir_find(options->state, state, err);
		if (status == 0 && (status = kt_trust_check(state, err)) < 0)
			kt_err_wrap(err, "%s", options->listen);
	}
	return status;
}

static int start_run(struct run *run, const struct options *options, struct kt_err *err)
{
	KT_AUTO_BUF text = { 0 };
	struct kt_prepare prepare = { .state_dir = run->state, .bin_dir = run->bin };
	int status;

	run->runner = runner_of(options);
	if ((status = check_listen(options, err)) < 0)
		return status; /* before anything is opened */
	status = kt_matrixfile_load(options->words[0], &text, say_problem, NULL, &run->matrix, err);
	if (status < 0) {
		/* Every problem was said, this one among them. */
		if (err->fault == KT_FAULT_INPUT && status == -EINVAL)
			err->text[0] = 0;
		return status;
	}
	if (options->cold)
		kt_matrix_make_cold(run->matrix);
	if ((status = run_open(run, options, options->words[0], err)) < 0)
		return status;
	prepare.scripted = strcmp(run->runner, "scripted") == 0;
	prepare.progress = say_progress;
	prepare.arg = run->view;
	if ((status = choose_cells(run, err)) < 0 ||
	    (status = kt_plugins_prepare(run->matrix, run->artifacts, &run->arena, &run->manifest,
					 err)) < 0 ||
	    (status = kt_plugins_open(&run->manifest, run->artifacts, &run->plugins, err)) < 0 ||
	    (status = kt_prepare_manifest(&prepare, run->matrix, run->artifacts, &run->arena,
					  &run->manifest, err)) < 0)
		return status;
	run->manifest.guest = options->cold ? KT_JOB_GUEST_COLD : "";
	for (size_t i = 0; i < run->manifest.n_kernels && !prepare.scripted; i++)
		kt_view_say(run->view, "kernel %s: %s", run->manifest.kernels[i].name,
			    run->manifest.kernels[i].version);
	return open_journal(run, &text, err);
}

/* What the command line leaves open is the fleet's, if one is configured. */
static int add_fleet(const struct options *given, struct options *options,
		     struct kt_fleetfile *fleet, struct kt_err *err)
{
	char state[PATH_MAX];
	int status;

	*options = *given;
	if (given->here)
		return 0;
	status = kt_statedir_find(given->state, state, err);
	if (status == 0)
		status = kt_fleetfile_load(state, say_problem, NULL, fleet, err);
	if (status == -EINVAL)
		err->text[0] = 0; /* all was said */
	if (status < 0)
		return status;
	if (!options->listen)
		options->listen = fleet->listen;
	if (!options->bulk_listen && !given->listen)
		options->bulk_listen = fleet->bulk_listen;
	if (!given->listen)
		options->keys |= fleet->keys;
	if (!options->bandwidth)
		options->bandwidth = fleet->bandwidth;
	options->unschedulable_ns = fleet->unschedulable_ns;
	return 0;
}

static int command_run(const struct options *given)
{
	struct run run = { .lock = -1 };
	struct kt_fleetfile fleet = { 0 };
	struct options options;
	struct kt_err err = { 0 };
	int exit_status;

	if (strcmp(runner_of(given), "qemu") != 0 && strcmp(runner_of(given), "scripted") != 0)
		return wrong_line("--runner is qemu or scripted, not '%s'", given->runner);
	if (given->here && given->listen)
		return wrong_line("--here and --listen are two different things");
	if (add_fleet(given, &options, &fleet, &err) == 0 && start_run(&run, &options, &err) == 0) {
		exit_status = run_sweep(&run);
	} else {
		kt_view_destroy(&run.view);
		exit_status = err.text[0] ? complain(&err) : KT_REPORT_EXIT_INPUT;
	}
	run_destroy(&run);
	kt_fleetfile_fini(&fleet);
	return exit_status;
}

/* A stored sweep: its matrix as it was, and its state as the fold of its journal. */
static int open_stored(struct run *run, const char *given, bool read_only, struct kt_err *err)
{
	char path[PATH_MAX];
	struct kt_bin text = { 0 };
	struct kt_bin file = { 0 };
	struct kt_bin manifest = { 0 };
	struct kt_bin runner = { 0 };
	int status;

	if ((status = kt_statedir_find_sweep(run->state, given, path, err)) < 0 ||
	    (status = kt_journal_open(path, read_only, &run->journal, err)) < 0 ||
	    (status = kt_journal_fold(run->journal, &run->sweep, err)) < 0)
		return status;
	if (kt_journal_meta(run->journal, "matrix", &run->arena, &text, err) < 0 ||
	    kt_journal_meta(run->journal, "matrix_file", &run->arena, &file, err) < 0 ||
	    kt_journal_meta(run->journal, "manifest", &run->arena, &manifest, err) < 0 ||
	    kt_journal_meta(run->journal, "runner", &run->arena, &runner, err) < 0)
		return kt_err_set(err, KT_FAULT_INPUT, EBADMSG, "%s: its matrix is not in it",
				  path);
	run->runner = (const char *)runner.data;
	status = kt_matrixfile_parse((const char *)file.data, text.data, text.len, NULL, NULL,
				     &run->matrix, err);
	if (status < 0)
		return kt_err_wrap(err, "%s: the matrix in it", path);
	if (kt_matrix_n_cells(run->matrix) != run->sweep.n_cells)
		return kt_err_set(err, KT_FAULT_INPUT, EBADMSG,
				  "%s: its matrix and its journal speak of different cells", path);
	status = kt_codec_decode(&kt_schema_manifest, manifest.data, manifest.len, &run->arena,
				 &run->manifest, err);
	if (status == 0 && strcmp(run->manifest.guest, KT_JOB_GUEST_COLD) == 0)
		kt_matrix_make_cold(run->matrix);
	return status;
}

/* What was given up for want of a healthy host gets its tries once more; what was cancelled, when asked for. */
static int reopen_cells(struct run *run, struct kt_err *err)
{
	bool cancelled = run->options->cancelled;
	uint64_t n = run->sweep.counts[KT_CELL_ERRORED] +
		     (cancelled ? run->sweep.counts[KT_CELL_CANCELLED] : 0);
	int status = 0;

	for (uint64_t i = 0; i < run->sweep.n_cells && status == 0; i++) {
		struct kt_msg_fact_reopened reopened = { .cell = i };

		if (run->sweep.cells[i].state != KT_CELL_ERRORED &&
		    (run->sweep.cells[i].state != KT_CELL_CANCELLED || !cancelled))
			continue;
		status = kt_journal_add_fact(run->journal, kt_clock_wall_ns(), KT_TAG_fact_reopened,
					     &reopened, err);
		KT_LOG("reopened", "cell=%" PRIu64, i);
		if (status == 0)
			status = kt_sweep_apply(&run->sweep, KT_TAG_fact_reopened, &reopened, err);
	}
	if (n && status == 0)
		status = kt_journal_commit(run->journal, err);
	if (n && status == 0)
		kt_view_say(run->view, "%" PRIu64 " cell%s without a verdict: tried again", n,
			    n == 1 ? "" : "s");
	return status;
}

static int command_resume(const struct options *given)
{
	struct run run = { .lock = -1 };
	struct kt_fleetfile fleet = { 0 };
	struct options options;
	struct kt_err err = { 0 };
	int exit_status;
	int status;

	if (given->here && given->listen)
		return wrong_line("--here and --listen are two different things");
	status = add_fleet(given, &options, &fleet, &err);
	if (status == 0)
		status = check_listen(&options, &err);
	if (status == 0)
		status = run_open(&run, &options, "resume", &err);
	if (status == 0)
		status = open_stored(&run, options.words[0], false, &err);
	if (status == 0)
		status = kt_prepare_again(&run.manifest, run.artifacts, &err);
	if (status == 0)
		status = kt_plugins_open(&run.manifest, run.artifacts, &run.plugins, &err);
	if (status == 0)
		status = reopen_cells(&run, &err);
	if (status == 0) {
		exit_status = run_sweep(&run);
	} else {
		kt_view_destroy(&run.view);
		exit_status = err.text[0] ? complain(&err) : KT_REPORT_EXIT_INPUT;
	}
	run_destroy(&run);
	kt_fleetfile_fini(&fleet);
	return exit_status;
}

/* ---- readings ---- */

static int open_to_read(struct run *run, const struct options *options, struct kt_err *err)
{
	int status = kt_statedir_find(options->state, run->state, err);

	kt_sweep_init(&run->sweep);
	return status < 0 ? status : open_stored(run, options->words[0], true, err);
}

static int command_report(const struct options *options)
{
	struct run run = { .lock = -1 };
	struct kt_err err = { 0 };
	int status = open_to_read(&run, options, &err);
	int exit_status;

	if (status == 0)
		status =
			options->json
				? kt_report_json(run.journal, run.matrix, &run.sweep, stdout, &err)
				: kt_report_text(run.journal, run.matrix, &run.sweep, stdout, &err);
	exit_status = status < 0 ? complain(&err)
				 : (int)kt_report_exit_of(&run.sweep, options->allow_inconclusive);
	run_destroy(&run);
	return exit_status;
}

static int write_series(struct run *run, uint64_t cell, const char *path, struct kt_err *err)
{
	char name[KT_CELL_NAME_BYTES_MAX];
	KT_AUTO_STORED stored = { 0 };
	int status = kt_stored_load(run->journal, cell, run->sweep.cells[cell].epoch, &stored, err);

	if (status == 0)
		status = kt_stored_write(&stored, run->matrix, cell, path, err);
	if (status < 0)
		return kt_err_wrap(err, "%s", kt_matrix_cell_name(run->matrix, cell, name));
	printf("%s: %zu samples in %s\n", kt_matrix_cell_name(run->matrix, cell, name),
	       stored.series.n, path);
	return 0;
}

static int command_show(const struct options *options)
{
	struct run run = { .lock = -1 };
	struct kt_err err = { 0 };
	KT_AUTO(kt_matrix_destroy) struct kt_matrix *judged_by = NULL;
	struct kt_report_show how = { .json = options->json, .logs = options->logs };
	uint64_t cell = 0;
	int status = open_to_read(&run, options, &err);

	if (status == 0)
		status = kt_cellfind(run.matrix, options->n_words > 1 ? options->words[1] : NULL,
				     UINT64_MAX, &cell, &err);
	if (status == 0 && run.sweep.cells[cell].judgement)
		status = kt_rejudge_matrix(run.journal, run.sweep.cells[cell].judgement, &judged_by,
					   &err);
	how.judged_by = judged_by;
	if (status == 0 && options->series)
		status = write_series(&run, cell, options->series, &err);
	else if (status == 0)
		status = kt_report_show(run.journal, run.matrix, &run.sweep, cell, &how, stdout,
					&err);
	run_destroy(&run);
	return status < 0 ? complain(&err) : 0;
}

static int command_judge(const struct options *options)
{
	KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = NULL;
	KT_AUTO_BUF text = { 0 };
	struct run run = { .lock = -1 };
	struct kt_rejudge ask = { .journal = NULL, .json = options->json };
	struct kt_msg_manifest manifest = { .guest = "" }; /* its plug-ins */
	struct kt_err err = { 0 };
	int status = 0;
	int exit_status;

	if (options->n_words > 1)
		status = kt_matrixfile_load(options->words[1], &text, say_problem, NULL, &matrix,
					    &err);
	if (status == -EINVAL && err.fault == KT_FAULT_INPUT)
		return KT_REPORT_EXIT_INPUT; /* all was said */
	kt_sweep_init(&run.sweep);
	if (status == 0)
		status = kt_statedir_find(options->state, run.state, &err);
	if (status == 0)
		status = open_stored(&run, options->words[0], false, &err);
	if (status == 0)
		status = kt_artifacts_open(run.state, &run.artifacts, &err);
	/* The sweep's own plug-ins as they were; those of another matrix as they are. */
	if (status == 0 && matrix)
		status = kt_plugins_prepare(matrix, run.artifacts, &run.arena, &manifest, &err);
	if (status == 0)
		status = kt_plugins_open(matrix ? &manifest : &run.manifest, run.artifacts,
					 &run.plugins, &err);
	if (status == 0) {
		ask.journal = run.journal;
		ask.plugins = run.plugins;
		ask.manifest = &manifest;
		ask.sweep = &run.sweep;
		ask.own = run.matrix;
		ask.matrix = matrix ? matrix : run.matrix;
		ask.text = matrix ? &text : NULL;
		status = kt_rejudge_run(&ask, stdout, &err);
	}
	if (status == 0 && !options->json)
		kt_report_totals(run.matrix, &run.sweep, kt_journal_path(run.journal), stdout);
	exit_status = status < 0 ? complain(&err)
				 : (int)kt_report_exit_of(&run.sweep, options->allow_inconclusive);
	run_destroy(&run);
	return exit_status;
}

/* ---- the running coordinator ---- */

static struct json_object *put_nothing(void)
{
	struct json_object *answer = json_object_new_object();

	json_object_object_add(answer, "running", json_object_new_boolean(false));
	json_object_object_add(answer, "workers", json_object_new_array());
	return answer;
}

static void print_answer(struct json_object *answer, bool json,
			 void (*print)(struct json_object *answer, FILE *out))
{
	if (json)
		puts(json_object_to_json_string_ext(
			answer, JSON_C_TO_STRING_PRETTY | JSON_C_TO_STRING_SPACED |
					JSON_C_TO_STRING_NOSLASHESCAPE));
	else
		print(answer, stdout);
	json_object_put(answer);
}

static void say_waiting(void *arg, struct json_object *answer)
{
	kt_control_print_waiting(answer, stderr);
}

static int ask_coordinator(const struct options *options, const struct kt_present_ask *ask,
			   char state[PATH_MAX], struct json_object **answer, struct kt_err *err)
{
	int status = kt_statedir_find(options->state, state, err);

	return status < 0 ? status : kt_control_ask(state, ask, say_waiting, NULL, answer, err);
}

static int command_workers(const struct options *options)
{
	static const struct kt_present_ask ask = { .kind = KT_PRESENT_WORKERS };
	struct json_object *answer = NULL;
	struct kt_err err = { 0 };
	char state[PATH_MAX];
	int status = ask_coordinator(options, &ask, state, &answer, &err);

	if (status == -ENOENT && options->json)
		print_answer(put_nothing(), true, NULL);
	if (status < 0)
		return complain(&err);
	print_answer(answer, options->json, kt_control_print_workers);
	return 0;
}

/* Nobody runs a sweep: the last one tells, out of its journal. */
static int stored_status(const struct options *options, struct kt_err *err)
{
	struct run run = { .lock = -1 };
	int status = kt_statedir_find(options->state, run.state, err);

	kt_sweep_init(&run.sweep);
	if (status == 0)
		status = open_stored(&run, "last", true, err);
	if (status == 0) {
		struct kt_muster muster = { .sweep = &run.sweep,
					    .matrix = run.matrix,
					    .file = kt_journal_path(run.journal) };

		print_answer(kt_muster_status(&muster), options->json, kt_control_print_status);
	}
	run_destroy(&run);
	return status;
}

static int command_status(const struct options *options)
{
	static const struct kt_present_ask ask = { .kind = KT_PRESENT_STATUS };
	struct json_object *answer = NULL;
	struct kt_err err = { 0 };
	char state[PATH_MAX];
	int status = ask_coordinator(options, &ask, state, &answer, &err);

	if (status == 0)
		print_answer(answer, options->json, kt_control_print_status);
	if (status == -ENOENT) {
		fprintf(stderr, "ktcoord: %s\n", err.text);
		status = stored_status(options, &err);
	}
	return status < 0 ? complain(&err) : 0;
}

static int command_drain(const struct options *options)
{
	struct kt_present_ask ask = { .kind = KT_PRESENT_DRAIN, .undo = options->undo };
	struct json_object *answer = NULL;
	struct kt_err err = { 0 };
	char state[PATH_MAX];
	int status;

	if (strlen(options->words[0]) >= sizeof(ask.host))
		return wrong_line("'%s' is no host's name", options->words[0]);
	snprintf(ask.host, sizeof(ask.host), "%s", options->words[0]);
	status = ask_coordinator(options, &ask, state, &answer, &err);
	if (status < 0)
		return complain(&err);
	print_answer(answer, options->json, kt_control_print_drain);
	return 0;
}

/* 3 when a guest may still live: its host does not answer. */
static int command_cancel(const struct options *options)
{
	struct kt_present_ask ask = { .kind = KT_PRESENT_CANCEL };
	const char *what = options->n_words ? options->words[0] : "";
	struct json_object *answer = NULL;
	struct kt_err err = { 0 };
	char state[PATH_MAX];
	bool all_dead;
	int status;

	if (strlen(what) >= sizeof(ask.what))
		return wrong_line("'%s' is no cell's name", what);
	snprintf(ask.what, sizeof(ask.what), "%s", what);
	status = ask_coordinator(options, &ask, state, &answer, &err);
	if (status < 0)
		return complain(&err);
	all_dead = json_object_array_length(json_object_object_get(answer, "guests_alive")) == 0;
	print_answer(answer, options->json, kt_control_print_cancel);
	return all_dead ? 0 : KT_REPORT_EXIT_INFRA;
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static int command_sweeps(const struct options *options)
{
	struct kt_err err = { 0 };
	char state[PATH_MAX];
	char folder[PATH_MAX + 8];
	char **names = NULL;
	const char *comma = "";
	size_t n = 0;
	struct dirent *entry;
	DIR *dir;

	if (kt_statedir_find(options->state, state, &err) < 0)
		return complain(&err);
	snprintf(folder, sizeof(folder), "%s/sweeps", state);
	dir = opendir(folder);
	while (dir && (entry = readdir(dir))) {
		size_t len = strlen(entry->d_name);

		if (len < 7 || strcmp(entry->d_name + len - 6, ".sweep") != 0)
			continue;
		names = kt_must_realloc(names, n + 1, sizeof(*names));
		names[n++] = kt_must_strdup(entry->d_name);
	}
	if (dir)
		closedir(dir);
	if (n)
		qsort(names, n, sizeof(*names), compare_names);
	fputs(options->json ? "[" : "", stdout);
	for (size_t i = 0; i < n; i++) {
		KT_AUTO(kt_journal_close) struct kt_journal *journal = NULL;
		KT_AUTO_FREE char *path = kt_must_asprintf("%s/%s", folder, names[i]);
		struct kt_sweep sweep;

		kt_sweep_init(&sweep);
		names[i][strlen(names[i]) - 6] = 0;
		/* One damaged file does not hide the others. */
		if (kt_journal_open(path, true, &journal, &err) < 0 ||
		    kt_journal_fold(journal, &sweep, &err) < 0)
			fprintf(stderr, "ktcoord: %s\n", err.text);
		else if (options->json) {
			printf("%s\n  {\"sweep\": \"%s\", \"cells\": %" PRIu64
			       ", \"pass\": %" PRIu64 ", \"fail\": %" PRIu64
			       ", \"inconclusive\": %" PRIu64 ", \"skip\": %" PRIu64
			       ", \"error\": %" PRIu64 ", \"cancelled\": %" PRIu64
			       ", \"closed\": %s}",
			       comma, names[i], sweep.n_cells, sweep.outcomes[KT_OUTCOME_PASS],
			       sweep.outcomes[KT_OUTCOME_FAIL],
			       sweep.outcomes[KT_OUTCOME_INCONCLUSIVE],
			       sweep.outcomes[KT_OUTCOME_SKIP], sweep.counts[KT_CELL_ERRORED],
			       sweep.counts[KT_CELL_CANCELLED], sweep.closed ? "true" : "false");
			comma = ",";
		} else {
			printf("%-44s %6" PRIu64 " cells  %" PRIu64 " pass  %" PRIu64
			       " fail  %" PRIu64 " inconclusive  %" PRIu64 " error",
			       names[i], sweep.n_cells, sweep.outcomes[KT_OUTCOME_PASS],
			       sweep.outcomes[KT_OUTCOME_FAIL],
			       sweep.outcomes[KT_OUTCOME_INCONCLUSIVE],
			       sweep.counts[KT_CELL_ERRORED]);
			if (sweep.counts[KT_CELL_CANCELLED])
				printf("  %" PRIu64 " cancelled", sweep.counts[KT_CELL_CANCELLED]);
			puts(sweep.closed ? "" : "  (not finished: ktcoord resume)");
		}
		kt_sweep_destroy(&sweep);
		free(names[i]);
	}
	fputs(options->json ? "\n]\n" : "", stdout);
	free(names);
	return 0;
}

static int command_plan(const struct options *options)
{
	KT_AUTO(kt_matrix_destroy) struct kt_matrix *matrix = NULL;
	struct kt_plan_options plan = { .json = options->json,
					.all = options->all,
					.steps = options->steps,
					.asserts = options->asserts,
					.slots = options->slots };
	struct kt_spend spend = { 0 };
	char state[PATH_MAX];
	struct kt_prepare prepare = { 0 };
	struct kt_err err = { 0 };
	char bin[PATH_MAX];
	int status = kt_matrixfile_load(options->words[0], NULL, say_problem, NULL, &matrix, &err);

	if (status == -EINVAL && err.fault == KT_FAULT_INPUT)
		return KT_REPORT_EXIT_INPUT; /* all was said */
	find_bin_dir(bin);
	prepare.bin_dir = bin;
	if (status == 0 && options->cold)
		kt_matrix_make_cold(matrix);
	if (status == 0)
		status = kt_plugins_check(matrix, &err);
	if (status == 0 && options->budget) {
		status = kt_statedir_find(options->state, state, &err);
		if (status == 0)
			status = kt_spend_choose(options->budget, options->slots, state,
						 runner_of(options), matrix, &spend, &err);
		plan.spend = &spend;
	}
	if (status == 0)
		status = kt_prepare_check(&prepare, matrix, &err);
	if (status == 0)
		status = kt_plan_print(matrix, &plan, stdout, &err);
	kt_spend_destroy(&spend);
	return status < 0 ? complain(&err) : 0;
}

/* `ktcoord patterns`, `work`, `scenarios`: all there is, or the one of that name. */
static int list(const struct options *options,
		int (*print)(const char *name, bool json, FILE *out, struct kt_err *err))
{
	struct kt_err err = { 0 };
	int status =
		print(options->n_words ? options->words[0] : NULL, options->json, stdout, &err);

	return status < 0 ? complain(&err) : 0;
}

static int command_patterns(const struct options *options)
{
	return list(options, kt_patterns_print);
}

static int command_work(const struct options *options)
{
	return list(options, kt_worktypes_print);
}

static int command_scenarios(const struct options *options)
{
	return list(options, kt_catalogue_print);
}

/* With --json, a change is told by what `keys list` tells after it. */
static int command_keys(const struct options *options)
{
	const char *verb = options->words[0];
	KT_AUTO_FREE char *unread = NULL;
	size_t unread_bytes = 0;
	struct kt_err err = { 0 };
	char state[PATH_MAX];
	FILE *words = stdout;
	int status = kt_statedir_find(options->state, state, &err);

	if (status < 0)
		return complain(&err);
	if (options->role && strcmp(verb, "allow") != 0)
		return wrong_line("--role is for `keys allow`");
	if (options->json && strcmp(verb, "new") == 0 && options->n_words == 2)
		return wrong_line("--json is not for `keys new FILE`: FILE has the public key");
	if (options->json && !(words = open_memstream(&unread, &unread_bytes)))
		abort();
	if (strcmp(verb, "new") == 0 && options->n_words <= 2)
		status = kt_keys_command_new(state, options->words[1], words, &err);
	else if (strcmp(verb, "allow") == 0 && options->n_words == 3)
		status = kt_keys_command_allow(state, options->words[1], options->words[2],
					       options->role, words, &err);
	else if (strcmp(verb, "revoke") == 0 && options->n_words == 2)
		status = kt_keys_command_revoke(state, options->words[1], words, &err);
	else if (strcmp(verb, "list") == 0 && options->n_words == 1)
		status = options->json ? 0 : kt_keys_command_list(state, false, words, &err);
	else
		status = -ENOTSUP;
	if (words != stdout)
		fclose(words);
	if (status == -ENOTSUP && !err.code)
		return wrong_line("keys takes new [FILE], allow NAME KEY, revoke NAME or list");
	if (status == 0 && options->json)
		status = kt_keys_command_list(state, true, stdout, &err);
	return status < 0 ? complain(&err) : 0;
}

static int command_kernels(const struct options *options)
{
	struct kt_kernels_source source = { .suite = options->suite ? options->suite : "sid",
					    .package = options->package,
					    .refresh = options->refresh };
	const char *verb = options->words[0];
	struct kt_view *view = NULL;
	struct kt_err err = { 0 };
	char state[PATH_MAX];
	int status = kt_statedir_find(options->state, state, &err);

	if (status < 0)
		return complain(&err);
	if (strcmp(verb, "list") == 0 && options->n_words == 1) {
		status = kt_kernels_command_list(state, options->json, stdout, &err);
	} else if (strcmp(verb, "get") == 0 && options->n_words == 1) {
		view = kt_view_new(stderr, kt_view_mode_of(stderr), NULL, NULL);
		status = kt_kernels_command_get(state, &source, options->json, say_progress, view,
						stdout, &err);
		kt_view_destroy(&view);
	} else if (strcmp(verb, "add") == 0 && options->n_words == 3) {
		status = kt_kernels_command_add(state, options->words[1], options->words[2],
						options->json, stdout, &err);
	} else if (strcmp(verb, "remove") == 0 && options->n_words == 2) {
		status = kt_kernels_command_remove(state, options->words[1], options->json, stdout,
						   &err);
	} else {
		return wrong_line("kernels takes get, list, add NAME FILE or remove NAME");
	}
	return status < 0 ? complain(&err) : 0;
}

/* ---- shell ---- */

static int check_shell(const struct options *options)
{
	if (options->cell && (options->kernel || options->scheduler || options->topology))
		return wrong_line("--cell says kernel, scheduler and topology already");
	if (!options->cell && options->n_words)
		return wrong_line("'%s' is one word too many, or --cell SWEEP is missing",
				  options->words[0]);
	return 0;
}

/* The job of a stored cell, whose sweep must not be run for it to be read. */
static int stored_job(struct run *run, const struct options *options, struct kt_msg_job *job,
		      struct kt_err *err)
{
	uint64_t cell = 0;
	int status;

	kt_sweep_init(&run->sweep);
	status = open_stored(run, options->cell, true, err);
	if (status == 0)
		status = kt_cellfind(run->matrix, options->n_words ? options->words[0] : NULL,
				     UINT64_MAX, &cell, err);
	if (status < 0)
		return status;
	kt_prepare_job(run->matrix, &run->manifest, cell, &run->arena, job);
	kt_journal_close(&run->journal); /* the shell may stay open for days */
	return kt_prompt_again(job, run->artifacts, err);
}

static int open_shell(struct run *run, const struct options *options, struct kt_err *err)
{
	struct kt_prompt prompt = { .state_dir = run->state,
				    .bin_dir = run->bin,
				    .memory = options->memory,
				    .exec = options->exec,
				    .with = options->with,
				    .n_with = options->n_with,
				    .cold = options->cold,
				    .verbose = options->verbose,
				    .progress = say_progress };
	const struct kt_prompt_guest guest = { options->kernel, options->scheduler,
					       options->topology };
	struct kt_msg_job job;
	int status = kt_statedir_find(options->state, run->state, err);

	if (status == 0)
		status = kt_artifacts_open(run->state, &run->artifacts, err);
	if (status < 0)
		return status;
	find_bin_dir(run->bin);
	/* What goes on is for people; standard error is the command's otherwise. */
	run->view = prompt.arg =
		kt_view_new(stderr, isatty(STDERR_FILENO) ? kt_view_mode_of(stderr) : KT_VIEW_QUIET,
			    NULL, NULL);
	status = options->cell
			 ? stored_job(run, options, &job, err)
			 : kt_prompt_job(&prompt, &guest, run->artifacts, &run->arena, &job, err);
	kt_view_destroy(&run->view);
	return status < 0 ? status : kt_prompt_run(&prompt, &job, run->artifacts, &run->arena, err);
}

static int command_shell(const struct options *options)
{
	struct run run = { .lock = -1 };
	struct kt_err err = { 0 };
	int status = check_shell(options);

	if (status)
		return status;
	status = open_shell(&run, options, &err);
	run_destroy(&run);
	return status < 0 ? complain(&err) : status;
}

/* ---- parsing ---- */

static const struct command *find_command(const char *name)
{
	for (size_t i = 0; i < N_COMMANDS; i++)
		if (strcmp(commands[i].name, name) == 0)
			return &commands[i];
	return NULL;
}

static int set_option(struct options *options, size_t i, const char *value)
{
	char *at = (char *)options + option_table[i].offset;
	char *end = NULL;

	switch (option_table[i].kind) {
	case FLAG:
		*(bool *)(void *)at = true;
		return 0;
	case TEXT:
		*(const char **)(void *)at = value;
		return 0;
	case WITH:
		if (options->n_with == KT_PROMPT_WITH_MAX)
			return wrong_line("--with: at most %d programs", KT_PROMPT_WITH_MAX);
		options->with[options->n_with++] = value;
		return 0;
	case NUMBER:
		errno = 0;
		*(uint64_t *)(void *)at = strtoull(value, &end, 10);
		if (errno || end == value || *end || !*(uint64_t *)(void *)at || *value == '-' ||
		    *(uint64_t *)(void *)at > KT_SLOTS_MAX)
			return wrong_line("--%s takes a number from 1 to %d, not '%s'",
					  option_table[i].name, KT_SLOTS_MAX, value);
		return 0;
	}
	return 0;
}

static int unknown_option(const char *given)
{
	const char *names[N_OPTIONS];
	const char *meant = NULL;

	for (size_t i = 0; i < N_OPTIONS; i++)
		names[i] = option_table[i].name;
	if (strncmp(given, "--", 2) == 0)
		meant = kt_suggest(given + 2, names, N_OPTIONS);
	return wrong_line("no option '%s'%s%s%s", given, meant ? " (did you mean '--" : "",
			  meant ? meant : "", meant ? "'?)" : "");
}

static int parse(int argc, char **argv, const struct command *command, struct options *options)
{
	struct option longs[N_OPTIONS + 1] = { 0 };
	int status = 0;
	int index = 0;
	int c;

	for (size_t i = 0; i < N_OPTIONS; i++)
		longs[i] = (struct option){
			.name = option_table[i].name,
			.has_arg = option_table[i].kind == FLAG ? no_argument : required_argument,
			.val = 256 + (int)i,
		};
	opterr = 0;
	optind = 0;
	while (status == 0 && (c = getopt_long(argc, argv, ":", longs, &index)) != -1) {
		if (c == ':')
			return wrong_line("option '%s' lacks its value", argv[optind - 1]);
		if (c < 256)
			return unknown_option(argv[optind - 1]);
		if (!is_of(option_table[c - 256].commands, command->name))
			return wrong_line("`%s` has no option --%s", command->name,
					  option_table[c - 256].name);
		status = set_option(options, (size_t)(c - 256), optarg);
	}
	for (; status == 0 && optind < argc; optind++) {
		if (options->n_words == command->words_max)
			return wrong_line("'%s' is one word too many: ktcoord %s %s", argv[optind],
					  command->name, command->usage);
		options->words[options->n_words++] = argv[optind];
	}
	if (status == 0 && options->n_words < command->words_min)
		return wrong_line("something is missing: ktcoord %s %s", command->name,
				  command->usage);
	return status;
}

static bool looks_like_a_file(const char *word)
{
	size_t len = strlen(word);

	return strchr(word, '/') || (len > 5 && strcmp(word + len - 5, ".toml") == 0) ||
	       access(word, F_OK) == 0;
}

int kt_cli_main(int argc, char **argv)
{
	struct options options = { 0 };
	const struct command *command = NULL;
	const char *first = argc > 1 ? argv[1] : NULL;
	int status;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--help") == 0 || strcmp(argv[i], "-h") == 0) {
			command = find_command(first);
			if (command)
				print_command_help(command, stdout);
			else
				print_help(stdout);
			return 0;
		}
		if (strcmp(argv[i], "--version") == 0) {
			printf("ktcoord " KT_VERSION "\n");
			return 0;
		}
	}
	if (!first) {
		print_help(stderr);
		return KT_REPORT_EXIT_INPUT;
	}
	if (first[0] != '-')
		command = find_command(first);
	if (!command && (first[0] == '-' || looks_like_a_file(first))) {
		status = parse(argc, argv, &commands[0], &options);
		return status ? status : commands[0].run(&options);
	}
	if (!command) {
		const char *names[N_COMMANDS];
		const char *meant;

		for (size_t i = 0; i < N_COMMANDS; i++)
			names[i] = commands[i].name;
		meant = kt_suggest(first, names, N_COMMANDS);
		return wrong_line("no command and no file '%s'%s%s%s", first,
				  meant ? " (did you mean '" : "", meant ? meant : "",
				  meant ? "'?)" : "");
	}
	status = parse(argc - 1, argv + 1, command, &options);
	return status ? status : command->run(&options);
}
