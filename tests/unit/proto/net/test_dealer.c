#include "tests/unit/proto/net/net_pair.h"

#include <arpa/inet.h>
#include <czmq.h>
#include <sys/resource.h>

Test(dealer, it_may_come_before_its_server_and_survives_its_restart)
{
	struct net_end *end;
	struct net net;

	net_open(&net, "ipc");
	kt_router_destroy(&net.router);
	end = &net.ends[0];
	net_connect(&net, 0);
	net_until(&net, 30, false);
	cr_assert(end->n_up == 0);
	cr_assert(net_sync(&net, 0, 1) == -ENOTCONN);
	for (size_t i = 1; i <= 2; i++) {
		net_listen(&net, net.endpoint);
		cr_assert(net_until(&net, 5000, end->n_up == i));
		cr_assert(net_sync(&net, 0, i) == 0);
		cr_assert(net_until(&net, 5000, net.n_frames == i));
		kt_router_destroy(&net.router);
		cr_assert(net_until(&net, 5000, end->n_down == i));
		cr_assert(net_sync(&net, 0, i) == -ENOTCONN);
		cr_assert(kt_dealer_queued_bytes(end->dealer) == 0);
	}
	cr_assert(end->n_broken == 0);
	net_close(&net);
}

Test(dealer, a_server_that_never_reads_fills_the_queue_and_no_more)
{
	struct kt_err err = { 0 };
	struct kt_msg_sync sync = { .session = 1, .seq = 1 };
	size_t n_sent = 1;
	struct net net;
	int status;

	net_open_with(&net, "ipc", 1);
	kt_router_pause(net.router, true);
	while ((status = kt_dealer_send(net.ends[0].dealer, KT_TAG_sync, &sync, &err)) == 0)
		cr_assert(++n_sent < 1000000);
	cr_assert(status == -EAGAIN);
	cr_assert(err.fault == KT_FAULT_PEER);
	cr_assert(kt_dealer_queued_bytes(net.ends[0].dealer) <= KT_PEER_QUEUE_BYTES_MAX);
	kt_router_pause(net.router, false);
	cr_assert(net_until(&net, 5000, net.n_frames == n_sent), "%zu of %zu", net.n_frames,
		  n_sent);
	cr_assert(kt_dealer_queued_bytes(net.ends[0].dealer) == 0);
	net_close(&net);
}

Test(dealer, a_reset_is_a_new_peer_with_an_empty_queue)
{
	struct net_end *end;
	uint64_t before;
	struct net net;

	net_open_with(&net, "ipc", 1);
	end = &net.ends[0];
	before = net.peers[0];
	kt_router_pause(net.router, true);
	while (net_sync(&net, 0, 2) == 0)
		;
	kt_dealer_reset(end->dealer);
	cr_assert(kt_dealer_queued_bytes(end->dealer) == 0);
	cr_assert(net_sync(&net, 0, 3) == -ENOTCONN);
	kt_router_pause(net.router, false);
	cr_assert(net_until(&net, 20000, end->n_up == 2), "%zu up, %zu down, %zu broken",
		  (size_t)end->n_up, (size_t)end->n_down, (size_t)end->n_broken);
	cr_assert(end->n_down == 0, "who resets knows");
	cr_assert(net_sync(&net, 0, 4) == 0);
	cr_assert(net_until(&net, 5000, net.peer_newest != before));
	net_close(&net);
}

Test(dealer, without_descriptors_it_comes_back_when_there_are_some)
{
	struct rlimit limit;
	struct rlimit none;
	struct net_end *end;
	struct net net;

	net_open_with(&net, "ipc", 1);
	end = &net.ends[0];
	cr_assert(getrlimit(RLIMIT_NOFILE, &limit) == 0);
	none = (struct rlimit){ .rlim_cur = 3, .rlim_max = limit.rlim_max };
	cr_assert(setrlimit(RLIMIT_NOFILE, &none) == 0);
	kt_dealer_reset(end->dealer);
	cr_assert(net_sync(&net, 0, 1) == -ENOTCONN);
	kt_dealer_pause(end->dealer, true);
	kt_dealer_pause(end->dealer, false);
	cr_assert(setrlimit(RLIMIT_NOFILE, &limit) == 0);
	cr_assert(net_until(&net, 20000, end->n_up == 2));
	cr_assert(net_sync(&net, 0, 2) == 0);
	net_close(&net);
}

static void reset_on_frame(void *arg, const struct kt_message *message, void *body)
{
	struct net_end *end = arg;

	net_at_dealer(arg, message, body);
	if (end->n_frames == 10)
		kt_dealer_reset(end->dealer);
	if (end->n_frames == 20)
		kt_dealer_destroy(&end->dealer);
}

