/* runqueue.h - the kernel's per-CPU run queues, as of now.
 *
 * A per-CPU variable is at its symbol plus __per_cpu_offset[cpu]. Since 6.15 per-CPU symbols are ordinary kernel
 * addresses and move with KASLR; before, they count from 0 and do not.
 */
#ifndef KT_RUNQUEUE_H
#define KT_RUNQUEUE_H

#include "proto/value.h"
#include "worker/introspect/klayout.h"
#include "worker/introspect/pagewalk.h"

#define KT_RUNQUEUE_CPUS_MAX 1024

struct kt_runqueue_cpus {
	uint32_t n; /* highest possible CPU, plus one; 0 when it cannot be read */
	bool possible[KT_RUNQUEUE_CPUS_MAX];
	uint64_t offset[KT_RUNQUEUE_CPUS_MAX]; /* __per_cpu_offset */
};

void kt_runqueue_cpus(struct kt_pagewalk *pagewalk, const struct kt_klayout *klayout,
		      uint64_t slide, struct kt_runqueue_cpus *cpus);

/* One CPU's run queue; what this kernel does not have is 0. */
struct kt_runqueue {
	bool there; /* the CPU is possible, and its run queue mapped */
	bool idle; /* its idle task is the one that runs */
	uint64_t nr_running;
	uint64_t clock; /* ns, of its last update */
	uint64_t scx_nr_running;
	uint64_t scx_flags;
	uint64_t local_dsq; /* tasks in its local DSQ */
};

/* queues[0 .. cpus->n - 1]; cpus was read just before. -EFAULT when none is there. */
int kt_runqueue_look(struct kt_pagewalk *pagewalk, const struct kt_klayout *klayout, uint64_t slide,
		     const struct kt_runqueue_cpus *cpus, struct kt_runqueue *queues);

/* The address of a per-CPU variable of the kernel image, to which each CPU's own offset is added. */
uint64_t kt_runqueue_percpu(uint64_t symbol, uint64_t slide);

/* A list with one item per CPU: a map { cpu, idle, nr_running, clock and, with sched_ext, scx_nr_running,
 * scx_flags, local_dsq }, or nil when it is not possible or not mapped. -EFAULT when none is.
 */
int kt_runqueue_read(struct kt_pagewalk *pagewalk, const struct kt_klayout *klayout, uint64_t slide,
		     struct kt_arena *arena, struct kt_value *list);

#endif
