#include "worker/guest/gstage.h"
#include "worker/guest/gcgroup.h"

#include "proto/base/must.h"

#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#define PAYLOADS_BYTES_MAX \
	(224u << 10) /* of their reports: the rest of a result's room is the workers' */

void kt_gstage_init(struct kt_gstage *stage)
{
	*stage = (struct kt_gstage){ .ready_fd = -1, .poll_fd = -1 };
}

int kt_gstage_open(struct kt_gstage *stage, struct kt_arena *arena,
		   const struct kt_cpuset_machine *machine, const struct kt_msg_guest_run *run,
		   struct kt_err *err)
{
	kt_must(!stage->crews && !stage->cgroups);
	free(stage->reports);
	kt_gwakes_reset(&stage->wakes);
	*stage = (struct kt_gstage){
		.arena = arena,
		.scenario = run->scenario,
		.machine = *machine,
		.seed = run->seed,
		.ready_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
		.poll_fd = epoll_create1(EPOLL_CLOEXEC),
	};
	struct epoll_event event = { .events = EPOLLIN };

	if (stage->ready_fd < 0 || stage->poll_fd < 0 ||
	    epoll_ctl(stage->poll_fd, EPOLL_CTL_ADD, stage->ready_fd, &event) < 0)
		return kt_err_sys(err, KT_FAULT_GUEST, errno, "making an eventfd");
	stage->payloads = (struct kt_gpayloads){ .run = run, .poll_fd = stage->poll_fd };
	return 0;
}

void kt_gstage_close(struct kt_gstage *stage)
{
	if (stage->payloads.list)
		stage->n_payload_reports =
			kt_gpayloads_report(&stage->payloads, PAYLOADS_BYTES_MAX, stage->arena,
					    &stage->payload_reports);
	kt_gpayloads_close(&stage->payloads);
	while (stage->crews) {
		struct kt_gstage_crew *crew = stage->crews;

		stage->crews = crew->next;
		kt_gcrew_destroy(&crew->crew);
		free(crew);
	}
	while (stage->cgroups) {
		struct kt_gstage_cgroup *cgroup = stage->cgroups;

		stage->cgroups = cgroup->next;
		kt_gcgroup_kill(cgroup->name);
		kt_gcgroup_remove(cgroup->name);
		free(cgroup);
	}
	kt_own_close(&stage->ready_fd);
	kt_own_close(&stage->poll_fd);
}

/* ---- who is where ---- */

static bool is_at_or_below(const struct kt_gstage_cgroup *cgroup,
			   const struct kt_gstage_cgroup *above)
{
	return cgroup == above || kt_gcgroup_is_below(cgroup->name, above->name);
}

struct kt_gstage_cgroup *kt_gstage_find(const struct kt_gstage *stage, const char *name)
{
	for (struct kt_gstage_cgroup *cgroup = stage->cgroups; cgroup; cgroup = cgroup->next)
		if (!cgroup->is_going && strcmp(cgroup->name, name) == 0)
			return cgroup;
	return NULL;
}

int kt_gstage_need(const struct kt_gstage *stage, const char *name,
		   struct kt_gstage_cgroup **cgroup, struct kt_err *err)
{
	*cgroup = kt_gstage_find(stage, name);
	if (!*cgroup)
		return kt_err_set(err, KT_FAULT_GUEST, ENOENT, "there is no cgroup %s now", name);
	return 0;
}

bool kt_gstage_is_frozen(const struct kt_gstage *stage, const struct kt_gstage_cgroup *cgroup)
{
	for (const struct kt_gstage_cgroup *above = stage->cgroups; above; above = above->next)
		if (above->is_frozen && is_at_or_below(cgroup, above))
			return true;
	return false;
}

void kt_gstage_see_cpus(struct kt_gstage *stage)
{
	for (struct kt_gstage_crew *crew = stage->crews; crew; crew = crew->next)
		kt_gcrew_see_cpus(crew->crew, crew->where->name);
}

/* ---- does the scenario put processes into a cgroup? Then it cannot hand controllers down. ---- */

static bool fills(const struct kt_msg_cgroup *cgroup, const char *name)
{
	return strcmp(cgroup->name, name) == 0 && (cgroup->n_groups > 0 || cgroup->payload[0]);
}

