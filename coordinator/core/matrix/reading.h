/* reading.h - what is known of a matrix while it is read: the context of every setter of the language. */
#ifndef KT_READING_H
#define KT_READING_H

#include "coordinator/core/matrix/axis.h"
#include "coordinator/core/matrix/matrix.h"

/* Rows are read from top to bottom, so a setter may rely on the keys above its own: a step's hold on the
 * scenario's duration, a filter on the kernels' names.
 */
struct kt_reading {
	struct kt_matrix *matrix;
	struct kt_axis kernels;
	struct kt_axis schedulers;
	struct kt_axis topologies;
	struct kt_axis payloads; /* no axis of cells, but found by name in the same way */
	struct kt_axis scenarios;
	size_t n_problems; /* before the scenario being read */
	int64_t duration_ns; /* of the scenario being read; 0 when it is not known */
};

#endif
