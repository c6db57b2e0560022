#include "worker/attempt.h"
#include "proto/base/clock.h"
#include "proto/base/limits.h"
#include "proto/base/must.h"
#include "proto/cause.h"
#include "proto/job.h"
#include "worker/capture.h"
#include "worker/core/boundary.h"
#include "worker/core/patience.h"
#include "worker/introspect/introspect.h"
#include "worker/statsjson.h"
#include "worker/vm.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sodium.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <unistd.h>

#define START_S_MAX        30 /* until the agent says what to run */
#define HAND_OVER_S_MAX    30 /* for the result to reach the agent */
#define PANIC_NS_MAX       (5 * KT_NS_PER_S) /* from the panic's line to QEMU's end */
#define EVIDENCE_BYTES_MAX (64u << 10)
#define TAIL_BYTES_MAX     (8u << 10)
#define REPORTS_BYTES_MAX  (512u << 10) /* of the result's frame */
#define MOMENTS_MAX        600 /* steps, phases and a few more */
#define LOG_QUEUE_BYTES    (4u << 20) /* beyond it pieces of logs are dropped, never samples */
#define STATS_LEAD_NS_MIN  (20 * KT_NS_PER_MS)
#define STATS_LEAD_NS      (150 * KT_NS_PER_MS) /* of the first; it connects as well */
#define STATS_LEAD_NS_MAX  (600 * KT_NS_PER_MS) /* more than an answer may take */
#define STATS_GRACE_NS     (150 * KT_NS_PER_MS) /* for the guest's own "deadline" to arrive */
#define MIB                (1u << 20)
#define CAPTURE_AXES       3

enum phase { BOOT, LOAD, RUN, DRAIN };
#define IN(phase_) (1u << (phase_))

static const char *const phase_names[] = { "boot", "load", "run", "drain" };

/* Of a log only so much is passed on; a marker says when it was cut. */
struct log_budget {
	const char *stream;
	size_t passed;
	size_t dropped;
};

#define NOT_APPLICABLE "not_applicable" /* an axis' error: assertions/projection.h */

struct attempt {
	int64_t began_ns;
	enum phase phase;
	struct kt_framelink control;
	struct kt_arena arena; /* run_start and what must live as long */
	const struct kt_msg_run_start *start;
	const struct kt_msg_job *job;
	bool kvm;
	uint64_t cpus;
	bool has_scheduler; /* one of the job's, not the kernel's own */

	char qemu_version[64];
	struct kt_vm vm;
	struct kt_introspect_kernel *kernel;
	struct kt_gmem *gmem;
	struct kt_introspect *introspect;

	/* what the guest said */
	const char *kernel_release;
	uint64_t guest_version;
	bool ready;
	char done_what[32]; /* of the last guest_done */
	bool done;
	bool load_sent; /* from here on the scheduler has a hand in what happens */
	bool run_sent;
	bool started;
	bool finished;
	struct kt_msg_worker_report *reports;
	size_t n_reports;
	uint64_t step;

	/* scx_stats: one request in flight */
	uint64_t stats_id;
	bool stats_answered;
	bool in_guest_answer; /* any answer at all: somebody is there */
	struct kt_arena *stats_arena; /* of the sample that asked */
	struct kt_msg_axis *stats_axis;
	int64_t stats_lead_ns;

	/* samples */
	struct kt_capture capture;
	uint64_t samples_fired;
	uint64_t samples_total;
	size_t series_bytes;
	unsigned int placeholders_in_a_row;
	crypto_hash_sha256_state series;

	/* the result */
	bool ending; /* cause is final but for a panic after it */
	enum kt_cause_id cause;
	char line[KT_TEXT_BYTES_MAX];
	struct kt_buf evidence;
	struct kt_buf note;
	struct kt_msg_moment moments[MOMENTS_MAX];
	size_t n_moments;
	int64_t panicked_at_ns;
	bool power_off_sent;
	struct log_budget logs[4];
};

static volatile sig_atomic_t told_to_end; /* by SIGTERM */

/* ---- telling the agent ---- */

/* A first line is one line, whoever wrote it. */
static void flatten(char *text)
{
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = ' ';
}

static void pass_log(struct attempt *attempt, const char *stream, const void *bytes, size_t len)
{
	struct kt_msg_run_log piece = { .stream = stream };
	const uint8_t *at = bytes;

	for (; len > 0; at += piece.body.len, len -= piece.body.len) {
		piece.body.data = at;
		piece.body.len = len < KT_LOG_PIECE_BYTES_MAX ? len : KT_LOG_PIECE_BYTES_MAX;
		kt_framelink_push(&attempt->control, KT_TAG_run_log, &piece);
	}
}

static void log_bytes(struct attempt *attempt, const char *stream, const void *bytes, size_t len)
{
	struct log_budget *budget = attempt->logs;

	while (strcmp(budget->stream, stream) != 0)
		budget++; /* the caller's stream is one of the four */
	if (budget->passed + len > KT_LOG_BYTES_MAX || attempt->control.out.len > LOG_QUEUE_BYTES) {
		static const char marker[] = "\n[ktcoord: more was said; the rest is left out]\n";

		if (budget->dropped == 0)
			pass_log(attempt, stream, marker, sizeof(marker) - 1);
		budget->dropped += len;
		return;
	}
	budget->passed += len;
	pass_log(attempt, stream, bytes, len);
}

__attribute__((format(printf, 2, 3))) static void say(struct attempt *attempt, const char *format,
						      ...)
{
	char text[1024];
	va_list args;
	int len;

	va_start(args, format);
	len = vsnprintf(text, sizeof(text) - 1, format, args);
	va_end(args);
	if (len > (int)sizeof(text) - 2)
		len = (int)sizeof(text) - 2;
	text[len++] = '\n';
	log_bytes(attempt, "worker", text, (size_t)len);
}

__attribute__((format(printf, 2, 3))) static void add_note(struct attempt *attempt,
							   const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	flatten(text);
	kt_buf_printf(&attempt->note, "%s%s", attempt->note.len ? "; " : "", text);
	say(attempt, "note: %s", text);
}

__attribute__((format(printf, 3, 4))) static void add_moment(struct attempt *attempt,
							     const char *name, const char *format,
							     ...)
{
	struct kt_msg_moment *moment = &attempt->moments[attempt->n_moments];
	char detail[256];
	va_list args;

	if (attempt->n_moments == MOMENTS_MAX)
		return;
	va_start(args, format);
	vsnprintf(detail, sizeof(detail), format, args);
	va_end(args);
	moment->name = name;
	moment->at_ns = kt_clock_now_ns() - attempt->began_ns;
	moment->detail = kt_arena_strdup(&attempt->arena, detail);
	attempt->n_moments++;
}

