/* gworker.h - one workload process: waits at the gate, works, reports through shared memory.
 *
 * The parent owns the memory; a worker writes its own slot only, `is_reported` last.
 */
#ifndef KT_GWORKER_H
#define KT_GWORKER_H

#include "worker/guest/gwork.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

struct kt_gworker_slot {
	uint64_t work_units;
	int64_t wall_ns; /* from the gate to the stop */
	int64_t cpu_ns;
	int64_t gap_ns_max; /* longest time between the ends of two rounds */
	uint64_t migrations;
	int64_t run_delay_ns; /* /proc/self/schedstat, second number */
	atomic_bool is_reported;
};

struct kt_gworker_shared {
	atomic_bool must_stop;
	struct kt_gworker_slot slots[];
};

/* In the child: writes one byte to ready_fd, then reads gate_fd, which blocks until the parent closes
 * the other end: all workers of a step are let go by one close(2). Never returns.
 */
__attribute__((noreturn)) void kt_gworker_run(enum kt_work_id id, uint64_t seed, int ready_fd,
					      int gate_fd, struct kt_gworker_shared *shared,
					      uint64_t index);

#endif
