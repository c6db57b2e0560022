/* scx_kt.bpf.c - the fixture scheduler: one shared queue, honest counters, faults on request.
 *
 * A task that finds an idle CPU goes straight to it; every other waits in SHARED_DSQ, first in, first
 * out, until a CPU has nothing local left. That is a whole scheduler, small enough to be sure of, so
 * that what a test sees is what the test asked for.
 *
 * Counters are in .bss, written with __sync_fetch_and_add: a reader outside the guest sees them whole.
 * They only grow. nr_dispatched counts every time a task was given a CPU for a slice: from the shared
 * queue, straight, or by another slice for the one that was running.
 *
 * Faults never touch kernel threads: the stall watchdog is itself a kernel worker, and a guest whose
 * virtio and RCU threads starve tells nobody anything.
 */
#include "bpf/scx_kt.bpf.h"
#include "bpf/scx_kt.h"

char _license[] SEC("license") = "GPL";

#define SHARED_DSQ 0
#define HELD_DSQ   1 /* nobody looks here: what is in it is never run (--stall-after, --starve-one) */

#define SLICE_NS         (20 * 1000 * 1000ull)
#define SLICE_SLOW_NS    (1 * 1000 * 1000ull)
#define BURN_SLOW_NS     (300 * 1000ull)
#define BURN_MAX_NS      (3 * 1000 * 1000ull)
#define DEGRADE_NS_PER_S (300 * 1000ull)
#define BURN_ROUNDS_MAX  (1 << 20) /* of clock reads: far beyond BURN_MAX_NS, for the verifier */
#define WALK_ROUNDS      2000 /* that the verifier walks one by one (--fail-verify-late) */

/* Globals are __u64, not u64: the skeleton repeats their type names in user space.
 *
 * Set by the loader before load; the verifier sees them as constants and drops what is off.
 */
const volatile __u64 stall_after_ns;
const volatile __u64 starve_after_ns;
const volatile __u64 crash_after_ns;
const volatile __u64 degrade_after_ns;
const volatile bool slow;
const volatile bool scattershot;
const volatile bool fail_verify;
const volatile bool fail_verify_late;
const volatile bool fail_init;
const volatile __u32 nr_cpus = 1;
const volatile __u32 loader_tgid; /* never starved: it is to tell of it */

#define X(name_, sentence_) __u64 name_;
KT_SCX_COUNTERS(X)
#undef X
__u64 started_at_ns; /* CLOCK_MONOTONIC at init */
__u32 starved_pid; /* 0: nobody yet */

struct kt_scx_exit exit_report;

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, KT_SCX_STATS_N);
	__type(key, u32);
	__type(value, u64);
} stats SEC(".maps");

/* The dump travels through a ring buffer and not through .bss: whoever reads .bss at every sample
 * should not carry 128 KiB that are empty until the end.
 */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 2 * KT_SCX_DUMP_BYTES);
} exit_dump SEC(".maps");

#define COUNT(counter_) __sync_fetch_and_add(&(counter_), 1)

static void count_stat(u32 which)
{
	u64 *cell = bpf_map_lookup_elem(&stats, &which);

	if (cell)
		(*cell)++; /* ours alone: per CPU, and BPF programs of struct_ops do not migrate */
}

static u64 age_ns(void)
{
	return bpf_ktime_get_ns() - started_at_ns;
}

/* The first one that is asked about when the time has come is it. */
static bool is_starved(const struct task_struct *p)
{
	if (!starve_after_ns || (u32)p->tgid == loader_tgid || age_ns() < starve_after_ns)
		return false;
	__sync_val_compare_and_swap(&starved_pid, 0, (u32)p->pid);
	return starved_pid == (u32)p->pid;
}

static bool is_held(const struct task_struct *p)
{
	if (p->flags & PF_KTHREAD)
		return false;
	return (stall_after_ns && age_ns() >= stall_after_ns) || is_starved(p);
}

static u64 burn_wanted_ns(void)
{
	u64 age;
	u64 burn;

	if (slow)
		return BURN_SLOW_NS;
	if (!degrade_after_ns)
		return 0;
	age = age_ns();
	if (age < degrade_after_ns)
		return 0;
	burn = (age - degrade_after_ns) / 1000000 * (DEGRADE_NS_PER_S / 1000);
	return burn < BURN_MAX_NS ? burn : BURN_MAX_NS;
}

