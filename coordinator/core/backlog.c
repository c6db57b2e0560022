#include "coordinator/core/backlog.h"
#include "proto/base/must.h"

#include <stdlib.h>
#include <string.h>

/* Bits of an expected time that are kept: steps of a quarter. */
#define ROUND_BITS 3

void kt_backlog_init(struct kt_backlog *b)
{
	*b = (struct kt_backlog){ .free_entry = KT_BACKLOG_NONE };
}

void kt_backlog_destroy(struct kt_backlog *b)
{
	HASH_CLEAR(hh, b->by_size);
	HASH_CLEAR(hh, b->by_artifacts);
	for (size_t i = 0; i < b->n_queues; i++)
		free(b->queues[i]);
	for (size_t i = 0; i < b->n_sets; i++) {
		free(b->sets[i]->artifacts);
		free(b->sets[i]);
	}
	free(b->queues);
	free(b->sets);
	free(b->accels);
	free(b->last_artifacts);
	free(b->entries);
	free(b->asleep);
	memset(b, 0, sizeof(*b));
}

size_t kt_backlog_bytes(const struct kt_backlog *b)
{
	size_t bytes = b->cap_entries * sizeof(*b->entries) + b->cap_asleep * sizeof(*b->asleep) +
		       b->n_queues * (sizeof(struct kt_backlog_queue) + sizeof(void *));

	for (size_t i = 0; i < b->n_sets; i++)
		bytes += sizeof(*b->sets[i]) + sizeof(void *) + b->sets[i]->n * sizeof(uint64_t);
	return bytes;
}

/* ---- queues and sets ---- */

static uint32_t accel_number(struct kt_backlog *b, const char *accel)
{
	if (!accel)
		return 0;
	for (size_t i = 0; i < b->n_accels; i++)
		if (strcmp(b->accels[i], accel) == 0)
			return (uint32_t)i + 1;
	b->accels = kt_must_realloc(b->accels, b->n_accels + 1, sizeof(*b->accels));
	b->accels[b->n_accels++] = accel;
	return (uint32_t)b->n_accels;
}

uint32_t kt_backlog_queue(struct kt_backlog *b, uint32_t cpus, uint64_t mem_bytes,
			  const char *accel)
{
	struct kt_backlog_size size = { .mem_bytes = mem_bytes,
					.cpus = cpus,
					.accel = accel_number(b, accel) };
	struct kt_backlog_queue *queue;

	if (b->n_queues && memcmp(&b->queues[b->last_queue]->size, &size, sizeof(size)) == 0)
		return b->last_queue;
	HASH_FIND(hh, b->by_size, &size, sizeof(size), queue);
	if (!queue) {
		queue = kt_must_calloc(1, sizeof(*queue));
		queue->size = size;
		queue->index = (uint32_t)b->n_queues;
		queue->fresh = (struct kt_backlog_list){ KT_BACKLOG_NONE, KT_BACKLOG_NONE };
		queue->again = queue->fresh;
		b->queues = kt_must_realloc(b->queues, b->n_queues + 1, sizeof(*b->queues));
		b->queues[b->n_queues++] = queue;
		HASH_ADD(hh, b->by_size, size, sizeof(queue->size), queue);
	}
	b->last_queue = queue->index;
	return queue->index;
}

static int ascending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a;
	uint64_t y = *(const uint64_t *)b;

	return x < y ? -1 : x > y;
}

static void remember(struct kt_backlog *b, const uint64_t *artifacts, size_t n)
{
	b->last_artifacts = kt_must_realloc(b->last_artifacts, n + 1, sizeof(*b->last_artifacts));
	if (n)
		memcpy(b->last_artifacts, artifacts, n * sizeof(*artifacts));
	b->n_last_artifacts = n;
}

uint32_t kt_backlog_set(struct kt_backlog *b, const uint64_t *artifacts, size_t n)
{
	struct kt_backlog_set *set;
	uint64_t *sorted;

	if (b->n_sets && b->n_last_artifacts == n &&
	    (!n || memcmp(b->last_artifacts, artifacts, n * sizeof(*artifacts)) == 0))
		return b->last_set;
	remember(b, artifacts, n);
	sorted = kt_must_calloc(n + 1, sizeof(*sorted));
	if (n) {
		memcpy(sorted, artifacts, n * sizeof(*sorted));
		qsort(sorted, n, sizeof(*sorted), ascending);
	}
	HASH_FIND(hh, b->by_artifacts, sorted, n * sizeof(*sorted), set);
	if (set) {
		free(sorted);
	} else {
		set = kt_must_calloc(1, sizeof(*set));
		set->artifacts = sorted;
		set->n = n;
		set->index = (uint32_t)b->n_sets;
		b->sets = kt_must_realloc(b->sets, b->n_sets + 1, sizeof(*b->sets));
		b->sets[b->n_sets++] = set;
		HASH_ADD_KEYPTR(hh, b->by_artifacts, set->artifacts, n * sizeof(*sorted), set);
	}
	b->last_set = set->index;
	return set->index;
}

int64_t kt_backlog_round(int64_t expected_ns)
{
	int shift = 0;

	while (expected_ns >> shift >= 1 << ROUND_BITS)
		shift++;
	return expected_ns >> shift << shift;
}

/* ---- entries ---- */

