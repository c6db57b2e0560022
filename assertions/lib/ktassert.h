/* ktassert.h - temporal assertions over the samples of a scheduler test, for any C program.
 *
 *	struct kt_assert_series *series;
 *	struct kt_assert_verdict *verdict = kt_assert_verdict_new();
 *	struct kt_assert_error error;
 *
 *	if (kt_assert_series_read("cell.series", &series, &error) < 0 ||
 *	    kt_assert_judge(verdict, series,
 *			    "series = 'bpf:nr_dispatched', nondecreasing = true", &error) < 0)
 *		errx(1, "%s", error.text);
 *	puts(kt_assert_outcome_name(kt_assert_verdict_outcome(verdict)));
 *
 * A SERIES is the samples of one attempt at a test cell. A sample has a tag, a moment (workload time since the
 * scenario began, in ns) and on each of its axes ("bpf", "stats", "monitor", "worker", "guest", "host") a tree of
 * values or a typed error. Files of them: docs/series-format.md; `ktcoord show SWEEP CELL --series FILE` writes one.
 * A COLUMN is one number over time, a value or an error in each slot: "bpf:nr_dispatched", "stats:a.b[2]"; a rate,
 * sum, difference or ratio of such: "{ rate = 'bpf:nr_dispatched' }". One slot for each sample, but a rate has none
 * for the first: see kt_assert_column_of().
 * An ASSERTION is a text, word for word what stands below [[scenario.assert]] in a matrix of ktcoord: the same text
 * over the same samples gives the same verdict, whether ktcoord judges or this library does. `ktcoord patterns` prints
 * the language. `each` and always_true fail at a missing value, patterns over pairs (nondecreasing, ...) skip it.
 * A VERDICT is sentences, each with an outcome; its own is the highest of theirs.
 *
 * Rules for all functions
 *	- Handles are opaque and are made and ended here: what a function gives through `**`, or a _new() returns, is
 *	  the caller's until its _destroy(), which accepts NULL and leaves NULL behind. Handles of a series must be
 *	  ended before the series is.
 *	- Texts that are returned belong to the handle and live as long; they are never NULL.
 *	- int: 0, or a negative errno; *error (may be NULL) then says it in one line; every
 *	  call begins with emptying it. -EINVAL: the text or argument is
 *	  wrong; -EPROTO: the file is no series or is damaged; -ENOTSUP: it has a newer version; -EFBIG: a limit.
 *	- Times are ns of workload time, never negative. Integers are compared exactly, never through a double.
 *	- An index beyond the end, or reading a slot as what it is not, is a bug of the caller: it ends the program.
 *	- Nothing is printed, nothing is global: different handles may be used in different threads. Out of memory
 *	  ends the program.
 *
 * The functions keep their meaning as long as the library is libktassert.so.0; later ones are only added.
 */
#ifndef KT_ASSERT_H
#define KT_ASSERT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define KT_ASSERT_API __attribute__((visibility("default")))

struct kt_assert_series;
struct kt_assert_sample; /* one that is being made, for a series of your own */
struct kt_assert_column;
struct kt_assert_verdict;

struct kt_assert_error {
	int code; /* positive errno; 0: nothing is wrong, and text is empty */
	char text[768]; /* one line */
};

/* Ascending rank: the highest wins. */
enum kt_assert_outcome {
	KT_ASSERT_NOTE, /* something to know: never changes a verdict */
	KT_ASSERT_SKIP, /* it does not apply here */
	KT_ASSERT_PASS,
	KT_ASSERT_INCONCLUSIVE, /* it applies, but could not be measured */
	KT_ASSERT_FAIL,
};

KT_ASSERT_API const char *kt_assert_version(void); /* "0.1.0" */
/* "note", "skip", "pass", "inconclusive", "fail" */
KT_ASSERT_API const char *kt_assert_outcome_name(enum kt_assert_outcome outcome);

/* ---- series ---- */

/* From a file; from bytes, which are not needed afterwards. */
KT_ASSERT_API int kt_assert_series_read(const char *path, struct kt_assert_series **series,
					struct kt_assert_error *error);
KT_ASSERT_API int kt_assert_series_parse(const void *bytes, size_t len,
					 struct kt_assert_series **series,
					 struct kt_assert_error *error);
/* An empty one, to be filled with kt_assert_series_add(). */
KT_ASSERT_API struct kt_assert_series *kt_assert_series_new(void);
/* To a file that is there whole or not at all; one of that name is replaced. */
KT_ASSERT_API int kt_assert_series_write(const struct kt_assert_series *series, const char *path,
					 struct kt_assert_error *error);
KT_ASSERT_API void kt_assert_series_destroy(struct kt_assert_series **series_p);

/* Whose it is and how the attempt ended; empty when the file does not say. A cause other than "" and
 * "finished" is a failure of the scheduler, for example "scheduler_stalled"; line says it in words.
 */
