#include "proto/net/dealer.h"
#include "proto/base/must.h"
#include "proto/net/endpoint.h"
#include "proto/net/frame.h"
#include "proto/net/sendq.h"
#include "proto/net/zwatch.h"

#include <errno.h>
#include <string.h>
#include <sys/random.h>

#define MAGIC 0x6465616c65720001ull
#define OURS  "to worker" /* the direction that this side takes */

/* What the monitor says, zmq_socket_monitor(3). */
#define MONITORED                                                                     \
	(ZMQ_EVENT_HANDSHAKE_SUCCEEDED | ZMQ_EVENT_DISCONNECTED |                     \
	 ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL | \
	 ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)

struct kt_dealer {
	uint64_t magic;
	uv_loop_t *loop;
	char *endpoint;
	const struct kt_family *family;
	const struct kt_guard *guard; /* NULL: no keys */
	const struct kt_dealer_events *events;
	void *arg;
	zsock_t *socket;
	zsock_t *monitor;
	struct kt_zwatch *watch;
	struct kt_zwatch *monitor_watch;
	uv_timer_t fresh; /* runs from a loss until `up` */
	uint64_t fresh_ms; /* how long it runs when the handshake fails again */
	size_t n_open; /* watches and handles whose closing is not yet over */
	struct kt_sendq queue;
	bool is_up;
	bool is_told; /* that this socket's handshake failed: ZeroMQ may try it more often */
	bool is_paused;
	struct kt_arena arena;
	struct kt_buf scratch;
};

static struct kt_dealer *of(void *arg)
{
	struct kt_dealer *dealer = arg;

	kt_must(dealer->magic == MAGIC);
	return dealer;
}

static void one_closed(void *arg)
{
	struct kt_dealer *dealer = of(arg);

	if (--dealer->n_open)
		return;
	kt_arena_destroy(&dealer->arena);
	kt_buf_destroy(&dealer->scratch);
	kt_sendq_destroy(&dealer->queue);
	free(dealer->endpoint);
	dealer->magic = 0;
	free(dealer);
}

/* ---- the data ---- */

static bool on_read(void *arg)
{
	struct kt_dealer *dealer = of(arg);
	void *socket = zsock_resolve(dealer->socket);
	const struct kt_message *message = NULL;
	struct kt_err err = { 0 };
	void *body = NULL;
	zmq_msg_t first;
	int status;

	zmq_msg_init(&first);
	status = kt_frame_take(dealer->family, OURS, socket, &dealer->arena, &message, &body,
			       &first, &err);
	zmq_msg_close(&first);
	if (status == -EAGAIN)
		return false;
	if (status == 0)
		dealer->events->frame(dealer->arg, message, body);
	else
		dealer->events->broken(dealer->arg, &err);
	kt_arena_reset(&dealer->arena);
	return true;
}

static void send_queued(struct kt_dealer *dealer)
{
	zmq_msg_t *frame;

	while ((frame = kt_sendq_first(&dealer->queue))) {
		if (kt_frame_send(frame, zsock_resolve(dealer->socket), 0) < 0)
			return;
		kt_sendq_pop(&dealer->queue);
	}
}

static void on_turn(void *arg, size_t n_read)
{
	struct kt_dealer *dealer = of(arg);

	send_queued(dealer);
	if (kt_sendq_first(&dealer->queue))
		kt_zwatch_retry(dealer->watch);
}

int kt_dealer_send(struct kt_dealer *dealer, uint32_t tag, const void *body, struct kt_err *err)
{
	zmq_msg_t frame;
	bool is_taken;
	int status;

	kt_must(dealer->magic == MAGIC);
	if (!dealer->is_up)
		return kt_err_set(err, KT_FAULT_PEER, ENOTCONN, "%s is not connected",
				  dealer->endpoint);
	status = kt_frame_make(dealer->family, OURS, tag, body, &dealer->scratch, &frame, err);
	if (status < 0)
		return status;
	is_taken = !kt_sendq_first(&dealer->queue) &&
		   kt_frame_send(&frame, zsock_resolve(dealer->socket), 0) == 0;
	if (!is_taken && kt_sendq_push(&dealer->queue, &frame, KT_PEER_QUEUE_BYTES_MAX)) {
		kt_zwatch_retry(dealer->watch);
		is_taken = true;
	}
	zmq_msg_close(&frame);
	if (is_taken)
		return 0;
	return kt_err_set(err, KT_FAULT_PEER, EAGAIN, "%s does not read: %zu bytes wait for it",
			  dealer->endpoint, dealer->queue.bytes);
}

/* ---- the connection ---- */

static void on_fresh(uv_timer_t *handle)
{
	kt_dealer_reset(of(handle->data));
}

/* A thousand workers whose coordinator went away do not come back in the same millisecond. */
static uint64_t jittered(uint64_t ms)
{
	uint16_t random = 0;

	(void)!getrandom(&random, sizeof(random), 0);
	return ms + ms / 2 * random / UINT16_MAX;
}

