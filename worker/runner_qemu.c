/* runner_qemu.c - runs attempts in guests of their own, one process each (guestproc.h).
 *
 *	start ---- cold ------------------------------------------------> process boots --+
 *	      \--- warm -- a spare stands by? --------------------------> it gets the job -+--> run_ended
 *	              \--- template in stock, or made? -> process restores ----------------+
 *	                        |  no, or two restores failed
 *	                        +---- process boots, and the result says why
 *
 * While runs go on, spares are restored from the template that was asked for last, one per slot in use, as far
 * as memory allows (core/room.h), so that the next cell finds its guest. They stand still and cost no CPU.
 *
 * This process never touches a guest. The attempt processes and their QEMUs die with it (PDEATHSIG).
 */
#include "worker/runner.h"
#include "proto/base/clock.h"
#include "proto/base/limits.h"
#include "proto/base/log.h"
#include "proto/base/must.h"
#include "proto/cause.h"
#include "worker/cage.h"
#include "proto/patience.h"
#include "worker/core/room.h"
#include "worker/guestproc.h"
#include "worker/host.h"
#include "worker/initramfs.h"
#include "worker/stock.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <utlist.h>

#define CANCEL_MS_MAX     5000 /* from run_cancel to SIGKILL */
#define EXIT_MS_MAX       5000 /* from run_ended to SIGKILL */
#define DESTROY_MS_MAX    3000 /* from SIGTERM to SIGKILL, when the agent leaves */
#define RESTORES_MAX      2 /* of one run, then it is booted */
#define SPARE_IDLE_NS     (30 * KT_NS_PER_S) /* without a run; then spares are let go */
#define BELIEVED_IN_A_ROW 2 /* runs that want the same guest */
#define SPARE_LOOK_MS     5000
#define TEMPLATES_SHARE   4 /* templates may take so much of the guests' memory: a quarter */

/* Files that a template depends on are hashed again when they change. */
struct binary {
	const char *path;
	int (*hash)(const char *path, struct kt_digest *digest, struct kt_err *err);
	bool known;
	struct stat stat;
	struct kt_digest digest;
};

/* A restored guest that stands by for a job. */
struct spare {
	struct spare *prev, *next;
	struct kt_runner *runner;
	struct kt_guestproc *proc;
	struct kt_template *template;
	bool is_up;
};

struct kt_runner {
	uv_loop_t *loop;
	struct kt_runner_config config; /* its texts are the agent's */
	struct kt_guestprocs procs;
	struct kt_stock *stock;
	struct binary qemu, ktguest;
	struct kt_buf identity; /* of the host */
	char qemu_version[KT_NAME_BYTES_MAX + 1];
	unsigned int qemu_major;
	struct kt_run *runs;
	struct spare *spares;
	/* What spares are restored for: the last warm run's. */
	struct kt_digest next_key;
	struct kt_template *last_template; /* held, so that it stays in memory between two runs */
	unsigned int next_in_a_row;
	struct kt_arena next_arena;
	struct kt_msg_run_guest *next_guest;
	uint64_t next_renew;
	int64_t busy_ns; /* when a run was last under way */
	char no_warm[KT_TEXT_BYTES_MAX /
		     4]; /* why this host has no restored guests; empty when it has */
	uv_timer_t timer;
	bool destroyed, timer_closed; /* freed with its last run */
};

struct kt_run {
	struct kt_run *prev, *next;
	struct kt_runner *runner;
	struct kt_run_events events;
	void *arg;
	uv_timer_t begin; /* callbacks come from the loop, never from start() */
	struct kt_arena arena; /* of guest and start */
	struct kt_msg_run_guest *guest;
	struct kt_msg_run_start *start;
	struct kt_digest key, place;
	bool cold;
	struct kt_stock_want *want;
	struct kt_template *template; /* held while it runs from it */
	struct kt_guestproc *proc;
	bool has_begun; /* we heard of more than a guest that boots: it cannot be tried again */
	unsigned int restores; /* that failed */
	char broke[KT_TEXT_BYTES_MAX / 4]; /* the last of them */
	bool blameless; /* the template is, for it */
	char note[KT_TEXT_BYTES_MAX / 2];
	struct kt_arena result_arena;
	const struct kt_msg_result *result;
	char cancel_reason[KT_TEXT_BYTES_MAX / 4];
	bool cancelled;
	int64_t began_ns;
};

