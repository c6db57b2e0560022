#include "worker/guest/kmsg.h"

#include <criterion/criterion.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

/* as Debian's 7.2 prints them */
static const struct {
	const char *line;
	enum kt_kmsg_kind kind;
	int cause; /* -1: none */
} lines[] = {
	{ "sched_ext: BPF scheduler \"scx_kt\" enabled", KT_KMSG_SCX_ENABLED, -1 },
	{ "sched_ext: BPF scheduler \"scx_kt\" disabled (runnable task stall)",
	  KT_KMSG_SCX_DISABLED, KT_CAUSE_ID_scheduler_stalled },
	{ "sched_ext: BPF scheduler \"scx_kt\" disabled (scx_bpf_error)", KT_KMSG_SCX_DISABLED,
	  KT_CAUSE_ID_scheduler_crashed },
	{ "sched_ext: BPF scheduler \"x\" disabled (runtime error)", KT_KMSG_SCX_DISABLED,
	  KT_CAUSE_ID_scheduler_crashed },
	{ "sched_ext: BPF scheduler \"x\" disabled (unregistered from user space)",
	  KT_KMSG_SCX_DISABLED, KT_CAUSE_ID_scheduler_exited },
	{ "sched_ext: BPF scheduler \"x\" disabled (unregistered from BPF)", KT_KMSG_SCX_DISABLED,
	  KT_CAUSE_ID_scheduler_exited },
	{ "sched_ext: BPF scheduler \"x\" disabled (disabled by sysrq-S)", KT_KMSG_SCX_DISABLED,
	  KT_CAUSE_ID_scheduler_exited },
	{ "sched_ext: BPF scheduler \"x\" disabled (a reason of tomorrow)", KT_KMSG_SCX_DISABLED,
	  KT_CAUSE_ID_scheduler_crashed },
	{ "sched_ext: BPF scheduler \"x\" disabled (cut", KT_KMSG_SCX_DISABLED,
	  KT_CAUSE_ID_scheduler_crashed },
	{ "sched_ext: scx_kt: spin[119] failed to run for 4.060s", KT_KMSG_SCX_MESSAGE, -1 },
	{ "Out of memory: Killed process 12 (spin)", KT_KMSG_OOM, -1 },
	{ "Memory cgroup out of memory: Killed process 12 (spin)", KT_KMSG_OOM, -1 },
	{ "a user wrote: sched_ext: BPF scheduler \"x\" disabled (runtime error)", KT_KMSG_OTHER,
	  -1 },
	{ "", KT_KMSG_OTHER, -1 },
};

Test(kmsg, every_way_a_scheduler_ends_has_its_cause)
{
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		const struct kt_kmsg_row *row = NULL;

		cr_assert_eq(kt_kmsg_classify(lines[i].line, &row), lines[i].kind, "%s",
			     lines[i].line);
		if (lines[i].cause < 0)
			cr_assert_null(row, "%s", lines[i].line);
		else
			cr_assert_eq((int)row->cause, lines[i].cause, "%s", lines[i].line);
		cr_assert_eq(kt_kmsg_classify(lines[i].line, NULL), lines[i].kind);
	}
}

/* kernel/sched/ext.c: only these come with SCX_ECODE_ACT_RESTART. */
Test(kmsg, a_cpu_that_came_or_went_asks_for_a_restart)
{
	static const char line[] =
		"sched_ext: BPF scheduler \"x\" disabled (unregistered from the main kernel)";
	const struct kt_kmsg_row *row = NULL;

	cr_assert_eq(kt_kmsg_classify(line, &row), KT_KMSG_SCX_DISABLED);
	cr_assert(row->asks_for_restart);
	for (size_t i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		kt_kmsg_classify(lines[i].line, &row);
		cr_assert(!row || !row->asks_for_restart, "%s", lines[i].line);
	}
}

Test(kmsg, a_record_gives_its_text_alone)
{
	char record[] = "6,339,5140900,-;sched_ext: a; b\n SUBSYSTEM=x\n";
	char no_record[] = "nothing of the kind";

	cr_assert_str_eq(kt_kmsg_text(record), "sched_ext: a; b");
	cr_assert_null(kt_kmsg_text(no_record));
}

/* The first victim is the story; sizes are for the evidence. */
Test(kmsg, whom_the_oom_killer_chose_is_remembered)
{
	static const char *const records[] = {
		"6,1,1,-;page_fault invoked oom-killer: gfp_mask=0xcc0(GFP_KERNEL)\n",
		("3,2,1,-;Memory cgroup out of memory: Killed process 100 (page_fault) "
		 "total-vm:68968kB\n"),
		"3,3,1,-;Out of memory: Killed process 101 (spin) total-vm:1kB\n",
	};
	struct kt_kmsg kmsg = { 0 };
	int ends[2];

	/* one record per read, as /dev/kmsg gives them */
	cr_assert_eq(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_NONBLOCK, 0, ends), 0);
	kmsg.fd = ends[0];
	kt_logtail_init(&kmsg.tail);
	for (size_t i = 0; i < sizeof(records) / sizeof(records[0]); i++)
		cr_assert_gt(write(ends[1], records[i], strlen(records[i])), 0);
	kt_kmsg_read(&kmsg);
	cr_assert_str_eq(kmsg.oom, "Memory cgroup out of memory: Killed process 100 (page_fault)");
	kt_kmsg_restart(&kmsg);
	cr_assert_str_eq(kmsg.oom, "");
	kt_logtail_destroy(&kmsg.tail);
	close(ends[0]);
	close(ends[1]);
}
