/* layer: coordinator/core */
/* The input is what hosts ask of the feeder and what their lines do: steps [what, who, argument], FETCH frames among them
 * as they came. Nobody gets a piece that it did not ask for, or out of order, or two at a time, or is forgotten.
 */
#include "coordinator/core/turns.h"
#include "proto/base/must.h"
#include "proto/schema.h"

#include <errno.h>
#include <string.h>

#define PEERS     6
#define HOSTS     3
#define STEPS_MAX 3000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len);

struct peer {
	struct kt_turns_piece asks[KT_TURNS_ASKS_MAX];
	size_t n_asks;
	bool is_busy;
};

struct world {
	struct kt_turns *turns;
	struct peer peers[PEERS];
	int64_t now_ns;
};

static const char *const hosts[HOSTS] = { "", "a", "b" };

static void ask(struct world *w, size_t who, const struct kt_turns_piece *piece)
{
	struct peer *peer = &w->peers[who];
	int status = kt_turns_ask(w->turns, w->now_ns, hosts[who % HOSTS], piece);

	kt_must(status == (peer->n_asks == KT_TURNS_ASKS_MAX ? -ENOBUFS : 0));
	if (status == 0)
		peer->asks[peer->n_asks++] = *piece;
}

/* As the feeder takes it off the wire. */
static void frame(struct world *w, size_t who, const uint8_t *bytes, size_t len)
{
	KT_AUTO_ARENA arena = { .max = 4u << 20 };
	struct kt_turns_piece piece = { .peer = who + 1 };
	const struct kt_message *message;
	const struct kt_msg_fetch *fetch;
	void *body;

	if (kt_codec_decode_frame(&kt_schema_fleet, bytes, len, &arena, &message, &body, NULL) <
		    0 ||
	    message->tag != KT_TAG_fetch)
		return;
	fetch = body;
	kt_must(fetch->digest.len == KT_DIGEST_BYTES);
	kt_must(fetch->offset <= KT_FILE_BYTES_MAX);
	memcpy(piece.digest.bytes, fetch->digest.data, KT_DIGEST_BYTES);
	piece.offset = fetch->offset;
	piece.len = fetch->len;
	ask(w, who, &piece);
}

static bool next(struct world *w)
{
	struct kt_turns_piece piece;
	struct peer *peer;

	if (!kt_turns_next(w->turns, w->now_ns, &piece))
		return false;
	kt_must(piece.peer >= 1 && piece.peer <= PEERS);
	peer = &w->peers[piece.peer - 1];
	kt_must(!peer->is_busy && peer->n_asks > 0);
	kt_must(memcmp(&piece, &peer->asks[0], sizeof(piece)) == 0);
	memmove(peer->asks, peer->asks + 1, --peer->n_asks * sizeof(peer->asks[0]));
	peer->is_busy = true;
	return true;
}

static void step(struct world *w, const uint8_t *b)
{
	size_t who = b[1] % PEERS;
	struct kt_turns_piece piece = { .peer = who + 1 };

	switch (b[0] % 8) {
	case 0:
	case 1:
		piece.offset = b[2] * 1000;
		piece.len = 1 + (b[2] & 15) * 16000;
		return ask(w, who, &piece);
	case 2:
	case 3:
		next(w);
		return;
	case 4:
		if (!w->peers[who].is_busy)
			return;
		kt_turns_sent(w->turns, w->now_ns, who + 1, b[2] & 1);
		w->peers[who].is_busy = !(b[2] & 1);
		return;
	case 5:
		kt_turns_room(w->turns, w->now_ns, who + 1);
		w->peers[who].is_busy = false;
		return;
	case 6:
		w->now_ns += b[2] * (KT_NS_PER_S / 100);
		while (b[1] & 1 && kt_turns_patience(w->turns, w->now_ns, &piece))
			kt_must(!w->peers[piece.peer - 1].is_busy &&
				w->peers[piece.peer - 1].n_asks > 0);
		return;
	case 7:
		kt_turns_lost(w->turns, who + 1);
		memset(&w->peers[who], 0, sizeof(w->peers[who]));
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t len)
{
	static struct world w;

	memset(&w, 0, sizeof(w));
	w.turns = kt_turns_new(len % 2 ? 1 << 20 : 0);
	for (size_t i = 0; len >= 3 && i < STEPS_MAX; i++) {
		if (data[0] == 255) {
			size_t n = data[2] < len - 3 ? data[2] : len - 3;

			frame(&w, data[1] % PEERS, data + 3, n);
			data += n;
			len -= n;
		} else {
			step(&w, data);
		}
		data += 3;
		len -= 3;
	}
	/* Everybody reads again: everything that was asked for comes. */
	for (size_t i = 0; i < PEERS; i++)
		w.peers[i].is_busy = false;
	for (size_t i = 0; i < PEERS; i++)
		kt_turns_room(w.turns, w.now_ns, i + 1);
	do {
		for (size_t i = 0; i < PEERS; i++) {
			if (w.peers[i].is_busy)
				kt_turns_sent(w.turns, w.now_ns, i + 1, true);
			w.peers[i].is_busy = false;
		}
		w.now_ns += KT_NS_PER_S;
	} while (next(&w));
	for (size_t i = 0; i < PEERS; i++)
		kt_must(w.peers[i].n_asks == 0);
	kt_turns_destroy(&w.turns);
	return 0;
}
