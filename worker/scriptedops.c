#include "worker/scriptedops.h"

struct timeline {
	struct kt_arena *arena;
	int64_t at_ns;
	struct kt_msg_moment *moments;
	size_t n;
	size_t max;
};

/* "freeze_cgroup cg_0", "capture now" */
static const char *words_of(const struct kt_msg_op *op, struct kt_arena *arena)
{
	const char *name = op->make ? op->make->name : op->name[0] ? op->name : op->cgroup;

	return kt_arena_printf(arena, "%s%s%s", op->kind, name[0] ? " " : "", name);
}

static void add_ops(struct timeline *timeline, const struct kt_msg_op *ops, size_t n,
		    int64_t elapsed_ns)
{
	for (size_t i = 0; i < n && timeline->n < timeline->max; i++)
		timeline->moments[timeline->n++] = (struct kt_msg_moment){
			.name = "op",
			.at_ns = timeline->at_ns,
			.detail = words_of(&ops[i], timeline->arena),
			.elapsed_ns = elapsed_ns,
		};
}

static void add_step(struct timeline *timeline, const struct kt_msg_step *step, int64_t begin_ns)
{
	int64_t end_ns = begin_ns + step->hold_ns;

	add_ops(timeline, step->ops, step->n_ops, begin_ns);
	for (int64_t next_ns = begin_ns + step->loop_ns;
	     step->loop_ns && next_ns < end_ns && timeline->n < timeline->max;
	     next_ns += step->loop_ns)
		add_ops(timeline, step->ops, step->n_ops, next_ns);
}

size_t kt_scriptedops_fill(const struct kt_msg_scenario *scenario, int64_t at_ns,
			   struct kt_arena *arena, struct kt_msg_moment *moments, size_t max)
{
	struct timeline timeline = {
		.arena = arena, .at_ns = at_ns, .moments = moments, .max = max
	};
	int64_t begin_ns = 0;

	if (scenario->backdrop)
		add_ops(&timeline, scenario->backdrop->ops, scenario->backdrop->n_ops, 0);
	for (size_t i = 0; i < scenario->n_steps; i++) {
		add_step(&timeline, &scenario->steps[i], begin_ns);
		begin_ns += scenario->steps[i].hold_ns;
	}
	return timeline.n;
}