static void enter(struct attempt *attempt, enum phase phase, int64_t left_ns, const char *detail)
{
	struct kt_msg_run_phase message = { .phase = phase_names[phase],
					    .left_ns = left_ns,
					    .detail = detail };

	attempt->phase = phase;
	add_moment(attempt, phase_names[phase], "%s", detail);
	kt_framelink_push(&attempt->control, KT_TAG_run_phase, &message);
	kt_framelink_flush(&attempt->control, NULL); /* now: opening a kernel may take a second */
}

/* ---- ending ---- */

/* The first one tells; only a kernel that dies afterwards has a better story. */
__attribute__((format(printf, 3, 4))) static void end(struct attempt *attempt,
						      enum kt_cause_id cause, const char *format,
						      ...)
{
	va_list args;

	if (attempt->ending &&
	    !(attempt->cause == KT_CAUSE_ID_finished && cause == KT_CAUSE_ID_kernel_panic))
		return;
	attempt->ending = true;
	attempt->cause = cause;
	va_start(args, format);
	vsnprintf(attempt->line, sizeof(attempt->line), format, args);
	va_end(args);
	flatten(attempt->line);
}

/* "<what happened>; <what to do next>" */
__attribute__((format(printf, 3, 4))) static void end_with_advice(struct attempt *attempt,
								  enum kt_cause_id cause,
								  const char *format, ...)
{
	char what[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	end(attempt, cause, "%s; %s", what, kt_cause(cause)->advice);
}

static const char *while_doing(const struct attempt *attempt)
{
	static const char *const words[] = {
		[BOOT] = "while the guest booted",
		[LOAD] = "while the scheduler was loaded",
		[RUN] = "while the scenario ran",
		[DRAIN] = "after the scenario, while the scheduler was unloaded",
	};

	return words[attempt->phase];
}

/* Before anything of the cell ran it is the host's trouble; from the load on the scheduler's. */
static void end_by_panic(struct attempt *attempt, const char *what)
{
	bool ours = !attempt->load_sent && !attempt->run_sent;

	end(attempt, ours ? KT_CAUSE_ID_boot_panic : KT_CAUSE_ID_kernel_panic,
	    "the guest's kernel died %s: %s; read the console log", while_doing(attempt), what);
}

/* QEMU is gone and we did not kill it: who did? */
static void judge_end(struct attempt *attempt)
{
	const struct kt_vm *vm = &attempt->vm;
	KT_AUTO_BUF how = { 0 };
	enum kt_cause_id cause;

	if (vm->console.panicked) {
		end_by_panic(attempt, vm->console.panic_line);
	} else if (strcmp(vm->qmp.shutdown_reason, "guest-reset") == 0) {
		end_by_panic(attempt, "it reset itself without a word");
	} else if (kt_vm_guest_ended_it(vm)) {
		if (!attempt->power_off_sent)
			end_with_advice(attempt,
					attempt->run_sent ? KT_CAUSE_ID_guest_hung
							  : KT_CAUSE_ID_guest_lost,
					"the guest powered itself off %s", while_doing(attempt));
	} else {
		kt_vm_describe_end(vm, &how);
		cause = attempt->phase == BOOT
				? kt_qemu_last_words(kt_buf_text(&vm->words), vm->kvm)
				: KT_CAUSE_ID_qemu_died;
		end(attempt, cause,
		    "QEMU ended %s: %s; look at its last words and at who may have killed it",
		    while_doing(attempt), kt_buf_text(&how));
	}
}

static void look(struct attempt *attempt)
{
	struct kt_vm *vm = &attempt->vm;

	if (told_to_end)
		end(attempt, KT_CAUSE_ID_cancelled, "the attempt was told to end (SIGTERM)");
	if (vm->console.panicked && attempt->panicked_at_ns == 0)
		attempt->panicked_at_ns = kt_clock_now_ns();
	if (vm->ended) {
		judge_end(attempt);
	} else if (attempt->panicked_at_ns > 0 &&
		   kt_clock_now_ns() > attempt->panicked_at_ns + PANIC_NS_MAX) {
		kt_vm_kill(vm); /* panic=-1 did not end it */
		judge_end(attempt);
	} else if (vm->channel_broken) {
		end_with_advice(attempt,
				attempt->run_sent ? KT_CAUSE_ID_guest_hung : KT_CAUSE_ID_guest_lost,
				"the guest's channel broke %s: %s", while_doing(attempt),
				vm->channel_err.text);
	}
}

/* ---- what the guest says ---- */

static void on_ready(struct attempt *attempt, void *frame)
{
	struct kt_msg_guest_ready *ready = frame;

	attempt->ready = true;
	attempt->guest_version = ready->version;
	attempt->kernel_release = kt_arena_strdup(&attempt->arena, ready->kernel_release);
	if (ready->cpus != attempt->cpus)
		add_note(attempt, "the guest has %llu CPUs online, the topology %llu",
			 (unsigned long long)ready->cpus, (unsigned long long)attempt->cpus);
}

static void on_done(struct attempt *attempt, void *frame)
{
	struct kt_msg_guest_done *done = frame;

	attempt->done = true;
	snprintf(attempt->done_what, sizeof(attempt->done_what), "%s", done->what);
}

/* Its cause must be one that a guest can know; the guest is untrusted. */
static enum kt_cause_id guest_cause(const struct attempt *attempt, const char *name)
{
	const struct kt_cause *cause = kt_cause_by_name(name);

	if (cause && cause->side == KT_CAUSE_GUEST)
		return cause->id;
	if (cause && cause->side == KT_CAUSE_HOST && !attempt->load_sent && !attempt->run_sent)
		return cause->id;
	return attempt->run_sent ? KT_CAUSE_ID_guest_hung : KT_CAUSE_ID_guest_lost;
}

static void on_failed(struct attempt *attempt, void *frame)
{
	struct kt_msg_guest_failed *failed = frame;

	/* What fails after the end changes nothing but is worth a word. */
	if (attempt->phase == DRAIN) {
		attempt->done = true;
		add_note(attempt, "%s failed: %s", failed->what, failed->line);
		return;
	}
	if (attempt->ending)
		return;
	end(attempt, guest_cause(attempt, failed->cause), "%s", failed->line);
	kt_buf_puts(&attempt->evidence, failed->evidence);
}

static void on_started(struct attempt *attempt, void *frame)
{
	attempt->started = true;
	attempt->capture.anchor_ns = kt_clock_now_ns();
	attempt->capture.frozen_ns = 0;
}

static void on_step(struct attempt *attempt, void *frame)
{
	struct kt_msg_guest_step *step = frame;

	attempt->step = step->index;
	add_moment(attempt, "step", "%llu", (unsigned long long)step->index);
}

static void on_stats_answer(struct attempt *attempt, void *frame)
{
	struct kt_msg_guest_stats_answer *answer = frame;

	attempt->in_guest_answer = true;
	/* Not the one that is waited for: too late, or never asked for. */
	if (answer->id != attempt->stats_id || attempt->stats_answered)
		return;
	attempt->stats_answered = true;
	if (!attempt->stats_axis)
		return;
	if (answer->error[0])
		kt_statsjson_error(answer->error, answer->text, attempt->stats_arena,
				   attempt->stats_axis);
	else
		kt_statsjson_axis(answer->body.data, answer->body.len, attempt->stats_arena,
				  attempt->stats_axis);
}

static void on_finished(struct attempt *attempt, void *frame)
{
	struct kt_msg_guest_finished *finished = frame;
	KT_AUTO_BUF whole = { 0 };
	struct kt_err err = { 0 };

	attempt->finished = true;
	/* The frame's memory is not ours: a deep copy, by the codec. */
	kt_codec_encode(&kt_schema_guest_finished, finished, &whole);
	if (whole.len > REPORTS_BYTES_MAX) {
		add_note(attempt, "the workers' reports are left out: %zu bytes", whole.len);
		return;
	}
	finished = kt_arena_alloc(&attempt->arena, 1, sizeof(*finished));
	if (kt_codec_decode(&kt_schema_guest_finished, whole.data, whole.len, &attempt->arena,
			    finished, &err) < 0)
		return;
	attempt->reports = finished->reports;
	attempt->n_reports = finished->n_reports;
}

static void on_log(struct attempt *attempt, void *frame)
{
	struct kt_msg_guest_log *log = frame;

	log_bytes(attempt, strcmp(log->stream, "scheduler") == 0 ? "scheduler" : "worker",
		  log->body.data, log->body.len);
}

/* What the guest may say when. After the end (DRAIN) nothing is too late to be ignored. */
static const struct {
	uint32_t tag;
	unsigned int phases;
	void (*take)(struct attempt *attempt, void *frame);
} takers[] = {
	{ KT_TAG_guest_ready, IN(BOOT), on_ready },
	{ KT_TAG_guest_done, IN(LOAD) | IN(DRAIN), on_done },
	{ KT_TAG_guest_failed, IN(LOAD) | IN(RUN) | IN(DRAIN), on_failed },
	{ KT_TAG_guest_started, IN(RUN), on_started },
	{ KT_TAG_guest_step, IN(RUN), on_step },
	{ KT_TAG_guest_stats_answer, IN(RUN) | IN(DRAIN), on_stats_answer },
	{ KT_TAG_guest_finished, IN(RUN), on_finished },
	{ KT_TAG_guest_log, IN(BOOT) | IN(LOAD) | IN(RUN) | IN(DRAIN), on_log },
};

static void take_frame(void *arg, const struct kt_message *message, void *frame)
{
	struct attempt *attempt = arg;

	for (size_t i = 0; i < sizeof(takers) / sizeof(takers[0]); i++) {
		if (takers[i].tag != message->tag)
			continue;
		if (takers[i].phases & IN(attempt->phase))
			takers[i].take(attempt, frame);
		else if (attempt->phase != DRAIN)
			end_with_advice(attempt,
					attempt->run_sent ? KT_CAUSE_ID_guest_hung
							  : KT_CAUSE_ID_guest_lost,
					"the guest said %s %s, where it cannot be",
					message->schema->name, while_doing(attempt));
		return;
	}
}

static void take_log(void *arg, const char *stream, const void *bytes, size_t len)
{
	log_bytes(arg, stream, bytes, len);
}

/* ---- the loop ---- */

/* The agent's side. Its end is ours: PDEATHSIG usually comes first. */
static void digest_control(struct attempt *attempt)
{
	KT_AUTO_ARENA arena = { 0 };
	const struct kt_message *message;
	struct kt_err err = { 0 };
	void *frame;

	if (kt_framelink_fill(&attempt->control, &err) < 0 ||
	    kt_framelink_flush(&attempt->control, &err) < 0 || attempt->control.eof) {
		kt_vm_kill(&attempt->vm);
		_exit(1);
	}
	while (kt_framelink_next(&attempt->control, &arena, &message, &frame, &err) > 0) {
		if (message->tag == KT_TAG_run_cancel) {
			struct kt_msg_run_cancel *cancel = frame;

			end(attempt, KT_CAUSE_ID_cancelled, "%s",
			    cancel->reason[0] ? cancel->reason : "the attempt was cancelled");
		} else if (message->tag == KT_TAG_run_start && !attempt->start) {
			attempt->start = frame;
			attempt->arena = arena;
			arena = (struct kt_arena){ 0 };
		}
	}
}

/* One round: sleeps until something happens or the moment has come, then takes in all that is there. */
static void pump(struct attempt *attempt, int64_t until_ns)
{
	struct pollfd fds[1 + KT_VM_POLL_FDS];
	int64_t left_ns = until_ns - kt_clock_now_ns();
	struct timespec left;
	sigset_t none;
	size_t n;

	if (left_ns < 0 || kt_vm_pending(&attempt->vm))
		left_ns = 0;
	left = (struct timespec){ left_ns / KT_NS_PER_S, left_ns % KT_NS_PER_S };
	fds[0] = (struct pollfd){ attempt->control.fd,
				  (short)(POLLIN | (attempt->control.out.len ? POLLOUT : 0)), 0 };
	n = 1 + kt_vm_poll(&attempt->vm, fds + 1);
	sigemptyset(&none);
	ppoll(fds, n, &left, &none);
	digest_control(attempt);
	kt_vm_digest(&attempt->vm);
	look(attempt);
}

/* True when it is done; false at the deadline or when the attempt ends. */
static bool wait_until(struct attempt *attempt, bool (*done)(const struct attempt *attempt),
		       int64_t deadline_ns)
{
	while (!done(attempt)) {
		if (attempt->ending || kt_clock_now_ns() >= deadline_ns)
			return false;
		pump(attempt, deadline_ns);
	}
	return !attempt->ending;
}

static int64_t patience(const struct attempt *attempt, enum kt_patience what, uint64_t units)
{
	return kt_patience_ns(what, attempt->kvm, attempt->cpus, units);
}

static int64_t seconds(int64_t ns)
{
	return (ns + KT_NS_PER_S / 2) / KT_NS_PER_S;
}

/* Queues a frame, pumping while the guest takes in what waits before it. */
static bool tell_guest(struct attempt *attempt, uint32_t tag, const void *message,
		       int64_t deadline_ns)
{
	while (!kt_vm_send(&attempt->vm, tag, message)) {
		if (attempt->ending || kt_clock_now_ns() >= deadline_ns)
			return false;
		pump(attempt, deadline_ns);
	}
	return true;
}

static bool is_done(const struct attempt *attempt)
{
	return attempt->done;
}

/* ---- boot ---- */

static bool is_ready(const struct attempt *attempt)
{
	return attempt->ready;
}

static void say_lines(struct attempt *attempt, const struct kt_buf *lines)
{
	for (const char *at = kt_buf_text(lines); *at;) {
		size_t len = strcspn(at, "\n");

		say(attempt, "%.*s", (int)len, at);
		at += len + (at[len] == '\n');
	}
}

static void end_by_kernel(struct attempt *attempt, const struct kt_err *err)
{
	enum kt_cause_id cause = err->fault == KT_FAULT_INPUT ? KT_CAUSE_ID_kernel_unusable
				 : err->code == ENOSPC        ? KT_CAUSE_ID_disk_full
				 : err->code == ENOMEM        ? KT_CAUSE_ID_no_memory
							      : KT_CAUSE_ID_host_trouble;

	end(attempt, cause, "kernel %s: %s", attempt->job->kernel->name, err->text);
}

static const char *file_path(const struct attempt *attempt, const struct kt_bin *digest)
{
	for (size_t i = 0; i < attempt->start->n_files; i++) {
		const struct kt_msg_local_file *file = &attempt->start->files[i];

		if (file->digest.len == digest->len &&
		    memcmp(file->digest.data, digest->data, digest->len) == 0)
			return file->path;
	}
	return NULL;
}

static bool open_kernel(struct attempt *attempt)
{
	const char *image = file_path(attempt, &attempt->job->kernel->digest);
	struct kt_err err = { 0 };

	if (!image) {
		end(attempt, KT_CAUSE_ID_artifact_missing, "kernel %s is not on this host",
		    attempt->job->kernel->name);
		return false;
	}
	if (kt_introspect_kernel_open(image, attempt->start->cache_dir, &attempt->kernel, &err) <
	    0) {
		end_by_kernel(attempt, &err);
		return false;
	}
	return true;
}

static bool open_qemu(struct attempt *attempt, struct kt_vm_config *config)
{
	struct kt_err err = { 0 };
	int rc = kt_qemu_version(config->qemu, &config->qemu_major, attempt->qemu_version,
				 sizeof(attempt->qemu_version), &err);

	if (rc == -ENOENT)
		end_with_advice(attempt, KT_CAUSE_ID_qemu_missing, "%s", err.text);
	else if (rc < 0)
		end(attempt, KT_CAUSE_ID_host_trouble, "%s", err.text);
	return rc == 0;
}

static int map_nodes(struct attempt *attempt, struct kt_err *err)
{
	uint64_t bytes = kt_qemu_node_bytes(attempt->job->topology);
	uint64_t all_bytes = bytes * attempt->vm.n_ram_fds;
	uint64_t lowmem_bytes = kt_gmem_lowmem_bytes("q35", all_bytes);
	char path[64];
	int rc = 0;

	for (size_t i = 0; rc == 0 && i < attempt->vm.n_ram_fds; i++) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", attempt->vm.ram_fds[i]);
		rc = i == 0 ? kt_gmem_open(path, bytes, lowmem_bytes, &attempt->gmem, err)
			    : kt_gmem_add(attempt->gmem, path, bytes, err);
	}
	return rc;
}

