/* shellmain.h - the process that somebody sits at: `ktworker shell`, started by `ktcoord shell` and by nobody else.
 *
 *	fd 0, 1, 2   the user's
 *	fd 3         the order: an encoded run_start (runner.def) with a shell in it, in a file
 *
 *	ktcoord shell -- ktworker shell (terminal) -- ktworker attempt (guest) -- QEMU
 *
 * The guest is had as a cell has it (runner_qemu.c): from a template, made when there is none, or booted. When any
 * of these processes is killed, those to the right of it die with it.
 *
 * Exit status: the program's own, 128 and the signal's number when a signal ended it, as a shell says it. When it
 * is not the program's, the last thing on standard error is a line that begins with "ktcoord: ", and the status
 * is one of those below, or 128 and the number of the signal that ended us.
 */
#ifndef KT_SHELLMAIN_H
#define KT_SHELLMAIN_H

#include "proto/base/err.h"
#include "proto/schema.h"

#define KT_SHELLMAIN_FD 3
#define KT_SHELLMAIN_EXIT_GUEST \
	1 /* the guest's kernel or scheduler did it: nothing that another try would mend */
#define KT_SHELLMAIN_EXIT_INFRA 3 /* this host */

struct kt_shellmain_config {
	const char
		*state_dir; /* templates and kernels are kept below it, as the agent keeps them */
	const char *accel; /* proven */
	const char *qemu;
	const char *ktguest;
	const char *cpu_model;
	uint64_t mem_bytes;
	uint64_t cache_bytes_max;
	bool verbose; /* the guest's logs, on standard error */
};

/* Blocks until it is over, the guest is gone and the terminal as it was. Returns the exit status. */
int kt_shellmain_run(const struct kt_shellmain_config *config);

#endif
