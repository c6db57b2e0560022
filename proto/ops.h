/* ops.h - the table of ops.def: what the language accepts and the guest carries out. Pure. */
#ifndef KT_OPS_H
#define KT_OPS_H

#include <stddef.h>

#define KT_OPS_CGROUP   (1u << 0) /* op.cgroup */
#define KT_OPS_OTHER    (1u << 1) /* op.other: a cgroup */
#define KT_OPS_CPUSET   (1u << 2) /* op.cpuset */
#define KT_OPS_MAKE     (1u << 3) /* op.make */
#define KT_OPS_GROUP    (1u << 4) /* op.group */
#define KT_OPS_NAME     (1u << 5) /* op.name */
#define KT_OPS_DEADLINE (1u << 6) /* op.deadline_ns */
#define KT_OPS_CPU      (1u << 7) /* op.cpu, op.online */
#define KT_OPS_VALUE    (1u << 8) /* op.key or op.variable, and op.value */
#define KT_OPS_IN       (1u << 9) /* op.cgroup, which may be empty */

enum kt_ops_id {
#define KT_OP(name_, uses_, sentence_) KT_OPS_ID_##name_,
#include "proto/ops.def"
	KT_OPS_N
};

struct kt_ops {
	enum kt_ops_id id;
	const char *name;
	unsigned int uses; /* KT_OPS_* */
	const char *sentence;
};

extern const struct kt_ops kt_ops[KT_OPS_N];

const struct kt_ops *kt_ops_by_name(const char *name); /* NULL when there is none */

#endif
