/* budget.h - of all cells of a matrix those that tell most in a given time. Pure.
 *
 * A cell is worth the features that it covers. Each has a weight, which halves whenever a cell with the feature is
 * taken, so that what was not seen yet counts most and nothing ever counts for nothing:
 *
 *	weight  feature
 *	    16  the scenario; the kernel; the scheduler, whatever its flags
 *	     8  the scenario with this profile; with this class of topology
 *	     8  each flag that the scheduler is given
 *	     8  each trait of the topology: several nodes, several LLCs, two threads per core, an odd number of LLCs,
 *	        nodes that are not alike
 *	     4  the scheduler with the kernel; with the class of topology
 *	     1  the cell itself: its repeats
 *
 * A class is the set of traits and the number of CPUs, by powers of two. Again and again the cell with the most worth
 * per second is taken, of equals the first one, until nothing fits any more: greedy, which is never far from the best
 * for worth of this kind, and the same every time. A second is one of a slot: the time of all cells together is at most
 * budget * slots, and no cell takes longer than the budget. The boot of a template is paid by the first warm cell of a
 * kernel and topology. Repeats of which something is asserted together are taken together.
 */
#ifndef KT_BUDGET_H
#define KT_BUDGET_H

#include "coordinator/core/matrix/matrix.h"

#define KT_BUDGET_CELLS_MAX 1000000ull /* of a matrix that is chosen from */

struct kt_budget_ask {
	const struct kt_matrix *matrix;
	int64_t budget_ns;
	uint64_t slots; /* guests at the same time, at least 1 */
	const char *accel; /* for boots; as of kt_estimate_boot_ns */
	/* How long cell `index` takes in its slot, without the boot of its template; more than 0. */
	int64_t (*cell_ns)(void *arg, uint64_t index);
	void *arg;
};

struct kt_budget {
	bool *taken; /* n_cells of the matrix */
	uint64_t n_taken;
	uint64_t n_cells;
	int64_t taken_ns; /* of those taken, one after the other, with the boots that they need */
	int64_t longest_ns; /* the longest of those taken, with the boot that it pays */
	int64_t all_ns; /* as taken_ns, of all cells */
};

/* Fault INPUT when the matrix has more than KT_BUDGET_CELLS_MAX cells, or not one cell fits. */
int kt_budget_choose(const struct kt_budget_ask *ask, struct kt_budget *budget, struct kt_err *err);
void kt_budget_destroy(struct kt_budget *budget); /* frees what it holds, not the struct */

/* The next run of cells that are not taken, from *at on: [*at, *at + *n). False when there is none. */
bool kt_budget_left_out(const struct kt_budget *budget, uint64_t *at, uint64_t *n);

#endif
