/* Real programs in real cgroups: where the machine has none that we may use, there is nothing to test. */
#include "worker/guest/gpayloads.h"
#include "worker/guest/gcgroup.h"
#include "worker/guest/gtime.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_NS (30 * KT_NS_PER_S)

static char root[128];
static int poll_fd = -1;
static struct kt_arena arena;
static struct kt_err err;

static void setup(void)
{
	static const char *const mounts[] = { "/sys/fs/cgroup", "/sys/fs/cgroup/unified" };

	for (size_t i = 0; i < 2 && !root[0]; i++) {
		char path[128];

		snprintf(path, sizeof(path), "%s/cgroup.procs",
			 mounts[i]); /* of version 2 in its root only */
		snprintf(root, sizeof(root), "%s/kt-test-%d", mounts[i], (int)getpid());
		if (access(path, W_OK) < 0 || mkdir(root, 0755) < 0)
			root[0] = 0;
	}
	if (!root[0])
		cr_skip_test("no cgroups of version 2 that may be written");
	prctl(PR_SET_CHILD_SUBREAPER, 1); /* as PID 1 is */
	strcat(root, "/kt");
	cr_assert_eq(kt_gcgroup_init(root, &err), 0, "%s", err.text);
	poll_fd = epoll_create1(EPOLL_CLOEXEC);
}

static void teardown(void)
{
	if (!root[0])
		return;
	cr_assert_eq(rmdir(root), 0, "a cgroup is left: %s", strerror(errno));
	*strrchr(root, '/') = 0;
	rmdir(root);
	close(poll_fd);
	kt_arena_destroy(&arena);
}

TestSuite(gpayload, .init = setup, .fini = teardown, .timeout = 100);

static struct kt_msg_arg args[] = { { "/bin/sh" }, { "-c" }, { "" } };
static struct kt_msg_arg env[] = { { "PATH=/usr/bin:/bin" }, { "A=b c" } };
static struct kt_msg_payload what = {
	.name = "p", .args = args, .n_args = 3, .env = env, .n_env = 2
};

static struct kt_gpayload *start(const char *script, int64_t deadline_ns)
{
	struct kt_gpayload_spec spec = {
		.what = &what, .cgroup = "", .number = 7, .poll_fd = poll_fd
	};
	struct kt_gpayload *payload = NULL;

	args[2].text = script;
	what.deadline_ns = deadline_ns;
	cr_assert_eq(kt_gpayload_start(&spec, &payload, &err), 0, "%s", err.text);
	return payload;
}

static void round_of(struct kt_gpayload *payload)
{
	struct pollfd fd = { .fd = poll_fd, .events = POLLIN };
	int wait_status;
	pid_t pid;

	poll(&fd, 1, 5);
	while ((pid = waitpid(-1, &wait_status, WNOHANG)) > 0)
		kt_gpayload_reaped(payload, pid, wait_status);
	kt_gpayload_step(payload, kt_gtime_now_ns());
}

static struct kt_msg_payload_report finish(struct kt_gpayload **payload_p)
{
	struct kt_gpayload *payload = *payload_p;
	struct kt_msg_payload_report report;
	int64_t until_ns = kt_gtime_now_ns() + PATIENCE_NS;

	while (payload->state != KT_GPAYLOAD_OVER) {
		cr_assert_lt(kt_gtime_now_ns(), until_ns);
		round_of(payload);
	}
	kt_gpayload_report(payload, KT_PAYLOAD_OUT_BYTES_MAX, KT_PAYLOAD_ERRORS_BYTES_MAX, &arena,
			   &report);
	kt_gpayload_destroy(payload_p);
	return report;
}

/* A worker that was forked while the payload ran has its outputs open as well. */
Test(gpayload, what_is_over_wakes_nobody_any_more)
{
	struct kt_gpayload *payload = start("exit 0", 0);
	struct pollfd fd = { .fd = poll_fd, .events = POLLIN };
	pid_t worker = fork();

	if (worker == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		for (;;)
			pause();
	}
	cr_assert_gt(worker, 0);
	kt_gpayload_go(payload, kt_gtime_now_ns());
	finish(&payload);
	cr_expect_eq(poll(&fd, 1, 0), 0, "it would for ever");
	kill(worker, SIGKILL);
	waitpid(worker, NULL, 0);
}

