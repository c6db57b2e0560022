#include "coordinator/core/matrix/playbill.h"
#include "coordinator/core/matrix/groupkeys.h"
#include "proto/base/duration.h"
#include "proto/cpuset.h"
#include "proto/ops.h"
#include "proto/work.h"

#include <inttypes.h>
#include <string.h>

static void indent_by(unsigned int blanks, struct kt_buf *out)
{
	kt_buf_printf(out, "%*s", (int)blanks, "");
}

static void print_cpuset(const char *before, const struct kt_msg_cpuset *cpuset, struct kt_buf *out)
{
	char text[KT_CPUSET_TEXT_BYTES];

	if (cpuset)
		kt_buf_printf(out, "%s%s", before, kt_cpuset_describe(cpuset, text, sizeof(text)));
}

static void print_span(const char *before, int64_t ns, struct kt_buf *out)
{
	char text[KT_DURATION_TEXT_BYTES];

	if (ns)
		kt_buf_printf(out, "%s%s", before, kt_duration_format(ns, text));
}

static void print_text(const char *before, const char *text, struct kt_buf *out)
{
	if (text[0])
		kt_buf_printf(out, "%s%s", before, text);
}

/* ---- groups ---- */

static void print_params(const char *work_name, const struct kt_msg_param *params, size_t n,
			 struct kt_buf *out)
{
	const struct kt_work *work = kt_work_by_name(work_name);

	for (size_t i = 0; work && i < n; i++) {
		const struct kt_work_param *param = kt_work_param_by_name(work, params[i].name);
		char duration[KT_DURATION_TEXT_BYTES];

		kt_buf_printf(out, "%s%s = ", i ? ", " : " (", params[i].name);
		if (param && param->unit == KT_WORK_NS)
			kt_buf_puts(out, kt_duration_format(params[i].value, duration));
		else if (param && param->unit == KT_WORK_BYTES)
			kt_buf_printf(out, "%" PRId64 "K", params[i].value >> 10);
		else
			kt_buf_printf(out, "%" PRId64, params[i].value);
	}
	kt_buf_puts(out, n ? ")" : "");
}

static void print_phases(const struct kt_msg_group *group, struct kt_buf *out)
{
	for (size_t i = 0; i < group->n_phases; i++) {
		const struct kt_msg_phase_of_work *phase = &group->phases[i];

		kt_buf_printf(out, "%s%s", i ? ", then " : ": ", phase->work);
		print_params(phase->work, phase->params, phase->n_params, out);
		print_span(" for ", phase->duration_ns, out);
	}
}

static void print_policy(const struct kt_msg_group *group, struct kt_buf *out)
{
	print_text(", policy ", group->policy, out);
	if (group->priority)
		kt_buf_printf(out, " %" PRIu64, group->priority);
	print_span(" ", group->runtime_ns, out);
	print_span(" within ", group->deadline_ns, out);
	print_span(" every ", group->period_ns, out);
	if (group->nice)
		kt_buf_printf(out, ", nice %" PRId64, group->nice);
}

static void print_group(const struct kt_msg_group *group, struct kt_buf *out)
{
	uint64_t size = kt_groupkeys_size(group);

	if (group->workers_ppm)
		kt_buf_printf(out, "%g per CPU ", (double)group->workers_ppm / 1e6);
	else
		kt_buf_printf(out, "%" PRIu64 " ", group->workers);
	kt_buf_puts(out, group->work);
	print_params(group->work, group->params, group->n_params, out);
	print_phases(group, out);
	if (group->workers_ppm && size > 1)
		kt_buf_printf(out, ", rounded up to a multiple of %" PRIu64, size);
	print_policy(group, out);
	print_cpuset(", affinity ", group->affinity, out);
	print_text(", memory ", group->mem_policy, out);
	print_text(" ", group->mem_nodes, out);
	if (group->uid)
		kt_buf_printf(out, ", user %" PRIu64, group->uid);
	if (group->gid)
		kt_buf_printf(out, ", group %" PRIu64, group->gid);
}

/* ---- cgroups ---- */

/* "cg_0: cpuset llc(0), pids.max 7" */
static void print_head(const struct kt_msg_cgroup *cgroup, struct kt_buf *out)
{
	const char *before = ": ";

	kt_buf_puts(out, cgroup->name);
	if (cgroup->cpuset) {
		print_cpuset(": cpuset ", cgroup->cpuset, out);
		before = ", ";
	}
	for (size_t i = 0; i < cgroup->n_limits; i++) {
		kt_buf_printf(out, "%s%s %s", before, cgroup->limits[i].file,
			      cgroup->limits[i].text);
		before = ", ";
	}
}

