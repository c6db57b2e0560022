#include "worker/guest/gcrew.h"
#include "worker/guest/gcgroup.h"
#include "worker/guest/gsettle.h"

#include "proto/base/must.h"
#include "proto/rank.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

/* ---- start ---- */

/* What the group asks for, against the tables: the coordinator has done this before, a guest trusts nobody. */
static int read_group(struct kt_gcrew *crew, struct kt_err *err)
{
	const struct kt_msg_group *group = crew->spec.group;
	int status;

	crew->work = kt_work_by_name(group->work);
	if (!crew->work)
		return kt_err_set(err, KT_FAULT_PEER, EINVAL, "there is no work type %.100s",
				  group->work);
	if (!kt_gsettle_policy_ok(group->policy))
		return kt_err_set(err, KT_FAULT_PEER, EINVAL, "there is no policy %.32s",
				  group->policy);
	if (crew->spec.workers > KT_WORKERS_MAX)
		return kt_err_set(err, KT_FAULT_PEER, E2BIG, "%u workers, at most %d",
				  crew->spec.workers, KT_WORKERS_MAX);
	status = kt_gwork_params(crew->work, group->params, group->n_params, crew->params, err);
	if (status < 0)
		return status;
	crew->team_size = kt_gwork_team_size(crew->work, crew->params);
	if (crew->spec.workers % crew->team_size)
		return kt_err_set(err, KT_FAULT_PEER, EINVAL,
				  "%s: %u workers that do %s, %u of which work together",
				  crew->spec.cgroup, crew->spec.workers, crew->work->name,
				  crew->team_size);
	return 0;
}

static size_t aligned(size_t bytes)
{
	return (bytes + 63) / 64 * 64;
}

/* PID 1 locks all its memory, and mmap(2) then fills what it maps at once (MCL_FUTURE): but not what cannot
 * be touched, and what is unlocked stays so.
 */
