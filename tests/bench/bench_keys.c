/* layer: proto/net */
/* How long it takes until 1,000 hosts with 1,000 keys are connected to one router and known by name, from the first
 * connect on; the allow-list holds all of them. Beside it, the same sockets without keys. The clients are in the same
 * process and loop, as bare sockets.
 */
#include "proto/base/clock.h"
#include "proto/base/limits.h"
#include "proto/base/must.h"
#include "proto/net/router.h"
#include "proto/net/zap.h"

#include <stdio.h>
#include <string.h>

#define HOSTS 1000

struct bench {
	uv_loop_t loop;
	struct kt_router *router;
	struct kt_key keys[HOSTS];
	struct kt_guard guards[HOSTS];
	zsock_t *sockets[HOSTS];
	size_t n_heard;
	size_t n_known;
};

static void on_stranger(void *arg, const struct kt_stranger *stranger)
{
	fprintf(stderr, "%s\n", stranger->why);
}

static const struct kt_zap_events zap_events = { .stranger = on_stranger };

static void on_frame(void *arg, uint64_t peer, const struct kt_message *message, void *body)
{
	struct bench *bench = arg;

	bench->n_heard++;
	bench->n_known += kt_router_who(bench->router, peer).name != NULL;
	if (bench->n_heard == HOSTS)
		uv_stop(&bench->loop);
}

static void on_broken(void *arg, uint64_t peer, const struct kt_err *err)
{
	fprintf(stderr, "%s\n", err->text);
}

static const struct kt_router_events events = { .frame = on_frame, .broken = on_broken };

static int64_t connect_all(struct bench *bench, bool has_keys)
{
	struct kt_msg_sync sync = { .session = 1, .seq = 1 };
	int64_t began_ns = kt_clock_now_ns();
	KT_AUTO_BUF frame = { 0 };

	kt_codec_encode_frame(&kt_schema_fleet, KT_TAG_sync, &sync, &frame);
	for (size_t i = 0; i < HOSTS; i++) {
		kt_must(kt_endpoint_socket(ZMQ_DEALER, kt_router_endpoint(bench->router), 1 << 20,
					   has_keys ? &bench->guards[i] : NULL, &bench->sockets[i],
					   NULL) == 0);
		zsock_set_immediate(bench->sockets[i],
				    0); /* it may be sent before it is connected */
		kt_must(zmq_connect(zsock_resolve(bench->sockets[i]),
				    kt_router_endpoint(bench->router)) == 0);
		kt_must(zmq_send(zsock_resolve(bench->sockets[i]), frame.data, frame.len, 0) > 0);
	}
	uv_run(&bench->loop, UV_RUN_DEFAULT);
	return kt_clock_now_ns() - began_ns;
}

static void measure(bool has_keys)
{
	static struct bench bench;
	struct kt_allow *allow = kt_allow_new();
	struct kt_zap *zap = NULL;
	struct kt_guard guard;
	struct kt_key server;
	int64_t took_ns;

	memset(&bench, 0, sizeof(bench));
	kt_must(uv_loop_init(&bench.loop) == 0);
	kt_must(kt_key_make(&server, NULL) == 0);
	for (size_t i = 0; i < HOSTS; i++) {
		char name[32];

		snprintf(name, sizeof(name), "host%zu", i);
		kt_must(kt_key_make(&bench.keys[i], NULL) == 0);
		kt_must(kt_allow_add(allow, bench.keys[i].public_key, KT_ROLE_WORK, name, NULL,
				     NULL) == 0);
		bench.guards[i] =
			(struct kt_guard){ .key = &bench.keys[i], .server_key = server.public_key };
	}
	kt_must(kt_zap_open(&bench.loop, &zap_events, NULL, &zap, NULL) == 0);
	kt_zap_set(zap, &allow);
	guard = (struct kt_guard){ .key = &server, .zap = zap };
	kt_must(kt_router_open(&bench.loop, "tcp://127.0.0.1:*", &kt_schema_fleet,
			       has_keys ? &guard : NULL, &events, &bench, &bench.router,
			       NULL) == 0);
	took_ns = connect_all(&bench, has_keys);
	kt_must(bench.n_known == (has_keys ? HOSTS : 0));
	printf("{\"bench\": \"keys\", \"measure\": \"connect\", \"hosts\": %d, \"keys\": %d, "
	       "\"value\": %.3f, \"unit\": \"s\"}\n",
	       HOSTS, has_keys ? HOSTS : 0, (double)took_ns / (double)KT_NS_PER_S);
	for (size_t i = 0; i < HOSTS; i++)
		zsock_destroy(&bench.sockets[i]);
	kt_router_destroy(&bench.router);
	kt_zap_destroy(&zap);
	uv_run(&bench.loop, UV_RUN_DEFAULT);
	kt_must(uv_loop_close(&bench.loop) == 0);
}

int main(void)
{
	measure(true);
	measure(false);
	return 0;
}