static bool op_fills(const struct kt_msg_op *op, const char *name)
{
	if (op->make && fills(op->make, name))
		return true;
	if (strcmp(op->kind, "spawn") == 0 || strcmp(op->kind, "run_payload") == 0)
		return strcmp(op->cgroup, name) == 0;
	return strcmp(op->kind, "move_all_tasks") == 0 && strcmp(op->other, name) == 0;
}

static bool act_fills(const struct kt_msg_cgroup *cgroups, size_t n_cgroups,
		      const struct kt_msg_op *ops, size_t n_ops, const char *name)
{
	for (size_t i = 0; i < n_cgroups; i++)
		if (fills(&cgroups[i], name))
			return true;
	for (size_t i = 0; i < n_ops; i++)
		if (op_fills(&ops[i], name))
			return true;
	return false;
}

static bool scenario_fills(const struct kt_msg_scenario *scenario, const char *name)
{
	const struct kt_msg_backdrop *backdrop = scenario->backdrop;

	if (backdrop &&
	    act_fills(backdrop->cgroups, backdrop->n_cgroups, backdrop->ops, backdrop->n_ops, name))
		return true;
	for (size_t i = 0; i < scenario->n_steps; i++) {
		const struct kt_msg_step *step = &scenario->steps[i];

		if (act_fills(step->cgroups, step->n_cgroups, step->ops, step->n_ops, name))
			return true;
	}
	return false;
}

/* ---- cgroups ---- */

static struct kt_gstage_cgroup *add_cgroup(struct kt_gstage *stage, const char *name, size_t owner)
{
	struct kt_gstage_cgroup *cgroup = kt_must_calloc(1, sizeof(*cgroup));

	cgroup->next = stage->cgroups;
	cgroup->name = kt_arena_strdup(stage->arena, name);
	cgroup->owner = owner;
	stage->cgroups = cgroup;
	return cgroup;
}

/* Those above it that nobody has made yet, from the top down. */
static int make_above(struct kt_gstage *stage, const char *name, size_t owner, struct kt_err *err)
{
	for (const char *slash = strchr(name, '/'); slash; slash = strchr(slash + 1, '/')) {
		char above[KT_NAME_BYTES_MAX + 1];
		int status;

		snprintf(above, sizeof(above), "%.*s", (int)(slash - name), name);
		if (kt_gstage_find(stage, above))
			continue;
		status = kt_gcgroup_make(above, err);
		if (status < 0)
			return status;
		if (!scenario_fills(stage->scenario, above))
			kt_gcgroup_hand_down(above);
		add_cgroup(stage, above, owner);
	}
	return 0;
}

static bool is_same(const struct kt_cpuset *a, const struct kt_cpuset *b)
{
	return kt_cpuset_is_subset(a, b) && kt_cpuset_is_subset(b, a);
}

static void say_cpus(const struct kt_gstage_cgroup *cgroup, const struct kt_cpuset *cpus,
		     struct kt_buf *text)
{
	char list[KT_CPUSET_TEXT_BYTES];
	struct kt_cpuset effective;

	kt_buf_puts(text, cpus ? kt_cpuset_print(cpus, list) : "those of its parent");
	if (kt_gcgroup_effective_cpus(cgroup->name, &effective, NULL) < 0)
		return;
	if (!cpus || !is_same(cpus, &effective))
		kt_buf_printf(text, " (may use %s)", kt_cpuset_print(&effective, list));
}

int kt_gstage_set_cpus(struct kt_gstage *stage, struct kt_gstage_cgroup *cgroup,
		       const struct kt_msg_cpuset *spec, struct kt_buf *text, struct kt_err *err)
{
	char words[KT_CPUSET_TEXT_BYTES];
	struct kt_cpuset cpus;
	int status = spec ? kt_cpuset_resolve(spec, &stage->machine, &cpus, err) : 0;

	if (status == 0)
		status = kt_gcgroup_set_cpus(cgroup->name, spec ? &cpus : NULL, err);
	if (status < 0)
		return status;
	if (spec && strcmp(spec->kind, "exact") != 0)
		kt_buf_printf(text, "%s = ", kt_cpuset_describe(spec, words, sizeof(words)));
	say_cpus(cgroup, spec ? &cpus : NULL, text);
	kt_gstage_see_cpus(stage);
	return 0;
}