KT_ASSERT_API const char *kt_assert_series_cell(const struct kt_assert_series *series);
KT_ASSERT_API const char *kt_assert_series_cause(const struct kt_assert_series *series);
KT_ASSERT_API const char *kt_assert_series_line(const struct kt_assert_series *series);
/* Cut to what a file may hold. */
KT_ASSERT_API void kt_assert_series_set_cell(struct kt_assert_series *series, const char *cell);

/* The samples, in the order in which they were taken. */
KT_ASSERT_API size_t kt_assert_series_size(const struct kt_assert_series *series);
KT_ASSERT_API const char *kt_assert_series_tag(const struct kt_assert_series *series, size_t i);
KT_ASSERT_API int64_t kt_assert_series_elapsed_ns(const struct kt_assert_series *series, size_t i);
KT_ASSERT_API uint32_t kt_assert_series_step(const struct kt_assert_series *series, size_t i);
/* Which life of the scheduler: one more each time it was restarted; its counters begin anew. */
KT_ASSERT_API uint32_t kt_assert_series_epoch(const struct kt_assert_series *series, size_t i);
/* Why nothing could be captured; empty for a real sample. */
KT_ASSERT_API const char *kt_assert_series_placeholder(const struct kt_assert_series *series,
						       size_t i);

/* ---- samples of your own ---- */

/* tag: 1 to 128 bytes. */
KT_ASSERT_API struct kt_assert_sample *kt_assert_sample_new(const char *tag, int64_t elapsed_ns);
KT_ASSERT_API void kt_assert_sample_destroy(struct kt_assert_sample **sample_p);
KT_ASSERT_API void kt_assert_sample_set_step(struct kt_assert_sample *sample, uint32_t step);
KT_ASSERT_API void kt_assert_sample_set_epoch(struct kt_assert_sample *sample, uint32_t epoch);
KT_ASSERT_API void kt_assert_sample_set_placeholder(struct kt_assert_sample *sample,
						    const char *why);
/* A value at "axis:a.b": names with dots, in trees that are made on the way. A later one in the same place wins. On
 * the bpf axis the names are variables of the scheduler. -EINVAL, and the sample is as it was: no such axis; no path
 * of names (there are no lists: "stats:a[1]" can be read but not put); members of a value or a value over members;
 * an axis that kt_assert_sample_fail() was said of.
 */
KT_ASSERT_API int kt_assert_sample_put_u64(struct kt_assert_sample *sample, const char *path,
					   uint64_t value, struct kt_assert_error *error);
KT_ASSERT_API int kt_assert_sample_put_i64(struct kt_assert_sample *sample, const char *path,
					   int64_t value, struct kt_assert_error *error);
KT_ASSERT_API int kt_assert_sample_put_f64(struct kt_assert_sample *sample, const char *path,
					   double value, struct kt_assert_error *error);
KT_ASSERT_API int kt_assert_sample_put_bool(struct kt_assert_sample *sample, const char *path,
					    bool value, struct kt_assert_error *error);
/* The whole axis could not be read: what was put there is dropped. type is one word of at most 64 bytes, without white
 * space ("deadline"), text says it to people.
 */
KT_ASSERT_API int kt_assert_sample_fail(struct kt_assert_sample *sample, const char *axis,
					const char *type, const char *text,
					struct kt_assert_error *error);
/* Takes the sample, behind those that are there; on an error it stays the caller's. */
KT_ASSERT_API int kt_assert_series_add(struct kt_assert_series *series,
				       struct kt_assert_sample **sample_p,
				       struct kt_assert_error *error);

/* ---- columns ---- */

enum kt_assert_kind {
	KT_ASSERT_U64, /* every integer that is not negative */
	KT_ASSERT_I64, /* negative ones */
	KT_ASSERT_F64,
	KT_ASSERT_BOOL,
	KT_ASSERT_MISSING, /* no value: kt_assert_column_missing() says why */
};

/* text is a projection ("bpf:nr_dispatched") or a table of one ("{ rate = 'bpf:n' }"). What cannot be read is a slot
 * that says so, never an error here.
 * Slot i is of sample i of the series, but not beside a rate: that belongs to the later of two samples, so the first
 * sample of each life of the scheduler has no slot in it, nor in a sum, difference or ratio with it. Of n samples of
 * one life n-1 slots are left, of none or one sample none. kt_assert_column_tag() and _elapsed_ns() say which sample
 * a slot is of; go by kt_assert_column_size(), not by the size of the series.
 */
KT_ASSERT_API int kt_assert_column_of(const struct kt_assert_series *series, const char *text,
				      struct kt_assert_column **column,
				      struct kt_assert_error *error);
/* One of your own, empty; label begins what is said of it. unit may be empty. */
KT_ASSERT_API struct kt_assert_column *kt_assert_column_new(const char *label, const char *unit);
KT_ASSERT_API void kt_assert_column_destroy(struct kt_assert_column **column_p);

