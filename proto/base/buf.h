/* buf.h - a growable run of bytes with a limit.
 *
 * The buffer owns its memory. Appending beyond `max` sets `full` and drops the bytes: writers check
 * once at the end instead of after every call.
 */
#ifndef KT_BUF_H
#define KT_BUF_H

#include "proto/base/own.h"

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct kt_buf {
	uint8_t *data; /* len bytes; data[len] is 0 after append, puts, printf and kt_buf_text */
	size_t len;
	size_t cap;
	size_t max; /* bytes; 0 means SIZE_MAX / 2 */
	bool full; /* something was dropped */
};

#define KT_BUF_MAX(max_) ((struct kt_buf){ .max = (max_) })
#define KT_AUTO_BUF      KT_AUTO(kt_buf_destroy) struct kt_buf

void kt_buf_append(struct kt_buf *buf, const void *bytes, size_t len);
void kt_buf_puts(struct kt_buf *buf, const char *text);
__attribute__((format(printf, 2, 3))) void kt_buf_printf(struct kt_buf *buf, const char *format,
							 ...);
/* Room for len more bytes at data + len; the caller then adds to len. NULL when full. */
uint8_t *kt_buf_reserve(struct kt_buf *buf, size_t len);
void kt_buf_consume(struct kt_buf *buf, size_t len); /* drops len bytes at the front */
void kt_buf_reset(struct kt_buf *buf); /* empties, keeps memory */
void kt_buf_destroy(struct kt_buf *buf); /* frees the memory, not the struct */
const char *kt_buf_text(const struct kt_buf *buf); /* never NULL */

#endif
