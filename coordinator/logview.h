/* logview.h - a guest's words on somebody's terminal: line by line, each with its stream in front, and no byte that
 * could move a cursor. Pieces end anywhere; lines of one stream go on. Terminal control (ESC [ ... letter)
 * is left out.
 */
#ifndef KT_LOGVIEW_H
#define KT_LOGVIEW_H

#include <stddef.h>
#include <stdio.h>

struct kt_logview { /* begins zeroed but for out */
	FILE *out;
	char stream[144]; /* of the line that is open; empty when none is */
	enum { KT_LOGVIEW_TEXT, KT_LOGVIEW_ESCAPE, KT_LOGVIEW_SEQUENCE } state;
};

void kt_logview_put(struct kt_logview *view, const char *stream, const void *bytes, size_t len);
void kt_logview_end(struct kt_logview *view); /* ends a line that is open */

#endif
