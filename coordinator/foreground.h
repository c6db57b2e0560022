/* foreground.h - runs a program that has our terminal to itself, to its end.
 *
 * It is in our process group, so what the terminal's keys send reaches both; a signal that somebody sends to us alone is
 * passed on. It gets SIGTERM when we are killed. When it is gone the terminal's settings are as they were
 * before, however it went.
 */
#ifndef KT_FOREGROUND_H
#define KT_FOREGROUND_H

#include "proto/base/err.h"

/* argv[0]: a path. fd becomes descriptor 3 of the program. *wait_status as of waitpid(2). Fault HOST when it
 * could not be started.
 */
int kt_foreground_run(const char *const *argv, int fd, int *wait_status, struct kt_err *err);

#endif
