#include "proto/net/router.h"
#include "proto/base/must.h"
#include "proto/net/endpoint.h"
#include "proto/net/frame.h"
#include "proto/net/gate.h"
#include "proto/net/sendq.h"
#include "proto/net/zap.h"
#include "proto/net/zwatch.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>
#include <sys/stat.h>
#include <uthash.h>
#include <utlist.h>

#define MAGIC              0x726f757465720001ull
#define OURS               "to coordinator" /* the direction that this side takes */
#define ROUTING_BYTES_MAX  255 /* zmq_setsockopt(3), ZMQ_ROUTING_ID */
#define ENDPOINT_BYTES_MAX 256
#define CLOSE_MS_MAX       1000
#define ROOMS_MAX          64 /* peers that are told of in one go */

struct peer {
	uint64_t number;
	uint8_t routing[ROUTING_BYTES_MAX]; /* ZeroMQ's name for the connection */
	uint8_t n_routing;
	struct kt_sendq queue;
	bool is_gone; /* found out in a send; `lost` is due */
	bool is_waiting; /* in router->waiting */
	bool is_revoked; /* its key does not count any more; `revoked` is due until is_told */
	bool is_told;
	uint64_t term; /* of the allow-list in which its key was last found */
	char *key; /* NULL without keys, and so is the name */
	char *name;
	char *address;
	enum kt_role role;
	UT_hash_handle by_number;
	UT_hash_handle by_routing; /* in the order in which they last spoke */
	struct peer *prev; /* in router->waiting */
	struct peer *next;
};

struct kt_router {
	uint64_t magic;
	const struct kt_family *family;
	const struct kt_router_events *events;
	void *arg;
	zsock_t *socket;
	struct kt_zwatch *watch;
	const struct kt_guard *guard; /* NULL: no keys */
	struct kt_gate *gate;
	struct peer *numbers; /* the same peers, hashed twice */
	struct peer *routings;
	struct peer *waiting; /* with a queue, or gone: what the next turn is about */
	uint64_t number_last;
	struct kt_arena arena;
	struct kt_buf scratch;
	bool is_closing;
	struct stat file; /* of the socket, if it has one */
	char endpoint[ENDPOINT_BYTES_MAX];
};

/* ---- peers ---- */

static struct peer *peer_of(const struct kt_router *router, uint64_t number)
{
	struct peer *peer;

	HASH_FIND(by_number, router->numbers, &number, sizeof(number), peer);
	return peer;
}

static void peer_wait(struct kt_router *router, struct peer *peer)
{
	if (!peer->is_waiting)
		DL_APPEND(router->waiting, peer);
	peer->is_waiting = true;
	kt_zwatch_retry(router->watch);
}

static void peer_destroy(struct kt_router *router, struct peer *peer)
{
	if (peer->is_waiting)
		DL_DELETE(router->waiting, peer);
	HASH_DELETE(by_number, router->numbers, peer);
	HASH_DELETE(by_routing, router->routings, peer);
	kt_sendq_destroy(&peer->queue);
	free(peer->key);
	free(peer->name);
	free(peer->address);
	free(peer);
}

static void peer_lose(struct kt_router *router, struct peer *peer, const char *why)
{
	uint64_t number = peer->number;
	bool is_known = !peer->is_told; /* of a revoked one its owner knows that it is no more */

	peer_destroy(router, peer);
	if (is_known && router->events->lost)
		router->events->lost(router->arg, number, why);
}

/* Whoever speaks goes to the end, so the longest silent one is first. */
static void peer_to_end(struct kt_router *router, struct peer *peer)
{
	HASH_DELETE(by_routing, router->routings, peer);
	HASH_ADD_KEYPTR(by_routing, router->routings, peer->routing, peer->n_routing, peer);
}

static struct peer *peer_new(struct kt_router *router, zmq_msg_t *routing, zmq_msg_t *first)
{
	struct peer *peer = kt_must_calloc(1, sizeof(*peer));
	const char *address = zmq_msg_gets(first, "Peer-Address");

