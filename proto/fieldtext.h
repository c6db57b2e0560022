/* fieldtext.h - a field of a struct, set by its name from text: what scripts and tests write instead of C.
 *
 *	work_units=100 cpu_ns=2.5s missing="killed by signal 9" mean_ns=1500.5 failed=true
 *
 * Names, ranges and lengths are those of the .def files. Times (fields whose name says ns) may carry a unit.
 */
#ifndef KT_FIELDTEXT_H
#define KT_FIELDTEXT_H

#include "proto/codec.h"

/* All fields as they are when nothing is said of them: zeroes, empty texts. */
void kt_fieldtext_init(const struct kt_schema *schema, void *into);

/* Numbers, texts and bytes only. Texts are copied into the arena. -EINVAL with fault INPUT: no such field, or a value
 * that it cannot have.
 */
int kt_fieldtext_set(const struct kt_schema *schema, void *into, const char *name, const char *text,
		     struct kt_arena *arena, struct kt_err *err);

#endif
