/* gmachine.h - the machine as the guest's kernel shows it in /sys: CPUs, threads, caches, NUMA nodes.
 *
 *	devices/system/cpu/online                            which CPUs there are
 *	devices/system/cpu/cpuN/topology/thread_siblings_list
 *	devices/system/cpu/cpuN/cache/indexM/level           the highest one is the last-level cache,
 *	devices/system/cpu/cpuN/cache/indexM/shared_cpu_list and this is its CPUs
 *	devices/system/node/online, nodeN/{cpulist,meminfo,distance}
 *
 * (Documentation/ABI/stable/sysfs-devices-system-cpu, -node.) A CPU that is off has no folders, so a scenario
 * that turns CPUs off asks before it does. The host compares what stands here with what was asked for.
 */
#ifndef KT_GMACHINE_H
#define KT_GMACHINE_H

#include "proto/cpuset.h"
#include "proto/schema.h"

#define KT_GMACHINE_ROOT "/sys"

/* Fills places and nodes, in the arena. A cache that the kernel does not tell is an empty text; a kernel without
 * NUMA has no nodes. Fault HOST when what must be there is not.
 */
int kt_gmachine_look(const char *root, struct kt_arena *arena, struct kt_msg_guest_ready *ready,
		     struct kt_err *err);

/* The same as numbers: LLCs in the order of their first CPUs, nodes by their own numbers. Fault HOST when a CPU
 * has no LLC, or CPUs or nodes are not numbered from 0 without gaps.
 */
int kt_gmachine_number(const struct kt_msg_guest_ready *ready, struct kt_cpuset_machine *machine,
		       struct kt_err *err);

/* Both, of this machine. */
int kt_gmachine_read(struct kt_cpuset_machine *machine, struct kt_err *err);

#endif