/* ---- what a template depends on ---- */

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_ino == b->st_ino && a->st_dev == b->st_dev && a->st_size == b->st_size &&
	       a->st_mtim.tv_sec == b->st_mtim.tv_sec && a->st_mtim.tv_nsec == b->st_mtim.tv_nsec &&
	       a->st_ctim.tv_sec == b->st_ctim.tv_sec && a->st_ctim.tv_nsec == b->st_ctim.tv_nsec;
}

static int hash_file(const char *path, struct kt_digest *digest, struct kt_err *err)
{
	return kt_digest_of_file(path, digest, NULL, err);
}

/* Looks whether the file changed; hashes it then, some 80 ms for QEMU. *changed may be NULL. */
static int look_at(struct binary *binary, bool *changed, struct kt_err *err)
{
	struct stat now;
	int rc;

	if (stat(binary->path, &now) < 0)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "looking at %s", binary->path);
	if (binary->known && same_file(&binary->stat, &now))
		return 0;
	rc = binary->hash(binary->path, &binary->digest, err);
	binary->known = rc == 0;
	binary->stat = now;
	if (changed)
		*changed = true;
	return rc;
}

static int look_at_binaries(struct kt_runner *runner, struct kt_err *err)
{
	bool changed = false;
	int rc = look_at(&runner->qemu, &changed, err);

	if (rc == 0 && changed)
		rc = kt_qemu_version(runner->qemu.path, &runner->qemu_major, runner->qemu_version,
				     sizeof(runner->qemu_version), err);
	if (rc < 0)
		runner->qemu.known = false;
	return rc < 0 ? rc : look_at(&runner->ktguest, NULL, err);
}

/* ---- the end of a run ---- */

static void refill(struct kt_runner *runner);

static void free_runner(struct kt_runner *runner)
{
	if (runner->destroyed && runner->timer_closed && !runner->runs) {
		kt_buf_destroy(&runner->identity);
		free(runner);
	}
}

static void on_begin_closed(uv_handle_t *handle)
{
	struct kt_run *run = handle->data;
	struct kt_runner *runner = run->runner;

	DL_DELETE(runner->runs, run);
	kt_arena_destroy(&run->arena);
	kt_arena_destroy(&run->result_arena);
	free(run);
	free_runner(runner);
}

static void let_go(struct kt_run *run)
{
	kt_stock_drop(&run->want);
	if (run->runner->stock)
		kt_stock_release(run->runner->stock, &run->template);
	run->template = NULL;
	uv_close((uv_handle_t *)&run->begin, on_begin_closed);
}

static void tell_end(struct kt_run *run, const struct kt_msg_result *result)
{
	run->events.ended(run->arg, result);
	let_go(run);
}

/* The attempt process did not say how it ended. */
static void tell_for_it(struct kt_run *run, const char *how)
{
	struct kt_msg_machine machine = { .runner = "qemu",
					  .accel = run->runner->config.accel,
					  .guest = run->template ? "warm" : "cold",
					  .cpu_model = run->runner->config.cpu_model };
	struct kt_msg_result result = {
		.cause = kt_cause(run->cancelled ? KT_CAUSE_ID_cancelled
						 : KT_CAUSE_ID_runner_crashed)
				 ->name,
		.line = run->cancelled ? run->cancel_reason : how,
		.note = run->note,
		.wall_ns = kt_clock_now_ns() - run->began_ns,
		.machine = &machine,
	};

	tell_end(run, &result);
}

/* ---- a run and its process ---- */

static void begin(struct kt_run *run);

