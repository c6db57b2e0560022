/* gops.h - carries out ops (proto/ops.def), one after the other, each until it is really done.
 *
 * An op that only tells the kernel something is done at once; one that depends on tasks getting a CPU, on the
 * scheduler or on the host is looked at again until it is done or its time is up: workers go on meanwhile. What an
 * op did is told in words, for the timeline: `set_cpuset cg_0 = llc(1) = 4-7`.
 */
#ifndef KT_GOPS_H
#define KT_GOPS_H

#include "proto/cause.h"
#include "proto/ops.h"
#include "worker/guest/ghotplug.h"
#include "worker/guest/gstage.h"
#include "worker/guest/gswitch.h"

#define KT_GOPS_GATE_NS   (60 * KT_NS_PER_S) /* for workers to come to their gate */
#define KT_GOPS_FREEZE_NS (30 * KT_NS_PER_S) /* for the tasks of a cgroup to freeze */
#define KT_GOPS_PLUG_NS   (60 * KT_NS_PER_S) /* for a CPU to come or go */
#define KT_GOPS_MAP_NS    (2 * KT_NS_PER_S) /* for the maps of a scheduler that was unloaded to go */
#define KT_GOPS_SETTLE_NS (200 * KT_NS_PER_MS) /* for a scheduler to be seen taken out by it */
#define KT_GOPS_LOOK_NS   (2 * KT_NS_PER_MS) /* between two looks at what tells nothing by itself */

struct kt_gops {
	/* borrowed */
	struct kt_gstage *stage;
	struct kt_gask *ask;
	struct kt_gswitch *change;
	struct kt_ghotplug *plug;
	/* the op under way */
	const struct kt_msg_op *op; /* NULL: none */
	const struct kt_ops *row;
	size_t owner; /* of what it brings on stage */
	int64_t begun_ns;
	int64_t due_ns; /* its time is up */
	int64_t settled_ns; /* 0, or when what the kernel is done with has shown its effect */
	int64_t stop_ns; /* how long workers may take to stop: set before kt_gops_begin() */
	bool is_let_go; /* gates open when workers are ready; before the anchor they wait for it */
	struct kt_gstage_cgroup *cgroup;
	struct kt_buf text;
};

/* Pure. Fault PEER for an op that is not in the table, or lacks what the table says it uses. */
int kt_gops_check(const struct kt_msg_op *op, struct kt_err *err);

/* 1 when it is done, 0 when it is to be looked at again, negative with a sentence when it cannot be done.
 * Either way text is what it did.
 */
int kt_gops_begin(struct kt_gops *ops, const struct kt_msg_op *op, size_t owner, int64_t now_ns,
		  struct kt_err *err);
int kt_gops_look(struct kt_gops *ops, int64_t now_ns, struct kt_err *err);
void kt_gops_destroy(struct kt_gops *ops); /* frees the memory, not the struct */

/* Pure. Which end of an attempt an error of an op, or of a setup, is. */
enum kt_cause_id kt_gops_cause(const struct kt_err *err);

#endif
