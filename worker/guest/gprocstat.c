#include "worker/guest/gprocstat.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Documentation/filesystems/proc.rst: pid (comm) state ppid pgrp ... utime is the 14th, stime the 15th, processor the
 * 39th. A comm may hold blanks and parentheses; the last ')' ends it.
 */
bool kt_gprocstat_parse(const char *text, struct kt_gprocstat *stat)
{
	const char *at = strrchr(text, ')');
	uint64_t utime;
	uint64_t stime;
	int group;

	if (!at || sscanf(at + 1,
			  " %c %*d %d %*d %*d %*d %*u %*u %*u %*u %*u %" SCNu64 " %" SCNu64
			  " %*d %*d %*d %*d %*d %*d %*u %*u %*d %*u %*u %*u %*u %*u %*u %*u %*u "
			  "%*u %*u %*u %*u %*u %*d %d",
			  &stat->state, &group, &utime, &stime, &stat->cpu) != 5)
		return false;
	stat->group = group;
	stat->ticks = utime + stime;
	return true;
}