/* A slot behind those that are there; only of a column of your own. Texts are copied. */
KT_ASSERT_API void kt_assert_column_add_u64(struct kt_assert_column *column, const char *tag,
					    int64_t elapsed_ns, uint64_t value);
KT_ASSERT_API void kt_assert_column_add_i64(struct kt_assert_column *column, const char *tag,
					    int64_t elapsed_ns, int64_t value);
KT_ASSERT_API void kt_assert_column_add_f64(struct kt_assert_column *column, const char *tag,
					    int64_t elapsed_ns, double value);
KT_ASSERT_API void kt_assert_column_add_missing(struct kt_assert_column *column, const char *tag,
						int64_t elapsed_ns, const char *why);

/* How many slots; an index is from 0 to one less, and in a column that may be empty even 0 is beyond the end. */
KT_ASSERT_API size_t kt_assert_column_size(const struct kt_assert_column *column);
KT_ASSERT_API const char *kt_assert_column_label(const struct kt_assert_column *column);
KT_ASSERT_API const char *kt_assert_column_tag(const struct kt_assert_column *column, size_t i);
KT_ASSERT_API int64_t kt_assert_column_elapsed_ns(const struct kt_assert_column *column, size_t i);
KT_ASSERT_API enum kt_assert_kind kt_assert_column_kind(const struct kt_assert_column *column,
							size_t i);
/* Each only of a slot of that kind; f64 of any but MISSING: an integer beyond 2^53 is rounded. */
KT_ASSERT_API uint64_t kt_assert_column_u64(const struct kt_assert_column *column, size_t i);
KT_ASSERT_API int64_t kt_assert_column_i64(const struct kt_assert_column *column, size_t i);
KT_ASSERT_API double kt_assert_column_f64(const struct kt_assert_column *column, size_t i);
KT_ASSERT_API bool kt_assert_column_bool(const struct kt_assert_column *column, size_t i);
KT_ASSERT_API const char *kt_assert_column_missing(const struct kt_assert_column *column, size_t i);

/* ---- verdicts ---- */

KT_ASSERT_API struct kt_assert_verdict *kt_assert_verdict_new(void);
KT_ASSERT_API void kt_assert_verdict_destroy(struct kt_assert_verdict **verdict_p);

/* Judges and adds what is found: the measured values, every failure with its sample and moment, and why. The
 * assertion is a text of keys and values, a comma or a new line between two: `series`, options and patterns as in
 * a matrix (`over` and `off` are a matrix's only). -EINVAL: it does not read; nothing was added.
 */
KT_ASSERT_API int kt_assert_judge(struct kt_assert_verdict *verdict,
				  const struct kt_assert_series *series, const char *assertion,
				  struct kt_assert_error *error);
/* The same of a column: the text is without `series`. Groups, and patterns that want a second series, need a column
 * that came from one.
 */
KT_ASSERT_API int kt_assert_judge_column(struct kt_assert_verdict *verdict,
					 const struct kt_assert_column *column,
					 const char *assertion, struct kt_assert_error *error);
/* Says something of your own; name: what reports call it (ktcoord's begin with it), may be empty. Cut to 4096 bytes; one line. */
KT_ASSERT_API __attribute__((format(printf, 4, 5))) void kt_assert_verdict_say(
	struct kt_assert_verdict *verdict, enum kt_assert_outcome outcome, const char *name,
	const char *format, ...);
/* Adds what the other says; as notes only: its outcomes no longer count. */
KT_ASSERT_API void kt_assert_verdict_merge(struct kt_assert_verdict *verdict,
					   const struct kt_assert_verdict *other);
KT_ASSERT_API void kt_assert_verdict_merge_notes(struct kt_assert_verdict *verdict,
						 const struct kt_assert_verdict *other);

/* The highest of what was said; PASS when nothing was, or nothing but notes. */
KT_ASSERT_API enum kt_assert_outcome kt_assert_verdict_outcome(
	const struct kt_assert_verdict *verdict);
/* The sentences, in the order said. kind: "Temporal", "Coverage", "Measured", ... */
KT_ASSERT_API size_t kt_assert_verdict_size(const struct kt_assert_verdict *verdict);
KT_ASSERT_API enum kt_assert_outcome kt_assert_verdict_outcome_of(
	const struct kt_assert_verdict *verdict, size_t i);
KT_ASSERT_API const char *kt_assert_verdict_kind(const struct kt_assert_verdict *verdict, size_t i);
KT_ASSERT_API const char *kt_assert_verdict_name(const struct kt_assert_verdict *verdict, size_t i);
KT_ASSERT_API const char *kt_assert_verdict_text(const struct kt_assert_verdict *verdict, size_t i);

#ifdef __cplusplus
}
#endif

#endif
