#include "worker/attempt.h"
#include "proto/base/clock.h"
#include "proto/base/limits.h"
#include "proto/base/must.h"

#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define PANIC_NS_MAX       (5 * KT_NS_PER_S) /* from the panic's line to QEMU's end */
#define EVIDENCE_BYTES_MAX (192u << 10) /* a whole dump, and what the kernel said */
#define LOG_QUEUE_BYTES    (4u << 20) /* beyond it pieces of logs are dropped, never samples */
#define DETAIL_BYTES_MAX   256 /* of a moment */

static const char *const phase_names[] = {
	[KT_ATTEMPT_BOOT] = "boot",   [KT_ATTEMPT_LOAD] = "load",   [KT_ATTEMPT_RUN] = "run",
	[KT_ATTEMPT_SHELL] = "shell", [KT_ATTEMPT_DRAIN] = "drain",
};

volatile sig_atomic_t kt_attempt_told_to_end;

void kt_attempt_init(struct kt_attempt *attempt, int control_fd, const struct kt_vm_events *events)
{
	static const char *const streams[] = { "console", "scheduler", "qemu", "worker" };

	memset(attempt, 0, sizeof(*attempt));
	attempt->began_ns = kt_clock_now_ns();
	attempt->kernel_release = "";
	attempt->topology_seen = "";
	attempt->evidence.max = EVIDENCE_BYTES_MAX;
	attempt->note.max = KT_TEXT_BYTES_MAX - 1;
	kt_vm_init(&attempt->vm, events);
	kt_sampling_init(&attempt->sampling);
	for (size_t i = 0; i < KT_ATTEMPT_LOGS; i++)
		attempt->logs[i].stream = streams[i];
	kt_framelink_init(&attempt->control, &kt_schema_runner, control_fd,
			  KT_SERIES_BYTES_MAX + 2 * LOG_QUEUE_BYTES);
	fcntl(control_fd, F_SETFD, FD_CLOEXEC);
}

void kt_attempt_destroy(struct kt_attempt *attempt)
{
	kt_monitor_destroy(&attempt->monitor);
	kt_introspect_destroy(&attempt->introspect);
	kt_gmem_destroy(&attempt->gmem);
	kt_introspect_kernel_destroy(&attempt->kernel);
	kt_vm_destroy(&attempt->vm);
	kt_framelink_destroy(&attempt->control);
	kt_buf_destroy(&attempt->evidence);
	kt_buf_destroy(&attempt->note);
	kt_arena_destroy(&attempt->arena);
	kt_arena_destroy(&attempt->guest_arena);
	kt_arena_destroy(&attempt->start_arena);
}

/* ---- telling the agent ---- */

/* A first line is one line, whoever wrote it. */
static void flatten(char *text)
{
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < 0x20 || *c == 0x7f)
			*c = ' ';
}

static void pass_log(struct kt_attempt *attempt, const char *stream, const void *bytes, size_t len)
{
	struct kt_msg_run_log piece = { .stream = stream };
	const uint8_t *at = bytes;

	for (; len > 0; at += piece.body.len, len -= piece.body.len) {
		piece.body.data = at;
		piece.body.len = len < KT_LOG_PIECE_BYTES_MAX ? len : KT_LOG_PIECE_BYTES_MAX;
		kt_framelink_push(&attempt->control, KT_TAG_run_log, &piece);
	}
}

void kt_attempt_log(struct kt_attempt *attempt, const char *stream, const void *bytes, size_t len)
{
	struct kt_attempt_log *budget = attempt->logs;

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

void kt_attempt_say(struct kt_attempt *attempt, const char *format, ...)
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
	kt_attempt_log(attempt, "worker", text, (size_t)len);
}

