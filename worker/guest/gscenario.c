#include "worker/guest/gscenario.h"
#include "worker/guest/gcgroup.h"
#include "worker/guest/gtime.h"

#include "proto/base/must.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

void kt_gscenario_init(struct kt_gscenario *scenario)
{
	*scenario = (struct kt_gscenario){ .ready_fd = -1, .gate_fd = -1 };
}

/* ---- before anything runs ---- */

static int check(struct kt_gscenario *scenario, struct kt_err *err)
{
	const struct kt_msg_scenario *what = &scenario->scenario;
	size_t total = 0;

	if (!what->n_steps)
		return kt_err_set(err, KT_FAULT_PEER, EINVAL, "a scenario without steps");
	for (size_t s = 0; s < what->n_steps; s++) {
		for (size_t c = 0; c < what->steps[s].n_cgroups; c++) {
			const struct kt_msg_cgroup *cgroup = &what->steps[s].cgroups[c];

			if (!kt_gcgroup_name_ok(cgroup->name))
				return kt_err_set(err, KT_FAULT_PEER, EINVAL,
						  "step %zu: %.100s is no cgroup name", s,
						  cgroup->name);
			for (size_t g = 0; g < cgroup->n_groups; g++) {
				if (!kt_work_by_name(cgroup->groups[g].work))
					return kt_err_set(err, KT_FAULT_PEER, EINVAL,
							  "step %zu: there is no work type %.100s",
							  s, cgroup->groups[g].work);
				total += cgroup->groups[g].workers;
			}
		}
	}
	if (total > KT_WORKERS_MAX)
		return kt_err_set(err, KT_FAULT_PEER, E2BIG, "%zu workers, at most %d", total,
				  KT_WORKERS_MAX);
	scenario->n_reports_max = total;
	scenario->reports =
		kt_arena_alloc(&scenario->arena, total, sizeof(struct kt_msg_worker_report));
	return 0;
}

/* ---- gathering ---- */

static size_t count_workers(const struct kt_msg_step *step)
{
	size_t n = 0;

	for (size_t c = 0; c < step->n_cgroups; c++)
		for (size_t g = 0; g < step->cgroups[c].n_groups; g++)
			n += step->cgroups[c].groups[g].workers;
	return n;
}

static int open_gate_pipes(struct kt_gscenario *scenario, int *ready_end, int *gate_end)
{
	int ready[2];
	int gate[2];

	if (pipe2(ready, O_CLOEXEC) < 0)
		return -errno;
	if (pipe2(gate, O_CLOEXEC) < 0) {
		int status = -errno;

		close(ready[0]);
		close(ready[1]);
		return status;
	}
	fcntl(ready[0], F_SETFL, O_NONBLOCK);
	scenario->ready_fd = ready[0];
	scenario->gate_fd = gate[1];
	*ready_end = ready[1];
	*gate_end = gate[0];
	return 0;
}

static int fork_worker(struct kt_gscenario *scenario, const struct kt_msg_cgroup *cgroup,
		       const struct kt_msg_group *group, uint64_t index, int ready_end,
		       int gate_end, struct kt_err *err)
{
	size_t slot = scenario->n_workers;
	pid_t pid = fork();

	if (pid < 0)
		return kt_err_sys(err, KT_FAULT_GUEST, errno, "forking worker %zu", slot);
	if (pid == 0) {
		close(scenario->gate_fd); /* else the gate would never open */
		kt_gworker_run(kt_work_by_name(group->work)->id, scenario->seed + slot * 2 + 1,
			       ready_end, gate_end, scenario->shared, slot);
	}
	scenario->workers[slot] =
		(struct kt_gscenario_worker){ .pid = pid, .cgroup = cgroup->name, .index = index };
	scenario->n_workers++;
	return kt_gcgroup_move(cgroup->name, pid, err);
}

