/* log.h - one logfmt line per event, on stderr. Only the shells log; cores and proto never do.
 *
 *	KT_LOG("lease_granted", "cell=%llu host=%s", cell, host);
 *	2026-11-23T10:38:52.113Z ktcoord lease_granted cell=7 host=lab3
 *
 * Values that may hold spaces or quotes go through kt_log_quote().
 */
#ifndef KT_LOG_H
#define KT_LOG_H

#include <stdbool.h>

void kt_log_open(const char *program, bool enabled);
__attribute__((format(printf, 2, 3))) void kt_log_line(const char *event, const char *format, ...);
/* A logfmt value: quoted when it must be, control characters escaped. Valid until the fourth next
 * call; not for threads.
 */
const char *kt_log_quote(const char *text);

#define KT_LOG(event_, ...) kt_log_line(event_, __VA_ARGS__)

#endif