Test(dealer, it_may_be_reset_and_destroyed_by_its_own_callback)
{
	static const struct kt_dealer_events events = {
		.frame = reset_on_frame,
		.broken = net_dealer_broken,
		.up = net_up,
		.down = net_down,
	};
	struct net_end *end;
	struct kt_err err;
	struct net net;

	net_open(&net, "ipc");
	net.is_echo = true;
	end = &net.ends[0];
	*end = (struct net_end){ .net = &net };
	cr_assert(kt_dealer_open(&net.loop, net.endpoint, &kt_schema_fleet, NULL, &events, end,
				 &end->dealer, &err) == 0);
	for (size_t i = 1; i <= 2; i++) {
		cr_assert(net_until(&net, 5000, end->n_up == i));
		for (uint64_t seq = 1; seq <= 50; seq++)
			net_sync(&net, 0, seq);
		cr_assert(net_until(&net, 5000, end->n_frames == 10 * i));
	}
	cr_assert(end->dealer == NULL);
	net_close(&net);
}

/* ---- a server that is none ---- */

static void feed_broken(struct net *net, zsock_t *raw, const void *bytes, size_t len, int parts)
{
	struct net_end *end = &net->ends[0];
	size_t before = end->n_broken;
	struct kt_msg_sync sync = { .session = 1, .seq = 1 };
	zmq_msg_t routing;

	cr_assert(kt_dealer_send(end->dealer, KT_TAG_sync, &sync, NULL) == 0);
	zmq_msg_init(&routing);
	cr_assert(zmq_msg_recv(&routing, zsock_resolve(raw), 0) > 0);
	cr_assert(zmq_recv(zsock_resolve(raw), (char[64]){ 0 }, 64, 0) > 0);
	zmq_msg_send(&routing, zsock_resolve(raw), ZMQ_SNDMORE);
	for (int part = 1; part <= parts; part++)
		zmq_send(zsock_resolve(raw), bytes, len, part < parts ? ZMQ_SNDMORE : 0);
	cr_assert(net_until(net, 5000, end->n_broken == before + 1));
}

Test(dealer, whatever_is_not_one_frame_of_the_family_to_a_worker_is_broken)
{
	struct kt_msg_sync sync = { .session = 1, .seq = 1 };
	KT_AUTO(zsock_destroy) zsock_t *raw = NULL;
	KT_AUTO_BUF other_way = { 0 };
	struct net net;

	kt_codec_encode_frame(&kt_schema_fleet, KT_TAG_sync, &sync, &other_way);
	net_open(&net, "ipc");
	kt_router_destroy(&net.router);
	raw = zsock_new(ZMQ_ROUTER);
	zsock_set_linger(raw, 0);
	cr_assert(zsock_bind(raw, "%s", net.endpoint) == 0);
	net_connect(&net, 0);
	cr_assert(net_until(&net, 5000, net.ends[0].n_up == 1));
	feed_broken(&net, raw, "", 0, 1);
	feed_broken(&net, raw, "\x92\x0b\x80", 3, 2);
	feed_broken(&net, raw, "\xc1", 1, 1);
	feed_broken(&net, raw, other_way.data, other_way.len, 1);
	cr_assert(strstr(net.ends[0].error, "goes to coordinator"), "%s", net.ends[0].error);
	cr_assert(net.ends[0].n_frames == 0);
	cr_assert(net.ends[0].n_down == 0);
	unlink(net.endpoint + strlen("ipc://"));
	net_close(&net);
}

Test(dealer, a_server_that_speaks_no_zeromq_is_broken_and_given_another_chance)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	socklen_t n_at = sizeof(at);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct net_end *end;
	struct net net;
	int client;
	static const char greeting[64] = "\xff\0\0\0\0\0\0\0\1\x7f\3\0NONSENSE";

	/* or what is left of the connection keeps the port from the real server */
	cr_assert(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int)) == 0);
	cr_assert(bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0);
	cr_assert(listen(fd, 8) == 0);
	cr_assert(getsockname(fd, (struct sockaddr *)&at, &n_at) == 0);
	net_open(&net, "ipc");
	kt_router_destroy(&net.router);
	snprintf(net.endpoint, sizeof(net.endpoint), "tcp://127.0.0.1:%d", ntohs(at.sin_port));
	end = &net.ends[0];
	net_connect(&net, 0);
	client = accept(fd, NULL, NULL);
	cr_assert(client >= 0);
	/* A ZMTP 3 greeting with a mechanism that nobody knows: libzmq does not try again by itself. */
	cr_assert(write(client, greeting, sizeof(greeting)) == sizeof(greeting));
	cr_assert(net_until(&net, 5000, end->n_broken == 1));
	cr_assert(end->n_up == 0);
	close(client);
	close(fd);
	net_listen(&net, net.endpoint);
	cr_assert(net_until(&net, 2 * KT_DEALER_FRESH_MS, end->n_up == 1));
	net_close(&net);
}
