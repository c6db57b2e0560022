/* gwakes.h - the wake latencies of many workers in one: of all of them, and by cgroup.
 *
 * A worker keeps a uniform sample of its wake-ups (gmeter.h). Samples of different density cannot be thrown
 * together: so a pool and what comes to it are both thinned to the same share of their wake-ups, the largest that
 * both have and that fits. While nobody had to leave anything out, nothing is: the pool holds every wake-up.
 */
#ifndef KT_GWAKES_H
#define KT_GWAKES_H

#include "proto/schema.h"

#define KT_GWAKES_KEPT_MAX 100000

struct kt_gwakes_pool {
	const char *cgroup; /* "": of all */
	uint64_t total; /* wake-ups */
	int64_t ns_max; /* of all of them */
	int64_t *kept; /* n of them */
	size_t n;
};

struct kt_gwakes {
	struct kt_gwakes_pool *pools; /* the first is of all */
	size_t n_pools;
	uint64_t random;
};

/* One worker's: n of `total` latencies, which are reordered. cgroup must live as long as wakes do. */
void kt_gwakes_add(struct kt_gwakes *wakes, const char *cgroup, int64_t *kept, size_t n,
		   uint64_t total, int64_t ns_max);
/* In the arena: of all, then by cgroup in the order in which they came; none when nobody measured any. At most
 * KT_CGROUPS_MAX.
 */
size_t kt_gwakes_report(struct kt_gwakes *wakes, struct kt_arena *arena,
			struct kt_msg_wake_report **reports);
void kt_gwakes_reset(struct kt_gwakes *wakes); /* frees everything */

#endif
