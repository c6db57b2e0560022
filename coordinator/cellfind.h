/* cellfind.h - a cell as a user names it: by its name, or by any part of it that no other cell has. */
#ifndef KT_CELLFIND_H
#define KT_CELLFIND_H

#include "coordinator/core/matrix/matrix.h"

/* given: NULL for the only cell of a matrix that has one. parts_max: of a matrix with more cells the whole name is
 * wanted, for all names have to be looked at. -ENOENT or -EINVAL, fault INPUT.
 */
int kt_cellfind(const struct kt_matrix *matrix, const char *given, uint64_t parts_max,
		uint64_t *cell, struct kt_err *err);

#endif
