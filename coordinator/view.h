/* view.h - what a person sees while a sweep runs.
 *
 * A reading of facts and phases, like every report. On a terminal the running cells stand in a block at
 * the bottom that is painted anew; elsewhere every verdict is a plain line, in a small sweep every phase
 * too, and when nothing changed for two seconds a line says what is waited for.
 */
#ifndef KT_VIEW_H
#define KT_VIEW_H

#include "coordinator/core/facts.h"
#include "coordinator/core/matrix/matrix.h"
#include "coordinator/core/sweep.h"

#include <stdio.h>

enum kt_view_mode {
	KT_VIEW_QUIET,
	KT_VIEW_PLAIN,
	KT_VIEW_LIVE,
};

struct kt_view;

/* LIVE when out is a terminal that can be painted, else PLAIN. */
enum kt_view_mode kt_view_mode_of(FILE *out);
bool kt_view_has_color(FILE *out); /* a terminal, and NO_COLOR is not set */

/* Borrows all three. matrix and sweep may be NULL as long as only kt_view_say is called. */
struct kt_view *kt_view_new(FILE *out, enum kt_view_mode mode, const struct kt_matrix *matrix,
			    const struct kt_sweep *sweep);
void kt_view_destroy(struct kt_view **view_p); /* takes the block off the screen */
void kt_view_attach(struct kt_view *view, const struct kt_matrix *matrix,
		    const struct kt_sweep *sweep);

__attribute__((format(printf, 2, 3))) void kt_view_say(struct kt_view *view, const char *format,
						       ...);
/* Something that will take a while, e.g. "fetch: 3 of 14 MB": replaces the one before it. */
void kt_view_wait(struct kt_view *view, int64_t now_ns, const char *line);
void kt_view_fact(struct kt_view *view, int64_t now_ns, uint32_t tag, const void *fact);
void kt_view_phase(struct kt_view *view, int64_t now_ns, uint64_t cell,
		   const struct kt_msg_phase *phase);
void kt_view_tick(struct kt_view *view, int64_t now_ns);

/* One finished cell as one line, and what explains it below: also what report prints. */
struct kt_view_cell {
	const char *name;
	const char *outcome; /* pass, fail, inconclusive, skip, error, cancelled */
	const struct kt_msg_result *result; /* NULL: there is none */
	const struct kt_msg_verdict *verdict; /* NULL: there is none */
	const char *cause; /* for error */
	const char *line; /* for error and cancelled */
	uint64_t attempts;
	uint64_t target; /* samples asked for */
	const char *was; /* its outcome before it was judged again; NULL: it was not */
};
void kt_view_print_cell(FILE *out, bool color, const struct kt_view_cell *cell);

/* All repeats of a cell together, likewise. name: of any of them. */
void kt_view_print_group(FILE *out, bool color, const char *name, uint64_t repeats,
			 const struct kt_msg_verdict *verdict);

#endif
