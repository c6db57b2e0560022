#include "proto/net/endpoint.h"
#include "proto/net/zwatch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define IPC "ipc://"

#define HWM                    64 /* messages: the byte-bounded queues are our own */
#define BACKLOG                1024
#define HANDSHAKE_MS           5000
#define HEARTBEAT_MS           1000
#define HEARTBEAT_TTL_MS       5000 /* at most 60000: libzmq 4.3.4 overflows above 65535 */
#define RECONNECT_MS           200 /* ZeroMQ adds up to as much again at random */
#define RECONNECT_MS_MAX       10000
/* Nobody is stampeded on one machine: a restarted server is found at once. */
#define RECONNECT_LOCAL_MS_MAX 1000

static const char *const tcp_prefixes[] = { "tcp://127.0.0.1:", "tcp://[::1]:" };

static bool starts_with(const char *text, const char *start)
{
	return strncmp(text, start, strlen(start)) == 0;
}

const char *kt_endpoint_path(const char *endpoint)
{
	return starts_with(endpoint, IPC) ? endpoint + strlen(IPC) : NULL;
}

static bool is_port(const char *text, bool is_bind)
{
	size_t n_digits = strspn(text, "0123456789");

	if (is_bind && strcmp(text, "*") == 0)
		return true;
	return n_digits > 0 && n_digits <= 5 && !text[n_digits] && atoi(text) > 0 &&
	       atoi(text) <= 65535;
}

int kt_endpoint_check(const char *endpoint, bool is_bind, struct kt_err *err)
{
	const char *path = kt_endpoint_path(endpoint);

	if (path && (!*path || *path == '*' || *path == '@'))
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "endpoint '%.200s': a path must follow ipc://", endpoint);
	if (path && strlen(path) > KT_ENDPOINT_PATH_BYTES_MAX)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "endpoint '%.200s': the path has %zu bytes, a Unix socket takes "
				  "at most %d: use a shorter directory",
				  endpoint, strlen(path), KT_ENDPOINT_PATH_BYTES_MAX);
	if (path)
		return 0;
	for (size_t i = 0; i < sizeof(tcp_prefixes) / sizeof(tcp_prefixes[0]); i++) {
		if (!starts_with(endpoint, tcp_prefixes[i]))
			continue;
		if (is_port(endpoint + strlen(tcp_prefixes[i]), is_bind))
			return 0;
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "endpoint '%.200s': the port is not a number from 1 to 65535",
				  endpoint);
	}
	if (starts_with(endpoint, "tcp://"))
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "endpoint '%.200s': only 127.0.0.1 and [::1] are taken, because "
				  "nothing encrypts or authenticates the connection yet",
				  endpoint);
	return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
			  "endpoint '%.200s': expected ipc://PATH or tcp://127.0.0.1:PORT",
			  endpoint);
}

int kt_endpoint_socket(int type, const char *endpoint, size_t frame_bytes_max, zsock_t **socket,
		       struct kt_err *err)
{
	int64_t bytes_max = (int64_t)frame_bytes_max;
	zsock_t *made;

	kt_zwatch_setup();
	made = zsock_new(type);
	if (!made)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "making a ZeroMQ socket");
	zsock_set_sndhwm(made, HWM);
	zsock_set_rcvhwm(made, HWM);
	zsock_set_linger(made, KT_ENDPOINT_LINGER_MS);
	zsock_set_backlog(made, BACKLOG);
	zsock_set_handshake_ivl(made, HANDSHAKE_MS);
	zsock_set_heartbeat_ivl(made, HEARTBEAT_MS);
	zsock_set_heartbeat_timeout(made, HEARTBEAT_TTL_MS);
	zsock_set_heartbeat_ttl(made, HEARTBEAT_TTL_MS);
	zsock_set_reconnect_ivl(made, RECONNECT_MS);
	zsock_set_reconnect_ivl_max(made, kt_endpoint_path(endpoint) ? RECONNECT_LOCAL_MS_MAX
								     : RECONNECT_MS_MAX);
	zsock_set_tcp_keepalive(made, 1);
	zsock_set_ipv6(made, strchr(endpoint, '[') != NULL);
	/* czmq's setter takes an int for this int64 option. */
	zmq_setsockopt(zsock_resolve(made), ZMQ_MAXMSGSIZE, &bytes_max, sizeof(bytes_max));
	if (type == ZMQ_ROUTER)
		zsock_set_router_mandatory(made, 1);
	if (type == ZMQ_DEALER)
		zsock_set_immediate(made, 1);
	*socket = made;
	return 0;
}
