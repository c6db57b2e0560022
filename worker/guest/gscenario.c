#include "worker/guest/gscenario.h"
#include "worker/guest/gcgroup.h"
#include "worker/guest/gmachine.h"
#include "worker/guest/gtime.h"

#include "proto/base/must.h"
#include "proto/job.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* How long workers may take to stop: they do in 100 ms when they are run. When the scheduler does not
 * run them, its stall watchdog is the better witness, so it is waited for, with this on top.
 */
#define STOP_NS (5 * KT_NS_PER_S)

void kt_gscenario_init(struct kt_gscenario *scenario, const struct kt_gscenario_calls *calls)
{
	*scenario = (struct kt_gscenario){ .calls = *calls };
	kt_gstage_init(&scenario->stage);
}

/* ---- before anything runs ---- */

static int check_cgroup(const struct kt_msg_cgroup *cgroup, struct kt_err *err)
{
	if (!kt_gcgroup_name_ok(cgroup->name))
		return kt_err_set(err, KT_FAULT_PEER, EINVAL, "%.100s is no cgroup name",
				  cgroup->name);
	for (size_t i = 0; i < cgroup->n_groups; i++)
		if (!kt_work_by_name(cgroup->groups[i].work))
			return kt_err_set(err, KT_FAULT_PEER, EINVAL,
					  "there is no work type %.100s", cgroup->groups[i].work);
	return 0;
}

static int check_op(const struct kt_msg_op *op, struct kt_err *err)
{
	int status = kt_gops_check(op, err);

	return status == 0 && op->make ? check_cgroup(op->make, err) : status;
}

static int check_act(const struct kt_msg_cgroup *cgroups, size_t n_cgroups,
		     const struct kt_msg_op *ops, size_t n_ops, struct kt_err *err)
{
	int status = 0;

	for (size_t i = 0; status == 0 && i < n_cgroups; i++)
		status = check_cgroup(&cgroups[i], err);
	for (size_t i = 0; status == 0 && i < n_ops; i++)
		status = check_op(&ops[i], err);
	return status;
}

static int check(const struct kt_msg_scenario *what, struct kt_err *err)
{
	const struct kt_msg_backdrop *backdrop = what->backdrop;
	int status = 0;

	if (!what->n_steps)
		return kt_err_set(err, KT_FAULT_PEER, EINVAL, "a scenario without steps");
	if (backdrop)
		status = check_act(backdrop->cgroups, backdrop->n_cgroups, backdrop->ops,
				   backdrop->n_ops, err);
	for (size_t s = 0; status == 0 && s < what->n_steps; s++) {
		const struct kt_msg_step *step = &what->steps[s];

		status = check_act(step->cgroups, step->n_cgroups, step->ops, step->n_ops, err);
		if (status < 0)
			return kt_err_wrap(err, "step %zu", s);
	}
	return status;
}

static int copy(struct kt_gscenario *scenario, const struct kt_msg_guest_run *run,
		struct kt_err *err)
{
	KT_AUTO_BUF bytes = { 0 };

	kt_arena_reset(&scenario->arena);
	kt_codec_encode(&kt_schema_guest_run, run, &bytes);
	return kt_codec_decode(&kt_schema_guest_run, bytes.data, bytes.len, &scenario->arena,
			       &scenario->run, err);
}

void kt_gscenario_abort(struct kt_gscenario *scenario)
{
	kt_gstage_close(&scenario->stage);
	scenario->ops.op = NULL;
	scenario->state = KT_GSCENARIO_IDLE;
}

/* ---- what is told ---- */

static const char *name_of_act(const struct kt_gscenario *scenario, char text[32])
{
	if (scenario->act == KT_GSTAGE_BACKDROP)
		snprintf(text, 32, "backdrop");
	else
		snprintf(text, 32, "step %zu", scenario->act);
	return text;
}

