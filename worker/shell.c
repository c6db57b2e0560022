#include "worker/shell.h"
#include "proto/base/clock.h"
#include "proto/base/must.h"
#include "worker/attempt.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#define LOOK_NS (3600 * KT_NS_PER_S) /* one round of waiting for somebody to type */

bool kt_shell_is_wanted(const struct kt_attempt *attempt)
{
	return attempt->start && attempt->start->shell;
}

__attribute__((format(printf, 2, 3))) static void tell(struct kt_attempt *attempt,
						       const char *format, ...)
{
	char line[KT_TEXT_BYTES_MAX];
	struct kt_msg_run_told told = { .line = line };
	va_list args;

	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	kt_framelink_push(&attempt->control, KT_TAG_run_told, &told);
}

static void pass_to_guest(struct kt_attempt *attempt, uint32_t tag, const void *message)
{
	if (!kt_vm_send(&attempt->vm, tag, message))
		kt_attempt_end_with_advice(attempt, KT_CAUSE_ID_guest_hung,
					   "the guest does not take in what it is told");
}

static void end_by_window(struct kt_attempt *attempt, const char *what)
{
	kt_attempt_end_with_advice(attempt, KT_CAUSE_ID_guest_hung,
				   "the guest %s more than it may: it does not keep to its window",
				   what);
}

/* ---- to the guest ---- */

void kt_shell_hear_agent(struct kt_attempt *attempt, uint32_t tag, const void *frame)
{
	const struct kt_msg_run_typed *typed = frame;
	const struct kt_msg_run_window *window = frame;
	const struct kt_msg_run_showed *showed = frame;
	struct kt_shell *shell = &attempt->shell;

	if (attempt->phase != KT_ATTEMPT_SHELL)
		return; /* it has ended meanwhile */
	if (tag == KT_TAG_run_typed) {
		shell->typed_bytes += typed->body.len;
		pass_to_guest(attempt, KT_TAG_guest_typed,
			      &(struct kt_msg_guest_typed){ typed->body, typed->eof });
	} else if (tag == KT_TAG_run_window) {
		pass_to_guest(attempt, KT_TAG_guest_window,
			      &(struct kt_msg_guest_window){ window->rows, window->cols });
	} else if (tag == KT_TAG_run_showed) {
		kt_must(showed->bytes <= shell->printed_bytes);
		shell->printed_bytes -= showed->bytes;
		pass_to_guest(attempt, KT_TAG_guest_showed,
			      &(struct kt_msg_guest_showed){ showed->bytes });
	}
}

/* ---- to the agent ---- */

void kt_shell_printed(struct kt_attempt *attempt, void *frame)
{
	const struct kt_msg_guest_printed *printed = frame;
	struct kt_msg_run_printed passed = { printed->stream, printed->body };

	if (printed->body.len > KT_SHELL_WINDOW_BYTES - attempt->shell.printed_bytes) {
		end_by_window(attempt, "prints");
		return;
	}
	attempt->shell.printed_bytes += printed->body.len;
	kt_framelink_push(&attempt->control, KT_TAG_run_printed, &passed);
}

void kt_shell_took(struct kt_attempt *attempt, void *frame)
{
	const struct kt_msg_guest_took *took = frame;
	struct kt_msg_run_took passed = { took->bytes };

	if (took->bytes > attempt->shell.typed_bytes) {
		end_by_window(attempt, "takes");
		return;
	}
	attempt->shell.typed_bytes -= took->bytes;
	kt_framelink_push(&attempt->control, KT_TAG_run_took, &passed);
}

void kt_shell_ended(struct kt_attempt *attempt, void *frame)
{
	const struct kt_msg_guest_shell_ended *ended = frame;
	struct kt_msg_run_shell_ended passed = { ended->status, ended->signal };

	kt_framelink_push(&attempt->control, KT_TAG_run_shell_ended, &passed);
	kt_attempt_end(attempt, KT_CAUSE_ID_finished, "the shell's program ended");
}

bool kt_shell_survives(struct kt_attempt *attempt, const struct kt_msg_guest_failed *failed)
{
	bool loading = attempt->phase == KT_ATTEMPT_LOAD && kt_shell_is_wanted(attempt) &&
		       attempt->start->shell->tty;

	if (attempt->phase == KT_ATTEMPT_SHELL && strcmp(failed->what, "scheduler") == 0) {
		tell(attempt, "the scheduler is gone, the kernel's own goes on: %s", failed->line);
		return true;
	}
	if (!loading || (strcmp(failed->what, "load") != 0 && strcmp(failed->what, "unload") != 0))
		return false;
	tell(attempt, "%s; the kernel's own schedules", failed->line);
	attempt->shell.without_scheduler = true;
	attempt->done = true;
	return true;
}

/* ---- the phase ---- */

/* What is left of one that was refused: its program may still be at it. */
static bool clear_away(struct kt_attempt *attempt)
{
	int64_t allowed_ns = kt_attempt_patience(attempt, KT_PATIENCE_UNLOAD, 0);
	struct kt_msg_guest_unload message = { .deadline_ns = allowed_ns };

	allowed_ns += kt_attempt_patience(attempt, KT_PATIENCE_PROBE, 0);
	if (!kt_attempt_request(attempt, KT_TAG_guest_unload, &message,
				kt_clock_now_ns() + allowed_ns))
		kt_attempt_end_with_advice(
			attempt, KT_CAUSE_ID_guest_hung,
			"the guest did not say in %lld s that the refused scheduler is gone",
			(long long)kt_attempt_seconds(allowed_ns));
	return !attempt->ending;
}

static void open_it(struct kt_attempt *attempt)
{
	int64_t allowed_ns = kt_attempt_patience(attempt, KT_PATIENCE_START, 0);
	struct kt_msg_shell shell = *attempt->start->shell;
	struct kt_msg_guest_shell message = { .shell = &shell };

	shell.n_files = 0; /* they are there */
	attempt->run_sent = true; /* from here on what happens is somebody's doing */
	if (!kt_attempt_request(attempt, KT_TAG_guest_shell, &message,
				kt_clock_now_ns() + allowed_ns))
		kt_attempt_end_with_advice(attempt, KT_CAUSE_ID_guest_hung,
					   "the guest did not open a shell in %lld s",
					   (long long)kt_attempt_seconds(allowed_ns));
}

void kt_shell_run(struct kt_attempt *attempt)
{
	const struct kt_msg_run_guest *guest = attempt->guest;
	bool own = !attempt->has_scheduler || attempt->shell.without_scheduler;
	char what[512];

	if (attempt->shell.without_scheduler && !clear_away(attempt))
		return;
	snprintf(what, sizeof(what), "kernel %s, %s%s, topology %s, %s", attempt->kernel_release,
		 own ? "its own scheduler" : "scheduler ", own ? "" : attempt->job->scheduler->name,
		 guest->topology->name, guest->accel);
	kt_attempt_enter(attempt, KT_ATTEMPT_SHELL, 0, what);
	open_it(attempt);
	while (!attempt->ending)
		kt_attempt_pump(attempt, kt_clock_now_ns() + LOOK_NS);
}
