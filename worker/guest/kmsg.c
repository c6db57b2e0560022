#include "worker/guest/kmsg.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

/* kernel/sched/ext.c, scx_exit_reason(). The first row is also for reasons that are not here. */
static const struct kt_kmsg_row rows[] = {
	{ "runtime error", KT_CAUSE_ID_scheduler_crashed,
	  "the kernel threw the scheduler out for an error it made", false },
	{ "scx_bpf_error", KT_CAUSE_ID_scheduler_crashed,
	  "the scheduler gave up with scx_bpf_error", false },
	{ "runnable task stall", KT_CAUSE_ID_scheduler_stalled,
	  "a runnable task was not run for longer than the watchdog allows", false },
	{ "unregistered from user space", KT_CAUSE_ID_scheduler_exited,
	  "the scheduler's program took it out", false },
	{ "unregistered from BPF", KT_CAUSE_ID_scheduler_exited,
	  "the scheduler left with scx_bpf_exit", false },
	{ "unregistered from the main kernel", KT_CAUSE_ID_scheduler_exited,
	  "the kernel took the scheduler out, as when a CPU came or went", true },
	{ "disabled by sysrq-S", KT_CAUSE_ID_scheduler_exited,
	  "somebody took the scheduler out with SysRq-S", false },
	{ "parent exiting", KT_CAUSE_ID_scheduler_exited,
	  "the scheduler that it was attached to left", false },
};

enum kt_kmsg_kind kt_kmsg_classify(const char *line, const struct kt_kmsg_row **row)
{
	const char *reason;
	size_t len;

	if (row)
		*row = NULL;
	if (strncmp(line, "Out of memory: ", 15) == 0 ||
	    strncmp(line, "Memory cgroup out of memory: ", 29) == 0)
		return KT_KMSG_OOM;
	if (strncmp(line, "sched_ext: ", 11) != 0)
		return KT_KMSG_OTHER;
	if (strncmp(line + 11, "BPF scheduler \"", 15) != 0)
		return KT_KMSG_SCX_MESSAGE;
	if (strstr(line, "\" enabled"))
		return KT_KMSG_SCX_ENABLED;
	reason = strstr(line, "\" disabled (");
	if (!reason)
		return KT_KMSG_SCX_MESSAGE;
	reason += strlen("\" disabled (");
	len = strcspn(reason, ")");
	if (!row)
		return KT_KMSG_SCX_DISABLED;
	*row = &rows[0];
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		if (strlen(rows[i].reason) == len && strncmp(rows[i].reason, reason, len) == 0)
			*row = &rows[i];
	return KT_KMSG_SCX_DISABLED;
}

char *kt_kmsg_text(char *record)
{
	char *text = strchr(record, ';');

	if (!text)
		return NULL;
	text++;
	text[strcspn(text, "\n")] = 0;
	return text;
}

int kt_kmsg_open(struct kt_kmsg *kmsg, struct kt_err *err)
{
	*kmsg = (struct kt_kmsg){ .fd = -1 };
	kt_logtail_init(&kmsg->tail);
	kmsg->fd = open("/dev/kmsg", O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (kmsg->fd < 0)
		return kt_err_sys(err, KT_FAULT_GUEST, errno, "opening /dev/kmsg");
	return 0;
}

void kt_kmsg_restart(struct kt_kmsg *kmsg)
{
	lseek(kmsg->fd, 0, SEEK_END);
	kt_logtail_reset(&kmsg->tail);
	kmsg->enabled = false;
	kmsg->disabled = NULL;
	kmsg->message[0] = 0;
	kmsg->oom[0] = 0;
}

/* "Memory cgroup out of memory: Killed process 100 (page_fault) total-vm:68968kB, ..." */
static void take_oom(struct kt_kmsg *kmsg, const char *line)
{
	const char *sizes = strstr(line, " total-vm:");
	int len = sizes ? (int)(sizes - line) : (int)strlen(line);

	if (!kmsg->oom[0])
		snprintf(kmsg->oom, sizeof(kmsg->oom), "%.*s", len, line);
}

static void take_in(struct kt_kmsg *kmsg, const char *line)
{
	const struct kt_kmsg_row *row;

	kt_logtail_append(&kmsg->tail, line, strlen(line));
	kt_logtail_append(&kmsg->tail, "\n", 1);
	switch (kt_kmsg_classify(line, &row)) {
	case KT_KMSG_SCX_DISABLED:
		kmsg->disabled = row;
		break;
	case KT_KMSG_SCX_MESSAGE:
		/* "sched_ext: NAME: MESSAGE" follows the line with the reason */
		if (kmsg->disabled && !kmsg->message[0])
			snprintf(kmsg->message, sizeof(kmsg->message), "%s", line + 11);
		break;
	case KT_KMSG_OOM:
		take_oom(kmsg, line);
		break;
	case KT_KMSG_SCX_ENABLED:
		kmsg->enabled = true;
		break;
	case KT_KMSG_OTHER:
		break;
	}
}

void kt_kmsg_read(struct kt_kmsg *kmsg)
{
	char record[8192]; /* CONSOLE_EXT_LOG_MAX; a smaller buffer gets EINVAL */
	ssize_t n;

	/* one record per read; EPIPE: some were overwritten before they were read */
	while ((n = read(kmsg->fd, record, sizeof(record) - 1)) > 0 || (n < 0 && errno == EPIPE)) {
		char *line;

		if (n < 0)
			continue;
		record[n] = 0;
		line = kt_kmsg_text(record);
		if (line)
			take_in(kmsg, line);
	}
}