static void *map_lazily(size_t bytes)
{
	void *memory =
		mmap(NULL, bytes, PROT_NONE, MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	if (memory == MAP_FAILED)
		return NULL;
	if (munlock(memory, bytes) == 0 && mprotect(memory, bytes, PROT_READ | PROT_WRITE) == 0)
		return memory;
	munmap(memory, bytes);
	return NULL;
}

static int map_shared(struct kt_gcrew *crew, struct kt_err *err)
{
	const struct kt_gwork *work = kt_gwork(crew->work->id);
	size_t n = crew->spec.workers;
	size_t slots_at = aligned(sizeof(struct kt_gworker_shared));
	size_t teams_at = slots_at + n * sizeof(struct kt_gworker_slot);
	size_t kept_at;
	char *memory;

	crew->team_bytes = aligned(work->team_bytes + crew->team_size * work->member_bytes);
	kept_at = teams_at + n / crew->team_size * crew->team_bytes;
	crew->kept_max = n ? KT_GCREW_KEPT_BYTES / sizeof(int64_t) / n : 0;
	if (crew->kept_max > KT_GMETER_KEPT_MAX)
		crew->kept_max = KT_GMETER_KEPT_MAX;
	if (crew->kept_max < KT_GCREW_KEPT_MIN)
		crew->kept_max = KT_GCREW_KEPT_MIN;
	crew->shared_bytes = kept_at + n * crew->kept_max * sizeof(int64_t);
	memory = map_lazily(crew->shared_bytes);
	if (!memory)
		return kt_err_sys(err, KT_FAULT_GUEST, errno, "memory for %zu workers", n);
	crew->shared = (void *)memory;
	crew->slots = (void *)(memory + slots_at);
	crew->teams = memory + teams_at;
	crew->kept = (void *)(memory + kept_at);
	return 0;
}

static int fork_worker(struct kt_gcrew *crew, const int *pipes, struct kt_err *err)
{
	const struct kt_gcrew_spec *spec = &crew->spec;
	size_t slot = crew->n_workers;
	const struct kt_gworker_order order = {
		.group = spec->group,
		.affinity = spec->affinity,
		.work = crew->work->id,
		.params = crew->params,
		.seed = spec->seed + (spec->first + slot) * 2 + 1,
		.index = (uint32_t)(slot % crew->team_size),
		.team_size = crew->team_size,
		.team = crew->teams + slot / crew->team_size * crew->team_bytes,
		.pipes = pipes,
		.shared = crew->shared,
		.slot = &crew->slots[slot],
		.kept = &crew->kept[slot * crew->kept_max],
		.kept_max = crew->kept_max,
		.ready_fd = spec->ready_fd,
	};
	pid_t pid = fork();

	if (pid < 0)
		return kt_err_sys(err, KT_FAULT_GUEST, errno, "forking worker %zu of %s", slot,
				  spec->cgroup);
	if (pid == 0)
		kt_gworker_run(&order);
	crew->workers[crew->n_workers++].pid = pid;
	return *spec->cgroup ? kt_gcgroup_move(spec->cgroup, pid, err) : 0;
}

/* Its pipes are its members' alone: the parent's ends are closed before the next team is forked. */
static int fork_team(struct kt_gcrew *crew, struct kt_err *err)
{
	uint32_t n_pipes = kt_gwork(crew->work->id)->n_pipes;
	int pipes[2 * KT_GWORK_PIPES_MAX];
	int status = 0;
	uint32_t n = 0;

	kt_must(n_pipes <= KT_GWORK_PIPES_MAX);
	while (status == 0 && n < n_pipes) {
		if (pipe2(&pipes[2 * n], O_CLOEXEC | O_NONBLOCK) < 0)
			status = kt_err_sys(err, KT_FAULT_GUEST, errno, "making a pipe");
		else
			n++;
	}
	for (uint32_t i = 0; status == 0 && i < crew->team_size; i++)
		status = fork_worker(crew, pipes, err);
	for (uint32_t i = 0; i < 2 * n; i++)
		close(pipes[i]);
	return status;
}

/* 0 where there is but one node, or a kernel that does not count. */
static uint64_t read_migrated(const struct kt_gcrew *crew)
{
	FILE *file = NULL;
	char line[128];
	uint64_t pages = 0;

	if (crew->spec.machine && crew->spec.machine->n_nodes > 1)
		file = fopen("/proc/vmstat", "re");
	if (!file)
		return 0;
	while (fgets(line, sizeof(line), file) &&
	       sscanf(line, "numa_pages_migrated %" SCNu64, &pages) != 1)
		;
	fclose(file);
	return pages;
}

static int fill(struct kt_gcrew *crew, struct kt_err *err)
{
	int status = read_group(crew, err);

	if (status == 0)
		status = map_shared(crew, err);
	while (status == 0 && crew->n_workers < crew->spec.workers)
		status = fork_team(crew, err);
	if (status < 0)
		return status;
	kt_gcrew_see_cpus(crew, crew->spec.cgroup);
	crew->migrated_before = read_migrated(crew);
	kt_gworker_open(crew->shared, KT_GWORKER_PLACED);
	return 0;
}

int kt_gcrew_start(const struct kt_gcrew_spec *spec, struct kt_gcrew **crew_p, struct kt_err *err)
{
	struct kt_gcrew *crew = kt_must_calloc(1, sizeof(*crew));
	int status;

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
		n += atomic_load(&crew->slots[i].is_ready);
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
	struct kt_cpuset now;

	/* without a cpuset controller nothing is known, and nothing is said */
	if (!*cgroup || kt_gcgroup_effective_cpus(cgroup, &now, NULL) < 0)
		return;
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

/* The nodes where its pages should be: those that its memory policy names, else those of its CPUs. */
static struct kt_cpuset home_nodes(const struct kt_gcrew *crew)
{
	const struct kt_cpuset_machine *machine = crew->spec.machine;
	struct kt_cpuset nodes = { 0 };

	if (*crew->spec.group->mem_nodes &&
	    kt_cpuset_parse(crew->spec.group->mem_nodes, &nodes) == 0)
		return nodes;
	for (uint32_t cpu = 0; machine && cpu < machine->n_cpus; cpu++)
		if (!kt_cpuset_count(&crew->allowed) || kt_cpuset_has(&crew->allowed, cpu))
			kt_cpuset_add(&nodes, machine->node_of[cpu]);
	if (!machine)
		kt_cpuset_add(&nodes, 0);
	return nodes;
}

static void report_pages(const struct kt_gcrew *crew, const struct kt_gmeter_sums *sums,
			 struct kt_msg_worker_report *report)
{
	struct kt_cpuset home = home_nodes(crew);

	for (uint32_t node = 0; node < KT_GMETER_NODES_MAX; node++) {
		report->pages += sums->pages_on[node];
		if (kt_cpuset_has(&home, node))
			report->pages_local += sums->pages_on[node];
	}
}

static size_t count_kept(const struct kt_gcrew *crew, size_t worker)
{
	uint64_t wakes = crew->slots[worker].sums.wakes;

	return wakes < crew->kept_max ? wakes : crew->kept_max;
}

static void report_wakes(const struct kt_gcrew *crew, size_t worker,
			 struct kt_msg_worker_report *report)
{
	int64_t *kept = crew->kept + worker * crew->kept_max;
	size_t n = count_kept(crew, worker);

	report->wakes = crew->slots[worker].sums.wakes;
	report->wake_ns_max = crew->slots[worker].sums.wake_ns_max;
	report->wake_p50_ns = kt_rank_of(kept, n, 500000);
	report->wake_p99_ns = kt_rank_of(kept, n, 990000);
}

static void report_worker(const struct kt_gcrew *crew, size_t worker, int64_t anchor_ns,
			  struct kt_arena *arena, struct kt_msg_worker_report *report)
{
	const struct kt_gmeter_sums *sums = &crew->slots[worker].sums;
	char text[KT_CPUSET_TEXT_BYTES];

	report->work_units = sums->units;
	report->wall_ns = sums->wall_ns;
	report->cpu_ns = sums->cpu_ns;
	report->run_delay_ns = sums->run_delay_ns > 0 ? sums->run_delay_ns : 0;
	report->gap_ns_max = sums->gap_ns_max;
	report->gap_cpu = sums->gap_cpu;
	report->gap_at_ns = sums->gap_at_ns > anchor_ns ? sums->gap_at_ns - anchor_ns : 0;
	report->migrations = sums->migrations;
	report->cpus_used = kt_arena_strdup(arena, kt_cpuset_print(&sums->cpus_used, text));
	report_pages(crew, sums, report);
	report_wakes(crew, worker, report);
}

size_t kt_gcrew_report(struct kt_gcrew *crew, int64_t anchor_ns, struct kt_arena *arena,
		       struct kt_msg_worker_report *reports)
{
	uint64_t migrated = read_migrated(crew) - crew->migrated_before;
	struct kt_msg_worker_report common = {
		.cgroup = kt_arena_strdup(arena, crew->spec.cgroup),
		.missing = "",
		.work = crew->work->name,
		.group = crew->spec.number,
		.step = crew->spec.step,
		.cpus_used = "",
		.mem_policy = kt_arena_strdup(arena, crew->spec.group->mem_policy),
	};
	char text[KT_CPUSET_TEXT_BYTES];
	size_t n_missing = 0;

	kt_gcrew_see_cpus(crew, crew->spec.cgroup);
	common.cpus_allowed = kt_arena_strdup(arena, kt_cpuset_print(&crew->allowed, text));
	for (size_t i = 0; i < crew->n_workers; i++) {
		reports[i] = common;
		reports[i].index = crew->spec.first + i;
		if (atomic_load(&crew->slots[i].is_reported)) {
			reports[i].pages_migrated = migrated;
			report_worker(crew, i, anchor_ns, arena, &reports[i]);
			continue;
		}
		reports[i].missing = why_missing(&crew->workers[i], arena);
		n_missing++;
	}
	return n_missing;
}

void kt_gcrew_wakes(struct kt_gcrew *crew, struct kt_gwakes *wakes)
{
	for (size_t i = 0; i < crew->n_workers; i++)
		if (atomic_load(&crew->slots[i].is_reported))
			kt_gwakes_add(wakes, crew->spec.cgroup, crew->kept + i * crew->kept_max,
				      count_kept(crew, i), crew->slots[i].sums.wakes,
				      crew->slots[i].sums.wake_ns_max);
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
