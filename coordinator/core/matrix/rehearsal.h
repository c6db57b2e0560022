/* rehearsal.h - a scenario followed from its first moment to its last, with nothing running: what could not be
 * done then is refused now, with its place.
 *
 *	backdrop: its ops, its cgroups;  each step: its ops, its cgroups, its hold;  then what the step brought goes
 *	(a step that loops: its cgroups, then its ops, again and again)
 *
 * Once for what does not depend on the guest's CPUs: ops on cgroups that are not there, payloads that nobody
 * started, a scheduler that is not loaded, controllers below a cgroup with processes. Then once for every
 * machine that it runs on: CPUs and nodes that are not there, affinities outside of a cpuset, how many workers
 * a share of the CPUs is. A loop's ops are followed twice: what a third round would find, the second found.
 */
#ifndef KT_REHEARSAL_H
#define KT_REHEARSAL_H

#include "coordinator/core/matrix/matrix.h"
#include "coordinator/core/matrix/problem.h"

/* What is known of a scenario when it has been followed. */
struct kt_rehearsal {
	uint64_t n_captures; /* samples that its ops take, at most */
	bool needs_machine; /* it depends on the guest's CPUs: kt_rehearsal_on() has something to say */
	bool needs_scheduler; /* on what is loaded: kt_rehearsal_bare() has something to say */
};

/* node: of [[scenario]], whose message was read without a problem. */
void kt_rehearsal_follow(const struct kt_msg_scenario *scenario, const struct kt_doc_node *node,
			 struct kt_problems *problems, struct kt_rehearsal *rehearsal);

/* cell: what a problem calls the machine. */
void kt_rehearsal_on(const struct kt_msg_scenario *scenario, const struct kt_doc_node *node,
		     const struct kt_matrix_topology *topology, const char *cell,
		     struct kt_problems *problems);

/* In a cell of the kernel's own scheduler, where nothing is attached or detached and there are no maps. */
void kt_rehearsal_bare(const struct kt_msg_scenario *scenario, const struct kt_doc_node *node,
		       const char *cell, struct kt_problems *problems);

#endif
