/* assertion.h - what a matrix says must hold of one column: a series, patterns, options.
 *
 *	struct kt_assertion assertion;
 *
 *	kt_assertion_init(&assertion, &arena);
 *	for each key and value of the table, in any order:
 *		kt_assertion_set(&assertion, key, &value, &err)
 *	kt_assertion_check(&assertion, &err)
 *
 * Keys are the options below and the names of patterns (pattern.h); the caller needs to know none of
 * them. A pattern without parameters, or with none given, is `true`; parameters are a map:
 * `nondecreasing = true`, `each = { at_most = 10 }`. Values are plain kt_value trees, copied.
 *
 * A group has any_of or all_of, a list of such tables, instead of patterns:
 *
 *	series = "bpf:waiting"
 *	any_of = [{ nondecreasing = true }, { series = "bpf:lost", each = { eq = 0 } }]
 *
 * Options beside it (series, min_samples, min_coverage, bridge, steps, reset) hold for every branch that
 * does not say otherwise.
 *
 * Judging a pattern whose parameters were refused by the check is one Fail.
 */
#ifndef KT_ASSERTION_H
#define KT_ASSERTION_H

#include "assertions/pattern.h"
#include "assertions/place.h"
#include "assertions/formula.h"
#include "proto/base/arena.h"
#include "proto/base/err.h"
#include "proto/value.h"

#include <stdbool.h>
#include <stddef.h>

#define KT_ASSERTION_PATTERNS_MAX 16

/* Options of every assertion: order of the table in assertion.c. */
enum kt_assertion_option {
	KT_ASSERTION_SERIES, /* "bpf:nr_dispatched", or a formula (formula.h) */
	KT_ASSERTION_NAME, /* how reports call it; unique within a scenario */
	KT_ASSERTION_BECAUSE, /* why it must hold, printed with a failure */
	KT_ASSERTION_MIN_SAMPLES, /* slots that carry a value */
	KT_ASSERTION_MIN_COVERAGE, /* share of slots that carry a value; 0.5 */
	KT_ASSERTION_MUST_PROGRESS, /* a column that never changes is a failure */
	KT_ASSERTION_BRIDGE, /* pairs are judged across errored slots */
	KT_ASSERTION_STEPS, /* only samples of these steps are judged */
	KT_ASSERTION_RESET, /* "epoch": a restart of the scheduler begins anew */
	KT_ASSERTION_OVER, /* judged over the repeats of a cell, not in each */
	KT_ASSERTION_ANY_OF, /* one of these assertions must hold */
	KT_ASSERTION_ALL_OF, /* all of these assertions must hold */
	KT_ASSERTION_OFF, /* nothing is judged: it takes the place of one of its name */
	KT_ASSERTION_OPTION_N
};

#define KT_ASSERTION_COVERAGE_DEFAULT  0.5
#define KT_ASSERTION_BECAUSE_BYTES_MAX 512
#define KT_ASSERTION_BRANCHES_MAX      16 /* of one any_of or all_of */
#define KT_ASSERTION_DEPTH_MAX         2 /* groups in groups */

struct kt_assertion {
	struct kt_arena *arena;
	struct kt_param_arg options[KT_ASSERTION_OPTION_N];
	struct kt_pattern_use *patterns; /* in the order set; in the arena */
	size_t n_patterns;
	struct kt_assertion *branches; /* of any_of or all_of; in the arena */
	size_t n_branches;
	unsigned int depth; /* of the groups around it */
	struct kt_place where; /* where the last refusal points, from the table's keys on */
};

/* The table of options; KT_ASSERTION_OPTION_N rows. */
const struct kt_param *kt_assertion_options(void);

void kt_assertion_init(struct kt_assertion *assertion, struct kt_arena *arena);

/* -EINVAL with fault INPUT: an unknown key (with a suggestion and the list), a wrong type, a number out
 * of range, a key given twice, a series that does not read. assertion->where says where.
 */
int kt_assertion_set(struct kt_assertion *assertion, const char *key, const struct kt_value *value,
		     struct kt_err *err);

/* After the last key: a series and something to judge must be there, parameters must fit together. */
int kt_assertion_check(struct kt_assertion *assertion, struct kt_err *err);

static inline bool kt_assertion_is_group(const struct kt_assertion *assertion)
{
	return assertion->options[KT_ASSERTION_ANY_OF].given ||
	       assertion->options[KT_ASSERTION_ALL_OF].given;
}
static inline bool kt_assertion_is_off(const struct kt_assertion *assertion)
{
	return assertion->options[KT_ASSERTION_OFF].given &&
	       assertion->options[KT_ASSERTION_OFF].flag;
}

/* The i-th assertion that judges a column: of a group its branches', at any depth; else itself. NULL when
 * there are no more.
 */
const struct kt_assertion *kt_assertion_leaf(const struct kt_assertion *assertion, size_t i);

/* What the column must be read as: what its patterns want. */
enum kt_number_want kt_assertion_want(const struct kt_assertion *assertion);

/* What is judged; NULL when nothing was given, as in a group. */
const struct kt_formula *kt_assertion_series(const struct kt_assertion *assertion);

/* The name, or else the series as written, of a group "any_of" or "all_of": detail.assertion, and what messages begin with. */
const char *kt_assertion_label(const struct kt_assertion *assertion);

/* "bpf:nr_dispatched: nondecreasing, must_progress, min_samples 2" */
void kt_assertion_print(const struct kt_assertion *assertion, struct kt_buf *out);

#endif
