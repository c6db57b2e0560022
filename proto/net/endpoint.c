#include "proto/net/endpoint.h"
#include "proto/base/must.h"
#include "proto/net/zap.h"
#include "proto/net/zwatch.h"

#include <arpa/inet.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define IPC "ipc://"
#define TCP "tcp://"

#define HWM                     64 /* messages: the byte-bounded queues are our own */
#define DESCRIPTORS_OF_A_SOCKET 8 /* eventfds of it and its monitor, and some */
#define BACKLOG                 1024
#define HANDSHAKE_MS            5000
/* A peer that vanished without a word is the kernel's to notice: ZeroMQ's heartbeats stay off. Their timer writes to the
 * connection whatever its state, and libzmq 4.3.4 aborts the whole process ("!_io_error") when its other end hung up while
 * its input stood still: because our queue was full, or because a frame could not be decrypted while somebody
 * listens to the socket's monitor. Who holds a key could end the coordinator so, and did in tests/chaos.
 */
#define KEEPALIVE_IDLE_S        5
#define KEEPALIVE_INTERVAL_S    2
#define KEEPALIVE_PROBES        3
#define UNACKNOWLEDGED_MS \
	10000 /* then a connection is broken; silence above TCP is the owner's to notice */
#define RECONNECT_MS           200 /* ZeroMQ adds up to as much again at random */
#define RECONNECT_MS_MAX       10000
/* Nobody is stampeded on one machine: a restarted server is found at once. */
#define RECONNECT_LOCAL_MS_MAX 1000

#define HOST_BYTES_MAX 255

/* Of the options that Debian's zmq.h does not show (they are there): czmq's call for it does nothing. */
#define ENFORCE_ZAP 93

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

/* tcp://HOST:PORT in its parts. False: it is no such thing. */
static bool split(const char *endpoint, char host[HOST_BYTES_MAX + 1], const char **port)
{
	const char *at = endpoint + strlen(TCP);
	const char *colon = strrchr(endpoint, ':');
	size_t n;

	if (!starts_with(endpoint, TCP) || colon < at)
		return false;
	n = (size_t)(colon - at);
	if (!n || n > HOST_BYTES_MAX)
		return false;
	memcpy(host, at, n);
	host[n] = 0;
	*port = colon + 1;
	return true;
}

enum host_kind { IS_NOTHING, IS_ANY, IS_LOOPBACK, IS_ADDRESS, IS_NAME };

static enum host_kind kind_of(const char *host)
{
	static const char name_chars[] =
		"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_";
	size_t len = strlen(host);
	char inner[HOST_BYTES_MAX + 1];
	struct in6_addr v6;
	struct in_addr v4;

	if (strcmp(host, "*") == 0)
		return IS_ANY;
	if (strcmp(host, "127.0.0.1") == 0 || strcmp(host, "[::1]") == 0)
		return IS_LOOPBACK;
	if (inet_pton(AF_INET, host, &v4) == 1)
		return IS_ADDRESS;
	if (host[0] == '[' && host[len - 1] == ']') {
		snprintf(inner, sizeof(inner), "%.*s", (int)(len - 2), host + 1);
		inner[strcspn(inner, "%")] = 0; /* of a link: fe80::1%eth0 */
		return inet_pton(AF_INET6, inner, &v6) == 1 ? IS_ADDRESS : IS_NOTHING;
	}
	/* All digits and dots: an address with a mistake in it, not a name. */
	if (strspn(host, "0123456789.") == len || strspn(host, name_chars) != len)
		return IS_NOTHING;
	return IS_NAME;
}

bool kt_endpoint_is_local(const char *endpoint)
{
	char host[HOST_BYTES_MAX + 1];
	const char *port;

	return kt_endpoint_path(endpoint) ||
	       (split(endpoint, host, &port) && kind_of(host) == IS_LOOPBACK);
}

static int check_path(const char *endpoint, const char *path, struct kt_err *err)
{
	if (!*path || *path == '*' || *path == '@')
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "endpoint '%.200s': a path must follow ipc://", endpoint);
	if (strlen(path) > KT_ENDPOINT_PATH_BYTES_MAX)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "endpoint '%.200s': the path has %zu bytes, a Unix socket takes "
				  "at most %d: use a shorter directory",
				  endpoint, strlen(path), KT_ENDPOINT_PATH_BYTES_MAX);
	return 0;
}

int kt_endpoint_check(const char *endpoint, bool is_bind, bool has_keys, struct kt_err *err)
{
	const char *path = kt_endpoint_path(endpoint);
	char host[HOST_BYTES_MAX + 1];
	const char *port;
	enum host_kind kind;

	if (path)
		return check_path(endpoint, path, err);
	if (!split(endpoint, host, &port))
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "endpoint '%.200s': expected ipc://PATH or tcp://HOST:PORT",
				  endpoint);
	kind = kind_of(host);
	if (kind == IS_NOTHING)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "endpoint '%.200s': '%.100s' is no address (IPv6 stands in "
				  "brackets: tcp://[fe80::1]:7400)",
				  endpoint, host);
	if (is_bind && kind == IS_NAME)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "endpoint '%.200s': to listen, name an address of this machine, "
				  "or * for all of them",
				  endpoint);
	if (!is_bind && kind == IS_ANY)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "endpoint '%.200s': to connect, name the other machine",
				  endpoint);
	if (!is_port(port, is_bind))
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "endpoint '%.200s': the port is not a number from 1 to 65535",
				  endpoint);
	if (kind != IS_LOOPBACK && !has_keys)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "endpoint '%.200s': without keys only 127.0.0.1 and [::1] are "
				  "taken, because nothing would encrypt or authenticate the "
				  "connection (%s)",
				  endpoint,
				  is_bind ? "`ktcoord keys new` makes the coordinator's"
					  : "`ktworker key` makes this host's; then --key and "
					    "--server-key");
	return 0;
}

