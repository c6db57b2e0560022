/* guest.h - what ktguest does once the machine stands: serve one host, one request after another.
 *
 * One thread, one poll(2). Modules never wait; each says what it wants to be woken for (an fd, a
 * moment) and is stepped. So stats are answered, logs flow and the scheduler is watched while a
 * scenario runs.
 */
#ifndef KT_GUEST_H
#define KT_GUEST_H

#include "proto/base/err.h"

/* Returns with an error, when it cannot go on: a host that is done kills the guest. signal_fd: a
 * signalfd of SIGCHLD. Waits for the port and for the host.
 */
int kt_guest_serve(int signal_fd, struct kt_err *err);

#endif
