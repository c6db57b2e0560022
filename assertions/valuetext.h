/* valuetext.h - values as they stand in a matrix, out of a text: for programs that have no matrix.
 *
 *	series = "bpf:nr_dispatched"
 *	nondecreasing = true, must_progress = true     # a comma or a new line between two
 *	each = { at_most = 1_000, at_least = 0.5 }
 *	steps = [0, 2]
 *
 * The part of TOML that an assertion needs: bare keys, "texts" with \" \\ \n \t, 'texts' as they are, whole
 * numbers and decimals (also inf and nan), true, false, lists, inline tables, comments. Inside of brackets a
 * new line is a blank. The same text in a matrix and here gives the same values.
 */
#ifndef KT_VALUETEXT_H
#define KT_VALUETEXT_H

#include "proto/base/arena.h"
#include "proto/base/err.h"
#include "proto/value.h"

#define KT_VALUETEXT_BYTES_MAX (64u << 10)
#define KT_VALUETEXT_DEPTH_MAX 16 /* brackets in brackets */
#define KT_VALUETEXT_ITEMS_MAX 4096 /* of one list or table */

/* Keys and values as a map in the arena (without a limit). -EINVAL with fault INPUT, "line:column: words"; a key
 * may be there once.
 */
int kt_valuetext_table(const char *text, struct kt_arena *arena, struct kt_value *table,
		       struct kt_err *err);
/* One value, and nothing behind it. */
int kt_valuetext_value(const char *text, struct kt_arena *arena, struct kt_value *value,
		       struct kt_err *err);

#endif