	peer->number = ++router->number_last;
	peer->n_routing = (uint8_t)zmq_msg_size(routing);
	memcpy(peer->routing, zmq_msg_data(routing), peer->n_routing);
	peer->address = kt_must_strdup(address ? kt_zap_address(address) : "");
	peer->role = KT_ROLE_WORK;
	HASH_ADD(by_number, router->numbers, number, sizeof(peer->number), peer);
	HASH_ADD_KEYPTR(by_routing, router->routings, peer->routing, peer->n_routing, peer);
	return peer;
}

/* ---- keys ---- */

/* Whether the peer is still who the allow-list says; else it is revoked. */
static bool peer_check(struct kt_router *router, struct peer *peer)
{
	const struct kt_allowed *allowed;

	if (!router->guard || (peer->term == kt_zap_term(router->guard->zap) && !peer->is_revoked))
		return true;
	allowed = kt_allow_find(kt_zap_allow(router->guard->zap), peer->key);
	if (!peer->is_revoked && allowed && allowed->role == peer->role &&
	    strcmp(allowed->name, peer->name) == 0) {
		peer->term = kt_zap_term(router->guard->zap);
		return true;
	}
	peer->is_revoked = true;
	if (!peer->is_told)
		peer_wait(router, peer);
	return false;
}

/* Gives a new peer the identity of its key. */
static void peer_identify(struct kt_router *router, struct peer *peer, const char *key)
{
	const struct kt_allowed *allowed = kt_allow_find(kt_zap_allow(router->guard->zap), key);

	peer->key = kt_must_strdup(key);
	if (!allowed) { /* it was revoked between its handshake and its first word */
		peer->is_revoked = true;
		peer_wait(router, peer);
		return;
	}
	peer->name = kt_must_strdup(allowed->name);
	peer->role = allowed->role;
	peer->term = kt_zap_term(router->guard->zap);
}

/* Who sent this: a peer that is known, or a new one. *is_other: the connection has another key than the peer who had
 * this routing id so far, which is lost. (The routing id has the sender's properties too, but in libzmq 4.3.4 not when
 * the message was looked for by ZMQ_EVENTS.)
 */
static struct peer *peer_speaking(struct kt_router *router, zmq_msg_t *routing, zmq_msg_t *first,
				  bool *is_other)
{
	/* ZeroMQ made it in the handshake, out of what zap.c answered: no peer can say it. */
	const char *key = router->guard ? zmq_msg_gets(first, "User-Id") : NULL;
	struct peer *peer;

	kt_must(!router->guard || key || kt_endpoint_lets_strangers_in());
	*is_other = false;
	HASH_FIND(by_routing, router->routings, zmq_msg_data(routing), zmq_msg_size(routing), peer);
	if (peer && !peer->is_gone && router->guard && strcmp(peer->key, key ? key : "") != 0) {
		*is_other = true;
		peer->is_gone = true;
	}
	/* Allowed again after it was revoked: nothing that it was counts any more. */
	if (peer && peer->is_told && kt_allow_find(kt_zap_allow(router->guard->zap), peer->key))
		peer->is_gone = true;
	if (peer && !peer->is_gone) {
		peer_to_end(router, peer);
		return peer;
	}
	if (peer)
		peer_lose(router, peer,
			  *is_other ? "its routing id was taken by another key"
				    : "the connection ended");
	peer = peer_new(router, routing, first);
	if (router->guard)
		peer_identify(router, peer, key ? key : "");
	return peer;
}

struct kt_peer_id kt_router_who(const struct kt_router *router, uint64_t number)
{
	const struct peer *peer = peer_of(router, number);

	if (!peer)
		return (struct kt_peer_id){ NULL, KT_ROLE_WORK, "" };
	return (struct kt_peer_id){ peer->name, peer->role, peer->address };
}

void kt_router_recheck(struct kt_router *router)
{
	struct peer *peer;
	struct peer *next;

	HASH_ITER (by_number, router->numbers, peer, next) {
		peer_check(router, peer);
	}
}

/* ---- sending ---- */

/* 0 (the frame is ZeroMQ's), EAGAIN or EHOSTUNREACH. With ROUTER_MANDATORY the routing id is what
 * fails; the part after it is then taken for certain (or lost with the connection).
 */
