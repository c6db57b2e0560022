/* projection.h - "axis:path" picks one column out of a series (semantics.md section 3).
 *
 *	bpf:nr_dispatched		a variable of the running scheduler's .bss, .data or .rodata
 *	bpf:scx_kt.bss.nr_dispatched	the same, in the map of that name
 *	bpf:map[3].member		a member of an array map's entry
 *	bpf:map[pid=17].member		the entry whose member "pid" is 17
 *	bpf:stats[0].cpu_sum		the sum over the CPUs of a per-CPU entry
 *	bpf:stats[0].cpu(2).nr_local	one CPU's value
 *	stats:a.b[2]			the scheduler's own answer, as a tree
 *
 *	path  = item { "." item | "[" index "]" | "[" member "=" value "]" }
 *	item  = name | "cpu(" n ")" | "cpu_sum" | "cpu_max" | "cpu_min"
 *
 * A member or entry that a per-CPU value is asked for before it is narrowed is taken from every CPU;
 * `.cpu_*` narrows, before or after. cpu_sum of nothing is 0, cpu_max and cpu_min of nothing are
 * errors. A map member that happens to be called cpu_sum wins over the operation.
 *
 * The first name on the bpf axis is looked up among the variables of all .bss, .data and .rodata maps
 * and the names of the other maps: one hit is taken; of several the running scheduler's own; else
 * AmbiguousVar names the maps; no hit: VarNotFound lists what there is.
 *
 * The trees: "bpf" and "monitor" as in worker/introspect/introspect.h, "stats" is the object `resp` of
 * the answer. An axis whose error is "not_applicable" (the kernel's own scheduler has no BPF maps)
 * gives NotApplicable slots: an assertion that has nothing else is skipped.
 */
#ifndef KT_PROJECTION_H
#define KT_PROJECTION_H

#include "assertions/column.h"
#include "assertions/series.h"
#include "proto/base/arena.h"
#include "proto/base/err.h"

#define KT_PROJECTION_STEPS_MAX      32
#define KT_PROJECTION_AVAILABLE_MAX  400 /* bytes of "there is: ..." in one error */
#define KT_PROJECTION_NOT_APPLICABLE "not_applicable" /* error of an axis */

enum kt_projection_step_type {
	KT_PROJECTION_MEMBER, /* .name */
	KT_PROJECTION_INDEX, /* [index] */
	KT_PROJECTION_ENTRY, /* [name=value] */
	KT_PROJECTION_CPU, /* .cpu(index) */
	KT_PROJECTION_CPU_SUM,
	KT_PROJECTION_CPU_MAX,
	KT_PROJECTION_CPU_MIN,
};

struct kt_projection_step {
	enum kt_projection_step_type type;
	const char *name; /* as written; of MEMBER and ENTRY */
	const char *value; /* as written; ENTRY */
	uint64_t index; /* INDEX and CPU */
	size_t end; /* bytes of the projection's text up to and with this step */
};

struct kt_projection {
	const char *text; /* as written */
	enum kt_series_axis axis;
	struct kt_projection_step *steps;
	size_t n_steps;
};

/* Everything is copied into the arena. -EINVAL with fault INPUT and a sentence that lists what would
 * be right; *at (may be NULL) is then the offset in bytes of the first character at fault.
 */
int kt_projection_parse(const char *text, struct kt_arena *arena, struct kt_projection *projection,
			size_t *at, struct kt_err *err);

/* One slot per sample. Never fails: what cannot be read is a slot with a typed error. The column and
 * its errors live in the arena; tags are borrowed from the series. The arena has no limit.
 */
void kt_projection_column(const struct kt_projection *projection, const struct kt_series *series,
			  enum kt_number_want want, struct kt_arena *arena,
			  struct kt_column *column);

#endif
