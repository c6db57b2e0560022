/* rqlat.bpf.c - how long tasks are runnable before they run, by cgroup, under whatever scheduler.
 *
 * A wait begins when a task is woken, or loses its CPU while it still wants it, and ends when it gets one. That is
 * seen at three tracepoints of the scheduler's core, which every class passes, sched_ext too.
 * The kernel's own accounting (sched_info.last_queued) will not do: it begins anew when a task is moved to
 * another CPU's run queue, which is what a sched_ext scheduler does with every second task.
 *
 * Stamps stand in an array by pid, so that a switch costs one lookup and no lock: two tasks whose pids are
 * KT_RQLAT_TASKS apart overwrite each other's, which loses a wait and never makes one.
 */
#include <linux/bpf.h>
#include <stdbool.h>

typedef __u8 u8;
typedef __u32 u32;
typedef __u64 u64;

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#include "bpf/rqlat.h"

char _license[] SEC("license") = "GPL";

#define CORE __attribute__((preserve_access_index))

struct kernfs_node {
	u64 id; /* of a cgroup: its inode */
} CORE;

struct cgroup {
	struct kernfs_node *kn;
} CORE;

struct css_set {
	struct cgroup *dfl_cgrp;
} CORE;

struct task_struct {
	int pid;
	struct css_set *cgroups;
} CORE;

struct stamp {
	u32 pid;
	u64 at_ns; /* 0: it does not wait */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, KT_RQLAT_TASKS);
	__type(key, u32);
	__type(value, struct stamp);
} stamps SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_HASH);
	__uint(max_entries, KT_RQLAT_CGROUPS_MAX);
	__type(key, u64);
	__type(value, struct kt_rqlat_hist);
} hists SEC(".maps");

const struct kt_rqlat_hist empty = { 0 };
__u32 counts; /* between the scenario's anchor and its end */

static struct stamp *stamp_of(const struct task_struct *p)
{
	u32 slot = (u32)p->pid % KT_RQLAT_TASKS;

	return bpf_map_lookup_elem(&stamps, &slot);
}

static void begin_wait(const struct task_struct *p, bool anew)
{
	struct stamp *stamp = stamp_of(p);

	if (!p->pid || !stamp)
		return;
	/* woken once more while it waits already: it still waits since then */
	if (!anew && stamp->pid == (u32)p->pid && stamp->at_ns)
		return;
	stamp->pid = (u32)p->pid;
	stamp->at_ns = bpf_ktime_get_ns();
}

/* The smallest i with ns < 2^i. */
static u32 bucket_of(u64 ns)
{
	u32 i = 0;

#pragma unroll
	for (u32 step = 32; step; step /= 2) {
		if (ns >> step) {
			ns >>= step;
			i += step;
		}
	}
	i += ns != 0;
	return i < KT_RQLAT_BUCKETS ? i : KT_RQLAT_BUCKETS - 1;
}

static struct kt_rqlat_hist *hist_of(u64 id)
{
	struct kt_rqlat_hist *hist = bpf_map_lookup_elem(&hists, &id);
	u64 others = 0;

	if (hist)
		return hist;
	bpf_map_update_elem(&hists, &id, &empty, BPF_NOEXIST);
	hist = bpf_map_lookup_elem(&hists, &id);
	return hist ? hist : bpf_map_lookup_elem(&hists, &others);
}

static void end_wait(const struct task_struct *p)
{
	struct stamp *stamp = stamp_of(p);
	struct kt_rqlat_hist *hist;
	u64 ns;
	u32 i;

	if (!p->pid || !stamp || stamp->pid != (u32)p->pid || !stamp->at_ns)
		return;
	ns = bpf_ktime_get_ns() - stamp->at_ns;
	stamp->at_ns = 0;
	hist = hist_of(p->cgroups->dfl_cgrp->kn->id);
	if (!hist)
		return;
	__sync_fetch_and_add(&hist->total, 1);
	__sync_fetch_and_add(&hist->sum_ns, ns);
	i = bucket_of(ns);
	if (i < KT_RQLAT_BUCKETS)
		__sync_fetch_and_add(&hist->buckets[i], 1);
}

SEC("tp_btf/sched_wakeup")
int BPF_PROG(kt_on_wakeup, struct task_struct *p)
{
	if (counts)
		begin_wait(p, false);
	return 0;
}

SEC("tp_btf/sched_wakeup_new")
int BPF_PROG(kt_on_wakeup_new, struct task_struct *p)
{
	if (counts)
		begin_wait(p, false);
	return 0;
}

/* prev_state: 0 for one that still wants to run; one that is preempted on its way to sleep does, too. */
SEC("tp_btf/sched_switch")
int BPF_PROG(kt_on_switch, bool preempt, struct task_struct *prev, struct task_struct *next,
	     unsigned int prev_state)
{
	if (!counts)
		return 0;
	if (preempt || !prev_state)
		begin_wait(prev, true);
	end_wait(next);
	return 0;
}
