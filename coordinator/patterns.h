/* patterns.h - what `ktcoord patterns [NAME]` shows: everything that may be asserted of a series, printed
 * from the tables that read it (assertions/pattern.h, assertion.h, formula.h).
 */
#ifndef KT_PATTERNS_H
#define KT_PATTERNS_H

#include "proto/base/err.h"

#include <stdbool.h>
#include <stdio.h>

/* name: of one pattern or option, with all its parameters; NULL: all of them, a line each (JSON: all of
 * everything). -EINVAL with fault INPUT when there is none of that name, -EIO when out cannot be written.
 */
int kt_patterns_print(const char *name, bool json, FILE *out, struct kt_err *err);

#endif
