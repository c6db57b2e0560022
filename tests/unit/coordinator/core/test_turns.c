#include "coordinator/core/turns.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define PIECE KT_CHUNK_BYTES_MAX
#define S     KT_NS_PER_S

static int ask(struct kt_turns *turns, int64_t now_ns, const char *host, uint64_t peer,
	       uint64_t offset, uint64_t len)
{
	struct kt_turns_piece piece = { .peer = peer, .offset = offset, .len = len };

	return kt_turns_ask(turns, now_ns, host, &piece);
}

/* Serves n pieces, each peer at once having room again and asking for the next; bytes per peer. */
static void serve(struct kt_turns *turns, const char *const *hosts, const uint64_t *lens, size_t n,
		  uint64_t *bytes)
{
	struct kt_turns_piece piece;

	for (size_t i = 0; i < n; i++) {
		cr_assert(kt_turns_next(turns, 0, &piece));
		bytes[piece.peer] += piece.len;
		ask(turns, 0, hosts[piece.peer], piece.peer, piece.offset + piece.len,
		    lens[piece.peer]);
		kt_turns_sent(turns, 0, piece.peer, true);
	}
}

Test(turns, hosts_get_the_same_bytes_however_they_ask)
{
	/* a: one worker, large pieces; b: one, small pieces; c: three workers */
	static const char *const hosts[] = { "", "a", "b", "c", "c", "c" };
	static const uint64_t lens[] = { 0, PIECE, PIECE / 16, PIECE, PIECE, PIECE };
	struct kt_turns *turns = kt_turns_new(0);
	uint64_t bytes[6] = { 0 };
	uint64_t c;

	for (uint64_t peer = 1; peer <= 5; peer++)
		cr_assert_eq(ask(turns, 0, hosts[peer], peer, 0, lens[peer]), 0);
	serve(turns, hosts, lens, 1800, bytes);
	c = bytes[3] + bytes[4] + bytes[5];
	cr_assert_leq(bytes[1] - bytes[2] + PIECE, 2 * PIECE, "%lu %lu", bytes[1], bytes[2]);
	cr_assert_leq(bytes[1] - c + PIECE, 2 * PIECE, "%lu %lu", bytes[1], c);
	cr_assert_leq(bytes[3] - bytes[4] + PIECE, 2 * PIECE);
	cr_assert_leq(bytes[3] - bytes[5] + PIECE, 2 * PIECE);
	kt_turns_destroy(&turns);
}

Test(turns, who_does_not_take_holds_up_nobody_and_saves_nothing_up)
{
	static const char *const hosts[] = { "", "quick", "slow" };
	static const uint64_t lens[] = { 0, PIECE, PIECE };
	struct kt_turns *turns = kt_turns_new(0);
	uint64_t bytes[3] = { 0 };
	struct kt_turns_piece piece;

	ask(turns, 0, "slow", 2, 0, PIECE);
	ask(turns, 0, "slow", 2, PIECE, PIECE);
	cr_assert(kt_turns_next(turns, 0, &piece));
	kt_turns_sent(turns, 0, 2, false); /* it waits in its queue */
	ask(turns, 0, "quick", 1, 0, PIECE);
	serve(turns, hosts, lens, 100, bytes);
	cr_assert_eq(bytes[1], 100 * (uint64_t)PIECE);
	kt_turns_room(turns, 0, 2);
	memset(bytes, 0, sizeof(bytes));
	serve(turns, hosts, lens, 100, bytes);
	cr_assert_leq(bytes[2], 51 * (uint64_t)PIECE, "it makes up for nothing");
	cr_assert_geq(bytes[2], 49 * (uint64_t)PIECE);
	kt_turns_destroy(&turns);
}

Test(turns, a_peer_gets_its_pieces_one_by_one_and_in_order)
{
	struct kt_turns *turns = kt_turns_new(0);
	struct kt_turns_piece piece;

	for (uint64_t i = 0; i < KT_TURNS_ASKS_MAX; i++)
		cr_assert_eq(ask(turns, 0, "h", 7, i * PIECE, PIECE), 0);
	cr_assert_eq(ask(turns, 0, "h", 7, 99, PIECE), -ENOBUFS);
	for (uint64_t i = 0; i < KT_TURNS_ASKS_MAX; i++) {
		cr_assert(kt_turns_next(turns, 0, &piece));
		cr_assert_eq(piece.offset, i * PIECE);
		cr_assert_not(kt_turns_next(turns, 0, &piece), "one is under way");
		kt_turns_sent(turns, 0, 7, i % 2 == 0);
		if (i % 2)
			kt_turns_room(turns, 0, 7);
	}
	cr_assert_not(kt_turns_next(turns, 0, &piece));
	kt_turns_destroy(&turns);
}

