/* fit.h - which cells there are: what scenarios and schedulers require of topologies, and what they choose.
 *
 *	chosen    what a filter names, else everything; a gauntlet's presets too
 *	fits      the topology breaks no bound of the scenario's `requires` nor of the scheduler's, and the
 *	          scenario's `flags` let the profile pass
 *	dropped   chosen, and does not fit: no cell, no number; `plan` tells how many and why
 *
 * A topology that a scenario itself names and itself cannot use is a mistake, not dropped.
 */
#ifndef KT_FIT_H
#define KT_FIT_H

#include "coordinator/core/matrix/grammar.h"
#include "coordinator/core/matrix/matrix.h"

/* Of a matrix whose tables were read without a problem (context: struct kt_reading): fills what filters left open,
 * adds a gauntlet's presets, finds each scheduler's places and numbers the cells. Problems: too many cells, or none.
 */
void kt_fit_expand(struct kt_grammar_reader *reader);

#define KT_FIT_WHY_BYTES 192

/* Cells of one scenario that were dropped for one reason. */
struct kt_fit_drop {
	const char *with; /* the [[scheduler]] whose bound it is; NULL: the scenario's */
	char why[KT_FIT_WHY_BYTES]; /* "requires min_llcs = 2" */
	uint64_t n_cells;
	const char *what; /* "topologies", or "profiles" */
	const char **names; /* of those */
	size_t n_names;
};

/* In the order of the reasons' first occurrence, in the arena. Their cells and the scenario's are what was chosen. */
size_t kt_fit_drops(const struct kt_matrix *matrix, const struct kt_matrix_scenario *scenario,
		    struct kt_arena *arena, struct kt_fit_drop **drops);

#endif