/* A kernel that went, a disk or memory that is full: the next template would break as well. */
static bool is_templates_fault(const struct kt_msg_run_broke *broke)
{
	const struct kt_cause *cause = kt_cause_by_name(broke->cause);

	return !broke->always && !(cause && (cause->id == KT_CAUSE_ID_kernel_unusable ||
					     cause->id == KT_CAUSE_ID_disk_full ||
					     cause->id == KT_CAUSE_ID_no_memory));
}

static void note_broke(struct kt_runner *runner, const struct kt_msg_run_broke *broke)
{
	if (!broke->always || runner->no_warm[0])
		return;
	snprintf(runner->no_warm, sizeof(runner->no_warm), "%s", broke->line);
	KT_LOG("no_warm_guests", "why=%s", kt_log_quote(runner->no_warm));
}

static void run_frame(void *arg, struct kt_arena *arena, const struct kt_message *message,
		      void *frame)
{
	struct kt_run *run = arg;
	const struct kt_msg_run_phase *phase = frame;
	const struct kt_msg_run_sample *sample = frame;
	const struct kt_msg_run_log *piece = frame;
	const struct kt_msg_run_ended *ended = frame;
	const struct kt_msg_run_broke *broke = frame;

	switch (message->tag) {
	case KT_TAG_run_phase:
		run->has_begun = run->has_begun || strcmp(phase->phase, "boot") != 0;
		run->events.phase(run->arg, phase);
		break;
	case KT_TAG_run_sample:
		run->has_begun = true;
		run->events.sample(run->arg, sample->body.data, sample->body.len);
		break;
	case KT_TAG_run_log:
		run->events.log(run->arg, piece->stream, piece->body.data, piece->body.len);
		break;
	case KT_TAG_run_up:
		if (run->template)
			kt_stock_worked(run->runner->stock, run->template);
		break;
	case KT_TAG_run_broke:
		snprintf(run->broke, sizeof(run->broke), "%s", broke->line);
		run->blameless = !is_templates_fault(broke);
		note_broke(run->runner, broke);
		kt_guestproc_kill_in(run->proc, EXIT_MS_MAX);
		break;
	case KT_TAG_run_ended:
		if (run->result)
			break;
		run->result = ended->result;
		run->result_arena = *arena; /* lives on */
		*arena = (struct kt_arena){ 0 };
		kt_guestproc_kill_in(run->proc, EXIT_MS_MAX);
		break;
	case KT_TAG_run_printed:
	case KT_TAG_run_took:
	case KT_TAG_run_told:
	case KT_TAG_run_shell_ended:
		if (run->events.shell)
			run->events.shell(run->arg, message->tag, frame);
		break;
	default:
		break; /* our own direction: nothing to us */
	}
}

/* Nothing of the job has run: another guest, and one that is booted when this happens again. */
static void try_again(struct kt_run *run, const char *how)
{
	if (!run->broke[0])
		snprintf(run->broke, sizeof(run->broke), "the process that restored it %s", how);
	if (!run->blameless)
		kt_stock_failed(run->runner->stock, run->template, run->broke);
	kt_stock_release(run->runner->stock, &run->template);
	run->restores++;
	begin(run);
}

static void run_over(void *arg, const struct kt_guestproc_end *end)
{
	struct kt_run *run = arg;
	KT_AUTO_FREE char *how = kt_must_asprintf("the process that ran the attempt %s", end->text);

	run->proc = NULL;
	if (run->result)
		tell_end(run, run->result);
	else if (run->template && !run->has_begun && !run->cancelled)
		try_again(run, end->text);
	else
		tell_for_it(run, how);
	refill(run->runner);
}

static const struct kt_guestproc_events run_events = { run_frame, run_over };

static void fail_to_start(struct kt_run *run, const struct kt_err *err)
{
	struct kt_msg_machine machine = { .runner = "qemu",
					  .accel = run->runner->config.accel,
					  .guest = run->cold ? "cold" : "warm",
					  .cpu_model = run->runner->config.cpu_model };
	struct kt_msg_result result = {
		.cause = kt_cause(err->code == ENOENT && !run->runner->qemu.known
					  ? KT_CAUSE_ID_qemu_missing
					  : KT_CAUSE_ID_host_trouble)
				 ->name,
		.line = err->text,
		.wall_ns = kt_clock_now_ns() - run->began_ns,
		.machine = &machine,
	};

	tell_end(run, &result);
}

