#include "coordinator/feeder.h"
#include "coordinator/core/turns.h"
#include "proto/base/clock.h"
#include "proto/base/digest.h"
#include "proto/base/must.h"
#include "proto/net/dealer.h"
#include "proto/net/zap.h"
#include "proto/net/zwatch.h"

#include <criterion/criterion.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#define PIECES 24
#define BYTES  (PIECES * (uint64_t)KT_CHUNK_BYTES_MAX - 1000)

struct place;

struct client {
	struct place *place;
	struct kt_dealer *dealer;
	bool is_up;
	uint64_t asked, got; /* bytes; what is asked is asked in order, around and around */
	size_t n_chunks, n_waits, n_missing;
	char missing[128];
};

struct place {
	uv_loop_t loop;
	uv_timer_t timer;
	char dir[64];
	char endpoint[96];
	uint8_t *bytes;
	struct kt_digest digest;
	struct kt_artifacts *artifacts;
	struct kt_feeder *feeder;
	struct client clients[3];
	/* with keys: clients 0 and 1 are hosts, client 2 may only observe */
	struct kt_zap *zap;
	struct kt_key server, keys[3];
	struct kt_guard guard, guards[3];
};

static void on_timer(uv_timer_t *timer)
{
}

static void on_chunk(void *arg, const struct kt_message *message, void *body)
{
	struct client *client = arg;
	const struct kt_msg_chunk *chunk = body;

	cr_assert_eq(message->tag, KT_TAG_chunk);
	if (*chunk->missing) {
		client->n_missing++;
		snprintf(client->missing, sizeof(client->missing), "%s", chunk->missing);
		return;
	}
	cr_assert_eq(chunk->total, BYTES);
	if (!chunk->body.len) {
		client->n_waits++;
		return;
	}
	cr_assert_leq(chunk->body.len, KT_CHUNK_BYTES_MAX);
	cr_assert_eq(chunk->offset, client->got % BYTES);
	cr_assert_eq(
		memcmp(chunk->body.data, client->place->bytes + chunk->offset, chunk->body.len), 0);
	client->got += chunk->body.len;
	client->n_chunks++;
}

static void on_broken(void *arg, const struct kt_err *err)
{
	cr_assert_fail("%s", err->text);
}

static void on_up(void *arg)
{
	((struct client *)arg)->is_up = true;
}

static void on_down(void *arg, const char *why)
{
	((struct client *)arg)->is_up = false;
}

static const struct kt_dealer_events dealer_events = {
	.frame = on_chunk, .broken = on_broken, .up = on_up, .down = on_down
};

static void open_client(struct place *p, size_t i)
{
	struct kt_err err = { 0 };

	p->clients[i].place = p;
	cr_assert_eq(kt_dealer_open(&p->loop, p->endpoint, &kt_schema_fleet,
				    p->zap ? &p->guards[i] : NULL, &dealer_events, &p->clients[i],
				    &p->clients[i].dealer, &err),
		     0, "%s", err.text);
}

static void on_stranger(void *arg, const struct kt_stranger *stranger)
{
}

static const struct kt_zap_events zap_events = { .stranger = on_stranger };

static void allow(struct place *p, size_t n)
{
	static const char *const names[] = { "h0", "h1", "spy" };
	struct kt_allow *list = kt_allow_new();

	for (size_t i = 0; i < 3; i++)
		if (i < n || i == 2)
			cr_assert_eq(kt_allow_add(list, p->keys[i].public_key,
						  i == 2 ? KT_ROLE_OBSERVE : KT_ROLE_WORK, names[i],
						  NULL, NULL),
				     0);
	kt_zap_set(p->zap, &list);
}

static const struct kt_guard *make_keys(struct place *p)
{
	struct kt_err err = { 0 };

	cr_assert_eq(kt_zap_open(&p->loop, &zap_events, p, &p->zap, &err), 0, "%s", err.text);
	cr_assert_eq(kt_key_make(&p->server, &err), 0);
	p->guard = (struct kt_guard){ .key = &p->server, .zap = p->zap };
	for (size_t i = 0; i < 3; i++) {
		cr_assert_eq(kt_key_make(&p->keys[i], &err), 0);
		p->guards[i] =
			(struct kt_guard){ .key = &p->keys[i], .server_key = p->server.public_key };
	}
	allow(p, 2);
	return &p->guard;
}

