/* gcgroup.h - the workload's cgroups: /sys/fs/cgroup/kt/<name>. */
#ifndef KT_GCGROUP_H
#define KT_GCGROUP_H

#include "proto/base/err.h"

#include <stdbool.h>
#include <sys/types.h>

#define KT_GCGROUP_ROOT "/sys/fs/cgroup/kt"

/* Once, after cgroup2 is mounted: makes the root and hands every controller that there is down to it. */
int kt_gcgroup_init(struct kt_err *err);
/* Pure: one path component that is not "." or "..". */
bool kt_gcgroup_name_ok(const char *name);
/* One that is there already (left by a scenario that broke) is taken over. */
int kt_gcgroup_make(const char *name, struct kt_err *err);
int kt_gcgroup_move(const char *name, pid_t pid, struct kt_err *err);
int kt_gcgroup_remove(const char *name); /* -EBUSY while processes of it are not reaped */

#endif