static int64_t elapsed_ns(const struct kt_gscenario *scenario, int64_t at_ns)
{
	return scenario->anchor_ns < 0 ? 0 : at_ns - scenario->anchor_ns;
}

__attribute__((format(printf, 5, 6))) static void tell(struct kt_gscenario *scenario,
						       const char *kind, int64_t begun_ns,
						       bool failed, const char *format, ...)
{
	struct kt_msg_guest_event event = {
		.elapsed_ns = elapsed_ns(scenario, begun_ns),
		.step = scenario->act == KT_GSTAGE_BACKDROP ? 0 : scenario->act,
		.kind = kind,
		.took_ns = kt_gtime_now_ns() - begun_ns,
		.failed = failed,
	};
	char text[KT_TEXT_BYTES_MAX];
	va_list args;

	if (scenario->n_events++ >= KT_GSCENARIO_EVENTS_MAX && !failed) {
		scenario->n_untold++;
		return;
	}
	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	event.text = text;
	scenario->calls.send(scenario->calls.arg, KT_TAG_guest_event, &event);
}

static enum kt_gscenario_event fail(struct kt_gscenario *scenario, const char *what,
				    const struct kt_err *err)
{
	char act[32];

	scenario->cause = kt_gops_cause(err);
	scenario->evidence = NULL;
	if (err->code == ECHILD)
		scenario->evidence =
			kt_gpayloads_words(&scenario->stage.payloads, &scenario->arena);
	if (scenario->change.failed != KT_GSCHED_NOTHING) {
		scenario->cause = scenario->calls.failure->cause;
		scenario->evidence = kt_buf_text(&scenario->calls.failure->evidence);
	}
	snprintf(scenario->line, sizeof(scenario->line), "%s: %s%s%s", name_of_act(scenario, act),
		 what, *what ? ": " : "", err->text);
	kt_gscenario_abort(scenario);
	return KT_GSCENARIO_FAILED;
}

/* What workers needed too long for. */
__attribute__((format(printf, 2, 3))) static enum kt_gscenario_event fail_late(
	struct kt_gscenario *scenario, const char *format, ...)
{
	struct kt_err err = { .code = ETIMEDOUT, .fault = KT_FAULT_GUEST };
	va_list args;

	va_start(args, format);
	vsnprintf(err.text, sizeof(err.text), format, args);
	va_end(args);
	return fail(scenario, "", &err);
}

/* ---- ops ---- */

static const struct kt_msg_step *step_of(const struct kt_gscenario *scenario)
{
	kt_must(scenario->act < scenario->run.scenario->n_steps);
	return &scenario->run.scenario->steps[scenario->act];
}

static size_t ops_of(const struct kt_gscenario *scenario, const struct kt_msg_op **ops)
{
	const struct kt_msg_backdrop *backdrop = scenario->run.scenario->backdrop;

	if (scenario->act == KT_GSTAGE_BACKDROP) {
		*ops = backdrop->ops;
		return backdrop->n_ops;
	}
	*ops = step_of(scenario)->ops;
	return step_of(scenario)->n_ops;
}

static int64_t stop_ns(const struct kt_gscenario *scenario)
{
	if (scenario->change.loaded == KT_GSWITCH_NONE)
		return STOP_NS;
	return STOP_NS + kt_job_stall_ns(scenario->run.scenario);
}

static bool round_is_done(const struct kt_gscenario *scenario)
{
	const struct kt_msg_op *ops;

	return scenario->next_op == ops_of(scenario, &ops);
}

static enum kt_gscenario_event fail_op(struct kt_gscenario *scenario, struct kt_err *err)
{
	const char *what = kt_buf_text(&scenario->ops.text);

	tell(scenario, "op", scenario->ops.begun_ns, true, "%s: %s", what, err->text);
	return fail(scenario, what, err);
}

