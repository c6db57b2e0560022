/* logtail.h - the end of a log: what a reader needs of it, within a limit.
 *
 * Pure. A verifier's log repeats itself; runs of equal lines become one line and a count. 0 bytes
 * (which may not travel in a text) become '?'.
 */
#ifndef KT_LOGTAIL_H
#define KT_LOGTAIL_H

#include "proto/base/buf.h"

#define KT_LOGTAIL_BYTES_MAX (64u << 10)

/* Keeps the newest KT_LOGTAIL_BYTES_MAX bytes (a little more between two calls). */
void kt_logtail_append(struct kt_buf *tail, const void *bytes, size_t len);
/* Appends the collapsed lines to out, at most max bytes of them, cut at the front between two lines. */
void kt_logtail_collapse(const struct kt_buf *tail, size_t max, struct kt_buf *out);
/* The last line that is not blank, cut to room; "" when there is none. */
void kt_logtail_last_line(const struct kt_buf *tail, char *line, size_t room);

#endif
