/* kmsg.h - the kernel's own log: the one place where every sched_ext scheduler's end is told alike.
 *
 * Whatever the scheduler is, the kernel prints
 *	sched_ext: BPF scheduler "NAME" enabled
 *	sched_ext: BPF scheduler "NAME" disabled (REASON)
 *	sched_ext: NAME: MESSAGE
 * with REASON from scx_exit_reason() in kernel/sched/ext.c. One table turns it into a cause.
 */
#ifndef KT_KMSG_H
#define KT_KMSG_H

#include "proto/base/err.h"
#include "proto/cause.h"
#include "worker/guest/logtail.h"

#include <stdbool.h>

struct kt_kmsg_row {
	const char *reason; /* as the kernel words it */
	enum kt_cause_id cause;
	const char *sentence; /* for the first line of a result */
	bool asks_for_restart; /* SCX_ECODE_ACT_RESTART: its program is to load it again */
};

enum kt_kmsg_kind {
	KT_KMSG_OTHER,
	KT_KMSG_SCX_ENABLED,
	KT_KMSG_SCX_DISABLED, /* row is set */
	KT_KMSG_SCX_MESSAGE, /* any other line of sched_ext */
	KT_KMSG_OOM, /* the OOM killer chose somebody */
};

/* Pure. line: the text of one record. row may be NULL. A reason that is not in the table (a newer
 * kernel's) gets the row of "runtime error".
 */
enum kt_kmsg_kind kt_kmsg_classify(const char *line, const struct kt_kmsg_row **row);
/* Pure. The text of a record of /dev/kmsg ("6,339,5140900,-;text\n KEY=value\n"): cuts record in place
 * and returns where it begins, NULL when it is no record.
 */
char *kt_kmsg_text(char *record);

struct kt_kmsg {
	int fd;
	struct kt_logtail tail; /* every line since kt_kmsg_restart */
	bool enabled; /* a scheduler was */
	const struct kt_kmsg_row
		*disabled; /* why the scheduler was disabled, NULL while it was not */
	char message[512]; /* what sched_ext said with it */
	char oom[128]; /* whom the OOM killer chose first, and why; empty: nobody */
};

/* The struct stays where it is from here on. */
int kt_kmsg_open(struct kt_kmsg *kmsg, struct kt_err *err);
void kt_kmsg_restart(struct kt_kmsg *kmsg); /* forgets all that was said up to now */
void kt_kmsg_read(struct kt_kmsg *kmsg); /* what is there, without waiting */

#endif
