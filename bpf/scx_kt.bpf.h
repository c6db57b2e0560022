/* scx_kt.bpf.h - the few kernel types that scx_kt touches, written by hand.
 *
 * CO-RE needs only the members that are used, under their names; libbpf moves every access to where
 * the running kernel has it. So one object fits every sched_ext kernel, and nothing here comes from
 * the machine that builds it (whose kernel may know no sched_ext at all). Kinds must match the
 * kernel's BTF: an enum stays an enum. Checked against Debian's 7.2 and 7.3.
 */
#ifndef SCX_KT_BPF_H
#define SCX_KT_BPF_H

#include <linux/bpf.h> /* UAPI: map types and flags */
#include <stdbool.h>

typedef __u8 u8;
typedef __u32 u32;
typedef __u64 u64;
typedef __s32 s32;
typedef __s64 s64;

#include <bpf/bpf_helpers.h>
#include <bpf/bpf_core_read.h>
#include <bpf/bpf_tracing.h>

#define CORE __attribute__((preserve_access_index))

struct cpumask {
	unsigned long bits[1];
} CORE;

struct sched_ext_entity {
	u32 flags;
	u64 slice; /* ns */
} CORE;

struct task_struct {
	unsigned int flags;
	int pid;
	int tgid;
	int nr_cpus_allowed;
	const struct cpumask *cpus_ptr;
	unsigned short migration_disabled;
	struct sched_ext_entity scx;
} CORE;

struct scx_init_task_args {
	bool fork;
} CORE;

struct scx_exit_task_args {
	bool cancelled;
} CORE;

enum scx_exit_kind { SCX_EXIT_NONE = 0 };

struct scx_exit_info {
	enum scx_exit_kind kind;
	s64 exit_code;
	const char *reason;
	char *msg;
	char *dump;
} CORE;

/* Only the members that are set: libbpf matches them by name and leaves the others zero. */
struct sched_ext_ops {
	s32 (*select_cpu)(struct task_struct *p, s32 prev_cpu, u64 wake_flags);
	void (*enqueue)(struct task_struct *p, u64 enq_flags);
	void (*dispatch)(s32 cpu, struct task_struct *prev);
	void (*running)(struct task_struct *p);
	void (*stopping)(struct task_struct *p, bool runnable);
	s32 (*init_task)(struct task_struct *p, struct scx_init_task_args *args);
	void (*exit_task)(struct task_struct *p, struct scx_exit_task_args *args);
	void (*enable)(struct task_struct *p);
	void (*disable)(struct task_struct *p);
	s32 (*init)(void);
	void (*exit)(struct scx_exit_info *info);
	u64 flags;
	u32 timeout_ms;
	u32 exit_dump_len;
	char name[128];
};

/* include/linux/sched/ext.h and kernel/sched/ext_internal.h */
#define SCX_DSQ_LOCAL    ((1ull << 63) | 2)
#define SCX_DSQ_LOCAL_ON ((1ull << 63) | (1ull << 62))
#define SCX_ENQ_LAST     (1ull << 41)
#define SCX_OPS_ENQ_LAST (1ull << 1)
#define SCX_TASK_QUEUED  (1u << 0)
#define PF_KTHREAD       0x00200000
#define ENODEV           19

/* kfuncs by their plain names: kernels that have newer variants keep these too */
s32 scx_bpf_create_dsq(u64 dsq_id, s32 node) __ksym;
s32 scx_bpf_select_cpu_dfl(struct task_struct *p, s32 prev_cpu, u64 wake_flags,
			   bool *is_idle) __ksym;
void scx_bpf_dsq_insert(struct task_struct *p, u64 dsq_id, u64 slice, u64 enq_flags) __ksym;
bool scx_bpf_dsq_move_to_local(u64 dsq_id) __ksym;
void scx_bpf_kick_cpu(s32 cpu, u64 flags) __ksym;
s32 scx_bpf_task_cpu(const struct task_struct *p) __ksym;
void scx_bpf_error_bstr(char *format, unsigned long long *data, u32 data__sz) __ksym;
/* since 6.18; before it the slice is written straight, which newer kernels warn about */
bool scx_bpf_task_set_slice(struct task_struct *p, u64 slice) __ksym __weak;
bool bpf_cpumask_test_cpu(u32 cpu, const struct cpumask *cpumask) __ksym;

#endif