static struct place *begin_with(uint64_t bytes_per_s, bool has_keys)
{
	struct place *p = kt_must_calloc(1, sizeof(*p));
	struct kt_feeder_config config = { .bytes_per_s = bytes_per_s };
	struct kt_err err = { 0 };
	char path[96];
	uint64_t n;
	FILE *file;

	snprintf(p->dir, sizeof(p->dir), "/tmp/kt-feeder-XXXXXX");
	cr_assert_not_null(mkdtemp(p->dir));
	p->bytes = kt_must_calloc(1, BYTES);
	for (size_t i = 0; i < BYTES; i++)
		p->bytes[i] = (uint8_t)(i * 2654435761u >> 13);
	snprintf(path, sizeof(path), "%s/source", p->dir);
	file = fopen(path, "w");
	cr_assert_eq(fwrite(p->bytes, 1, BYTES, file), BYTES);
	fclose(file);
	cr_assert_eq(kt_artifacts_open(p->dir, &p->artifacts, &err), 0, "%s", err.text);
	cr_assert_eq(kt_artifacts_add(p->artifacts, path, &p->digest, &n, &err), 0, "%s", err.text);
	uv_loop_init(&p->loop);
	uv_timer_init(&p->loop, &p->timer);
	uv_timer_start(&p->timer, on_timer, 5, 5);
	snprintf(p->endpoint, sizeof(p->endpoint), "ipc://%s/bulk.sock", p->dir);
	config.endpoint = p->endpoint;
	config.guard = has_keys ? make_keys(p) : NULL;
	config.artifacts = p->artifacts;
	cr_assert_eq(kt_feeder_open(&p->loop, &config, &p->feeder, &err), 0, "%s", err.text);
	return p;
}

static struct place *begin(uint64_t bytes_per_s)
{
	return begin_with(bytes_per_s, false);
}

static void end(struct place *p)
{
	char command[96];

	for (size_t i = 0; i < 3; i++)
		kt_dealer_destroy(&p->clients[i].dealer);
	kt_feeder_destroy(&p->feeder);
	kt_zap_destroy(&p->zap);
	uv_close((uv_handle_t *)&p->timer, NULL);
	uv_run(&p->loop, UV_RUN_DEFAULT);
	cr_assert_eq(uv_loop_close(&p->loop), 0);
	kt_artifacts_destroy(&p->artifacts);
	snprintf(command, sizeof(command), "rm -rf %s", p->dir);
	cr_assert_eq(system(command), 0);
	free(p->bytes);
	free(p);
}

static void ask_of(struct client *client, const struct kt_digest *digest, uint64_t offset,
		   uint64_t len)
{
	struct kt_msg_fetch fetch = { .digest = { digest->bytes, KT_DIGEST_BYTES },
				      .offset = offset,
				      .len = len };

	cr_assert_eq(kt_dealer_send(client->dealer, KT_TAG_fetch, &fetch, NULL), 0);
}

/* Keeps `ahead` pieces asked for until n bytes were asked in all. */
static void ask_ahead(struct client *client, size_t ahead, uint64_t n)
{
	while (client->is_up && client->asked < n &&
	       client->asked - client->got < ahead * KT_CHUNK_BYTES_MAX) {
		uint64_t at = client->asked % BYTES;
		uint64_t len = BYTES - at < KT_CHUNK_BYTES_MAX ? BYTES - at : KT_CHUNK_BYTES_MAX;

		ask_of(client, &client->place->digest, at, len);
		client->asked += len;
	}
}

/* Turns the loop until the client has n bytes; fails after a minute. */
static void fetch_until(struct place *p, struct client *client, uint64_t n)
{
	int64_t give_up_ns = kt_clock_now_ns() + 60 * KT_NS_PER_S;

	while (client->got < n && kt_clock_now_ns() < give_up_ns) {
		ask_ahead(client, KT_FETCH_WINDOW, n);
		uv_run(&p->loop, UV_RUN_ONCE);
	}
	cr_assert_geq(client->got, n);
}

