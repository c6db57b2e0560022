#include "worker/guest/gstall.h"
#include "worker/guest/gcgroup.h"
#include "worker/guest/gprocstat.h"
#include "worker/guest/sysfile.h"

#include "proto/base/must.h"
#include "proto/job.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#define SLOTS        (2 * KT_WORKERS_MAX) /* a power of two; beyond KT_WORKERS_MAX pids all begin anew */
#define SUSPECT_NS   (500 * KT_NS_PER_MS) /* from here on its cgroup is asked, too */
#define MARGIN_NS    (2 * KT_NS_PER_S) /* for sched_ext's watchdog to be heard of */
/* With cpu.max a worker may rightly wait for the end of a period, 1 s at most, and for its turn in the next. */
#define LIMITED_NS   (2500 * KT_NS_PER_MS)
#define EVIDENCE_MAX 100 /* workers in it */

int64_t kt_gstall_feed(struct kt_gstall_watch *watch, const struct kt_gstall_seen *seen,
		       int64_t now_ns)
{
	bool has_run = seen->run_ns != watch->run_ns || seen->runs != watch->runs;

	watch->run_ns = seen->run_ns;
	watch->runs = seen->runs;
	if (has_run || seen->state != 'R' || seen->is_held)
		watch->since_ns = 0;
	else if (watch->since_ns == 0)
		watch->since_ns = now_ns;
	return watch->since_ns ? now_ns - watch->since_ns : 0;
}

/* ---- looking ---- */

/* "<ns on a CPU> <ns runnable> <times>": Documentation/scheduler/sched-stats.rst */
static bool look_at_runs(pid_t pid, struct kt_gstall_seen *seen)
{
	char path[64];
	char text[128];

	snprintf(path, sizeof(path), "/proc/%d/schedstat", (int)pid);
	return kt_sysfile_read(path, text, sizeof(text)) >= 0 &&
	       sscanf(text, "%" SCNu64 " %*u %" SCNu64, &seen->run_ns, &seen->runs) == 2;
}

static bool look_at_state(pid_t pid, struct kt_gstall_seen *seen)
{
	struct kt_gprocstat stat;
	char path[64];
	char text[KT_GPROCSTAT_BYTES];

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	if (kt_sysfile_read(path, text, sizeof(text)) < 0 || !kt_gprocstat_parse(text, &stat))
		return false;
	seen->state = stat.state;
	seen->cpu = stat.cpu;
	return true;
}

static struct kt_gstall_watch *watch_of(struct kt_gstall *stall, pid_t pid)
{
	size_t at = (size_t)pid * 2654435761u % SLOTS;

	for (size_t n = 0; n < SLOTS / 2; n++, at = (at + 1) % SLOTS) {
		if (stall->watches[at].pid == pid)
			return &stall->watches[at];
		if (stall->watches[at].pid == 0)
			break;
	}
	if (stall->watches[at].pid != 0) {
		memset(stall->watches, 0, SLOTS * sizeof(*stall->watches));
		at = (size_t)pid * 2654435761u % SLOTS;
	}
	stall->watches[at].pid = pid;
	return &stall->watches[at];
}

/* May it run at all? Asked of few: those that seem to wait. */
static bool is_held(struct kt_gstall_watch *watch, const struct kt_gstage *stage,
		    const struct kt_gstage_crew *crew, int64_t waited_ns)
{
	const char *name = crew->where ? crew->where->name : crew->crew->spec.cgroup;
	uint64_t throttled = 0;
	bool is_limited;
	bool was_throttled;

	if (crew->where && kt_gstage_is_frozen(stage, crew->where))
		return true;
	is_limited = kt_gcgroup_throttled(name, &throttled);
	was_throttled = throttled != watch->throttled;
	watch->throttled = throttled;
	return is_limited && (was_throttled || waited_ns < LIMITED_NS);
}

static int64_t look(struct kt_gstall *stall, const struct kt_gstage *stage,
		    const struct kt_gstage_crew *crew, pid_t pid, struct kt_gstall_seen *seen)
{
	struct kt_gstall_watch *watch = watch_of(stall, pid);
	int64_t waited_ns;

	*seen = (struct kt_gstall_seen){ .state = '?' };
	if (!look_at_runs(pid, seen))
		return 0;
	/* What one that ran does now is not worth a second file. */
	if (seen->run_ns == watch->run_ns && seen->runs == watch->runs)
		look_at_state(pid, seen);
	waited_ns = kt_gstall_feed(watch, seen, stall->observed_ns);
	if (waited_ns < SUSPECT_NS)
		return waited_ns;
	seen->is_held = is_held(watch, stage, crew, waited_ns);
	return kt_gstall_feed(watch, seen, stall->observed_ns);
}

/* ---- a worker that waits too long ---- */

static const char *home_of(const struct kt_gstage_crew *crew)
{
	return crew->crew->spec.cgroup;
}

