/* sendq.h - frames that ZeroMQ would not take yet, in order, bounded in bytes. Private to proto/net. */
#ifndef KT_SENDQ_H
#define KT_SENDQ_H

#include <stdbool.h>
#include <stddef.h>
#include <zmq.h>

#define KT_SENDQ_ENTRY_BYTES 128 /* what an entry counts on top of its frame's bytes */

struct kt_sendq {
	struct kt_sendq_entry *first;
	struct kt_sendq_entry *last;
	size_t bytes; /* frames and KT_SENDQ_ENTRY_BYTES for each */
};

/* Takes the message's content, leaving *frame initialised and empty. False when that would exceed
 * bytes_max; nothing is taken then.
 */
bool kt_sendq_push(struct kt_sendq *queue, zmq_msg_t *frame, size_t bytes_max);
zmq_msg_t *kt_sendq_first(const struct kt_sendq *queue); /* NULL when empty */
void kt_sendq_pop(struct kt_sendq *queue);
void kt_sendq_destroy(struct kt_sendq *queue); /* empties it */

#endif
