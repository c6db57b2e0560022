/* spend.h - --budget 20m: which cells that is here, and how a sweep remembers it.
 *
 * Times come from the sweeps that are stored here where they tell any (durations.h), else they are estimates
 * (core/matrix/estimate.h); core/matrix/budget.h chooses. What was not chosen is said in the transaction that opens the sweep, so a
 * resume runs the same cells, and every reading of the sweep knows of the others.
 */
#ifndef KT_SPEND_H
#define KT_SPEND_H

#include "coordinator/core/matrix/budget.h"
#include "coordinator/journal.h"

struct kt_spend {
	const char *text; /* as it was given, "20m"; borrowed */
	int64_t budget_ns;
	uint64_t slots; /* guests at the same time that it counts on */
	struct kt_budget budget;
	uint64_t n_measured; /* of the cells taken: their time is from earlier sweeps */
};

/* slots: 0 means what the embedded worker takes by itself. Fault INPUT when text is no time, or too short for the
 * shortest cell.
 */
int kt_spend_choose(const char *text, uint64_t slots, const char *state_dir, const char *runner,
		    const struct kt_matrix *matrix, struct kt_spend *spend, struct kt_err *err);
void kt_spend_destroy(struct kt_spend *spend); /* frees what it holds, not the struct */

/* About how long it takes: the time of the cells taken over the slots, but never less than the longest of them. */
int64_t kt_spend_wall_ns(const struct kt_spend *spend);

/* Adds what is left out to a sweep that has just been opened, and to its state; the caller commits. */
int kt_spend_record(const struct kt_spend *spend, struct kt_journal *journal,
		    struct kt_sweep *sweep, struct kt_err *err);

#endif
