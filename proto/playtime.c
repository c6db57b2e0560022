#include "proto/playtime.h"
#include "proto/base/clock.h"
#include "proto/base/limits.h"
#include "proto/ops.h"

#define END_NS \
	(2 *   \
	 KT_NS_PER_S) /* SIGTERM, a second, SIGKILL (worker/guest/gpayload.h), and what that takes */

struct prices {
	int64_t load_ns;
	int64_t unload_ns;
};

static int64_t op_ns(const struct kt_msg_op *op, const struct prices *prices)
{
	const struct kt_ops *row = kt_ops_by_name(op->kind);

	if (!row)
		return 0;
	switch (row->id) {
	case KT_OPS_ID_attach_scheduler:
	case KT_OPS_ID_hotplug_cpu: /* most schedulers are loaded anew when a CPU comes or goes */
		return prices->load_ns;
	case KT_OPS_ID_detach_scheduler:
		return prices->unload_ns;
	case KT_OPS_ID_restart_scheduler:
	case KT_OPS_ID_replace_scheduler:
		return kt_clock_add_ns(prices->unload_ns, prices->load_ns);
	case KT_OPS_ID_wait_payload:
		return op->deadline_ns;
	default:
		return 0;
	}
}

static void add_ops(struct kt_playtime *playtime, const struct kt_msg_op *ops, size_t n,
		    const struct prices *prices)
{
	for (size_t i = 0; i < n; i++) {
		int64_t ns = op_ns(&ops[i], prices);

		playtime->ops_ns = kt_clock_add_ns(playtime->ops_ns, ns);
		if (ns > playtime->op_ns_max)
			playtime->op_ns_max = ns;
	}
}

/* Whatever an act starts ends with it, all at once. */
static bool starts_payload(const struct kt_msg_cgroup *cgroups, size_t n_cgroups,
			   const struct kt_msg_op *ops, size_t n_ops)
{
	for (size_t i = 0; i < n_cgroups; i++)
		if (cgroups[i].payload[0])
			return true;
	for (size_t i = 0; i < n_ops; i++) {
		const struct kt_ops *row = kt_ops_by_name(ops[i].kind);

		if ((row && row->id == KT_OPS_ID_run_payload) ||
		    (ops[i].make && ops[i].make->payload[0]))
			return true;
	}
	return false;
}

static int64_t ends_ns(const struct kt_msg_cgroup *cgroups, size_t n_cgroups,
		       const struct kt_msg_op *ops, size_t n_ops)
{
	int64_t ns = starts_payload(cgroups, n_cgroups, ops, n_ops) ? END_NS : 0;

	for (size_t i = 0; i < n_ops; i++) {
		const struct kt_ops *row = kt_ops_by_name(ops[i].kind);

		if (row && row->id == KT_OPS_ID_kill_payload)
			ns += END_NS;
	}
	return ns;
}

struct kt_playtime kt_playtime_of(const struct kt_msg_scenario *scenario, int64_t load_ns,
				  int64_t unload_ns)
{
	const struct prices prices = { load_ns, unload_ns };
	const struct kt_msg_backdrop *backdrop = scenario->backdrop;
	struct kt_playtime playtime = { 0 };

	if (backdrop) {
		add_ops(&playtime, backdrop->ops, backdrop->n_ops, &prices);
		playtime.ends_ns = ends_ns(backdrop->cgroups, backdrop->n_cgroups, backdrop->ops,
					   backdrop->n_ops);
	}
	for (size_t i = 0; i < scenario->n_steps; i++) {
		const struct kt_msg_step *step = &scenario->steps[i];

		playtime.holds_ns = kt_clock_add_ns(playtime.holds_ns, step->hold_ns);
		playtime.ends_ns += ends_ns(step->cgroups, step->n_cgroups, step->ops, step->n_ops);
		add_ops(&playtime, step->ops, step->n_ops, &prices);
		if (step->loop_ns > 0)
			add_ops(&playtime, step->ops, step->n_ops, &prices);
	}
	if (playtime.holds_ns < scenario->duration_ns)
		playtime.holds_ns = scenario->duration_ns;
	if (playtime.holds_ns > KT_DURATION_NS_MAX)
		playtime.holds_ns = KT_DURATION_NS_MAX;
	return playtime;
}

int64_t kt_playtime_extra_ns(const struct kt_playtime *playtime, int64_t spent_ns)
{
	int64_t ns = kt_clock_add_ns(spent_ns, playtime->op_ns_max);

	return ns < playtime->ops_ns ? ns : playtime->ops_ns;
}
