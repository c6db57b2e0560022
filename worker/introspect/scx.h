/* scx.h - sched_ext's own state in the guest: is a scheduler enabled, which one, its stall watchdog. */
#ifndef KT_SCX_H
#define KT_SCX_H

#include "worker/introspect/klayout.h"
#include "worker/introspect/pagewalk.h"

#define KT_SCX_NAME_BYTES 129 /* SCX_OPS_NAME_LEN and a 0 */

struct kt_scx {
	char state[32]; /* "enabled", "disabled", ...; "absent" when the kernel has no sched_ext */
	bool enabled;
	uint64_t sched_va; /* struct scx_sched; 0 before 6.16 or when there is none */
	uint64_t ops_va; /* struct sched_ext_ops as the kernel uses it; 0 when there is none */
	char name[KT_SCX_NAME_BYTES]; /* ops.name, raw bytes; empty when there is none */
};

/* 0, or -EFAULT when the state itself cannot be read. */
int kt_scx_read(struct kt_pagewalk *pagewalk, const struct kt_klayout *klayout, uint64_t slide,
		struct kt_scx *scx);

/* Writes and reads back. -ENOENT: the kernel has no watchdog that can be found, or its HZ is not known;
 * -EAGAIN: nothing is enabled; -EFAULT: not mapped; -ERANGE: less than two jiffies.
 */
int kt_scx_set_watchdog(struct kt_pagewalk *pagewalk, const struct kt_klayout *klayout,
			uint64_t slide, int64_t ns, int64_t *now_ns, struct kt_err *err);

#endif
