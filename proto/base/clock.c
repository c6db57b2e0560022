#include "proto/base/clock.h"
#include "proto/base/limits.h"
#include "proto/base/must.h"

#include <time.h>

static int64_t read_ns(clockid_t clock)
{
	struct timespec now;
	int err = clock_gettime(clock, &now);

	kt_must(err == 0);
	return (int64_t)now.tv_sec * KT_NS_PER_S + now.tv_nsec;
}

int64_t kt_clock_now_ns(void)
{
	return read_ns(CLOCK_BOOTTIME);
}

int64_t kt_clock_wall_ns(void)
{
	return read_ns(CLOCK_REALTIME);
}

int64_t kt_clock_add_ns(int64_t at_ns, int64_t span_ns)
{
	int64_t sum;

	return __builtin_add_overflow(at_ns, span_ns, &sum) ? INT64_MAX : sum;
}
