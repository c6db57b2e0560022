#include "worker/guest/gtime.h"
#include "proto/base/limits.h"

#include <time.h>

int64_t kt_gtime_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * KT_NS_PER_S + now.tv_nsec;
}
