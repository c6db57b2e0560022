/* playbill.h - a scenario in words: what will happen, act by act, one line per op, cgroup and group.
 *
 *	  step 1, from 5s to 10s
 *	    every 100ms: set_cpuset cg_0 to numa(0)
 *	    cgroup cg_0: cpuset llc(0), cpu.max 50000 100000
 *	      2 spin, policy fifo 10, affinity 0-1
 */
#ifndef KT_PLAYBILL_H
#define KT_PLAYBILL_H

#include "proto/base/buf.h"
#include "proto/schema.h"

/* Lines with their newlines, each indented by so many blanks. */
void kt_playbill_print(const struct kt_msg_scenario *scenario, unsigned int indent,
		       struct kt_buf *out);

/* "set_cpuset cg_0 to numa(0)": an op as one of its parts; no newline. */
void kt_playbill_print_op(const struct kt_msg_op *op, struct kt_buf *out);

#endif
