/* grqlat.h - the run queue probe of a scenario: its program, and the histograms by the names of cgroups.
 *
 *	OFF -> STARTING -> READY -> COUNTING -> ENDING -> OVER
 *	          `---------`---------`----------`-----> FAILED
 *
 * kt_rqlat (bpf/rqlat.c) is started before the scenario, so that it counts from the anchor on. It runs under
 * SCHED_FIFO: no scheduler under test decides when. Where it cannot be started, or the kernel does not let it in,
 * the scenario runs all the same, and `why` says it.
 * A cgroup is known by its id, which is its inode; it may be gone when the counts come, so the id is remembered
 * under its name when it is made. What runs elsewhere, and in cgroups that are too many, is counted together.
 * Nothing here waits.
 */
#ifndef KT_GRQLAT_H
#define KT_GRQLAT_H

#include "proto/schema.h"

#include <sys/types.h>

#define KT_GRQLAT_PROGRAM   "/kt/bin/kt_rqlat"
#define KT_GRQLAT_START_NS  (20 * KT_NS_PER_S) /* the verifier, under TCG */
#define KT_GRQLAT_END_NS    (5 * KT_NS_PER_S)
#define KT_GRQLAT_NAMES_MAX 4096 /* cgroups that are remembered */

enum kt_grqlat_state {
	KT_GRQLAT_OFF,
	KT_GRQLAT_STARTING,
	KT_GRQLAT_READY,
	KT_GRQLAT_COUNTING,
	KT_GRQLAT_ENDING,
	KT_GRQLAT_OVER,
	KT_GRQLAT_FAILED,
};

struct kt_grqlat_name {
	uint64_t id;
	const char *name;
};

struct kt_grqlat {
	enum kt_grqlat_state state;
	pid_t pid; /* 0: none */
	int in_fd; /* of the program: its end tells it to tell */
	int out_fd; /* its stdout and stderr */
	int64_t due_ns; /* of this state */
	struct kt_buf line; /* the one that has no end yet */
	char why[256]; /* FAILED: the last thing that it said, or what we could not do */
	struct kt_arena arena; /* names, reports */
	struct kt_grqlat_name *names; /* KT_GRQLAT_NAMES_MAX; NULL when OFF */
	size_t n_names;
	struct kt_msg_latency_report *reports; /* OVER: KT_CGROUPS_MAX at most, by name */
	size_t n_reports;
};

void kt_grqlat_init(struct kt_grqlat *grqlat);
/* Begins anew: forgets what was before. */
void kt_grqlat_start(struct kt_grqlat *grqlat, const char *program, int64_t now_ns);
/* A cgroup was made; ignored when OFF. */
void kt_grqlat_name(struct kt_grqlat *grqlat, uint64_t id, const char *name);
bool kt_grqlat_is_settled(const struct kt_grqlat *grqlat); /* not STARTING any more */
void kt_grqlat_count(struct kt_grqlat *grqlat); /* from here on; when READY */
void kt_grqlat_end(struct kt_grqlat *grqlat, int64_t now_ns); /* asks for what was counted */
bool kt_grqlat_is_over(const struct kt_grqlat *grqlat); /* nothing more will come */
void kt_grqlat_stop(struct kt_grqlat *grqlat); /* kills it; OFF */

void kt_grqlat_reaped(struct kt_grqlat *grqlat, pid_t pid, int wait_status);
/* Reads what it says, looks at the clock. */
void kt_grqlat_step(struct kt_grqlat *grqlat, int64_t now_ns);
int64_t kt_grqlat_due_ns(const struct kt_grqlat *grqlat); /* INT64_MAX: never */

/* Pure. "ID TOTAL SUM_NS I:COUNT ...": false when the line is none. buckets: room for 64. */
bool kt_grqlat_parse(const char *line, uint64_t *id, struct kt_msg_latency_report *report);

#endif
