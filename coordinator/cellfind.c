#include "coordinator/cellfind.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

int kt_cellfind(const struct kt_matrix *matrix, const char *given, uint64_t parts_max,
		uint64_t *cell, struct kt_err *err)
{
	uint64_t n = kt_matrix_n_cells(matrix);
	char name[KT_CELL_NAME_BYTES_MAX];
	uint64_t hits = 0;

	if (!given) {
		*cell = 0;
		return n == 1 ? 0
			      : kt_err_set(err, KT_FAULT_INPUT, EINVAL,
					   "which of its %" PRIu64
					   " cells? `ktcoord report` lists them",
					   n);
	}
	if (kt_matrix_find_cell(matrix, given, cell))
		return 0;
	for (uint64_t i = 0; n <= parts_max && i < n && hits < 2; i++) {
		if (!strstr(kt_matrix_cell_name(matrix, i, name), given))
			continue;
		*cell = i;
		hits++;
	}
	if (hits == 1)
		return 0;
	return kt_err_set(
		err, KT_FAULT_INPUT, ENOENT,
		hits ? "more than one cell has '%s' in its name; `ktcoord report` lists them"
		     : "no cell '%s' in the sweep; `ktcoord report` lists them",
		given);
}