void kt_attempt_note(struct kt_attempt *attempt, const char *format, ...)
{
	char text[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	flatten(text);
	kt_buf_printf(&attempt->note, "%s%s", attempt->note.len ? "; " : "", text);
	kt_attempt_say(attempt, "note: %s", text);
}

static void add_moment(struct kt_attempt *attempt, const struct kt_msg_moment *from)
{
	struct kt_msg_moment *moment = &attempt->moments[attempt->n_moments];
	char detail[DETAIL_BYTES_MAX];

	if (attempt->n_moments == KT_ATTEMPT_MOMENTS_MAX)
		return;
	snprintf(detail, sizeof(detail), "%s", from->detail);
	flatten(detail);
	*moment = *from;
	moment->at_ns = kt_clock_now_ns() - attempt->began_ns;
	moment->detail = kt_arena_strdup(&attempt->arena, detail);
	attempt->n_moments++;
}

void kt_attempt_moment(struct kt_attempt *attempt, const char *name, const char *format, ...)
{
	char detail[DETAIL_BYTES_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(detail, sizeof(detail), format, args);
	va_end(args);
	add_moment(attempt, &(struct kt_msg_moment){ .name = name, .detail = detail });
}

void kt_attempt_event(struct kt_attempt *attempt, const struct kt_msg_moment *event)
{
	struct kt_msg_moment moment = *event;
	char *name;

	if (attempt->n_events++ >= KT_ATTEMPT_EVENTS_MAX)
		return;
	name = kt_arena_strdup(&attempt->arena, event->name);
	flatten(name);
	moment.name = name;
	add_moment(attempt, &moment);
}

void kt_attempt_enter(struct kt_attempt *attempt, enum kt_attempt_phase phase, int64_t left_ns,
		      const char *detail)
{
	struct kt_msg_run_phase message = { .phase = phase_names[phase],
					    .left_ns = left_ns,
					    .detail = detail };

	attempt->phase = phase;
	kt_attempt_moment(attempt, phase_names[phase], "%s", detail);
	kt_framelink_push(&attempt->control, KT_TAG_run_phase, &message);
	kt_framelink_flush(&attempt->control, NULL); /* now: opening a kernel may take a second */
}

/* ---- ending ---- */

/* What may happen after the scenario's good end, and is worse. */
static bool is_worse_than_finished(enum kt_cause_id cause)
{
	return cause == KT_CAUSE_ID_kernel_panic || cause == KT_CAUSE_ID_scheduler_unload_timeout;
}

void kt_attempt_end(struct kt_attempt *attempt, enum kt_cause_id cause, const char *format, ...)
{
	va_list args;

	if (attempt->ending &&
	    !(attempt->cause == KT_CAUSE_ID_finished && is_worse_than_finished(cause)))
		return;
	attempt->ending = true;
	attempt->cause = cause;
	va_start(args, format);
	vsnprintf(attempt->line, sizeof(attempt->line), format, args);
	va_end(args);
	flatten(attempt->line);
}

void kt_attempt_end_with_advice(struct kt_attempt *attempt, enum kt_cause_id cause,
				const char *format, ...)
{
	char what[1024];
	va_list args;

	va_start(args, format);
	vsnprintf(what, sizeof(what), format, args);
	va_end(args);
	kt_attempt_end(attempt, cause, "%s; %s", what, kt_cause(cause)->advice);
}

const char *kt_attempt_while_doing(const struct kt_attempt *attempt)
{
	static const char *const words[] = {
		[KT_ATTEMPT_BOOT] = "while the guest booted",
		[KT_ATTEMPT_LOAD] = "while the scheduler was loaded",
		[KT_ATTEMPT_RUN] = "while the scenario ran",
		[KT_ATTEMPT_SHELL] = "while the shell was open",
		[KT_ATTEMPT_DRAIN] = "after the scenario, while the scheduler was unloaded",
	};

	return words[attempt->phase];
}

enum kt_cause_id kt_attempt_lost(const struct kt_attempt *attempt)
{
	return attempt->run_sent ? KT_CAUSE_ID_guest_hung : KT_CAUSE_ID_guest_lost;
}

/* Before anything of the cell ran it is the host's trouble; from the load on the scheduler's. */
static void end_by_panic(struct kt_attempt *attempt, const char *what)
{
	bool ours = !attempt->load_sent && !attempt->run_sent;

	kt_attempt_end(attempt, ours ? KT_CAUSE_ID_boot_panic : KT_CAUSE_ID_kernel_panic,
		       "the guest's kernel died %s: %s; read the console log",
		       kt_attempt_while_doing(attempt), what);
}

/* QEMU is gone and we did not kill it: who did? */
static void judge_end(struct kt_attempt *attempt)
{
	const struct kt_vm *vm = &attempt->vm;
	KT_AUTO_BUF how = { 0 };
	enum kt_cause_id cause;

	if (vm->console.panicked) {
		end_by_panic(attempt, vm->console.panic_line);
	} else if (strcmp(vm->qmp.shutdown_reason, "guest-reset") == 0) {
		end_by_panic(attempt, "it reset itself without a word");
	} else if (kt_vm_guest_ended_it(vm)) {
		kt_attempt_end_with_advice(attempt, kt_attempt_lost(attempt),
					   "the guest powered itself off %s",
					   kt_attempt_while_doing(attempt));
	} else {
		kt_vm_describe_end(vm, &how);
		cause = attempt->phase == KT_ATTEMPT_BOOT
				? kt_qemu_last_words(kt_buf_text(&vm->words), vm->kvm)
				: KT_CAUSE_ID_qemu_died;
		kt_attempt_end(
			attempt, cause,
			"QEMU ended %s: %s; look at its last words and at who may have killed it",
			kt_attempt_while_doing(attempt), kt_buf_text(&how));
	}
}

void kt_attempt_look(struct kt_attempt *attempt)
{
	struct kt_vm *vm = &attempt->vm;

	if (kt_attempt_told_to_end)
		kt_attempt_end(attempt, KT_CAUSE_ID_cancelled,
			       "the attempt was told to end (SIGTERM)");
	if (vm->console.panicked && attempt->panicked_at_ns == 0)
		attempt->panicked_at_ns = kt_clock_now_ns();
	if (vm->ended) {
		judge_end(attempt);
	} else if (attempt->panicked_at_ns > 0 &&
		   kt_clock_now_ns() > attempt->panicked_at_ns + PANIC_NS_MAX) {
		kt_vm_kill(vm); /* panic=-1 did not end it */
		judge_end(attempt);
	} else if (vm->channel_broken) {
		kt_attempt_end_with_advice(attempt, kt_attempt_lost(attempt),
					   "the guest's channel broke %s: %s",
					   kt_attempt_while_doing(attempt), vm->channel_err.text);
	}
}

/* ---- the loop ---- */

void kt_attempt_listen(struct kt_attempt *attempt)
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

			kt_attempt_end(attempt, KT_CAUSE_ID_cancelled, "%s",
				       cancel->reason[0] ? cancel->reason
							 : "the attempt was cancelled");
		} else if (message->tag == KT_TAG_run_guest && !attempt->guest) {
			attempt->guest = frame;
			attempt->guest_arena = arena;
			arena = (struct kt_arena){ 0 };
		} else if (message->tag == KT_TAG_run_start && !attempt->start) {
			attempt->start = frame;
			attempt->start_arena = arena;
			arena = (struct kt_arena){ 0 };
		} else {
			kt_shell_hear_agent(attempt, message->tag, frame);
		}
	}
}

