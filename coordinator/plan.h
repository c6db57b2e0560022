/* plan.h - what `ktcoord plan MATRIX` shows: which cells, how long, what is left out and why; with a budget which
 * of the cells it takes.
 *
 * Nothing starts, nothing is fetched. Times are estimates: the scenarios' own length plus what a boot
 * takes on the given accelerator; they say so.
 */
#ifndef KT_PLAN_H
#define KT_PLAN_H

#include "coordinator/spend.h"

#include <stdio.h>

struct kt_plan_options {
	bool json; /* one object, every cell in it, written as it goes */
	bool all; /* text: every cell; else the first KT_PLAN_CELLS and "... and n more" */
	bool steps; /* text: what happens in each scenario; in JSON it always is */
	bool asserts; /* what will be judged: text by scenario and scheduler, JSON in every cell */
	uint64_t slots; /* guests at the same time, for the estimate; 0 means 1 */
	const struct kt_spend *spend; /* --budget; NULL: every cell is run */
	const char *accel; /* "kvm", "tcg", or NULL when not known: TCG's times are used */
};

#define KT_PLAN_CELLS 50

/* 0, or -EIO when out could not be written. */
int kt_plan_print(const struct kt_matrix *matrix, const struct kt_plan_options *options, FILE *out,
		  struct kt_err *err);

#endif
