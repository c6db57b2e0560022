#include "tests/unit/proto/net/net_pair.h"

#include <arpa/inet.h>
#include <czmq.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>

static const char *const kinds[] = { "ipc", "tcp://127.0.0.1:*", "tcp://[::1]:*" };

/* Window as wide as the queues allow; the router answers each message. */
static void ping_pong(struct net *net, const char *kind, uint64_t n)
{
	struct net_end *end = &net->ends[0];
	uint64_t seq = 1;

	net_open_with(net, kind, 1);
	net->is_echo = true;
	end->seq_last = 1;
	while (end->seq_last < n && !net->is_late) {
		while (seq < n && net_sync(net, 0, seq + 1) == 0)
			seq++;
		net_until(net, 5000, end->seq_last == seq);
	}
	cr_assert(end->n_frames == n - 1, "%s: %zu of %zu", kind, end->n_frames, (size_t)n - 1);
	cr_assert(end->is_ordered);
	cr_assert(net->n_frames == n);
	cr_assert(net->n_broken == 0);
	cr_assert(kt_router_queued_bytes(net->router, net->peers[0]) == 0);
}

Test(router, ten_thousand_messages_go_both_ways_without_a_stall)
{
	struct net net;

	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		ping_pong(&net, kinds[k], 10000);
		cr_assert(net.n_batches < 10000, "frames come in batches");
		net_close(&net);
	}
}

static void on_alarm(int number)
{
}

Test(router, signals_in_between_do_no_harm)
{
	struct sigaction action = { .sa_handler = on_alarm };
	struct itimerval often = { { 0, 200 }, { 0, 200 } };
	struct itimerval never = { { 0, 0 }, { 0, 0 } };
	struct net net;

	sigaction(SIGALRM, &action, NULL);
	setitimer(ITIMER_REAL, &often, NULL);
	ping_pong(&net, "tcp://127.0.0.1:*", 5000);
	for (int i = 0; i < 100; i++) {
		kt_dealer_reset(net.ends[0].dealer);
		kt_router_destroy(&net.router);
		net_listen(&net, net.endpoint);
	}
	cr_assert(net_until(&net, 5000, net.ends[0].n_up == 2));
	setitimer(ITIMER_REAL, &never, NULL);
	net_close(&net);
}

static uint8_t bytes[KT_SAMPLE_BYTES_MAX];

static int send_chunk(struct net *net, uint64_t peer, struct kt_err *err)
{
	struct kt_msg_chunk chunk = { .digest = { bytes, 32 },
				      .total = KT_CHUNK_BYTES_MAX,
				      .body = { bytes, KT_CHUNK_BYTES_MAX } };

	return kt_router_send(net->router, peer, KT_TAG_chunk, &chunk, err);
}

static int send_ack(struct net *net, uint64_t peer)
{
	struct kt_msg_ack ack = { .session = 1, .epoch = 1 };

	return kt_router_send(net->router, peer, KT_TAG_ack, &ack, NULL);
}

Test(router, the_largest_frames_arrive_whole)
{
	struct kt_msg_sample_sent sample = { .session = 1,
					     .epoch = 1,
					     .body = { bytes, sizeof(bytes) } };
	struct net net;

	for (size_t k = 0; k < 2; k++) {
		net_open_with(&net, kinds[k], 1);
		for (int i = 0; i < 4; i++)
			cr_assert(kt_dealer_send(net.ends[0].dealer, KT_TAG_sample_sent, &sample,
						 NULL) == 0);
		cr_assert(send_chunk(&net, net.peers[0], NULL) == 0);
		cr_assert(net_until(&net, 5000, net.n_bytes == 4 * sizeof(bytes)));
		cr_assert(net_until(&net, 5000, net.ends[0].n_bytes == KT_CHUNK_BYTES_MAX));
		net_close(&net);
	}
}

Test(router, a_peer_that_never_reads_fills_its_queue_and_starves_nobody)
{
	struct kt_err err = { 0 };
	size_t n_sent = 0;
	struct net net;
	int status;

	net_open_with(&net, "ipc", 2);
	kt_dealer_pause(net.ends[0].dealer, true);
	while ((status = send_chunk(&net, net.peers[0], &err)) == 0) {
		cr_assert(++n_sent < 1000, "nothing bounds the queue");
		uv_run(&net.loop, UV_RUN_NOWAIT);
	}
	cr_assert(status == -EAGAIN, "%s", err.text);
	cr_assert(err.fault == KT_FAULT_PEER);
	cr_assert(kt_router_queued_bytes(net.router, net.peers[0]) <= KT_PEER_QUEUE_BYTES_MAX);
	cr_assert(kt_router_queued_bytes(net.router, net.peers[0]) >
		  KT_PEER_QUEUE_BYTES_MAX - 2 * KT_CHUNK_BYTES_MAX);

	net.is_echo = true;
	for (uint64_t seq = 2; seq < 502; seq++)
		cr_assert(net_sync(&net, 1, seq) == 0);
	cr_assert(net_until(&net, 5000, net.ends[1].n_frames == 500));

	/* It reads again: nothing was lost. */
	kt_dealer_pause(net.ends[0].dealer, false);
	cr_assert(net_until(&net, 5000, net.ends[0].n_frames == n_sent), "%zu of %zu",
		  net.ends[0].n_frames, n_sent);
	cr_assert(kt_router_queued_bytes(net.router, net.peers[0]) == 0);
	cr_assert(net.n_lost == 0);
	net_close(&net);
}

