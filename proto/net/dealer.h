/* dealer.h - the side that connects: a DEALER in the libuv loop, with a random routing id.
 *
 * ZeroMQ reconnects by itself; `up` and `down` come from its monitor, which runs beside the data: a
 * last frame may still come after `down`. Where ZeroMQ gives up for good (the handshake was refused, or
 * broken), `broken` says why and what to do, and a fresh socket is tried after KT_DEALER_FRESH_MS, then
 * after twice as long, up to KT_DEALER_FRESH_MS_MAX, each time up to half as much longer at random. Silence of the other side at the
 * application's level is the owner's to notice: kt_dealer_reset() then starts over with a fresh
 * socket, a fresh routing id and an empty queue.
 */
#ifndef KT_DEALER_H
#define KT_DEALER_H

#include "proto/net/endpoint.h"
#include "proto/schema.h"

#include <uv.h>

#define KT_DEALER_FRESH_MS     2000
#define KT_DEALER_FRESH_MS_MAX 30000

struct kt_dealer;

/* Called from the loop only, never from within a kt_dealer_ function. They may call any of them,
 * kt_dealer_destroy() included.
 */
struct kt_dealer_events {
	/* message and body live until the callback returns. */
	void (*frame)(void *arg, const struct kt_message *message, void *body);
	/* The other side broke the protocol (its frame is dropped), or there was no handshake: err->code is EACCES when
	 * our key was refused, ENOKEY when only one of us has keys or ours for it is wrong, EPROTO otherwise.
	 */
	void (*broken)(void *arg, const struct kt_err *err);
	/* Connected, also again. Each time the other side sees a new peer: say HELLO. */
	void (*up)(void *arg);
	/* After each up, once; what was queued is dropped, what was under way may be lost. Not
	 * after kt_dealer_reset().
	 */
	void (*down)(void *arg, const char *why);
};

/* Connects in the background; the endpoint need not exist yet. endpoint.h says which are taken.
 * guard: NULL: no keys. guard, events and arg are kept.
 */
int kt_dealer_open(uv_loop_t *loop, const char *endpoint, const struct kt_family *family,
		   const struct kt_guard *guard, const struct kt_dealer_events *events, void *arg,
		   struct kt_dealer **dealer, struct kt_err *err);
/* Sends at once or queues while connected; -EAGAIN when the queue (KT_PEER_QUEUE_BYTES_MAX) is full,
 * -ENOTCONN while down: nothing is queued for a peer that is not there; -EMSGSIZE, fault BUG: beyond
 * family->frame_bytes_max.
 */
int kt_dealer_send(struct kt_dealer *dealer, uint32_t tag, const void *body, struct kt_err *err);
size_t kt_dealer_queued_bytes(const struct kt_dealer *dealer);
/* While paused no frame is read: the sender waits. For an owner whose own queue is full. */
void kt_dealer_pause(struct kt_dealer *dealer, bool paused);
void kt_dealer_reset(struct kt_dealer *dealer); /* no `down`; `up` when it is connected again */
/* What ZeroMQ has taken it still sends, in the background, for at most KT_ENDPOINT_LINGER_MS. The
 * loop needs one more turn to free the handles; run it before uv_loop_close().
 */
void kt_dealer_destroy(struct kt_dealer **dealer_p);

#endif