/* Maps the guest's RAM for reading from outside. That it cannot be is no failure of the attempt: the axes
 * say so.
 */
static void open_memory(struct attempt *attempt)
{
	struct kt_err *err = &attempt->capture.unreadable;

	if (map_nodes(attempt, err) < 0) {
		add_note(attempt, "%s", err->text);
		kt_gmem_destroy(&attempt->gmem);
	}
}

/* The guest says that it is up, so its kernel is in memory. */
static void attach(struct attempt *attempt)
{
	struct kt_err *err = &attempt->capture.unreadable;

	if (!attempt->gmem || attempt->introspect)
		return;
	if (kt_introspect_attach(attempt->kernel, attempt->gmem, &attempt->introspect, err) < 0)
		add_note(attempt, "the guest's memory cannot be read: %s", err->text);
	attempt->capture.introspect = attempt->introspect;
}

static bool start_vm(struct attempt *attempt, const struct kt_vm_config *config)
{
	enum kt_cause_id cause;
	KT_AUTO_BUF notes = { 0 };
	struct kt_err err = { 0 };
	int rc;

	rc = kt_vm_start(&attempt->vm, config, &notes, &cause, &err);
	say_lines(attempt, &notes);
	if (rc < 0) {
		end_with_advice(attempt, cause, "%s", err.text);
		return false;
	}
	say(attempt, "QEMU %s, accelerator %s, cgroup limits: %s", attempt->qemu_version,
	    config->accel, kt_cage_describe(attempt->vm.cage));
	return true;
}

