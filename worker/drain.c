#include "worker/drain.h"
#include "proto/base/clock.h"
#include "worker/attempt.h"

#define SILENCE_NS (200 * KT_NS_PER_MS) /* of a console: the kernel has said what it had to say */

static bool is_off(const struct kt_attempt *attempt)
{
	return attempt->vm.child.pid == 0;
}

/* As kt_attempt_wait_until(), for a time in which the attempt has ended already. */
static bool drain_until(struct kt_attempt *attempt, bool (*done)(const struct kt_attempt *attempt),
			int64_t deadline_ns)
{
	while (!done(attempt) && !is_off(attempt) && kt_clock_now_ns() < deadline_ns &&
	       attempt->cause != KT_CAUSE_ID_cancelled && !kt_attempt_told_to_end)
		kt_attempt_pump(attempt, deadline_ns);
	return done(attempt);
}

static void unload(struct kt_attempt *attempt)
{
	int64_t allowed_ns = kt_attempt_patience(attempt, KT_PATIENCE_UNLOAD, 0);
	struct kt_msg_guest_unload message = { .deadline_ns = allowed_ns };

	attempt->done = false;
	kt_vm_send(&attempt->vm, KT_TAG_guest_unload, &message);
	allowed_ns += kt_attempt_patience(attempt, KT_PATIENCE_PROBE, 0);
	if (!drain_until(attempt, kt_attempt_is_done, kt_clock_now_ns() + allowed_ns) &&
	    !is_off(attempt))
		kt_attempt_note(attempt, "the scheduler did not unload in %lld s",
				(long long)kt_attempt_seconds(allowed_ns));
}

/* A kernel in trouble is heard out: as long as its console speaks, and to the end when it said that it
 * panics. oops=panic makes one of every oops.
 */
static void hear_out(struct kt_attempt *attempt)
{
	const struct kt_console *console = &attempt->vm.console;
	int64_t patience_ns = kt_attempt_patience(attempt, KT_PATIENCE_LAST_WORDS, 0);
	int64_t deadline_ns = kt_clock_now_ns() + patience_ns;
	bool had_panicked = false;
	size_t heard;

	kt_attempt_pump(attempt, 0); /* what it has said by now */
	if (!console->in_trouble)
		return;
	do {
		heard = console->total;
		had_panicked = console->panicked;
		drain_until(attempt, is_off,
			    had_panicked ? deadline_ns : kt_clock_now_ns() + SILENCE_NS);
	} while (!had_panicked && console->total > heard && kt_clock_now_ns() < deadline_ns);
}

/* Whether asking is worth the time: not after these. */
static bool may_answer(enum kt_cause_id cause)
{
	return cause != KT_CAUSE_ID_guest_hung && cause != KT_CAUSE_ID_guest_lost &&
	       cause != KT_CAUSE_ID_boot_timeout && cause != KT_CAUSE_ID_qemu_died &&
	       cause != KT_CAUSE_ID_cancelled;
}

void kt_drain(struct kt_attempt *attempt)
{
	kt_attempt_enter(attempt, KT_ATTEMPT_DRAIN, 0, "");
	if (!is_off(attempt) && may_answer(attempt->cause)) {
		if (attempt->load_sent && !kt_shell_is_wanted(attempt)) /* nobody asks how */
			unload(attempt);
		hear_out(attempt);
	}
	kt_vm_kill(&attempt->vm);
	kt_attempt_look(attempt); /* at what was in its wires still */
}