static void print_cgroup(const struct kt_msg_cgroup *cgroup, unsigned int indent,
			 struct kt_buf *out)
{
	indent_by(indent, out);
	kt_buf_puts(out, "cgroup ");
	print_head(cgroup, out);
	kt_buf_puts(out, "\n");
	for (size_t i = 0; i < cgroup->n_groups; i++) {
		indent_by(indent + 2, out);
		print_group(&cgroup->groups[i], out);
		kt_buf_puts(out, "\n");
	}
	if (cgroup->payload[0]) {
		indent_by(indent + 2, out);
		kt_buf_printf(out, "payload %s\n", cgroup->payload);
	}
}

/* ---- ops ---- */

static void print_made(const struct kt_msg_cgroup *cgroup, struct kt_buf *out)
{
	kt_buf_puts(out, " ");
	print_head(cgroup, out);
	for (size_t i = 0; i < cgroup->n_groups; i++) {
		kt_buf_puts(out, "; ");
		print_group(&cgroup->groups[i], out);
	}
	print_text("; payload ", cgroup->payload, out);
}

static void print_value(const struct kt_msg_op *op, struct kt_buf *out)
{
	if (op->variable[0])
		kt_buf_printf(out, ": %s = %" PRId64, op->variable, op->value);
	else
		kt_buf_printf(out, ": [%" PRId64 "] = %" PRId64, op->key, op->value);
}

void kt_playbill_print_op(const struct kt_msg_op *op, struct kt_buf *out)
{
	const struct kt_ops *kind = kt_ops_by_name(op->kind);
	unsigned int uses = kind ? kind->uses : 0;

	kt_buf_puts(out, op->kind);
	if (op->make)
		print_made(op->make, out);
	print_text(" ", op->name, out);
	print_text(uses & KT_OPS_IN ? " in " : " ", op->cgroup, out);
	print_text(", ", op->other, out);
	print_cpuset(" to ", op->cpuset, out);
	if (op->group) {
		kt_buf_puts(out, ": ");
		print_group(op->group, out);
	}
	print_span(" within ", op->deadline_ns, out);
	if (uses & KT_OPS_CPU)
		kt_buf_printf(out, " %" PRIu64 " %s", op->cpu, op->online ? "online" : "offline");
	if (uses & KT_OPS_VALUE)
		print_value(op, out);
}

/* ---- acts ---- */

static void print_ops(const struct kt_msg_op *ops, size_t n, int64_t loop_ns, unsigned int indent,
		      struct kt_buf *out)
{
	for (size_t i = 0; i < n; i++) {
		indent_by(indent, out);
		print_span("every ", loop_ns, out);
		kt_buf_puts(out, loop_ns ? ": " : "");
		kt_playbill_print_op(&ops[i], out);
		kt_buf_puts(out, "\n");
	}
}

static void print_cgroups(const struct kt_msg_cgroup *cgroups, size_t n, unsigned int indent,
			  struct kt_buf *out)
{
	for (size_t i = 0; i < n; i++)
		print_cgroup(&cgroups[i], indent, out);
}

/* In the order in which it happens: a loop's ops come behind its cgroups (job.def). */
static void print_step(const struct kt_msg_step *step, unsigned int indent, struct kt_buf *out)
{
	if (!step->loop_ns)
		print_ops(step->ops, step->n_ops, 0, indent, out);
	print_cgroups(step->cgroups, step->n_cgroups, indent, out);
	if (step->loop_ns)
		print_ops(step->ops, step->n_ops, step->loop_ns, indent, out);
}

void kt_playbill_print(const struct kt_msg_scenario *scenario, unsigned int indent,
		       struct kt_buf *out)
{
	const struct kt_msg_backdrop *backdrop = scenario->backdrop;
	char from[KT_DURATION_TEXT_BYTES];
	char to[KT_DURATION_TEXT_BYTES];
	int64_t at_ns = 0;

	if (backdrop) {
		indent_by(indent, out);
		kt_buf_puts(out, "backdrop\n");
		print_ops(backdrop->ops, backdrop->n_ops, 0, indent + 2, out);
		print_cgroups(backdrop->cgroups, backdrop->n_cgroups, indent + 2, out);
	}
	for (size_t i = 0; i < scenario->n_steps; i++) {
		const struct kt_msg_step *step = &scenario->steps[i];

		indent_by(indent, out);
		kt_buf_printf(out, "step %zu, from %s to %s\n", i,
			      at_ns ? kt_duration_format(at_ns, from) : "0s",
			      kt_duration_format(at_ns + step->hold_ns, to));
		print_step(step, indent + 2, out);
		at_ns += step->hold_ns;
	}
}