static void fresh_in(struct kt_dealer *dealer, uint64_t ms)
{
	if (!uv_is_active((uv_handle_t *)&dealer->fresh))
		kt_must(uv_timer_start(&dealer->fresh, on_fresh, jittered(ms), 0) == 0);
}

/* Each time a fresh socket failed as well, we come back later. */
static void fresh_later(struct kt_dealer *dealer)
{
	fresh_in(dealer, dealer->fresh_ms);
	dealer->fresh_ms *= 2;
	if (dealer->fresh_ms > KT_DEALER_FRESH_MS_MAX)
		dealer->fresh_ms = KT_DEALER_FRESH_MS_MAX;
}

static int refused(const struct kt_dealer *dealer, struct kt_err *err)
{
	return kt_err_set(err, KT_FAULT_PEER, EACCES,
			  "%s refuses this host: its key is not in the coordinator's allow-list: "
			  "run `ktcoord keys allow NAME '%s'` there",
			  dealer->endpoint, dealer->guard ? dealer->guard->key->public_key : "KEY");
}

/* What the monitor's value says about a handshake that failed (zmq_socket_monitor(3)). */
static int no_handshake(const struct kt_dealer *dealer, uint16_t event, uint32_t value,
			struct kt_err *err)
{
	if (event == ZMQ_EVENT_HANDSHAKE_FAILED_AUTH)
		return refused(dealer, err);
	if (event == ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL &&
	    value == ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH)
		return kt_err_set(
			err, KT_FAULT_PEER, ENOKEY,
			dealer->guard ? "%s speaks no CURVE: that coordinator has no keys, or "
					"something else listens there"
				      : "%s wants keys: connect with --key FILE and --server-key "
					"KEY (`ktworker key` makes one)",
			dealer->endpoint);
	/* A server that cannot read what was meant for another key hangs up without a word. */
	if (dealer->guard)
		return kt_err_set(
			err, KT_FAULT_PEER, ENOKEY,
			"%s hung up in the middle of the handshake: it has not the key that "
			"--server-key names (compare with `ktcoord keys list` there), or is "
			"no coordinator, or one that runs without keys",
			dealer->endpoint);
	return kt_err_set(
		err, KT_FAULT_PEER, EPROTO,
		"%s answers, but not as a coordinator without keys: if it is one with keys, "
		"add --server-key KEY (and see `ktworker key`)",
		dealer->endpoint);
}

static void on_event(struct kt_dealer *dealer, uint16_t event, uint32_t value)
{
	struct kt_err err = { 0 };

	switch (event) {
	case ZMQ_EVENT_HANDSHAKE_SUCCEEDED:
		uv_timer_stop(&dealer->fresh);
		dealer->fresh_ms = KT_DEALER_FRESH_MS;
		if (dealer->is_up)
			return;
		dealer->is_up = true;
		dealer->events->up(dealer->arg);
		return;
	case ZMQ_EVENT_DISCONNECTED:
		fresh_in(dealer, KT_DEALER_FRESH_MS);
		if (!dealer->is_up)
			return;
		dealer->is_up = false;
		kt_sendq_destroy(&dealer->queue);
		dealer->events->down(dealer->arg, "the connection ended");
		return;
	default:
		if (dealer->is_told)
			return;
		dealer->is_told = true;
		fresh_later(dealer);
		no_handshake(dealer, event, value, &err);
		dealer->events->broken(dealer->arg, &err);
	}
}

/* An event is two frames: number and value, then the address (zmq_socket_monitor(3)). */
static bool on_read_monitor(void *arg)
{
	struct kt_dealer *dealer = of(arg);
	void *monitor = zsock_resolve(dealer->monitor);
	uint16_t event = 0;
	uint32_t value = 0;
	zmq_msg_t number;
	zmq_msg_t address;

	zmq_msg_init(&number);
	zmq_msg_init(&address);
	if (kt_frame_recv(&number, monitor) < 0)
		return false;
	kt_must(zmq_msg_size(&number) == sizeof(event) + sizeof(value));
	memcpy(&event, zmq_msg_data(&number), sizeof(event));
	memcpy(&value, (uint8_t *)zmq_msg_data(&number) + sizeof(event), sizeof(value));
	kt_must(kt_frame_recv(&address, monitor) == 0);
	zmq_msg_close(&address);
	zmq_msg_close(&number);
	on_event(dealer, event, value);
	return true;
}

static const struct kt_zwatch_events watch_events = {
	.read = on_read,
	.turn = on_turn,
	.closed = one_closed,
};

static const struct kt_zwatch_events monitor_events = {
	.read = on_read_monitor,
	.closed = one_closed,
};

/* ---- life ---- */