static void send_start(struct kt_run *run)
{
	run->start->note = run->note;
	kt_guestproc_tell(run->proc, KT_TAG_run_start, run->start);
}

/* A process with a guest from this template; NULL: one that boots. */
static int spawn(struct kt_runner *runner, const struct kt_msg_run_guest *guest,
		 const struct kt_template *template, const struct kt_guestproc_events *events,
		 void *arg, struct kt_guestproc **proc, struct kt_err *err)
{
	struct kt_msg_run_guest message = *guest;
	int fds[1 + KT_QEMU_NODES_MAX];
	int rc;

	message.role = "cold";
	if (template) {
		message.role = "warm";
		message.template = (char *)template->id;
		message.kernel_release = (char *)template->kernel_release;
		message.topology_seen = template->seen;
		fds[0] = template->state_fd;
		memcpy(fds + 1, template->ram_fds, sizeof(template->ram_fds));
	}
	rc = kt_guestproc_spawn(runner->loop, &runner->procs, fds,
				template ? 1 + template->nodes : 0, events, arg, proc, err);
	if (rc == 0)
		kt_guestproc_tell(*proc, KT_TAG_run_guest, &message);
	return rc;
}

static void start_process(struct kt_run *run)
{
	struct kt_err err = { 0 };

	run->has_begun = false;
	run->broke[0] = 0;
	run->blameless = false;
	if (spawn(run->runner, run->guest, run->template, &run_events, run, &run->proc, &err) < 0)
		fail_to_start(run, &err);
	else
		send_start(run);
}

/* ---- spares ---- */

static void free_spare(struct spare *spare)
{
	struct kt_runner *runner = spare->runner;

	DL_DELETE(runner->spares, spare);
	kt_guestproc_drop(&spare->proc);
	kt_stock_release(runner->stock, &spare->template);
	free(spare);
}

/* Nobody gets it any more. When it was up, that is not the template's fault. */
static void lose_spare(struct spare *spare, bool blameless, const char *why)
{
	if (spare->is_up || blameless)
		KT_LOG("spare_lost", "template=%s why=%s", spare->template->id, kt_log_quote(why));
	else
		kt_stock_failed(spare->runner->stock, spare->template, why);
	free_spare(spare);
}

static void spare_frame(void *arg, struct kt_arena *arena, const struct kt_message *message,
			void *frame)
{
	struct spare *spare = arg;
	const struct kt_msg_run_broke *broke = frame;

	if (message->tag == KT_TAG_run_up) {
		kt_stock_worked(spare->runner->stock, spare->template);
		spare->is_up = true;
	} else if (message->tag == KT_TAG_run_broke) {
		note_broke(spare->runner, broke);
		lose_spare(spare, !is_templates_fault(broke), broke->line);
	}
}

static void spare_over(void *arg, const struct kt_guestproc_end *end)
{
	struct spare *spare = arg;

	spare->proc = NULL;
	lose_spare(spare, false, end->text);
}

static const struct kt_guestproc_events spare_events = { spare_frame, spare_over };

static size_t count_spares(const struct kt_runner *runner)
{
	size_t n = 0;

	for (const struct spare *spare = runner->spares; spare; spare = spare->next)
		n++;
	return n;
}

static size_t count_runs(const struct kt_runner *runner)
{
	size_t n = 0;

	for (const struct kt_run *run = runner->runs; run; run = run->next)
		n += run->proc != NULL;
	return n;
}

static bool has_room(const struct kt_runner *runner)
{
	struct kt_room room = {
		.host_bytes = runner->config.mem_bytes,
		.available_bytes = kt_host_available_bytes(),
		.shared_bytes = kt_stock_shared_bytes(runner->stock),
		.spares = count_spares(runner),
	};

	for (const struct kt_run *run = runner->runs; run; run = run->next)
		if (run->proc)
			room.runs_bytes += kt_qemu_host_bytes(run->guest->topology);
	return kt_room_has_spare(&room);
}

