#include "worker/guest/gwork.h"
#include "worker/guest/sysfile.h"

#include <linux/mempolicy.h>
#include <sys/syscall.h>
#include <unistd.h>

#define STRIDE 64
#define STEPS  16384

struct sweep {
	struct kt_cpuset nodes; /* that have memory */
	uint32_t node; /* where it is */
	size_t at;
};

static int begin(struct kt_gself *self, struct kt_err *err)
{
	struct sweep *sweep = self->state;
	char text[256];

	if (kt_sysfile_read("/sys/devices/system/node/has_memory", text, sizeof(text)) <= 0 ||
	    kt_cpuset_parse(text, &sweep->nodes) < 0 || !sweep->nodes.words[0])
		sweep->nodes.words[0] = 1; /* a kernel without NUMA */
	return kt_gself_map(self, (size_t)self->params[KT_WORK_PARAM_numa_sweep_bytes], err);
}

static uint32_t next_node(const struct sweep *sweep)
{
	uint32_t node = sweep->node;

	do
		node = (node + 1) % KT_GMETER_NODES_MAX;
	while (!kt_cpuset_has(&sweep->nodes, node));
	return node;
}

/* Preferred, not bound: a full node must not end the worker. */
static bool move_to(struct kt_gself *self, uint32_t node)
{
	unsigned long mask = 1ul << node;

	return syscall(SYS_mbind, self->memory, self->memory_bytes, MPOL_PREFERRED, &mask,
		       8 * sizeof(mask) + 1, MPOL_MF_MOVE) == 0;
}

static uint64_t round_of(struct kt_gself *self)
{
	struct sweep *sweep = self->state;
	uint32_t node = next_node(sweep);

	if (node != sweep->node) {
		if (!move_to(self, node))
			return 0;
		sweep->node = node;
	}
	kt_gself_walk(self, STRIDE, STEPS, &sweep->at);
	kt_gself_run(self, self->params[KT_WORK_PARAM_numa_sweep_run]);
	return 1;
}

const struct kt_gwork kt_numa_sweep_work = {
	.state_bytes = sizeof(struct sweep),
	.begin = begin,
	.round = round_of,
};
