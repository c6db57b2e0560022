#include "worker/guest/grqlat.h"
#include "worker/guest/gtime.h"

#include <criterion/criterion.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

Test(grqlat, a_line_of_counts)
{
	static const struct {
		const char *line;
		bool good;
		size_t n_buckets;
	} rows[] = {
		{ "1 690 10305098453 15:6 16:38", true, 2 },
		{ "0 0 0", true, 0 },
		{ "7 1 5 63:1", false, 0 },
		{ "7 1 5 3:", false, 0 },
		{ "7 1", false, 0 },
		{ "libbpf: it did not work", false, 0 },
		{ "", false, 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct kt_msg_bucket buckets[65];
		struct kt_msg_latency_report report = { .buckets = buckets };
		uint64_t id;

		cr_assert_eq(kt_grqlat_parse(rows[i].line, &id, &report), rows[i].good, "row %zu",
			     i);
		if (rows[i].good)
			cr_assert_eq(report.n_buckets, rows[i].n_buckets, "row %zu", i);
	}
}

static char program[] = "/tmp/kt-grqlat.XXXXXX";

/* A program in the probe's place. */
static void write_program(const char *script)
{
	int fd = mkstemp(program);

	cr_assert_geq(fd, 0);
	dprintf(fd, "#!/bin/sh\n%s\n", script);
	fchmod(fd, 0755);
	close(fd);
}

static void step_until(struct kt_grqlat *grqlat, enum kt_grqlat_state state)
{
	for (int i = 0; i < 2000 && grqlat->state != state; i++) {
		int wait_status;
		pid_t pid = waitpid(-1, &wait_status, WNOHANG);

		if (pid > 0)
			kt_grqlat_reaped(grqlat, pid, wait_status);
		kt_grqlat_step(grqlat, kt_gtime_now_ns());
		usleep(5000);
	}
	cr_assert_eq(grqlat->state, state, "%d: %s", grqlat->state, grqlat->why);
}

/* As the real one: counts once it was told to, tells when its input ends. */
#define TELLS                                                                              \
	"echo 'libbpf: a warning' >&2; echo ready; dd bs=1 count=1 2>/dev/null >$0.told; " \
	"cat >/dev/null; echo '12 3 100 3:2 5:1'; echo '13 1 40 4:1'; echo '14 2 9 1:2'; " \
	"echo '15 0 0'"

Test(grqlat, counts_come_by_the_names_of_cgroups)
{
	struct kt_grqlat grqlat;
	const struct kt_msg_latency_report *report;
	char told[64];
	struct stat stat_of;

	write_program(TELLS);
	kt_grqlat_init(&grqlat);
	kt_grqlat_name(&grqlat, 1, "before anything began");
	kt_grqlat_start(&grqlat, program, kt_gtime_now_ns());
	cr_assert(!kt_grqlat_is_settled(&grqlat));
	step_until(&grqlat, KT_GRQLAT_READY);
	cr_assert(kt_grqlat_is_settled(&grqlat) && !kt_grqlat_is_over(&grqlat));
	kt_grqlat_name(&grqlat, 12, "cg_1"); /* made twice: it was removed in between */
	kt_grqlat_name(&grqlat, 13, "cg_1");
	kt_grqlat_count(&grqlat);
	kt_grqlat_end(&grqlat, kt_gtime_now_ns());
	step_until(&grqlat, KT_GRQLAT_OVER);
	cr_assert(kt_grqlat_is_over(&grqlat));
	snprintf(told, sizeof(told), "%s.told", program);
	cr_assert_eq(stat(told, &stat_of), 0);
	cr_assert_eq(stat_of.st_size, 1, "it was told to count");
	unlink(told);
	unlink(program);
	cr_assert_eq(grqlat.n_reports, 2);
	report = &grqlat.reports[0];
	cr_assert_str_eq(report->cgroup, "");
	cr_assert_eq(report->total, 2);
	report = &grqlat.reports[1];
	cr_assert_str_eq(report->cgroup, "cg_1");
	cr_assert_eq(report->total, 4);
	cr_assert_eq(report->sum_ns, 140);
	cr_assert_eq(report->n_buckets, 3);
	for (size_t i = 0; i < 3; i++)
		cr_assert_eq(report->buckets[i].below_ns, 8ll << i);
	cr_assert_eq(report->buckets[0].count, 2);
	kt_grqlat_stop(&grqlat);
	cr_assert_eq(grqlat.state, KT_GRQLAT_OFF);
}

Test(grqlat, what_the_kernel_does_not_allow_is_said_and_nothing_is_waited_for)
{
	static const struct {
		const char *script; /* NULL: there is no program */
		const char *why;
	} rows[] = {
		{ "echo 'libbpf: failed to find BTF' >&2; echo more >&2; exit 1",
		  "failed to find" },
		{ "exit 0", "ended by itself" },
		{ "echo ready; exit 0", "ended by itself" },
		{ NULL, "No such file" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct kt_grqlat grqlat;

		strcpy(program, "/tmp/kt-grqlat.XXXXXX");
		if (rows[i].script)
			write_program(rows[i].script);
		kt_grqlat_init(&grqlat);
		kt_grqlat_start(&grqlat, program, kt_gtime_now_ns());
		step_until(&grqlat, KT_GRQLAT_FAILED);
		cr_assert(kt_grqlat_is_over(&grqlat));
		cr_assert(strstr(grqlat.why, rows[i].why), "row %zu: %s", i, grqlat.why);
		cr_assert_eq(grqlat.n_reports, 0);
		kt_grqlat_stop(&grqlat);
		unlink(program);
	}
}

Test(grqlat, a_probe_that_hangs_is_given_up)
{
	struct kt_grqlat grqlat;
	pid_t pid;

	write_program("sleep 100");
	kt_grqlat_init(&grqlat);
	kt_grqlat_start(&grqlat, program, kt_gtime_now_ns());
	pid = grqlat.pid;
	cr_assert_gt(pid, 0);
	kt_grqlat_step(&grqlat, kt_gtime_now_ns() + KT_GRQLAT_START_NS - KT_NS_PER_S);
	cr_assert_eq(grqlat.state, KT_GRQLAT_STARTING);
	kt_grqlat_step(&grqlat, kt_gtime_now_ns() + KT_GRQLAT_START_NS);
	cr_assert_eq(grqlat.state, KT_GRQLAT_FAILED);
	cr_assert_eq(waitpid(pid, NULL, 0), pid, "and killed");
	kt_grqlat_stop(&grqlat);
	unlink(program);
}