static int send_now(struct kt_router *router, struct peer *peer, zmq_msg_t *frame)
{
	void *socket = zsock_resolve(router->socket);
	zmq_msg_t routing;
	int status;

	kt_must(zmq_msg_init_size(&routing, peer->n_routing) == 0);
	memcpy(zmq_msg_data(&routing), peer->routing, peer->n_routing);
	status = kt_frame_send(&routing, socket, ZMQ_SNDMORE);
	zmq_msg_close(&routing);
	if (status < 0)
		return status == -EAGAIN ? EAGAIN : EHOSTUNREACH;
	kt_must(kt_frame_send(frame, socket, 0) == 0);
	return 0;
}

/* Sends the peer's queue as far as it goes. */
static int send_queued(struct kt_router *router, struct peer *peer)
{
	zmq_msg_t *frame;
	int status;

	while ((frame = kt_sendq_first(&peer->queue))) {
		status = send_now(router, peer, frame);
		if (status)
			return status;
		kt_sendq_pop(&peer->queue);
	}
	return 0;
}

int kt_router_send(struct kt_router *router, uint64_t number, uint32_t tag, const void *body,
		   struct kt_err *err)
{
	struct peer *peer = peer_of(router, number);
	zmq_msg_t frame;
	int status;

	kt_must(router->magic == MAGIC);
	if (!peer || peer->is_gone)
		return kt_err_set(err, KT_FAULT_PEER, EHOSTUNREACH,
				  "peer %" PRIu64 " is not connected any more", number);
	status = kt_frame_make(router->family, OURS, tag, body, &router->scratch, &frame, err);
	if (status < 0)
		return status;
	status = EAGAIN;
	if (!kt_sendq_first(&peer->queue))
		status = send_now(router, peer, &frame);
	if (status == EAGAIN) {
		if (kt_sendq_push(&peer->queue, &frame, KT_PEER_QUEUE_BYTES_MAX)) {
			peer_wait(router, peer);
			status = 0;
		}
	}
	zmq_msg_close(&frame);
	if (status == 0)
		return 0;
	if (status == EAGAIN)
		return kt_err_set(err, KT_FAULT_PEER, EAGAIN,
				  "peer %" PRIu64 " does not read: %zu bytes wait for it", number,
				  peer->queue.bytes);
	peer->is_gone = true;
	peer_wait(router, peer);
	return kt_err_set(err, KT_FAULT_PEER, EHOSTUNREACH, "peer %" PRIu64 " has disconnected",
			  number);
}

static void peer_revoke(struct kt_router *router, struct peer *peer)
{
	peer->is_told = true;
	if (router->events->revoked)
		router->events->revoked(
			router->arg, peer->number,
			"its key is not in the allow-list any more, or as another host");
}

/* Sends what waits. Returns the first peer that its owner must hear of (gone, or revoked), else NULL; those whose queue
 * went empty are in rooms.
 */
static struct peer *send_waiting(struct kt_router *router, uint64_t rooms[ROOMS_MAX],
				 size_t *n_rooms)
{
	struct peer *peer;
	struct peer *next;

	*n_rooms = 0;
	DL_FOREACH_SAFE (router->waiting, peer, next) {
		int status;

		if (peer->is_revoked && !peer->is_told && !peer->is_gone)
			return peer;
		status = peer->is_gone ? EHOSTUNREACH : send_queued(router, peer);
		if (status == EHOSTUNREACH)
			return peer;
		if (status)
			continue;
		DL_DELETE(router->waiting, peer);
		peer->is_waiting = false;
		rooms[(*n_rooms)++] = peer->number;
		if (*n_rooms == ROOMS_MAX)
			return NULL;
	}
	return NULL;
}

/* `lost`, `revoked` and `room` may do anything to the list: it is walked again from its start after them. */
static void on_turn(void *arg, size_t n_read)
{
	struct kt_router *router = arg;
	uint64_t rooms[ROOMS_MAX];
	struct peer *gone = NULL;
	size_t n_rooms;

	if (n_read && router->events->batch_end)
		router->events->batch_end(router->arg);
	while (!router->is_closing) {
		gone = send_waiting(router, rooms, &n_rooms);
		for (size_t i = 0; i < n_rooms && router->events->room && !router->is_closing; i++)
			if (peer_of(router, rooms[i]))
				router->events->room(router->arg, rooms[i]);
		/* It may have been forgotten meanwhile; then the next walk finds out. */
		if (gone && !n_rooms && gone->is_revoked && !gone->is_told && !gone->is_gone)
			peer_revoke(router, gone);
		else if (gone && !n_rooms)
			peer_lose(router, gone, "the connection ended");
		else if (n_rooms < ROOMS_MAX && !gone)
			break;
	}
	if (!router->is_closing && router->waiting)
		kt_zwatch_retry(router->watch);
}

