#include "worker/guest/gops.h"
#include "worker/guest/gcgroup.h"
#include "worker/guest/gmap.h"

#include "proto/base/must.h"

#include <errno.h>
#include <string.h>

enum kt_cause_id kt_gops_cause(const struct kt_err *err)
{
	if (err->fault == KT_FAULT_PEER)
		return KT_CAUSE_ID_protocol;
	if (err->code == ENOSYS)
		return KT_CAUSE_ID_scenario_unsupported;
	/* workers that died or did not get a CPU: nothing that the kernel refused */
	if (err->code == ESRCH || err->code == ETIMEDOUT)
		return KT_CAUSE_ID_workload_stuck;
	if (err->code == ECHILD)
		return KT_CAUSE_ID_payload_failed;
	if (err->code == ENOMEM)
		return KT_CAUSE_ID_guest_oom;
	return KT_CAUSE_ID_op_failed;
}

/* Not done yet: 0, until its time is up. */
static int not_yet(const struct kt_gops *ops, int64_t now_ns, const char *what, struct kt_err *err)
{
	if (now_ns < ops->due_ns)
		return 0;
	return kt_err_set(err, KT_FAULT_GUEST, ETIMEDOUT, "%s in %.1f s", what,
			  (double)(ops->due_ns - ops->begun_ns) / 1e9);
}

static int need_cgroup(struct kt_gops *ops, struct kt_err *err)
{
	kt_buf_printf(&ops->text, " %s", ops->op->cgroup);
	return kt_gstage_need(ops->stage, ops->op->cgroup, &ops->cgroup, err);
}

/* ---- workers ---- */

static int look_gate(struct kt_gops *ops, int64_t now_ns, struct kt_err *err)
{
	int status = kt_gstage_is_ready(ops->stage, err);
	char text[128];

	if (status == 0)
		return not_yet(ops, now_ns, kt_gstage_describe_gate(ops->stage, text, sizeof(text)),
			       err);
	if (status > 0 && ops->is_let_go)
		kt_gstage_go(ops->stage, now_ns);
	return status;
}

static int begin_add(struct kt_gops *ops, struct kt_err *err)
{
	ops->due_ns = ops->begun_ns + KT_GOPS_GATE_NS;
	kt_buf_puts(&ops->text, " ");
	return kt_gstage_make(ops->stage, ops->op->make, ops->owner, &ops->text, err);
}

static int begin_spawn(struct kt_gops *ops, struct kt_err *err)
{
	uint32_t n;
	int status = need_cgroup(ops, err);

	ops->due_ns = ops->begun_ns + KT_GOPS_GATE_NS;
	if (status == 0)
		status = kt_gstage_spawn(ops->stage, ops->cgroup, ops->op->group, ops->owner, &n,
					 err);
	if (status == 0)
		kt_buf_printf(&ops->text, ": %u %s", n, ops->op->group->work);
	return status;
}

static int look_gone(struct kt_gops *ops, int64_t now_ns, struct kt_err *err)
{
	char text[256];

	if (kt_gstage_look(ops->stage, now_ns) == 0)
		return 1;
	return not_yet(ops, now_ns, kt_gstage_describe_rest(ops->stage, text, sizeof(text)), err);
}

static int begin_stop(struct kt_gops *ops, struct kt_err *err)
{
	int status = need_cgroup(ops, err);

	if (status < 0)
		return status;
	ops->due_ns = ops->begun_ns + ops->stop_ns;
	kt_buf_printf(&ops->text, ": %zu workers",
		      kt_gstage_stop(ops->stage, ops->cgroup, ops->begun_ns));
	return 0;
}

static int begin_remove(struct kt_gops *ops, struct kt_err *err)
{
	int status = need_cgroup(ops, err);

	ops->due_ns = ops->begun_ns + ops->stop_ns;
	if (status == 0)
		kt_gstage_remove(ops->stage, ops->cgroup, ops->begun_ns);
	return status;
}

static int begin_affinity(struct kt_gops *ops, struct kt_err *err)
{
	const struct kt_msg_cpuset *spec = ops->op->cpuset;
	char words[KT_CPUSET_TEXT_BYTES];
	char list[KT_CPUSET_TEXT_BYTES];
	struct kt_cpuset cpus;
	size_t n;
	int status = need_cgroup(ops, err);

	if (status == 0)
		status = kt_cpuset_resolve(spec, &ops->stage->machine, &cpus, err);
	if (status < 0)
		return status;
	kt_cpuset_print(&cpus, list);
	kt_buf_printf(&ops->text, " = %s", kt_cpuset_describe(spec, words, sizeof(words)));
	if (strcmp(words, list) != 0)
		kt_buf_printf(&ops->text, " = %s", list);
	status = kt_gstage_set_affinity(ops->stage, ops->cgroup, &cpus, &n, err);
	if (status == 0)
		kt_buf_printf(&ops->text, ": %zu workers", n);
	return status;
}