static void turn_for(struct place *p, int64_t span_ns)
{
	int64_t until_ns = kt_clock_now_ns() + span_ns;

	while (kt_clock_now_ns() < until_ns)
		uv_run(&p->loop, UV_RUN_ONCE);
}

Test(feeder, what_is_asked_for_comes_in_order_and_whole, .timeout = 90)
{
	struct place *p = begin(0);

	open_client(p, 0);
	open_client(p, 1);
	fetch_until(p, &p->clients[0], BYTES);
	fetch_until(p, &p->clients[1], BYTES);
	cr_assert_eq(p->clients[0].got, BYTES);
	cr_assert_eq(kt_feeder_sent_bytes(p->feeder), 2 * BYTES);
	end(p);
}

Test(feeder, only_hosts_are_fed_and_only_as_long_as_their_key_is_allowed, .timeout = 90)
{
	struct place *p = begin_with(0, true);
	struct client *spy = &p->clients[2];

	open_client(p, 0);
	open_client(p, 2);
	while (!spy->is_up)
		uv_run(&p->loop, UV_RUN_ONCE);
	ask_of(spy, &p->digest, 0, 1000);
	fetch_until(p, &p->clients[0], BYTES);
	cr_assert_eq(spy->n_chunks + spy->n_waits + spy->n_missing, 0,
		     "an observer is given nothing");
	allow(p, 0);
	kt_router_recheck(kt_feeder_router(p->feeder));
	ask_of(&p->clients[0], &p->digest, 0, 1000);
	turn_for(p, 300 * KT_NS_PER_MS);
	cr_assert_eq(p->clients[0].got, BYTES, "a revoked host is given nothing more");
	cr_assert_eq(kt_feeder_sent_bytes(p->feeder), BYTES);
	end(p);
}

/* Fault 20: a peer that never reads takes what fits into sockets, and nobody else notices. */
Test(feeder, who_does_not_read_holds_up_nobody, .timeout = 180)
{
	struct place *p = begin(0);
	struct client *stuck = &p->clients[0];
	int64_t give_up_ns;
	uint64_t at_rest;

	open_client(p, 0);
	fetch_until(p, stuck, KT_CHUNK_BYTES_MAX);
	kt_dealer_pause(stuck->dealer, true);
	for (int i = 0; i < 8; i++) { /* 256 pieces, more than two sockets and a line hold */
		for (int k = 0; k < KT_TURNS_ASKS_MAX; k++) {
			uint64_t at = stuck->asked % BYTES;

			if (BYTES - at < KT_CHUNK_BYTES_MAX) {
				ask_of(stuck, &p->digest, at, BYTES - at);
				stuck->asked += BYTES - at;
				continue;
			}
			ask_of(stuck, &p->digest, at, KT_CHUNK_BYTES_MAX);
			stuck->asked += KT_CHUNK_BYTES_MAX;
		}
		turn_for(p, 100 * KT_NS_PER_MS);
	}
	do { /* until it moves no more */
		at_rest = kt_feeder_sent_bytes(p->feeder);
		turn_for(p, 500 * KT_NS_PER_MS);
	} while (kt_feeder_sent_bytes(p->feeder) != at_rest);
	cr_assert_lt(at_rest, (uint64_t)110 * KT_CHUNK_BYTES_MAX,
		     "the rest waits as requests, not as pieces: %lu",
		     at_rest / KT_CHUNK_BYTES_MAX);
	open_client(p, 1);
	fetch_until(p, &p->clients[1], 2 * BYTES);
	cr_assert_eq(kt_feeder_sent_bytes(p->feeder), at_rest + 2 * BYTES);
	/* It reads again: what was heard of its questions is answered, in order. */
	kt_dealer_pause(stuck->dealer, false);
	give_up_ns = kt_clock_now_ns() + 60 * KT_NS_PER_S;
	while (stuck->got <= at_rest && kt_clock_now_ns() < give_up_ns)
		uv_run(&p->loop, UV_RUN_ONCE);
	cr_assert_gt(stuck->got, at_rest);
	end(p);
}

