/* pattern_read.h - from a tree of values to a pattern with its arguments, and whether they fit.
 *
 * Conditions nest: `eventually = { within_ms = 500, always = { at_most = 5, to_ms = 100 } }`. How deep is
 * limited by KT_PATTERN_DEPTH_MAX, so that reading and checking may call themselves.
 */
#ifndef KT_PATTERN_READ_H
#define KT_PATTERN_READ_H

#include "assertions/pattern.h"
#include "assertions/place.h"

struct kt_pattern_reader {
	struct kt_arena *arena; /* of everything read */
	struct kt_place *place; /* begins where the pattern's value is */
	const struct kt_param
		*beside; /* what stands beside a pattern and is looked for in it: hints */
	size_t n_beside;
};

/* A map of parameters, or `true` for none. -EINVAL with fault INPUT: what it says, place where. */
int kt_pattern_read(const struct kt_pattern *pattern, const struct kt_value *value,
		    const struct kt_pattern_reader *reader, struct kt_pattern_use *use,
		    struct kt_err *err);

#endif
