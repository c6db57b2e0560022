/* gstage.h - what stands in the guest for a scenario: its cgroups, the crews of workers in them, and payloads.
 *
 * Everything on stage has an owner, which is the act that brought it: the backdrop, or a step. It leaves when
 * its act ends, or when an op takes it away. A worker is of the cgroup that it was started in (its home: what its
 * report names), wherever an op moves it; one of the backdrop that is in a step's cgroup when the step ends
 * goes home. A cgroup that only stands above a named one belongs to whoever named that.
 *
 *	crew:  GATHERING -> WORKING -> STOPPING -> (every one reaped: its reports are taken) gone
 *
 * Nothing here waits: kt_gstage_look() says how far things are, and what they wait for is told by an eventfd
 * (workers that are ready), by SIGCHLD (workers that end), or found by looking again.
 */
#ifndef KT_GSTAGE_H
#define KT_GSTAGE_H

#include "proto/cpuset.h"
#include "worker/guest/gcrew.h"
#include "worker/guest/gpayloads.h"

#include <poll.h>

#define KT_GSTAGE_BACKDROP SIZE_MAX /* an owner; the others are numbers of steps */

enum kt_gstage_crew_state {
	KT_GSTAGE_GATHERING, /* on their way to the gate, or at it */
	KT_GSTAGE_WORKING,
	KT_GSTAGE_STOPPING,
};

struct kt_gstage_crew {
	struct kt_gstage_crew *next;
	struct kt_gcrew *crew;
	struct kt_gstage_cgroup *where; /* in which cgroup they are now */
	size_t owner;
	enum kt_gstage_crew_state state;
	int64_t stop_told_ns;
};

struct kt_gstage_cgroup {
	struct kt_gstage_cgroup *next; /* newest first: those below stand before those above */
	const char *name; /* in the arena */
	size_t owner;
	bool is_named; /* by the scenario; else it only stands above one that is */
	bool is_frozen; /* told to be */
	bool is_going; /* it is being removed */
	uint64_t n_workers; /* that were ever started in it: numbers for reports */
	uint64_t n_groups;
};

struct kt_gstage {
	struct kt_arena *arena; /* borrowed: names, reports' texts */
	const struct kt_msg_scenario *scenario; /* borrowed: which cgroups it puts workers into */
	struct kt_cpuset_machine machine;
	uint64_t seed;
	int64_t anchor_ns; /* 0 before the first gate opened */
	int ready_fd; /* eventfd: workers came to a gate */
	int poll_fd; /* epoll(7): that, and what payloads print */
	struct kt_gpayloads payloads;
	struct kt_gstage_cgroup *cgroups;
	struct kt_gstage_crew
		*crews; /* oldest first: so are the reports, of those that end together */
	size_t n_started; /* workers, ever */
	struct kt_msg_worker_report *reports; /* n_reports, of crews that are gone */
	size_t n_reports;
	struct kt_msg_payload_report
		*payload_reports; /* in the arena; filled by kt_gstage_close() */
	size_t n_payload_reports;
	size_t n_missing; /* reports that never came */
	struct kt_gwakes wakes; /* of the same crews */
	int64_t stop_took_ns_max; /* of crews that ended at the end: from telling one to its last worker's end */
};

void kt_gstage_init(struct kt_gstage *stage);
/* machine: as it was before any CPU was taken away. What is borrowed must live until kt_gstage_close(). */
int kt_gstage_open(struct kt_gstage *stage, struct kt_arena *arena,
		   const struct kt_cpuset_machine *machine, const struct kt_msg_guest_run *run,
		   struct kt_err *err);
/* Kills what runs and removes what can be: those that the scheduler starves die once it is out, and their
 * cgroups stay. Reports are kept until the next kt_gstage_open(), those of payloads in the arena.
 */
void kt_gstage_close(struct kt_gstage *stage);

/* ---- cgroups ---- */

/* NULL when there is none, or it is going. */
struct kt_gstage_cgroup *kt_gstage_find(const struct kt_gstage *stage, const char *name);
/* As find; an error when there is none. */
int kt_gstage_need(const struct kt_gstage *stage, const char *name,
		   struct kt_gstage_cgroup **cgroup, struct kt_err *err);
