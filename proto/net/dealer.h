/* dealer.h - the side that connects: a DEALER in the libuv loop, with a random routing id.
 *
 * ZeroMQ reconnects by itself; `up` and `down` come from its monitor. Silence of the other side at
 * the application's level is the owner's to notice: kt_dealer_reset() then starts over with a fresh
 * socket, a fresh routing id and an empty queue.
 */
#ifndef KT_DEALER_H
#define KT_DEALER_H

#include "proto/schema.h"

#include <uv.h>

struct kt_dealer;

struct kt_dealer_events {
	/* message and body live until the callback returns. */
	void (*frame)(void *arg, const struct kt_message *message, void *body);
	void (*broken)(void *arg, const struct kt_err *err); /* the other side broke the protocol */
	void (*up)(void *arg); /* connected, also again */
	void (*down)(void *arg, const char *why);
};

/* Connects in the background; the endpoint need not exist yet. events and arg are kept. */
int kt_dealer_open(uv_loop_t *loop, const char *endpoint, const struct kt_family *family,
		   const struct kt_dealer_events *events, void *arg, struct kt_dealer **dealer,
		   struct kt_err *err);
/* Sends at once or queues while connected; -EAGAIN when the queue (KT_PEER_QUEUE_BYTES_MAX) is full,
 * -ENOTCONN while down: nothing is queued for a peer that is not there.
 */
int kt_dealer_send(struct kt_dealer *dealer, uint32_t tag, const void *body, struct kt_err *err);
size_t kt_dealer_queued_bytes(const struct kt_dealer *dealer);
void kt_dealer_reset(struct kt_dealer *dealer);
void kt_dealer_destroy(struct kt_dealer **dealer_p);

#endif
