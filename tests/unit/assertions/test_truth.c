#include "assertions/truth.h"
#include "fixture.h"

/* The definitions, slot by slot, against the functions that slide: over every vector of up to 5 slots. */

#define SLOTS_MAX 5

static const int64_t layouts[][SLOTS_MAX] = {
	{ 0, 10, 20, 30, 40 },
	{ 0, 0, 10, 10, 50 },
	{ 7, 8, 9, 9, 9 },
};

static const struct {
	int64_t from;
	int64_t to;
} windows[] = {
	{ 0, 0 },  { 0, 10 },
	{ 0, 15 }, { 10, 20 },
	{ 5, 12 }, { 11, 19 },
	{ 0, 40 }, { 0, KT_TRUTH_TO_THE_END },
	{ 3, 3 },  { 10, KT_TRUTH_TO_THE_END },
};

static void set_times(struct kt_column_slot *slots, const int64_t *times)
{
	for (size_t i = 0; i < SLOTS_MAX; i++)
		slots[i] = (struct kt_column_slot){ .elapsed_ns = times[i], .tag = "" };
}

/* The which'th of 3^n vectors. */
static size_t vector(size_t which, size_t n, uint8_t *truth)
{
	for (size_t i = 0; i < n; i++, which /= 3)
		truth[i] = (uint8_t)(which % 3);
	return which;
}

static bool is_beyond(const struct kt_column *column, size_t i, int64_t to)
{
	return to != KT_TRUTH_TO_THE_END &&
	       column->slots[i].elapsed_ns + to > column->slots[column->n - 1].elapsed_ns;
}

static uint8_t defined(const struct kt_column *column, size_t i, int64_t from, int64_t to,
		       const uint8_t *truth, bool always)
{
	uint8_t lowest = KT_TRUTH_TRUE;
	uint8_t highest = KT_TRUTH_FALSE;
	size_t n = 0;

	for (size_t j = i; j < column->n; j++) {
		int64_t after = column->slots[j].elapsed_ns - column->slots[i].elapsed_ns;

		if (after < from || after > to)
			continue;
		n++;
		lowest = truth[j] < lowest ? truth[j] : lowest;
		highest = truth[j] > highest ? truth[j] : highest;
	}
	if (n == 0 || is_beyond(column, i, to)) {
		lowest = lowest > KT_TRUTH_UNKNOWN ? KT_TRUTH_UNKNOWN : lowest;
		highest = highest < KT_TRUTH_UNKNOWN ? KT_TRUTH_UNKNOWN : highest;
	}
	return always ? lowest : highest;
}

static uint8_t defined_until(const struct kt_column *column, size_t i, int64_t to,
			     const uint8_t *hold, const uint8_t *then)
{
	uint8_t best = KT_TRUTH_FALSE;
	uint8_t held = KT_TRUTH_TRUE;

	for (size_t j = i; j < column->n; j++) {
		uint8_t here = then[j] < held ? then[j] : held;

		if (column->slots[j].elapsed_ns - column->slots[i].elapsed_ns > to)
			break;
		best = here > best ? here : best;
		held = hold[j] < held ? hold[j] : held;
	}
	if (is_beyond(column, i, to)) {
		held = held > KT_TRUTH_UNKNOWN ? KT_TRUTH_UNKNOWN : held;
		best = held > best ? held : best;
	}
	return best;
}

Test(truth, windows_are_what_they_are_defined_to_be)
{
	struct kt_column_slot slots[SLOTS_MAX];
	size_t n_vectors = 3 * 3 * 3 * 3 * 3;

	for (size_t l = 0; l < sizeof(layouts) / sizeof(layouts[0]); l++) {
		set_times(slots, layouts[l]);
		for (size_t w = 0; w < sizeof(windows) / sizeof(windows[0]); w++) {
			for (size_t which = 0; which < n_vectors * SLOTS_MAX; which++) {
				struct kt_column column = { slots, 1 + which / n_vectors };
				uint8_t asked[SLOTS_MAX];
				uint8_t some[SLOTS_MAX];
				uint8_t all[SLOTS_MAX];

				vector(which, SLOTS_MAX, asked);
				memcpy(some, asked, sizeof(asked));
				memcpy(all, asked, sizeof(asked));
				kt_truth_eventually(&column, windows[w].from, windows[w].to, some);
				kt_truth_always(&column, windows[w].from, windows[w].to, all);
				for (size_t i = 0; i < column.n; i++) {
					cr_assert_eq(some[i],
						     defined(&column, i, windows[w].from,
							     windows[w].to, asked, false),
						     "eventually: layout %zu window %zu vector %zu "
						     "slot %zu",
						     l, w, which, i);
					cr_assert_eq(all[i],
						     defined(&column, i, windows[w].from,
							     windows[w].to, asked, true),
						     "always: layout %zu window %zu vector %zu "
						     "slot %zu",
						     l, w, which, i);
				}
			}
		}
	}
}

Test(truth, until_is_what_it_is_defined_to_be)
{
	static const int64_t tos[] = { 0, 10, 15, 40, 41, KT_TRUTH_TO_THE_END };
	struct kt_column_slot slots[SLOTS_MAX];

	for (size_t l = 0; l < sizeof(layouts) / sizeof(layouts[0]); l++) {
		set_times(slots, layouts[l]);
		for (size_t w = 0; w < sizeof(tos) / sizeof(tos[0]); w++) {
			for (size_t which = 0; which < 81 * 81; which++) {
				struct kt_column column = { slots, 4 };
				uint8_t hold[4];
				uint8_t then[4];
				uint8_t until[4];

				vector(vector(which, 4, hold), 4, then);
				memcpy(until, hold, sizeof(hold));
				kt_truth_until(&column, tos[w], until, then);
				for (size_t i = 0; i < column.n; i++)
					cr_assert_eq(until[i],
						     defined_until(&column, i, tos[w], hold, then),
						     "layout %zu to %zu vector %zu slot %zu", l, w,
						     which, i);
			}
		}
	}
}

Test(truth, and_is_the_lowest_or_is_the_highest)
{
	for (uint8_t a = 0; a < 3; a++) {
		for (uint8_t b = 0; b < 3; b++) {
			uint8_t both = a;
			uint8_t either = a;

			kt_truth_and(&both, &b, 1);
			kt_truth_or(&either, &b, 1);
			cr_assert_eq(both, a < b ? a : b);
			cr_assert_eq(either, a > b ? a : b);
		}
	}
}

Test(truth, time_that_runs_backwards_is_found)
{
	KT_AUTO_ARENA arena = { 0 };
	static const struct {
		const char *column;
		size_t at;
	} rows[] = {
		{ "", 0 },
		{ "1@5", 1 },
		{ "1@5 1@5 1@6", 3 },
		{ "1@5 1@4", 1 },
		{ "1@5 1@6 1@3 1@9", 2 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct kt_column column = fixture_column(&arena, rows[i].column);

		cr_assert_eq(kt_truth_in_order(&column), rows[i].at, "[%s]", rows[i].column);
	}
}
