#include "worker/guest/gsettle.h"
#include "proto/base/must.h"

#include <errno.h>
#include <grp.h>
#include <linux/mempolicy.h>
#include <sched.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

/* linux/sched/types.h, which glibc 2.36 has no wrapper for (and whose header clashes with sched.h). */
struct sched_attributes {
	uint32_t size;
	uint32_t policy;
	uint64_t flags;
	int32_t nice;
	uint32_t priority;
	uint64_t runtime_ns;
	uint64_t deadline_ns;
	uint64_t period_ns;
};

#define RESET_ON_FORK 1 /* SCHED_FLAG_RESET_ON_FORK: without it a deadline task may not fork */

static const struct policy {
	const char *name;
	uint32_t number; /* SCHED_* */
	bool takes_nice;
	bool takes_priority;
	bool takes_times;
} policies[] = {
	{ "normal", 0, true, false, false }, { "batch", 3, true, false, false },
	{ "idle", 5, false, false, false },  { "fifo", 1, false, true, false },
	{ "rr", 2, false, true, false },     { "deadline", 6, false, false, true },
	{ "ext", 7, true, false, false },
};

static const struct memory_policy {
	const char *name;
	int mode;
	bool takes_nodes;
} memory_policies[] = {
	{ "bind", MPOL_BIND, true },
	{ "preferred", MPOL_PREFERRED, true },
	{ "interleave", MPOL_INTERLEAVE, true },
	{ "local", MPOL_LOCAL, false },
};

static const struct policy *find_policy(const char *name)
{
	for (size_t i = 0; i < sizeof(policies) / sizeof(policies[0]); i++)
		if (strcmp(policies[i].name, *name ? name : "normal") == 0)
			return &policies[i];
	return NULL;
}

bool kt_gsettle_policy_ok(const char *policy)
{
	return find_policy(policy) != NULL;
}

int kt_gsettle_policy(const struct kt_msg_group *group)
{
	const struct policy *policy = find_policy(group->policy);
	struct sched_attributes attributes = { .size = sizeof(attributes) };

	if (!policy)
		return -EINVAL;
	attributes.policy = policy->number;
	if (policy->takes_nice)
		attributes.nice = (int32_t)group->nice;
	if (policy->takes_priority)
		attributes.priority = (uint32_t)group->priority;
	if (policy->takes_times) {
		attributes.flags = RESET_ON_FORK;
		attributes.runtime_ns = (uint64_t)group->runtime_ns;
		attributes.deadline_ns = (uint64_t)group->deadline_ns;
		attributes.period_ns = (uint64_t)group->period_ns;
	}
	return syscall(SYS_sched_setattr, 0, &attributes, 0) < 0 ? -errno : 0;
}

static int settle_policy(const struct kt_msg_group *group, struct kt_err *err)
{
	const struct policy *policy = find_policy(group->policy);
	int status;

	if (!policy)
		return kt_err_set(err, KT_FAULT_PEER, EINVAL, "there is no policy %.32s",
				  group->policy);
	if (policy->number == 0 && group->nice == 0)
		return 0; /* as it was forked */
	status = kt_gsettle_policy(group);
	if (status < 0)
		return kt_err_sys(err, KT_FAULT_GUEST, -status,
				  "the kernel refused policy %s (nice %d, priority %u)",
				  policy->name, (int)group->nice, (unsigned int)group->priority);
	return 0;
}

static int settle_affinity(const struct kt_cpuset *affinity, struct kt_err *err)
{
	char text[KT_CPUSET_TEXT_BYTES];
	cpu_set_t cpus;

	if (!affinity)
		return 0;
	CPU_ZERO(&cpus);
	for (uint32_t cpu = 0; cpu <= KT_GUEST_CPUS_MAX; cpu++)
		if (kt_cpuset_has(affinity, cpu))
			CPU_SET(cpu, &cpus);
	if (sched_setaffinity(0, sizeof(cpus), &cpus) < 0)
		return kt_err_sys(err, KT_FAULT_GUEST, errno,
				  "the kernel refused affinity to CPUs %.200s",
				  kt_cpuset_print(affinity, text));
	return 0;
}

static int settle_memory(const struct kt_msg_group *group, struct kt_err *err)
{
	const struct memory_policy *policy = NULL;
	struct kt_cpuset nodes = { 0 };
	unsigned long mask;

	if (!*group->mem_policy)
		return 0;
	for (size_t i = 0; i < sizeof(memory_policies) / sizeof(memory_policies[0]); i++)
		if (strcmp(memory_policies[i].name, group->mem_policy) == 0)
			policy = &memory_policies[i];
	if (!policy)
		return kt_err_set(err, KT_FAULT_PEER, EINVAL, "there is no memory policy %.32s",
				  group->mem_policy);
	if (policy->takes_nodes && kt_cpuset_parse(group->mem_nodes, &nodes) < 0)
		return kt_err_set(err, KT_FAULT_PEER, EINVAL, "%.100s is no list of nodes",
				  group->mem_nodes);
	mask = nodes.words[0];
	/* the kernel takes one bit less than it is told of (mm/mempolicy.c, get_nodes) */
	if (syscall(SYS_set_mempolicy, policy->mode, mask ? &mask : NULL,
		    mask ? 8 * sizeof(mask) + 1 : 0) < 0)
		return kt_err_sys(err, KT_FAULT_GUEST, errno,
				  "the kernel refused memory policy %s on nodes %.100s",
				  policy->name, group->mem_nodes);
	return 0;
}

/* Last: what stands before it may need root. */
static int settle_user(const struct kt_msg_group *group, struct kt_err *err)
{
	gid_t gid = (gid_t)group->gid;
	uid_t uid = (uid_t)group->uid;

	if (gid && (setgroups(0, NULL) < 0 || setresgid(gid, gid, gid) < 0))
		return kt_err_sys(err, KT_FAULT_GUEST, errno, "becoming group %u",
				  (unsigned int)gid);
	if (uid && setresuid(uid, uid, uid) < 0)
		return kt_err_sys(err, KT_FAULT_GUEST, errno, "becoming user %u",
				  (unsigned int)uid);
	return 0;
}

int kt_gsettle(const struct kt_msg_group *group, const struct kt_cpuset *affinity,
	       struct kt_err *err)
{
	int status = settle_memory(group, err);

	if (status == 0)
		status = settle_affinity(affinity, err);
	if (status == 0)
		status = settle_policy(group, err);
	if (status == 0)
		status = settle_user(group, err);
	return status;
}