int kt_gstage_swap_cpus(struct kt_gstage *stage, struct kt_gstage_cgroup *one,
			struct kt_gstage_cgroup *other, struct kt_buf *text, struct kt_err *err)
{
	struct kt_cpuset of_one;
	struct kt_cpuset of_other;
	int status = kt_gcgroup_cpus(one->name, &of_one, err);
	const struct kt_cpuset *first = kt_cpuset_count(&of_one) ? &of_one : NULL;
	const struct kt_cpuset *second;

	if (status == 0)
		status = kt_gcgroup_cpus(other->name, &of_other, err);
	if (status < 0)
		return status;
	second = kt_cpuset_count(&of_other) ? &of_other : NULL;
	status = kt_gcgroup_set_cpus(one->name, second, err);
	if (status == 0)
		status = kt_gcgroup_set_cpus(other->name, first, err);
	if (status < 0)
		return status;
	kt_buf_printf(text, "%s = ", one->name);
	say_cpus(one, second, text);
	kt_buf_printf(text, ", %s = ", other->name);
	say_cpus(other, first, text);
	kt_gstage_see_cpus(stage);
	return 0;
}

int kt_gstage_freeze(struct kt_gstage_cgroup *cgroup, bool freeze, struct kt_err *err)
{
	int status = kt_gcgroup_freeze(cgroup->name, freeze, err);

	if (status == 0)
		cgroup->is_frozen = freeze;
	return status;
}

/* Workers that are to stop must run: whatever froze them is thawed. */
static void thaw(struct kt_gstage *stage, const struct kt_gstage_cgroup *cgroup)
{
	for (struct kt_gstage_cgroup *above = stage->cgroups; above; above = above->next)
		if (above->is_frozen && is_at_or_below(cgroup, above))
			kt_gstage_freeze(above, false, NULL);
}

/* ---- crews ---- */

/* Workers that work together are a multiple of this. */
static uint64_t size_of_work(const struct kt_msg_group *group)
{
	const struct kt_work *work = kt_work_by_name(group->work);
	const struct kt_work_param *by =
		work && work->by[0] ? kt_work_param_by_name(work, work->by) : NULL;
	int64_t value = by ? by->value : 0;

	if (!work)
		return 1; /* kt_gcrew_start() refuses it */
	for (size_t i = 0; by && i < group->n_params; i++)
		if (strcmp(group->params[i].name, by->name) == 0)
			value = group->params[i].value;
	return kt_work_group_size(work, value);
}

static uint64_t count_workers(const struct kt_gstage *stage, const struct kt_gstage_cgroup *cgroup,
			      const struct kt_msg_group *group)
{
	struct kt_cpuset cpus;
	uint64_t size = size_of_work(group);
	uint64_t n_cpus = stage->machine.n_cpus;
	uint64_t n;

	if (!group->workers_ppm)
		return group->workers;
	if (kt_gcgroup_effective_cpus(cgroup->name, &cpus, NULL) == 0)
		n_cpus = kt_cpuset_count(&cpus);
	n = (group->workers_ppm * n_cpus + KT_CPUSET_PPM - 1) / KT_CPUSET_PPM;
	return (n + size - 1) / size * size;
}

