/* log.h - one logfmt line per event, on stderr or in a file. Only the shells log; cores and proto never do.
 *
 *	KT_LOG("lease_granted", "cell=%llu host=%s", cell, host);
 *	2026-11-23T10:38:52.113Z ktcoord lease_granted cell=7 host=lab3
 *
 * Values that may hold spaces or quotes go through kt_log_quote(). docs/operating.md lists the events.
 */
#ifndef KT_LOG_H
#define KT_LOG_H

#include <stdbool.h>
#include <stddef.h>

/* enabled: on stderr. */
void kt_log_open(const char *program, bool enabled);
/* Lines go to the end of this file too, and wait for kt_log_flush() when they are not many; beyond bytes_max it becomes
 * path.1 and another is begun, so twice as much is what all of it takes. -errno.
 */
int kt_log_file(const char *path, size_t bytes_max);
/* stderr itself becomes that file, with all that this process and its children write there; no flush is needed. */
int kt_log_stderr(const char *path, size_t bytes_max);
void kt_log_flush(void);
__attribute__((format(printf, 2, 3))) void kt_log_line(const char *event, const char *format, ...);
/* A logfmt value: quoted when it must be, control characters escaped. Valid until the eighth next
 * call; not for threads.
 */
const char *kt_log_quote(const char *text);

#define KT_LOG(event_, ...) kt_log_line(event_, __VA_ARGS__)

#endif