void kt_attempt_pump(struct kt_attempt *attempt, int64_t until_ns)
{
	struct pollfd fds[1 + KT_VM_POLL_FDS];
	int64_t look_ns = kt_monitor_due_ns(attempt);
	int64_t left_ns = (until_ns < look_ns ? until_ns : look_ns) - kt_clock_now_ns();
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
	kt_attempt_listen(attempt);
	kt_vm_digest(&attempt->vm);
	kt_attempt_look(attempt);
	kt_monitor_look(attempt);
}

bool kt_attempt_wait_until(struct kt_attempt *attempt,
			   bool (*done)(const struct kt_attempt *attempt), int64_t deadline_ns)
{
	while (!done(attempt)) {
		if (attempt->ending || kt_clock_now_ns() >= deadline_ns)
			return false;
		kt_attempt_pump(attempt, deadline_ns);
	}
	return !attempt->ending;
}

int64_t kt_attempt_patience(const struct kt_attempt *attempt, enum kt_patience what, uint64_t units)
{
	return kt_patience_ns(what, attempt->kvm, attempt->cpus, units);
}

int64_t kt_attempt_seconds(int64_t ns)
{
	return (ns + KT_NS_PER_S / 2) / KT_NS_PER_S;
}

bool kt_attempt_tell_guest(struct kt_attempt *attempt, uint32_t tag, const void *message,
			   int64_t deadline_ns)
{
	while (!kt_vm_send(&attempt->vm, tag, message)) {
		if (attempt->ending || kt_clock_now_ns() >= deadline_ns)
			return false;
		kt_attempt_pump(attempt, deadline_ns);
	}
	return true;
}

bool kt_attempt_is_done(const struct kt_attempt *attempt)
{
	return attempt->done;
}

const char *kt_attempt_file_path(const struct kt_attempt *attempt, const struct kt_bin *digest)
{
	for (size_t i = 0; i < attempt->start->n_files; i++) {
		const struct kt_msg_local_file *file = &attempt->start->files[i];

		if (file->digest.len == digest->len &&
		    memcmp(file->digest.data, digest->data, digest->len) == 0)
			return file->path;
	}
	return NULL;
}

bool kt_attempt_request(struct kt_attempt *attempt, uint32_t tag, const void *message,
			int64_t deadline_ns)
{
	attempt->done = false;
	return kt_attempt_tell_guest(attempt, tag, message, deadline_ns) &&
	       kt_attempt_wait_until(attempt, kt_attempt_is_done, deadline_ns);
}
