#include "worker/guest/gcrew.h"
#include "worker/guest/gcgroup.h"
#include "worker/guest/gsettle.h"
#include "worker/guest/sysfile.h"

#include "proto/base/must.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- start ---- */

static int check(const struct kt_gcrew_spec *spec, struct kt_err *err)
{
	if (!kt_work_by_name(spec->group->work))
		return kt_err_set(err, KT_FAULT_PEER, EINVAL, "there is no work type %.100s",
				  spec->group->work);
	if (!kt_gsettle_policy_ok(spec->group->policy))
		return kt_err_set(err, KT_FAULT_PEER, EINVAL, "there is no policy %.32s",
				  spec->group->policy);
	if (spec->workers > KT_WORKERS_MAX)
		return kt_err_set(err, KT_FAULT_PEER, E2BIG, "%u workers, at most %d",
				  spec->workers, KT_WORKERS_MAX);
	return 0;
}

static int map_shared(struct kt_gcrew *crew, struct kt_err *err)
{
	void *memory;

	crew->shared_bytes = sizeof(struct kt_gworker_shared) +
			     crew->spec.workers * sizeof(struct kt_gworker_slot);
	memory = mmap(NULL, crew->shared_bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS,
		      -1, 0);
	if (memory == MAP_FAILED)
		return kt_err_sys(err, KT_FAULT_GUEST, errno, "memory for %u workers",
				  crew->spec.workers);
	crew->shared = memory;
	return 0;
}

static int fork_worker(struct kt_gcrew *crew, struct kt_err *err)
{
	const struct kt_gcrew_spec *spec = &crew->spec;
	uint64_t number = spec->first + crew->n_workers;
	const struct kt_gworker_order order = {
		.group = spec->group,
		.affinity = spec->affinity,
		.work = kt_work_by_name(spec->group->work)->id,
		.seed = spec->seed + number * 2 + 1,
		.slot = crew->n_workers,
		.ready_fd = spec->ready_fd,
		.shared = crew->shared,
	};
	pid_t pid = fork();

	if (pid < 0)
		return kt_err_sys(err, KT_FAULT_GUEST, errno, "forking worker %zu of %s",
				  crew->n_workers, spec->cgroup);
	if (pid == 0)
		kt_gworker_run(&order);
	crew->workers[crew->n_workers++].pid = pid;
	return *spec->cgroup ? kt_gcgroup_move(spec->cgroup, pid, err) : 0;
}

static int fill(struct kt_gcrew *crew, struct kt_err *err)
{
	int status = map_shared(crew, err);

	for (uint32_t i = 0; status == 0 && i < crew->spec.workers; i++)
		status = fork_worker(crew, err);
	if (status < 0)
		return status;
	kt_gcrew_see_cpus(crew, crew->spec.cgroup);
	kt_gworker_open(crew->shared, KT_GWORKER_PLACED);
	return 0;
}

int kt_gcrew_start(const struct kt_gcrew_spec *spec, struct kt_gcrew **crew_p, struct kt_err *err)
{
	struct kt_gcrew *crew;
	int status = check(spec, err);

	*crew_p = NULL;
	if (status < 0)
		return status;
	crew = kt_must_calloc(1, sizeof(*crew));
	crew->spec = *spec;
	if (spec->affinity) {
		crew->affinity = *spec->affinity;
		crew->spec.affinity = &crew->affinity;
	}
	crew->workers = kt_must_calloc(spec->workers + 1u, sizeof(*crew->workers));
	status = fill(crew, err);
	if (status < 0)
		kt_gcrew_destroy(&crew);
	*crew_p = crew;
	return status;
}

/* ---- how it goes ---- */

size_t kt_gcrew_ready(const struct kt_gcrew *crew)
{
	size_t n = 0;

	for (size_t i = 0; i < crew->n_workers; i++)
		n += atomic_load(&crew->shared->slots[i].is_ready);
	return n;
}

size_t kt_gcrew_alive(const struct kt_gcrew *crew)
{
	size_t n = 0;

	for (size_t i = 0; i < crew->n_workers; i++)
		n += crew->workers[i].pid != 0;
	return n;
}

static const char *how_it_ended(int wait_status, char *text, size_t size)
{
	if (WIFSIGNALED(wait_status))
		snprintf(text, size, "it was ended by signal %d (%s)", WTERMSIG(wait_status),
			 strsignal(WTERMSIG(wait_status)));
	else
		snprintf(text, size, "it ended with status %d", WEXITSTATUS(wait_status));
	return text;
}

