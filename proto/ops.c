#include "proto/ops.h"

#include <string.h>

#define CGROUP   KT_OPS_CGROUP
#define OTHER    KT_OPS_OTHER
#define CPUSET   KT_OPS_CPUSET
#define MAKE     KT_OPS_MAKE
#define GROUP    KT_OPS_GROUP
#define NAME     KT_OPS_NAME
#define DEADLINE KT_OPS_DEADLINE
#define CPU      KT_OPS_CPU
#define VALUE    KT_OPS_VALUE
#define IN       KT_OPS_IN

const struct kt_ops kt_ops[KT_OPS_N] = {
#define KT_OP(name_, uses_, sentence_) { KT_OPS_ID_##name_, #name_, uses_, sentence_ },
#include "proto/ops.def"
};

const struct kt_ops *kt_ops_by_name(const char *name)
{
	for (size_t i = 0; i < KT_OPS_N; i++)
		if (strcmp(kt_ops[i].name, name) == 0)
			return &kt_ops[i];
	return NULL;
}
