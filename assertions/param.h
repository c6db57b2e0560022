/* param.h - one parameter of a pattern or one option of an assertion, as a row of a table.
 *
 * The matrix parser, the listing of patterns, the man page and the fuzz dictionary are printed from
 * these rows; nothing else knows what an assertion may say.
 */
#ifndef KT_PARAM_H
#define KT_PARAM_H

#include "assertions/number.h"
#include "assertions/formula.h"
#include "assertions/place.h"
#include "assertions/quantifier.h"
#include "proto/base/arena.h"
#include "proto/base/err.h"
#include "proto/value.h"

#include <stdbool.h>
#include <stdint.h>

/* kind, how it is written */
#define KT_PARAM_KINDS(X)                                                       \
	X(FLAG, "true")                                                         \
	X(COUNT, "a whole number")                                              \
	X(COUNTS, "a whole number, or two, [first, last]")                      \
	X(SHARE, "a number from 0 to 1")                                        \
	X(NUMBER, "a number")                                                   \
	X(RANGE, "two numbers, [lowest, highest]")                              \
	X(TEXT, "a text")                                                       \
	X(WORD, "one of a few words")                                           \
	X(SERIES, "a series, \"axis:path\"")                                    \
	X(QUANTIFIER, "\"all\", \"any\", { at_least = n } or { fraction = f }") \
	X(ASSERTIONS, "a list of assertions")                                   \
	X(PATTERN, "a table of its own parameters")                             \
	X(CONDITION, "a table of conditions")                                   \
	X(CONDITIONS, "a list of tables of conditions")

enum kt_param_kind {
#define X(id_, written_) KT_PARAM_##id_,
	KT_PARAM_KINDS(X)
#undef X
		KT_PARAM_KIND_N
};

struct kt_param {
	const char *name;
	enum kt_param_kind kind;
	const char *unit; /* "samples", "ms"; empty when it has the unit of the column */
	uint64_t min; /* of a COUNT or COUNTS, and in bytes of a TEXT */
	uint64_t max;
	bool required;
	const char *fallback; /* what holds when it is not given, for people; empty: nothing */
	const char *sentence;
	const char *const *words; /* of a WORD, up to a NULL */
};

struct kt_pattern_use; /* pattern.h */

/* What was given for it. */
struct kt_param_arg {
	bool given;
	union {
		bool flag;
		uint64_t count;
		uint64_t counts[2]; /* first and last, the same for one */
		double share;
		struct kt_number number;
		struct kt_number range[2];
		const char *text; /* in the arena */
		size_t word; /* index in words */
		const struct kt_formula *series; /* in the arena */
		struct kt_quantifier quantifier;
		struct {
			const struct kt_pattern_use
				*uses; /* of a PATTERN or CONDITION: 1; in the arena */
			size_t n_uses;
		};
	};
};

const char *kt_param_kind_written(enum kt_param_kind kind);

/* All kinds but ASSERTIONS (assertion.h) and PATTERN, CONDITION, CONDITIONS (pattern_read.h), which nest.
 * -EINVAL with fault INPUT, "min_samples must be a whole number, not a string". place, which
 * begins at the value, then says where.
 */
int kt_param_read(const struct kt_param *param, const struct kt_value *value,
		  struct kt_arena *arena, struct kt_param_arg *arg, struct kt_place *place,
		  struct kt_err *err);

/* -EINVAL with fault INPUT and *param the name at fault, when high is below low, when arg is negative,
 * when it is infinite: for the checks of patterns.
 */
int kt_param_refuse_empty(const char *low_name, const struct kt_param_arg *low,
			  const char *high_name, const struct kt_param_arg *high,
			  const char **param, struct kt_err *err);
int kt_param_refuse_negative(const struct kt_param_arg *arg, const char *name, const char **param,
			     struct kt_err *err);
int kt_param_refuse_infinite(const struct kt_param_arg *arg, const char *name, const char **param,
			     struct kt_err *err);

/* "at_most 10", "between 1 and 5"; nothing when it was not given. What nests is printed by
 * kt_pattern_print().
 */
void kt_param_print(const struct kt_param *param, const struct kt_param_arg *arg,
		    struct kt_buf *out);

#endif
