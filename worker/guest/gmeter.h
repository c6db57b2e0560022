/* gmeter.h - what a worker measures of itself while it works, in memory that it shares with PID 1.
 *
 * The loop around a work type calls begin, done after every round that did something, and end; work types
 * call woke when they were woken by something whose time they know. Each costs two clock readings at most.
 */
#ifndef KT_GMETER_H
#define KT_GMETER_H

#include "proto/cpuset.h"

#define KT_GMETER_NODES_MAX 64
/* Of one worker's wake latencies: a uniform sample of all (algorithm R), the whole of them up to here. */
#define KT_GMETER_KEPT_MAX  100000
#define KT_GMETER_NUMA_MAPS "/proc/self/numa_maps"

/* Shared. Written by its worker only; the parent may look at units at any time, at the rest once it ended. */
struct kt_gmeter_sums {
	uint64_t units; /* rounds that did something */
	int64_t begun_ns; /* guest clock */
	int64_t wall_ns;
	int64_t cpu_ns;
	int64_t run_delay_ns; /* /proc/self/schedstat, second number */
	int64_t gap_ns_max; /* longest time between the ends of two such rounds, begin and end included */
	int64_t gap_at_ns; /* when it ended, guest clock */
	uint32_t gap_cpu; /* and where */
	uint32_t cpu; /* where its last round ended */
	uint64_t migrations; /* rounds that ended on another CPU than the one before */
	struct kt_cpuset cpus_used;
	uint64_t wakes; /* all that were measured */
	int64_t wake_ns_max;
	uint32_t pages_on[KT_GMETER_NODES_MAX]; /* of its work memory, by NUMA node, at the end */
};

struct kt_gmeter {
	struct kt_gmeter_sums *sums;
	int64_t *kept; /* the first min(wakes, kept_max) are latencies, ns */
	uint64_t kept_max;
	uint64_t random;
	int64_t last_ns;
	int64_t cpu_before_ns;
	int64_t delay_before_ns;
};

/* sums: zeroed; kept: room for kept_max latencies. Both stay the caller's. */
void kt_gmeter_begin(struct kt_gmeter *meter, struct kt_gmeter_sums *sums, int64_t *kept,
		     uint64_t kept_max, uint64_t seed);
void kt_gmeter_done(struct kt_gmeter *meter, uint64_t units);
void kt_gmeter_woke(struct kt_gmeter *meter, int64_t latency_ns); /* below 0 counts as 0 */
void kt_gmeter_end(struct kt_gmeter *meter);
/* Adds the pages between from and to of a numa_maps file to pages_on. 0, or -errno (no such file: a kernel
 * without NUMA).
 */
int kt_gmeter_pages(const char *path, const void *from, const void *to,
		    uint32_t pages_on[KT_GMETER_NODES_MAX]);

#endif
