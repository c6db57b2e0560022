#include "coordinator/core/pairing.h"
#include "proto/base/must.h"

#include <stdlib.h>
#include <string.h>

void kt_pairing_destroy(struct kt_pairing *pairing)
{
	free(pairing->pairs);
	free(pairing->cells);
	free(pairing->collected);
	memset(pairing, 0, sizeof(*pairing));
}

size_t kt_pairing_bytes(const struct kt_pairing *pairing)
{
	return pairing->n_pairs * sizeof(*pairing->pairs) +
	       pairing->n_cells * sizeof(*pairing->cells);
}

/* splitmix64: every bit of the input moves every bit of the output. */
static uint64_t mix(uint64_t x)
{
	x += 0x9e3779b97f4a7c15u;
	x = (x ^ x >> 30) * 0xbf58476d1ce4e5b9u;
	x = (x ^ x >> 27) * 0x94d049bb133111ebu;
	return x ^ x >> 31;
}

void kt_pairing_add(struct kt_pairing *pairing, uint64_t seed, const struct kt_pairing_cell *cell)
{
	struct kt_pairing_cell *added;

	if (pairing->n_cells == pairing->cap_cells) {
		pairing->cap_cells = pairing->cap_cells ? pairing->cap_cells * 2 : 64;
		pairing->collected = kt_must_realloc(pairing->collected, pairing->cap_cells,
						     sizeof(*pairing->collected));
	}
	added = &pairing->collected[pairing->n_cells++];
	*added = *cell;
	added->rank = mix(mix(mix(seed) ^ cell->number) ^ cell->cell);
}

static int in_order(const void *a, const void *b)
{
	const struct kt_pairing_cell *x = a;
	const struct kt_pairing_cell *y = b;

	if (x->number != y->number)
		return x->number < y->number ? -1 : 1;
	if (x->rank != y->rank)
		return x->rank < y->rank ? -1 : 1;
	return x->cell < y->cell ? -1 : x->cell > y->cell;
}

void kt_pairing_settle(struct kt_pairing *pairing)
{
	struct kt_pairing_cell *collected = pairing->collected;
	uint32_t n = pairing->n_cells;
	uint32_t pairs = 0;

	if (!n)
		return;
	qsort(collected, n, sizeof(*collected), in_order);
	for (uint32_t i = 0; i < n; i++)
		pairs += i == 0 || collected[i].number != collected[i - 1].number;
	pairing->pairs = kt_must_calloc(pairs, sizeof(*pairing->pairs));
	pairing->cells = kt_must_calloc(n, sizeof(*pairing->cells));
	for (uint32_t i = 0; i < n; i++) {
		struct kt_pairing_pair *pair;

		if (i == 0 || collected[i].number != collected[i - 1].number)
			pairing->pairs[pairing->n_pairs++] =
				(struct kt_pairing_pair){ .number = collected[i].number,
							  .first = i,
							  .queue = collected[i].queue,
							  .set = collected[i].set };
		pair = &pairing->pairs[pairing->n_pairs - 1];
		pair->n++;
		pair->expected_ns += collected[i].expected_ns;
		pairing->cells[i] = collected[i].cell;
	}
	free(pairing->collected);
	pairing->collected = NULL;
	pairing->cap_cells = 0;
}

uint32_t kt_pairing_find(const struct kt_pairing *pairing, uint64_t number)
{
	uint32_t low = 0;
	uint32_t high = pairing->n_pairs;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;

		if (pairing->pairs[middle].number < number)
			low = middle + 1;
		else
			high = middle;
	}
	return low < pairing->n_pairs && pairing->pairs[low].number == number ? low
									      : KT_PAIRING_NONE;
}

enum kt_pairing_state kt_pairing_next(const struct kt_pairing *pairing,
				      const struct kt_pairing_pair *pair,
				      const struct kt_sweep *sweep, uint32_t *cell)
{
	enum kt_pairing_state state = KT_PAIRING_OVER;

	for (uint32_t i = pair->first; i < pair->first + pair->n; i++) {
		uint8_t now = sweep->cells[pairing->cells[i]].state;

		if (now == KT_CELL_LEASED)
			return KT_PAIRING_BUSY;
		if (now == KT_CELL_PENDING && state == KT_PAIRING_OVER) {
			state = KT_PAIRING_WAITS;
			*cell = pairing->cells[i];
		}
	}
	return state;
}

static bool is_begun(enum kt_cell_state state)
{
	return state == KT_CELL_LEASED || state == KT_CELL_ENDED || state == KT_CELL_JUDGED;
}

const char *kt_pairing_host(const struct kt_pairing *pairing, const struct kt_pairing_pair *pair,
			    const struct kt_sweep *sweep)
{
	const struct kt_cell *newest = NULL;

	for (uint32_t i = pair->first; i < pair->first + pair->n; i++) {
		const struct kt_cell *cell = &sweep->cells[pairing->cells[i]];

		if (is_begun(cell->state) && (!newest || cell->epoch > newest->epoch))
			newest = cell;
	}
	return newest ? sweep->hosts[newest->host].id : NULL;
}
