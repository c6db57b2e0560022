#include "coordinator/core/turns.h"
#include "proto/base/must.h"
#include "proto/base/own.h"

#include <errno.h>
#include <string.h>
#include <uthash.h>
#include <utlist.h>

struct ask {
	struct ask *next;
	struct ask *prev;
	struct kt_turns_piece piece;
};

/* idle: asks for nothing; ready: in its host's list; busy: a piece is under way or fills its queue */
struct peer {
	uint64_t number; /* key */
	UT_hash_handle hh;
	struct host *host;
	struct peer *next; /* in host->ready */
	struct peer *prev;
	struct ask *asks;
	size_t n_asks;
	bool is_ready;
	bool is_busy;
	int64_t heard_ns; /* its last word from us, or its first to us */
};

struct host {
	char name[KT_NAME_BYTES_MAX + 1]; /* key */
	UT_hash_handle hh;
	struct host *next; /* in turns->ready */
	struct host *prev;
	struct peer *ready; /* the one that had its turn longest ago is first */
	size_t n_peers;
	uint64_t tag; /* virtual bytes: where its next piece begins */
};

struct kt_turns {
	struct kt_bucket bucket;
	struct peer *peers;
	struct host *hosts;
	struct host *ready;
	uint64_t tag; /* of what was served last: nobody begins behind it */
};

struct kt_turns *kt_turns_new(uint64_t bytes_per_s)
{
	struct kt_turns *turns = kt_must_calloc(1, sizeof(*turns));

	turns->bucket.rate = bytes_per_s;
	turns->bucket.busy_until_ns = INT64_MIN + KT_BUCKET_BURST_NS;
	return turns;
}

static struct peer *peer_of(const struct kt_turns *turns, uint64_t number)
{
	struct peer *peer;

	HASH_FIND(hh, turns->peers, &number, sizeof(number), peer);
	return peer;
}

/* ---- who is ready ---- */

static void ready(struct kt_turns *turns, struct peer *peer)
{
	struct host *host = peer->host;

	if (peer->is_ready || peer->is_busy || !peer->asks)
		return;
	if (!host->ready) {
		if (host->tag < turns->tag)
			host->tag = turns->tag;
		DL_APPEND(turns->ready, host);
	}
	DL_APPEND(host->ready, peer);
	peer->is_ready = true;
}

static void unready(struct kt_turns *turns, struct peer *peer)
{
	if (!peer->is_ready)
		return;
	peer->is_ready = false;
	DL_DELETE(peer->host->ready, peer);
	if (!peer->host->ready)
		DL_DELETE(turns->ready, peer->host);
}

/* ---- peers ---- */

static struct host *host_of(struct kt_turns *turns, const char *name)
{
	size_t len = strnlen(name, KT_NAME_BYTES_MAX);
	struct host *host;

	HASH_FIND(hh, turns->hosts, name, len, host);
	if (host)
		return host;
	host = kt_must_calloc(1, sizeof(*host));
	memcpy(host->name, name, len);
	host->tag = turns->tag;
	HASH_ADD_KEYPTR(hh, turns->hosts, host->name, len, host);
	return host;
}

static void drop_ask(struct peer *peer, struct ask *ask)
{
	DL_DELETE(peer->asks, ask);
	peer->n_asks--;
	free(ask);
}

static void drop_peer(struct kt_turns *turns, struct peer *peer)
{
	struct host *host = peer->host;

	unready(turns, peer);
	while (peer->asks)
		drop_ask(peer, peer->asks);
	HASH_DEL(turns->peers, peer);
	free(peer);
	if (--host->n_peers)
		return;
	HASH_DEL(turns->hosts, host);
	free(host);
}

void kt_turns_destroy(struct kt_turns **turns_p)
{
	struct kt_turns *turns = kt_take(turns_p);

	if (!turns)
		return;
	while (turns->peers)
		drop_peer(turns, turns->peers);
	free(turns);
}

void kt_turns_lost(struct kt_turns *turns, uint64_t number)
{
	struct peer *peer = peer_of(turns, number);

	if (peer)
		drop_peer(turns, peer);
}

size_t kt_turns_n_peers(const struct kt_turns *turns)
{
	return HASH_COUNT(turns->peers);
}

int kt_turns_ask(struct kt_turns *turns, int64_t now_ns, const char *host,
		 const struct kt_turns_piece *piece)
{
	struct peer *peer = peer_of(turns, piece->peer);
	struct ask *ask;

	kt_must(piece->len <= KT_CHUNK_BYTES_MAX);
	if (!peer) {
		peer = kt_must_calloc(1, sizeof(*peer));
		peer->number = piece->peer;
		peer->host = host_of(turns, host);
		peer->host->n_peers++;
		HASH_ADD(hh, turns->peers, number, sizeof(peer->number), peer);
	}
	if (peer->n_asks == KT_TURNS_ASKS_MAX)
		return -ENOBUFS;
	if (!peer->asks)
		peer->heard_ns = now_ns;
	ask = kt_must_calloc(1, sizeof(*ask));
	ask->piece = *piece;
	DL_APPEND(peer->asks, ask);
	peer->n_asks++;
	ready(turns, peer);
	return 0;
}

/* ---- turns ---- */

bool kt_turns_next(struct kt_turns *turns, int64_t now_ns, struct kt_turns_piece *piece)
{
	struct host *first = turns->ready;
	struct host *host;
	struct peer *peer;

	if (!first || !kt_bucket_is_free(&turns->bucket, now_ns))
		return false;
	DL_FOREACH (turns->ready, host)
		if (host->tag < first->tag)
			first = host;
	peer = first->ready;
	*piece = peer->asks->piece;
	drop_ask(peer, peer->asks);
	turns->tag = first->tag;
	first->tag += piece->len;
	kt_bucket_take(&turns->bucket, now_ns, piece->len);
	unready(turns, peer);
	peer->is_busy = true;
	return true;
}

void kt_turns_sent(struct kt_turns *turns, int64_t now_ns, uint64_t number, bool has_room)
{
	struct peer *peer = peer_of(turns, number);

	if (!peer)
		return;
	peer->heard_ns = now_ns;
	peer->is_busy = !has_room;
	if (has_room)
		ready(turns, peer);
	else
		unready(turns, peer);
}

void kt_turns_room(struct kt_turns *turns, int64_t now_ns, uint64_t number)
{
	kt_turns_sent(turns, now_ns, number, true);
}

int64_t kt_turns_due_ns(const struct kt_turns *turns)
{
	return turns->ready ? kt_bucket_free_at_ns(&turns->bucket) : INT64_MAX;
}

bool kt_turns_patience(struct kt_turns *turns, int64_t now_ns, struct kt_turns_piece *piece)
{
	struct host *host;
	struct peer *peer;

	DL_FOREACH (turns->ready, host) {
		DL_FOREACH (host->ready, peer) {
			if (now_ns - peer->heard_ns < KT_TURNS_PATIENCE_NS)
				continue;
			peer->heard_ns = now_ns;
			*piece = peer->asks->piece;
			return true;
		}
	}
	return false;
}
