/* watched.h - a crew at work on this machine, watched through /proc: what the kernel says that its workers did.
 *
 * Claims are about what a worker did with the time that it got, not about how much that was: this machine may be
 * busy with other things. Where it matters who runs beside whom, all workers are tied to one CPU.
 */
#ifndef WATCHED_H
#define WATCHED_H

#include "tests/unit/worker/guest/crewed.h"

#include "proto/base/duration.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/file.h>

#define WATCHED_PARAMS_MAX 8

struct watched_worker {
	uint64_t yielded; /* nonvoluntary context switches: preempted, or sched_yield() */
	uint64_t slept; /* voluntary ones */
	uint64_t faults; /* minor page faults */
	uint64_t child_faults; /* of children that it waited for */
	uint64_t read_bytes; /* by system calls, whatever the file */
	uint64_t written_bytes;
	uint64_t writes; /* system calls */
};

struct watched {
	bool is_enough; /* look has seen what it wanted: need not go on to the end */
	struct crewed crewed;
	struct kt_msg_worker_report *reports; /* of crewed */
	struct watched_worker
		workers[CREWED_WORKERS_MAX]; /* from the gate to right before the stop */
	int64_t asleep_ns[CREWED_WORKERS_MAX]; /* neither on a CPU nor waiting for one */
};

struct watched_case {
	const char *work;
	const char *params; /* "run=100us stride=64" */
	uint32_t workers;
	bool is_tied; /* all to one CPU */
	int64_t ms; /* how long they work, at least */
	uint64_t units; /* and until each has done so many, on a machine that may be busy; 0: 1 */
	void (*look)(struct watched *watched); /* again and again while they work; may be NULL */
	const struct kt_msg_group *group; /* what else the group says; may be NULL */
};

/* Until the process ends: no other test that asks for it runs at the same time. For those whose real-time workers
 * take a CPU away from everybody.
 */
static inline void watched_alone(void)
{
	static int fd = -1;
	char path[64];

	snprintf(path, sizeof(path), "/tmp/ktcoord_tests_real_time_%u", (unsigned int)geteuid());
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	cr_assert(fd >= 0 && flock(fd, LOCK_EX) == 0);
}

static inline uint64_t watched_number(pid_t pid, const char *file, const char *key)
{
	char path[64];
	char line[512];
	uint64_t number = 0;
	FILE *in;

	snprintf(path, sizeof(path), "/proc/%d/%s", (int)pid, file);
	in = fopen(path, "r");
	while (in && fgets(line, sizeof(line), in))
		if (strncmp(line, key, strlen(key)) == 0)
			number = strtoull(line + strlen(key), NULL, 10);
	if (in)
		fclose(in);
	return number;
}

/* proc(5): minflt is the 10th, cminflt the 11th number of /proc/<pid>/stat. */
static inline void watched_faults(pid_t pid, struct watched_worker *worker)
{
	char path[64];
	char line[1024] = "";
	FILE *in;
	const char *rest;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	in = fopen(path, "r");
	if (!in)
		return;
	if (fgets(line, sizeof(line), in) && (rest = strrchr(line, ')')) != NULL)
		cr_assert_eq(sscanf(rest, ") %*c %*d %*d %*d %*d %*d %*u %" SCNu64 " %" SCNu64,
				    &worker->faults, &worker->child_faults),
			     2);
	fclose(in);
}

static inline struct watched_worker watched_read(pid_t pid)
{
	struct watched_worker worker = {
		.yielded = watched_number(pid, "status", "nonvoluntary_ctxt_switches:"),
		.slept = watched_number(pid, "status", "voluntary_ctxt_switches:"),
		.read_bytes = watched_number(pid, "io", "rchar:"),
		.written_bytes = watched_number(pid, "io", "wchar:"),
		.writes = watched_number(pid, "io", "syscw:"),
	};

	watched_faults(pid, &worker);
	return worker;
}

static inline struct watched_worker watched_since(const struct watched_worker *now,
						  const struct watched_worker *before)
{
	return (struct watched_worker){
		.yielded = now->yielded - before->yielded,
		.slept = now->slept - before->slept,
		.faults = now->faults - before->faults,
		.child_faults = now->child_faults - before->child_faults,
		.read_bytes = now->read_bytes - before->read_bytes,
		.written_bytes = now->written_bytes - before->written_bytes,
		.writes = now->writes - before->writes,
	};
}