/* The op that is under way, else the next one: not while the host is still to see to a scheduler that came back. */
static int do_op(struct kt_gscenario *scenario, const struct kt_msg_op *next, struct kt_err *err)
{
	struct kt_gops *ops = &scenario->ops;
	int64_t now_ns = kt_gtime_now_ns();
	int status;

	if (ops->op)
		return kt_gops_look(ops, now_ns, err);
	status = kt_gask_look(&scenario->ask, now_ns, err);
	if (status <= 0) {
		kt_buf_reset(&ops->text);
		kt_buf_printf(&ops->text, "before %s", next->kind);
		return status;
	}
	ops->stop_ns = stop_ns(scenario);
	ops->is_let_go = scenario->anchor_ns >= 0;
	return kt_gops_begin(ops, next, scenario->act, now_ns, err);
}

/* As far as it goes now. */
static enum kt_gscenario_event do_round(struct kt_gscenario *scenario)
{
	struct kt_gops *ops = &scenario->ops;
	const struct kt_msg_op *list;
	size_t n = ops_of(scenario, &list);

	while (scenario->next_op < n) {
		struct kt_err err = { 0 };
		int status = do_op(scenario, &list[scenario->next_op], &err);

		if (status < 0)
			return fail_op(scenario, &err);
		if (status == 0)
			return KT_GSCENARIO_NOTHING;
		tell(scenario, "op", ops->begun_ns, false, "%s", kt_buf_text(&ops->text));
		scenario->next_op++;
	}
	return KT_GSCENARIO_NOTHING;
}

/* ---- moves ---- */

static bool is_loop(const struct kt_gscenario *scenario)
{
	return scenario->act != KT_GSTAGE_BACKDROP && step_of(scenario)->loop_ns > 0;
}

static void enter(struct kt_gscenario *scenario, enum kt_gscenario_state state, int64_t due_ns)
{
	scenario->state = state;
	scenario->begun_ns = kt_gtime_now_ns();
	scenario->due_ns = due_ns;
}

static void begin_act(struct kt_gscenario *scenario, size_t act)
{
	const struct kt_msg_op *ops;

	scenario->act = act;
	/* one that loops does them while it holds */
	scenario->next_op = is_loop(scenario) ? ops_of(scenario, &ops) : 0;
	enter(scenario, KT_GSCENARIO_DOING, INT64_MAX);
}

static enum kt_gscenario_event make_all(struct kt_gscenario *scenario,
					const struct kt_msg_cgroup *cgroups, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		int64_t begun_ns = kt_gtime_now_ns();
		KT_AUTO_BUF text = { 0 };
		struct kt_err err = { 0 };

		if (kt_gstage_make(&scenario->stage, &cgroups[i], scenario->act, &text, &err) < 0)
			return fail(scenario, cgroups[i].name, &err);
		tell(scenario, "setup", begun_ns, false, "%s", kt_buf_text(&text));
	}
	return KT_GSCENARIO_NOTHING;
}

static enum kt_gscenario_event step_doing(struct kt_gscenario *scenario, int64_t now_ns)
{
	const struct kt_msg_backdrop *backdrop = scenario->run.scenario->backdrop;
	enum kt_gscenario_event event = do_round(scenario);

	if (event != KT_GSCENARIO_NOTHING || !round_is_done(scenario))
		return event;
	enter(scenario, KT_GSCENARIO_GATHERING, now_ns + KT_GOPS_GATE_NS);
	if (scenario->act == KT_GSTAGE_BACKDROP)
		return make_all(scenario, backdrop->cgroups, backdrop->n_cgroups);
	return make_all(scenario, step_of(scenario)->cgroups, step_of(scenario)->n_cgroups);
}

