/* wholefile.h - a file that is there whole or not at all, whenever we are killed. */
#ifndef KT_WHOLEFILE_H
#define KT_WHOLEFILE_H

#include "proto/base/buf.h"
#include "proto/base/err.h"

#include <stddef.h>

/* Appends the file to bytes, or nothing. -EFBIG when it has more than bytes_max bytes, -EISDIR; fault INPUT, HOST when
 * reading breaks. Of a pipe, what comes until it is closed.
 */
int kt_wholefile_read(const char *path, size_t bytes_max, struct kt_buf *bytes, struct kt_err *err);

/* Written beside path, synced, and renamed: one of that name is replaced. Blocks. Fault INPUT when the place
 * cannot be written at all, HOST when writing breaks.
 */
int kt_wholefile_write(const char *path, const void *bytes, size_t len, struct kt_err *err);

#endif