static void boot(struct attempt *attempt)
{
	struct kt_vm_config config = {
		.qemu = attempt->start->qemu,
		.accel = attempt->start->accel,
		.topology = attempt->job->topology,
		.ktguest = attempt->start->ktguest,
	};
	int64_t allowed_ns = patience(attempt, KT_PATIENCE_BOOT, 0);
	int64_t began_ns = kt_clock_now_ns();

	enter(attempt, BOOT, kt_patience_expected_ns(KT_PATIENCE_BOOT, attempt->kvm, attempt->cpus),
	      "");
	if (!open_qemu(attempt, &config) || !open_kernel(attempt))
		return;
	config.kernel = kt_introspect_kernel_vmlinux(attempt->kernel);
	if (!start_vm(attempt, &config))
		return;
	open_memory(attempt);
	if (!wait_until(attempt, is_ready, began_ns + allowed_ns)) {
		end_with_advice(attempt, KT_CAUSE_ID_boot_timeout,
				"the guest did not come up in %lld s",
				(long long)seconds(allowed_ns));
		return;
	}
	add_moment(attempt, "ready", "%s", attempt->kernel_release);
	if (attempt->guest_version != KT_GUEST_PROTOCOL_VERSION)
		end(attempt, KT_CAUSE_ID_host_trouble,
		    "ktguest speaks version %llu of the guest channel, this worker %d: install "
		    "both from one build",
		    (unsigned long long)attempt->guest_version, KT_GUEST_PROTOCOL_VERSION);
	else
		attach(attempt);
}