static bool add_spare(struct kt_runner *runner)
{
	struct kt_template *template =
		kt_stock_find(runner->stock, &runner->next_key, runner->next_renew);
	struct spare *spare;
	struct kt_err err = { 0 };

	if (!template)
		return false;
	spare = kt_must_calloc(1, sizeof(*spare));
	spare->runner = runner;
	spare->template = template;
	DL_APPEND(runner->spares, spare);
	if (spawn(runner, runner->next_guest, template, &spare_events, spare, &spare->proc, &err) ==
	    0)
		return true;
	free_spare(spare);
	return false;
}

/* Those that nobody will want: of another template, or when nothing runs here any more. */
static void let_go_of_spares(struct kt_runner *runner)
{
	int64_t now_ns = kt_clock_now_ns();
	struct spare *spare;
	struct spare *next;

	if (runner->runs)
		runner->busy_ns = now_ns;
	else if (now_ns - runner->busy_ns > SPARE_IDLE_NS)
		kt_stock_release(runner->stock, &runner->last_template);
	DL_FOREACH_SAFE (runner->spares, spare, next) {
		if (!kt_digest_equal(&spare->template->key, &runner->next_key) ||
		    !kt_stock_is_current(runner->stock, spare->template) ||
		    now_ns - runner->busy_ns > SPARE_IDLE_NS)
			free_spare(spare);
	}
}

/* One per slot in use: the guest of its next cell, most likely. When two kinds of cells take turns it is not. */
static void refill(struct kt_runner *runner)
{
	if (runner->destroyed || runner->config.single)
		return;
	let_go_of_spares(runner);
	while (!runner->no_warm[0] && runner->next_in_a_row >= BELIEVED_IN_A_ROW &&
	       count_spares(runner) < count_runs(runner) && has_room(runner) && add_spare(runner))
		;
}

static void on_look(uv_timer_t *timer)
{
	struct kt_runner *runner = timer->data;

	let_go_of_spares(runner);
}

/* Who asks for a number of guests does not get one of a template that others have used. */
static struct spare *find_spare(struct kt_runner *runner, const struct kt_digest *key,
				uint64_t renew)
{
	struct spare *spare;

	DL_FOREACH (runner->spares, spare)
		if (kt_digest_equal(&spare->template->key, key) &&
		    kt_stock_is_current(runner->stock, spare->template) &&
		    (renew == 0 || (!spare->template->from_disk && runner->next_renew == renew)))
			return spare;
	return NULL;
}

/* A spare becomes a run. */
static void take_spare(struct kt_run *run, struct spare *spare)
{
	run->template = kt_take(&spare->template);
	run->proc = kt_take(&spare->proc);
	run->has_begun = false; /* it may be dead, unheard: then nothing has happened */
	run->broke[0] = 0;
	run->blameless = false;
	kt_guestproc_hand_over(run->proc, &run_events, run);
	DL_DELETE(run->runner->spares, spare);
	free(spare);
	send_start(run);
}

/* ---- how a run gets its guest ---- */

/* What is there now. False when it cannot be looked at: the run has ended. */
static bool find_key(struct kt_run *run)
{
	struct kt_runner *runner = run->runner;
	struct kt_err err = { 0 };
	struct kt_digest kernel;
	const struct kt_qemu_spec qemu = {
		.binary = runner->config.qemu,
		.accel = runner->config.accel,
		.version_major = runner->qemu_major,
		.topology = run->guest->topology,
	};
	const struct kt_template_spec spec = {
		.qemu = &qemu,
		.kernel = &kernel,
		.initramfs = &runner->ktguest.digest,
		.qemu_binary = &runner->qemu.digest,
		.qemu_version = runner->qemu_version,
		.host = kt_buf_text(&runner->identity),
	};

	if (look_at_binaries(runner, &err) < 0) {
		fail_to_start(run, &err);
		return false;
	}
	run->guest->qemu_version = runner->qemu_version;
	run->guest->qemu_digest = (struct kt_bin){ runner->qemu.digest.bytes, KT_DIGEST_BYTES };
	run->guest->initramfs_digest =
		(struct kt_bin){ runner->ktguest.digest.bytes, KT_DIGEST_BYTES };
	memcpy(kernel.bytes, run->start->job->kernel->digest.data, KT_DIGEST_BYTES);
	kt_template_key(&spec, &run->key, &run->place);
	return true;
}

