/* scx_kt.h - what the BPF side and the loader of the fixture scheduler share.
 *
 * Both include it: the BPF side has its own integer types, so only __u64 and friends appear here.
 */
#ifndef SCX_KT_H
#define SCX_KT_H

#include <linux/types.h>

/* Every counter of .bss, in the order in which stats and the last line print them. All only grow. */
#define KT_SCX_COUNTERS(X)                                                          \
	X(nr_select_cpu, "wake-ups that asked for a CPU")                           \
	X(nr_enqueued, "tasks handed to the scheduler")                             \
	X(nr_dispatched, "times a task was given a CPU for a slice")                \
	X(nr_direct, "of these: straight to an idle CPU at wake-up")                \
	X(nr_kept, "of these: another slice because nobody else waited")            \
	X(nr_scattered, "of these: thrown on a random CPU (--scattershot)")         \
	X(nr_held, "tasks put where nobody looks (--stall-after)")                  \
	X(nr_burned, "dispatches that wasted time first (--slow, --degrade-after)") \
	X(nr_running, "tasks that began to run")                                    \
	X(nr_stopping, "tasks that stopped running")                                \
	X(nr_init_task, "tasks the scheduler was told of")                          \
	X(nr_exit_task, "tasks that left")                                          \
	X(nr_enable, "tasks that came under the scheduler")                         \
	X(nr_disable, "tasks that went back to the kernel's own")

enum kt_scx_stat { KT_SCX_STAT_LOCAL, KT_SCX_STAT_SHARED, KT_SCX_STATS_N };

/* What stands in the object where ops.timeout_ms goes. libbpf 1.1.2 gives no way to change a struct_ops
 * member between open and load, so the loader writes the wanted value over this one in its copy of the
 * object: it occurs there exactly once.
 */
#define KT_SCX_TIMEOUT_UNSET 0x6b746d73u

#define KT_SCX_REASON_BYTES 128
#define KT_SCX_MSG_BYTES    1024
/* ops.exit_dump_len: room for some 400 tasks, where the kernel's own 32 KiB are too few for 100. A power of two. */
#define KT_SCX_DUMP_BYTES   131072

struct kt_scx_exit {
	__s64 kind; /* enum scx_exit_kind of the kernel; 0 while it runs, written last */
	__s64 code;
	char reason[KT_SCX_REASON_BYTES];
	char msg[KT_SCX_MSG_BYTES];
};

#endif
