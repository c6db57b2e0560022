#include "assertions/truth.h"
#include "proto/base/clock.h"

/* A byte holds what is asked in its low bits and, while a window moves over it, the answer above them. */
#define ASKED(byte_)     ((byte_)&3u)
#define ANSWERED(truth_) ((uint8_t)((unsigned int)(truth_) << 2))
#define ANSWER(byte_)    ((uint8_t)((byte_) >> 2))

size_t kt_truth_in_order(const struct kt_column *column)
{
	for (size_t i = 1; i < column->n; i++)
		if (column->slots[i].elapsed_ns < column->slots[i - 1].elapsed_ns)
			return i;
	return column->n;
}

void kt_truth_and(uint8_t *truth, const uint8_t *other, size_t n)
{
	for (size_t i = 0; i < n; i++)
		truth[i] = truth[i] < other[i] ? truth[i] : other[i];
}

void kt_truth_or(uint8_t *truth, const uint8_t *other, size_t n)
{
	for (size_t i = 0; i < n; i++)
		truth[i] = truth[i] > other[i] ? truth[i] : other[i];
}

/* Both ends of the window only ever move forward. counts[] is of the slots in [first, end). */
struct window {
	const struct kt_column *column;
	const uint8_t *truth;
	size_t first;
	size_t end;
	size_t counts[3];
};

static void move_window(struct window *window, size_t i, int64_t from_ns, int64_t to_ns)
{
	const struct kt_column *column = window->column;

	while (window->end < column->n && column->slots[window->end].elapsed_ns <= to_ns)
		window->counts[ASKED(window->truth[window->end++])]++;
	/* Slots of the same time that came before this one are not asked about. */
	while (window->first < window->end &&
	       (window->first < i || column->slots[window->first].elapsed_ns < from_ns))
		window->counts[ASKED(window->truth[window->first++])]--;
}

/* One slot that is `decides` decides the window; without one the answer is the other. */
static void slide(const struct kt_column *column, int64_t from_ns, int64_t to_ns,
		  enum kt_truth decides, uint8_t *truth)
{
	struct window window = { .column = column, .truth = truth };
	enum kt_truth otherwise = decides == KT_TRUTH_TRUE ? KT_TRUTH_FALSE : KT_TRUTH_TRUE;

	for (size_t i = 0; i < column->n; i++) {
		int64_t now_ns = column->slots[i].elapsed_ns;
		int64_t last_ns = kt_clock_add_ns(now_ns, to_ns);
		enum kt_truth answer = otherwise;
		bool beyond = to_ns != KT_TRUTH_TO_THE_END &&
			      last_ns > column->slots[column->n - 1].elapsed_ns;

		move_window(&window, i, kt_clock_add_ns(now_ns, from_ns), last_ns);
		if (window.counts[decides])
			answer = decides;
		else if (window.counts[KT_TRUTH_UNKNOWN] || beyond || window.first == window.end)
			answer = KT_TRUTH_UNKNOWN;
		truth[i] |= ANSWERED(answer);
	}
	for (size_t i = 0; i < column->n; i++)
		truth[i] = ANSWER(truth[i]);
}

void kt_truth_eventually(const struct kt_column *column, int64_t from_ns, int64_t to_ns,
			 uint8_t *truth)
{
	slide(column, from_ns, to_ns, KT_TRUTH_TRUE, truth);
}

void kt_truth_always(const struct kt_column *column, int64_t from_ns, int64_t to_ns, uint8_t *truth)
{
	slide(column, from_ns, to_ns, KT_TRUTH_FALSE, truth);
}

/* From the end to the beginning: where the next slot stands that decides. */
void kt_truth_until(const struct kt_column *column, int64_t to_ns, uint8_t *hold,
		    const uint8_t *then)
{
	size_t none = column->n;
	size_t reached = none; /* the next slot where then is true */
	size_t maybe = none; /* where it is not false */
	size_t shaken = none; /* where hold is not true */
	size_t broken = none; /* where it is false */

	for (size_t i = column->n; i-- > 0;) {
		int64_t last_ns = kt_clock_add_ns(column->slots[i].elapsed_ns, to_ns);
		bool beyond = to_ns != KT_TRUTH_TO_THE_END &&
			      last_ns > column->slots[column->n - 1].elapsed_ns;

		if (then[i] == KT_TRUTH_TRUE)
			reached = i;
		if (then[i] != KT_TRUTH_FALSE)
			maybe = i;
		if (hold[i] != KT_TRUTH_TRUE)
			shaken = i;
		if (hold[i] == KT_TRUTH_FALSE)
			broken = i;
		if (reached < none && column->slots[reached].elapsed_ns <= last_ns &&
		    shaken >= reached)
			hold[i] = KT_TRUTH_TRUE;
		else if (maybe < none && column->slots[maybe].elapsed_ns <= last_ns &&
			 broken >= maybe)
			hold[i] = KT_TRUTH_UNKNOWN;
		else
			hold[i] = beyond && broken == none ? KT_TRUTH_UNKNOWN : KT_TRUTH_FALSE;
	}
}
