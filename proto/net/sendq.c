#include "proto/net/sendq.h"
#include "proto/base/must.h"

#include <stdlib.h>

struct kt_sendq_entry {
	struct kt_sendq_entry *next;
	size_t bytes;
	zmq_msg_t frame;
};

bool kt_sendq_push(struct kt_sendq *queue, zmq_msg_t *frame, size_t bytes_max)
{
	size_t bytes = zmq_msg_size(frame) + KT_SENDQ_ENTRY_BYTES;
	struct kt_sendq_entry *entry;

	if (bytes > bytes_max || queue->bytes > bytes_max - bytes)
		return false;
	entry = kt_must_calloc(1, sizeof(*entry));
	zmq_msg_init(&entry->frame);
	kt_must(zmq_msg_move(&entry->frame, frame) == 0);
	entry->bytes = bytes;
	if (queue->last)
		queue->last->next = entry;
	else
		queue->first = entry;
	queue->last = entry;
	queue->bytes += bytes;
	return true;
}

zmq_msg_t *kt_sendq_first(const struct kt_sendq *queue)
{
	return queue->first ? &queue->first->frame : NULL;
}

void kt_sendq_pop(struct kt_sendq *queue)
{
	struct kt_sendq_entry *entry = queue->first;

	kt_must(entry);
	queue->first = entry->next;
	if (!queue->first)
		queue->last = NULL;
	queue->bytes -= entry->bytes;
	zmq_msg_close(&entry->frame); /* a sent message is empty; closing it is harmless */
	free(entry);
}

void kt_sendq_destroy(struct kt_sendq *queue)
{
	while (queue->first)
		kt_sendq_pop(queue);
}
