/* checks.h - checks = { ... }: which checks (checks.def) are on, and with which values.
 *
 * A check is off unless something turns it on. A scenario's word counts before its sweep's; what says nothing of a
 * check leaves it as it is further out:
 *
 *	struct kt_checks sweep = { 0 }, scenario = { 0 }, all;
 *	kt_checks_set(&sweep, "not_stuck", &yes, &err)		on, and with it gap and spread
 *	kt_checks_set(&scenario, "gap", &three_seconds, &err)	but gap with another value
 *	kt_checks_set(&scenario, "spread", &no, &err)		and spread not at all
 *	kt_checks_merge(&sweep, &scenario, &all)
 *
 * Judging them is checks_judge.h's. Pure.
 */
#ifndef KT_CHECKS_H
#define KT_CHECKS_H

#include "assertions/verdict.h"
#include "proto/base/err.h"
#include "proto/value.h"

/* The counters of struct scx_event_stats (kernel/sched/ext_internal.h) that count what goes wrong. The others count
 * what a scheduler asked for: keep_last, enq_skip_*, refill_slice_dfl, reenq_immed; or how long a bypass was.
 */
#define KT_CHECKS_EVENTS                                                                           \
	"select_cpu_fallback, dispatch_local_dsq_offline, reenq_local_repeat, bypass_activate or " \
	"insert_not_owned"
/* Of the monitor (semantics.md section 6). */
#define KT_CHECKS_SUSTAINED "looked at from outside every 100 ms: above the limit 5 times in a row"
#define KT_CHECKS_LOOKS     5

enum kt_checks_id {
#define KT_CHECK(name_, written_, limit_, fallback_, max_, unit_, kind_, sentence_) \
	KT_CHECKS_##name_,
#include "assertions/checks.def"
	KT_CHECKS_N
};

enum kt_checks_written { KT_CHECKS_FLAG, KT_CHECKS_SPAN, KT_CHECKS_NUMBER };
enum kt_checks_limit { KT_CHECKS_NONE, KT_CHECKS_AT_MOST, KT_CHECKS_AT_LEAST };

struct kt_checks_row {
	const char *name;
	enum kt_checks_written written;
	enum kt_checks_limit limit;
	double fallback; /* 0: none; ns of a span */
	double max;
	const char *unit;
	enum kt_verdict_kind kind;
	const char *sentence;
};

extern const struct kt_checks_row kt_checks_table[KT_CHECKS_N];

enum kt_checks_state { KT_CHECKS_UNSAID, KT_CHECKS_OFF, KT_CHECKS_ON };

struct kt_checks { /* zeroed: nothing is said */
	struct {
		enum kt_checks_state state;
		double value; /* of one that is on and has a limit; ns of a span */
	} of[KT_CHECKS_N];
};

/* One pair of checks = { ... }. -EINVAL with fault INPUT: an unknown name, or a value that it cannot have. */
int kt_checks_set(struct kt_checks *checks, const char *name, const struct kt_value *value,
		  struct kt_err *err);

/* What of both counts: the inner's word before the outer's; then what not_stuck turns on. */
void kt_checks_merge(const struct kt_checks *outer, const struct kt_checks *inner,
		     struct kt_checks *merged);

size_t kt_checks_n_on(const struct kt_checks *checks);

/* "gap (at most 2000 ms)", "spread (at most 15%)", "not_stuck": what begins each of its details. It is on. */
void kt_checks_print(const struct kt_checks *checks, enum kt_checks_id id, struct kt_buf *out);
/* Nanoseconds, exactly: "2000 ms", "0.25 ms", "5.000001 ms". */
void kt_checks_print_ms(int64_t ns, struct kt_buf *out);
/* The same to a microsecond, but exactly where that would read as the limit and is not: "97.886 ms". */
void kt_checks_print_about_ms(int64_t ns, double limit_ns, struct kt_buf *out);
/* How its value is written: "a time, e.g. \"2s\"; true: 2000 ms". */
void kt_checks_print_written(enum kt_checks_id id, struct kt_buf *out);

#endif
