#include "worker/guest/gwork.h"
#include "worker/guest/sysfile.h"

#include <linux/mempolicy.h>
#include <sys/syscall.h>
#include <unistd.h>

#define STRIDE 64
#define PIECE  (16 * 4096) /* moved at once: under TCG a page takes 0.2 ms */

struct sweep {
	struct kt_cpuset nodes; /* that have memory */
	uint32_t node; /* where it goes */
	size_t at; /* from here on it is still to be moved */
};

static uint32_t next_node(const struct sweep *sweep)
{
	uint32_t node = sweep->node;

	do
		node = (node + 1) % KT_GMETER_NODES_MAX;
	while (!kt_cpuset_has(&sweep->nodes, node));
	return node;
}

static int begin(struct kt_gself *self, struct kt_err *err)
{
	struct sweep *sweep = self->state;
	char text[256];

	if (kt_sysfile_read("/sys/devices/system/node/has_memory", text, sizeof(text)) <= 0 ||
	    kt_cpuset_parse(text, &sweep->nodes) < 0 || !sweep->nodes.words[0])
		sweep->nodes.words[0] = 1; /* a kernel without NUMA */
	sweep->node = next_node(sweep);
	return kt_gself_map(self, (size_t)self->params[KT_WORK_PARAM_numa_sweep_bytes], err);
}

/* Preferred, not bound: a full node must not end the worker. */
static bool move_to(uint32_t node, char *piece, size_t bytes)
{
	unsigned long mask = 1ul << node;

	return syscall(SYS_mbind, piece, bytes, MPOL_PREFERRED, &mask, 8 * sizeof(mask) + 1,
		       MPOL_MF_MOVE) == 0;
}

static uint64_t round_of(struct kt_gself *self)
{
	struct sweep *sweep = self->state;
	size_t left = self->memory_bytes - sweep->at;
	size_t bytes = left < PIECE ? left : PIECE;
	size_t from = sweep->at;

	if (kt_cpuset_count(&sweep->nodes) > 1 &&
	    !move_to(sweep->node, self->memory + sweep->at, bytes))
		return 0;
	kt_gself_walk(self, STRIDE, bytes / STRIDE, &from);
	kt_gself_run(self, self->params[KT_WORK_PARAM_numa_sweep_run]);
	sweep->at += bytes;
	if (sweep->at < self->memory_bytes)
		return 1;
	sweep->at = 0;
	sweep->node = next_node(sweep);
	return 1;
}

const struct kt_gwork kt_numa_sweep_work = {
	.state_bytes = sizeof(struct sweep),
	.begin = begin,
	.round = round_of,
};