char *kt_endpoint_beside(const char *host_of, const char *port_of)
{
	char host[HOST_BYTES_MAX + 1];
	char other[HOST_BYTES_MAX + 1];
	const char *port;

	if (!split(host_of, host, &port) || !split(port_of, other, &port))
		return NULL;
	return kt_must_asprintf(TCP "%s:%s", host, port);
}

bool kt_endpoint_lets_strangers_in(void)
{
	return getenv("KTCOORD_TEST_LETS_STRANGERS_IN") != NULL;
}

static int set_text(void *socket, int option, const char *text)
{
	return zmq_setsockopt(socket, option, text, strlen(text));
}

/* Every option is checked: one that fails silently is how endpoints come to be open. */
static int set_curve(void *socket, int type, const struct kt_guard *guard, struct kt_err *err)
{
	const int one = 1;
	int status;

	if (type == ZMQ_ROUTER) {
		status = zmq_setsockopt(socket, ZMQ_CURVE_SERVER, &one, sizeof(one));
		if (status == 0)
			status = set_text(socket, ZMQ_CURVE_SECRETKEY, guard->key->secret_key);
		if (status == 0)
			status = set_text(socket, ZMQ_ZAP_DOMAIN, KT_ZAP_DOMAIN);
		if (status == 0 && !kt_endpoint_lets_strangers_in())
			status = zmq_setsockopt(socket, ENFORCE_ZAP, &one, sizeof(one));
	} else {
		status = set_text(socket, ZMQ_CURVE_SERVERKEY, guard->server_key);
		if (status == 0)
			status = set_text(socket, ZMQ_CURVE_PUBLICKEY, guard->key->public_key);
		if (status == 0)
			status = set_text(socket, ZMQ_CURVE_SECRETKEY, guard->key->secret_key);
	}
	if (status == 0)
		return 0;
	return kt_err_set(err, KT_FAULT_HOST, errno, "turning CURVE on: %s", zmq_strerror(errno));
}

/* Names and * mean both families: ZeroMQ maps IPv4 into IPv6, and falls back where there is no IPv6. */
static bool wants_ipv6(const char *endpoint)
{
	char host[HOST_BYTES_MAX + 1];
	const char *port;
	enum host_kind kind;

	if (!split(endpoint, host, &port))
		return false;
	kind = kind_of(host);
	return host[0] == '[' || kind == IS_ANY || kind == IS_NAME;
}

/* Those of a socket and of its monitor. czmq ends the process where they are missing. */
static bool has_descriptors(void)
{
	int fds[DESCRIPTORS_OF_A_SOCKET];
	size_t n = 0;

	while (n < DESCRIPTORS_OF_A_SOCKET && (fds[n] = eventfd(0, EFD_CLOEXEC)) >= 0)
		n++;
	for (size_t i = 0; i < n; i++)
		close(fds[i]);
	return n == DESCRIPTORS_OF_A_SOCKET;
}

int kt_endpoint_socket(int type, const char *endpoint, size_t frame_bytes_max,
		       const struct kt_guard *guard, zsock_t **socket, struct kt_err *err)
{
	int64_t bytes_max = (int64_t)frame_bytes_max;
	zsock_t *made;
	int status;

	kt_zwatch_setup();
	if (!has_descriptors())
		return kt_err_sys(err, KT_FAULT_HOST, EMFILE, "making a ZeroMQ socket");
	made = zsock_new(type);
	if (!made)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "making a ZeroMQ socket");
	zsock_set_sndhwm(made, HWM);
	zsock_set_rcvhwm(made, HWM);
	zsock_set_linger(made, KT_ENDPOINT_LINGER_MS);
	zsock_set_backlog(made, BACKLOG);
	zsock_set_handshake_ivl(made, HANDSHAKE_MS);
	zsock_set_reconnect_ivl(made, RECONNECT_MS);
	zsock_set_reconnect_ivl_max(made, kt_endpoint_path(endpoint) ? RECONNECT_LOCAL_MS_MAX
								     : RECONNECT_MS_MAX);
	zsock_set_tcp_keepalive(made, 1);
	zsock_set_tcp_keepalive_idle(made, KEEPALIVE_IDLE_S);
	zsock_set_tcp_keepalive_intvl(made, KEEPALIVE_INTERVAL_S);
	zsock_set_tcp_keepalive_cnt(made, KEEPALIVE_PROBES);
	zsock_set_tcp_maxrt(made, UNACKNOWLEDGED_MS);
	zsock_set_ipv6(made, wants_ipv6(endpoint));
	/* czmq's setter takes an int for this int64 option. */
	zmq_setsockopt(zsock_resolve(made), ZMQ_MAXMSGSIZE, &bytes_max, sizeof(bytes_max));
	if (type == ZMQ_ROUTER)
		zsock_set_router_mandatory(made, 1);
	if (type == ZMQ_DEALER)
		zsock_set_immediate(made, 1);
	status = guard ? set_curve(zsock_resolve(made), type, guard, err) : 0;
	if (status < 0)
		zsock_destroy(&made);
	*socket = made;
	return status;
}