int kt_gstage_spawn(struct kt_gstage *stage, struct kt_gstage_cgroup *cgroup,
		    const struct kt_msg_group *group, size_t owner, uint32_t *n, struct kt_err *err)
{
	uint64_t workers = count_workers(stage, cgroup, group);
	struct kt_gcrew_spec spec = {
		.cgroup = cgroup->name,
		.group = group,
		.workers = (uint32_t)workers,
		.first = cgroup->n_workers,
		.number = cgroup->n_groups,
		.step = owner == KT_GSTAGE_BACKDROP ? 0 : owner,
		/* each worker's own number, of all: kt_gcrew_start() adds 2 for each within the cgroup */
		.seed = stage->seed + (stage->n_started - cgroup->n_workers) * 2,
		.machine = &stage->machine,
		.ready_fd = stage->ready_fd,
	};
	struct kt_gstage_crew **at;
	struct kt_gcrew *started;
	struct kt_cpuset affinity;
	int status;

	if (workers > KT_WORKERS_MAX || stage->n_started + workers > KT_WORKERS_MAX)
		return kt_err_set(err, KT_FAULT_GUEST, E2BIG,
				  "%llu more workers after %zu: an attempt has at most %d",
				  (unsigned long long)workers, stage->n_started, KT_WORKERS_MAX);
	if (kt_gstage_is_frozen(stage, cgroup))
		return kt_err_set(err, KT_FAULT_GUEST, EBUSY,
				  "%s is frozen: no worker can be started in it", cgroup->name);
	if (group->affinity) {
		status = kt_cpuset_resolve(group->affinity, &stage->machine, &affinity, err);
		if (status < 0)
			return kt_err_wrap(err, "affinity");
		spec.affinity = &affinity;
	}
	status = kt_gcrew_start(&spec, &started, err);
	if (status < 0)
		return status;
	for (at = &stage->crews; *at; at = &(*at)->next)
		;
	*at = kt_must_calloc(1, sizeof(**at));
	**at = (struct kt_gstage_crew){ .crew = started, .where = cgroup, .owner = owner };
	stage->n_started += workers;
	cgroup->n_workers += workers;
	cgroup->n_groups++;
	*n = (uint32_t)workers;
	return 0;
}

int kt_gstage_run(struct kt_gstage *stage, const char *payload, struct kt_gstage_cgroup *cgroup,
		  size_t owner, struct kt_err *err)
{
	if (cgroup && kt_gstage_is_frozen(stage, cgroup))
		return kt_err_set(err, KT_FAULT_GUEST, EBUSY,
				  "%s is frozen: no payload can be started in it", cgroup->name);
	return kt_gpayloads_start(&stage->payloads, payload, cgroup ? cgroup->name : "", owner,
				  owner == KT_GSTAGE_BACKDROP ? 0 : owner, err);
}

static int fill(struct kt_gstage *stage, struct kt_gstage_cgroup *cgroup,
		const struct kt_msg_cgroup *what, size_t owner, struct kt_buf *text,
		struct kt_err *err)
{
	for (size_t i = 0; i < what->n_groups; i++) {
		uint32_t n = 0;
		int status = kt_gstage_spawn(stage, cgroup, &what->groups[i], owner, &n, err);

		if (status < 0)
			return status;
		kt_buf_printf(text, "%s %u %s", i ? "," : ":", n, what->groups[i].work);
	}
	if (!what->payload[0])
		return 0;
	kt_buf_printf(text, "%s payload %s", what->n_groups ? "," : ":", what->payload);
	return kt_gstage_run(stage, what->payload, cgroup, owner, err);
}

static int set_limits(const struct kt_msg_cgroup *what, struct kt_buf *text, struct kt_err *err)
{
	for (size_t i = 0; i < what->n_limits; i++) {
		const struct kt_msg_limit *limit = &what->limits[i];
		int status = kt_gcgroup_limit(what->name, limit->file, limit->text, err);

		if (status < 0)
			return status;
		kt_buf_printf(text, ", %s %s", limit->file, limit->text);
	}
	return 0;
}

int kt_gstage_make(struct kt_gstage *stage, const struct kt_msg_cgroup *what, size_t owner,
		   struct kt_buf *text, struct kt_err *err)
{
	struct kt_gstage_cgroup *cgroup = kt_gstage_find(stage, what->name);
	KT_AUTO_BUF settings = { 0 };
	int status;

	if (cgroup && cgroup->is_named)
		return kt_err_set(err, KT_FAULT_GUEST, EEXIST, "there is a cgroup %s already",
				  what->name);
	status = cgroup ? 0 : make_above(stage, what->name, owner, err);
	if (status == 0 && !cgroup) {
		status = kt_gcgroup_make(what->name, err);
		if (status == 0)
			cgroup = add_cgroup(stage, what->name, owner);
	}
	if (status < 0)
		return status;
	cgroup->is_named = true;
	if (what->cpuset) {
		kt_buf_puts(&settings, ", cpuset ");
		status = kt_gstage_set_cpus(stage, cgroup, what->cpuset, &settings, err);
	}
	if (status == 0)
		status = set_limits(what, &settings, err);
	kt_buf_puts(text, what->name);
	if (status == 0)
		status = fill(stage, cgroup, what, owner, text, err);
	kt_buf_puts(text, kt_buf_text(&settings));
	return status;
}

