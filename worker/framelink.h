/* framelink.h - [tag, struct] frames over a stream socket, bounded both ways, never blocking.
 *
 *	4 bytes little-endian length | that many bytes of [tag, struct]
 *
 * One shape for two channels: host - guest (family guest, an untrusted peer) and agent - attempt
 * process (family runner). A frame is checked by wire.h and decoded by codec.h; the first broken one
 * breaks the link for good, because nothing after it can be trusted to be a frame.
 */
#ifndef KT_FRAMELINK_H
#define KT_FRAMELINK_H

#include "proto/schema.h"

struct kt_framelink {
	const struct kt_family *family;
	int fd; /* -1: bytes come by kt_framelink_feed() and leave through `out` */
	struct kt_buf in; /* what was read and not yet taken: at most one frame and one read */
	struct kt_buf out; /* what waits to be written */
	size_t out_bytes_max; /* what kt_framelink_push() may leave waiting */
	uint64_t frames_in;
	uint64_t bytes_in;
	bool eof; /* the peer closed */
};

/* Takes ownership of the fd and makes it non-blocking. */
void kt_framelink_init(struct kt_framelink *link, const struct kt_family *family, int fd,
		       size_t out_bytes_max);
void kt_framelink_destroy(struct kt_framelink *link); /* closes the fd, frees the buffers */

/* Reads what is there, at most one read of 64 KiB: the caller's loop stays fair. 0, or -errno with
 * fault PEER. At the end of the stream sets link->eof and returns 0.
 */
int kt_framelink_fill(struct kt_framelink *link, struct kt_err *err);
/* The same for bytes that came another way. -ENOBUFS when the caller does not take frames. */
int kt_framelink_feed(struct kt_framelink *link, const void *bytes, size_t len, struct kt_err *err);

/* A whole frame waits to be taken (or one that will be refused): reading more can wait. */
bool kt_framelink_has_frame(const struct kt_framelink *link);

/* Takes the next whole frame: 1 with *message and *into (in the arena), 0 when there is none yet,
 * -EPROTO (fault PEER) when the peer broke the format or a limit.
 */
int kt_framelink_next(struct kt_framelink *link, struct kt_arena *arena,
		      const struct kt_message **message, void **into, struct kt_err *err);

/* Encodes a frame behind what waits already. False, with nothing added, when more than out_bytes_max
 * would wait; a frame always fits into an empty queue.
 */
bool kt_framelink_push(struct kt_framelink *link, uint32_t tag, const void *from);
/* Writes what the socket takes. 0, or -errno with fault PEER. */
int kt_framelink_flush(struct kt_framelink *link, struct kt_err *err);

#endif
