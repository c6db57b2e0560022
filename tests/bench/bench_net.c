/* layer: proto/net */
/* Round trips per second of messages of about 1 KiB over ipc, through router and dealer in one loop
 * with everything that belongs to them (encode, frame check, decode on both sides), and as a share of
 * a bare ZeroMQ loop in the same run that copies the same bytes and looks at none of them.
 */
#include "proto/base/clock.h"
#include "proto/base/must.h"
#include "proto/net/dealer.h"
#include "proto/net/router.h"

#include <czmq.h>
#include <inttypes.h>
#include <stdio.h>

#define SECONDS 1
#define BODY    1000

static uint8_t body_bytes[BODY];

struct bench {
	uv_loop_t loop;
	struct kt_router *router;
	struct kt_dealer *dealer;
	uint64_t window;
	uint64_t n_done;
	int64_t until_ns;
};

static void ask(struct bench *bench)
{
	struct kt_msg_log_sent log = {
		.session = 1, .epoch = 1, .stream = "console", .body = { body_bytes, BODY }
	};

	kt_must(kt_dealer_send(bench->dealer, KT_TAG_log_sent, &log, NULL) == 0);
}

static void at_router(void *arg, uint64_t peer, const struct kt_message *message, void *body)
{
	struct bench *bench = arg;
	struct kt_msg_chunk chunk = { .digest = { body_bytes, 32 },
				      .total = BODY,
				      .body = { body_bytes, BODY } };

	kt_must(((struct kt_msg_log_sent *)body)->body.len == BODY);
	kt_must(kt_router_send(bench->router, peer, KT_TAG_chunk, &chunk, NULL) == 0);
}

static void at_dealer(void *arg, const struct kt_message *message, void *body)
{
	struct bench *bench = arg;

	kt_must(((struct kt_msg_chunk *)body)->body.len == BODY);
	bench->n_done++;
	if (kt_clock_now_ns() < bench->until_ns)
		ask(bench);
	else
		uv_stop(&bench->loop);
}

static void router_broken(void *arg, uint64_t peer, const struct kt_err *err)
{
	kt_must(!"broken");
}

static void dealer_broken(void *arg, const struct kt_err *err)
{
	kt_must(!"broken");
}

static void up(void *arg)
{
	struct bench *bench = arg;

	bench->until_ns = kt_clock_now_ns() + SECONDS * KT_NS_PER_S;
	for (uint64_t i = 0; i < bench->window; i++)
		ask(bench);
}

static void down(void *arg, const char *why)
{
	kt_must(!"down");
}

static double ours(const char *endpoint, uint64_t window)
{
	static const struct kt_router_events router_events = { .frame = at_router,
							       .broken = router_broken };
	static const struct kt_dealer_events dealer_events = {
		.frame = at_dealer, .broken = dealer_broken, .up = up, .down = down
	};
	struct bench bench = { .window = window };

	kt_must(uv_loop_init(&bench.loop) == 0);
	kt_must(kt_router_open(&bench.loop, endpoint, &kt_schema_fleet, NULL, &router_events,
			       &bench, &bench.router, NULL) == 0);
	kt_must(kt_dealer_open(&bench.loop, endpoint, &kt_schema_fleet, NULL, &dealer_events,
			       &bench, &bench.dealer, NULL) == 0);
	uv_run(&bench.loop, UV_RUN_DEFAULT);
	kt_dealer_destroy(&bench.dealer);
	kt_router_destroy(&bench.router);
	uv_run(&bench.loop, UV_RUN_DEFAULT);
	kt_must(uv_loop_close(&bench.loop) == 0);
	return (double)bench.n_done / SECONDS;
}

/* One thread and zmq_poll(), as the simplest program would do it. */
static double bare(const char *endpoint, uint64_t window)
{
	zsock_t *router = zsock_new(ZMQ_ROUTER);
	zsock_t *dealer = zsock_new(ZMQ_DEALER);
	zmq_pollitem_t items[] = { { zsock_resolve(router), 0, ZMQ_POLLIN, 0 },
				   { zsock_resolve(dealer), 0, ZMQ_POLLIN, 0 } };
	uint8_t bytes[BODY + 64];
	uint8_t routing[256];
	uint64_t n_done = 0;
	int64_t until_ns;
	int n;

	zsock_set_linger(router, 0);
	zsock_set_linger(dealer, 0);
	kt_must(zsock_bind(router, "%s", endpoint) >= 0);
	kt_must(zsock_connect(dealer, "%s", endpoint) == 0);
	memset(bytes, 0, sizeof(bytes));
	until_ns = kt_clock_now_ns() + SECONDS * KT_NS_PER_S;
	for (uint64_t i = 0; i < window; i++)
		zmq_send(items[1].socket, bytes, BODY, 0);
	while (kt_clock_now_ns() < until_ns) {
		zmq_poll(items, 2, 1000);
		while ((n = zmq_recv(items[0].socket, routing, sizeof(routing), ZMQ_DONTWAIT)) >=
		       0) {
			zmq_recv(items[0].socket, bytes, sizeof(bytes), 0);
			zmq_send(items[0].socket, routing, (size_t)n, ZMQ_SNDMORE);
			zmq_send(items[0].socket, bytes, BODY, 0);
		}
		while (zmq_recv(items[1].socket, bytes, sizeof(bytes), ZMQ_DONTWAIT) >= 0) {
			n_done++;
			zmq_send(items[1].socket, bytes, BODY, 0);
		}
	}
	zsock_destroy(&dealer);
	zsock_destroy(&router);
	return (double)n_done / SECONDS;
}

int main(void)
{
	static const uint64_t windows[] = { 1, 64 };
	char dir[] = "/tmp/kt-bench-net-XXXXXX";
	char endpoint[128];
	char path[64];

	kt_must(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/sock", dir);
	snprintf(endpoint, sizeof(endpoint), "ipc://%s", path);
	for (size_t i = 0; i < 2; i++) {
		double rate = ours(endpoint, windows[i]);
		double rate_bare = bare(endpoint, windows[i]);

		unlink(path);
		printf("{\"bench\": \"net_round_trips\", \"transport\": \"ipc\", \"bytes\": %d, "
		       "\"window\": %" PRIu64 ", \"value\": %.0f, \"unit\": \"1/s\", "
		       "\"bare_zmq\": %.0f, \"share_of_bare\": %.2f}\n",
		       BODY, windows[i], rate, rate_bare, rate / rate_bare);
	}
	rmdir(dir);
	return 0;
}