/* ---- receiving ---- */

static bool on_read(void *arg)
{
	struct kt_router *router = arg;
	void *socket = zsock_resolve(router->socket);
	const struct kt_message *message = NULL;
	struct kt_err err = { 0 };
	struct peer *peer;
	uint64_t number;
	void *body = NULL;
	zmq_msg_t routing;
	zmq_msg_t first;
	bool is_other;
	int status;

	kt_must(router->magic == MAGIC);
	zmq_msg_init(&routing);
	if (kt_frame_recv(&routing, socket) < 0)
		return false;
	kt_must(zmq_msg_more(&routing)); /* a ROUTER puts it in front of what came */
	kt_must(zmq_msg_size(&routing) <= ROUTING_BYTES_MAX);
	zmq_msg_init(&first);
	status = kt_frame_take(router->family, OURS, socket, &router->arena, &message, &body,
			       &first, &err);
	kt_must(status != -EAGAIN);
	peer = peer_speaking(router, &routing, &first, &is_other);
	number = peer->number;
	zmq_msg_close(&first);
	zmq_msg_close(&routing);
	if (!peer_check(router, peer)) {
		kt_arena_reset(&router->arena);
		return true;
	}
	if (is_other)
		status = kt_err_set(&err, KT_FAULT_PEER, EPROTO,
				    "it took the routing id of a peer with another key");
	if (HASH_CNT(by_number, router->numbers) > KT_ROUTER_PEERS_MAX)
		peer_lose(router, router->routings,
			  "there are too many peers; it was silent longest");
	if (status == 0 && !router->is_closing)
		router->events->frame(router->arg, number, message, body);
	else if (!router->is_closing)
		router->events->broken(router->arg, number, &err);
	kt_arena_reset(&router->arena);
	return true;
}

/* ---- life ---- */

static void on_closed(void *arg)
{
	struct kt_router *router = arg;
	struct peer *peer;
	struct peer *next;

	HASH_ITER (by_number, router->numbers, peer, next) {
		peer_destroy(router, peer);
	}
	kt_arena_destroy(&router->arena);
	kt_buf_destroy(&router->scratch);
	router->magic = 0;
	free(router);
}

static const struct kt_zwatch_events watch_events = {
	.read = on_read,
	.turn = on_turn,
	.closed = on_closed,
};

int kt_router_open(uv_loop_t *loop, const char *endpoint, const struct kt_family *family,
		   const struct kt_guard *guard, const struct kt_router_events *events, void *arg,
		   struct kt_router **router_p, struct kt_err *err)
{
	KT_AUTO(zsock_destroy) zsock_t *socket = NULL;
	KT_AUTO(kt_gate_destroy) struct kt_gate *gate = NULL; /* goes before its socket */
	const char *path = kt_endpoint_path(endpoint);
	size_t n_endpoint = ENDPOINT_BYTES_MAX;
	struct kt_router *router;
	struct stat file = { 0 };
	int status;