int kt_gcrew_trouble(const struct kt_gcrew *crew, struct kt_err *err)
{
	int code = atomic_load(&crew->shared->trouble_code);
	char text[128];

	if (code)
		return kt_err_set(err, KT_FAULT_GUEST, code, "%s: %s", crew->spec.cgroup,
				  crew->shared->trouble);
	if (atomic_load(&crew->shared->gate) == KT_GWORKER_OPEN)
		return 0;
	for (size_t i = 0; i < crew->n_workers; i++)
		if (!crew->workers[i].pid)
			return kt_err_set(err, KT_FAULT_GUEST, ESRCH,
					  "%s: worker %zu did not come to the gate: %s",
					  crew->spec.cgroup, (size_t)crew->spec.first + i,
					  how_it_ended(crew->workers[i].wait_status, text,
						       sizeof(text)));
	return 0;
}

void kt_gcrew_go(struct kt_gcrew *crew)
{
	kt_gworker_open(crew->shared, KT_GWORKER_OPEN);
}

void kt_gcrew_stop(struct kt_gcrew *crew)
{
	atomic_store(&crew->shared->must_stop, true);
}

void kt_gcrew_kill(struct kt_gcrew *crew)
{
	for (size_t i = 0; i < crew->n_workers; i++)
		if (crew->workers[i].pid)
			kill(crew->workers[i].pid, SIGKILL);
}

bool kt_gcrew_reaped(struct kt_gcrew *crew, pid_t pid, int wait_status)
{
	for (size_t i = 0; i < crew->n_workers; i++) {
		if (crew->workers[i].pid != pid)
			continue;
		crew->workers[i] = (struct kt_gcrew_worker){ .wait_status = wait_status };
		return true;
	}
	return false;
}

/* ---- what it did ---- */

void kt_gcrew_see_cpus(struct kt_gcrew *crew, const char *cgroup)
{
	char path[sizeof(KT_GCGROUP_ROOT) + KT_NAME_BYTES_MAX + 32];
	char text[KT_CPUSET_TEXT_BYTES];
	struct kt_cpuset now;

	if (!*cgroup)
		return;
	snprintf(path, sizeof(path), KT_GCGROUP_ROOT "/%s/cpuset.cpus.effective", cgroup);
	if (kt_sysfile_read(path, text, sizeof(text)) <= 0 || kt_cpuset_parse(text, &now) < 0)
		return; /* no cpuset controller: then nothing is known, and nothing is said */
	for (size_t i = 0; i < KT_CPUSET_WORDS; i++)
		crew->allowed.words[i] |= now.words[i];
}

static const char *why_missing(const struct kt_gcrew_worker *worker, struct kt_arena *arena)
{
	char text[128];

	if (worker->pid)
		return "it did not stop in time and was killed";
	return kt_arena_strdup(arena, how_it_ended(worker->wait_status, text, sizeof(text)));
}

static void report_slot(const struct kt_gworker_slot *slot, struct kt_msg_worker_report *report)
{
	report->work_units = slot->work_units;
	report->wall_ns = slot->wall_ns;
	report->cpu_ns = slot->cpu_ns;
	report->gap_ns_max = slot->gap_ns_max;
	report->migrations = slot->migrations;
	report->run_delay_ns = slot->run_delay_ns;
}

size_t kt_gcrew_report(struct kt_gcrew *crew, int64_t anchor_ns, struct kt_arena *arena,
		       struct kt_msg_worker_report *reports)
{
	const struct kt_gcrew_spec *spec = &crew->spec;
	const char *cgroup = kt_arena_strdup(arena, spec->cgroup);
	char text[KT_CPUSET_TEXT_BYTES];
	const char *allowed;
	size_t n_missing = 0;

	(void)anchor_ns;
	kt_gcrew_see_cpus(crew, spec->cgroup);
	allowed = kt_arena_strdup(arena, kt_cpuset_print(&crew->allowed, text));
	for (size_t i = 0; i < crew->n_workers; i++) {
		const struct kt_gworker_slot *slot = &crew->shared->slots[i];

		reports[i] = (struct kt_msg_worker_report){
			.cgroup = cgroup,
			.index = spec->first + i,
			.missing = "",
			.work = kt_work_by_name(spec->group->work)->name,
			.group = spec->number,
			.step = spec->step,
			.cpus_used = "",
			.cpus_allowed = allowed,
		};
		if (atomic_load(&slot->is_reported)) {
			report_slot(slot, &reports[i]);
			continue;
		}
		reports[i].missing = why_missing(&crew->workers[i], arena);
		n_missing++;
	}
	return n_missing;
}

/* ---- the end ---- */

void kt_gcrew_destroy(struct kt_gcrew **crew_p)
{
	struct kt_gcrew *crew = *crew_p;

	*crew_p = NULL;
	if (!crew)
		return;
	kt_gcrew_kill(crew);
	if (crew->shared)
		munmap(crew->shared, crew->shared_bytes);
	free(crew->workers);
	free(crew);
}
