#include "proto/net/gate.h"
#include "proto/base/must.h"
#include "proto/net/endpoint.h"
#include "proto/net/frame.h"
#include "proto/net/zwatch.h"

#include <arpa/inet.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <uthash.h>

#define MAGIC 0x6761746500000001ull

#define MONITORED                                                                             \
	(ZMQ_EVENT_ACCEPTED | ZMQ_EVENT_DISCONNECTED | ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL | \
	 ZMQ_EVENT_HANDSHAKE_FAILED_AUTH | ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL)

/* A connection that was accepted; there are no more of them than file descriptors. */
struct caller {
	int fd; /* key */
	char address[INET6_ADDRSTRLEN];
	UT_hash_handle hh;
};

struct reason {
	const char *why;
	const char *advice;
};

struct kt_gate {
	uint64_t magic;
	zsock_t *socket;
	zsock_t *monitor;
	struct kt_zwatch *watch;
	struct kt_zap *zap;
	struct caller *callers;
	const struct reason
		*reason; /* of the failure that came; its connection ends next. NULL: none came */
};

static const struct reason no_curve = {
	"it does not speak CURVE",
	"connect with ktworker --key FILE --server-key KEY",
};
static const struct reason bad_crypto = {
	"what it sent does not fit this coordinator's key: another --server-key, or bytes that "
	"were "
	"overheard and sent again",
	"compare its --server-key with `ktcoord keys list`",
};
static const struct reason gone = {
	"it hung up or fell silent before the handshake was over",
	"is it a ktworker? connect with ktworker --key FILE --server-key KEY",
};
static const struct reason other = {
	"it broke the handshake's protocol",
	"is it a ktworker? connect with ktworker --key FILE --server-key KEY",
};

static struct kt_gate *of(void *arg)
{
	struct kt_gate *gate = arg;

	kt_must(gate->magic == MAGIC);
	return gate;
}

static const struct reason *reason_of(uint32_t error)
{
	switch (error) {
	case ZMQ_PROTOCOL_ERROR_ZMTP_MECHANISM_MISMATCH:
		return &no_curve;
	case ZMQ_PROTOCOL_ERROR_ZMTP_CRYPTOGRAPHIC:
	case ZMQ_PROTOCOL_ERROR_ZMTP_KEY_EXCHANGE:
		return &bad_crypto;
	default:
		return &other;
	}
}

static void forget(struct kt_gate *gate, struct caller *caller)
{
	HASH_DEL(gate->callers, caller);
	free(caller);
}

/* The connection may be gone by now, and its number another's: then the address is that one's, or none. It is for a
 * log line only.
 */
static void look_at(int fd, char address[INET6_ADDRSTRLEN])
{
	struct sockaddr_storage peer = { 0 };
	socklen_t len = sizeof(peer);

	address[0] = 0;
	if (getpeername(fd, (struct sockaddr *)&peer, &len) < 0)
		return;
	if (peer.ss_family == AF_INET)
		inet_ntop(AF_INET, &((struct sockaddr_in *)(void *)&peer)->sin_addr, address,
			  INET6_ADDRSTRLEN);
	else if (peer.ss_family == AF_INET6)
		inet_ntop(AF_INET6, &((struct sockaddr_in6 *)(void *)&peer)->sin6_addr, address,
			  INET6_ADDRSTRLEN);
}

static void on_accepted(struct kt_gate *gate, int fd)
{
	struct caller *caller;

	HASH_FIND_INT(gate->callers, &fd, caller);
	if (!caller) {
		caller = kt_must_calloc(1, sizeof(*caller));
		caller->fd = fd;
		HASH_ADD_INT(gate->callers, fd, caller);
	}
	look_at(fd, caller->address);
}

/* Both come from ZeroMQ's one I/O thread: the failure, and at once the end of its connection. */
static void on_disconnected(struct kt_gate *gate, int fd)
{
	const struct reason *reason = gate->reason;
	struct caller *caller;

	gate->reason = NULL;
	HASH_FIND_INT(gate->callers, &fd, caller);
	if (reason)
		kt_zap_tell(gate->zap, caller ? caller->address : "", "", reason->why,
			    reason->advice);
	if (caller)
		forget(gate, caller);
}