static long burn_round(u32 index, void *until_ns)
{
	return bpf_ktime_get_ns() >= *(u64 *)until_ns;
}

/* What a bad scheduler does: it thinks, with interrupts off, while tasks wait. */
static void burn(void)
{
	u64 span = burn_wanted_ns();
	u64 until;

	if (!span)
		return;
	until = bpf_ktime_get_ns() + span;
	bpf_loop(BURN_ROUNDS_MAX, burn_round, &until, 0);
	COUNT(nr_burned);
}

static u64 slice_ns(void)
{
	return slow || degrade_after_ns ? SLICE_SLOW_NS : SLICE_NS;
}

static void crash_when_due(void)
{
	static char format[] = "scx_kt was told to crash after %llu ms";
	unsigned long long ms = crash_after_ns / 1000000;

	if (crash_after_ns && age_ns() >= crash_after_ns)
		scx_bpf_error_bstr(format, &ms, sizeof(ms));
}

SEC("struct_ops/kt_select_cpu")
s32 BPF_PROG(kt_select_cpu, struct task_struct *p, s32 prev_cpu, u64 wake_flags)
{
	bool is_idle = false;
	s32 cpu;

	COUNT(nr_select_cpu);
	if (scattershot)
		return prev_cpu; /* enqueue() throws the dice */
	cpu = scx_bpf_select_cpu_dfl(p, prev_cpu, wake_flags, &is_idle);
	if (is_idle && !is_held(p)) {
		COUNT(nr_direct);
		COUNT(nr_dispatched);
		count_stat(KT_SCX_STAT_LOCAL);
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, slice_ns(), 0);
	}
	return cpu;
}

/* Any CPU that may run it, near or far, idle or not. False when the dice named none. */
static bool scatter(struct task_struct *p, u64 enq_flags)
{
	u32 cpu = bpf_get_prandom_u32() % nr_cpus;

	/* Asking for the type puts all of it into our BTF. A type that is only pointed to ends up there
	 * as a forward declaration, and libbpf then calls bpf_cpumask_test_cpu() incompatible.
	 */
	if (!bpf_core_type_exists(struct cpumask))
		return false;
	if (p->nr_cpus_allowed == 1 || p->migration_disabled)
		return false;
	if (!bpf_cpumask_test_cpu(cpu, p->cpus_ptr))
		return false;
	COUNT(nr_scattered);
	COUNT(nr_dispatched);
	scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL_ON | cpu, slice_ns(), enq_flags);
	return true;
}

SEC("struct_ops/kt_enqueue")
void BPF_PROG(kt_enqueue, struct task_struct *p, u64 enq_flags)
{
	COUNT(nr_enqueued);
	if (is_held(p)) {
		COUNT(nr_held);
		scx_bpf_dsq_insert(p, HELD_DSQ, slice_ns(), enq_flags);
		return;
	}
	if (scattershot && scatter(p, enq_flags))
		return;
	if (enq_flags & SCX_ENQ_LAST) {
		/* This CPU is about to go idle and would not look again: make it. */
		COUNT(nr_dispatched);
		count_stat(KT_SCX_STAT_LOCAL);
		scx_bpf_dsq_insert(p, SCX_DSQ_LOCAL, slice_ns(), enq_flags);
		scx_bpf_kick_cpu(scx_bpf_task_cpu(p), 0);
		return;
	}
	count_stat(KT_SCX_STAT_SHARED);
	scx_bpf_dsq_insert(p, SHARED_DSQ, slice_ns(), enq_flags);
}

SEC("struct_ops/kt_dispatch")
void BPF_PROG(kt_dispatch, s32 cpu, struct task_struct *prev)
{
	crash_when_due();
	burn();
	if (scx_bpf_dsq_move_to_local(SHARED_DSQ)) {
		COUNT(nr_dispatched);
		return;
	}
	/* Nobody waits: the one that was running gets another slice. The kernel would keep it by
	 * itself, uncounted, if SCX_OPS_ENQ_LAST were not set; with it set, a task that is to be held
	 * comes back through enqueue() even when it is alone.
	 */
	if (prev && (prev->scx.flags & SCX_TASK_QUEUED) && !is_held(prev)) {
		COUNT(nr_kept);
		COUNT(nr_dispatched);
		if (scx_bpf_task_set_slice)
			scx_bpf_task_set_slice(prev, slice_ns());
		else
			prev->scx.slice = slice_ns();
	}
}

