/* gdump.h - what sched_ext knows of its queues and tasks, asked for while a scheduler is still enabled.
 *
 * The kernel writes such a dump when it throws a scheduler out; on SysRq-D it gives the same as lines of the
 * tracepoint sched_ext_dump (kernel/sched/ext.c). For verdicts of our own, which sched_ext knows nothing of.
 */
#ifndef KT_GDUMP_H
#define KT_GDUMP_H

#include "proto/base/buf.h"

/* Appends at most max bytes, the first ones; nothing where the kernel has no such tracepoint. Blocks as long as the
 * kernel writes: under TCG some 0.1 s per runnable task.
 */
void kt_gdump_take(size_t max, struct kt_buf *out);

/* Pure. The dump's own words in a line of /sys/kernel/tracing/trace; NULL when it is no line of a dump. */
const char *kt_gdump_text(const char *line);

#endif