/* text is cut up. */
static inline size_t watched_params(char *text, struct kt_msg_param params[WATCHED_PARAMS_MAX])
{
	size_t n = 0;
	char *rest;

	for (char *word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
		char *value = strchr(word, '=');

		cr_assert_not_null(value);
		cr_assert_lt(n, WATCHED_PARAMS_MAX);
		*value++ = 0;
		params[n].name = word;
		if (!kt_duration_parse(value, &params[n].value))
			params[n].value = strtoll(value, NULL, 10);
		n++;
	}
	return n;
}

static inline pid_t watched_pid(const struct watched *watched, size_t worker)
{
	return watched->crewed.crew->workers[worker].pid;
}

/* Up to the gate. 0, or what is in the way: -EPERM where this machine does not let it. */
static inline int watched_gather(struct watched *watched, const struct watched_case *what,
				 struct kt_err *err)
{
	static const struct kt_cpuset first_cpu = { .words = { 1 } };
	static struct kt_msg_param params[WATCHED_PARAMS_MAX];
	static struct kt_msg_group group;
	static char text[256];
	struct kt_gcrew_spec spec = {
		.cgroup = "",
		.group = &group,
		.workers = what->workers,
		.affinity = what->is_tied ? &first_cpu : NULL,
		.seed = 7,
	};

	*watched = (struct watched){ 0 };
	group = what->group ? *what->group : crewed_group(what->work);
	group.work = what->work;
	snprintf(text, sizeof(text), "%s", what->params ? what->params : "");
	group.params = params;
	group.n_params = watched_params(text, params);
	watched->reports = watched->crewed.reports;
	return crewed_gather(&watched->crewed, &spec, err);
}

/* Live: before the reports. */
static inline uint64_t watched_units(const struct watched *watched, size_t worker)
{
	const volatile struct kt_gmeter_sums *sums = &watched->crewed.crew->slots[worker].sums;

	return sums->units;
}

static inline bool watched_is_done(const struct watched *watched, const struct watched_case *what)
{
	if (watched->is_enough)
		return true;
	if (kt_gtime_now_ns() < watched->crewed.anchor_ns + what->ms * KT_NS_PER_MS)
		return false;
	for (uint32_t i = 0; i < what->workers; i++)
		if (watched_units(watched, i) < (what->units ? what->units : 1))
			return kt_gtime_now_ns() > watched->crewed.anchor_ns + CREWED_PATIENCE_NS;
	return true;
}

/* From the gate to the reports. */
static inline void watched_work(struct watched *watched, const struct watched_case *what)
{
	struct watched_worker before[CREWED_WORKERS_MAX];

	for (uint32_t i = 0; i < what->workers; i++)
		before[i] = watched_read(watched_pid(watched, i));
	crewed_go(&watched->crewed);
	while (!watched_is_done(watched, what)) {
		if (what->look)
			what->look(watched);
		usleep(500);
	}
	for (uint32_t i = 0; i < what->workers; i++) {
		struct watched_worker now = watched_read(watched_pid(watched, i));

		watched->workers[i] = watched_since(&now, &before[i]);
	}
	crewed_stop(&watched->crewed);
	cr_assert_eq(watched->crewed.n_missing, 0, "%s", what->work);
	for (uint32_t i = 0; i < what->workers; i++) {
		const struct kt_msg_worker_report *report = &watched->reports[i];

		watched->asleep_ns[i] = report->wall_ns - report->cpu_ns - report->run_delay_ns;
		cr_assert_geq(report->work_units, what->units ? what->units : 1,
			      "worker %u of %s %s: %" PRIu64 " rounds", i, what->work,
			      what->params ? what->params : "", report->work_units);
	}
}

/* All of it. False, with a line on stderr, where this machine does not let it; then call watched_end all the same. */
static inline bool watched_run(struct watched *watched, const struct watched_case *what)
{
	struct kt_err err = { 0 };
	int status = watched_gather(watched, what, &err);

	if (status == -EPERM || status == -EACCES || status == -EROFS) {
		fprintf(stderr, "%s is not tested: %s\n", what->work, err.text);
		return false;
	}
	cr_assert_eq(status, 0, "%s", err.text);
	watched_work(watched, what);
	return true;
}

static inline void watched_end(struct watched *watched)
{
	crewed_end(&watched->crewed);
}

#endif
