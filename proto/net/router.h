/* router.h - the side that many connect to: a ROUTER in the libuv loop.
 *
 * What ZeroMQ does by itself is not enough (facts-fleet.md section 2): a full or vanished peer's
 * messages are silently dropped. So: ROUTER_MANDATORY, every send DONTWAIT, a queue of our own per
 * peer that is bounded in bytes, -EAGAIN when it is full, `lost` when the peer is gone.
 *
 * A peer is one connection and a number of ours, never reused within a router; one that reconnects is
 * a new peer, so who it is must be said in its first message (HELLO). Frames were checked (wire.h)
 * and decoded before `frame` sees them; a peer that sends anything else, several parts, or a message
 * that is not "to coordinator" gets `broken`, and that frame is dropped.
 *
 * With keys (kt_guard, endpoint.h) who a peer is does not depend on what it says: its key is looked up in
 * the allow-list with every message. Another key than the peer's is `broken`. A key that is no more in the
 * list, or that has another name or role there now, is `revoked` once: what comes from it is dropped, what is
 * sent to it still goes (a reason). When its key is allowed again it is a new peer.
 *
 * ZeroMQ does not tell a ROUTER that a connection went away: `lost` comes when something was sent to
 * a peer that is no more. Of a peer that nothing is sent to, only its silence tells; noticing that is
 * the owner's (leases). A message already handed to ZeroMQ may be lost with the connection: whatever
 * matters is acknowledged and sent again by the protocol above.
 */
#ifndef KT_ROUTER_H
#define KT_ROUTER_H

#include "proto/net/endpoint.h"
#include "proto/role.h"
#include "proto/schema.h"

#include <uv.h>

struct kt_router;

/* Called from the loop only, never from within a kt_router_ function. They may call any of them,
 * kt_router_destroy() included. `lost` may be NULL, and so may `room` and `batch_end`.
 */
struct kt_router_events {
	int frames_ahead; /* that ZeroMQ holds for a peer before they wait in our queue; 0: some dozens */
	/* message and body live until the callback returns. */
	void (*frame)(void *arg, uint64_t peer, const struct kt_message *message, void *body);
	void (*broken)(void *arg, uint64_t peer, const struct kt_err *err);
	/* Once per vanished peer that was not forgotten before; the number means nothing afterwards.
	 * Also for the longest silent one when there are more than KT_ROUTER_PEERS_MAX.
	 */
	void (*lost)(void *arg, uint64_t peer, const char *why);
	/* What waited in the peer's queue has left it. For an owner that sends only to empty queues. */
	void (*room)(void *arg, uint64_t peer);
	/* Once per peer whose key does not count any more, and in place of `lost`. May be NULL. */
	void (*revoked)(void *arg, uint64_t peer, const char *why);
	/* Called once after each batch of frames (at most KT_ZWATCH_BATCH_MAX): where a group commit belongs. */
	void (*batch_end)(void *arg);
};

#define KT_ROUTER_PEERS_MAX 16384

/* Who a peer is. The texts live until it is lost, forgotten or revoked. */
struct kt_peer_id {
	const char *
		name; /* that its key has in the allow-list; NULL: an endpoint without keys, or no such peer */
	enum kt_role role; /* WORK where there are no keys */
	const char *
		address; /* as ZeroMQ says it: an IP address, of ipc localhost:uid:gid:pid, or "" */
};

/* endpoint: as endpoint.h says, with * as the port for any (any other is refused, fault INPUT). guard: NULL: no keys.
 * The socket file gets mode 0600; one that is already there is replaced. guard, events and arg are kept.
 */
int kt_router_open(uv_loop_t *loop, const char *endpoint, const struct kt_family *family,
		   const struct kt_guard *guard, const struct kt_router_events *events, void *arg,
		   struct kt_router **router, struct kt_err *err);
const char *kt_router_endpoint(const struct kt_router *router); /* as bound, * resolved */
struct kt_peer_id kt_router_who(const struct kt_router *router, uint64_t peer);
/* After kt_zap_set(): those who are no more allowed are `revoked`, in the next turn of the loop. */
void kt_router_recheck(struct kt_router *router);
/* Queues or sends, in order. -EAGAIN: this peer's queue (KT_PEER_QUEUE_BYTES_MAX) is full and
 * nothing was taken; -EHOSTUNREACH: no such peer any more (`lost` follows unless it came already);
 * -EMSGSIZE, fault BUG: beyond family->frame_bytes_max (kt_codec_frame_bytes() tells before).
 */
int kt_router_send(struct kt_router *router, uint64_t peer, uint32_t tag, const void *body,
		   struct kt_err *err);
/* Drops its queue and its number: no `lost` for it. Should it speak again, it is a new peer. */
void kt_router_forget(struct kt_router *router, uint64_t peer);
size_t kt_router_queued_bytes(const struct kt_router *router, uint64_t peer); /* 0 if unknown */
/* While paused no frame is read: senders wait. For an owner whose own queue is full. */
void kt_router_pause(struct kt_router *router, bool paused);
/* What ZeroMQ has taken it still sends, in the background, for at most KT_ENDPOINT_LINGER_MS; what
 * it would not take is dropped. The socket file is gone on return (blocks until it is, normally well
 * below 1 ms). The loop needs one more turn to free the handles; run it before uv_loop_close().
 */
void kt_router_destroy(struct kt_router **router_p);

#endif