/* ---- load ---- */

/* A request that is answered by guest_done or guest_failed. */
static bool request(struct attempt *attempt, uint32_t tag, const void *message, int64_t deadline_ns)
{
	attempt->done = false;
	return tell_guest(attempt, tag, message, deadline_ns) &&
	       wait_until(attempt, is_done, deadline_ns);
}

static void end_by_silence(struct attempt *attempt, const char *what, int64_t allowed_ns)
{
	end_with_advice(attempt, KT_CAUSE_ID_guest_lost, "the guest did not %s in %lld s", what,
			(long long)seconds(allowed_ns));
}

static bool send_pieces(struct attempt *attempt, int fd, uint64_t bytes, int64_t deadline_ns)
{
	KT_AUTO_FREE uint8_t *piece = kt_must_calloc(1, KT_CHUNK_BYTES_MAX);

	while (bytes > 0) {
		struct kt_msg_guest_data data = { .body = { piece, 0 } };
		size_t want = bytes < KT_CHUNK_BYTES_MAX ? (size_t)bytes : KT_CHUNK_BYTES_MAX;
		ssize_t n = read(fd, piece, want);

		if (n <= 0) {
			end_with_advice(attempt, KT_CAUSE_ID_artifact_corrupt,
					"a file of the scheduler is shorter than it should be");
			return false;
		}
		data.body.len = (size_t)n;
		if (!tell_guest(attempt, KT_TAG_guest_data, &data, deadline_ns))
			return false;
		bytes -= (uint64_t)n;
	}
	return true;
}

static bool send_file(struct attempt *attempt, const struct kt_msg_file *file)
{
	int64_t allowed_ns = patience(attempt, KT_PATIENCE_FILES, file->bytes / MIB + 1);
	int64_t deadline_ns = kt_clock_now_ns() + allowed_ns;
	struct kt_msg_guest_file head = { .path = file->path,
					  .mode = file->mode,
					  .bytes = file->bytes };
	const char *path = file_path(attempt, &file->digest);
	KT_AUTO_FD int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;

	if (fd < 0) {
		end(attempt, KT_CAUSE_ID_artifact_missing, "%s is not on this host: %s", file->path,
		    path ? strerror(errno) : "nobody fetched it");
		return false;
	}
	attempt->done = false;
	if (!tell_guest(attempt, KT_TAG_guest_file, &head, deadline_ns) ||
	    !send_pieces(attempt, fd, file->bytes, deadline_ns) ||
	    !wait_until(attempt, is_done, deadline_ns)) {
		end_by_silence(attempt, "take in the scheduler's files", allowed_ns);
		return false;
	}
	return true;
}

static void set_watchdog(struct attempt *attempt)
{
	int64_t wanted_ns = attempt->job->scenario->watchdog_ns;
	int64_t stop_ns = kt_clock_now_ns();
	int64_t patience_ns = patience(attempt, KT_PATIENCE_FREEZE, 0);
	int64_t frozen_ns;
	int64_t now_ns = 0;
	struct kt_err err = { 0 };
	int rc;

	if (wanted_ns == 0)
		return;
	if (!attempt->introspect) {
		add_note(attempt, "the watchdog keeps the scheduler's own value: %s",
			 attempt->capture.unreadable.text);
		return;
	}
	rc = kt_vm_freeze(&attempt->vm, stop_ns + patience_ns, &err);
	if (rc == 0)
		rc = kt_introspect_set_watchdog(attempt->introspect, wanted_ns, &now_ns, &err);
	kt_vm_thaw(&attempt->vm, stop_ns, kt_clock_now_ns() + patience_ns, &frozen_ns, NULL);
	if (rc < 0)
		add_note(attempt, "the watchdog keeps the scheduler's own value: %s", err.text);
	else
		say(attempt, "sched_ext's watchdog is %lld ms", (long long)(now_ns / KT_NS_PER_MS));
}

static void load(struct attempt *attempt)
{
	const struct kt_msg_scheduler *scheduler = attempt->job->scheduler;
	struct kt_msg_guest_prepare prepare = { .wall_ns = kt_clock_wall_ns() };
	struct kt_msg_guest_load message = { .args = scheduler->args, .n_args = scheduler->n_args };
	int64_t allowed_ns = patience(attempt, KT_PATIENCE_FILES, 1);

	enter(attempt, LOAD, 0, "");
	if (!request(attempt, KT_TAG_guest_prepare, &prepare, kt_clock_now_ns() + allowed_ns)) {
		end_by_silence(attempt, "set its clock", allowed_ns);
		return;
	}
	for (size_t i = 0; i < scheduler->n_files; i++)
		if (!send_file(attempt, &scheduler->files[i]))
			return;
	if (!attempt->has_scheduler)
		return;
	add_moment(attempt, "start", "%s", scheduler->args[0].text);
	allowed_ns = patience(attempt, KT_PATIENCE_LOAD, 0);
	message.deadline_ns = allowed_ns;
	attempt->load_sent = true;
	/* The guest's own deadline comes first: it knows more to say. */
	allowed_ns += patience(attempt, KT_PATIENCE_PROBE, 0);
	if (!request(attempt, KT_TAG_guest_load, &message, kt_clock_now_ns() + allowed_ns)) {
		end_with_advice(attempt, KT_CAUSE_ID_scheduler_load_timeout,
				"the guest did not say in %lld s that the scheduler is enabled",
				(long long)seconds(allowed_ns));
		return;
	}
	add_moment(attempt, "enabled", "%s", scheduler->name);
	set_watchdog(attempt);
}

/* ---- samples ---- */

static bool has_started(const struct attempt *attempt)
{
	return attempt->started;
}

static void send_sample(struct attempt *attempt, struct kt_msg_sample *sample,
			struct kt_arena *arena)
{
	struct kt_msg_run_sample message;
	KT_AUTO_BUF body = { 0 };