static void begin_hold(struct kt_gscenario *scenario)
{
	const struct kt_msg_step *step = step_of(scenario);
	struct kt_msg_guest_step told = { .index = scenario->act };
	struct kt_msg_guest_started started;

	enter(scenario, KT_GSCENARIO_HOLDING, 0);
	scenario->due_ns = scenario->begun_ns + step->hold_ns;
	scenario->loop_ns = step->loop_ns ? scenario->begun_ns : INT64_MAX;
	/* the anchor first: nothing of the scenario may run before it */
	if (scenario->anchor_ns < 0) {
		scenario->anchor_ns = scenario->begun_ns;
		scenario->stage.anchor_ns = scenario->begun_ns;
		started.at_ns = scenario->begun_ns;
		scenario->calls.send(scenario->calls.arg, KT_TAG_guest_started, &started);
	}
	kt_gstage_go(&scenario->stage, scenario->begun_ns);
	told.elapsed_ns = elapsed_ns(scenario, scenario->begun_ns);
	scenario->calls.send(scenario->calls.arg, KT_TAG_guest_step, &told);
}

static enum kt_gscenario_event step_gathering(struct kt_gscenario *scenario, int64_t now_ns)
{
	const struct kt_gscenario_calls *calls = &scenario->calls;
	struct kt_err err = { 0 };
	int status = kt_gstage_is_ready(&scenario->stage, &err);
	char text[128];

	if (status < 0)
		return fail(scenario, "", &err);
	if (status == 0 && now_ns >= scenario->due_ns)
		return fail_late(scenario, "%s within %lld s",
				 kt_gstage_describe_gate(&scenario->stage, text, sizeof(text)),
				 KT_GOPS_GATE_NS / KT_NS_PER_S);
	if (status == 0 || (scenario->anchor_ns < 0 && !calls->may_begin(calls->arg)))
		return KT_GSCENARIO_NOTHING;
	if (scenario->act == KT_GSTAGE_BACKDROP)
		begin_act(scenario, 0);
	else
		begin_hold(scenario);
	return KT_GSCENARIO_NOTHING;
}

/* What was missed while a round took its time is not made up for. */
static void begin_round(struct kt_gscenario *scenario, int64_t now_ns)
{
	int64_t span_ns = step_of(scenario)->loop_ns;

	scenario->next_op = 0;
	scenario->loop_ns += ((now_ns - scenario->loop_ns) / span_ns + 1) * span_ns;
}

static bool is_last(const struct kt_gscenario *scenario)
{
	return scenario->act + 1 == scenario->run.scenario->n_steps;
}

static enum kt_gscenario_event step_holding(struct kt_gscenario *scenario, int64_t now_ns)
{
	enum kt_gscenario_event event;

	if (round_is_done(scenario) && now_ns >= scenario->loop_ns && now_ns < scenario->due_ns)
		begin_round(scenario, now_ns);
	event = do_round(scenario);
	if (event != KT_GSCENARIO_NOTHING || !round_is_done(scenario) || now_ns < scenario->due_ns)
		return event;
	/* without a CPU the kernel gives cgroups others, some time after it went */
	if (kt_cpuset_count(&scenario->plug.offline))
		kt_gstage_see_cpus(&scenario->stage);
	enter(scenario, KT_GSCENARIO_ENDING, now_ns + stop_ns(scenario));
	if (is_last(scenario))
		kt_gstage_end_all(&scenario->stage, now_ns);
	else
		kt_gstage_end(&scenario->stage, scenario->act, now_ns);
	return KT_GSCENARIO_NOTHING;
}

static enum kt_gscenario_event step_ending(struct kt_gscenario *scenario, int64_t now_ns)
{
	char text[256];

	if (kt_gstage_look(&scenario->stage, now_ns) > 0) {
		if (now_ns >= scenario->due_ns)
			return fail_late(scenario, "%s within %.1f s",
					 kt_gstage_describe_rest(&scenario->stage, text,
								 sizeof(text)),
					 (double)(scenario->due_ns - scenario->begun_ns) / 1e9);
		return KT_GSCENARIO_NOTHING;
	}
	if (is_last(scenario))
		enter(scenario, KT_GSCENARIO_RESTORING, 0);
	else
		begin_act(scenario, scenario->act + 1);
	return KT_GSCENARIO_NOTHING;
}

