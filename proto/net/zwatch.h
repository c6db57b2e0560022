/* zwatch.h - a ZeroMQ socket as a citizen of a libuv loop. The only file that touches zsock_fd().
 *
 * That file descriptor is edge-triggered in spirit: it says "look at the socket's events now", not
 * "there is a message"; one receive per uv_poll callback stalls at the first message. So uv_poll only
 * wakes the loop; uv_prepare looks at ZMQ_EVENTS right before the loop would sleep, and starts a
 * uv_idle when something is readable; uv_check stops the idle and lets the owner read up to
 * KT_ZWATCH_BATCH_MAX messages, so that one busy socket cannot starve the rest of the loop.
 *
 * Callbacks may do anything to the watch, kt_zwatch_destroy() included.
 */
#ifndef KT_ZWATCH_H
#define KT_ZWATCH_H

#include <czmq.h>
#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

/* A turn of the loop takes what is there, up to so many messages and for so long. The more come, the more share what follows
 * a batch (a commit); and as ZeroMQ takes one message of each peer in turn, with a thousand peers what one of them said
 * together is a thousand messages apart.
 */
#define KT_ZWATCH_BATCH_MAX 4096
#define KT_ZWATCH_BATCH_NS  (20 * KT_NS_PER_MS)
#define KT_ZWATCH_RETRY_MS  5 /* after which kt_zwatch_retry() gives another turn at the latest */

struct kt_zwatch;

struct kt_zwatch_events {
	/* Receives one message with ZMQ_DONTWAIT; false when there was none. */
	bool (*read)(void *arg);
	/* After each batch, after each wake-up by the socket, and after kt_zwatch_retry(): the
	 * moment to send again what did not go before. n_read messages came just now. May be NULL.
	 */
	void (*turn)(void *arg, size_t n_read);
	/* The watch is gone; the last call of all. */
	void (*closed)(void *arg);
};

/* Before the first socket of the process: czmq installs no signal handlers and has no cap on
 * sockets. Done once, however often it is called.
 */
void kt_zwatch_setup(void);

/* Borrows the socket, which outlives kt_zwatch_destroy(). Cannot fail but for want of memory or of
 * file descriptors for epoll, which a kt_must() ends.
 */
struct kt_zwatch *kt_zwatch_open(uv_loop_t *loop, zsock_t *socket,
				 const struct kt_zwatch_events *events, void *arg);
/* While paused nothing is read: messages wait in ZeroMQ, then in the kernel, then at the sender. */
void kt_zwatch_pause(struct kt_zwatch *watch, bool paused);
/* Something could not be sent: asks for `turn` as soon as the socket reports anything, or after
 * KT_ZWATCH_RETRY_MS. (A ROUTER's POLLOUT only says that some peer could be written to.)
 */
void kt_zwatch_retry(struct kt_zwatch *watch);
/* At once there are no more callbacks but `closed`, which comes from the loop; the socket may be
 * closed right after this.
 */
void kt_zwatch_destroy(struct kt_zwatch **watch_p);

#endif
