/* net_pair.h - a router, dealers, one loop, and what happened, for the tests of proto/net. */
#ifndef NET_PAIR_H
#define NET_PAIR_H

#include "proto/base/must.h"
#include "proto/net/dealer.h"
#include "proto/net/router.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>

#define NET_DEALERS 3

struct net;

struct net_end { /* one dealer */
	struct net *net;
	const struct kt_guard *guard;
	struct kt_dealer *dealer;
	size_t n_frames;
	size_t n_bytes; /* of log bodies or chunks */
	size_t n_up;
	size_t n_down;
	size_t n_broken;
	uint64_t seq_last; /* of what came */
	bool is_ordered;
	int error_code;
	char error[KT_ERR_TEXT_MAX];
};

struct net {
	uv_loop_t loop;
	uv_timer_t deadline;
	bool is_late;
	char dir[64];
	char endpoint[128];
	const struct kt_guard *guard;
	struct kt_router *router;
	struct net_end ends[NET_DEALERS];
	size_t n_frames; /* at the router */
	size_t n_bytes;
	size_t n_broken;
	size_t n_lost;
	size_t n_revoked;
	uint64_t peer_revoked;
	size_t n_batches;
	uint64_t peer_newest; /* of those who spoke */
	uint64_t peer_broken;
	uint64_t peer_lost;
	uint64_t peers[NET_DEALERS]; /* by slots_free of their SYNC */
	char error[KT_ERR_TEXT_MAX];
	bool is_echo; /* answers each SYNC with an ACK of the same number */
	void (*on_frame)(struct net *net, uint64_t peer);
};

static inline void net_at_router(void *arg, uint64_t peer, const struct kt_message *message,
				 void *body)
{
	struct net *net = arg;

	net->n_frames++;
	if (peer > net->peer_newest)
		net->peer_newest = peer;
	if (message->tag == KT_TAG_sync) {
		struct kt_msg_sync *sync = body;

		if (sync->slots_free < NET_DEALERS)
			net->peers[sync->slots_free] = peer;
		if (net->is_echo) {
			struct kt_msg_ack ack = { .session = 1, .epoch = sync->seq };
			struct kt_err err;
			int status = kt_router_send(net->router, peer, KT_TAG_ack, &ack, &err);

			/* Who reset itself meanwhile is rightly gone. */
			cr_assert(status == 0 || status == -EHOSTUNREACH, "%s", err.text);
		}
	}
	if (message->tag == KT_TAG_sample_sent)
		net->n_bytes += ((struct kt_msg_sample_sent *)body)->body.len;
	if (net->on_frame)
		net->on_frame(net, peer);
}

static inline void net_router_broken(void *arg, uint64_t peer, const struct kt_err *err)
{
	struct net *net = arg;

	net->n_broken++;
	net->peer_broken = peer;
	cr_assert(err->fault == KT_FAULT_PEER);
	snprintf(net->error, sizeof(net->error), "%s", err->text);
}

static inline void net_lost(void *arg, uint64_t peer, const char *why)
{
	struct net *net = arg;

	net->n_lost++;
	net->peer_lost = peer;
	cr_assert(*why);
}

static inline void net_revoked(void *arg, uint64_t peer, const char *why)
{
	struct net *net = arg;

	net->n_revoked++;
	net->peer_revoked = peer;
	cr_assert(*why);
}

static inline void net_batch_end(void *arg)
{
	((struct net *)arg)->n_batches++;
}

static inline void net_at_dealer(void *arg, const struct kt_message *message, void *body)
{
	struct net_end *end = arg;

	end->n_frames++;
	if (message->tag == KT_TAG_ack) {
		struct kt_msg_ack *ack = body;

		end->is_ordered = end->is_ordered && ack->epoch == end->seq_last + 1;
		end->seq_last = ack->epoch;
	}
	if (message->tag == KT_TAG_chunk)
		end->n_bytes += ((struct kt_msg_chunk *)body)->body.len;
}

static inline void net_dealer_broken(void *arg, const struct kt_err *err)
{
	struct net_end *end = arg;

	end->n_broken++;
	cr_assert(err->fault == KT_FAULT_PEER);
	end->error_code = err->code;
	snprintf(end->error, sizeof(end->error), "%s", err->text);
}

