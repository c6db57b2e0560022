#include "worker/core/boundary.h"
#include "proto/base/must.h"

static int64_t window_ns(int64_t avail_ns)
{
	return avail_ns - 2 * (avail_ns / 10);
}

size_t kt_boundary_count(int64_t start_ns, int64_t end_ns, size_t n)
{
	kt_must(start_ns >= 0);
	if (n == 0 || end_ns <= start_ns)
		return 0;
	return (uint64_t)window_ns(end_ns - start_ns) < n + 1 ? 0 : n;
}

int64_t kt_boundary_at_ns(int64_t start_ns, int64_t end_ns, size_t n, size_t i)
{
	int64_t avail_ns = end_ns - start_ns;

	kt_must(i < kt_boundary_count(start_ns, end_ns, n));
	return start_ns + avail_ns / 10 +
	       (int64_t)((__int128)window_ns(avail_ns) * (__int128)(i + 1) / (__int128)(n + 1));
}
