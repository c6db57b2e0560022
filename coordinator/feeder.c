#include "coordinator/feeder.h"
#include "coordinator/core/turns.h"
#include "proto/base/clock.h"
#include "proto/base/log.h"
#include "proto/base/must.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

#define LOOK_MS 500 /* how often those who wait are looked through */

/* A piece between its turn and the socket. */
struct read {
	uv_work_t work;
	struct kt_feeder *feeder;
	bool is_under_way;
	struct kt_turns_piece piece;
	struct kt_msg_chunk chunk;
	uint8_t *room; /* KT_CHUNK_BYTES_MAX */
};

enum { LOOK, DUE, N_TIMERS };

struct kt_feeder {
	uv_loop_t *loop;
	struct kt_artifacts *artifacts;
	struct kt_router *router;
	struct kt_turns *turns;
	struct read reads[KT_FEEDER_READS];
	uv_timer_t timers[N_TIMERS];
	size_t n_open; /* timers and reads that are not over yet, once it is closing */
	uint64_t sent_bytes;
	bool is_closing;
};

static void pump(struct kt_feeder *feeder);

/* ---- one piece ---- */

static struct kt_msg_fetch fetch_of(const struct kt_turns_piece *piece)
{
	return (struct kt_msg_fetch){
		.digest = { piece->digest.bytes, KT_DIGEST_BYTES },
		.offset = piece->offset,
		.len = piece->len,
	};
}

/* In a thread. */
static void on_read(uv_work_t *work)
{
	struct read *read = work->data;
	struct kt_msg_fetch fetch = fetch_of(&read->piece);

	kt_artifacts_fetch(read->feeder->artifacts, &fetch, read->room, &read->chunk);
}

static void free_feeder(struct kt_feeder *feeder)
{
	if (--feeder->n_open)
		return;
	for (size_t i = 0; i < KT_FEEDER_READS; i++)
		free(feeder->reads[i].room);
	kt_turns_destroy(&feeder->turns);
	free(feeder);
}

/* Its last piece went: what was asked for again after a break ends here as well. */
static void log_fed(const struct read *read)
{
	char hex[KT_DIGEST_HEX_BYTES];

	kt_digest_hex(&read->piece.digest, hex);
	KT_LOG("artifact_fed", "peer=%" PRIu64 " digest=%s bytes=%" PRIu64, read->piece.peer, hex,
	       read->chunk.total);
}

static void on_read_done(uv_work_t *work, int status)
{
	struct read *read = work->data;
	struct kt_feeder *feeder = read->feeder;
	uint64_t peer = read->piece.peer;

	read->is_under_way = false;
	if (feeder->is_closing)
		return free_feeder(feeder);
	kt_must(status == 0); /* nothing cancels it */
	/* A vanished peer is told by `lost`. */
	if (kt_router_send(feeder->router, peer, KT_TAG_chunk, &read->chunk, NULL) == 0) {
		feeder->sent_bytes += read->chunk.body.len;
		if (read->chunk.body.len &&
		    read->chunk.offset + read->chunk.body.len == read->chunk.total)
			log_fed(read);
	}
	kt_turns_sent(feeder->turns, kt_clock_now_ns(), peer,
		      kt_router_queued_bytes(feeder->router, peer) == 0);
	pump(feeder);
}

static struct read *free_read(struct kt_feeder *feeder)
{
	for (size_t i = 0; i < KT_FEEDER_READS; i++)
		if (!feeder->reads[i].is_under_way)
			return &feeder->reads[i];
	return NULL;
}

/* ---- turns ---- */

static void on_due(uv_timer_t *timer)
{
	pump(timer->data);
}

/* Gives out turns as long as there are any, and a read for it. */
static void pump(struct kt_feeder *feeder)
{
	struct read *read = free_read(feeder);
	int64_t now_ns = kt_clock_now_ns();
	int64_t in_ms;

	for (; read && kt_turns_next(feeder->turns, now_ns, &read->piece);
	     read = free_read(feeder)) {
		read->is_under_way = true;
		read->work.data = read;
		kt_must(uv_queue_work(feeder->loop, &read->work, on_read, on_read_done) == 0);
	}
	if (!read || kt_turns_due_ns(feeder->turns) == INT64_MAX)
		return; /* the next read, room or FETCH brings us back */
	in_ms = (kt_turns_due_ns(feeder->turns) - now_ns + KT_NS_PER_MS - 1) / KT_NS_PER_MS;
	uv_update_time(feeder->loop);
	uv_timer_start(&feeder->timers[DUE], on_due, in_ms > 0 ? (uint64_t)in_ms : 0, 0);
}

