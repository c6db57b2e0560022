/* attempt_main.h - the process that has one guest: `ktworker attempt`, started by guestproc.c.
 *
 *	fd 3    a socketpair to the agent, frames of runner.def
 *	fd 4    a template's device state, fd 5 and on its RAM: role warm reads them, role template fills them
 *
 *	cold      run_start, boot ----> load ----> run ----> drain ----> run_ended        (run: the scenario, or a shell)
 *	                       |          |         |          |            ^
 *	                       +----------+---------+----------+------------+   panic, death, deadline, cancel
 *	warm      restore, run_up, (stand still until) run_start, load ----> as above; run_broke before run_start
 *	template  boot, save, run_saved; run_broke
 *
 * One process per guest, because it parses what an untrusted guest says and holds in its memory: when it
 * dies, only its guest does. It dies with the agent, QEMU dies with it, and neither leaves a file.
 */
#ifndef KT_ATTEMPT_MAIN_H
#define KT_ATTEMPT_MAIN_H

#define KT_ATTEMPT_MAIN_FD 3

/* Never returns before the attempt is over. The exit status of the process: 0 when a result was handed
 * over.
 */
int kt_attempt_main(void);

#endif
