#include "coordinator/subprocess.h"

#include "proto/base/clock.h"
#include "proto/base/limits.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

static int run(const char *const *argv, int64_t deadline_ns, struct kt_subprocess_result *result,
	       struct kt_err *err)
{
	const struct kt_subprocess_spec spec = { .argv = argv,
						 .cwd = "/",
						 .deadline_ns = deadline_ns };

	return kt_subprocess_run(&spec, result, err);
}

Test(subprocess, both_outputs_and_the_status_come_back)
{
	static const char *const argv[] = { "sh", "-c",
					    "pwd; echo $LC_ALL; echo E: why >&2; exit 7", NULL };
	KT_AUTO_SUBPROCESS result = { 0 };
	struct kt_err err;
	char reason[100];

	cr_assert_eq(run(argv, 20 * KT_NS_PER_S, &result, &err), 0, "%s", err.text);
	cr_assert_eq(result.exit_status, 7);
	cr_assert_str_eq(kt_buf_text(&result.out), "/\nC\n");
	kt_subprocess_reason(&result, reason, sizeof reason);
	cr_assert_str_eq(reason, "E: why");
}

Test(subprocess, a_program_that_is_not_there_is_an_error_of_the_host)
{
	static const char *const argv[] = { "kt-no-such-program", NULL };
	KT_AUTO_SUBPROCESS result = { 0 };
	struct kt_err err;

	cr_assert_eq(run(argv, KT_NS_PER_S, &result, &err), -ENOENT);
	cr_assert_eq(err.fault, KT_FAULT_HOST);
	cr_assert(strstr(err.text, "kt-no-such-program"), "%s", err.text);
}

Test(subprocess, beyond_its_deadline_it_and_what_it_started_are_killed)
{
	static const char *const argv[] = { "sh", "-c", "sleep 61 & echo $!; wait", NULL };
	KT_AUTO_SUBPROCESS result = { 0 };
	int64_t began_ns = kt_clock_now_ns();
	struct kt_err err;
	pid_t helper;

	cr_assert_eq(run(argv, 300 * KT_NS_PER_MS, &result, &err), -ETIMEDOUT);
	cr_assert_lt(kt_clock_now_ns() - began_ns, 20 * KT_NS_PER_S);
	helper = atoi(kt_buf_text(&result.out));
	cr_assert_gt(helper, 1);
	for (int i = 0; i < 100 && kill(helper, 0) == 0; i++)
		usleep(50000); /* init reaps it */
	cr_assert_eq(kill(helper, 0), -1);
}

static void count_line(void *arg, const char *line)
{
	if (line && strcmp(line, "dlstatus:1:50.0:x") == 0)
		++*(int *)arg;
}

Test(subprocess, status_lines_come_one_by_one_whatever_else_is_written)
{
	static const char *const argv[] = {
		"sh", "-c",
		"echo dlstatus:1:50.0:x >&3; printf dlstatus: >&3; echo out; "
		"sleep 0.1; echo 1:50.0:x >&3; echo other >&3",
		NULL
	};
	KT_AUTO_SUBPROCESS result = { 0 };
	struct kt_err err;
	int lines = 0;
	const struct kt_subprocess_spec spec = {
		.argv = argv, .deadline_ns = 20 * KT_NS_PER_S, .tick = count_line, .arg = &lines
	};

	cr_assert_eq(kt_subprocess_run(&spec, &result, &err), 0, "%s", err.text);
	cr_assert_eq(lines, 2);
	cr_assert_str_eq(kt_buf_text(&result.out), "out\n");
}

Test(subprocess, a_flood_is_cut_and_does_not_stop_it)
{
	static const char *const argv[] = { "head", "-c", "3000000", "/dev/zero", NULL };
	KT_AUTO_SUBPROCESS result = { 0 };
	struct kt_err err;

	cr_assert_eq(run(argv, 20 * KT_NS_PER_S, &result, &err), 0, "%s", err.text);
	cr_assert_eq(result.exit_status, 0);
	cr_assert(result.out.full);
	cr_assert_leq(result.out.len, KT_SUBPROCESS_OUT_BYTES_MAX);
}

Test(subprocess, the_reason_is_the_last_errors_else_the_last_words)
{
	static const struct {
		const char *text, *reason;
	} rows[] = {
		{ "W: warned\nE: one\nnoise\nE: two\n", "E: one; E: two" },
		{ "first\nsecond\nthird\nfourth", "second; third; fourth" },
		{ "a\tb\n\n", "a b" },
		{ "", "it gave no reason (exit status 5)" },
	};

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct kt_subprocess_result result = { .exit_status = 5 };
		char reason[64];

		kt_buf_puts(&result.err, rows[i].text);
		kt_subprocess_reason(&result, reason, sizeof reason);
		cr_assert_str_eq(reason, rows[i].reason, "row %zu: %s", i, reason);
		kt_subprocess_reason(&result, reason, 8);
		cr_assert_lt(strlen(reason), 8);
		kt_subprocess_release(&result);
	}
}