	kt_capture_encode(sample, arena, &body);
	if (attempt->series_bytes + body.len > KT_SERIES_BYTES_MAX) {
		sample->n_axes = 0;
		sample->placeholder = "the attempt's samples are too large together";
		kt_buf_reset(&body);
		kt_capture_encode(sample, arena, &body);
	}
	attempt->series_bytes += body.len;
	crypto_hash_sha256_update(&attempt->series, body.data, body.len);
	message.body = (struct kt_bin){ body.data, body.len };
	/* Its queue holds a whole series, and the logs in it are limited too. */
	kt_must(kt_framelink_push(&attempt->control, KT_TAG_run_sample, &message));
	attempt->samples_total++;
	attempt->samples_fired++;
	attempt->placeholders_in_a_row =
		sample->placeholder[0] ? attempt->placeholders_in_a_row + 1 : 0;
}

/* Asks; on_stats_answer() fills the axis. */
static void ask_for_stats(struct attempt *attempt, struct kt_arena *arena, struct kt_msg_axis *axis,
			  int64_t allowed_ns)
{
	struct kt_msg_guest_stats message = {
		.id = ++attempt->stats_id,
		.body = { (const uint8_t *)kt_statsjson_request, strlen(kt_statsjson_request) },
		.deadline_ns = allowed_ns,
	};
	char text[128];

	attempt->stats_answered = false;
	attempt->stats_arena = arena;
	attempt->stats_axis = axis;
	if (!axis) {
		kt_vm_send(&attempt->vm, KT_TAG_guest_stats, &message);
	} else if (!attempt->has_scheduler) {
		kt_statsjson_error(NOT_APPLICABLE, "the kernel's own scheduler serves no scx_stats",
				   arena, axis);
		attempt->stats_answered = true;
	} else {
		snprintf(text, sizeof(text), "no answer in %lld ms",
			 (long long)((allowed_ns + STATS_GRACE_NS) / KT_NS_PER_MS));
		kt_statsjson_error("deadline", text, arena, axis);
		kt_vm_send(&attempt->vm, KT_TAG_guest_stats, &message);
	}
}

/* The next request goes out as early as the last answer took, with some slack, so that the freeze
 * happens at the boundary and not after it.
 */
static void learn_lead(struct attempt *attempt, int64_t took_ns)
{
	int64_t lead_ns = took_ns * 3 / 2 + STATS_LEAD_NS_MIN / 2;

	attempt->stats_lead_ns = lead_ns < STATS_LEAD_NS_MIN   ? STATS_LEAD_NS_MIN
				 : lead_ns > STATS_LEAD_NS_MAX ? STATS_LEAD_NS_MAX
							       : lead_ns;
}

/* Until the answer is there and the boundary has come, or the answer's time is up. */
static void wait_for_boundary(struct attempt *attempt, int64_t offset_ns, int64_t asked_ns,
			      int64_t deadline_ns)
{
	int64_t due_ns = kt_capture_at_ns(&attempt->capture, offset_ns);
	bool learnt = false;

	while (!attempt->ending && !attempt->finished) {
		int64_t now_ns = kt_clock_now_ns();

		if (attempt->stats_answered && !learnt) {
			learn_lead(attempt, now_ns - asked_ns);
			learnt = true;
		}
		if (now_ns >= deadline_ns || (now_ns >= due_ns && attempt->stats_answered))
			break;
		pump(attempt,
		     attempt->stats_answered || due_ns > deadline_ns ? due_ns : deadline_ns);
	}
	if (!learnt)
		learn_lead(attempt, STATS_LEAD_NS_MAX);
}

/* A cell without a sched_ext scheduler has nothing to read there; one whose scheduler is gone has lost
 * it. The former is skipped by assertions, the latter is not.
 */
static void tell_absent_from_gone(const struct attempt *attempt, struct kt_msg_sample *sample)
{
	for (size_t i = 0; i < sample->n_axes; i++)
		if (!attempt->has_scheduler && strcmp(sample->axes[i].name, "bpf") == 0 &&
		    strcmp(sample->axes[i].error, "no_scheduler") == 0)
			sample->axes[i].error = NOT_APPLICABLE;
}

static void take_sample(struct attempt *attempt, size_t index, int64_t offset_ns)
{
	KT_AUTO_ARENA arena = { 0 };
	struct kt_msg_axis axes[CAPTURE_AXES];
	struct kt_msg_sample sample = {
		.tag = kt_arena_printf(&arena, "periodic_%03zu", index),
		.seq = attempt->samples_total,
		.offset_ns = offset_ns,
		.placeholder = "",
		.axes = axes,
		.n_axes = 1,
	};
	int64_t allowed_ns = patience(attempt, KT_PATIENCE_STATS, 0);
	int64_t asked_ns = kt_clock_now_ns();
	bool answers = true;

	ask_for_stats(attempt, &arena, &axes[0], allowed_ns);
	wait_for_boundary(attempt, offset_ns, asked_ns, asked_ns + allowed_ns + STATS_GRACE_NS);
	attempt->stats_axis = NULL; /* it lives here */
	attempt->stats_id++; /* what comes now is for nobody */
	if (attempt->ending)
		return;
	sample.step = attempt->step;
	if (attempt->finished) {
		sample.elapsed_ns = kt_capture_elapsed_ns(&attempt->capture, kt_clock_now_ns());
		sample.placeholder = "the scenario ended before this boundary";
		sample.n_axes = 0;
	} else {
		answers = kt_capture_read(&attempt->capture, &arena, &sample);
		tell_absent_from_gone(attempt, &sample);
	}
	if (sample.placeholder[0])
		sample.n_axes = 0;
	send_sample(attempt, &sample, &arena);
	if (!answers)
		end_with_advice(
			attempt, KT_CAUSE_ID_qemu_died,
			"QEMU does not answer its monitor any more, the guest stands still");
}

/* ---- run ---- */

static int64_t scenario_ns(const struct kt_msg_scenario *scenario)
{
	int64_t ns = 0;

	for (size_t i = 0; i < scenario->n_steps; i++)
		ns = kt_clock_add_ns(ns, scenario->steps[i].hold_ns);
	ns = ns > scenario->duration_ns ? ns : scenario->duration_ns;
	return ns < KT_DURATION_NS_MAX ? ns : KT_DURATION_NS_MAX;
}

static bool somebody_answered(const struct attempt *attempt)
{
	return attempt->in_guest_answer || attempt->finished;
}

