/* opkeys.h - what an op may say: { set_cpuset = "cg_0", to = "numa(0)" }.
 *
 * The op's name is the key; what it uses (proto/ops.def) says what its value is and which keys stand beside it:
 *
 *	its value	MAKE a cgroup; CGROUP and OTHER a list of two; CGROUP, NAME a text; CPU a number; nothing: true
 *	beside it	CPUSET to; GROUP the keys of a group; IN cgroup; DEADLINE deadline; CPU online;
 *			VALUE variable or key, and value
 */
#ifndef KT_OPKEYS_H
#define KT_OPKEYS_H

#include "coordinator/core/matrix/grammar.h"
#include "proto/ops.h"
#include "proto/schema.h"

kt_grammar_set_fn kt_opkeys_set; /* an array of struct kt_msg_op, and a count */

/* "{ set_cpuset = "cg_0", to = "llc(0)" }", with all that may stand in it; no newline. */
void kt_opkeys_example(const struct kt_ops *kind, struct kt_buf *out);

/* Of an item of such an array: where its op's key stands, its value, and another key of it (the op when there
 * is none). For what turns out wrong later.
 */
const struct kt_doc_node *kt_opkeys_node(const struct kt_doc_node *item,
					 const struct kt_msg_op *op);
struct kt_doc_pos kt_opkeys_pos(const struct kt_doc_node *item, const struct kt_msg_op *op,
				const char *key);

#endif
