/* gstats.h - carries scx_stats requests to the scheduler's socket and answers back.
 *
 * The protocol has no request ids: one request is in flight, on one kept connection, each with its
 * deadline; after a missed deadline the connection is closed, so that a late answer can never be taken
 * for the next one. One connection is kept because most schedulers answer with the change since the
 * previous request on it. Never blocks.
 */
#ifndef KT_GSTATS_H
#define KT_GSTATS_H

#include "proto/schema.h"

#include <poll.h>

#define KT_GSTATS_PATH      "/var/run/scx/root/stats"
#define KT_GSTATS_EXPECT_NS (2 * KT_NS_PER_S)
#define KT_GSTATS_QUEUE_MAX 8 /* requests that wait for the one in flight */

struct kt_gstats_request {
	uint64_t id;
	int64_t deadline_ns; /* a moment, counted from the request's arrival */
	struct kt_buf line; /* with its newline */
};

struct kt_gstats {
	const char *path;
	int64_t expected_ns; /* until then a socket that is not there yet is waited for */
	int fd; /* -1: not connected */
	bool is_sent; /* the first request is in flight, whole */
	size_t sent; /* bytes of it */
	struct kt_buf in;
	struct kt_gstats_request queue[KT_GSTATS_QUEUE_MAX]; /* the first is in flight */
	size_t n_queue;
};

typedef void kt_gstats_sink(void *arg, const struct kt_msg_guest_stats_answer *answer);

void kt_gstats_init(struct kt_gstats *stats, const char *path);
/* A scheduler has just become enabled: programs open their socket a moment after that, so a request that
 * comes in between waits for it (KT_GSTATS_EXPECT_NS, and never beyond its own deadline).
 */
void kt_gstats_expect(struct kt_gstats *stats, int64_t now_ns);
/* Answers go to sink, from here already when the request cannot be taken. */
void kt_gstats_ask(struct kt_gstats *stats, const struct kt_msg_guest_stats *request,
		   int64_t now_ns, kt_gstats_sink *sink, void *arg);
struct pollfd kt_gstats_fd(const struct kt_gstats *stats);
int64_t kt_gstats_due_ns(const struct kt_gstats *stats, int64_t now_ns); /* INT64_MAX: never */
void kt_gstats_step(struct kt_gstats *stats, int64_t now_ns, kt_gstats_sink *sink, void *arg);
/* The scheduler is gone: whatever waits is answered with error. */
void kt_gstats_close(struct kt_gstats *stats, const char *error, const char *text,
		     kt_gstats_sink *sink, void *arg);

#endif