Test(router, tiny_messages_fill_a_queue_too)
{
	size_t n_sent = 0;
	struct net net;

	net_open_with(&net, "ipc", 1);
	kt_dealer_pause(net.ends[0].dealer, true);
	while (send_ack(&net, net.peers[0]) == 0)
		cr_assert(++n_sent < 1000000);
	cr_assert(n_sent < KT_PEER_QUEUE_BYTES_MAX / 100, "an entry costs more than its bytes");
	net_close(&net); /* with the queue full: nothing of it may leak */
}

Test(router, a_vanished_peer_is_lost_once)
{
	struct kt_err err = { 0 };
	struct net net;
	uint64_t gone;

	for (size_t k = 0; k < 2; k++) {
		net_open_with(&net, kinds[k], 2);
		gone = net.peers[0];
		kt_dealer_destroy(&net.ends[0].dealer);
		for (int i = 0; i < 5000 && net.n_lost == 0; i++) {
			send_ack(&net, gone);
			net_until(&net, 1, net.n_lost > 0);
		}
		cr_assert(net.n_lost == 1);
		cr_assert(net.peer_lost == gone);
		cr_assert(send_chunk(&net, gone, &err) == -EHOSTUNREACH);
		cr_assert(err.fault == KT_FAULT_PEER);
		net_until(&net, 20, false);
		cr_assert(net.n_lost == 1);
		cr_assert(send_ack(&net, net.peers[1]) == 0);
		net_close(&net);
	}
}

Test(router, a_peer_that_vanishes_with_a_full_queue_is_lost_without_another_send)
{
	size_t n_sent = 0;
	size_t before;
	struct net net;

	net_open_with(&net, "ipc", 1);
	kt_dealer_pause(net.ends[0].dealer, true);
	do { /* until ZeroMQ and the kernel are full too */
		before = n_sent;
		while (send_chunk(&net, net.peers[0], NULL) == 0)
			n_sent++;
		net_until(&net, 100, false);
	} while (n_sent > before);
	kt_dealer_destroy(&net.ends[0].dealer);
	cr_assert(net_until(&net, 5000, net.n_lost == 1));
	cr_assert(kt_router_queued_bytes(net.router, net.peers[0]) == 0);
	net_close(&net);
}

Test(router, a_forgotten_peer_is_a_new_one_when_it_speaks_again)
{
	uint64_t before;
	struct net net;

	net_open_with(&net, "ipc", 1);
	before = net.peers[0];
	kt_router_forget(net.router, before);
	kt_router_forget(net.router, before);
	cr_assert(send_ack(&net, before) == -EHOSTUNREACH);
	cr_assert(net_sync(&net, 0, 2) == 0);
	cr_assert(net_until(&net, 5000, net.peers[0] != before));
	cr_assert(net.n_lost == 0);
	cr_assert(send_ack(&net, net.peers[0]) == 0);
	net_close(&net);
}

Test(router, a_paused_router_makes_senders_wait_and_loses_nothing)
{
	uint64_t n = 1;
	struct net net;

	net_open_with(&net, "ipc", 1);
	kt_router_pause(net.router, true);
	while (n < 5000 && net_sync(&net, 0, n + 1) == 0)
		n++;
	net_until(&net, 50, false);
	cr_assert(net.n_frames == 1);
	kt_router_pause(net.router, false);
	cr_assert(net_until(&net, 5000, net.n_frames == n));
	net_close(&net);
}

