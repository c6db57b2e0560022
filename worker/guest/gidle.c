#include "worker/guest/gidle.h"
#include "worker/guest/gprocstat.h"
#include "worker/guest/sysfile.h"
#include "proto/base/limits.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>

#define LOOK_NS (500 * KT_NS_PER_MS)
#define GAP_NS  (2 * LOOK_NS) /* what one look counts for at most */

void kt_gidle_add(struct kt_gidle *idle, uint64_t ticks, bool sleeps, int64_t now_ns)
{
	int64_t span_ns = now_ns - idle->looked_ns;

	if (!sleeps || ticks != idle->ticks || idle->looked_ns == 0)
		idle->idle_ns = 0;
	else
		idle->idle_ns += span_ns < GAP_NS ? span_ns : GAP_NS;
	idle->ticks = ticks;
	idle->looked_ns = now_ns;
}

int64_t kt_gidle_look(struct kt_gidle *idle, pid_t group, int64_t now_ns)
{
	struct kt_gprocstat stat;
	struct dirent *entry;
	uint64_t ticks = 0;
	bool sleeps = true;
	char path[64];
	char text[KT_GPROCSTAT_BYTES];
	DIR *proc;

	if (now_ns - idle->looked_ns < LOOK_NS)
		return idle->idle_ns;
	proc = opendir("/proc");
	while (proc && (entry = readdir(proc))) {
		if (!isdigit((unsigned char)entry->d_name[0]))
			continue;
		snprintf(path, sizeof(path), "/proc/%.16s/stat", entry->d_name);
		if (kt_sysfile_read(path, text, sizeof(text)) < 0 ||
		    !kt_gprocstat_parse(text, &stat) || stat.group != group)
			continue;
		ticks += stat.ticks;
		sleeps &= stat.state == 'S' || stat.state == 'T' || stat.state == 'Z';
	}
	if (proc)
		closedir(proc);
	kt_gidle_add(idle, ticks, sleeps, now_ns);
	return idle->idle_ns;
}
