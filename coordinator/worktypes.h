/* worktypes.h - what `ktcoord work [NAME]` shows: what workers can do, from the table that the language and the
 * guest read (proto/work.def).
 */
#ifndef KT_WORKTYPES_H
#define KT_WORKTYPES_H

#include "proto/base/buf.h"
#include "proto/base/err.h"
#include "proto/work.h"

#include <stdio.h>

/* name: of one type, with its parameters; NULL: all of them, a line each (JSON: all of everything). -EINVAL
 * with fault INPUT when there is none of that name, -EIO when out cannot be written.
 */
int kt_worktypes_print(const char *name, bool json, FILE *out, struct kt_err *err);

/* As a matrix writes it: "5ms", 64K, 8; whoever needs it in quotes adds them. */
void kt_worktypes_print_value(enum kt_work_unit unit, int64_t value, struct kt_buf *out);
/* Its workers in a matrix: { workers = 2, work = "pipe", params = { bytes = 8, run = "10us" } }. */
void kt_worktypes_print_example(const struct kt_work *work, struct kt_buf *out);
/* "alone", "2 together", "1 + fan_out together". */
void kt_worktypes_print_size(const struct kt_work *work, struct kt_buf *out);

#endif
