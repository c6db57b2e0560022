/* frame.h - a message of a family into a ZeroMQ frame and out of it. Private to proto/net. */
#ifndef KT_FRAME_H
#define KT_FRAME_H

#include "proto/codec.h"

#include <zmq.h>

/* What the decoded form of one frame may take: the parser's tree is not in it. */
#define KT_FRAME_ARENA_BYTES_MAX (64u << 20)

/* zmq_msg_send() and zmq_msg_recv(), never waiting; a signal in between is not an error. 0 or -errno. */
int kt_frame_send(zmq_msg_t *part, void *socket, int flags);
int kt_frame_recv(zmq_msg_t *part, void *socket);

/* 0, or -EMSGSIZE (fault BUG) for a struct that gives a frame beyond the family's limit. scratch is only for reuse of its memory. tag must exist and must not go in
 * direction `ours`, which is what this side takes: a kt_must(). Initialises *frame when 0.
 */
int kt_frame_make(const struct kt_family *family, const char *ours, uint32_t tag, const void *body,
		  struct kt_buf *scratch, zmq_msg_t *frame, struct kt_err *err);
/* Receives (the rest of) a message: exactly one part, of this family, in direction `ours`. 0 with
 * *message and *body in the arena; -EAGAIN when there is none; -EPROTO, fault PEER, when it is
 * anything else: all its parts are consumed all the same. first: the first part, for what ZeroMQ knows of its sender; the
 * caller initialises and closes it.
 */
int kt_frame_take(const struct kt_family *family, const char *ours, void *socket,
		  struct kt_arena *arena, const struct kt_message **message, void **body,
		  zmq_msg_t *first, struct kt_err *err);

#endif
