/* router.h - the side that many connect to: a ROUTER in the libuv loop.
 *
 * What ZeroMQ does by itself is not enough (facts-fleet.md section 2): a full or vanished peer's
 * messages are silently dropped. So: ROUTER_MANDATORY, every send DONTWAIT, a queue of our own per
 * peer that is bounded in bytes, -EAGAIN when it is full, `lost` when the peer is gone.
 *
 * A peer is a number of ours, never reused within a router. Frames were checked (wire.h) and decoded
 * before `frame` sees them; a peer that sends anything else gets `broken`, and its frame is dropped.
 */
#ifndef KT_ROUTER_H
#define KT_ROUTER_H

#include "proto/schema.h"

#include <uv.h>

struct kt_router;

struct kt_router_events {
	/* message and body live until the callback returns. */
	void (*frame)(void *arg, uint64_t peer, const struct kt_message *message, void *body);
	void (*broken)(void *arg, uint64_t peer, const struct kt_err *err);
	void (*lost)(void *arg, uint64_t peer, const char *why);
	/* Called once after each batch of frames (at most 64): where a group commit belongs. */
	void (*batch_end)(void *arg);
};

/* endpoint: ipc://PATH, tcp://127.0.0.1:PORT or tcp://127.0.0.1:* (any other TCP address is refused,
 * fault INPUT, until CURVE guards it). events and arg are kept.
 */
int kt_router_open(uv_loop_t *loop, const char *endpoint, const struct kt_family *family,
		   const struct kt_router_events *events, void *arg, struct kt_router **router,
		   struct kt_err *err);
const char *kt_router_endpoint(const struct kt_router *router); /* as bound, * resolved */
/* Queues or sends. -EAGAIN: this peer's queue is full; -EHOSTUNREACH: no such peer any more. */
int kt_router_send(struct kt_router *router, uint64_t peer, uint32_t tag, const void *body,
		   struct kt_err *err);
void kt_router_forget(struct kt_router *router, uint64_t peer); /* drops its queue */
size_t kt_router_queued_bytes(const struct kt_router *router, uint64_t peer);
/* Sends what is queued for at most linger_ms, then closes. The loop may need one more turn to free
 * its handles; run it before uv_loop_close().
 */
void kt_router_destroy(struct kt_router **router_p);

#endif
