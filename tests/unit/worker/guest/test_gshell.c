/* With real processes of this machine's sh, on real pipes and a real pty. */
#include "worker/guest/gshell.h"
#include "proto/base/clock.h"
#include "proto/base/limits.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define PATIENCE_NS (20 * KT_NS_PER_S)

static struct kt_gshell shell;
static struct kt_buf printed[2];
static size_t printed_bytes;
static size_t took;
static bool shows; /* what is printed is shown at once */
static bool ended;
static int wait_status;

static void on_printed(void *arg, uint64_t stream, const void *bytes, size_t len)
{
	cr_assert(stream == 1 || stream == 2);
	cr_assert(len > 0 && len <= KT_SHELL_PIECE_BYTES_MAX);
	cr_assert(!ended);
	kt_buf_append(&printed[stream - 1], bytes, len);
	printed_bytes += len;
	if (shows)
		kt_gshell_showed(&shell, len);
}

static void on_took(void *arg, size_t bytes)
{
	cr_assert(bytes > 0);
	took += bytes;
}

static void on_ended(void *arg, int status)
{
	ended = true;
	wait_status = status;
}

static void setup(void)
{
	static const struct kt_gshell_events events = { on_printed, on_took, on_ended, NULL };

	signal(SIGPIPE, SIG_IGN); /* as PID 1 is spared */
	kt_gshell_init(&shell, &events);
	kt_buf_reset(&printed[0]);
	kt_buf_reset(&printed[1]);
	printed_bytes = 0;
	took = 0;
	shows = true;
	ended = false;
}

static void teardown(void)
{
	if (shell.pid > 0)
		kill(-shell.pid, SIGKILL);
	kt_buf_destroy(&shell.typed);
	kt_buf_destroy(&printed[0]);
	kt_buf_destroy(&printed[1]);
}

static void start_program(const char *const *args, bool tty)
{
	struct kt_msg_arg texts[8];
	struct kt_msg_arg env[] = { { "PATH=/usr/bin:/bin" }, { "KT=1" } };
	struct kt_msg_shell what = { .args = texts,
				     .env = env,
				     .n_env = 2,
				     .tty = tty,
				     .rows = tty ? 30 : 0,
				     .cols = tty ? 100 : 0 };
	struct kt_err err = { 0 };

	for (; args[what.n_args]; what.n_args++)
		texts[what.n_args].text = args[what.n_args];
	cr_assert_eq(kt_gshell_start(&shell, &what, &err), 0, "%s", err.text);
}

static void start(const char *command, bool tty)
{
	start_program((const char *const[]){ "/bin/sh", "-c", command, NULL }, tty);
}

static int type_bytes(const void *bytes, size_t len, bool eof)
{
	struct kt_err err = { 0 };

	return kt_gshell_typed(
		&shell, &(struct kt_msg_guest_typed){ .body = { bytes, len }, .eof = eof }, &err);
}

static void type(const char *text, bool eof)
{
	cr_assert_eq(type_bytes(text, strlen(text), eof), 0);
}

/* One round of ktguest's loop. */
static void pump(int ms)
{
	struct pollfd fds[KT_GSHELL_FDS];
	int64_t now_ns = kt_clock_now_ns();
	int status;
	pid_t pid;

	kt_gshell_fds(&shell, fds);
	if (kt_gshell_due_ns(&shell, now_ns) != INT64_MAX)
		ms = 1;
	poll(fds, KT_GSHELL_FDS, ms);
	while ((pid = waitpid(-1, &status, WNOHANG)) > 0)
		kt_gshell_reaped(&shell, pid, status);
	kt_gshell_step(&shell, kt_clock_now_ns());
}

static void run_to_end(void)
{
	int64_t deadline_ns = kt_clock_now_ns() + PATIENCE_NS;

	while (!ended && kt_clock_now_ns() < deadline_ns)
		pump(10);
	cr_assert(ended, "it did not end; it printed: %s", kt_buf_text(&printed[0]));
	cr_assert_eq(shell.state, KT_GSHELL_IDLE);
	for (int i = 0; i < 2; i++)
		cr_assert_eq(shell.out_fds[i], -1);
	cr_assert_eq(shell.in_fd, -1);
}

static void run_until_printed(const char *text)
{
	int64_t deadline_ns = kt_clock_now_ns() + PATIENCE_NS;

	while (!strstr(kt_buf_text(&printed[0]), text) && kt_clock_now_ns() < deadline_ns)
		pump(10);
	cr_assert(strstr(kt_buf_text(&printed[0]), text), "'%s' is not in '%s'", text,
		  kt_buf_text(&printed[0]));
}

