/* plot.h - a judged column for people: every slot with its value, as a point between the lowest and the
 * highest, and a mark where it offends.
 *
 *	nr_dispatched: nondecreasing, must_progress
 *	  periodic_000      +3000 ms           100  |*                               |
 *	  periodic_001      +5000 ms           250  |                               *|
 *	  periodic_002      +7000 ms           200  |                     *          |  <- fails
 */
#ifndef KT_PLOT_H
#define KT_PLOT_H

#include "assertions/judge.h"

#include <stdio.h>

#define KT_PLOT_COLUMNS 32 /* between the bars */

void kt_plot_print(const struct kt_assertion *leaf, const struct kt_judge_seen *seen, FILE *out);

#endif
