/* rqlat.h - what the BPF side and the loader of the run queue probe share.
 *
 * Both include it: the BPF side has its own integer types, so only __u64 and friends appear here.
 */
#ifndef RQLAT_H
#define RQLAT_H

#include <linux/types.h>

#define KT_RQLAT_BUCKETS     48 /* bucket i is below 2^i ns; the last one has the rest */
#define KT_RQLAT_CGROUPS_MAX 1024 /* what runs in more goes to the one with id 0 */
#define KT_RQLAT_TASKS       65536 /* by pid; a power of two */

struct kt_rqlat_hist {
	__u64 total; /* waits */
	__u64 sum_ns;
	__u64 buckets[KT_RQLAT_BUCKETS];
};

#endif