	status = kt_endpoint_check(endpoint, true, guard != NULL, err);
	if (status < 0)
		return status;
	status = kt_endpoint_socket(ZMQ_ROUTER, endpoint, family->frame_bytes_max, guard, &socket,
				    err);
	if (status < 0)
		return status;
	if (events->frames_ahead)
		zsock_set_sndhwm(socket, events->frames_ahead);
	/* ZeroMQ would remove whatever is there. */
	if (path && lstat(path, &file) == 0 && !S_ISSOCK(file.st_mode))
		return kt_err_set(err, KT_FAULT_INPUT, EEXIST,
				  "listening at %s: there is a file that is no socket", path);
	if (guard && (status = kt_gate_open(loop, socket, guard->zap, &gate, err)) < 0)
		return status;
	if (kt_endpoint_retry(zmq_bind(zsock_resolve(socket), endpoint)) < 0)
		return kt_err_set(err, KT_FAULT_HOST, errno, "listening at %.200s: %s%s", endpoint,
				  zmq_strerror(errno),
				  errno == EADDRINUSE ? " (by another coordinator, maybe: wait "
							"for it, or choose another endpoint)"
						      : "");
	if (path && (chmod(path, 0600) < 0 || stat(path, &file) < 0))
		return kt_err_sys(err, KT_FAULT_HOST, errno, "protecting %s", path);
	router = kt_must_calloc(1, sizeof(*router));
	*router = (struct kt_router){
		.magic = MAGIC,
		.family = family,
		.guard = guard,
		.gate = kt_take(&gate),
		.events = events,
		.arg = arg,
		.file = file,
		.arena = { .max = KT_FRAME_ARENA_BYTES_MAX },
		.scratch = { .max = family->frame_bytes_max },
	};
	kt_must(zmq_getsockopt(zsock_resolve(socket), ZMQ_LAST_ENDPOINT, router->endpoint,
			       &n_endpoint) == 0);
	router->watch = kt_zwatch_open(loop, socket, &watch_events, router);
	router->socket = kt_take(&socket);
	*router_p = router;
	return 0;
}

const char *kt_router_endpoint(const struct kt_router *router)
{
	return router->endpoint;
}

void kt_router_forget(struct kt_router *router, uint64_t number)
{
	struct peer *peer = peer_of(router, number);

	if (peer)
		peer_destroy(router, peer);
}

size_t kt_router_queued_bytes(const struct kt_router *router, uint64_t number)
{
	struct peer *peer = peer_of(router, number);

	return peer ? peer->queue.bytes : 0;
}

void kt_router_pause(struct kt_router *router, bool paused)
{
	kt_zwatch_pause(router->watch, paused);
}

/* ZeroMQ stops listening in its own thread, after zmq_close() has returned: a router opened at the
 * same place meanwhile would find the address in use. So wait until the listener says that it is
 * closed. The socket file ZeroMQ leaves lying; it is removed unless it is another's by now.
 */
static void stop_listening(struct kt_router *router)
{
	static uint64_t n_monitors; /* the name of the last one may not be free yet */
	KT_AUTO(zsock_destroy) zsock_t *monitor = NULL;
	char name[64];
	const char *path = kt_endpoint_path(router->endpoint);
	struct stat file;
	zmq_msg_t event;

	if (path && stat(path, &file) == 0 && file.st_dev == router->file.st_dev &&
	    file.st_ino == router->file.st_ino)
		unlink(path);
	snprintf(name, sizeof(name), "inproc://kt-router-%" PRIu64, ++n_monitors);
	if (kt_endpoint_retry(
		    zmq_socket_monitor(zsock_resolve(router->socket), name, ZMQ_EVENT_CLOSED)) < 0)
		return;
	monitor = zsock_new(ZMQ_PAIR);
	if (!monitor || kt_endpoint_retry(zmq_connect(zsock_resolve(monitor), name)) < 0)
		goto out;
	zsock_set_rcvtimeo(monitor, CLOSE_MS_MAX);
	if (kt_endpoint_retry(zmq_unbind(zsock_resolve(router->socket), router->endpoint)) < 0)
		goto out;
	zmq_msg_init(&event);
	kt_endpoint_retry(zmq_msg_recv(&event, zsock_resolve(monitor), 0));
	zmq_msg_close(&event);
out:
	zmq_socket_monitor(zsock_resolve(router->socket), NULL, 0);
}

void kt_router_destroy(struct kt_router **router_p)
{
	struct kt_router *router = kt_take(router_p);
	struct peer *peer;
	struct peer *next;

	if (!router)
		return;
	kt_must(router->magic == MAGIC);
	router->is_closing = true;
	DL_FOREACH_SAFE (router->waiting, peer, next) {
		if (!peer->is_gone)
			send_queued(router, peer);
	}
	kt_gate_destroy(&router->gate);
	stop_listening(router);
	kt_zwatch_destroy(&router->watch);
	zsock_destroy(&router->socket);
}