int kt_gstage_is_ready(struct kt_gstage *stage, struct kt_err *err)
{
	bool is_ready = true;
	uint64_t ignored;

	while (read(stage->ready_fd, &ignored, sizeof(ignored)) > 0)
		;
	for (const struct kt_gstage_crew *crew = stage->crews; crew; crew = crew->next) {
		int status;

		if (crew->state != KT_GSTAGE_GATHERING)
			continue;
		status = kt_gcrew_trouble(crew->crew, err);
		if (status < 0)
			return status;
		is_ready = is_ready && kt_gcrew_ready(crew->crew) == crew->crew->n_workers;
	}
	return is_ready;
}

char *kt_gstage_describe_gate(const struct kt_gstage *stage, char *text, size_t size)
{
	size_t n_ready = 0;
	size_t n = 0;

	for (const struct kt_gstage_crew *crew = stage->crews; crew; crew = crew->next) {
		if (crew->state != KT_GSTAGE_GATHERING)
			continue;
		n_ready += kt_gcrew_ready(crew->crew);
		n += crew->crew->n_workers;
	}
	snprintf(text, size, "%zu of %zu workers came to the gate", n_ready, n);
	return text;
}

void kt_gstage_go(struct kt_gstage *stage, int64_t now_ns)
{
	kt_gpayloads_go(&stage->payloads, NULL, now_ns);
	for (struct kt_gstage_crew *crew = stage->crews; crew; crew = crew->next) {
		if (crew->state != KT_GSTAGE_GATHERING)
			continue;
		crew->state = KT_GSTAGE_WORKING;
		kt_gcrew_go(crew->crew);
	}
}

static cpu_set_t to_mask(const struct kt_cpuset *cpus)
{
	cpu_set_t mask;

	CPU_ZERO(&mask);
	for (uint32_t cpu = 0; cpu <= KT_GUEST_CPUS_MAX; cpu++)
		if (kt_cpuset_has(cpus, cpu))
			CPU_SET(cpu, &mask);
	return mask;
}

static int set_crew_affinity(const struct kt_gcrew *crew, const cpu_set_t *mask, size_t *n,
			     struct kt_err *err)
{
	for (size_t i = 0; i < crew->n_workers; i++) {
		pid_t pid = crew->workers[i].pid;

		if (!pid)
			continue;
		if (sched_setaffinity(pid, sizeof(*mask), mask) == 0)
			(*n)++;
		else if (errno != ESRCH)
			return kt_err_sys(err, KT_FAULT_GUEST, errno,
					  "sched_setaffinity of worker %zu of %s",
					  (size_t)crew->spec.first + i, crew->spec.cgroup);
	}
	return 0;
}

int kt_gstage_set_affinity(struct kt_gstage *stage, const struct kt_gstage_cgroup *cgroup,
			   const struct kt_cpuset *cpus, size_t *n, struct kt_err *err)
{
	cpu_set_t mask = to_mask(cpus);

	*n = 0;
	for (const struct kt_gstage_crew *crew = stage->crews; crew; crew = crew->next) {
		int status;

		if (!is_at_or_below(crew->where, cgroup))
			continue;
		status = set_crew_affinity(crew->crew, &mask, n, err);
		if (status < 0)
			return status;
	}
	return 0;
}

int kt_gstage_move_all(struct kt_gstage *stage, struct kt_gstage_cgroup *from,
		       struct kt_gstage_cgroup *to, size_t *n, struct kt_err *err)
{
	int status = kt_gcgroup_move_all(from->name, to->name, n, err);

	if (status < 0)
		return status;
	for (struct kt_gstage_crew *crew = stage->crews; crew; crew = crew->next)
		if (crew->where == from)
			crew->where = to;
	for (struct kt_gpayloads_one *one = stage->payloads.list; one && status == 0;
	     one = one->next)
		if (strcmp(one->where, from->name) == 0)
			status = kt_gpayloads_move(one, to->name, err);
	kt_gstage_see_cpus(stage);
	return status;
}

/* ---- leaving ---- */

static void stop_crew(struct kt_gstage *stage, struct kt_gstage_crew *crew, int64_t now_ns)
{
	if (crew->state == KT_GSTAGE_STOPPING)
		return;
	crew->state = KT_GSTAGE_STOPPING;
	crew->stop_told_ns = now_ns;
	thaw(stage, crew->where);
	kt_gcrew_stop(crew->crew);
	kt_gcrew_go(crew->crew); /* one that still waits at the gate stops there */
}