static int begin_move(struct kt_gops *ops, struct kt_err *err)
{
	struct kt_gstage_cgroup *other;
	size_t n;
	int status = need_cgroup(ops, err);

	kt_buf_printf(&ops->text, " to %s", ops->op->other);
	if (status == 0)
		status = kt_gstage_need(ops->stage, ops->op->other, &other, err);
	if (status == 0)
		status = kt_gstage_move_all(ops->stage, ops->cgroup, other, &n, err);
	if (status == 0)
		kt_buf_printf(&ops->text, ": %zu tasks", n);
	return status;
}

/* ---- CPUs ---- */

static int begin_set_cpuset(struct kt_gops *ops, struct kt_err *err)
{
	int status = need_cgroup(ops, err);

	kt_buf_puts(&ops->text, " = ");
	if (status < 0)
		return status;
	return kt_gstage_set_cpus(ops->stage, ops->cgroup, ops->op->cpuset, &ops->text, err);
}

static int begin_clear_cpuset(struct kt_gops *ops, struct kt_err *err)
{
	int status = need_cgroup(ops, err);

	kt_buf_puts(&ops->text, " = ");
	if (status < 0)
		return status;
	return kt_gstage_set_cpus(ops->stage, ops->cgroup, NULL, &ops->text, err);
}

static int begin_swap(struct kt_gops *ops, struct kt_err *err)
{
	struct kt_gstage_cgroup *other;
	int status = kt_gstage_need(ops->stage, ops->op->cgroup, &ops->cgroup, err);

	if (status == 0)
		status = kt_gstage_need(ops->stage, ops->op->other, &other, err);
	kt_buf_puts(&ops->text, " ");
	if (status < 0)
		return status;
	return kt_gstage_swap_cpus(ops->stage, ops->cgroup, other, &ops->text, err);
}

static int begin_hotplug(struct kt_gops *ops, struct kt_err *err)
{
	const struct kt_msg_op *op = ops->op;

	ops->due_ns = ops->begun_ns + KT_GOPS_PLUG_NS;
	kt_buf_printf(&ops->text, " %u %s", (unsigned int)op->cpu,
		      op->online ? "online" : "offline");
	if (op->cpu >= ops->stage->machine.n_cpus)
		return kt_err_set(err, KT_FAULT_GUEST, EINVAL,
				  "there is no CPU %u; the guest has %u, counted from 0",
				  (unsigned int)op->cpu, ops->stage->machine.n_cpus);
	return kt_ghotplug_begin(ops->plug, (uint32_t)op->cpu, op->online, err);
}

/* A scheduler that does not know about CPUs that come and go is taken out a moment later: when it has been
 * noticed, the scenario waits until it is back (gsched.h).
 */
static int look_hotplug(struct kt_gops *ops, int64_t now_ns, struct kt_err *err)
{
	int status = kt_ghotplug_look(ops->plug, err);

	if (status == 0)
		return not_yet(ops, now_ns, "the kernel was not done", err);
	if (status < 0 || ops->change->loaded == KT_GSWITCH_NONE)
		return status;
	if (!ops->settled_ns)
		ops->settled_ns = now_ns + KT_GOPS_SETTLE_NS;
	return now_ns >= ops->settled_ns;
}

/* ---- freezing ---- */

static int begin_freeze(struct kt_gops *ops, struct kt_err *err)
{
	int status = need_cgroup(ops, err);

	ops->due_ns = ops->begun_ns + KT_GOPS_FREEZE_NS;
	return status < 0 ? status : kt_gstage_freeze(ops->cgroup, true, err);
}

static int look_frozen(struct kt_gops *ops, int64_t now_ns, struct kt_err *err)
{
	int status = kt_gcgroup_is_frozen(ops->op->cgroup, err);

	return status ? status : not_yet(ops, now_ns, "not every task of it came to freeze", err);
}

static int begin_unfreeze(struct kt_gops *ops, struct kt_err *err)
{
	int status = need_cgroup(ops, err);

	return status < 0 ? status : kt_gstage_freeze(ops->cgroup, false, err);
}

/* ---- the scheduler, and the host ---- */

static int begin_capture(struct kt_gops *ops, struct kt_err *err)
{
	(void)err;
	kt_buf_printf(&ops->text, " %s", ops->op->name);
	kt_gask_capture(ops->ask, ops->op->name, ops->begun_ns);
	return 0;
}

