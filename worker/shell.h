/* shell.h - the third phase of an attempt whose guest somebody looks at, in place of the scenario (sampling.h).
 *
 *	agent  -- run_typed, run_window, run_showed -->  attempt  -- guest_typed, guest_window, guest_showed --> guest
 *	       <-- run_printed, run_took, run_told ----           <-- guest_printed, guest_took, guest_failed --
 *
 * A relay. What is under way is credited from end to end (KT_SHELL_WINDOW_BYTES each way), so that it needs no
 * queue of its own; a guest that does not keep to it ends the attempt. The terminal itself is the agent's: this
 * process parses what the guest says, and has no hold on the user's terminal (worker/shellmain.h).
 *
 * A scheduler that is lost is told, and the shell goes on under the kernel's own. One that is refused at load ends
 * the attempt when a command is to be run; whoever sits at a terminal gets the guest without it.
 */
#ifndef KT_SHELL_H
#define KT_SHELL_H

#include "proto/schema.h"

#include <stdbool.h>

struct kt_attempt;

struct kt_shell {
	bool without_scheduler; /* it was refused; the shell opens all the same */
	size_t typed_bytes; /* sent to the guest, not yet taken in */
	size_t printed_bytes; /* passed on to the agent, not yet shown */
};

bool kt_shell_is_wanted(const struct kt_attempt *attempt);
void kt_shell_run(struct kt_attempt *attempt);

/* What the agent says of it. */
void kt_shell_hear_agent(struct kt_attempt *attempt, uint32_t tag, const void *frame);
/* True: it was about the scheduler, was told, and the shell goes on. */
bool kt_shell_survives(struct kt_attempt *attempt, const struct kt_msg_guest_failed *failed);
void kt_shell_printed(struct kt_attempt *attempt, void *frame);
void kt_shell_took(struct kt_attempt *attempt, void *frame);
void kt_shell_ended(struct kt_attempt *attempt, void *frame);

#endif
