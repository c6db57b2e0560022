/* metric.h - a number out of what a program printed, and what it must be.
 *
 *	{ name = "rate", json = "stressors[0].bogo_ops_rate", min = 100.0 }
 *	{ name = "ops", pattern = "total: ([0-9.]+) ops", range = [1, 1e9], exists = true }
 *
 * json: the place of a leaf in the JSON that the program printed to standard output: members with '.' between,
 * "[2]" or ".2" for an item of a list. A member's own name may have dots in it ("percentile.99.0").
 *
 * pattern: a POSIX extended regular expression. The first match counts, in standard output or, when nothing
 * matches there, in the end of standard error; its first group is the number, or all of it when it has none.
 * '^', '$' and '.' know lines. A pattern with a newline in it goes across lines, and is given the last
 * KT_METRIC_ACROSS_BYTES_MAX bytes. Lines of more than KT_METRIC_LINE_BYTES_MAX bytes are not looked at: what
 * is kept of them may be cut anywhere.
 *
 * Numbers are decimal; "nan" and "inf" are numbers, of which the first is comparable with nothing.
 * Pure: the text is a stranger's and bounded (KT_PAYLOAD_OUT_BYTES_MAX); the patterns are the matrix's.
 */
#ifndef KT_METRIC_H
#define KT_METRIC_H

#include "assertions/number.h"
#include "proto/base/arena.h"
#include "proto/schema.h"

#define KT_METRIC_PATTERN_BYTES_MAX 256
#define KT_METRIC_COST_MAX          2000 /* characters of one pattern, as often as they are repeated */
#define KT_METRIC_LINE_BYTES_MAX    8192
#define KT_METRIC_ACROSS_BYTES_MAX  (16u << 10)

struct kt_metric {
	const char *name;
	const char *json; /* one of the two; the other is NULL */
	const char *pattern;
	bool has_min;
	bool has_max;
	bool has_exists;
	bool exists; /* it must be there, or must not */
	bool is_range; /* both bounds came as one */
	struct kt_number min;
	struct kt_number max;
};

/* -EINVAL with fault INPUT and what would be right. */
int kt_metric_check_json(const char *path, struct kt_err *err);
int kt_metric_check_pattern(const char *pattern, struct kt_err *err);

/* What a program printed. */
struct kt_metric_output {
	struct kt_bin out;
	uint64_t out_bytes; /* how much there was; more than out.len: it was cut */
	struct kt_bin errors;
	const struct kt_value *tree; /* out as JSON; NULL: it is none */
	const char *no_tree; /* why, in words */
};

struct kt_metric_value {
	bool is_there;
	struct kt_number number;
	const char *why; /* not there: in words */
};

/* What lives longer than the call lives in the arena (without a limit). */
void kt_metric_read(const struct kt_metric *metric, const struct kt_metric_output *output,
		    struct kt_arena *arena, struct kt_metric_value *value);

#endif
