/* pattern.h - the one table of temporal patterns (semantics.md section 4).
 *
 * A pattern is one row and one function. The function sees a column and the parameters and says what
 * it found into a verdict; that enough of the column carries values is judged before (judge.h), so
 * that no pattern can pass for lack of data without anybody noticing.
 *
 * No function is worse than linear in the slots; each says at most KT_PATTERN_SAID_MAX failures and
 * then one note with how many more there were.
 */
#ifndef KT_PATTERN_H
#define KT_PATTERN_H

#include "assertions/column.h"
#include "assertions/param.h"
#include "assertions/place.h"
#include "assertions/verdict.h"

#include <stdbool.h>
#include <stddef.h>

#define KT_PATTERN_PARAMS_MAX   16
#define KT_PATTERN_SAID_MAX     64
#define KT_PATTERN_DEPTH_MAX    4 /* conditions in conditions */
#define KT_PATTERN_BRANCHES_MAX 8 /* of any_of in a condition */
#define KT_PATTERN_NODES_MAX    64 /* conditions in one pattern, all levels together */

struct kt_pattern;
struct kt_pattern_talk; /* a pattern while it judges (pattern_talk.h) */

/* A pattern with its parameters, as used in one assertion. */
struct kt_pattern_use {
	const struct kt_pattern *pattern;
	struct kt_param_arg args[KT_PATTERN_PARAMS_MAX]; /* in the order of pattern->params */
};

/* What a slot did to the outcome: for showing a column. */
enum kt_pattern_mark { KT_PATTERN_MARK_NONE, KT_PATTERN_MARK_UNSURE, KT_PATTERN_MARK_FAIL };

struct kt_pattern_input {
	const struct kt_column *column;
	const struct kt_column *other; /* of kt_pattern_other(); NULL when there is none */
	const char *label; /* begins every message */
	const char *assertion; /* detail.assertion of everything said */
	bool bridge; /* a pair is judged across errored slots */
	bool reset; /* nothing is judged across a restart of the scheduler (slot.epoch) */
	uint8_t *marks; /* one for each slot of column, 0 before: raised as slots offend; or NULL */
};

/* Says every Fail, Inconclusive and note there is; a Pass is said for it when it said only notes. */
typedef void kt_pattern_judge_fn(const struct kt_pattern_use *use, struct kt_pattern_talk *talk);

struct kt_pattern {
	const char *name;
	const char *sentence;
	const char *example; /* as it stands in a matrix */
	enum kt_number_want want; /* what the column is read as */
	bool any_of_params; /* at least one parameter must be given */
	const struct kt_param *params;
	size_t n_params;
	/* Whether the parameters fit together: -EINVAL with fault INPUT, *param the one at fault.
	 * NULL: they always do.
	 */
	int (*check)(const struct kt_pattern_use *use, const char **param, struct kt_err *err);
	kt_pattern_judge_fn *judge;
};

const struct kt_pattern *kt_pattern_table(size_t *n);
const struct kt_pattern *kt_pattern_by_name(const char *name); /* NULL when there is none */

/* The second series that this use of a pattern wants a column of; NULL when it wants none. */
const struct kt_formula *kt_pattern_other(const struct kt_pattern_use *use);

/* "nondecreasing", "each at_least 1, at_most 10", "eventually within_ms 900, always (lt 5)": pattern with
 * parameters, as in every message.
 */
void kt_pattern_print(const struct kt_pattern_use *use, struct kt_buf *out);

/* Everything required is there and fits together, at every level; -EINVAL with fault INPUT. place (may
 * be NULL) is entered down to the parameter at fault.
 */
int kt_pattern_check(const struct kt_pattern_use *use, struct kt_place *place, struct kt_err *err);

/* Wrong parameters are one Fail; else the pattern's own function. */
void kt_pattern_judge(const struct kt_pattern_use *use, const struct kt_pattern_input *input,
		      struct kt_verdict *verdict);

#endif