static uint32_t new_entry(struct kt_backlog *b)
{
	uint32_t entry = b->free_entry;

	if (entry != KT_BACKLOG_NONE) {
		b->free_entry = b->entries[entry].next;
		return entry;
	}
	if (b->n_entries == b->cap_entries) {
		b->cap_entries = b->cap_entries ? b->cap_entries + b->cap_entries / 2 : 64;
		b->entries = kt_must_realloc(b->entries, b->cap_entries, sizeof(*b->entries));
	}
	kt_must(b->n_entries < KT_BACKLOG_NONE);
	return b->n_entries++;
}

static void append(struct kt_backlog *b, struct kt_backlog_list *list, uint32_t entry)
{
	b->entries[entry].prev = list->tail;
	b->entries[entry].next = KT_BACKLOG_NONE;
	if (list->tail == KT_BACKLOG_NONE)
		list->head = entry;
	else
		b->entries[list->tail].next = entry;
	list->tail = entry;
}

void kt_backlog_drop(struct kt_backlog *b, struct kt_backlog_list *list, uint32_t entry)
{
	struct kt_backlog_entry *e = &b->entries[entry];

	if (e->prev == KT_BACKLOG_NONE)
		list->head = e->next;
	else
		b->entries[e->prev].next = e->next;
	if (e->next == KT_BACKLOG_NONE)
		list->tail = e->prev;
	else
		b->entries[e->next].prev = e->prev;
	e->next = b->free_entry;
	b->free_entry = entry;
}

void kt_backlog_add_fresh(struct kt_backlog *b, uint32_t queue, uint32_t set, int64_t expected_ns,
			  uint32_t cell)
{
	struct kt_backlog_entry *last = b->n_entries ? &b->entries[b->n_entries - 1] : NULL;
	uint32_t entry;

	if (last && last->n && last->queue == queue && last->set == set &&
	    last->at_ns == expected_ns && last->first + last->n == cell) {
		last->n++;
		return;
	}
	entry = new_entry(b);
	b->entries[entry] = (struct kt_backlog_entry){
		.at_ns = expected_ns, .first = cell, .n = 1, .set = set, .queue = queue
	};
}

void kt_backlog_add_pair(struct kt_backlog *b, uint32_t queue, uint32_t set, int64_t expected_ns,
			 uint32_t pair)
{
	uint32_t entry = new_entry(b);

	b->entries[entry] = (struct kt_backlog_entry){
		.at_ns = expected_ns, .first = pair, .set = set, .queue = queue
	};
}

static int longest_first(const void *a, const void *b)
{
	const struct kt_backlog_entry *x = a;
	const struct kt_backlog_entry *y = b;

	if (x->at_ns != y->at_ns)
		return x->at_ns > y->at_ns ? -1 : 1;
	if (!x->n != !y->n) /* pairs take longer than one of their cells: they come first */
		return x->n ? 1 : -1;
	return x->first < y->first ? -1 : x->first > y->first;
}

void kt_backlog_sort(struct kt_backlog *b)
{
	if (b->n_entries)
		qsort(b->entries, b->n_entries, sizeof(*b->entries), longest_first);
	for (uint32_t i = 0; i < b->n_entries; i++)
		append(b, &b->queues[b->entries[i].queue]->fresh, i);
}

/* ---- those that sleep ---- */

static void swap(struct kt_backlog_sleeper *a, struct kt_backlog_sleeper *b)
{
	struct kt_backlog_sleeper other = *a;

	*a = *b;
	*b = other;
}

void kt_backlog_sleep(struct kt_backlog *b, uint32_t queue, uint32_t set, uint32_t first,
		      uint32_t n, int64_t ready_at_ns)
{
	uint32_t entry = new_entry(b);
	size_t i = b->n_asleep;

	b->entries[entry] = (struct kt_backlog_entry){
		.at_ns = ready_at_ns, .first = first, .n = n, .set = set, .queue = queue
	};
	if (b->n_asleep == b->cap_asleep) {
		b->cap_asleep = b->cap_asleep ? b->cap_asleep * 2 : 16;
		b->asleep = kt_must_realloc(b->asleep, b->cap_asleep, sizeof(*b->asleep));
	}
	b->asleep[b->n_asleep++] = (struct kt_backlog_sleeper){ ready_at_ns, entry };
	b->queues[queue]->n_asleep++;
	for (; i > 0 && b->asleep[(i - 1) / 2].ready_at_ns > b->asleep[i].ready_at_ns;
	     i = (i - 1) / 2)
		swap(&b->asleep[i], &b->asleep[(i - 1) / 2]);
}

static uint32_t pop(struct kt_backlog *b)
{
	uint32_t entry = b->asleep[0].entry;
	size_t i = 0;

	b->asleep[0] = b->asleep[--b->n_asleep];
	for (;;) {
		size_t least = i;

		for (size_t child = 2 * i + 1; child <= 2 * i + 2; child++)
			if (child < b->n_asleep &&
			    b->asleep[child].ready_at_ns < b->asleep[least].ready_at_ns)
				least = child;
		if (least == i)
			return entry;
		swap(&b->asleep[i], &b->asleep[least]);
		i = least;
	}
}

size_t kt_backlog_wake(struct kt_backlog *b, int64_t now_ns)
{
	size_t n = 0;

	for (; b->n_asleep && b->asleep[0].ready_at_ns <= now_ns; n++) {
		uint32_t entry = pop(b);
		struct kt_backlog_queue *queue = b->queues[b->entries[entry].queue];

		queue->n_asleep--;
		append(b, &queue->again, entry);
	}
	return n;
}
