/* gcrew.h - a crew: the workers of one group in one cgroup, forked, let go and stopped together.
 *
 *	start -> (every worker ready) -> go -> stop -> (every worker reaped) -> report -> destroy
 *
 * start forks them, moves each into the cgroup and lets them settle there (gsettle.h: policy, affinity,
 * memory policy, user); then they wait at the gate. Whoever forked them learns of their deaths: it hands
 * every pid that it reaps to kt_gcrew_reaped. Nothing here waits: workers depend on the scheduler under
 * test and may never come to the gate nor stop; deadlines are the caller's.
 */
#ifndef KT_GCREW_H
#define KT_GCREW_H

#include "worker/guest/gwakes.h"
#include "worker/guest/gworker.h"

#include <sys/types.h>

/* For the wake latencies that the workers of one crew keep: a worker of many keeps fewer. */
#define KT_GCREW_KEPT_BYTES (16u << 20)
#define KT_GCREW_KEPT_MIN   1000

struct kt_gcrew_spec {
	const char *cgroup; /* it exists; "": they stay in their parent's */
	const struct kt_msg_group *group;
	uint32_t workers; /* how many: group.workers, or what workers_ppm came out as */
	uint64_t first; /* number of the first within its cgroup */
	uint64_t number; /* of the group within its cgroup: worker_report.group */
	uint64_t step; /* worker_report.step */
	uint64_t seed; /* each worker draws from one of its own that comes from it */
	const struct kt_cpuset *affinity; /* NULL: all CPUs */
	const struct kt_cpuset_machine
		*machine; /* the caller's: which CPUs are on which node; NULL: all on one */
	int ready_fd; /* an eventfd of the caller's, shared by crews if it likes: every worker that is ready adds 1 */
};

struct kt_gcrew_worker {
	pid_t pid; /* 0 once reaped */
	int wait_status;
};

struct kt_gcrew {
	struct kt_gcrew_spec
		spec; /* its cgroup and group are still the caller's: they live as long */
	struct kt_cpuset affinity; /* what spec.affinity points to */
	struct kt_cpuset allowed; /* CPUs of its cpuset, of all that it had */
	const struct kt_work *work;
	int64_t params[KT_WORK_PARAM_N];
	uint32_t team_size;
	/* One piece of memory that costs pages only where it is written, and its parts. */
	struct kt_gworker_shared *shared;
	size_t shared_bytes;
	struct kt_gworker_slot *slots; /* one per worker */
	char *teams; /* team_bytes for every team_size workers */
	size_t team_bytes;
	int64_t *kept; /* kept_max for every worker */
	uint64_t kept_max;
	uint64_t migrated_before; /* pages between nodes in the whole guest, when the gate opened */
	struct kt_gcrew_worker *workers;
	size_t n_workers; /* that were forked */
};

/* Fault PEER for what cannot be run (unknown work or policy), GUEST when the kernel did not let us. On
 * failure *crew is NULL and what was forked is killed.
 */
int kt_gcrew_start(const struct kt_gcrew_spec *spec, struct kt_gcrew **crew, struct kt_err *err);

size_t kt_gcrew_ready(const struct kt_gcrew *crew); /* workers that came to the gate */
size_t kt_gcrew_alive(const struct kt_gcrew *crew); /* workers that are not reaped */
/* 0, or -errno with a sentence: a worker could not settle (the errno says whether the kernel has no such
 * thing: EINVAL, ENOSYS, EOPNOTSUPP), or died before the gate opened (ESRCH).
 */
int kt_gcrew_trouble(const struct kt_gcrew *crew, struct kt_err *err);

void kt_gcrew_go(struct kt_gcrew *crew); /* opens the gate */
void kt_gcrew_stop(
	struct kt_gcrew *crew); /* tells them to stop: they do within 100 ms of being run */
void kt_gcrew_kill(struct kt_gcrew *crew); /* SIGKILL to what is left */
bool kt_gcrew_reaped(struct kt_gcrew *crew, pid_t pid, int wait_status); /* was it one of these? */

/* Its cpuset may have changed (an op, on this cgroup or one above): adds what it is now to `allowed`.
 * cgroup: where they are now. start and report do it by themselves, of spec.cgroup.
 */
void kt_gcrew_see_cpus(struct kt_gcrew *crew, const char *cgroup);

/* Fills n_workers reports, texts in the arena; a report that never came says why in `missing`. anchor_ns:
 * when workload time began. How many are missing.
 */
size_t kt_gcrew_report(struct kt_gcrew *crew, int64_t anchor_ns, struct kt_arena *arena,
		       struct kt_msg_worker_report *reports);

/* Adds the wake latencies of those who reported. The crew's cgroup name must live as long as wakes do. */
void kt_gcrew_wakes(struct kt_gcrew *crew, struct kt_gwakes *wakes);

void kt_gcrew_destroy(
	struct kt_gcrew **crew_p); /* kills what is left; reaping it stays the caller's */

#endif
