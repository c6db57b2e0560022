/* gsettle.h - a worker process makes itself what its group asks for: memory policy, affinity, scheduling
 * policy, nice, user. In the child, after it was moved into its cgroup (a move resets affinity).
 */
#ifndef KT_GSETTLE_H
#define KT_GSETTLE_H

#include "proto/cpuset.h"

#include <stdbool.h>

/* affinity: NULL leaves all CPUs. 0, or -errno with a sentence that names what the kernel refused and why
 * that may be: EINVAL and ENOSYS where it has no such thing, EPERM and EBUSY where it does not allow it.
 */
int kt_gsettle(const struct kt_msg_group *group, const struct kt_cpuset *affinity,
	       struct kt_err *err);

bool kt_gsettle_policy_ok(const char *policy); /* pure: a name that group.policy may have, or "" */

/* Only its scheduling policy, with nice, priority and times: sched_setattr(2) of the calling process. For work
 * types that change their own. 0 or -errno.
 */
int kt_gsettle_policy(const struct kt_msg_group *group);

#endif
