/* standing.h - which cgroups stand at a moment of a scenario, as the guest will have them (worker/guest/gstage.h):
 * of a scenario that is only read, with nothing running.
 *
 * A cgroup is brought by an act, the backdrop or a step, and goes when its act ends or an op removes it. Those
 * above it that nobody named come with it.
 */
#ifndef KT_STANDING_H
#define KT_STANDING_H

#include "proto/cpuset.h"

#define KT_STANDING_BACKDROP SIZE_MAX /* an act; the others are numbers of steps */

struct kt_standing_cgroup; /* the table's own */

struct kt_standing_place {
	const char *name;
	size_t act; /* that brought it */
	uint32_t line; /* where it was named; 0: it only stands above one that was */
	const struct kt_msg_cpuset *cpuset; /* NULL: those of its parent */
	bool is_frozen; /* it was told to be */
	size_t visitor; /* a step whose own workers are in it too; BACKDROP: none */
};

struct kt_standing {
	struct kt_standing_cgroup *by_name;
};

/* NULL when there is none. Valid until it goes, as its name is. */
struct kt_standing_place *kt_standing_find(const struct kt_standing *standing, const char *name);
/* One that is within it; NULL when there is none. */
const struct kt_standing_place *kt_standing_below(const struct kt_standing *standing,
						  const char *name);
/* It is not there, and nothing within it is. */
struct kt_standing_place *kt_standing_add(struct kt_standing *standing, const char *name,
					  size_t act, uint32_t line);
void kt_standing_remove(struct kt_standing *standing, const char *name); /* and all within it */
/* A step ends: what it brought goes, and workers of its own that it had elsewhere. */
void kt_standing_end(struct kt_standing *standing, size_t act);
void kt_standing_clear(struct kt_standing *standing);

/* It or one above it is. Workers that are told to stop are thawed: so is all that froze them. */
bool kt_standing_is_frozen(const struct kt_standing *standing, const char *name);
void kt_standing_thaw(struct kt_standing *standing, const char *name);

/* What its tasks may use: cgroup v2's cpuset.cpus.effective. Cpusets resolve on that machine. */
void kt_standing_cpus(const struct kt_standing *standing, const char *name,
		      const struct kt_cpuset_machine *machine, struct kt_cpuset *cpus);

/* The nearest name of those that stand; NULL when none is near. */
const char *kt_standing_suggest(const struct kt_standing *standing, const char *name);

#endif