static void remember_for_spares(struct kt_run *run)
{
	struct kt_runner *runner = run->runner;
	KT_AUTO_BUF bytes = { 0 };

	if (runner->last_template != run->template) {
		kt_stock_release(runner->stock, &runner->last_template);
		runner->last_template = kt_stock_hold(run->template);
	}
	runner->next_renew = run->start->job->template_renew;
	if (runner->next_in_a_row > 0 && kt_digest_equal(&runner->next_key, &run->key)) {
		runner->next_in_a_row++;
		return;
	}
	/* The first one is taken for the rule; a change must happen twice to be believed. */
	runner->next_in_a_row = runner->next_guest ? 1 : BELIEVED_IN_A_ROW;
	runner->next_key = run->key;
	kt_arena_reset(&runner->next_arena);
	runner->next_guest = kt_arena_alloc(&runner->next_arena, 1, sizeof(*runner->next_guest));
	kt_codec_encode(&kt_schema_run_guest, run->guest, &bytes);
	kt_must(kt_codec_decode(&kt_schema_run_guest, bytes.data, bytes.len, &runner->next_arena,
				runner->next_guest, NULL) == 0);
}

/* What stands by and what nobody uses gives way to what runs; the attempt looks again when it is up. */
static void make_room(struct kt_run *run)
{
	struct kt_runner *runner = run->runner;
	uint64_t need_bytes = kt_qemu_host_bytes(run->guest->topology);
	uint64_t have_bytes = kt_host_available_bytes();

	if (have_bytes == 0 || have_bytes >= need_bytes) /* 0: nobody knows */
		return;
	while (runner->spares)
		free_spare(runner->spares);
	kt_stock_release(runner->stock, &runner->last_template);
	kt_stock_make_room(runner->stock);
}

static void begin_warm(struct kt_run *run, struct kt_template *template)
{
	run->template = template;
	make_room(run);
	remember_for_spares(run);
	start_process(run);
	refill(run->runner);
}

static void begin_cold(struct kt_run *run, const char *why)
{
	if (why)
		snprintf(run->note, sizeof(run->note), "the guest was booted, not restored: %s",
			 why);
	run->cold = true;
	make_room(run);
	start_process(run);
}

/* It may have taken seconds to make: QEMU and ktguest may have changed meanwhile. */
static void on_template(void *arg, struct kt_template *template, const struct kt_err *err)
{
	struct kt_run *run = arg;
	struct kt_runner *runner = run->runner;

	run->want = NULL;
	if (!template) {
		begin_cold(run, err->text);
	} else if (!find_key(run)) {
		kt_stock_release(runner->stock, &template);
	} else if (!kt_digest_equal(&template->key, &run->key)) {
		kt_stock_release(runner->stock, &template);
		begin(run);
	} else {
		begin_warm(run, template);
	}
}

static void tell_making(struct kt_run *run)
{
	bool kvm = strcmp(run->runner->config.accel, "kvm") == 0;
	uint64_t cpus = kt_qemu_cpus(run->guest->topology);
	struct kt_msg_run_phase phase = {
		.phase = "boot",
		.left_ns = kt_patience_expected_ns(KT_PATIENCE_BOOT, kvm, cpus),
		.detail = "making a template",
	};

	run->events.phase(run->arg, &phase);
}

