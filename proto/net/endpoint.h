/* endpoint.h - which endpoints are taken, and a socket with the options that all of ours have.
 *
 * ipc://PATH with a path of at most KT_ENDPOINT_PATH_BYTES_MAX bytes; tcp://127.0.0.1:PORT or
 * tcp://[::1]:PORT, with * as the port when binding. Other TCP addresses are refused until CURVE
 * guards them. Who may connect to a path is decided by its directory, which is the caller's and
 * should be 0700. ZeroMQ replaces a socket file that is there already, stale or not: that only one
 * server runs per directory is the caller's lock to keep.
 *
 * Known limit: ZeroMQ gathers all parts of a message before it shows any, so whoever may connect can
 * make this process grow with one endless multi-part message. No option bounds that.
 */
#ifndef KT_ENDPOINT_H
#define KT_ENDPOINT_H

#include "proto/base/err.h"

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

/* The path of an ipc endpoint, NULL for others. Borrowed. */
const char *kt_endpoint_path(const char *endpoint);
/* 0 or -EINVAL, fault INPUT, with a sentence. */
int kt_endpoint_check(const char *endpoint, bool is_bind, struct kt_err *err);
/* A socket (ZMQ_ROUTER, ZMQ_DEALER) with limits, heartbeats and lingering set, not yet bound or
 * connected. A frame beyond frame_bytes_max ends the connection it came on. -errno, fault HOST.
 */
int kt_endpoint_socket(int type, const char *endpoint, size_t frame_bytes_max, zsock_t **socket,
		       struct kt_err *err);

#endif