size_t kt_gstage_stop(struct kt_gstage *stage, const struct kt_gstage_cgroup *cgroup,
		      int64_t now_ns)
{
	size_t n = 0;

	for (struct kt_gstage_crew *crew = stage->crews; crew; crew = crew->next) {
		if (crew->state == KT_GSTAGE_STOPPING || !is_at_or_below(crew->where, cgroup))
			continue;
		n += kt_gcrew_alive(crew->crew);
		stop_crew(stage, crew, now_ns);
	}
	return n;
}

void kt_gstage_remove(struct kt_gstage *stage, struct kt_gstage_cgroup *cgroup, int64_t now_ns)
{
	kt_gstage_stop(stage, cgroup, now_ns);
	kt_gpayloads_stop_in(&stage->payloads, cgroup->name, now_ns);
	for (struct kt_gstage_cgroup *other = stage->cgroups; other; other = other->next)
		other->is_going = other->is_going || is_at_or_below(other, cgroup);
}

/* False when there is no home to go to any more, or it does not take them. */
static bool go_home(struct kt_gstage *stage, struct kt_gstage_crew *crew)
{
	struct kt_gstage_cgroup *home = kt_gstage_find(stage, crew->crew->spec.cgroup);

	if (!home || home->owner != crew->owner)
		return false;
	for (size_t i = 0; i < crew->crew->n_workers; i++) {
		pid_t pid = crew->crew->workers[i].pid;
		int status = pid ? kt_gcgroup_move(home->name, pid, NULL) : 0;

		if (status < 0 && status != -ESRCH)
			return false;
	}
	crew->where = home;
	kt_gcrew_see_cpus(crew->crew, home->name);
	return true;
}

/* The same of payloads: those of the act end, those of others in a cgroup of its go where they were started. */
static void end_payloads(struct kt_gstage *stage, size_t owner, int64_t now_ns)
{
	for (struct kt_gpayloads_one *one = stage->payloads.list; one; one = one->next) {
		const struct kt_gstage_cgroup *where = kt_gstage_find(stage, one->where);
		const char *home = one->payload->spec.cgroup;
		bool is_guest = where && where->owner == owner;

		if (one->owner != owner && !is_guest)
			continue;
		if (one->owner == owner || (home[0] && !kt_gstage_find(stage, home)) ||
		    kt_gpayloads_move(one, home, NULL) < 0)
			kt_gpayload_stop(one->payload, now_ns);
	}
}

void kt_gstage_end(struct kt_gstage *stage, size_t owner, int64_t now_ns)
{
	end_payloads(stage, owner, now_ns);
	for (struct kt_gstage_crew *crew = stage->crews; crew; crew = crew->next)
		if (crew->owner == owner || (crew->where->owner == owner && !go_home(stage, crew)))
			stop_crew(stage, crew, now_ns);
	for (struct kt_gstage_cgroup *cgroup = stage->cgroups; cgroup; cgroup = cgroup->next)
		cgroup->is_going = cgroup->is_going || cgroup->owner == owner;
}

void kt_gstage_end_all(struct kt_gstage *stage, int64_t now_ns)
{
	stage->stop_took_ns_max = 0;
	kt_gpayloads_stop(&stage->payloads, NULL, now_ns);
	for (struct kt_gstage_crew *crew = stage->crews; crew; crew = crew->next)
		stop_crew(stage, crew, now_ns);
	for (struct kt_gstage_cgroup *cgroup = stage->cgroups; cgroup; cgroup = cgroup->next)
		cgroup->is_going = true;
}

static void take_reports(struct kt_gstage *stage, const struct kt_gstage_crew *crew, int64_t now_ns)
{
	size_t n = crew->crew->n_workers;

	if (now_ns - crew->stop_told_ns > stage->stop_took_ns_max)
		stage->stop_took_ns_max = now_ns - crew->stop_told_ns;
	stage->reports =
		kt_must_realloc(stage->reports, stage->n_reports + n + 1, sizeof(*stage->reports));
	stage->n_missing += kt_gcrew_report(crew->crew, stage->anchor_ns, stage->arena,
					    &stage->reports[stage->n_reports]);
	stage->n_reports += n;
	kt_gcrew_wakes(crew->crew, &stage->wakes);
}