static void begin(struct kt_run *run)
{
	struct kt_runner *runner = run->runner;
	uint64_t renew = run->start->job->template_renew;
	struct kt_template *template;
	struct spare *spare;

	if (!find_key(run))
		return;
	if (run->cold || runner->no_warm[0] || run->restores >= RESTORES_MAX) {
		begin_cold(run, run->cold            ? NULL
				: runner->no_warm[0] ? runner->no_warm
						     : run->broke);
		return;
	}
	spare = find_spare(runner, &run->key, renew);
	if (spare) {
		take_spare(run, spare);
		remember_for_spares(run);
		refill(runner);
		return;
	}
	template = kt_stock_find(runner->stock, &run->key, renew);
	if (template) {
		begin_warm(run, template);
		return;
	}
	tell_making(run);
	run->want = kt_stock_want(runner->stock, &run->key, &run->place, renew, run->guest,
				  on_template, run);
}

static void on_begin(uv_timer_t *timer)
{
	struct kt_run *run = timer->data;

	if (run->cancelled) {
		tell_for_it(run, "");
		return;
	}
	begin(run);
}

/* ---- the operations ---- */

static int runner_open(uv_loop_t *loop, const struct kt_runner_config *config,
		       struct kt_runner **runner_p, struct kt_err *err)
{
	struct kt_runner *runner = kt_must_calloc(1, sizeof(*runner));
	struct kt_stock_config stock = {
		.dir = config->cache_dir,
		.disk_bytes_max = config->cache_bytes_max,
		.memory_bytes_max = config->mem_bytes / TEMPLATES_SHARE,
		.procs = &runner->procs,
	};
	struct kt_err ignored = { 0 };
	int rc;

	runner->loop = loop;
	runner->config = *config;
	runner->qemu = (struct binary){ .path = config->qemu, .hash = hash_file };
	runner->ktguest = (struct binary){ .path = config->ktguest, .hash = kt_initramfs_digest };
	kt_host_identity(&runner->identity);
	kt_cage_sweep();
	rc = kt_stock_open(loop, &stock, &runner->stock, err);
	if (rc < 0) {
		kt_buf_destroy(&runner->identity);
		free(runner);
		return rc;
	}
	/* Now, not while the first cell waits. What is wrong with them is for those who need them. */
	look_at_binaries(runner, &ignored);
	uv_timer_init(loop, &runner->timer);
	runner->timer.data = runner;
	uv_timer_start(&runner->timer, on_look, SPARE_LOOK_MS, SPARE_LOOK_MS);
	uv_unref((uv_handle_t *)&runner->timer);
	*runner_p = runner;
	return 0;
}

static const char *kernel_path(const struct kt_msg_job *job, const struct kt_msg_local_file *files,
			       size_t n_files)
{
	for (size_t i = 0; i < n_files; i++)
		if (files[i].digest.len == job->kernel->digest.len &&
		    memcmp(files[i].digest.data, job->kernel->digest.data, files[i].digest.len) ==
			    0)
			return files[i].path;
	return NULL;
}

/* Lives as long as the run: the caller's does not. */
static void copy_job(struct kt_run *run, const struct kt_msg_job *job,
		     const struct kt_msg_shell *shell, const struct kt_msg_local_file *files,
		     size_t n_files)
{
	const struct kt_msg_run_start start = { .job = (struct kt_msg_job *)job,
						.shell = (struct kt_msg_shell *)shell,
						.files = (struct kt_msg_local_file *)files,
						.n_files = n_files };
	KT_AUTO_BUF bytes = { 0 };

	kt_codec_encode(&kt_schema_run_start, &start, &bytes);
	run->start = kt_arena_alloc(&run->arena, 1, sizeof(*run->start));
	kt_must(kt_codec_decode(&kt_schema_run_start, bytes.data, bytes.len, &run->arena,
				run->start, NULL) == 0);
}

static int runner_start_shell(struct kt_runner *runner, const struct kt_msg_job *job,
			      const struct kt_msg_shell *shell,
			      const struct kt_msg_local_file *files, size_t n_files,
			      const struct kt_run_events *events, void *arg, struct kt_run **run_p,
			      struct kt_err *err)
{
	const struct kt_runner_config *config = &runner->config;
	const char *kernel = kernel_path(job, files, n_files);
	struct kt_run *run;

