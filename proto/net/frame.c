#include "proto/net/frame.h"
#include "proto/base/must.h"

#include <errno.h>
#include <string.h>

int kt_frame_send(zmq_msg_t *part, void *socket, int flags)
{
	while (zmq_msg_send(part, socket, flags | ZMQ_DONTWAIT) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

int kt_frame_recv(zmq_msg_t *part, void *socket)
{
	while (zmq_msg_recv(part, socket, ZMQ_DONTWAIT) < 0)
		if (errno != EINTR)
			return -errno;
	return 0;
}

int kt_frame_make(const struct kt_family *family, const char *ours, uint32_t tag, const void *body,
		  struct kt_buf *scratch, zmq_msg_t *frame, struct kt_err *err)
{
	const struct kt_message *message = kt_codec_message(family, tag);

	kt_must(message);
	kt_must(strcmp(message->direction, ours) != 0);
	kt_buf_reset(scratch);
	if (!kt_codec_try_frame(family, tag, body, scratch))
		return kt_err_set(err, KT_FAULT_BUG, EMSGSIZE,
				  "message %s takes %zu bytes, at most %zu can be sent",
				  message->schema->name, kt_codec_frame_bytes(family, tag, body),
				  family->frame_bytes_max);
	kt_must(zmq_msg_init_size(frame, scratch->len) == 0);
	memcpy(zmq_msg_data(frame), scratch->data, scratch->len);
	return 0;
}

int kt_frame_take(const struct kt_family *family, const char *ours, void *socket,
		  struct kt_arena *arena, const struct kt_message **message, void **body,
		  zmq_msg_t *first, struct kt_err *err)
{
	zmq_msg_t rest;
	size_t n_parts = 1;
	int status;

	status = kt_frame_recv(first, socket);
	if (status < 0)
		return status;
	zmq_msg_init(&rest);
	/* ZeroMQ shows a message when all of it is there: no part can be missing here. */
	for (zmq_msg_t *last = first; zmq_msg_more(last); last = &rest) {
		kt_must(kt_frame_recv(&rest, socket) == 0);
		n_parts++;
	}
	if (n_parts > 1)
		status = kt_err_set(err, KT_FAULT_PEER, EPROTO,
				    "a message of %zu parts, expected one", n_parts);
	else
		status = kt_codec_decode_frame(family, zmq_msg_data(first), zmq_msg_size(first),
					       arena, message, body, err);
	if (status == 0 && strcmp((*message)->direction, ours) != 0)
		status = kt_err_set(err, KT_FAULT_PEER, EPROTO, "message %s goes %s, not %s",
				    (*message)->schema->name, (*message)->direction, ours);
	zmq_msg_close(&rest);
	return status;
}
