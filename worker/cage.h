/* cage.h - limits and the last word over QEMU by cgroup, where the host has one that we may write.
 *
 *	v2       /sys/fs/cgroup or .../unified: memory, pids, cpu when delegated
 *	hybrid   v1 hierarchies of memory, pids and cpu, each by itself
 *	none     said, and the guest runs without
 *
 * One folder `ktcoord-<pid>` below our own cgroup in each hierarchy. It can only be removed when it is
 * empty, so sweeping can never hit a guest that lives.
 */
#ifndef KT_CAGE_H
#define KT_CAGE_H

#include "proto/base/buf.h"
#include "proto/base/err.h"

#include <stdint.h>
#include <sys/types.h>

struct kt_cage;

struct kt_cage_limits {
	uint64_t memory_bytes_max;
	uint64_t pids_max;
	uint64_t cpus_max; /* whole CPUs' worth of time */
};

/* Never NULL: with no cgroup it is an empty cage. notes: one line for what this host cannot limit. */
struct kt_cage *kt_cage_create(const struct kt_cage_limits *limits, struct kt_buf *notes);
void kt_cage_join(struct kt_cage *cage, pid_t pid, struct kt_buf *notes);
/* The kernel killed something in it for want of memory. */
bool kt_cage_saw_oom(const struct kt_cage *cage);
/* "v2: memory pids cpu", "v1: memory pids", "none": for logs. Valid as long as the cage. */
const char *kt_cage_describe(const struct kt_cage *cage);
void kt_cage_destroy(struct kt_cage **cage_p); /* its processes must have been reaped */

/* Removes empty cages that somebody left behind when he was killed. */
void kt_cage_sweep(void);

#endif