Test(router, a_body_that_makes_too_large_a_frame_is_refused_and_nothing_is_sent)
{
	enum { N = 300 };
	static char text[KT_TEXT_BYTES_MAX + 1];
	static struct kt_msg_revoke revokes[N];
	struct kt_msg_state state = { .session = 1, .revokes = revokes, .n_revokes = N };
	struct kt_err err = { 0 };
	struct net net;

	memset(text, 'x', KT_TEXT_BYTES_MAX);
	for (size_t i = 0; i < N; i++)
		revokes[i] = (struct kt_msg_revoke){ .epoch = 1, .reason = text };
	net_open_with(&net, "ipc", 1);
	cr_assert(kt_codec_frame_bytes(&kt_schema_fleet, KT_TAG_state, &state) >
		  kt_schema_fleet.frame_bytes_max);
	cr_assert(kt_router_send(net.router, net.peers[0], KT_TAG_state, &state, &err) ==
		  -EMSGSIZE);
	cr_assert(strstr(err.text, "message state takes"), "%s", err.text);
	cr_assert(send_ack(&net, net.peers[0]) == 0);
	cr_assert(net_until(&net, 5000, net.ends[0].n_frames == 1));
	net_close(&net);
}

/* ---- garbage ---- */

static zsock_t *raw_dealer(const struct net *net)
{
	zsock_t *raw = zsock_new(ZMQ_DEALER);

	zsock_set_linger(raw, 0);
	cr_assert(zsock_connect(raw, "%s", net->endpoint) == 0);
	return raw;
}

Test(router, whatever_is_not_one_frame_of_the_family_to_the_coordinator_is_broken)
{
	struct kt_msg_ack ack = { .session = 1, .epoch = 1 };
	KT_AUTO_BUF other_way = { 0 };
	KT_AUTO(zsock_destroy) zsock_t *raw = NULL;
	uint64_t seed = 42;
	size_t n_sent = 0;
	struct net net;

	kt_codec_encode_frame(&kt_schema_fleet, KT_TAG_ack, &ack, &other_way);
	net_open(&net, "ipc");
	raw = raw_dealer(&net);
	const struct {
		const char *bytes;
		size_t len;
		int parts;
		const char *error;
	} rows[] = {
		{ "", 0, 1, "cut short" },
		{ "", 0, 2, "a message of 2 parts" },
		{ "\x92\x01\x80", 3, 1, "missing" },
		{ "\x92\x01\x80", 3, 3, "a message of 3 parts" },
		{ "\xdd\xff\xff\xff\xff", 5, 1, "cut short" },
		{ "\x92\xcd\x7f\xff\x80", 5, 1, "no fleet message has tag 32767" },
		{ (const char *)other_way.data, other_way.len, 1,
		  "message ack goes to worker, not to coordinator" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (int part = 1; part <= rows[i].parts; part++)
			zmq_send(zsock_resolve(raw), rows[i].bytes, rows[i].len,
				 part < rows[i].parts ? ZMQ_SNDMORE : 0);
		n_sent++;
		cr_assert(net_until(&net, 5000, net.n_broken == n_sent), "row %zu", i);
		cr_assert(strstr(net.error, rows[i].error), "row %zu: %s", i, net.error);
	}
	for (int i = 0; i < 300; i++) {
		uint8_t junk[64];
		int parts = 1 + i % 3;

		for (int part = 1; part <= parts; part++) {
			for (size_t k = 0; k < sizeof(junk); k++) {
				seed = seed * 6364136223846793005ull + 1442695040888963407ull;
				junk[k] = (uint8_t)(seed >> 56);
			}
			zmq_send(zsock_resolve(raw), junk, (size_t)i % sizeof(junk),
				 part < parts ? ZMQ_SNDMORE : 0);
		}
		n_sent++;
		if (i % 50 == 49)
			cr_assert(net_until(&net, 5000, net.n_broken == n_sent));
	}
	cr_assert(net.n_frames == 0);
	/* It is a peer like any other, and can be told so. */
	cr_assert(send_ack(&net, net.peer_broken) == 0);
	net_close(&net);
}

static int raw_tcp(const struct net *net)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_addr = { htonl(INADDR_LOOPBACK) } };
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	to.sin_port = htons((uint16_t)atoi(strrchr(net->endpoint, ':') + 1));
	cr_assert(connect(fd, (struct sockaddr *)&to, sizeof(to)) == 0);
	return fd;
}

Test(router, strangers_on_the_port_harm_nobody)
{
	static const char *const words[] = {
		"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
		"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
		"\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff",
		"\x01\x00", /* ZMTP 1.0, an empty identity */
		"\xff\x00\x00\x00\x00\x00\x00\x00\x01\x7f\x03\x00NULL",
		"",
	};
	struct net net;
	int fds[6];

	net_open(&net, "tcp://127.0.0.1:*");
	for (size_t i = 0; i < 6; i++) {
		fds[i] = raw_tcp(&net);
		if (*words[i])
			cr_assert(write(fds[i], words[i], strlen(words[i])) > 0);
	}
	net_connect(&net, 0);
	cr_assert(net_until(&net, 5000, net.ends[0].n_up == 1));
	cr_assert(net_sync(&net, 0, 1) == 0);
	cr_assert(net_until(&net, 5000, net.n_frames == 1));
	for (size_t i = 0; i < 6; i++)
		close(fds[i]);
	net_close(&net);
}