/* The scenario should be over. Is it the workers that are stuck, or the whole guest? */
static void end_by_overrun(struct attempt *attempt, const char *what, int64_t allowed_ns)
{
	int64_t probe_ns = patience(attempt, KT_PATIENCE_PROBE, 0);

	attempt->in_guest_answer = false;
	ask_for_stats(attempt, NULL, NULL, probe_ns);
	if (wait_until(attempt, somebody_answered, kt_clock_now_ns() + 2 * probe_ns))
		end_with_advice(attempt, KT_CAUSE_ID_workload_stuck, "%s in %lld s", what,
				(long long)seconds(allowed_ns));
	else
		end_with_advice(attempt, KT_CAUSE_ID_guest_hung,
				"%s in %lld s, and the guest does not answer", what,
				(long long)seconds(allowed_ns));
}

static void serve_boundaries(struct attempt *attempt, int64_t total_ns)
{
	const struct kt_msg_scenario *scenario = attempt->job->scenario;
	size_t n = kt_boundary_count(0, scenario->duration_ns, scenario->samples);
	int64_t allowed_ns = kt_clock_add_ns(total_ns, patience(attempt, KT_PATIENCE_RUN, 0));
	size_t next = 0;

	/* Workers that do not stop may be stalled: the guest lets the kernel name that first. */
	if (attempt->has_scheduler)
		allowed_ns = kt_clock_add_ns(allowed_ns, kt_job_stall_ns(scenario));
	/* When the guest finished, what is left of the boundaries gets its placeholders. */
	while (!attempt->ending && (!attempt->finished || next < n)) {
		int64_t now_ns = kt_clock_now_ns();
		int64_t over_ns = kt_capture_at_ns(&attempt->capture, allowed_ns);
		int64_t offset_ns = next < n ? kt_boundary_at_ns(0, scenario->duration_ns,
								 scenario->samples, next)
					     : allowed_ns;
		int64_t ask_ns =
			kt_capture_at_ns(&attempt->capture, offset_ns - attempt->stats_lead_ns);

		if (now_ns >= over_ns) {
			end_by_overrun(attempt, "the scenario did not end", allowed_ns);
		} else if (next < n && (now_ns >= ask_ns || attempt->finished)) {
			take_sample(attempt, next++, offset_ns);
			if (attempt->placeholders_in_a_row >= 2 && next < n) {
				add_note(attempt,
					 "two captures in a row failed, the other %zu were not "
					 "tried",
					 n - next);
				next = n;
			}
		} else {
			pump(attempt, next < n && ask_ns < over_ns ? ask_ns : over_ns);
		}
	}
}

static void run(struct attempt *attempt)
{
	const struct kt_msg_scenario *scenario = attempt->job->scenario;
	struct kt_msg_guest_run message = { .scenario = attempt->job->scenario,
					    .seed = attempt->job->seed };
	int64_t total_ns = scenario_ns(scenario);
	int64_t allowed_ns = patience(attempt, KT_PATIENCE_START, 0);
	int64_t deadline_ns = kt_clock_now_ns() + allowed_ns;

	enter(attempt, RUN, total_ns, "");
	attempt->run_sent = true;
	if (!tell_guest(attempt, KT_TAG_guest_run, &message, deadline_ns) ||
	    !wait_until(attempt, has_started, deadline_ns)) {
		if (!attempt->ending)
			end_by_overrun(attempt, "the workers did not start", allowed_ns);
		return;
	}
	add_moment(attempt, "anchor", "%s", scenario->name);
	serve_boundaries(attempt, total_ns);
	if (!attempt->ending)
		end(attempt, KT_CAUSE_ID_finished, "%s", kt_cause(KT_CAUSE_ID_finished)->advice);
}

/* ---- drain ---- */

static bool is_off(const struct attempt *attempt)
{
	return attempt->vm.child.pid == 0;
}

/* As wait_until(), for a time in which the attempt has ended already. */
static bool drain_until(struct attempt *attempt, bool (*done)(const struct attempt *attempt),
			int64_t deadline_ns)
{
	while (!done(attempt) && !is_off(attempt) && kt_clock_now_ns() < deadline_ns &&
	       attempt->cause != KT_CAUSE_ID_cancelled && !told_to_end)
		pump(attempt, deadline_ns);
	return done(attempt);
}

static void unload(struct attempt *attempt)
{
	int64_t allowed_ns = patience(attempt, KT_PATIENCE_UNLOAD, 0);
	struct kt_msg_guest_unload message = { .deadline_ns = allowed_ns };

	attempt->done = false;
	kt_vm_send(&attempt->vm, KT_TAG_guest_unload, &message);
	allowed_ns += patience(attempt, KT_PATIENCE_PROBE, 0);
	if (!drain_until(attempt, is_done, kt_clock_now_ns() + allowed_ns) && !is_off(attempt))
		add_note(attempt, "the scheduler did not unload in %lld s",
			 (long long)seconds(allowed_ns));
}

/* Whether asking is worth the time: not after these. */
static bool may_answer(enum kt_cause_id cause)
{
	return cause != KT_CAUSE_ID_guest_hung && cause != KT_CAUSE_ID_guest_lost &&
	       cause != KT_CAUSE_ID_boot_timeout && cause != KT_CAUSE_ID_qemu_died &&
	       cause != KT_CAUSE_ID_cancelled;
}

/* The scheduler prints its last counters when it is stopped in order; a guest that hangs gets no time. */
static void drain(struct attempt *attempt)
{
	struct kt_msg_guest_power_off message = { .panic = false };
	int64_t allowed_ns = patience(attempt, KT_PATIENCE_POWER_OFF, 0);
	bool answers = may_answer(attempt->cause);

	enter(attempt, DRAIN, 0, "");
	if (!is_off(attempt) && answers && attempt->load_sent)
		unload(attempt);
	if (!is_off(attempt) && answers && attempt->ready) {
		attempt->power_off_sent = true;
		kt_vm_send(&attempt->vm, KT_TAG_guest_power_off, &message);
		drain_until(attempt, is_off, kt_clock_now_ns() + allowed_ns);
	}
	kt_vm_kill(&attempt->vm);
}

/* ---- the result ---- */

