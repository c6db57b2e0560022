/* quantifier.h - how many repeats of a cell must hold: `over = "all" | "any" | { at_least = 3 } |
 * { fraction = 0.9 }`.
 *
 * An assertion with `over` is not asked of each repeat by itself but of the group, once all of its
 * repeats have ended. With `of = "hosts"` in the table the hosts are counted that ran them: a host holds
 * when all of its repeats do.
 */
#ifndef KT_QUANTIFIER_H
#define KT_QUANTIFIER_H

#include "assertions/place.h"
#include "assertions/verdict.h"
#include "proto/base/err.h"
#include "proto/value.h"

#include <stdint.h>

enum kt_quantifier_kind {
	KT_QUANTIFIER_ALL,
	KT_QUANTIFIER_ANY,
	KT_QUANTIFIER_AT_LEAST,
	KT_QUANTIFIER_FRACTION,
};

struct kt_quantifier {
	enum kt_quantifier_kind kind;
	uint64_t at_least; /* of AT_LEAST: 1 or more */
	double fraction; /* of FRACTION: more than 0, at most 1 */
	bool of_hosts; /* else of repeats */
};

/* -EINVAL with fault INPUT and what would be right; place, which begins at the value, then says where. */
int kt_quantifier_read(const struct kt_value *value, struct kt_place *place,
		       struct kt_quantifier *quantifier, struct kt_err *err);

/* "all repeats", "at least 3 hosts", "a fraction of 0.9 of the repeats" */
void kt_quantifier_print(const struct kt_quantifier *quantifier, struct kt_buf *out);

/* How many of n must hold; a fraction is rounded up. */
uint64_t kt_quantifier_needed(const struct kt_quantifier *quantifier, uint64_t n);

/* The outcome of n things of which so many hold, so many do not, and the rest is unknown. Skip when there
 * is none.
 */
enum kt_verdict_outcome kt_quantifier_judge(const struct kt_quantifier *quantifier, uint64_t n,
					    uint64_t hold, uint64_t fail);

#endif