/* Some rounds in which nothing that must not happen happens. */
static void run_for(int64_t ns)
{
	int64_t deadline_ns = kt_clock_now_ns() + ns;

	while (kt_clock_now_ns() < deadline_ns)
		pump(5);
}

Test(gshell, a_command_has_two_outputs_an_input_and_an_end, .init = setup, .fini = teardown)
{
	static const struct {
		const char *command;
		const char *typed;
		const char *out;
		const char *err;
		int status; /* 256 and more: a signal */
	} rows[] = {
		{ "echo out; echo err >&2; exit 7", "", "out\n", "err\n", 7 },
		{ "cat", "typed\n", "typed\n", "", 0 },
		{ "read line; echo \"$line\"", "one\ntwo\n", "one\n", "", 0 },
		{ "kill -KILL $$", "", "", "", 256 + SIGKILL },
		{ "kill -SEGV $$", "", "", "", 256 + SIGSEGV },
		{ "echo $KT $HOME", "", "1\n", "", 0 },
		{ "pwd; test -t 0 || test -t 1 || echo none", "", "/\nnone\n", "", 0 },
		{ "yes | head -n 1", "", "y\n", "", 0 }, /* SIGPIPE is as it should be */
		{ "printf last", "", "last", "", 0 },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		setup();
		start(rows[i].command, false);
		type(rows[i].typed, true);
		run_to_end();
		cr_assert_str_eq(kt_buf_text(&printed[0]), rows[i].out, "%s: %s", rows[i].command,
				 kt_buf_text(&printed[0]));
		cr_assert_str_eq(kt_buf_text(&printed[1]), rows[i].err, "%s: %s", rows[i].command,
				 kt_buf_text(&printed[1]));
		if (rows[i].status >= 256)
			cr_assert_eq(WTERMSIG(wait_status), rows[i].status - 256, "%s",
				     rows[i].command);
		else
			cr_assert_eq(WEXITSTATUS(wait_status), rows[i].status, "%s",
				     rows[i].command);
		teardown();
	}
}

Test(gshell, what_cannot_be_run_says_so, .init = setup, .fini = teardown)
{
	start_program((const char *const[]){ "/nonexistent/sh", NULL }, false);
	run_to_end();
	cr_assert_eq(WEXITSTATUS(wait_status), 127);
	cr_assert_str_eq(kt_buf_text(&printed[1]),
			 "ktguest: cannot run /nonexistent/sh: No such file or directory\n");
}

Test(gshell, a_terminal_echoes_and_has_a_size, .init = setup, .fini = teardown)
{
	start("stty size; read a; stty size; echo \"got $a\" >&2; exit 3", true);
	run_until_printed("30 100\r\n");
	kt_gshell_window(&shell, 44, 120);
	type("hello\n", false);
	run_to_end();
	cr_assert_str_eq(kt_buf_text(&printed[0]), "30 100\r\nhello\r\n44 120\r\ngot hello\r\n");
	cr_assert_eq(printed[1].len, 0);
	cr_assert_eq(WEXITSTATUS(wait_status), 3);
	cr_assert_eq(took, 6);
}

Test(gshell, a_terminal_interrupts_its_program, .init = setup, .fini = teardown)
{
	start("echo ready; exec sleep 1000", true);
	run_until_printed("ready");
	type("\x03", false);
	run_to_end();
	cr_assert_eq(WTERMSIG(wait_status), SIGINT);
}

Test(gshell, a_new_size_is_told_to_the_program, .init = setup, .fini = teardown)
{
	start("trap 'stty size; exit 0' WINCH; echo ready; while :; do sleep 0.05; done", true);
	run_until_printed("ready");
	kt_gshell_window(&shell, 11, 22);
	run_to_end();
	cr_assert(strstr(kt_buf_text(&printed[0]), "11 22"), "%s", kt_buf_text(&printed[0]));
}

