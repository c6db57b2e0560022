/* attempt_main.h - the process that runs one attempt: `ktworker attempt`, started by runner_qemu.c.
 *
 *	fd 3   a socketpair to the agent, frames of runner.def
 *
 *	boot ----> load ----> run ----> drain ----> result
 *	  |          |         |          |            ^
 *	  +----------+---------+----------+------------+   panic, death, deadline, cancel, guest_failed
 *
 * One process per attempt, because it parses what an untrusted guest says and holds in its memory: when it
 * dies, only its attempt does. It dies with the agent, QEMU dies with it, and neither leaves a file.
 */
#ifndef KT_ATTEMPT_MAIN_H
#define KT_ATTEMPT_MAIN_H

#define KT_ATTEMPT_MAIN_FD 3

/* Never returns before the attempt is over. The exit status of the process: 0 when a result was handed
 * over.
 */
int kt_attempt_main(void);

#endif