static struct kt_msg_payload_report run(const char *script, int64_t deadline_ns)
{
	struct kt_gpayload *payload = start(script, deadline_ns);

	kt_gpayload_go(payload, kt_gtime_now_ns());
	return finish(&payload);
}

static void wait_for_output(struct kt_gpayload *payload, uint64_t bytes)
{
	int64_t until_ns = kt_gtime_now_ns() + PATIENCE_NS;

	while (payload->kept[0].total < bytes) {
		cr_assert_lt(kt_gtime_now_ns(), until_ns);
		round_of(payload);
	}
}

static bool is_text(const struct kt_bin *bin, const char *text)
{
	return bin->len == strlen(text) && memcmp(bin->data, text, bin->len) == 0;
}

Test(gpayload, what_it_prints_and_how_it_ends_is_reported)
{
	struct kt_msg_payload_report report = run(
		"env | sort | grep -v -e ^_= -e ^PWD= -e ^SHLVL=; pwd; echo oops >&2; exit 3", 0);

	cr_assert_str_eq(report.ended, "exited");
	cr_assert_eq(report.status, 3);
	cr_assert(is_text(&report.out, "A=b c\nPATH=/usr/bin:/bin\n/\n"), "%.*s",
		  (int)report.out.len, report.out.data);
	cr_assert(is_text(&report.errors, "oops\n"));
	cr_assert_eq(report.out_bytes, report.out.len);
	cr_assert_gt(report.wall_ns, 0);
}

Test(gpayload, nothing_of_it_runs_before_its_gate_opens)
{
	struct kt_gpayload *payload = start("echo here", 0);
	struct kt_msg_payload_report report;

	for (int i = 0; i < 20; i++)
		round_of(payload);
	cr_assert_eq(payload->kept[0].total, 0);
	cr_assert_eq(payload->state, KT_GPAYLOAD_WAITING);
	kt_gpayload_go(payload, kt_gtime_now_ns());
	report = finish(&payload);
	cr_assert(is_text(&report.out, "here\n"));
}

Test(gpayload, one_that_never_ran_is_ended_too)
{
	struct kt_gpayload *payload = start("echo here", 0);
	struct kt_msg_payload_report report;

	kt_gpayload_stop(payload, kt_gtime_now_ns());
	report = finish(&payload);
	cr_assert_str_eq(report.ended, "killed");
	cr_assert_eq(report.wall_ns, 0);
	cr_assert_eq(report.out.len, 0);
}

Test(gpayload, a_signal_of_its_own_is_its_own)
{
	struct kt_msg_payload_report report = run("kill -SEGV $$", 0);

	cr_assert_str_eq(report.ended, "signaled");
	cr_assert_eq(report.status, SIGSEGV);
}

Test(gpayload, who_is_told_to_stop_may_say_its_last_words)
{
	struct kt_gpayload *payload =
		start("trap 'echo bye; exit 4' TERM; echo begun; while :; do sleep 0.01; done", 0);
	struct kt_msg_payload_report report;

	kt_gpayload_go(payload, kt_gtime_now_ns());
	wait_for_output(payload, 6);
	kt_gpayload_stop(payload, kt_gtime_now_ns());
	report = finish(&payload);
	cr_assert_str_eq(report.ended, "killed");
	cr_assert_eq(report.status, 4);
	cr_assert(is_text(&report.out, "begun\nbye\n"));
}

Test(gpayload, who_does_not_stop_is_killed)
{
	struct kt_gpayload *payload =
		start("trap '' TERM; echo begun; while :; do sleep 0.01; done", 0);
	int64_t told_ns;
	struct kt_msg_payload_report report;

	kt_gpayload_go(payload, kt_gtime_now_ns());
	wait_for_output(payload, 6);
	told_ns = kt_gtime_now_ns();
	kt_gpayload_stop(payload, told_ns);
	report = finish(&payload);
	cr_assert_str_eq(report.ended, "killed");
	cr_assert_eq(report.status, SIGKILL);
	cr_assert_geq(kt_gtime_now_ns() - told_ns, KT_GPAYLOAD_TERM_NS);
}

