/* gworker.h - one workload process: settles, waits at the gate, works, reports through shared memory.
 *
 * The parent owns the memory; a worker writes its own slot only, `is_reported` last.
 */
#ifndef KT_GWORKER_H
#define KT_GWORKER_H

#include "worker/guest/gwork.h"

#include "proto/cpuset.h"

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

/* What the workers of a crew wait for, in order: a futex word. */
enum kt_gworker_gate {
	KT_GWORKER_HELD, /* not in its cgroup yet */
	KT_GWORKER_PLACED, /* every one is: settle, say ready */
	KT_GWORKER_OPEN, /* work */
};

struct kt_gworker_slot {
	struct kt_gmeter_sums sums;
	atomic_bool is_ready; /* came to the gate, settled or in trouble */
	atomic_bool is_reported;
} __attribute__((aligned(64))); /* no two workers write the same cache line */

struct kt_gworker_shared {
	atomic_uint gate;
	atomic_bool must_stop;
	atomic_bool is_in_trouble; /* trouble is being written, by the first that has some */
	atomic_int trouble_code; /* errno; not 0 once the text is whole */
	char trouble[KT_ERR_TEXT_MAX];
};

struct kt_gworker_order {
	const struct kt_msg_group *group;
	const struct kt_cpuset *affinity; /* NULL: all CPUs */
	enum kt_work_id work;
	const int64_t *params; /* by enum kt_work_param_id */
	uint64_t seed;
	uint32_t index; /* within its team */
	uint32_t team_size;
	void *team;
	const int *pipes;
	struct kt_gworker_shared *shared;
	struct kt_gworker_slot *slot; /* its own */
	int64_t *kept; /* its own: wake latencies */
	uint64_t kept_max;
	int ready_fd; /* an eventfd: 1 is added when it is ready */
};

/* In the child. Never returns. */
__attribute__((noreturn)) void kt_gworker_run(const struct kt_gworker_order *order);

/* In the parent: no gate is ever closed again. */
void kt_gworker_open(struct kt_gworker_shared *shared, enum kt_gworker_gate gate);

#endif
