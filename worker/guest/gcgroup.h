/* gcgroup.h - the workload's cgroups: /sys/fs/cgroup/kt/<name>, the name with '/' for one within another.
 *
 * Facts of cgroup v2 (Documentation/admin-guide/cgroup-v2.rst) that shape it:
 *  - a cgroup has the files of a controller when its parent hands that controller down;
 *  - one that has processes of its own cannot hand anything down, and one that does cannot get any: so a
 *    scenario that puts workers into a cgroup and into one below it has no controllers below;
 *  - a cgroup can be removed when no process is left in it, zombies aside, and no cgroup below it.
 *
 * Errors have fault GUEST; code ENOSYS is "this kernel cannot do it at all", everything else "not this".
 * Fault PEER is for what no scenario should ask for: bad names, files that are not in the table. Calls last as
 * long as the kernel takes; only the freezing of a cgroup goes on after them.
 */
#ifndef KT_GCGROUP_H
#define KT_GCGROUP_H

#include "proto/cpuset.h"

#include <stdbool.h>
#include <sys/types.h>

#define KT_GCGROUP_ROOT      "/sys/fs/cgroup/kt"
#define KT_GCGROUP_DEPTH_MAX 8 /* components of a name */

/* Once, after cgroup2 is mounted: makes the root (KT_GCGROUP_ROOT; tests have another, below a folder that is
 * there) and hands every controller that there is down to it. root must stay.
 */
int kt_gcgroup_init(const char *root, struct kt_err *err);

/* From here on who is told of every cgroup that is made, with its id, which is its inode; NULL: nobody. */
typedef void kt_gcgroup_made(void *arg, const char *name, uint64_t id);
void kt_gcgroup_tell(kt_gcgroup_made *made, void *arg);

/* Pure: at most KT_GCGROUP_DEPTH_MAX components with '/' between, none of them empty, "." or "..". */
bool kt_gcgroup_name_ok(const char *name);
/* Pure: name is below, e.g. "a/b" below "a". */
bool kt_gcgroup_is_below(const char *name, const char *above);

/* With its parents. One that is there already (left by a scenario that broke) is taken over. */
int kt_gcgroup_make(const char *name, struct kt_err *err);
/* Hands every controller that it has down to those below it, as far as the kernel lets it. */
void kt_gcgroup_hand_down(const char *name);
/* file: a row of the table in gcgroup.c; text as the kernel wants it. */
int kt_gcgroup_limit(const char *name, const char *file, const char *text, struct kt_err *err);

/* cpuset.cpus as it was written: empty when it never was, or cleared; NULL clears it. */
int kt_gcgroup_set_cpus(const char *name, const struct kt_cpuset *cpus, struct kt_err *err);
int kt_gcgroup_cpus(const char *name, struct kt_cpuset *cpus, struct kt_err *err);
/* What its tasks may really use: its own or those of the next one above that has any, of those online. */
int kt_gcgroup_effective_cpus(const char *name, struct kt_cpuset *cpus, struct kt_err *err);

int kt_gcgroup_move(const char *name, pid_t pid, struct kt_err *err);
/* Every process of one into another, again until none is left. n: how many. */
int kt_gcgroup_move_all(const char *from, const char *to, size_t *n, struct kt_err *err);

/* Tells the kernel; tasks freeze when they run next. */
int kt_gcgroup_freeze(const char *name, bool freeze, struct kt_err *err);
/* 1 when every task of it is frozen, 0 while not. */
int kt_gcgroup_is_frozen(const char *name, struct kt_err *err);

/* Has it, or one above it, a limit in cpu.max? How often one of them was throttled by it so far. */
bool kt_gcgroup_throttled(const char *name, uint64_t *times);

void kt_gcgroup_kill(const char *name); /* SIGKILL to everything in it and below */
/* With everything below. -EBUSY while processes are in it. */
int kt_gcgroup_remove(const char *name);

#endif
