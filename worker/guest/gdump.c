#include "worker/guest/gdump.h"
#include "worker/guest/sysfile.h"

#include <stdio.h>
#include <string.h>

#define TRACING "/sys/kernel/tracing"
#define EVENT   TRACING "/events/sched_ext/sched_ext_dump/enable"
#define NAME    ": sched_ext_dump: "

const char *kt_gdump_text(const char *line)
{
	const char *name = strstr(line, NAME);

	return name ? name + strlen(NAME) : NULL;
}

static void read_trace(size_t max, struct kt_buf *out)
{
	FILE *trace = fopen(TRACING "/trace", "re");
	char line[4096];
	size_t begun = out->len;

	while (trace && fgets(line, sizeof(line), trace)) {
		const char *text = kt_gdump_text(line);

		if (text && out->len - begun + strlen(text) <= max)
			kt_buf_puts(out, text);
	}
	if (trace)
		fclose(trace);
}

void kt_gdump_take(size_t max, struct kt_buf *out)
{
	if (kt_sysfile_write(EVENT, "1") < 0)
		return;
	kt_sysfile_write("/proc/sysrq-trigger", "D");
	kt_sysfile_write(EVENT, "0");
	read_trace(max, out);
}