Test(turns, who_vanished_is_forgotten_at_any_time)
{
	struct kt_turns *turns = kt_turns_new(0);
	struct kt_turns_piece piece;

	for (uint64_t peer = 1; peer <= 4; peer++)
		for (int i = 0; i < 3; i++)
			ask(turns, 0, peer < 3 ? "a" : "b", peer, 0, PIECE);
	cr_assert(kt_turns_next(turns, 0, &piece));
	kt_turns_lost(turns, piece.peer);
	kt_turns_sent(turns, 0, piece.peer, true);
	kt_turns_room(turns, 0, piece.peer);
	for (uint64_t peer = 1; peer <= 4; peer++)
		kt_turns_lost(turns, peer);
	cr_assert_eq(kt_turns_n_peers(turns), 0);
	cr_assert_not(kt_turns_next(turns, 0, &piece));
	cr_assert_eq(kt_turns_due_ns(turns), INT64_MAX);
	ask(turns, 0, "a", 9, 0, PIECE);
	cr_assert(kt_turns_next(turns, 0, &piece));
	kt_turns_destroy(&turns);
}

Test(turns, the_limit_holds_and_says_when_to_look_again)
{
	static const char *const hosts[] = { "", "a", "b" };
	struct kt_turns *turns = kt_turns_new(1 << 20);
	struct kt_turns_piece piece;
	uint64_t bytes = 0;
	int64_t now_ns = 5 * S;

	ask(turns, now_ns, "a", 1, 0, PIECE);
	ask(turns, now_ns, "b", 2, 0, PIECE);
	while (now_ns < 65 * S) {
		while (kt_turns_next(turns, now_ns, &piece)) {
			bytes += piece.len;
			ask(turns, now_ns, hosts[piece.peer], piece.peer, 0, PIECE);
			kt_turns_sent(turns, now_ns, piece.peer, true);
		}
		cr_assert_gt(kt_turns_due_ns(turns), now_ns);
		now_ns = kt_turns_due_ns(turns);
	}
	cr_assert_geq(bytes, (uint64_t)59 << 20);
	cr_assert_leq(bytes, (uint64_t)61 << 20);
	kt_turns_destroy(&turns);
}

Test(turns, who_waits_is_told_so_and_who_is_served_is_not)
{
	struct kt_turns *turns = kt_turns_new(KT_BUCKET_RATE_MIN); /* a piece takes 16 s */
	struct kt_turns_piece piece;

	ask(turns, 0, "a", 1, 0, PIECE);
	ask(turns, 0, "b", 2, 5, PIECE);
	ask(turns, 0, "c", 3, 0, PIECE);
	cr_assert(kt_turns_next(turns, 0, &piece));
	cr_assert_eq(piece.peer, 1);
	cr_assert_not(kt_turns_next(turns, 0, &piece));
	cr_assert_not(kt_turns_patience(turns, KT_TURNS_PATIENCE_NS - 1, &piece));
	cr_assert(kt_turns_patience(turns, KT_TURNS_PATIENCE_NS, &piece));
	cr_assert_eq(piece.peer, 2);
	cr_assert_eq(piece.offset, 5);
	cr_assert(kt_turns_patience(turns, KT_TURNS_PATIENCE_NS, &piece));
	cr_assert_eq(piece.peer, 3);
	cr_assert_not(kt_turns_patience(turns, KT_TURNS_PATIENCE_NS, &piece), "once is enough");
	cr_assert(kt_turns_patience(turns, 2 * KT_TURNS_PATIENCE_NS, &piece));
	kt_turns_destroy(&turns);
}

/* Whatever happens in whatever order: no piece is lost or given twice, and who is busy gets none. */
Test(turns, random_histories_lose_nothing)
{
	for (unsigned int seed = 1; seed <= 200; seed++) {
		struct kt_turns *turns = kt_turns_new(seed % 3 ? 0 : 1 << 20);
		uint64_t asked[9] = { 0 }, given[9] = { 0 };
		bool busy[9] = { false };
		unsigned int random = seed;
		struct kt_turns_piece piece;
		int64_t now_ns = 0;

		for (int i = 0; i < 2000; i++) {
			uint64_t peer;
			char host[8];

			random = random * 1103515245u + 12345u;
			peer = 1 + (random >> 16) % 8;
			snprintf(host, sizeof(host), "h%d", (int)(peer % 3));
			switch ((random >> 24) % 5) {
			case 0:
			case 1:
				if (ask(turns, now_ns, host, peer, asked[peer], 1000) == 0)
					asked[peer]++;
				break;
			case 2:
				if (!kt_turns_next(turns, now_ns, &piece))
					break;
				cr_assert_not(busy[piece.peer]);
				cr_assert_eq(piece.offset, given[piece.peer]++);
				busy[piece.peer] = true;
				break;
			case 3:
				kt_turns_sent(turns, now_ns, peer, random & 4096);
				busy[peer] = asked[peer] && !(random & 4096);
				break;
			case 4:
				now_ns += random >> 8;
				if ((random >> 10) % 32)
					break;
				kt_turns_lost(turns, peer);
				asked[peer] = given[peer] = 0;
				busy[peer] = false;
			}
		}
		for (uint64_t peer = 1; peer < 9; peer++)
			kt_turns_room(turns, now_ns, peer);
		now_ns += 3600 * S;
		while (kt_turns_next(turns, now_ns, &piece)) {
			cr_assert_eq(piece.offset, given[piece.peer]++);
			kt_turns_sent(turns, now_ns, piece.peer, true);
			now_ns += S;
		}
		for (uint64_t peer = 1; peer < 9; peer++)
			cr_assert_eq(asked[peer], given[peer], "seed %u", seed);
		kt_turns_destroy(&turns);
	}
}