static void tell_others(struct kt_gstall *stall, const struct kt_gstage *stage)
{
	struct kt_gstall_seen seen;
	size_t n = 0;

	for (const struct kt_gstage_crew *crew = stage->crews; crew; crew = crew->next) {
		for (size_t i = 0; i < crew->crew->n_workers; i++) {
			pid_t pid = crew->crew->workers[i].pid;

			seen = (struct kt_gstall_seen){ .state = '?' };
			if (!pid || n++ >= EVIDENCE_MAX || !look_at_runs(pid, &seen))
				continue;
			look_at_state(pid, &seen);
			kt_buf_printf(&stall->evidence,
				      "worker %" PRIu64 " of %s (%s, pid %d): state %c, CPU %d, "
				      "ran %.3f s in %" PRIu64 " times\n",
				      crew->crew->spec.first + i, home_of(crew),
				      crew->crew->spec.group->work, (int)pid, seen.state, seen.cpu,
				      (double)seen.run_ns / 1e9, seen.runs);
		}
	}
	if (n > EVIDENCE_MAX)
		kt_buf_printf(&stall->evidence, "and %zu more\n", n - EVIDENCE_MAX);
}

static void tell(struct kt_gstall *stall, const struct kt_gstage *stage,
		 const struct kt_gstage_crew *crew, size_t i, const struct kt_gstall_seen *seen,
		 int64_t waited_ns, bool is_kernels_own)
{
	stall->cause = is_kernels_own ? KT_CAUSE_ID_workload_stuck : KT_CAUSE_ID_scheduler_stalled;
	snprintf(stall->line, sizeof(stall->line),
		 "worker %" PRIu64 " of %s (%s, pid %d) was runnable and did not run for %.1f s, "
		 "it last ran on CPU %d; %s",
		 crew->crew->spec.first + i, home_of(crew), crew->crew->spec.group->work,
		 (int)crew->crew->workers[i].pid, (double)waited_ns / 1e9, seen->cpu,
		 is_kernels_own ? "no sched_ext scheduler is loaded"
				: "sched_ext's own watchdog has not spoken");
	kt_buf_reset(&stall->evidence);
	kt_buf_puts(&stall->evidence, "--- workers\n");
	tell_others(stall, stage);
}

/* ---- rounds ---- */

void kt_gstall_begin(struct kt_gstall *stall, const struct kt_msg_scenario *scenario)
{
	const struct kt_msg_scenario unknown = { 0 }; /* no watchdog: sched_ext's longest counts */

	kt_gstall_end(stall);
	stall->limit_ns =
		scenario->stall_ns ? scenario->stall_ns : kt_job_stall_ns(scenario) + MARGIN_NS;
	stall->kernels_limit_ns =
		scenario->stall_ns ? scenario->stall_ns : kt_job_stall_ns(&unknown) + MARGIN_NS;
	stall->watches = kt_must_calloc(SLOTS, sizeof(*stall->watches));
	stall->observed_ns = 1;
}

void kt_gstall_end(struct kt_gstall *stall)
{
	free(stall->watches);
	stall->watches = NULL;
	stall->looked_ns = 0;
	stall->next = 0;
}

static int64_t round_ns(const struct kt_gstall *stall)
{
	int64_t ns = stall->limit_ns / 20;

	return ns < KT_GSTALL_ROUND_NS_MIN   ? KT_GSTALL_ROUND_NS_MIN
	       : ns > KT_GSTALL_ROUND_NS_MAX ? KT_GSTALL_ROUND_NS_MAX
					     : ns;
}

int64_t kt_gstall_due_ns(const struct kt_gstall *stall)
{
	return stall->watches ? stall->looked_ns + round_ns(stall) : INT64_MAX;
}

static size_t count(const struct kt_gstage *stage)
{
	size_t n = 0;

	for (const struct kt_gstage_crew *crew = stage->crews; crew; crew = crew->next)
		n += crew->crew->n_workers;
	return n;
}

/* Of all workers in a row the n-th: its crew, and *i within it. */
static const struct kt_gstage_crew *find(const struct kt_gstage *stage, size_t n, size_t *i)
{
	const struct kt_gstage_crew *crew = stage->crews;

	while (crew && n >= crew->crew->n_workers) {
		n -= crew->crew->n_workers;
		crew = crew->next;
	}
	*i = n;
	return crew;
}

static void pass_time(struct kt_gstall *stall, int64_t now_ns)
{
	int64_t span_ns = now_ns - stall->looked_ns;
	int64_t most_ns = 3 * round_ns(stall);

	if (stall->looked_ns)
		stall->observed_ns += span_ns < most_ns ? span_ns : most_ns;
	stall->looked_ns = now_ns;
}

bool kt_gstall_step(struct kt_gstall *stall, const struct kt_gstage *stage, bool is_kernels_own,
		    int64_t now_ns)
{
	int64_t limit_ns = is_kernels_own ? stall->kernels_limit_ns : stall->limit_ns;
	size_t n = count(stage);
	size_t looks_max = n / 10 + 1 > KT_GSTALL_LOOKS_MIN ? n / 10 + 1 : KT_GSTALL_LOOKS_MIN;

	if (now_ns < kt_gstall_due_ns(stall))
		return false;
	pass_time(stall, now_ns);
	for (size_t looks = 0; looks < n && looks < looks_max; looks++) {
		size_t i;
		const struct kt_gstage_crew *crew = find(stage, stall->next++ % n, &i);
		pid_t pid = crew->crew->workers[i].pid;
		struct kt_gstall_seen seen;
		int64_t waited_ns = pid ? look(stall, stage, crew, pid, &seen) : 0;

		if (waited_ns >= limit_ns) {
			tell(stall, stage, crew, i, &seen, waited_ns, is_kernels_own);
			return true;
		}
	}
	return false;
}
