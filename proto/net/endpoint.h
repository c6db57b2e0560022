/* endpoint.h - which endpoints are taken, and a socket with the options that all of ours have.
 *
 * ipc://PATH with a path of at most KT_ENDPOINT_PATH_BYTES_MAX bytes; tcp://HOST:PORT, with * as the
 * port when binding. Without keys HOST is 127.0.0.1 or [::1]: nothing would encrypt or authenticate
 * the connection. With them (struct kt_guard: CURVE) it is any IPv4 address, any IPv6 address in
 * brackets, * when binding (all addresses of this machine), a name when connecting. Who may connect to
 * a path is decided by its directory, which is the caller's and should be 0700. ZeroMQ replaces a
 * socket file that is there already, stale or not: that only one server runs per directory is the
 * caller's lock to keep.
 *
 * Known limit: ZeroMQ gathers all parts of a message before it shows any, so whoever may connect can
 * make this process grow with one endless multi-part message. No option bounds that.
 */
#ifndef KT_ENDPOINT_H
#define KT_ENDPOINT_H

#include "proto/base/err.h"
#include "proto/net/key.h"

#include <czmq.h>
#include <errno.h>
#include <stdbool.h>

#define KT_ENDPOINT_PATH_BYTES_MAX 107 /* sun_path, unix(7), without its 0 byte */
#define KT_ENDPOINT_LINGER_MS      500 /* ZeroMQ goes on sending for so long after a close */

/* zmq_bind(), zmq_connect() and their like fail with EINTR when a signal comes in between, having done
 * nothing yet: again.
 */
#define kt_endpoint_retry(call_)                   \
	({                                         \
		int rc_;                           \
		do                                 \
			rc_ = (call_);             \
		while (rc_ < 0 && errno == EINTR); \
		rc_;                               \
	})

struct kt_zap;

/* What makes an endpoint CURVE; NULL in its place: no keys. All borrowed, for as long as the endpoint is there. */
struct kt_guard {
	const struct kt_key *key; /* ours, both halves */
	struct kt_zap *zap; /* who is let in; for the side that binds */
	const char *server_key; /* the only one that is spoken to; for the side that connects */
};

/* The path of an ipc endpoint, NULL for others. Borrowed. */
const char *kt_endpoint_path(const char *endpoint);
/* ipc and loopback TCP: what needs no keys. */
bool kt_endpoint_is_local(const char *endpoint);
/* 0 or -EINVAL, fault INPUT, with a sentence. */
int kt_endpoint_check(const char *endpoint, bool is_bind, bool has_keys, struct kt_err *err);
/* The host of a tcp endpoint with the port of another: where a fleet's second endpoint is found, whatever names or
 * translated addresses lie in between. To be freed; NULL when one of them is not tcp.
 */
char *kt_endpoint_beside(const char *host_of, const char *port_of);
/* A socket (ZMQ_ROUTER, ZMQ_DEALER) with limits, TCP's keepalive and lingering set, not yet bound or
 * connected. A frame beyond frame_bytes_max ends the connection it came on. -errno, fault HOST.
 */
int kt_endpoint_socket(int type, const char *endpoint, size_t frame_bytes_max,
		       const struct kt_guard *guard, zsock_t **socket, struct kt_err *err);
/* Only for the test of the proof that strangers are refused (coordinator/trust.h), and only by the environment:
 * ZeroMQ's enforcement is left out, as czmq leaves it out. The proof must find that and end the start.
 */
bool kt_endpoint_lets_strangers_in(void);

#endif
