/* zap.h - who is let in: ZeroMQ asks here about every CURVE handshake (ZAP, rfc.zeromq.org/spec/27).
 *
 * A REP at inproc://zeromq.zap.01 in the libuv loop, and one look into a hash: 1,000 keys and 1,000
 * clients are connected in a second, czmq's zauth takes ten. There is one per process.
 *
 * The User-Id that it gives is the key, not the name: a name may get another key while a session of the
 * old one is open, and identity is the key. ZeroMQ asks at handshakes only; that the key is still in
 * the list is the router's to check with every message.
 */
#ifndef KT_ZAP_H
#define KT_ZAP_H

#include "proto/net/allow.h"

#include <uv.h>

#define KT_ZAP_DOMAIN "ktcoord"

struct kt_zap;

/* Somebody who was not let in. All texts live until the callback returns. */
struct kt_stranger {
	const char *address; /* "" when it is not known */
	const char *key; /* "" when it has none */
	const char *why;
	const char *advice; /* what would let it in */
	uint64_t n_untold; /* that were not told of since the last one (strangers.h) */
};

struct kt_zap_events {
	/* Not with every attempt of one stranger: for a log. */
	void (*stranger)(void *arg, const struct kt_stranger *stranger);
};

/* Nobody is let in until kt_zap_set(). -EADDRINUSE, fault BUG: there is one already. */
int kt_zap_open(uv_loop_t *loop, const struct kt_zap_events *events, void *arg, struct kt_zap **zap,
		struct kt_err *err);
/* From now on this list counts, also for sessions that are open: kt_router_recheck(). */
void kt_zap_set(struct kt_zap *zap, struct kt_allow **allow);
const struct kt_allow *kt_zap_allow(const struct kt_zap *zap);
uint64_t kt_zap_term(const struct kt_zap *zap); /* goes up with each kt_zap_set() */
/* Whoever has this key is refused like any other, and not told of: for a proof that strangers are. NULL: nobody. */
void kt_zap_expect(struct kt_zap *zap, const char *key);
/* An address without what marks IPv4 that came to a socket for both. Borrowed from address. */
const char *kt_zap_address(const char *address);
/* For those who see strangers that ZAP is not asked about. */
void kt_zap_tell(struct kt_zap *zap, const char *address, const char *key, const char *why,
		 const char *advice);
/* The loop needs one more turn to free the handles. After it nobody is let in any more. */
void kt_zap_destroy(struct kt_zap **zap_p);

#endif