static enum kt_gscenario_event finish(struct kt_gscenario *scenario)
{
	if (scenario->n_untold) {
		size_t n = scenario->n_untold;

		scenario->n_events = 0;
		tell(scenario, "event", kt_gtime_now_ns(), false, "%zu more ops were carried out",
		     n);
	}
	kt_gstage_close(&scenario->stage);
	scenario->state = KT_GSCENARIO_IDLE;
	return KT_GSCENARIO_FINISHED;
}

/* A CPU that comes ends every sched_ext scheduler that does not know about CPUs that come and go, and the scenario
 * is over: nobody asked for that end. Its guest is not used again.
 */
static bool may_restore(struct kt_gscenario *scenario)
{
	char list[KT_CPUSET_TEXT_BYTES];

	if (scenario->change.loaded == KT_GSWITCH_NONE ||
	    kt_cpuset_count(&scenario->plug.offline) == 0)
		return true;
	tell(scenario, "event", kt_gtime_now_ns(), false,
	     "CPUs %s stay offline: to bring them back might end the scheduler",
	     kt_cpuset_print(&scenario->plug.offline, list));
	return false;
}

/* Whatever was taken away comes back, as far as it can: the scenario has ended all the same. due_ns is 0 while
 * none is on its way.
 */
static enum kt_gscenario_event step_restoring(struct kt_gscenario *scenario, int64_t now_ns)
{
	struct kt_ghotplug *plug = &scenario->plug;
	struct kt_err err = { 0 };
	int status;

	if (scenario->due_ns) {
		status = kt_ghotplug_look(plug, &err);
		if (status == 0 && now_ns < scenario->due_ns)
			return KT_GSCENARIO_NOTHING;
		tell(scenario, "event", scenario->begun_ns, status <= 0, "CPU %u online again%s%s",
		     plug->cpu, status < 0 ? ": " : "", err.text);
		if (status == 0)
			return finish(scenario);
	}
	enter(scenario, KT_GSCENARIO_RESTORING, now_ns + KT_GOPS_PLUG_NS);
	if (!may_restore(scenario) || kt_ghotplug_restore(plug, &err) <= 0)
		return finish(scenario);
	return KT_GSCENARIO_NOTHING;
}

/* They print and end whenever they do. */
static enum kt_gscenario_event step_payloads(struct kt_gscenario *scenario, int64_t now_ns)
{
	struct kt_gpayloads *payloads = &scenario->stage.payloads;
	const struct kt_gpayload *ended;
	struct kt_err err = { 0 };

	kt_gstage_step(&scenario->stage, now_ns);
	while ((ended = kt_gpayloads_next_end(payloads))) {
		KT_AUTO_BUF how = { 0 };

		kt_gpayload_describe(ended, &how);
		tell(scenario, "payload", ended->ended_ns, false, "%s: %s", ended->spec.what->name,
		     kt_buf_text(&how));
	}
	if (kt_gpayloads_trouble(payloads, &err) < 0)
		return fail(scenario, "", &err);
	return KT_GSCENARIO_NOTHING;
}

enum kt_gscenario_event kt_gscenario_step(struct kt_gscenario *scenario, int64_t now_ns)
{
	static enum kt_gscenario_event (*const steps[])(struct kt_gscenario * scenario,
							int64_t now_ns) = {
		[KT_GSCENARIO_DOING] = step_doing,
		[KT_GSCENARIO_GATHERING] = step_gathering,
		[KT_GSCENARIO_HOLDING] = step_holding,
		[KT_GSCENARIO_ENDING] = step_ending,
		[KT_GSCENARIO_RESTORING] = step_restoring,
	};
	enum kt_gscenario_event event = KT_GSCENARIO_NOTHING;
	enum kt_gscenario_state before;
	size_t act;