SEC("struct_ops/kt_running")
void BPF_PROG(kt_running, struct task_struct *p)
{
	COUNT(nr_running);
}

SEC("struct_ops/kt_stopping")
void BPF_PROG(kt_stopping, struct task_struct *p, bool runnable)
{
	COUNT(nr_stopping);
}

SEC("struct_ops/kt_init_task")
s32 BPF_PROG(kt_init_task, struct task_struct *p, struct scx_init_task_args *args)
{
	COUNT(nr_init_task);
	return 0;
}

SEC("struct_ops/kt_exit_task")
void BPF_PROG(kt_exit_task, struct task_struct *p, struct scx_exit_task_args *args)
{
	COUNT(nr_exit_task);
}

SEC("struct_ops/kt_enable")
void BPF_PROG(kt_enable, struct task_struct *p)
{
	COUNT(nr_enable);
}

SEC("struct_ops/kt_disable")
void BPF_PROG(kt_disable, struct task_struct *p)
{
	COUNT(nr_disable);
}

/* An index that nobody bounds: the verifier must refuse this. */
static s32 read_anywhere(void)
{
	volatile char stack[8] = { 0 };

	return stack[bpf_get_prandom_u32()];
}

/* The same behind a loop: the log of what the verifier walked has thousands of lines, and the reason at its end. */
static s32 walk_and_read_anywhere(void)
{
	volatile u32 sum = 0;

#pragma clang loop unroll(disable)
	for (u32 i = 0; i < WALK_ROUNDS; i++)
		sum += i & 1 ? 3 : sum >> 1;
	return (s32)sum + read_anywhere();
}

SEC("struct_ops/kt_init")
s32 BPF_PROG(kt_init)
{
	s32 status;

	if (fail_verify)
		return read_anywhere();
	if (fail_verify_late)
		return walk_and_read_anywhere();
	if (fail_init)
		return -ENODEV;
	started_at_ns = bpf_ktime_get_ns();
	status = scx_bpf_create_dsq(SHARED_DSQ, -1);
	if (status < 0)
		return status;
	return scx_bpf_create_dsq(HELD_DSQ, -1);
}

SEC("struct_ops/kt_exit")
void BPF_PROG(kt_exit, struct scx_exit_info *info)
{
	char *dump = bpf_ringbuf_reserve(&exit_dump, KT_SCX_DUMP_BYTES, 0);

	if (dump) {
		if (bpf_probe_read_kernel_str(dump, KT_SCX_DUMP_BYTES, info->dump) < 0)
			dump[0] = 0;
		bpf_ringbuf_submit(dump, 0);
	}
	bpf_probe_read_kernel_str(exit_report.reason, sizeof(exit_report.reason), info->reason);
	bpf_probe_read_kernel_str(exit_report.msg, sizeof(exit_report.msg), info->msg);
	exit_report.code = info->exit_code;
	/* the loader polls for it, so it comes last */
	__sync_lock_test_and_set(&exit_report.kind, info->kind);
}

SEC(".struct_ops")
struct sched_ext_ops scx_kt = {
	.select_cpu = (void *)kt_select_cpu,
	.enqueue = (void *)kt_enqueue,
	.dispatch = (void *)kt_dispatch,
	.running = (void *)kt_running,
	.stopping = (void *)kt_stopping,
	.init_task = (void *)kt_init_task,
	.exit_task = (void *)kt_exit_task,
	.enable = (void *)kt_enable,
	.disable = (void *)kt_disable,
	.init = (void *)kt_init,
	.exit = (void *)kt_exit,
	.flags = SCX_OPS_ENQ_LAST,
	.timeout_ms = KT_SCX_TIMEOUT_UNSET,
	.exit_dump_len = KT_SCX_DUMP_BYTES,
	.name = "scx_kt",
};