static inline void net_up(void *arg)
{
	((struct net_end *)arg)->n_up++;
}

static inline void net_down(void *arg, const char *why)
{
	((struct net_end *)arg)->n_down++;
	cr_assert(*why);
}

static const struct kt_router_events net_router_events = {
	.frame = net_at_router,
	.broken = net_router_broken,
	.lost = net_lost,
	.revoked = net_revoked,
	.batch_end = net_batch_end,
};

static const struct kt_dealer_events net_dealer_events = {
	.frame = net_at_dealer,
	.broken = net_dealer_broken,
	.up = net_up,
	.down = net_down,
};

static inline void net_late(uv_timer_t *timer)
{
	((struct net *)timer->data)->is_late = true;
}

/* Turns the loop until cond_ holds; false after ms_ milliseconds. */
#define net_until(net_, ms_, cond_)                                    \
	({                                                             \
		(net_)->is_late = false;                               \
		uv_update_time(&(net_)->loop);                         \
		uv_timer_start(&(net_)->deadline, net_late, (ms_), 0); \
		while (!(cond_) && !(net_)->is_late)                   \
			uv_run(&(net_)->loop, UV_RUN_ONCE);            \
		uv_timer_stop(&(net_)->deadline);                      \
		(cond_);                                               \
	})

static inline void net_listen(struct net *net, const char *endpoint)
{
	struct kt_err err;
	int status = kt_router_open(&net->loop, endpoint, &kt_schema_fleet, net->guard,
				    &net_router_events, net, &net->router, &err);

	cr_assert(status == 0, "%s", err.text);
	snprintf(net->endpoint, sizeof(net->endpoint), "%s", kt_router_endpoint(net->router));
}

static inline void net_connect(struct net *net, size_t i)
{
	struct kt_err err;
	int status;

	net->ends[i] =
		(struct net_end){ .net = net, .guard = net->ends[i].guard, .is_ordered = true };
	status = kt_dealer_open(&net->loop, net->endpoint, &kt_schema_fleet, net->ends[i].guard,
				&net_dealer_events, &net->ends[i], &net->ends[i].dealer, &err);
	cr_assert(status == 0, "%s", err.text);
}

static inline int net_sync(struct net *net, size_t i, uint64_t seq)
{
	struct kt_msg_sync sync = { .session = 1, .seq = seq, .slots_free = i };

	return kt_dealer_send(net->ends[i].dealer, KT_TAG_sync, &sync, NULL);
}

/* kind: "ipc" or a tcp endpoint. Ends with a bound router. */
static inline void net_open_guarded(struct net *net, const char *kind, const struct kt_guard *guard)
{
	*net = (struct net){ .dir = "/tmp/kt-net-XXXXXX", .guard = guard };
	cr_assert(mkdtemp(net->dir));
	cr_assert(uv_loop_init(&net->loop) == 0);
	uv_timer_init(&net->loop, &net->deadline);
	net->deadline.data = net;
	snprintf(net->endpoint, sizeof(net->endpoint), "ipc://%s/sock", net->dir);
	net_listen(net, strcmp(kind, "ipc") == 0 ? net->endpoint : kind);
}

static inline void net_open(struct net *net, const char *kind)
{
	net_open_guarded(net, kind, NULL);
}

/* With n dealers that are up and known to the router by net->peers. */
static inline void net_open_with(struct net *net, const char *kind, size_t n)
{
	net_open(net, kind);
	for (size_t i = 0; i < n; i++) {
		net_connect(net, i);
		cr_assert(net_until(net, 5000, net->ends[i].n_up == 1));
		cr_assert(net_sync(net, i, 1) == 0);
		cr_assert(net_until(net, 5000, net->peers[i] != 0));
	}
}

static inline void net_close(struct net *net)
{
	for (size_t i = 0; i < NET_DEALERS; i++)
		kt_dealer_destroy(&net->ends[i].dealer);
	kt_router_destroy(&net->router);
	uv_close((uv_handle_t *)&net->deadline, NULL);
	uv_run(&net->loop, UV_RUN_DEFAULT);
	cr_assert(uv_loop_close(&net->loop) == 0);
	cr_assert(rmdir(net->dir) == 0, "the socket file is still there");
}

#endif
