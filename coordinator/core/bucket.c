#include "coordinator/core/bucket.h"
#include "proto/base/clock.h"
#include "proto/base/must.h"

#include <errno.h>
#include <string.h>

int kt_bucket_parse(const char *text, uint64_t *rate, struct kt_err *err)
{
	static const char units[] = "KMG";
	uint64_t value = 0;
	const char *at = text;
	const char *unit;

	for (; *at >= '0' && *at <= '9' && value <= KT_BUCKET_RATE_MAX; at++)
		value = value * 10 + (uint64_t)(*at - '0');
	unit = *at ? strchr(units, *at) : NULL;
	if (unit && value <= KT_BUCKET_RATE_MAX) {
		value <<= 10 * (unit - units + 1);
		at++;
	}
	if (at == text || *at || value < KT_BUCKET_RATE_MIN || value > KT_BUCKET_RATE_MAX)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "'%.40s' is no bandwidth: expected bytes a second as 100M, 512K "
				  "or 1G, at least 16K",
				  text);
	*rate = value;
	return 0;
}

bool kt_bucket_is_free(const struct kt_bucket *bucket, int64_t now_ns)
{
	return !bucket->rate || now_ns >= bucket->busy_until_ns;
}

void kt_bucket_take(struct kt_bucket *bucket, int64_t now_ns, uint64_t bytes)
{
	int64_t late_ns = now_ns - KT_BUCKET_BURST_NS;

	if (!bucket->rate)
		return;
	kt_must(bytes <= KT_FILE_BYTES_MAX); /* times 1e9 it fits into 64 bits */
	if (bucket->busy_until_ns < late_ns)
		bucket->busy_until_ns = late_ns;
	bucket->busy_until_ns = kt_clock_add_ns(
		bucket->busy_until_ns, (int64_t)(bytes * (uint64_t)KT_NS_PER_S / bucket->rate));
}

int64_t kt_bucket_free_at_ns(const struct kt_bucket *bucket)
{
	return bucket->rate ? bucket->busy_until_ns : INT64_MIN;
}
