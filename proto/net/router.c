#include "proto/net/router.h"
#include "proto/base/must.h"
#include "proto/net/endpoint.h"
#include "proto/net/frame.h"
#include "proto/net/sendq.h"
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
	free(peer);
}

static void peer_lose(struct kt_router *router, struct peer *peer, const char *why)
{
	uint64_t number = peer->number;

	peer_destroy(router, peer);
	if (router->events->lost)
		router->events->lost(router->arg, number, why);
}

/* Whoever speaks goes to the end, so the longest silent one is first. */
static struct peer *peer_speaking(struct kt_router *router, const uint8_t *routing, size_t n)
{
	struct peer *peer;

	HASH_FIND(by_routing, router->routings, routing, n, peer);
	if (peer && !peer->is_gone) {
		HASH_DELETE(by_routing, router->routings, peer);
	} else {
		if (peer)
			peer_lose(router, peer, "the connection ended");
		peer = kt_must_calloc(1, sizeof(*peer));
		peer->number = ++router->number_last;
		peer->n_routing = (uint8_t)n;
		memcpy(peer->routing, routing, n);
		HASH_ADD(by_number, router->numbers, number, sizeof(peer->number), peer);
	}
	HASH_ADD_KEYPTR(by_routing, router->routings, peer->routing, peer->n_routing, peer);
	return peer;
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

/* Sends what waits. Returns the first peer that turns out to be gone, else NULL; those whose queue went empty
 * are in rooms.
 */
static struct peer *send_waiting(struct kt_router *router, uint64_t rooms[ROOMS_MAX],
				 size_t *n_rooms)
{
	struct peer *peer;
	struct peer *next;

	*n_rooms = 0;
	DL_FOREACH_SAFE (router->waiting, peer, next) {
		int status = peer->is_gone ? EHOSTUNREACH : send_queued(router, peer);

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

/* `lost` and `room` may do anything to the list: it is walked again from its start after them. */
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
		if (gone && !n_rooms)
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
	int status;

	kt_must(router->magic == MAGIC);
	zmq_msg_init(&routing);
	if (kt_frame_recv(&routing, socket) < 0)
		return false;
	kt_must(zmq_msg_more(&routing)); /* a ROUTER puts it in front of what came */
	kt_must(zmq_msg_size(&routing) <= ROUTING_BYTES_MAX);
	status = kt_frame_take(router->family, OURS, socket, &router->arena, &message, &body, &err);
	kt_must(status != -EAGAIN);
	peer = peer_speaking(router, zmq_msg_data(&routing), zmq_msg_size(&routing));
	number = peer->number;
	zmq_msg_close(&routing);
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
		   const struct kt_router_events *events, void *arg, struct kt_router **router_p,
		   struct kt_err *err)
{
	KT_AUTO(zsock_destroy) zsock_t *socket = NULL;
	const char *path = kt_endpoint_path(endpoint);
	size_t n_endpoint = ENDPOINT_BYTES_MAX;
	struct kt_router *router;
	struct stat file = { 0 };
	int status;

	status = kt_endpoint_check(endpoint, true, err);
	if (status < 0)
		return status;
	status = kt_endpoint_socket(ZMQ_ROUTER, endpoint, family->frame_bytes_max, &socket, err);
	if (status < 0)
		return status;
	if (events->frames_ahead)
		zsock_set_sndhwm(socket, events->frames_ahead);
	/* ZeroMQ would remove whatever is there. */
	if (path && lstat(path, &file) == 0 && !S_ISSOCK(file.st_mode))
		return kt_err_set(err, KT_FAULT_INPUT, EEXIST,
				  "listening at %s: there is a file that is no socket", path);
	if (kt_endpoint_retry(zmq_bind(zsock_resolve(socket), endpoint)) < 0)
		return kt_err_set(err, KT_FAULT_HOST, errno, "listening at %.200s: %s", endpoint,
				  zmq_strerror(errno));
	if (path && (chmod(path, 0600) < 0 || stat(path, &file) < 0))
		return kt_err_sys(err, KT_FAULT_HOST, errno, "protecting %s", path);
	router = kt_must_calloc(1, sizeof(*router));
	*router = (struct kt_router){
		.magic = MAGIC,
		.family = family,
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
	KT_AUTO(zsock_destroy) zsock_t *monitor = NULL;
	char name[64];
	const char *path = kt_endpoint_path(router->endpoint);
	struct stat file;
	zmq_msg_t event;

	if (path && stat(path, &file) == 0 && file.st_dev == router->file.st_dev &&
	    file.st_ino == router->file.st_ino)
		unlink(path);
	snprintf(name, sizeof(name), "inproc://kt-router-%p", (void *)router);
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
	stop_listening(router);
	kt_zwatch_destroy(&router->watch);
	zsock_destroy(&router->socket);
}
