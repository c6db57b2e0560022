/* formula.h - the column that an assertion judges: one projection, or columns made of others.
 *
 *	"bpf:nr_dispatched"                                  as it is read (projection.h)
 *	{ of = "bpf:run_ns", unit = "ns" }                   the same, with its unit
 *	{ difference = ["bpf:nr_queued", "bpf:nr_done"] }    the first minus the second
 *	{ sum = ["bpf:a", "bpf:b", "bpf:c"] }
 *	{ ratio = ["bpf:a", "bpf:b"] }                       the first divided by the second
 *	{ rate = "bpf:nr_dispatched" }                       how much it grew, per second
 *
 * Operands are series of any of these forms, at most KT_FORMULA_DEPTH_MAX deep. Values of one sample are
 * combined; integers exactly (a result that needs more than 64 bits is the error Overflow), a quotient is
 * a double. A slot without a value leaves the result without one, for the same reason. A divisor of zero
 * is the error ZeroDivisor: what could not be measured, no failure of what is measured.
 *
 * A rate belongs to a sample and the one before it: the first sample, and the first after a restart of the
 * scheduler, have no slot in its column; samples at one time are the error NoTime.
 *
 * Units are carried along: a sum or difference wants equal ones, ns divided by tasks is ns/tasks, what is
 * divided by its own unit has none, a rate is per second. A unit that is not known is left out.
 */
#ifndef KT_FORMULA_H
#define KT_FORMULA_H

#include "assertions/column.h"
#include "assertions/place.h"
#include "assertions/projection.h"

#define KT_FORMULA_DEPTH_MAX      3
#define KT_FORMULA_OPERANDS_MAX   8 /* of one sum */
#define KT_FORMULA_UNIT_BYTES_MAX 64

enum kt_formula_operation {
	KT_FORMULA_OF, /* a projection */
	KT_FORMULA_DIFFERENCE,
	KT_FORMULA_SUM,
	KT_FORMULA_RATIO,
	KT_FORMULA_RATE,
	KT_FORMULA_OPERATION_N
};

struct kt_formula {
	enum kt_formula_operation operation;
	const char *text; /* "bpf:a - bpf:b", as messages name it */
	const char *unit; /* "tasks/s"; empty when it has none or it is not known */
	struct kt_projection projection; /* of OF */
	struct kt_formula *operands; /* of the others */
	size_t n_operands;
};

/* name, one sentence: for listings */
const char *kt_formula_operation_name(enum kt_formula_operation operation);
const char *kt_formula_operation_sentence(enum kt_formula_operation operation);

/* Everything is copied into the arena. -EINVAL with fault INPUT and what would be right; place, which
 * begins at the value, then says where.
 */
int kt_formula_read(const struct kt_value *value, struct kt_arena *arena, struct kt_place *place,
		    struct kt_formula *formula, struct kt_err *err);

/* The column of a series. Never fails: what cannot be read or reckoned is a slot with a typed error. The
 * column and its errors live in the arena (without a limit), tags are borrowed from the series. `want` is
 * how values are read when it is a projection alone; arithmetic takes any number.
 */
void kt_formula_column(const struct kt_formula *formula, const struct kt_series *series,
		       enum kt_number_want want, struct kt_arena *arena, struct kt_column *column);

#endif
