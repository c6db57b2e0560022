/* bucket.h - so many bytes a second and no more.
 *
 * What was let through keeps the line busy until busy_until_ns; the next may go when that moment has come.
 * A line that was idle may be KT_BUCKET_BURST_NS late, so that a loop that looks only now and then still
 * reaches its rate. Pure: the clock comes from outside, and may stand still but not run backwards.
 */
#ifndef KT_BUCKET_H
#define KT_BUCKET_H

#include "proto/base/err.h"
#include "proto/base/limits.h"

#include <stdbool.h>
#include <stdint.h>

#define KT_BUCKET_BURST_NS (20 * KT_NS_PER_MS)
#define KT_BUCKET_RATE_MIN (16u << 10) /* bytes a second: less would be no service */
#define KT_BUCKET_RATE_MAX (1ull << 50)

struct kt_bucket {
	uint64_t rate; /* bytes a second; 0: no limit */
	int64_t busy_until_ns;
};

/* "100M": a whole number with K, M or G (powers of 1024) or none, in bytes a second, from KT_BUCKET_RATE_MIN
 * to KT_BUCKET_RATE_MAX. -EINVAL, fault INPUT.
 */
int kt_bucket_parse(const char *text, uint64_t *rate, struct kt_err *err);

bool kt_bucket_is_free(const struct kt_bucket *bucket, int64_t now_ns);
/* Lets bytes through, also when it is not free. bytes: at most KT_FILE_BYTES_MAX. */
void kt_bucket_take(struct kt_bucket *bucket, int64_t now_ns, uint64_t bytes);
/* From when on it is free; a moment of the past when it is. */
int64_t kt_bucket_free_at_ns(const struct kt_bucket *bucket);

#endif
