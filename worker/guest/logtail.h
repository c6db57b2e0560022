/* logtail.h - the end of a log: what a reader needs of it, within a limit.
 *
 * Pure. Lines that come again and again become one block and a number (logcycle.h), loops within loops as well;
 * of what remains the newest is kept. 0 bytes (which may not travel in a text) become '?'.
 */
#ifndef KT_LOGTAIL_H
#define KT_LOGTAIL_H

#include "worker/guest/logcycle.h"

#define KT_LOGTAIL_BYTES_MAX      (160u << 10)
#define KT_LOGTAIL_LINE_BYTES_MAX 4096 /* a longer one is broken */

struct kt_logtail {
	struct kt_buf line; /* the one that has no end yet */
	struct kt_logcycle inner;
	struct kt_logcycle outer; /* takes what inner lets out */
	struct kt_buf text; /* whole lines */
	/* Sees every line as it came, may be NULL. */
	void (*look)(void *arg, const char *line);
	void *arg;
};

void kt_logtail_init(struct kt_logtail *tail);
void kt_logtail_destroy(struct kt_logtail *tail); /* frees the memory, not the struct */
void kt_logtail_reset(struct kt_logtail *tail);
/* Keeps the newest KT_LOGTAIL_BYTES_MAX bytes (a little more between two calls). */
void kt_logtail_append(struct kt_logtail *tail, const void *bytes, size_t len);
/* Appends what is there to out, at most max bytes of it, cut at the front between two lines. */
void kt_logtail_collapse(struct kt_logtail *tail, size_t max, struct kt_buf *out);
/* The last line that is not blank, cut to room; "" when there is none. */
void kt_logtail_last_line(struct kt_logtail *tail, char *line, size_t room);

#endif