Test(router, a_frame_beyond_the_limit_ends_its_connection_only)
{
	KT_AUTO(zsock_destroy) zsock_t *raw = NULL;
	KT_AUTO_FREE uint8_t *large = kt_must_calloc(KT_FRAME_BYTES_MAX + 1, 1);
	struct net net;

	net_open_with(&net, "ipc", 1);
	raw = raw_dealer(&net);
	zmq_send(zsock_resolve(raw), large, KT_FRAME_BYTES_MAX, 0);
	cr_assert(net_until(&net, 5000, net.n_broken == 1), "the limit itself is read and judged");
	zmq_send(zsock_resolve(raw), large, KT_FRAME_BYTES_MAX + 1, 0);
	for (int i = 0; i < 5000 && net.n_lost == 0; i++) {
		send_ack(&net, net.peer_broken);
		net_until(&net, 1, net.n_lost > 0);
	}
	cr_assert(net.n_lost == 1);
	cr_assert(net.n_broken == 1);
	cr_assert(net_sync(&net, 0, 2) == 0);
	cr_assert(net_until(&net, 5000, net.n_frames == 2));
	net_close(&net);
}

/* ---- life ---- */

static void destroy_at_100(struct net *net, uint64_t peer)
{
	if (net->n_frames == 100) {
		kt_router_destroy(&net->router);
		kt_dealer_destroy(&net->ends[1].dealer);
	}
}

Test(router, it_may_be_destroyed_by_its_own_callback_while_everybody_talks)
{
	struct net net;

	net_open_with(&net, "ipc", 3);
	net.on_frame = destroy_at_100;
	for (uint64_t seq = 2; seq < 1000; seq++)
		for (size_t i = 0; i < 3; i++)
			net_sync(&net, i, seq);
	cr_assert(net_until(&net, 5000, net.router == NULL));
	net_until(&net, 20, false);
	cr_assert(net.n_frames == 100, "%zu", net.n_frames);
	net_close(&net);
}

Test(router, its_address_is_free_as_soon_as_it_is_destroyed)
{
	char endpoint[128];
	struct net net;

	for (size_t k = 0; k < sizeof(kinds) / sizeof(kinds[0]); k++) {
		net_open(&net, kinds[k]);
		snprintf(endpoint, sizeof(endpoint), "%s", net.endpoint);
		for (int i = 0; i < 20; i++) {
			net_connect(&net, 0);
			cr_assert(net_until(&net, 5000, net.ends[0].n_up == 1));
			kt_dealer_destroy(&net.ends[0].dealer);
			kt_router_destroy(&net.router);
			net_listen(&net, endpoint);
		}
		net_close(&net);
	}
}

Test(router, a_dead_servers_socket_file_is_replaced_and_any_other_file_is_not)
{
	struct sockaddr_un at = { .sun_family = AF_UNIX };
	struct kt_err err = { 0 };
	struct stat file;
	struct net net;
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	char path[sizeof(at.sun_path)];

	net_open(&net, "ipc");
	snprintf(path, sizeof(path), "%s", kt_router_endpoint(net.router) + strlen("ipc://"));
	cr_assert(stat(path, &file) == 0);
	cr_assert((file.st_mode & 07777) == 0600);
	kt_router_destroy(&net.router);
	cr_assert(stat(path, &file) < 0, "it is gone with its router");

	strcpy(at.sun_path, path);
	cr_assert(bind(fd, (struct sockaddr *)&at, sizeof(at)) == 0);
	close(fd);
	net_listen(&net, net.endpoint);
	net_connect(&net, 0);
	cr_assert(net_until(&net, 5000, net.ends[0].n_up == 1));
	kt_router_destroy(&net.router);

	close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
	cr_assert(kt_router_open(&net.loop, net.endpoint, &kt_schema_fleet, NULL,
				 &net_router_events, &net, &net.router, &err) == -EEXIST);
	cr_assert(err.fault == KT_FAULT_INPUT);
	cr_assert(unlink(path) == 0);
	net_close(&net);
}

Test(router, an_address_in_use_is_said)
{
	struct kt_err err = { 0 };
	struct kt_router *second = NULL;
	struct net net;

	net_open(&net, "tcp://127.0.0.1:*");
	cr_assert(kt_router_open(&net.loop, net.endpoint, &kt_schema_fleet, NULL,
				 &net_router_events, &net, &second, &err) == -EADDRINUSE);
	cr_assert(err.fault == KT_FAULT_HOST);
	cr_assert(strstr(err.text, net.endpoint));
	net_close(&net);
}
