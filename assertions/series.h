/* series.h - the samples of one attempt, in order.
 *
 * Bodies are encoded `struct kt_msg_sample` (proto/job.def) as they came off the wire: outside bytes.
 * The series is the same however and in whatever order they arrived: samples stand by ascending seq.
 * Zeroed memory is an empty series; it owns everything its samples point to.
 *
 * An append that is refused leaves the series as it was. Time is proportional to the body (and to
 * the samples behind it when one arrives out of order); memory is at most a small multiple of the
 * encoded bytes, which are limited by KT_SERIES_BYTES_MAX.
 */
#ifndef KT_SERIES_H
#define KT_SERIES_H

#include "proto/base/err.h"
#include "proto/schema.h"

#include <stddef.h>
#include <stdint.h>

struct kt_series_sample; /* a sample with the memory it lives in */

struct kt_series {
	struct kt_series_sample **samples; /* ascending seq */
	size_t n; /* samples, at most KT_SAMPLES_PER_ATTEMPT_MAX */
	size_t cap;
	size_t bytes; /* encoded, of all bodies */
};

#define KT_AUTO_SERIES KT_AUTO(kt_series_destroy) struct kt_series

/* The axes a sample can have; name, one sentence. */
#define KT_SERIES_AXES(X)                                                             \
	X(BPF, "bpf", "the scheduler's BPF maps, read from outside the frozen guest") \
	X(STATS, "stats", "the scheduler's own scx_stats answer")                     \
	X(MONITOR, "monitor", "the kernel's run queues, read from outside")           \
	X(WORKER, "worker", "what the workload processes measured")                   \
	X(GUEST, "guest", "/proc, cgroup and PSI files read inside the guest")        \
	X(HOST, "host", "accelerator, steal and load of the machine that ran the guest")

enum kt_series_axis {
#define X(id_, name_, sentence_) KT_SERIES_AXIS_##id_,
	KT_SERIES_AXES(X)
#undef X
		KT_SERIES_AXIS_N
};

const char *kt_series_axis_name(enum kt_series_axis axis);
const char *kt_series_axis_sentence(enum kt_series_axis axis);
/* Borrowed; KT_SERIES_AXIS_N names. For parsers and suggestions. */
const char *const *kt_series_axis_names(void);

/* Copies what it needs. Errors, all with fault PEER:
 * -EFBIG   the body is larger than KT_SAMPLE_BYTES_MAX, or the series would exceed
 *          KT_SERIES_BYTES_MAX or KT_SAMPLES_PER_ATTEMPT_MAX
 * -EPROTO  not a sample, or the same axis twice in it
 * -EEXIST  there is a sample with this seq already
 */
int kt_series_append(struct kt_series *series, const void *body, size_t len, struct kt_err *err);

/* i < series->n; borrowed until kt_series_destroy. */
const struct kt_msg_sample *kt_series_at(const struct kt_series *series, size_t i);
/* NULL when the sample was taken without this axis. */
const struct kt_msg_axis *kt_series_axis_of(const struct kt_msg_sample *sample,
					    enum kt_series_axis axis);

void kt_series_destroy(struct kt_series *series); /* frees the memory, not the struct */

#endif