Test(gpayload, a_deadline_ends_it)
{
	struct kt_msg_payload_report report =
		run("echo begun; exec sleep 1000", 300 * KT_NS_PER_MS);

	cr_assert_str_eq(report.ended, "deadline");
	cr_assert_eq(report.status, SIGTERM);
	cr_assert(is_text(&report.out, "begun\n"));
	cr_assert_geq(report.wall_ns, 300 * KT_NS_PER_MS);
}

Test(gpayload, what_cannot_be_started_says_why)
{
	struct kt_gpayload *payload;
	struct kt_msg_payload_report report;

	args[0].text = "/nonexistent/program";
	payload = start("", 0);
	kt_gpayload_go(payload, kt_gtime_now_ns());
	while (payload->state != KT_GPAYLOAD_OVER)
		round_of(payload);
	cr_assert_eq(kt_gpayload_trouble(payload, &err), -ECHILD);
	cr_assert_str_eq(
		err.text,
		"payload p could not be started: /nonexistent/program: No such file or directory");
	report = finish(&payload);
	cr_assert_str_eq(report.ended, "failed");
	cr_assert_str_eq(report.text, "/nonexistent/program: No such file or directory");
}

/* Whatever sessions they make for themselves. */
Test(gpayload, what_it_leaves_behind_is_killed)
{
	struct kt_msg_payload_report report =
		run("setsid sh -c 'trap \"\" TERM; echo $$; exec sleep 1000' & setsid setsid sleep "
		    "1000 & sleep 0.3; exit 0",
		    0);
	pid_t daemon = (pid_t)atoi((const char *)report.out.data);

	cr_assert_str_eq(report.ended, "exited");
	cr_assert_gt(daemon, 1);
	cr_assert_eq(kill(daemon, 0), -1, "it is there still");
	cr_assert_lt(report.wall_ns, 100 * KT_NS_PER_S);
}

Test(gpayload, a_flood_is_read_slowly_and_its_ends_are_kept)
{
	int64_t begun_ns = kt_gtime_now_ns();
	struct kt_msg_payload_report report =
		run("echo first; yes 0123456789 | head -c 5000000; echo; echo last", 0);

	cr_assert_str_eq(report.ended, "exited");
	cr_assert_eq(report.out_bytes, 5000000 + 6 + 6);
	cr_assert_leq(report.out.len, KT_PAYLOAD_OUT_BYTES_MAX);
	cr_assert_gt(report.out.len, KT_PAYLOAD_OUT_BYTES_MAX - 100);
	cr_assert_eq(memcmp(report.out.data, "first\n0123456789\n", 17), 0);
	cr_assert_eq(memcmp(report.out.data + report.out.len - 6, "\nlast\n", 6), 0);
	cr_assert(memmem(report.out.data, report.out.len, "bytes are left out]\n", 20));
	/* five windows are full */
	cr_assert_geq(kt_gtime_now_ns() - begun_ns, 4 * KT_GPAYLOAD_WINDOW_NS);
}

static int count_processes(const char *cgroup)
{
	char path[256];
	FILE *file;
	int pid;
	int n = 0;

	snprintf(path, sizeof(path), "%s/%s/cgroup.procs", root, cgroup);
	file = fopen(path, "r");
	cr_assert(file, "%s", path);
	while (fscanf(file, "%d", &pid) == 1)
		n++;
	fclose(file);
	return n;
}

Test(gpayload, it_moves_with_all_that_it_forked)
{
	struct kt_gpayload *payload = start("sleep 1000 & sleep 1000 & echo begun; wait", 0);

	kt_gpayload_go(payload, kt_gtime_now_ns());
	wait_for_output(payload, 6);
	cr_assert_eq(kt_gcgroup_make("a/b", &err), 0, "%s", err.text);
	cr_assert_eq(kt_gpayload_move(payload, "a/b", &err), 0, "%s", err.text);
	cr_assert_str_eq(payload->own, "a/b/.payload-7");
	cr_assert_eq(count_processes("a/b/.payload-7"), 3);
	kt_gpayload_stop(payload, kt_gtime_now_ns());
	cr_assert_str_eq(finish(&payload).ended, "killed");
	cr_assert_eq(kt_gcgroup_remove("a"), 0);
}