static void on_look(uv_timer_t *timer)
{
	struct kt_feeder *feeder = timer->data;
	struct kt_turns_piece piece;

	while (kt_turns_patience(feeder->turns, kt_clock_now_ns(), &piece)) {
		struct kt_msg_chunk chunk = {
			.digest = { piece.digest.bytes, KT_DIGEST_BYTES },
			.offset = piece.offset,
			.total = kt_artifacts_bytes(feeder->artifacts, &piece.digest),
			.missing = "",
		};

		kt_router_send(feeder->router, piece.peer, KT_TAG_chunk, &chunk, NULL);
	}
}

/* ---- the endpoint ---- */

static void on_frame(void *arg, uint64_t peer, const struct kt_message *message, void *body)
{
	struct kt_feeder *feeder = arg;
	const struct kt_msg_fetch *fetch = body;
	struct kt_turns_piece piece = { .peer = peer };
	struct kt_peer_id id = kt_router_who(feeder->router, peer);

	if (message->tag != KT_TAG_fetch || id.role != KT_ROLE_WORK)
		return;
	memcpy(piece.digest.bytes, fetch->digest.data, KT_DIGEST_BYTES);
	piece.offset = fetch->offset;
	piece.len = fetch->len;
	/* Whoever asks for more than waits for one peer gets the rest when it asks again. */
	kt_turns_ask(feeder->turns, kt_clock_now_ns(), id.name ? id.name : "", &piece);
}

static void on_broken(void *arg, uint64_t peer, const struct kt_err *err)
{
	struct kt_feeder *feeder = arg;
	struct kt_peer_id id = kt_router_who(feeder->router, peer);

	KT_LOG("bulk_peer_broken", "peer=%" PRIu64 " host=%s address=%s reason=%s", peer,
	       kt_log_quote(id.name ? id.name : ""), kt_log_quote(id.address),
	       kt_log_quote(err->text));
}

static void on_lost(void *arg, uint64_t peer, const char *why)
{
	struct kt_feeder *feeder = arg;

	kt_turns_lost(feeder->turns, peer);
}

static void on_room(void *arg, uint64_t peer)
{
	struct kt_feeder *feeder = arg;

	kt_turns_room(feeder->turns, kt_clock_now_ns(), peer);
	pump(feeder);
}

static void on_batch_end(void *arg)
{
	pump(arg);
}

static const struct kt_router_events events = {
	.frames_ahead = KT_FEEDER_AHEAD,
	.frame = on_frame,
	.broken = on_broken,
	.lost = on_lost,
	.revoked = on_lost,
	.room = on_room,
	.batch_end = on_batch_end,
};

/* ---- life ---- */

int kt_feeder_open(uv_loop_t *loop, const struct kt_feeder_config *config,
		   struct kt_feeder **feeder_p, struct kt_err *err)
{
	struct kt_feeder *feeder = kt_must_calloc(1, sizeof(*feeder));
	int status = kt_router_open(loop, config->endpoint, &kt_schema_fleet, config->guard,
				    &events, feeder, &feeder->router, err);

	if (status < 0) {
		free(feeder);
		return status;
	}
	feeder->loop = loop;
	feeder->artifacts = config->artifacts;
	feeder->turns = kt_turns_new(config->bytes_per_s);
	for (size_t i = 0; i < KT_FEEDER_READS; i++) {
		feeder->reads[i].feeder = feeder;
		feeder->reads[i].room = kt_must_calloc(1, KT_CHUNK_BYTES_MAX);
	}
	for (size_t i = 0; i < N_TIMERS; i++) {
		uv_timer_init(loop, &feeder->timers[i]);
		feeder->timers[i].data = feeder;
	}
	uv_timer_start(&feeder->timers[LOOK], on_look, LOOK_MS, LOOK_MS);
	*feeder_p = feeder;
	return 0;
}

struct kt_router *kt_feeder_router(const struct kt_feeder *feeder)
{
	return feeder->router;
}

const char *kt_feeder_endpoint(const struct kt_feeder *feeder)
{
	return kt_router_endpoint(feeder->router);
}

uint64_t kt_feeder_sent_bytes(const struct kt_feeder *feeder)
{
	return feeder->sent_bytes;
}

static void on_closed(uv_handle_t *handle)
{
	free_feeder(handle->data);
}

void kt_feeder_destroy(struct kt_feeder **feeder_p)
{
	struct kt_feeder *feeder = kt_take(feeder_p);

	if (!feeder)
		return;
	feeder->is_closing = true;
	KT_LOG("feeder_closed", "sent_bytes=%" PRIu64, feeder->sent_bytes);
	kt_router_destroy(&feeder->router);
	for (size_t i = 0; i < KT_FEEDER_READS; i++)
		feeder->n_open += feeder->reads[i].is_under_way;
	feeder->n_open += N_TIMERS;
	for (size_t i = 0; i < N_TIMERS; i++)
		uv_close((uv_handle_t *)&feeder->timers[i], on_closed);
}