	if (!kernel || job->kernel->digest.len != KT_DIGEST_BYTES)
		return kt_err_set(err, KT_FAULT_HOST, ENOENT, "kernel %s is not on this host",
				  job->kernel->name);
	run = kt_must_calloc(1, sizeof(*run));
	run->runner = runner;
	run->events = *events;
	run->arg = arg;
	run->began_ns = kt_clock_now_ns();
	copy_job(run, job, shell, files, n_files);
	run->cold = strcmp(run->start->job->guest, "cold") == 0;
	run->guest = kt_arena_alloc(&run->arena, 1, sizeof(*run->guest));
	*run->guest = (struct kt_msg_run_guest){
		.role = "cold",
		.kernel_name = run->start->job->kernel->name,
		.kernel_path = kt_arena_strdup(&run->arena, kernel),
		.kernel_digest = run->start->job->kernel->digest,
		.topology = run->start->job->topology,
		.cache_dir = (char *)config->cache_dir,
		.accel = (char *)config->accel,
		.qemu = (char *)config->qemu,
		.qemu_version = "",
		.ktguest = (char *)config->ktguest,
		.cpu_model = (char *)config->cpu_model,
		.template = "",
		.kernel_release = "",
	};
	DL_APPEND(runner->runs, run);
	uv_timer_init(runner->loop, &run->begin);
	run->begin.data = run;
	uv_timer_start(&run->begin, on_begin, 0, 0);
	*run_p = run;
	return 0;
}

static int runner_start(struct kt_runner *runner, const struct kt_msg_job *job,
			const struct kt_msg_local_file *files, size_t n_files,
			const struct kt_run_events *events, void *arg, struct kt_run **run_p,
			struct kt_err *err)
{
	return runner_start_shell(runner, job, NULL, files, n_files, events, arg, run_p, err);
}

static void runner_tell_shell(struct kt_run *run, uint32_t tag, const void *message)
{
	if (run->proc && !run->result)
		kt_guestproc_tell(run->proc, tag, message);
}

static void runner_cancel(struct kt_run *run, const char *reason)
{
	struct kt_msg_run_cancel message = { .reason = run->cancel_reason };

	if (run->cancelled || run->result)
		return;
	run->cancelled = true;
	snprintf(run->cancel_reason, sizeof(run->cancel_reason), "%s",
		 reason && *reason ? reason : "cancelled");
	if (run->proc) {
		kt_guestproc_tell(run->proc, KT_TAG_run_cancel, &message);
		kt_guestproc_kill_in(run->proc, CANCEL_MS_MAX);
	} else {
		/* It waits for a template: others may wait for it too. */
		kt_stock_drop(&run->want);
		uv_timer_start(&run->begin, on_begin, 0, 0);
	}
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct kt_runner *runner = handle->data;

	runner->timer_closed = true;
	free_runner(runner);
}

static void runner_destroy(struct kt_runner **runner_p)
{
	struct kt_runner *runner = kt_take(runner_p);
	struct kt_run *run;

	if (!runner)
		return;
	runner->destroyed = true;
	while (runner->spares)
		free_spare(runner->spares);
	DL_FOREACH (runner->runs, run) {
		kt_stock_drop(&run->want);
		kt_stock_release(runner->stock, &run->template);
	}
	kt_stock_release(runner->stock, &runner->last_template);
	kt_stock_destroy(&runner->stock);
	kt_guestproc_end_all(&runner->procs, kt_clock_now_ns() + DESTROY_MS_MAX * KT_NS_PER_MS);
	DL_FOREACH (runner->runs, run)
		let_go(run);
	kt_arena_destroy(&runner->next_arena);
	uv_close((uv_handle_t *)&runner->timer, on_timer_closed);
}

const struct kt_runner_ops kt_runner_qemu = {
	.name = "qemu",
	.open = runner_open,
	.start = runner_start,
	.start_shell = runner_start_shell,
	.tell_shell = runner_tell_shell,
	.cancel = runner_cancel,
	.destroy = runner_destroy,
};