	if (scenario->state == KT_GSCENARIO_IDLE)
		return KT_GSCENARIO_NOTHING;
	kt_gswitch_tell(&scenario->change, now_ns);
	event = step_payloads(scenario, now_ns);
	if (event != KT_GSCENARIO_NOTHING)
		return event;
	do {
		before = scenario->state;
		act = scenario->act;
		if (before != KT_GSCENARIO_IDLE)
			event = steps[before](scenario, now_ns);
	} while (event == KT_GSCENARIO_NOTHING &&
		 (scenario->state != before || scenario->act != act));
	return event;
}

/* ---- what happens around it ---- */

int kt_gscenario_start(struct kt_gscenario *scenario, const struct kt_msg_guest_run *run,
		       bool is_loaded, struct kt_err *err)
{
	const struct kt_gscenario_calls *calls = &scenario->calls;
	const struct kt_gswitch_calls changes = { calls->load, calls->unload, calls->arg,
						  calls->failure };
	struct kt_cpuset_machine machine;
	int status;

	kt_must(scenario->state == KT_GSCENARIO_IDLE);
	status = check(run->scenario, err);
	if (status == 0)
		status = copy(scenario, run, err);
	if (status == 0)
		status = kt_gmachine_read(&machine, err);
	if (status == 0)
		status = kt_gstage_open(&scenario->stage, &scenario->arena, &machine,
					&scenario->run, err);
	if (status < 0)
		return status;
	scenario->ask = (struct kt_gask){ .send = calls->send, .arg = calls->arg };
	kt_gswitch_init(&scenario->change, &changes, &scenario->ask, &scenario->run, is_loaded);
	scenario->plug = (struct kt_ghotplug){ .root = KT_GHOTPLUG_ROOT };
	kt_gops_destroy(&scenario->ops);
	scenario->ops = (struct kt_gops){
		.stage = &scenario->stage,
		.ask = &scenario->ask,
		.change = &scenario->change,
		.plug = &scenario->plug,
	};
	scenario->anchor_ns = -1;
	scenario->n_events = 0;
	scenario->n_untold = 0;
	begin_act(scenario, scenario->run.scenario->backdrop ? KT_GSTAGE_BACKDROP : 0);
	return 0;
}

void kt_gscenario_reaped(struct kt_gscenario *scenario, pid_t pid, int wait_status)
{
	if (!kt_gstage_reaped(&scenario->stage, pid, wait_status))
		kt_ghotplug_reaped(&scenario->plug, pid, wait_status);
}

bool kt_gscenario_take(struct kt_gscenario *scenario, enum kt_gsched_event event, int64_t now_ns)
{
	return scenario->state != KT_GSCENARIO_IDLE &&
	       kt_gswitch_take(&scenario->change, event, now_ns);
}

void kt_gscenario_seen(struct kt_gscenario *scenario, uint64_t id)
{
	kt_gask_seen(&scenario->ask, id);
}

struct pollfd kt_gscenario_fd(const struct kt_gscenario *scenario)
{
	return kt_gstage_fd(&scenario->stage);
}

static int64_t earlier(int64_t a_ns, int64_t b_ns)
{
	return a_ns < b_ns ? a_ns : b_ns;
}

int64_t kt_gscenario_due_ns(const struct kt_gscenario *scenario, int64_t now_ns)
{
	int64_t due_ns = scenario->due_ns;

	if (scenario->state == KT_GSCENARIO_IDLE)
		return INT64_MAX;
	/* a round that has begun is finished, whatever has come due meanwhile */
	if (scenario->ops.op || scenario->ask.is_open)
		return now_ns + KT_GOPS_LOOK_NS;
	if (scenario->state == KT_GSCENARIO_HOLDING)
		due_ns = earlier(due_ns, scenario->loop_ns);
	/* a cgroup that still has somebody in it tells nobody when they are gone */
	if (scenario->state == KT_GSCENARIO_ENDING)
		due_ns = now_ns + KT_GOPS_LOOK_NS;
	return earlier(due_ns, kt_gstage_due_ns(&scenario->stage, now_ns));
}