static bool on_read(void *arg)
{
	struct kt_gate *gate = of(arg);
	void *monitor = zsock_resolve(gate->monitor);
	struct {
		uint16_t event;
		uint32_t value;
	} said = { 0 };
	zmq_msg_t number;
	zmq_msg_t address;

	zmq_msg_init(&number);
	zmq_msg_init(&address);
	if (kt_frame_recv(&number, monitor) < 0)
		return false;
	kt_must(zmq_msg_size(&number) == sizeof(said.event) + sizeof(said.value));
	memcpy(&said.event, zmq_msg_data(&number), sizeof(said.event));
	memcpy(&said.value, (uint8_t *)zmq_msg_data(&number) + sizeof(said.event),
	       sizeof(said.value));
	kt_must(kt_frame_recv(&address, monitor) == 0);
	zmq_msg_close(&address);
	zmq_msg_close(&number);
	switch (said.event) {
	case ZMQ_EVENT_ACCEPTED:
		on_accepted(gate, (int)said.value);
		break;
	case ZMQ_EVENT_HANDSHAKE_FAILED_PROTOCOL:
		gate->reason = reason_of(said.value);
		break;
	case ZMQ_EVENT_HANDSHAKE_FAILED_NO_DETAIL:
		gate->reason = &gone;
		break;
	case ZMQ_EVENT_DISCONNECTED:
		on_disconnected(gate, (int)said.value);
		break;
	default:
		gate->reason = NULL; /* ZAP said no, and told */
	}
	return true;
}

static void on_closed(void *arg)
{
	struct kt_gate *gate = of(arg);

	while (gate->callers)
		forget(gate, gate->callers);
	gate->magic = 0;
	free(gate);
}

static const struct kt_zwatch_events watch_events = {
	.read = on_read,
	.closed = on_closed,
};

int kt_gate_open(uv_loop_t *loop, zsock_t *socket, struct kt_zap *zap, struct kt_gate **gate_p,
		 struct kt_err *err)
{
	static uint64_t n_gates;
	KT_AUTO(zsock_destroy) zsock_t *monitor = zsock_new(ZMQ_PAIR);
	struct kt_gate *gate;
	char name[64];

	/* A queue without end: ZeroMQ's one I/O thread waits for a place in it, with all connections, as long as strangers
	 * fill it faster than we read.
	 */
	if (monitor)
		zsock_set_rcvhwm(monitor, 0);
	snprintf(name, sizeof(name), "inproc://kt-gate-%" PRIu64, ++n_gates);
	if (!monitor ||
	    kt_endpoint_retry(zmq_socket_monitor(zsock_resolve(socket), name, MONITORED)) < 0 ||
	    kt_endpoint_retry(zmq_connect(zsock_resolve(monitor), name)) < 0)
		return kt_err_set(err, KT_FAULT_HOST, errno, "watching for strangers: %s",
				  zmq_strerror(errno));
	gate = kt_must_calloc(1, sizeof(*gate));
	*gate = (struct kt_gate){ .magic = MAGIC, .socket = socket, .zap = zap };
	gate->watch = kt_zwatch_open(loop, monitor, &watch_events, gate);
	gate->monitor = kt_take(&monitor);
	*gate_p = gate;
	return 0;
}

/* The monitor is stopped before its reader goes: it would block ZeroMQ's own thread otherwise. */
void kt_gate_destroy(struct kt_gate **gate_p)
{
	struct kt_gate *gate = kt_take(gate_p);

	if (!gate)
		return;
	kt_must(gate->magic == MAGIC);
	kt_zwatch_destroy(&gate->watch);
	zmq_socket_monitor(zsock_resolve(gate->socket), NULL, 0);
	zsock_destroy(&gate->monitor);
}