/* How many workers are still to end. */
static size_t see_crews_off(struct kt_gstage *stage, int64_t now_ns)
{
	struct kt_gstage_crew **at = &stage->crews;
	size_t n = 0;

	while (*at) {
		struct kt_gstage_crew *crew = *at;
		size_t n_alive = kt_gcrew_alive(crew->crew);

		if (crew->state != KT_GSTAGE_STOPPING || n_alive) {
			n += crew->state == KT_GSTAGE_STOPPING ? n_alive : 0;
			at = &crew->next;
			continue;
		}
		*at = crew->next;
		take_reports(stage, crew, now_ns);
		kt_gcrew_destroy(&crew->crew);
		free(crew);
	}
	return n;
}

static bool has_crew(const struct kt_gstage *stage, const struct kt_gstage_cgroup *cgroup)
{
	for (const struct kt_gstage_crew *crew = stage->crews; crew; crew = crew->next)
		if (is_at_or_below(crew->where, cgroup))
			return true;
	return false;
}

/* Its workers have ended; who is left in it are their children, or a payload's. */
static bool is_removed(struct kt_gstage_cgroup *cgroup)
{
	int status;

	if (cgroup->is_frozen)
		kt_gstage_freeze(cgroup, false, NULL);
	status = kt_gcgroup_remove(cgroup->name);
	if (status == -EBUSY)
		kt_gcgroup_kill(cgroup->name);
	return status == 0 || status == -ENOENT;
}

static size_t see_cgroups_off(struct kt_gstage *stage)
{
	struct kt_gstage_cgroup **at = &stage->cgroups;
	size_t n = 0;

	while (*at) {
		struct kt_gstage_cgroup *cgroup = *at;

		if (!cgroup->is_going || has_crew(stage, cgroup) ||
		    kt_gpayloads_is_in(&stage->payloads, cgroup->name) || !is_removed(cgroup)) {
			n += cgroup->is_going;
			at = &cgroup->next;
			continue;
		}
		*at = cgroup->next;
		free(cgroup);
	}
	return n;
}

size_t kt_gstage_look(struct kt_gstage *stage, int64_t now_ns)
{
	size_t n = see_crews_off(stage, now_ns);

	kt_gpayloads_step(&stage->payloads, now_ns);
	n += kt_gpayloads_leaving(&stage->payloads);
	return n + see_cgroups_off(stage);
}

char *kt_gstage_describe_rest(const struct kt_gstage *stage, char *text, size_t size)
{
	text[0] = 0;
	for (const struct kt_gstage_cgroup *cgroup = stage->cgroups; cgroup; cgroup = cgroup->next)
		if (cgroup->is_going)
			snprintf(text, size, "%s could not be removed", cgroup->name);
	if (kt_gpayloads_leaving(&stage->payloads))
		snprintf(text, size, "%zu payloads did not end",
			 kt_gpayloads_leaving(&stage->payloads));
	for (const struct kt_gstage_crew *crew = stage->crews; crew; crew = crew->next)
		if (crew->state == KT_GSTAGE_STOPPING)
			snprintf(text, size, "%zu of %zu workers of %s did not stop",
				 kt_gcrew_alive(crew->crew), crew->crew->n_workers,
				 crew->crew->spec.cgroup);
	return text;
}

bool kt_gstage_reaped(struct kt_gstage *stage, pid_t pid, int wait_status)
{
	for (struct kt_gstage_crew *crew = stage->crews; crew; crew = crew->next)
		if (kt_gcrew_reaped(crew->crew, pid, wait_status))
			return true;
	return kt_gpayloads_reaped(&stage->payloads, pid, wait_status);
}

struct pollfd kt_gstage_fd(const struct kt_gstage *stage)
{
	return (struct pollfd){ .fd = stage->poll_fd, .events = POLLIN };
}

void kt_gstage_step(struct kt_gstage *stage, int64_t now_ns)
{
	kt_gpayloads_step(&stage->payloads, now_ns);
}

int64_t kt_gstage_due_ns(const struct kt_gstage *stage, int64_t now_ns)
{
	return kt_gpayloads_due_ns(&stage->payloads, now_ns);
}
