/* requires.h - what a scenario or a scheduler needs of a topology: requires = { min_llcs = 2, smt = true }. */
#ifndef KT_REQUIRES_H
#define KT_REQUIRES_H

#include "coordinator/core/matrix/grammar.h"
#include "coordinator/core/matrix/matrix.h"

extern const struct kt_grammar_table kt_requires_table; /* struct kt_matrix_requires */

#define KT_REQUIRES_TEXT_BYTES 40
#define KT_REQUIRES_BOUNDS     7 /* so many there are */

/* The number of the first bound that the topology breaks; -1: it fits. */
int kt_requires_broken(const struct kt_matrix_requires *requires,
		       const struct kt_matrix_topology *topology);

/* "min_llcs = 2": bound number `bound`, as a matrix writes it. Returns text. */
char *kt_requires_print(const struct kt_matrix_requires *requires, int bound,
			char text[KT_REQUIRES_TEXT_BYTES]);

bool kt_requires_equal(const struct kt_matrix_requires *a, const struct kt_matrix_requires *b);

#endif
