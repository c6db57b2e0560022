#include "coordinator/logview.h"

#include <string.h>

void kt_logview_end(struct kt_logview *view)
{
	if (view->stream[0])
		fputc('\n', view->out);
	view->stream[0] = 0;
}

void kt_logview_put(struct kt_logview *view, const char *stream, const void *bytes, size_t len)
{
	const unsigned char *text = bytes;

	if (strcmp(view->stream, stream) != 0)
		kt_logview_end(view);
	for (size_t i = 0; i < len; i++) {
		unsigned char c = text[i];

		if (view->state == KT_LOGVIEW_SEQUENCE) {
			view->state =
				c >= 0x40 && c <= 0x7e ? KT_LOGVIEW_TEXT : KT_LOGVIEW_SEQUENCE;
		} else if (view->state == KT_LOGVIEW_ESCAPE) {
			view->state = c == '[' ? KT_LOGVIEW_SEQUENCE : KT_LOGVIEW_TEXT;
		} else if (c == 0x1b) {
			view->state = KT_LOGVIEW_ESCAPE;
		} else if (c == '\n') {
			kt_logview_end(view);
		} else if (c == '\t' || (c >= 0x20 && c != 0x7f)) {
			if (!view->stream[0]) {
				snprintf(view->stream, sizeof(view->stream), "%s", stream);
				fprintf(view->out, "  %s| ", stream);
			}
			fputc(c, view->out);
		}
	}
}
