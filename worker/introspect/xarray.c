#include "worker/introspect/xarray.h"

#include <errno.h>
#include <string.h>

#define LEVELS_MAX 17 /* 64 bits of index, 4 bits at a time (CONFIG_BASE_SMALL) */
#define SLOTS_MAX  64

struct level {
	uint64_t slots[SLOTS_MAX];
	uint64_t index; /* of slot 0 */
	unsigned int shift;
	unsigned int next;
};

static bool is_node(uint64_t entry)
{
	return (entry & 3) == 2 && entry > 4096;
}

static bool is_pointer(uint64_t entry)
{
	return entry && !(entry & 3);
}

/* Reads the node behind entry; its shift must be below `above`. */
static int enter(struct kt_pagewalk *pagewalk, const struct kt_klayout *klayout, uint64_t entry,
		 unsigned int above, unsigned int n_slots, struct level *level)
{
	uint64_t va = entry - 2;
	uint8_t shift;

	if (kt_pagewalk_read(pagewalk, va + klayout->at.node_shift.offset, &shift, 1) ||
	    kt_pagewalk_read(pagewalk, va + klayout->at.node_slots.offset, level->slots,
			     (size_t)n_slots * 8))
		return -EFAULT;
	if (shift >= above)
		return -EFAULT;
	level->shift = shift;
	level->next = 0;
	return 0;
}

int kt_xarray_collect(struct kt_pagewalk *pagewalk, const struct kt_klayout *klayout,
		      uint64_t head_va, struct kt_xarray_entry *entries, size_t max, size_t *n,
		      bool *more)
{
	struct level levels[LEVELS_MAX];
	unsigned int n_slots = klayout->at.node_slots.elements;
	unsigned int visited = 1;
	int depth = 0;
	uint64_t head;

	*n = 0;
	*more = false;
	if (n_slots > SLOTS_MAX || kt_pagewalk_read_u64(pagewalk, head_va, &head))
		return -EFAULT;
	if (is_pointer(head) && max)
		entries[(*n)++] = (struct kt_xarray_entry){ 0, head };
	if (!is_node(head))
		return 0;
	if (enter(pagewalk, klayout, head, 64, n_slots, &levels[0]))
		return -EFAULT;
	levels[0].index = 0;
	while (depth >= 0) {
		struct level *level = &levels[depth];
		uint64_t entry, index;

		if (level->next == n_slots) {
			depth--;
			continue;
		}
		index = level->index + ((uint64_t)level->next << level->shift);
		entry = level->slots[level->next++];
		if (is_pointer(entry)) {
			if (*n == max) {
				*more = true;
				return 0;
			}
			entries[(*n)++] = (struct kt_xarray_entry){ index, entry };
		} else if (is_node(entry)) {
			if (depth + 1 == LEVELS_MAX || visited++ == KT_XARRAY_NODES_MAX ||
			    enter(pagewalk, klayout, entry, level->shift, n_slots,
				  &levels[depth + 1])) {
				*more = true;
				if (visited > KT_XARRAY_NODES_MAX)
					return 0;
				continue;
			}
			levels[++depth].index = index;
		}
	}
	return 0;
}
