#include "worker/guest/gscenario.h"
#include "worker/guest/gcgroup.h"
#include "worker/guest/gtime.h"

#include "proto/base/must.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

void kt_gscenario_init(struct kt_gscenario *scenario)
{
	*scenario = (struct kt_gscenario){ .ready_fd = -1 };
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

static size_t count_groups(const struct kt_msg_step *step)
{
	size_t n = 0;

	for (size_t c = 0; c < step->n_cgroups; c++)
		n += step->cgroups[c].n_groups;
	return n;
}

static int start_crew(struct kt_gscenario *scenario, const struct kt_msg_cgroup *cgroup,
		      size_t number, struct kt_err *err)
{
	const struct kt_msg_group *group = &cgroup->groups[number];
	struct kt_gcrew_spec spec = {
		.cgroup = cgroup->name,
		.group = group,
		.workers = (uint32_t)group->workers,
		.number = number,
		.step = scenario->index,
		.seed = scenario->seed + scenario->n_crews * 2 * KT_WORKERS_MAX,
		.ready_fd = scenario->ready_fd,
	};
	int status;

	for (size_t g = 0; g < number; g++)
		spec.first += cgroup->groups[g].workers;
	status = kt_gcrew_start(&spec, &scenario->crews[scenario->n_crews], err);
	scenario->n_crews += status == 0;
	return status;
}

static int fill_cgroups(struct kt_gscenario *scenario, const struct kt_msg_step *step,
			struct kt_err *err)
{
	for (size_t c = 0; c < step->n_cgroups; c++) {
		int status = kt_gcgroup_make(step->cgroups[c].name, err);

		for (size_t g = 0; status == 0 && g < step->cgroups[c].n_groups; g++)
			status = start_crew(scenario, &step->cgroups[c], g, err);
		if (status < 0)
			return status;
	}
	return 0;
}

static int gather(struct kt_gscenario *scenario, int64_t now_ns, struct kt_err *err)
{
	const struct kt_msg_step *step = &scenario->scenario.steps[scenario->index];

	scenario->ready_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (scenario->ready_fd < 0)
		return kt_err_sys(err, KT_FAULT_GUEST, errno, "making an eventfd");
	scenario->crews = kt_must_calloc(count_groups(step) + 1, sizeof(*scenario->crews));
	scenario->n_crews = 0;
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

static size_t sum(const struct kt_gscenario *scenario, size_t (*count)(const struct kt_gcrew *crew))
{
	size_t n = 0;

	for (size_t i = 0; i < scenario->n_crews; i++)
		n += count(scenario->crews[i]);
	return n;
}

static size_t count_workers(const struct kt_gcrew *crew)
{
	return crew->n_workers;
}

static void collect(struct kt_gscenario *scenario)
{
	for (size_t i = 0; i < scenario->n_crews; i++) {
		struct kt_gcrew *crew = scenario->crews[i];

		kt_must(scenario->n_reports + crew->n_workers <= scenario->n_reports_max);
		scenario->n_missing += kt_gcrew_report(crew, scenario->anchor_ns, &scenario->arena,
						       &scenario->reports[scenario->n_reports]);
		scenario->n_reports += crew->n_workers;
	}
}

/* Frees what the step had. Workers that are still alive are killed and left to PID 1's reaping: a
 * starved one dies only once the scheduler is out.
 */
static void end_step(struct kt_gscenario *scenario)
{
	const struct kt_msg_step *step = &scenario->scenario.steps[scenario->index];

	for (size_t i = 0; i < scenario->n_crews; i++)
		kt_gcrew_destroy(&scenario->crews[i]);
	kt_own_close(&scenario->ready_fd);
	for (size_t c = 0; c < step->n_cgroups; c++)
		kt_gcgroup_remove(step->cgroups[c].name);
	free(scenario->crews);
	scenario->crews = NULL;
	scenario->n_crews = 0;
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

/* What a worker could not be made, the guest's kernel refused; one that died, somebody killed. */
static enum kt_gscenario_event look_for_trouble(struct kt_gscenario *scenario)
{
	struct kt_err err = { 0 };

	for (size_t i = 0; i < scenario->n_crews; i++)
		if (kt_gcrew_trouble(scenario->crews[i], &err) < 0)
			return fail(scenario,
				    err.code == ESRCH ? KT_CAUSE_ID_workload_stuck
						      : KT_CAUSE_ID_op_failed,
				    "step %zu: %s", scenario->index, err.text);
	return KT_GSCENARIO_NOTHING;
}

static enum kt_gscenario_event step_gathering(struct kt_gscenario *scenario, int64_t now_ns)
{
	size_t n_ready = sum(scenario, kt_gcrew_ready);
	size_t n = sum(scenario, count_workers);
	uint64_t ignored;

	while (read(scenario->ready_fd, &ignored, sizeof(ignored)) > 0)
		;
	if (look_for_trouble(scenario) != KT_GSCENARIO_NOTHING)
		return KT_GSCENARIO_FAILED;
	if (n_ready < n) {
		if (now_ns >= scenario->due_ns)
			return fail(scenario, KT_CAUSE_ID_workload_stuck,
				    "step %zu: %zu of %zu workers came to the gate within %lld s",
				    scenario->index, n_ready, n,
				    KT_GSCENARIO_GATHER_NS / KT_NS_PER_S);
		return KT_GSCENARIO_NOTHING;
	}
	/* the anchor first: nothing of the scenario may run before it */
	scenario->begun_ns = kt_gtime_now_ns();
	for (size_t i = 0; i < scenario->n_crews; i++)
		kt_gcrew_go(scenario->crews[i]);
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
	for (size_t i = 0; i < scenario->n_crews; i++)
		kt_gcrew_stop(scenario->crews[i]);
	scenario->state = KT_GSCENARIO_STOPPING;
	scenario->stop_told_ns = now_ns;
	scenario->due_ns = now_ns + scenario->stop_ns;
	return KT_GSCENARIO_NOTHING;
}

static enum kt_gscenario_event step_stopping(struct kt_gscenario *scenario, int64_t now_ns)
{
	struct kt_err err = { 0 };
	size_t n_alive = sum(scenario, kt_gcrew_alive);

	if (n_alive) {
		if (now_ns >= scenario->due_ns)
			return fail(scenario, KT_CAUSE_ID_workload_stuck,
				    "step %zu: %zu of %zu workers did not stop within %.1f s",
				    scenario->index, n_alive, sum(scenario, count_workers),
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
	for (size_t i = 0; i < scenario->n_crews; i++)
		if (kt_gcrew_reaped(scenario->crews[i], pid, wait_status))
			return;
}

struct pollfd kt_gscenario_fd(const struct kt_gscenario *scenario)
{
	return (struct pollfd){ .fd = scenario->ready_fd, .events = POLLIN };
}

int64_t kt_gscenario_due_ns(const struct kt_gscenario *scenario)
{
	return scenario->state == KT_GSCENARIO_IDLE ? INT64_MAX : scenario->due_ns;
}
