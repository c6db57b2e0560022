/* console.h - what the guest's serial console said: a bounded ring, and the kernel's death in it.
 *
 * The first line that a kernel prints when it dies ("Oops:", "BUG:", "Kernel panic - not syncing") starts the
 * evidence; what follows is kept up to a limit. Patterns are a table (console.c). Bytes are the
 * guest's: control characters are taken out of everything that is shown to people.
 */
#ifndef KT_CONSOLE_H
#define KT_CONSOLE_H

#include "proto/base/buf.h"

#include <stdbool.h>
#include <stddef.h>

#define KT_CONSOLE_RING_BYTES     (32u << 10)
#define KT_CONSOLE_EVIDENCE_BYTES (32u << 10)
#define KT_CONSOLE_LINE_BYTES     512

struct kt_console {
	char ring[KT_CONSOLE_RING_BYTES]; /* the last bytes */
	size_t total; /* bytes ever fed */
	char line[KT_CONSOLE_LINE_BYTES]; /* the line that is being written, its beginning */
	size_t line_len;
	struct kt_buf evidence; /* whole lines from the first sign of trouble on */
	bool in_trouble; /* evidence is being kept */
	bool panicked; /* the kernel said that it is dead */
	char panic_line[KT_CONSOLE_LINE_BYTES]; /* the line that said so, without its time stamp */
};

void kt_console_init(struct kt_console *console);
void kt_console_destroy(struct kt_console *console); /* frees the memory, not the struct */
void kt_console_feed(struct kt_console *console, const void *bytes, size_t len);
/* The last bytes, at most max, from the beginning of a line, printable. */
void kt_console_tail(const struct kt_console *console, size_t max, struct kt_buf *out);
/* The beginning of the line that is not finished yet counts as well: call when nothing more comes. */
void kt_console_end(struct kt_console *console);

#endif
