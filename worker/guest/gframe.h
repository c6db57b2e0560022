/* gframe.h - frames on the guest channel: a 4-byte little-endian length, then that many bytes.
 *
 * Pure. The port is a byte stream: a read ends anywhere, in the middle of a length too.
 */
#ifndef KT_GFRAME_H
#define KT_GFRAME_H

#include "proto/base/buf.h"
#include "proto/base/err.h"

#define KT_GFRAME_HEAD_BYTES 4

/* 1 and *body (borrowed from in until kt_gframe_drop) when a whole frame is at the front of in, 0 when
 * more bytes are needed, -EPROTO when the length is 0 or beyond KT_GUEST_FRAME_BYTES_MAX: the stream
 * cannot be followed any further.
 */
int kt_gframe_next(const struct kt_buf *in, const uint8_t **body, size_t *len, struct kt_err *err);
void kt_gframe_drop(struct kt_buf *in, size_t len); /* the frame that kt_gframe_next gave */

/* Begin reserves the length, end writes it. What is appended to out in between is the body. */
size_t kt_gframe_begin(struct kt_buf *out);
void kt_gframe_end(struct kt_buf *out, size_t begun);

#endif