static int look_ask(struct kt_gops *ops, int64_t now_ns, struct kt_err *err)
{
	return kt_gask_look(ops->ask, now_ns, err);
}

static int begin_detach(struct kt_gops *ops, struct kt_err *err)
{
	return kt_gswitch_detach(ops->change, &ops->text, err);
}

static int begin_attach(struct kt_gops *ops, struct kt_err *err)
{
	return kt_gswitch_attach(ops->change, &ops->text, err);
}

static int begin_restart(struct kt_gops *ops, struct kt_err *err)
{
	return kt_gswitch_restart(ops->change, &ops->text, err);
}

static int begin_replace(struct kt_gops *ops, struct kt_err *err)
{
	return kt_gswitch_replace(ops->change, ops->op->name, &ops->text, err);
}

static int look_switch(struct kt_gops *ops, int64_t now_ns, struct kt_err *err)
{
	int status = kt_gswitch_look(ops->change, now_ns, err);

	if (status > 0 && ops->change->loaded != KT_GSWITCH_NONE)
		kt_buf_printf(&ops->text, ": epoch %llu", (unsigned long long)ops->change->epoch);
	return status;
}

static int begin_write_map(struct kt_gops *ops, struct kt_err *err)
{
	const struct kt_msg_op *op = ops->op;

	(void)err;
	ops->due_ns = ops->begun_ns + KT_GOPS_MAP_NS;
	if (op->variable[0])
		kt_buf_printf(&ops->text, " %s: %s", op->name, op->variable);
	else
		kt_buf_printf(&ops->text, " %s[%lld]", op->name, (long long)op->key);
	kt_buf_printf(&ops->text, " = %lld", (long long)op->value);
	return 0;
}

/* Maps of a scheduler that was just unloaded are there for a moment longer: then it is not clear which is meant. */
static int look_write_map(struct kt_gops *ops, int64_t now_ns, struct kt_err *err)
{
	int status = kt_gmap_write(ops->op, err);

	if (status == -EAGAIN && now_ns < ops->due_ns)
		return 0;
	return status < 0 ? status : 1;
}

/* ---- payloads ---- */

static int begin_run_payload(struct kt_gops *ops, struct kt_err *err)
{
	int status = 0;

	kt_buf_printf(&ops->text, " %s", ops->op->name);
	if (ops->op->cgroup[0]) {
		kt_buf_puts(&ops->text, " in");
		status = need_cgroup(ops, err);
	}
	if (status == 0)
		status = kt_gstage_run(ops->stage, ops->op->name, ops->cgroup, ops->owner, err);
	if (status == 0 && ops->is_let_go)
		kt_gpayloads_go(&ops->stage->payloads, ops->op->name, ops->begun_ns);
	return status;
}

/* Whoever waits for it before the scenario's first gate wants it to run before that. */
static int begin_wait_payload(struct kt_gops *ops, struct kt_err *err)
{
	(void)err;
	ops->due_ns = ops->begun_ns + ops->op->deadline_ns;
	kt_buf_printf(&ops->text, " %s", ops->op->name);
	kt_gpayloads_go(&ops->stage->payloads, ops->op->name, ops->begun_ns);
	return 0;
}

static int look_wait_payload(struct kt_gops *ops, int64_t now_ns, struct kt_err *err)
{
	struct kt_gpayloads *payloads = &ops->stage->payloads;
	const struct kt_gpayload *payload = kt_gpayloads_find(payloads, ops->op->name);

	if (!payload)
		return kt_err_set(err, KT_FAULT_GUEST, ECHILD, "it was not started");
	if (kt_gpayloads_alive(payloads, ops->op->name) && now_ns < ops->due_ns)
		return 0;
	if (kt_gpayloads_alive(payloads, ops->op->name))
		return kt_err_set(err, KT_FAULT_GUEST, ECHILD,
				  "it did not end by itself in %.1f s; read its output",
				  (double)ops->op->deadline_ns / 1e9);
	kt_buf_puts(&ops->text, ": ");
	kt_gpayload_describe(payload, &ops->text);
	return 1;
}

static int begin_kill_payload(struct kt_gops *ops, struct kt_err *err)
{
	(void)err;
	ops->due_ns = ops->begun_ns + ops->stop_ns;
	kt_buf_printf(&ops->text, " %s", ops->op->name);
	kt_gpayloads_stop(&ops->stage->payloads, ops->op->name, ops->begun_ns);
	return 0;
}

static int look_kill_payload(struct kt_gops *ops, int64_t now_ns, struct kt_err *err)
{
	if (kt_gpayloads_alive(&ops->stage->payloads, ops->op->name) == 0)
		return 1;
	return not_yet(ops, now_ns, "it did not die", err);
}