Test(gpayload, its_own_cgroup_is_part_of_the_one_that_it_runs_in, .init = NULL, .fini = NULL)
{
	static const struct {
		const char *name;
		size_t len;
	} names[] = { { "cg_0/.payload-1", 4 }, { "a/b/.payload-12", 3 },
		      { ".payload-1", 0 },      { "cg_0", 4 },
		      { "a/payload-1", 11 },    { ".payload-1/x", 12 } };

	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		cr_assert_eq(kt_gpayload_cgroup_len(names[i].name), names[i].len, "%s",
			     names[i].name);
}

/* ---- all of a scenario ---- */

static struct kt_gpayloads all;

static void round_of_all(void)
{
	int wait_status;
	pid_t pid;

	usleep(5000);
	while ((pid = waitpid(-1, &wait_status, WNOHANG)) > 0)
		kt_gpayloads_reaped(&all, pid, wait_status);
	kt_gpayloads_step(&all, kt_gtime_now_ns());
}

Test(gpayload, reports_of_all_share_what_there_is)
{
	struct kt_msg_payload_report *reports;
	struct kt_msg_guest_run job = { .payloads = &what, .n_payloads = 1 };
	size_t sum = 0;

	all = (struct kt_gpayloads){ .run = &job, .poll_fd = poll_fd };
	args[2].text = "yes | head -c 60000";
	cr_assert_eq(kt_gpayloads_start(&all, "nobody", "", 0, 0, &err), -EINVAL);
	for (int i = 0; i < 3; i++)
		cr_assert_eq(kt_gpayloads_start(&all, "p", "", 0, (uint64_t)i, &err), 0, "%s",
			     err.text);
	kt_gpayloads_go(&all, "other", kt_gtime_now_ns());
	cr_assert_eq(all.list->payload->state, KT_GPAYLOAD_WAITING);
	kt_gpayloads_go(&all, NULL, kt_gtime_now_ns());
	while (kt_gpayloads_alive(&all, "p"))
		round_of_all();
	for (int i = 0; i < 3; i++)
		cr_assert(kt_gpayloads_next_end(&all));
	cr_assert_null(kt_gpayloads_next_end(&all));
	cr_assert_eq(kt_gpayloads_trouble(&all, &err), 0);
	cr_assert_eq(kt_gpayloads_report(&all, 100000, &arena, &reports), 3);
	for (int i = 0; i < 3; i++) {
		cr_assert_eq(reports[i].step, (uint64_t)i);
		cr_assert_eq(reports[i].out_bytes, 60000);
		cr_assert_geq(reports[i].out.len, 30000);
		sum += reports[i].out.len;
	}
	cr_assert_leq(sum, 100000);
	cr_assert(strstr(kt_gpayloads_words(&all, &arena), "--- payload p, standard output\ny\n"));
	kt_gpayloads_close(&all);
}

Test(gpayload, those_in_a_cgroup_are_stopped_by_it)
{
	struct kt_msg_guest_run job = { .payloads = &what, .n_payloads = 1 };

	all = (struct kt_gpayloads){ .run = &job, .poll_fd = poll_fd };
	args[2].text = "exec sleep 1000";
	cr_assert_eq(kt_gcgroup_make("a/b", &err), 0, "%s", err.text);
	cr_assert_eq(kt_gpayloads_start(&all, "p", "a/b", 0, 0, &err), 0, "%s", err.text);
	cr_assert_eq(kt_gpayloads_start(&all, "p", "", 0, 0, &err), 0, "%s", err.text);
	kt_gpayloads_go(&all, NULL, kt_gtime_now_ns());
	cr_assert(kt_gpayloads_is_in(&all, "a") && kt_gpayloads_is_in(&all, "a/b"));
	cr_assert_not(kt_gpayloads_is_in(&all, "b"));
	cr_assert_eq(kt_gpayloads_stop_in(&all, "a", kt_gtime_now_ns()), 1);
	cr_assert_eq(kt_gpayloads_leaving(&all), 1);
	while (kt_gpayloads_leaving(&all))
		round_of_all();
	cr_assert_eq(kt_gpayloads_alive(&all, NULL), 1);
	cr_assert_eq(kt_gcgroup_remove("a"), 0);
	cr_assert_eq(kt_gpayloads_stop(&all, "p", kt_gtime_now_ns()), 1);
	while (kt_gpayloads_alive(&all, "p"))
		round_of_all();
	kt_gpayloads_close(&all);
}
