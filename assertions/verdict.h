/* verdict.h - what is said about a cell, and how several sayings become one (semantics.md section 5).
 *
 *	Fail > Inconclusive > Pass > Skip
 *
 * The highest outcome wins; the first detail of that rank is the headline. A set of nothing but Skip
 * is Skip, an empty one is Pass. A note never changes an outcome. Merging is associative and nothing
 * merged in is the same as not merging: a verdict is a list of details in the order they were said,
 * and the outcome is a fold over it.
 *
 * Details live in the verdict's arena (without a limit); texts are cut to what proto/job.def allows.
 */
#ifndef KT_VERDICT_H
#define KT_VERDICT_H

#include "proto/base/arena.h"
#include "proto/schema.h"

#include <stdbool.h>
#include <stddef.h>

#define KT_VERDICT_DETAILS_MAX \
	4096 /* of a finished verdict; its last note says how many more there were */

/* Ascending rank; name as in job.def's detail.outcome. */
#define KT_VERDICT_OUTCOMES(X)          \
	X(NOTE, "note")                 \
	X(SKIP, "skip")                 \
	X(PASS, "pass")                 \
	X(INCONCLUSIVE, "inconclusive") \
	X(FAIL, "fail")

enum kt_verdict_outcome {
#define X(id_, name_) KT_VERDICT_##id_,
	KT_VERDICT_OUTCOMES(X)
#undef X
		KT_VERDICT_OUTCOME_N
};

/* What a detail is about: name as in job.def's detail.kind, one sentence. */
#define KT_VERDICT_KINDS(X)                                                              \
	X(TEMPORAL, "Temporal", "a pattern over the column")                             \
	X(PROJECTION, "Projection", "slots without a value, and why")                    \
	X(COVERAGE, "Coverage", "too few samples, or too few of them carry a value")     \
	X(PROGRESS, "Progress", "the column does not change")                            \
	X(CAUSE, "Cause", "how the attempt ended")                                       \
	X(MEASURED, "Measured", "the values that were judged")                           \
	X(BECAUSE, "Because", "why an assertion that does not hold must hold")           \
	X(GROUP, "Group", "several branches, of which one or all must hold")             \
	X(OVER, "Over", "what is judged over the repeats of a cell")                     \
	X(EXPECT, "Expect", "a failure that was expected")                               \
	X(PAYLOAD, "Payload", "how a program of the user's ended, its metrics")          \
	X(LIMIT, "Limit", "more was to be said than fits")                               \
	X(PLUGIN, "Plugin", "what a verdict plug-in says itself, or what became of it")  \
	X(NO_PROGRESS, "NoProgress", "a worker that did nothing, or did not report")     \
	X(STUCK, "Stuck", "a worker that stood still for long")                          \
	X(UNFAIR, "Unfair", "workers of a group whose shares of CPU time are far apart") \
	X(ISOLATION, "Isolation", "a worker outside of its cpuset")                      \
	X(BENCHMARK, "Benchmark", "throughput and latencies of workers")                 \
	X(MIGRATION, "Migration", "how often workers change their CPU")                  \
	X(PAGE_LOCALITY, "PageLocality", "where the workers' memory is")                 \
	X(CROSS_NODE, "CrossNodeMigration", "memory that was moved between nodes")       \
	X(EVENT, "SchedulerEvent", "what sched_ext counted")                             \
	X(MONITOR, "Monitor", "run queues, looked at from outside")

enum kt_verdict_kind {
#define X(id_, name_, sentence_) KT_VERDICT_KIND_##id_,
	KT_VERDICT_KINDS(X)
#undef X
		KT_VERDICT_KIND_N
};

struct kt_verdict_detail {
	struct kt_verdict_detail *next;
	enum kt_verdict_outcome outcome;
	enum kt_verdict_kind kind;
	const char *assertion; /* name or label; empty when it belongs to none */
	const char *text; /* one line, at most KT_TEXT_BYTES_MAX */
};

struct kt_verdict {
	struct kt_arena *arena;
	struct kt_verdict_detail *first; /* in the order said */
	struct kt_verdict_detail *last;
	size_t n; /* details */
	enum kt_verdict_outcome outcome; /* NOTE as long as nothing was said */
};

const char *kt_verdict_outcome_name(enum kt_verdict_outcome outcome);
/* KT_VERDICT_OUTCOME_N when there is none of this name. */
enum kt_verdict_outcome kt_verdict_outcome_by_name(const char *name);
const char *kt_verdict_kind_name(enum kt_verdict_kind kind);

/* An empty verdict whose details will live in the arena. */
void kt_verdict_init(struct kt_verdict *verdict, struct kt_arena *arena);

__attribute__((format(printf, 5, 6))) void kt_verdict_say(struct kt_verdict *verdict,
							  enum kt_verdict_outcome outcome,
							  enum kt_verdict_kind kind,
							  const char *assertion, const char *format,
							  ...);

/* The outcome so far: Pass when nothing was said. */
enum kt_verdict_outcome kt_verdict_outcome(const struct kt_verdict *verdict);
/* The first detail of the outcome's rank; NULL when nothing was said. */
const struct kt_verdict_detail *kt_verdict_headline(const struct kt_verdict *verdict);

/* Appends what was said in other (copied into verdict's arena). */
void kt_verdict_merge(struct kt_verdict *verdict, const struct kt_verdict *other);
/* As it says in merge, but what other says can no longer change the outcome: all become notes. */
void kt_verdict_merge_notes(struct kt_verdict *verdict, const struct kt_verdict *other);
/* any_of: the first passing branch alone; else every branch's details as notes and one summary,
 * Fail if a branch failed or there is none, else Inconclusive, else Skip.
 */
void kt_verdict_merge_any(struct kt_verdict *verdict, const struct kt_verdict *branches, size_t n,
			  const char *assertion);

/* Details by falling rank, each rank in the order said; all in the verdict's arena. */
void kt_verdict_finish(const struct kt_verdict *verdict, struct kt_msg_verdict *msg);

#endif