Test(feeder, hosts_share_the_bandwidth_and_who_waits_is_told, .timeout = 90)
{
	struct place *p = begin(256u << 10); /* a piece a second */
	int64_t give_up_ns = kt_clock_now_ns() + 60 * KT_NS_PER_S;
	int64_t began_ns = kt_clock_now_ns();
	uint64_t all = 0;
	size_t waits = 0;
	double s;

	for (size_t i = 0; i < 3; i++)
		open_client(p, i);
	/* With three at a piece a second, each waits three seconds for its next. */
	while (waits < 3 && kt_clock_now_ns() < give_up_ns) {
		for (size_t i = 0; i < 3; i++)
			ask_ahead(&p->clients[i], 2, UINT64_MAX);
		uv_run(&p->loop, UV_RUN_ONCE);
		waits = 0;
		for (size_t i = 0; i < 3; i++)
			waits += p->clients[i].n_waits > 0;
	}
	cr_assert_eq(waits, 3, "all three were told to wait");
	s = (double)(kt_clock_now_ns() - began_ns) / KT_NS_PER_S;
	for (size_t i = 0; i < 3; i++)
		all += p->clients[i].got;
	cr_assert_leq((double)all, (s + 1.5) * (256 << 10), "%lu bytes in %.1f s", all, s);
	for (size_t i = 1; i < 3; i++)
		cr_assert_leq(p->clients[i].n_chunks, p->clients[0].n_chunks + 1);
	end(p);
}

Test(feeder, what_was_not_added_is_missing, .timeout = 90)
{
	struct place *p = begin(0);
	int64_t give_up_ns = kt_clock_now_ns() + 30 * KT_NS_PER_S;
	struct kt_digest other;

	open_client(p, 0);
	kt_digest_of("/etc/passwd", 11, &other);
	while (!p->clients[0].is_up)
		uv_run(&p->loop, UV_RUN_ONCE);
	ask_of(&p->clients[0], &other, 0, 100);
	while (!p->clients[0].n_missing && kt_clock_now_ns() < give_up_ns)
		uv_run(&p->loop, UV_RUN_ONCE);
	cr_assert_str_eq(p->clients[0].missing, "this sweep has no such artifact");
	end(p);
}

/* Fault 46. [13, {1: digest, 2: offset, 3: length}] with other things than 32 bytes for a digest. */
Test(feeder, a_path_cannot_be_asked_for, .timeout = 90)
{
	static const char *const frames[] = {
		"\x92\x0d\x83\x01\xb0../../etc/passwd\x02\x00\x03\x64",
		"\x92\x0d\x83\x01\xc4\x10../../etc/passwd\x02\x00\x03\x64",
		"\x92\x0d\x83\x01\xc4\x21/../../../../../../../etc//passwd\x02\x00\x03\x64",
		"\x92\x0d\x83\x01\xd9\x20/../../../../../../../etc/passwd\x02\x00\x03\x64",
	};
	static const size_t lens[] = { 25, 26, 43, 42 };
	struct place *p = begin(0);
	zsock_t *raw;
	zmq_msg_t answer;
	struct kt_digest named;

	kt_zwatch_setup();
	raw = zsock_new(ZMQ_DEALER);
	cr_assert_eq(zmq_connect(zsock_resolve(raw), p->endpoint), 0);
	for (size_t i = 0; i < sizeof(frames) / sizeof(frames[0]); i++)
		cr_assert_eq(zmq_send(zsock_resolve(raw), frames[i], lens[i], 0), (int)lens[i]);
	/* Then one whose 32 bytes spell a path: they are a digest, and nobody has it. */
	memcpy(named.bytes, "/../../../../../../../etc/passwd", KT_DIGEST_BYTES);
	open_client(p, 0);
	while (!p->clients[0].is_up)
		uv_run(&p->loop, UV_RUN_ONCE);
	ask_of(&p->clients[0], &named, 0, 100);
	while (!p->clients[0].n_missing)
		uv_run(&p->loop, UV_RUN_ONCE);
	fetch_until(p, &p->clients[0], BYTES);
	zmq_msg_init(&answer);
	cr_assert_lt(zmq_msg_recv(&answer, zsock_resolve(raw), ZMQ_DONTWAIT), 0,
		     "nothing is answered");
	zsock_destroy(&raw);
	end(p);
}