/* Makes it, with its limits, and starts its crews: they gather. text gets "cg_0: 2 spin, cpuset llc(0) = 0-3". */
int kt_gstage_make(struct kt_gstage *stage, const struct kt_msg_cgroup *what, size_t owner,
		   struct kt_buf *text, struct kt_err *err);
/* NULL clears. text gets "llc(0) = 0-3", what its tasks may use when that is less, too. */
int kt_gstage_set_cpus(struct kt_gstage *stage, struct kt_gstage_cgroup *cgroup,
		       const struct kt_msg_cpuset *spec, struct kt_buf *text, struct kt_err *err);
int kt_gstage_swap_cpus(struct kt_gstage *stage, struct kt_gstage_cgroup *one,
			struct kt_gstage_cgroup *other, struct kt_buf *text, struct kt_err *err);
int kt_gstage_freeze(struct kt_gstage_cgroup *cgroup, bool freeze, struct kt_err *err);
/* It or one above it was told to be. */
bool kt_gstage_is_frozen(const struct kt_gstage *stage, const struct kt_gstage_cgroup *cgroup);

/* Cpusets may have changed, because CPUs came or went: reports tell all CPUs that their workers had. */
void kt_gstage_see_cpus(struct kt_gstage *stage);

/* ---- crews ---- */

/* More workers in a cgroup that is there. They gather. n: how many. */
int kt_gstage_spawn(struct kt_gstage *stage, struct kt_gstage_cgroup *cgroup,
		    const struct kt_msg_group *group, size_t owner, uint32_t *n,
		    struct kt_err *err);
/* A payload of the run, in a cgroup or (NULL) beside them all. It waits at its gate. */
int kt_gstage_run(struct kt_gstage *stage, const char *payload, struct kt_gstage_cgroup *cgroup,
		  size_t owner, struct kt_err *err);
/* 1 when every worker is at its gate, 0 while not; negative when one never will be (kt_gcrew_trouble). */
int kt_gstage_is_ready(struct kt_gstage *stage, struct kt_err *err);
/* "3 of 4 workers came to the gate": for when it took too long. Returns text. */
char *kt_gstage_describe_gate(const struct kt_gstage *stage, char *text, size_t size);
void kt_gstage_go(struct kt_gstage *stage, int64_t now_ns); /* opens every gate */
/* Workers in the cgroup and below it. n: how many were told, how many were moved. */
int kt_gstage_set_affinity(struct kt_gstage *stage, const struct kt_gstage_cgroup *cgroup,
			   const struct kt_cpuset *cpus, size_t *n, struct kt_err *err);
int kt_gstage_move_all(struct kt_gstage *stage, struct kt_gstage_cgroup *from,
		       struct kt_gstage_cgroup *to, size_t *n, struct kt_err *err);

/* ---- leaving ---- */

/* Each tells those that are to go; kt_gstage_look() sees them go. */
size_t kt_gstage_stop(struct kt_gstage *stage, const struct kt_gstage_cgroup *cgroup,
		      int64_t now_ns); /* in it and below: how many workers */
void kt_gstage_remove(struct kt_gstage *stage, struct kt_gstage_cgroup *cgroup, int64_t now_ns);
void kt_gstage_end(struct kt_gstage *stage, size_t owner, int64_t now_ns); /* the act ends */
void kt_gstage_end_all(struct kt_gstage *stage, int64_t now_ns);

/* Takes reports of crews that ended and removes cgroups that are going. How much is still to go: workers that
 * stop and cgroups that have somebody in them.
 */
size_t kt_gstage_look(struct kt_gstage *stage, int64_t now_ns);
/* "2 of 3 workers of cg_0 did not stop": for when it took too long. Returns text. */
char *kt_gstage_describe_rest(const struct kt_gstage *stage, char *text, size_t size);
bool kt_gstage_reaped(struct kt_gstage *stage, pid_t pid, int wait_status);
struct pollfd kt_gstage_fd(const struct kt_gstage *stage);
/* What happens by itself: payloads print and end. */
void kt_gstage_step(struct kt_gstage *stage, int64_t now_ns);
int64_t kt_gstage_due_ns(const struct kt_gstage *stage, int64_t now_ns); /* INT64_MAX: never */

#endif
