/* gprocstat.h - a process as /proc/<pid>/stat tells it. Pure. */
#ifndef KT_GPROCSTAT_H
#define KT_GPROCSTAT_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define KT_GPROCSTAT_BYTES 1024 /* of the file, at most */

struct kt_gprocstat {
	char state; /* R runnable or running, S, D, T, Z, ... */
	pid_t group;
	uint64_t ticks; /* CPU time of all its threads, in clock ticks */
	int cpu; /* where it runs, or ran last */
};

/* False when the text is none. */
bool kt_gprocstat_parse(const char *text, struct kt_gprocstat *stat);

#endif
