/* endings.h - how attempts, cells and the sweep end.
 *
 * An attempt that failed sends its cell back, or ends it when its tries are used up. What ended is
 * judged, repeats are judged together once all of them have their end, and then the sweep is closed.
 */
#ifndef KT_ENDINGS_H
#define KT_ENDINGS_H

#include "coordinator/core/desk.h"

/* The attempt of this epoch, which is the cell's, gave no result; its lease is dropped. Copies cause and
 * line; result (NULL: none came) is borrowed as facts are. charged: it counts, against the cell and its host.
 */
void kt_endings_fail(struct kt_dispatch *d, struct kt_out *out, uint64_t cell, uint64_t epoch,
		     const char *cause, const char *line, bool charged,
		     const struct kt_msg_result *result);
/* A result that can be judged came from the host. */
void kt_endings_praise(struct kt_dispatch *d, struct kt_out *out, struct kt_host *host,
		       bool is_canary);
/* A pending cell whose tries are used up, or that is poison, is errored: true. cause and line are of its last attempt,
 * and outlive out.
 */
bool kt_endings_give_up(struct kt_dispatch *d, struct kt_out *out, uint64_t cell, const char *cause,
			const char *line);
/* What is not charged has an end as well: nobody may take and give back one cell for ever. */
bool kt_endings_is_worn(const struct kt_dispatch *d, uint64_t cell);
/* The result without its long texts and lists: a fact says more than the frame that it came in, and is
 * read back through the limits of one frame.
 */
struct kt_msg_result *kt_endings_cut(struct kt_out *out, const struct kt_msg_result *result);

void kt_endings_ask(struct kt_out *out, uint64_t cell, uint64_t epoch); /* for a verdict */
/* For the verdict over this cell's repeats, once the last of them has its end. */
void kt_endings_ask_for_group(struct kt_dispatch *d, struct kt_out *out, uint64_t cell);
void kt_endings_judged(struct kt_dispatch *d, const struct kt_input *in, struct kt_out *out);
void kt_endings_grouped(struct kt_dispatch *d, const struct kt_input *in, struct kt_out *out);
void kt_endings_damaged(struct kt_dispatch *d, const struct kt_input *in, struct kt_out *out);

void kt_endings_close(struct kt_dispatch *d, struct kt_out *out); /* when every cell has its end */

#endif