/* ---- the table ---- */

/* look is NULL where begin does all of it. begin: 0, or negative. */
static const struct carry {
	int (*begin)(struct kt_gops *ops, struct kt_err *err);
	int (*look)(struct kt_gops *ops, int64_t now_ns, struct kt_err *err);
} table[KT_OPS_N] = {
	[KT_OPS_ID_add_cgroup] = { begin_add, look_gate },
	[KT_OPS_ID_remove_cgroup] = { begin_remove, look_gone },
	[KT_OPS_ID_set_cpuset] = { begin_set_cpuset, NULL },
	[KT_OPS_ID_clear_cpuset] = { begin_clear_cpuset, NULL },
	[KT_OPS_ID_swap_cpusets] = { begin_swap, NULL },
	[KT_OPS_ID_spawn] = { begin_spawn, look_gate },
	[KT_OPS_ID_stop_cgroup] = { begin_stop, look_gone },
	[KT_OPS_ID_set_affinity] = { begin_affinity, NULL },
	[KT_OPS_ID_move_all_tasks] = { begin_move, NULL },
	[KT_OPS_ID_run_payload] = { begin_run_payload, NULL },
	[KT_OPS_ID_wait_payload] = { begin_wait_payload, look_wait_payload },
	[KT_OPS_ID_kill_payload] = { begin_kill_payload, look_kill_payload },
	[KT_OPS_ID_freeze_cgroup] = { begin_freeze, look_frozen },
	[KT_OPS_ID_unfreeze_cgroup] = { begin_unfreeze, NULL },
	[KT_OPS_ID_capture] = { begin_capture, look_ask },
	[KT_OPS_ID_attach_scheduler] = { begin_attach, look_switch },
	[KT_OPS_ID_detach_scheduler] = { begin_detach, look_switch },
	[KT_OPS_ID_restart_scheduler] = { begin_restart, look_switch },
	[KT_OPS_ID_replace_scheduler] = { begin_replace, look_switch },
	[KT_OPS_ID_write_map] = { begin_write_map, look_write_map },
	[KT_OPS_ID_hotplug_cpu] = { begin_hotplug, look_hotplug },
};

static bool has_what_it_uses(const struct kt_ops *row, const struct kt_msg_op *op)
{
	return (!(row->uses & KT_OPS_CGROUP) || kt_gcgroup_name_ok(op->cgroup)) &&
	       (!(row->uses & KT_OPS_OTHER) || kt_gcgroup_name_ok(op->other)) &&
	       (!(row->uses & KT_OPS_CPUSET) || op->cpuset) &&
	       (!(row->uses & KT_OPS_MAKE) || (op->make && kt_gcgroup_name_ok(op->make->name))) &&
	       (!(row->uses & KT_OPS_GROUP) || op->group) &&
	       (!(row->uses & KT_OPS_NAME) || op->name[0]);
}

int kt_gops_check(const struct kt_msg_op *op, struct kt_err *err)
{
	const struct kt_ops *row = kt_ops_by_name(op->kind);

	if (!row)
		return kt_err_set(err, KT_FAULT_PEER, EINVAL, "there is no op %.32s", op->kind);
	if (!has_what_it_uses(row, op))
		return kt_err_set(err, KT_FAULT_PEER, EINVAL, "%s lacks what it is about",
				  row->name);
	return 0;
}

/* The op is over, one way or the other. */
static int finish(struct kt_gops *ops, int status)
{
	if (status)
		ops->op = NULL;
	return status;
}

int kt_gops_begin(struct kt_gops *ops, const struct kt_msg_op *op, size_t owner, int64_t now_ns,
		  struct kt_err *err)
{
	const struct kt_ops *row = kt_ops_by_name(op->kind);
	int status;

	kt_must(!ops->op);
	kt_must(row); /* kt_gops_check() was asked */
	ops->op = op;
	ops->row = row;
	ops->owner = owner;
	ops->begun_ns = now_ns;
	ops->due_ns = INT64_MAX;
	ops->settled_ns = 0;
	ops->cgroup = NULL;
	kt_buf_reset(&ops->text);
	kt_buf_puts(&ops->text, row->name);
	status = table[row->id].begin(ops, err);
	if (status < 0)
		return finish(ops, status);
	return finish(ops, table[row->id].look ? table[row->id].look(ops, now_ns, err) : 1);
}

int kt_gops_look(struct kt_gops *ops, int64_t now_ns, struct kt_err *err)
{
	kt_must(ops->op);
	return finish(ops, table[ops->row->id].look(ops, now_ns, err));
}

void kt_gops_destroy(struct kt_gops *ops)
{
	kt_buf_destroy(&ops->text);
}