static int open_sockets(struct kt_dealer *dealer, struct kt_err *err)
{
	static uint64_t n_monitors;
	char name[64];
	int status;

	dealer->is_told = false;
	status = kt_endpoint_socket(ZMQ_DEALER, dealer->endpoint, dealer->family->frame_bytes_max,
				    dealer->guard, &dealer->socket, err);
	if (status < 0)
		return status;
	snprintf(name, sizeof(name), "inproc://kt-dealer-%llu", (unsigned long long)++n_monitors);
	dealer->monitor = zsock_new(ZMQ_PAIR);
	if (!dealer->monitor ||
	    kt_endpoint_retry(zmq_socket_monitor(zsock_resolve(dealer->socket), name, MONITORED)) <
		    0 ||
	    kt_endpoint_retry(zmq_connect(zsock_resolve(dealer->monitor), name)) < 0 ||
	    kt_endpoint_retry(zmq_connect(zsock_resolve(dealer->socket), dealer->endpoint)) < 0)
		return kt_err_set(err, KT_FAULT_HOST, errno, "connecting to %s: %s",
				  dealer->endpoint, zmq_strerror(errno));
	return 0;
}

/* The monitor is stopped before its reader goes: it would block ZeroMQ's own thread otherwise. */
static void close_sockets(struct kt_dealer *dealer, int linger_ms)
{
	kt_zwatch_destroy(&dealer->watch);
	kt_zwatch_destroy(&dealer->monitor_watch);
	if (dealer->socket) {
		zmq_socket_monitor(zsock_resolve(dealer->socket), NULL, 0);
		zsock_set_linger(dealer->socket, linger_ms);
	}
	zsock_destroy(&dealer->monitor);
	zsock_destroy(&dealer->socket);
}

static void watch_sockets(struct kt_dealer *dealer)
{
	dealer->n_open += 2;
	dealer->watch = kt_zwatch_open(dealer->loop, dealer->socket, &watch_events, dealer);
	dealer->monitor_watch =
		kt_zwatch_open(dealer->loop, dealer->monitor, &monitor_events, dealer);
	kt_zwatch_pause(dealer->watch, dealer->is_paused);
}

int kt_dealer_open(uv_loop_t *loop, const char *endpoint, const struct kt_family *family,
		   const struct kt_guard *guard, const struct kt_dealer_events *events, void *arg,
		   struct kt_dealer **dealer_p, struct kt_err *err)
{
	struct kt_dealer *dealer;
	int status;

	status = kt_endpoint_check(endpoint, false, guard != NULL, err);
	if (status < 0)
		return status;
	dealer = kt_must_calloc(1, sizeof(*dealer));
	*dealer = (struct kt_dealer){
		.magic = MAGIC,
		.loop = loop,
		.endpoint = kt_must_strdup(endpoint),
		.family = family,
		.guard = guard,
		.fresh_ms = KT_DEALER_FRESH_MS,
		.events = events,
		.arg = arg,
		.arena = { .max = KT_FRAME_ARENA_BYTES_MAX },
		.scratch = { .max = family->frame_bytes_max },
	};
	status = open_sockets(dealer, err);
	if (status < 0) {
		close_sockets(dealer, 0);
		free(dealer->endpoint);
		free(dealer);
		return status;
	}
	kt_must(uv_timer_init(loop, &dealer->fresh) == 0);
	dealer->fresh.data = dealer;
	dealer->n_open = 1;
	watch_sockets(dealer);
	*dealer_p = dealer;
	return 0;
}

void kt_dealer_pause(struct kt_dealer *dealer, bool paused)
{
	dealer->is_paused = paused;
	if (dealer->watch)
		kt_zwatch_pause(dealer->watch, paused);
}

size_t kt_dealer_queued_bytes(const struct kt_dealer *dealer)
{
	return dealer->queue.bytes;
}

void kt_dealer_reset(struct kt_dealer *dealer)
{
	struct kt_err err = { 0 };

	kt_must(dealer->magic == MAGIC);
	close_sockets(dealer, 0);
	kt_sendq_destroy(&dealer->queue);
	dealer->is_up = false;
	uv_timer_stop(&dealer->fresh);
	/* For want of descriptors, and the like: a daemon tries again. */
	if (open_sockets(dealer, &err) < 0) {
		close_sockets(dealer, 0);
		fresh_later(dealer);
		return;
	}
	watch_sockets(dealer);
}

static void on_timer_closed(uv_handle_t *handle)
{
	one_closed(handle->data);
}

void kt_dealer_destroy(struct kt_dealer **dealer_p)
{
	struct kt_dealer *dealer = kt_take(dealer_p);

	if (!dealer)
		return;
	kt_must(dealer->magic == MAGIC);
	send_queued(dealer);
	close_sockets(dealer, KT_ENDPOINT_LINGER_MS);
	uv_close((uv_handle_t *)&dealer->fresh, on_timer_closed);
}
