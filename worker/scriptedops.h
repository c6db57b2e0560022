/* scriptedops.h - the ops of a scenario as moments of a timeline, where no guest does them: each as if it had been done
 * on time, in no time, and had gone well. Cgroups are not made, nothing is looked at.
 */
#ifndef KT_SCRIPTEDOPS_H
#define KT_SCRIPTEDOPS_H

#include "proto/schema.h"

#define KT_SCRIPTEDOPS_MAX 500 /* of one attempt */

/* Fills at most max of them, in the order of their workload time, a loop's ops once for every round; what comes
 * behind is left out. at_ns: of all, since the attempt began. Texts in the arena. Returns how many.
 */
size_t kt_scriptedops_fill(const struct kt_msg_scenario *scenario, int64_t at_ns,
			   struct kt_arena *arena, struct kt_msg_moment *moments, size_t max);

#endif