static void add_evidence(struct attempt *attempt)
{
	struct kt_buf *evidence = &attempt->evidence;
	const struct kt_vm *vm = &attempt->vm;

	if (vm->console.in_trouble) {
		kt_buf_printf(evidence, "%sconsole:\n", evidence->len ? "\n" : "");
		kt_buf_puts(evidence, kt_buf_text(&vm->console.evidence));
	} else if (attempt->cause != KT_CAUSE_ID_finished && vm->console.total > 0 &&
		   evidence->len == 0) {
		kt_buf_puts(evidence, "console, its end:\n");
		kt_console_tail(&vm->console, TAIL_BYTES_MAX, evidence);
	}
	if (vm->words.len > 0)
		kt_buf_printf(evidence, "%sQEMU:\n%s", evidence->len ? "\n" : "",
			      kt_buf_text(&vm->words));
	/* A 0 byte of QEMU or of the guest would end the text for some and not for others. */
	for (size_t i = 0; i < evidence->len; i++)
		if (evidence->data[i] == 0)
			evidence->data[i] = ' ';
}

static void hand_over(struct attempt *attempt)
{
	int64_t deadline_ns = kt_clock_now_ns() + HAND_OVER_S_MAX * KT_NS_PER_S;
	const struct kt_msg_run_start *start = attempt->start;
	struct kt_msg_machine machine = {
		.runner = "qemu",
		.accel = start->accel,
		.guest = "cold",
		.qemu = attempt->qemu_version,
		.cpu_model = start->cpu_model,
		.kernel_release = attempt->kernel_release,
	};
	uint8_t digest[crypto_hash_sha256_BYTES];
	struct kt_msg_result result = {
		.cause = kt_cause(attempt->cause)->name,
		.line = attempt->line,
		.samples_fired = attempt->samples_fired,
		.samples_total = attempt->samples_total,
		.series_digest = { digest, sizeof(digest) },
		.wall_ns = kt_clock_now_ns() - attempt->began_ns,
		.machine = &machine,
		.timeline = attempt->moments,
		.reports = attempt->reports,
		.n_reports = attempt->n_reports,
		.note = kt_buf_text(&attempt->note),
	};
	struct kt_msg_run_ended ended = { .result = &result };

	crypto_hash_sha256_final(&attempt->series, digest);
	add_moment(attempt, "end", "%s", result.cause);
	result.n_timeline = attempt->n_moments;
	add_evidence(attempt);
	result.evidence = kt_buf_text(&attempt->evidence);
	kt_must(kt_framelink_push(&attempt->control, KT_TAG_run_ended, &ended));
	while (attempt->control.out.len > 0 && kt_clock_now_ns() < deadline_ns)
		pump(attempt, deadline_ns);
}

/* ---- the process ---- */

static void on_signal(int sig)
{
	told_to_end = 1;
}

/* SIGTERM is only let in where the loop sleeps. */
static void take_signals(void)
{
	struct sigaction action = { .sa_handler = on_signal };
	sigset_t blocked;

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGTERM);
	sigaddset(&blocked, SIGINT);
	sigprocmask(SIG_BLOCK, &blocked, NULL);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	signal(SIGPIPE, SIG_IGN);
}

/* The other end of fd 3 was made by the agent: when that is not our parent, it died before prctl(). */
static bool die_with_agent(void)
{
	struct ucred agent;
	socklen_t len = sizeof(agent);

	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0)
		return false;
	return getsockopt(KT_ATTEMPT_FD, SOL_SOCKET, SO_PEERCRED, &agent, &len) == 0 &&
	       agent.pid == getppid();
}

static void init(struct attempt *attempt)
{
	static const char *const streams[] = { "console", "scheduler", "qemu", "worker" };

	struct kt_vm_events events = { take_frame, take_log, attempt };

	memset(attempt, 0, sizeof(*attempt));
	attempt->began_ns = kt_clock_now_ns();
	attempt->kernel_release = "";
	attempt->stats_lead_ns = STATS_LEAD_NS;
	attempt->evidence.max = EVIDENCE_BYTES_MAX;
	attempt->note.max = KT_TEXT_BYTES_MAX - 1;
	kt_vm_init(&attempt->vm, &events);
	for (size_t i = 0; i < 4; i++)
		attempt->logs[i].stream = streams[i];
	kt_framelink_init(&attempt->control, &kt_schema_runner, KT_ATTEMPT_FD,
			  KT_SERIES_BYTES_MAX + 2 * LOG_QUEUE_BYTES);
	fcntl(KT_ATTEMPT_FD, F_SETFD, FD_CLOEXEC);
	crypto_hash_sha256_init(&attempt->series);
}

static bool get_start(struct attempt *attempt)
{
	int64_t deadline_ns = attempt->began_ns + START_S_MAX * KT_NS_PER_S;

	while (!attempt->start && !attempt->ending && kt_clock_now_ns() < deadline_ns) {
		struct pollfd fd = { attempt->control.fd, POLLIN, 0 };

		poll(&fd, 1, (int)((deadline_ns - kt_clock_now_ns()) / KT_NS_PER_MS) + 1);
		digest_control(attempt);
	}
	if (!attempt->start)
		return false;
	attempt->job = attempt->start->job;
	attempt->kvm = strcmp(attempt->start->accel, "kvm") == 0;
	attempt->cpus = kt_qemu_cpus(attempt->job->topology);
	attempt->has_scheduler = attempt->job->scheduler->n_args > 0;
	attempt->capture.vm = &attempt->vm;
	attempt->capture.freeze_ns_max = patience(attempt, KT_PATIENCE_FREEZE, 0);
	return true;
}

static void destroy(struct attempt *attempt)
{
	kt_introspect_destroy(&attempt->introspect);
	kt_gmem_destroy(&attempt->gmem);
	kt_introspect_kernel_destroy(&attempt->kernel);
	kt_vm_destroy(&attempt->vm);
	kt_framelink_destroy(&attempt->control);
	kt_buf_destroy(&attempt->evidence);
	kt_buf_destroy(&attempt->note);
	kt_arena_destroy(&attempt->arena);
}

int kt_attempt_main(void)
{
	static struct attempt attempt; /* large, and there is one */
	static void (*const phases[])(struct attempt * attempt) = { boot, load, run };

	if (!die_with_agent()) {
		fprintf(stderr, "ktworker attempt: is only started by ktworker itself\n");
		return 2;
	}
	take_signals();
	init(&attempt);
	if (!get_start(&attempt))
		return 1;
	for (size_t i = 0; i < 3 && !attempt.ending; i++)
		phases[i](&attempt);
	drain(&attempt);
	hand_over(&attempt);
	destroy(&attempt);
	return 0;
}
