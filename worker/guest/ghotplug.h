/* ghotplug.h - takes CPUs offline and online: /sys/devices/system/cpu/cpuN/online.
 *
 * The write returns when the kernel is done, and a scheduler that starves the kernel's own threads can hold it up
 * for ever: so a child does it, whose exit status is the errno. Its parent is told of its end as of any
 * other's.
 */
#ifndef KT_GHOTPLUG_H
#define KT_GHOTPLUG_H

#include "proto/cpuset.h"

#include <sys/types.h>

#define KT_GHOTPLUG_ROOT "/sys/devices/system/cpu"

struct kt_ghotplug {
	const char *root; /* KT_GHOTPLUG_ROOT; tests have another */
	pid_t pid; /* of the child; 0: nothing is under way */
	int status; /* 0 or -errno, of the last one that ended */
	uint32_t cpu;
	bool online;
	struct kt_cpuset offline; /* those that were taken away and not brought back */
};

/* One at a time. */
int kt_ghotplug_begin(struct kt_ghotplug *plug, uint32_t cpu, bool online, struct kt_err *err);
/* Begins with the first of those that are offline; 0 when there is none, 1 when it began. */
int kt_ghotplug_restore(struct kt_ghotplug *plug, struct kt_err *err);
bool kt_ghotplug_reaped(struct kt_ghotplug *plug, pid_t pid, int wait_status);
/* 1 when it is done, 0 while not, -errno with a sentence when the kernel refused. */
int kt_ghotplug_look(const struct kt_ghotplug *plug, struct kt_err *err);

#endif
