/* backlog.h - the cells that wait, in queues: one for each size of guest, in order.
 *
 *	queue	fresh	never tried, the longest expected first
 *		again	came back and may be tried, in the order in which they did
 *	asleep		came back and may not be tried yet, by the moment when they may
 *
 * An entry is a range of cells (or a pair, pairing.h); what it is worth is placement.h's affair. Numbers of entries,
 * queues and sets are indexes: KT_BACKLOG_NONE is none.
 */
#ifndef KT_BACKLOG_H
#define KT_BACKLOG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uthash.h>

#define KT_BACKLOG_NONE UINT32_MAX

struct kt_backlog_entry {
	int64_t at_ns; /* fresh: how long one cell is expected to take; came back: the moment when it may be tried */
	uint32_t first; /* cell; of a pair its number in kt_pairing */
	uint32_t n; /* cells; 0: it is a pair */
	uint32_t set; /* of artifacts */
	uint32_t queue;
	uint32_t prev, next; /* in its list; next of one that is free: the next free one */
};

struct kt_backlog_list {
	uint32_t head, tail;
};

struct kt_backlog_size { /* of a guest: a key without padding */
	uint64_t mem_bytes;
	uint32_t cpus;
	uint32_t accel; /* index into accels and 1; 0: any */
};

struct kt_backlog_queue {
	struct kt_backlog_size size; /* key */
	UT_hash_handle hh;
	uint32_t index;
	struct kt_backlog_list fresh, again;
	uint32_t n_asleep;
	/* ---- marks of placement.c ---- */
	unsigned int
		n_passed; /* times that the first of fresh was passed over for what lies in a cache */
	bool is_blocked; /* a host that could take its first had no room */
	int64_t blocked_ns; /* since when */
	bool is_hopeless; /* no host can take it */
	bool is_told;
	int64_t hopeless_ns; /* since when */
};

struct kt_backlog_set { /* of artifacts, ascending */
	uint64_t *artifacts;
	size_t n;
	uint32_t index;
	UT_hash_handle hh;
};

struct kt_backlog_sleeper {
	int64_t ready_at_ns;
	uint32_t entry;
};

struct kt_backlog {
	struct kt_backlog_entry *entries;
	uint32_t n_entries, cap_entries, free_entry;
	struct kt_backlog_queue **queues; /* stable addresses */
	size_t n_queues;
	struct kt_backlog_queue *by_size; /* uthash */
	struct kt_backlog_set **sets;
	size_t n_sets;
	struct kt_backlog_set *by_artifacts; /* uthash */
	const char **accels; /* borrowed */
	size_t n_accels;
	/* What was asked for last is mostly meant again. */
	uint32_t last_queue, last_set;
	uint64_t *last_artifacts; /* as they were given */
	size_t n_last_artifacts;
	struct kt_backlog_sleeper *asleep; /* a heap */
	size_t n_asleep, cap_asleep;
};

void kt_backlog_init(struct kt_backlog *b);
void kt_backlog_destroy(struct kt_backlog *b); /* frees what it holds, not the struct */
size_t kt_backlog_bytes(const struct kt_backlog *b);

/* Found or added. artifacts are copied; accel is borrowed. */
uint32_t kt_backlog_queue(struct kt_backlog *b, uint32_t cpus, uint64_t mem_bytes,
			  const char *accel);
uint32_t kt_backlog_set(struct kt_backlog *b, const uint64_t *artifacts, size_t n);

/* To two digits of its binary: what was measured differs from night to night, and the order of cells need not. */
int64_t kt_backlog_round(int64_t expected_ns);

/* All that is fresh, in the order of cells' numbers; then kt_backlog_sort() puts it into its queues. */
void kt_backlog_add_fresh(struct kt_backlog *b, uint32_t queue, uint32_t set, int64_t expected_ns,
			  uint32_t cell);
void kt_backlog_add_pair(struct kt_backlog *b, uint32_t queue, uint32_t set, int64_t expected_ns,
			 uint32_t pair);
void kt_backlog_sort(struct kt_backlog *b);

/* One that came back; n 0: a pair. */
void kt_backlog_sleep(struct kt_backlog *b, uint32_t queue, uint32_t set, uint32_t first,
		      uint32_t n, int64_t ready_at_ns);
/* Moves those that are ready behind the others of their queue's `again`; how many they were. */
size_t kt_backlog_wake(struct kt_backlog *b, int64_t now_ns);

/* Takes the entry out of its list and frees it; list is one of its queue's. */
void kt_backlog_drop(struct kt_backlog *b, struct kt_backlog_list *list, uint32_t entry);

#endif
