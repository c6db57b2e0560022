/* gchannel.h - the guest's end of the virtio-serial port: messages of guest.def in and out.
 *
 * Never blocks. Facts of the driver (drivers/char/virtio_console.c) that shape it:
 *  - poll() says POLLHUP, at once and for ever, while no host is connected: the port is then left out of
 *    the poll and looked at with a timer instead;
 *  - read() returns 0 then, which is no end of file;
 *  - one write takes at most 32 KiB, and 128 of them wait in the ring: 4 MiB that nothing can overtake.
 *    A scheduler that floods its output delayed the next message by 5 s before logs had a rate.
 */
#ifndef KT_GCHANNEL_H
#define KT_GCHANNEL_H

#include "proto/schema.h"

#include <poll.h>

#define KT_GCHANNEL_PORT    KT_GUEST_PORT
#define KT_GCHANNEL_OUT_MAX (8u << 20) /* bytes waiting for the host; beyond: it is gone */
#define KT_GCHANNEL_LOG_BURST \
	(512u << 10) /* bytes of log that may come at once; the host keeps less */
#define KT_GCHANNEL_LOG_RATE (128u << 10) /* bytes per second after that */
#define KT_GCHANNEL_LOOK_NS  (20 * KT_NS_PER_MS) /* between two looks for a host */

struct kt_gchannel {
	int fd;
	bool is_connected; /* a host has the other end */
	bool was_lost; /* it was connected and is no more */
	struct kt_buf in;
	struct kt_buf out;
	struct kt_arena arena; /* of the message that kt_gchannel_next gave last */
	size_t in_drop; /* that message's bytes at the front of in */
	int64_t log_budget; /* bytes of log that may be sent now */
	int64_t log_budget_ns; /* when it was filled up last */
	uint64_t log_bytes_dropped;
};

/* Takes over the fd, which must not block. */
void kt_gchannel_init(struct kt_gchannel *channel, int fd);
/* Finds the port by its name below /sys/class/virtio-ports; -ENOENT when there is none (yet). */
int kt_gchannel_open(struct kt_gchannel *channel, const char *port, struct kt_err *err);
/* True when somebody has just connected: half a message of whoever was there before is forgotten. */
bool kt_gchannel_look(struct kt_gchannel *channel);
struct pollfd kt_gchannel_fd(const struct kt_gchannel *channel); /* fd -1 while nobody is there */
/* Reads until a whole message is there or the port is empty. Take every message before sleeping: poll()
 * tells of bytes in the port, not of those that were read.
 */
void kt_gchannel_fill(struct kt_gchannel *channel);
/* 1 and the next message (valid until the next call), 0 when there is none, -EPROTO. */
int kt_gchannel_next(struct kt_gchannel *channel, const struct kt_message **message, void **into,
		     struct kt_err *err);
void kt_gchannel_send(struct kt_gchannel *channel, uint32_t tag, const void *message);
/* Writes what the port takes, and never reads. -EPIPE when the host does not read. */
int kt_gchannel_flush(struct kt_gchannel *channel, struct kt_err *err);
/* As guest_log, in pieces, within the rate; what is beyond is dropped and its size told. */
void kt_gchannel_log(struct kt_gchannel *channel, const char *stream, const void *bytes,
		     size_t len);

#endif