static int fill_group(struct kt_gscenario *scenario, const struct kt_msg_cgroup *cgroup,
		      const struct kt_msg_group *group, int ready_end, int gate_end,
		      struct kt_err *err)
{
	int status = 0;

	for (uint64_t i = 0; status == 0 && i < group->workers; i++)
		status = fork_worker(scenario, cgroup, group, i, ready_end, gate_end, err);
	return status;
}

static int fill_cgroups(struct kt_gscenario *scenario, const struct kt_msg_step *step,
			struct kt_err *err)
{
	KT_AUTO_FD int ready_end = -1;
	KT_AUTO_FD int gate_end = -1;
	int status = open_gate_pipes(scenario, &ready_end, &gate_end);

	if (status < 0)
		return kt_err_sys(err, KT_FAULT_GUEST, -status, "making the gate");
	for (size_t c = 0; c < step->n_cgroups; c++) {
		status = kt_gcgroup_make(step->cgroups[c].name, err);
		for (size_t g = 0; status == 0 && g < step->cgroups[c].n_groups; g++)
			status = fill_group(scenario, &step->cgroups[c],
					    &step->cgroups[c].groups[g], ready_end, gate_end, err);
		if (status < 0)
			return status;
	}
	return 0;
}

static int gather(struct kt_gscenario *scenario, int64_t now_ns, struct kt_err *err)
{
	const struct kt_msg_step *step = &scenario->scenario.steps[scenario->index];
	size_t n = count_workers(step);

	scenario->shared_bytes =
		sizeof(struct kt_gworker_shared) + n * sizeof(struct kt_gworker_slot);
	scenario->shared = mmap(NULL, scenario->shared_bytes, PROT_READ | PROT_WRITE,
				MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (scenario->shared == MAP_FAILED) {
		scenario->shared = NULL;
		return kt_err_sys(err, KT_FAULT_GUEST, errno, "memory for %zu workers", n);
	}
	scenario->workers = kt_must_calloc(n, sizeof(*scenario->workers));
	scenario->n_workers = 0;
	scenario->n_ready = 0;
	scenario->is_announced = false;
	scenario->state = KT_GSCENARIO_GATHERING;
	scenario->due_ns = now_ns + KT_GSCENARIO_GATHER_NS;
	return fill_cgroups(scenario, step, err);
}

int kt_gscenario_start(struct kt_gscenario *scenario, const struct kt_msg_guest_run *run,
		       int64_t stop_ns, struct kt_err *err)
{
	KT_AUTO_BUF bytes = { 0 };
	int status;

	kt_must(scenario->state == KT_GSCENARIO_IDLE);
	kt_arena_reset(&scenario->arena);
	kt_codec_encode(&kt_schema_scenario, run->scenario, &bytes);
	status = kt_codec_decode(&kt_schema_scenario, bytes.data, bytes.len, &scenario->arena,
				 &scenario->scenario, err);
	kt_must(status == 0);
	scenario->seed = run->seed;
	scenario->stop_ns = stop_ns;
	scenario->index = 0;
	scenario->anchor_ns = -1;
	scenario->n_reports = 0;
	scenario->n_missing = 0;
	scenario->stop_took_ns_max = 0;
	status = check(scenario, err);
	if (status == 0)
		status = gather(scenario, kt_gtime_now_ns(), err);
	if (status < 0)
		kt_gscenario_abort(scenario);
	return status;
}

/* ---- the end of a step ---- */

static size_t count_alive(const struct kt_gscenario *scenario)
{
	size_t n = 0;

	for (size_t i = 0; i < scenario->n_workers; i++)
		n += scenario->workers[i].pid != 0;
	return n;
}

static const char *why_missing(struct kt_gscenario *scenario,
			       const struct kt_gscenario_worker *worker)
{
	if (worker->pid)
		return "it did not stop in time and was killed";
	if (WIFSIGNALED(worker->wait_status))
		return kt_arena_printf(&scenario->arena, "it was ended by signal %d (%s)",
				       WTERMSIG(worker->wait_status),
				       strsignal(WTERMSIG(worker->wait_status)));
	return kt_arena_printf(&scenario->arena, "it ended with status %d",
			       WEXITSTATUS(worker->wait_status));
}

static void collect(struct kt_gscenario *scenario)
{
	for (size_t i = 0; i < scenario->n_workers; i++) {
		const struct kt_gscenario_worker *worker = &scenario->workers[i];
		const struct kt_gworker_slot *slot = &scenario->shared->slots[i];
		struct kt_msg_worker_report *report;

		kt_must(scenario->n_reports < scenario->n_reports_max);
		report = &scenario->reports[scenario->n_reports++];
		report->cgroup = worker->cgroup;
		report->index = worker->index;
		report->missing = "";
		if (!atomic_load(&slot->is_reported)) {
			report->missing = why_missing(scenario, worker);
			scenario->n_missing++;
			continue;
		}
		report->work_units = slot->work_units;
		report->wall_ns = slot->wall_ns;
		report->cpu_ns = slot->cpu_ns;
		report->gap_ns_max = slot->gap_ns_max;
		report->migrations = slot->migrations;
		report->run_delay_ns = slot->run_delay_ns;
	}
}

/* Frees what the step had. Workers that are still alive are killed and left to PID 1's reaping: a
 * starved one dies only once the scheduler is out.
 */
static void end_step(struct kt_gscenario *scenario)
{
	const struct kt_msg_step *step = &scenario->scenario.steps[scenario->index];

	for (size_t i = 0; i < scenario->n_workers; i++)
		if (scenario->workers[i].pid)
			kill(scenario->workers[i].pid, SIGKILL);
	kt_own_close(&scenario->gate_fd);
	kt_own_close(&scenario->ready_fd);
	for (size_t c = 0; c < step->n_cgroups; c++)
		kt_gcgroup_remove(step->cgroups[c].name);
	if (scenario->shared)
		munmap(scenario->shared, scenario->shared_bytes);
	scenario->shared = NULL;
	free(scenario->workers);
	scenario->workers = NULL;
	scenario->n_workers = 0;
}

void kt_gscenario_abort(struct kt_gscenario *scenario)
{
	if (scenario->scenario.n_steps)
		end_step(scenario);
	scenario->state = KT_GSCENARIO_IDLE;
}

__attribute__((format(printf, 3, 4))) static enum kt_gscenario_event fail(
	struct kt_gscenario *scenario, enum kt_cause_id cause, const char *format, ...)
{
	va_list args;

	scenario->cause = cause;
	va_start(args, format);
	vsnprintf(scenario->line, sizeof(scenario->line), format, args);
	va_end(args);
	kt_gscenario_abort(scenario);
	return KT_GSCENARIO_FAILED;
}

/* ---- moves ---- */

static void count_ready(struct kt_gscenario *scenario)
{
	char bytes[256];
	ssize_t n;

	while ((n = read(scenario->ready_fd, bytes, sizeof(bytes))) > 0)
		scenario->n_ready += (size_t)n;
}

static enum kt_gscenario_event step_gathering(struct kt_gscenario *scenario, int64_t now_ns)
{
	count_ready(scenario);
	if (scenario->n_ready < scenario->n_workers) {
		if (now_ns >= scenario->due_ns || count_alive(scenario) < scenario->n_workers)
			return fail(scenario, KT_CAUSE_ID_workload_stuck,
				    "step %zu: %zu of %zu workers came to the gate within %lld s",
				    scenario->index, scenario->n_ready, scenario->n_workers,
				    KT_GSCENARIO_GATHER_NS / KT_NS_PER_S);
		return KT_GSCENARIO_NOTHING;
	}
	/* the anchor first: nothing of the scenario may run before it */
	scenario->begun_ns = kt_gtime_now_ns();
	kt_own_close(&scenario->gate_fd);
	kt_own_close(&scenario->ready_fd);
	scenario->state = KT_GSCENARIO_HOLDING;
	scenario->due_ns = scenario->begun_ns + scenario->scenario.steps[scenario->index].hold_ns;
	if (scenario->anchor_ns >= 0)
		return KT_GSCENARIO_NOTHING;
	scenario->anchor_ns = scenario->begun_ns;
	return KT_GSCENARIO_STARTED;
}

static enum kt_gscenario_event step_holding(struct kt_gscenario *scenario, int64_t now_ns)
{
	if (!scenario->is_announced) {
		scenario->is_announced = true;
		return KT_GSCENARIO_STEP;
	}
	if (now_ns < scenario->due_ns)
		return KT_GSCENARIO_NOTHING;
	atomic_store(&scenario->shared->must_stop, true);
	scenario->state = KT_GSCENARIO_STOPPING;
	scenario->stop_told_ns = now_ns;
	scenario->due_ns = now_ns + scenario->stop_ns;
	return KT_GSCENARIO_NOTHING;
}

static enum kt_gscenario_event step_stopping(struct kt_gscenario *scenario, int64_t now_ns)
{
	struct kt_err err = { 0 };
	size_t n_alive = count_alive(scenario);

	if (n_alive) {
		if (now_ns >= scenario->due_ns)
			return fail(scenario, KT_CAUSE_ID_workload_stuck,
				    "step %zu: %zu of %zu workers did not stop within %.1f s",
				    scenario->index, n_alive, scenario->n_workers,
				    (double)scenario->stop_ns / 1e9);
		return KT_GSCENARIO_NOTHING;
	}
	if (now_ns - scenario->stop_told_ns > scenario->stop_took_ns_max)
		scenario->stop_took_ns_max = now_ns - scenario->stop_told_ns;
	collect(scenario);
	end_step(scenario);
	if (scenario->index + 1 == scenario->scenario.n_steps) {
		scenario->state = KT_GSCENARIO_IDLE;
		return KT_GSCENARIO_FINISHED;
	}
	scenario->index++;
	if (gather(scenario, now_ns, &err) < 0)
		return fail(scenario, KT_CAUSE_ID_workload_stuck, "step %zu: %s", scenario->index,
			    err.text);
	return KT_GSCENARIO_NOTHING;
}

enum kt_gscenario_event kt_gscenario_step(struct kt_gscenario *scenario, int64_t now_ns)
{
	enum kt_gscenario_event event;
	enum kt_gscenario_state before;

	do {
		before = scenario->state;
		switch (before) {
		case KT_GSCENARIO_GATHERING:
			event = step_gathering(scenario, now_ns);
			break;
		case KT_GSCENARIO_HOLDING:
			event = step_holding(scenario, now_ns);
			break;
		case KT_GSCENARIO_STOPPING:
			event = step_stopping(scenario, now_ns);
			break;
		case KT_GSCENARIO_IDLE:
		default:
			return KT_GSCENARIO_NOTHING;
		}
	} while (event == KT_GSCENARIO_NOTHING && scenario->state != before);
	return event;
}

void kt_gscenario_reaped(struct kt_gscenario *scenario, pid_t pid, int wait_status)
{
	for (size_t i = 0; i < scenario->n_workers; i++) {
		if (scenario->workers[i].pid != pid)
			continue;
		scenario->workers[i].pid = 0;
		scenario->workers[i].wait_status = wait_status;
	}
}

struct pollfd kt_gscenario_fd(const struct kt_gscenario *scenario)
{
	return (struct pollfd){ .fd = scenario->ready_fd, .events = POLLIN };
}

int64_t kt_gscenario_due_ns(const struct kt_gscenario *scenario)
{
	return scenario->state == KT_GSCENARIO_IDLE ? INT64_MAX : scenario->due_ns;
}