Test(gshell, a_flood_waits_for_whoever_reads, .init = setup, .fini = teardown)
{
	for (int tty = 0; tty < 2; tty++) {
		setup();
		shows = false;
		start("yes 0123456789", tty);
		run_for(300 * KT_NS_PER_MS);
		cr_assert_eq(printed_bytes, KT_SHELL_WINDOW_BYTES, "%zu", printed_bytes);
		kt_gshell_showed(&shell, 1000);
		run_for(200 * KT_NS_PER_MS);
		cr_assert_eq(printed_bytes, KT_SHELL_WINDOW_BYTES + 1000, "%zu", printed_bytes);
		/* A lie of the host's does not make the window larger. */
		kt_gshell_showed(&shell, 10 * KT_SHELL_WINDOW_BYTES);
		cr_assert_eq(shell.credit, KT_SHELL_WINDOW_BYTES);
		shows = true;
		kill(shell.pid, SIGTERM);
		run_to_end();
		cr_assert_eq(WTERMSIG(wait_status), SIGTERM);
		teardown();
	}
}

Test(gshell, both_outputs_share_the_window, .init = setup, .fini = teardown)
{
	shows = false;
	start("yes >&2 & yes", false);
	run_for(300 * KT_NS_PER_MS);
	cr_assert_eq(printed_bytes, KT_SHELL_WINDOW_BYTES, "%zu", printed_bytes);
}

Test(gshell, what_is_not_read_is_bounded, .init = setup, .fini = teardown)
{
	static uint8_t bytes[KT_SHELL_WINDOW_BYTES];

	start("sleep 1000", false);
	cr_assert_eq(type_bytes(bytes, sizeof(bytes), false), 0);
	run_for(100 * KT_NS_PER_MS);
	cr_assert_eq(took, 65536, "a pipe holds so much: %zu", took);
	cr_assert_eq(type_bytes(bytes, sizeof(bytes), false), 0);
	run_for(100 * KT_NS_PER_MS);
	cr_assert_eq(took, 65536);
	cr_assert_eq(shell.typed.len, sizeof(bytes));
	cr_assert_eq(type_bytes(bytes, 1, false), -ENOBUFS);
	kill(shell.pid, SIGKILL);
	run_to_end();
	cr_assert_eq(type_bytes(bytes, 1, false), 0, "too late, and no mistake");
}

Test(gshell, a_program_that_closes_its_input_can_be_typed_to, .init = setup, .fini = teardown)
{
	static uint8_t bytes[KT_SHELL_WINDOW_BYTES];

	start("exec <&-; echo closed; sleep 0.3", false);
	run_until_printed("closed");
	for (int i = 0; i < 4; i++) {
		cr_assert_eq(type_bytes(bytes, sizeof(bytes), false), 0);
		pump(1);
	}
	cr_assert_eq(took, 4 * sizeof(bytes));
	run_to_end();
	cr_assert_eq(WEXITSTATUS(wait_status), 0);
}

Test(gshell, its_session_ends_with_it, .init = setup, .fini = teardown)
{
	for (int tty = 0; tty < 2; tty++) {
		int64_t deadline_ns;
		pid_t left;

		setup();
		/* With -m the second one gets a process group of its own. */
		start("set -m; sleep 1000 & echo \"pid=$!;\"", tty);
		run_to_end();
		cr_assert_eq(WEXITSTATUS(wait_status), 0);
		left = (pid_t)strtol(strstr(kt_buf_text(&printed[0]), "pid=") + 4, NULL, 10);
		cr_assert_gt(left, 1);
		deadline_ns = kt_clock_now_ns() + PATIENCE_NS;
		while (kill(left, 0) == 0 && kt_clock_now_ns() < deadline_ns)
			usleep(10000);
		cr_assert_eq(kill(left, 0), -1, "process %d lives on", (int)left);
		teardown();
	}
}

Test(gshell, all_that_was_printed_comes_before_the_end, .init = setup, .fini = teardown)
{
	for (int tty = 0; tty < 2; tty++) {
		int64_t deadline_ns = kt_clock_now_ns() + PATIENCE_NS;
		size_t shown = 0;

		setup();
		shows = false;
		start("seq 1 20000; echo end", tty);
		while (!ended && kt_clock_now_ns() < deadline_ns) {
			pump(5);
			if (printed_bytes > shown) /* a slow reader */
				kt_gshell_showed(&shell, printed_bytes - shown < 5000
								 ? printed_bytes - shown
								 : 5000);
			shown += printed_bytes - shown < 5000 ? printed_bytes - shown : 5000;
		}
		cr_assert(ended);
		cr_assert_eq(printed_bytes, tty ? 108894 + 20000 + 5 : 108894 + 4, "%zu",
			     printed_bytes);
		teardown();
	}
}
