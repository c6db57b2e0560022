/* turns.h - whose turn it is to get the next piece of an artifact.
 *
 *	ask  -> [asks of a peer, in order] -> next -> (read, given to the socket) -> sent -> next ...
 *
 * Pure. Every host that wants something is served in turn: of those that can take a piece now, the one comes
 * first that had the fewest bytes, counted from when it began to want (start-time fair queueing, Goyal, Vin
 * and Cheng 1996); the workers of one host share its turns. One piece of a peer is under way at a time: what
 * it still asks for waits here, as some bytes, and not as pieces in a queue of the socket. A peer whose queue
 * is not empty has no turn, and costs nobody else one.
 *
 * All together get at most so many bytes a second (bucket.h). Who waits long for its turn is told so
 * (kt_turns_patience): else it would take the silence for a broken line.
 */
#ifndef KT_TURNS_H
#define KT_TURNS_H

#include "coordinator/core/bucket.h"
#include "proto/base/digest.h"

#define KT_TURNS_ASKS_MAX \
	32 /* of one peer; who asks for more is not heard. A worker's window is smaller. */
#define KT_TURNS_PATIENCE_NS (2 * KT_NS_PER_S) /* without a word; a worker gives up later */

struct kt_turns;

struct kt_turns_piece {
	uint64_t peer;
	struct kt_digest digest;
	uint64_t offset;
	uint64_t len; /* at most KT_CHUNK_BYTES_MAX */
};

struct kt_turns *kt_turns_new(uint64_t bytes_per_s /* 0: no limit */);
void kt_turns_destroy(struct kt_turns **turns_p);

/* A peer belongs to the host that its first piece was asked with; host is copied. -ENOBUFS: too many. */
int kt_turns_ask(struct kt_turns *turns, int64_t now_ns, const char *host,
		 const struct kt_turns_piece *piece);
/* Takes the piece whose turn it is; its peer is busy until kt_turns_sent(). False: nobody, or not yet. */
bool kt_turns_next(struct kt_turns *turns, int64_t now_ns, struct kt_turns_piece *piece);
/* The piece is the socket's. has_room: so is all of it, and the peer may get the next; else the peer stays
 * busy until kt_turns_room(). An unknown peer is nobody.
 */
void kt_turns_sent(struct kt_turns *turns, int64_t now_ns, uint64_t peer, bool has_room);
void kt_turns_room(struct kt_turns *turns, int64_t now_ns, uint64_t peer);
void kt_turns_lost(struct kt_turns *turns, uint64_t peer); /* and what it asked for */

/* When kt_turns_next() is worth another look for the limit's sake; INT64_MAX when nobody waits for it. */
int64_t kt_turns_due_ns(const struct kt_turns *turns);
/* One of those that wait and did not hear a word for KT_TURNS_PATIENCE_NS; it counts as told now. */
bool kt_turns_patience(struct kt_turns *turns, int64_t now_ns, struct kt_turns_piece *piece);
size_t kt_turns_n_peers(const struct kt_turns *turns);

#endif
