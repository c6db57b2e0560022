/* group.h - what the repeats of a cell are said to be together: assertions with `over` (quantifier.h).
 *
 *	kt_group_init(&group, assertions, n)
 *	for each repeat, in any order:
 *		kt_group_add(&group, host, &series)	or NULL: it has no series that could be judged
 *	kt_group_finish(&group, &arena, &verdict)
 *	kt_group_destroy(&group)
 *
 * One series is in memory at a time; what is kept of a repeat are its outcomes. A repeat that ended without
 * a verdict (infra trouble) is unknown: the group is Inconclusive only if it could change the outcome. A
 * repeat that an assertion does not apply to (Skip) is not counted; one that was skipped as a whole is not added.
 */
#ifndef KT_GROUP_H
#define KT_GROUP_H

#include "assertions/assertion.h"
#include "assertions/series.h"
#include "assertions/verdict.h"

struct kt_group_seen; /* of one assertion on one host */

struct kt_group {
	const struct kt_assertion *const *assertions; /* borrowed */
	size_t n_assertions;
	struct kt_group_seen *seen; /* n_assertions for each host, host by host */
	char **hosts;
	size_t n_hosts;
};

/* Whether there is anything to judge over repeats. */
bool kt_group_wanted(const struct kt_assertion *const *assertions, size_t n);

void kt_group_init(struct kt_group *group, const struct kt_assertion *const *assertions, size_t n);

/* host: who ran the repeat; empty when nobody did. */
void kt_group_add(struct kt_group *group, const char *host, const struct kt_series *series);

/* *verdict lives in the arena (without a limit). */
void kt_group_finish(const struct kt_group *group, struct kt_arena *arena,
		     struct kt_msg_verdict *verdict);

void kt_group_destroy(struct kt_group *group); /* frees the memory, not the struct */

#endif
