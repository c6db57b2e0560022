#include "coordinator/subprocess.h"

#include "proto/base/clock.h"
#include "proto/base/limits.h"
#include "proto/base/must.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#define TICK_MS         500
#define REASON_LINES    3
#define STATUS_LINE_MAX 512

enum { OUT, ERR, STATUS, FAILED, PIPES };

struct child {
	pid_t pid; /* 0: none */
	int pidfd;
	int ends[PIPES]; /* what we read; -1 once closed */
	char status[STATUS_LINE_MAX];
	size_t status_len;
};

/* Whatever happens to the caller, the program and what it started are gone afterwards. */
static void end_child(struct child *child)
{
	if (child->pid > 0) {
		kill(-child->pid, SIGKILL);
		kill(child->pid, SIGKILL);
		while (waitpid(child->pid, NULL, 0) < 0 && errno == EINTR)
			;
	}
	kt_own_close(&child->pidfd);
	for (int i = 0; i < PIPES; i++)
		kt_own_close(&child->ends[i]);
	child->pid = 0;
}

/* In the child. Says errno through the FAILED pipe (close-on-exec) when there is no program. */
__attribute__((noreturn)) static void become(const struct kt_subprocess_spec *spec,
					     int theirs[PIPES], pid_t parent)
{
	int failed, code, null;
	sigset_t none;

	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	signal(SIGPIPE, SIG_DFL);
	setpgid(0, 0);
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(127);
	null = open("/dev/null", O_RDONLY | O_CLOEXEC);
	failed = fcntl(theirs[FAILED], F_DUPFD_CLOEXEC, 10);
	theirs[OUT] = fcntl(theirs[OUT], F_DUPFD_CLOEXEC, 10);
	theirs[ERR] = fcntl(theirs[ERR], F_DUPFD_CLOEXEC, 10);
	theirs[STATUS] = fcntl(theirs[STATUS], F_DUPFD_CLOEXEC, 10);
	if (null < 0 || dup2(null, 0) < 0 || dup2(theirs[OUT], 1) < 0 || dup2(theirs[ERR], 2) < 0 ||
	    dup2(theirs[STATUS], KT_SUBPROCESS_STATUS_FD) < 0 ||
	    (spec->cwd && chdir(spec->cwd) < 0) || setenv("LC_ALL", "C", 1) < 0)
		goto fail;
	unsetenv("LANGUAGE");
	execvp(spec->argv[0], (char *const *)(uintptr_t)spec->argv);
fail:
	code = errno;
	if (write(failed, &code, sizeof code) < 0)
		_exit(126);
	_exit(127);
}

static int start(const struct kt_subprocess_spec *spec, struct child *child, struct kt_err *err)
{
	int theirs[PIPES] = { -1, -1, -1, -1 };
	pid_t parent = getpid();
	int code = 0;

	for (int i = 0; i < PIPES && !code; i++) {
		int ends[2];

		if (pipe2(ends, O_CLOEXEC) < 0) {
			code = errno;
			break;
		}
		child->ends[i] = ends[0];
		theirs[i] = ends[1];
	}
	if (!code) {
		child->pid = fork();
		if (child->pid == 0)
			become(spec, theirs, parent);
		if (child->pid < 0)
			code = errno;
	}
	for (int i = 0; i < PIPES; i++)
		kt_own_close(&theirs[i]);
	if (code)
		return kt_err_sys(err, KT_FAULT_HOST, code, "starting %s", spec->argv[0]);
	setpgid(child->pid, child->pid); /* both sides set it: neither waits for the other */
	if (read(child->ends[FAILED], &code, sizeof code) == sizeof code)
		return kt_err_sys(err, KT_FAULT_HOST, code, "starting %s", spec->argv[0]);
	kt_own_close(&child->ends[FAILED]);
	child->pidfd = pidfd_open(child->pid, 0);
	if (child->pidfd < 0)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "watching %s", spec->argv[0]);
	for (int i = 0; i < FAILED; i++)
		fcntl(child->ends[i], F_SETFL, O_NONBLOCK);
	return 0;
}

static void take_status(const struct kt_subprocess_spec *spec, struct child *child,
			const char *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++) {
		if (bytes[i] != '\n') {
			if (child->status_len + 1 < sizeof child->status)
				child->status[child->status_len++] = bytes[i];
			continue;
		}
		child->status[child->status_len] = 0;
		child->status_len = 0;
		if (spec->tick)
			spec->tick(spec->arg, child->status);
	}
}

/* Reads what is there now. Ends with the end of the pipe, or when nothing more is waiting. */
static void drain(const struct kt_subprocess_spec *spec, struct child *child, int which,
		  struct kt_subprocess_result *result)
{
	char bytes[4096];
	ssize_t n;

	while (child->ends[which] >= 0 &&
	       (n = read(child->ends[which], bytes, sizeof bytes)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n < 0)
			break;
		if (which == STATUS)
			take_status(spec, child, bytes, (size_t)n);
		else
			kt_buf_append(which == OUT ? &result->out : &result->err, bytes, (size_t)n);
	}
	kt_own_close(&child->ends[which]);
}

int kt_subprocess_run(const struct kt_subprocess_spec *spec, struct kt_subprocess_result *result,
		      struct kt_err *err)
{
	KT_AUTO(end_child) struct child child = { .pidfd = -1, .ends = { -1, -1, -1, -1 } };
	int64_t end_ns = kt_clock_add_ns(kt_clock_now_ns(), spec->deadline_ns);
	int r, status;

	kt_must(spec->deadline_ns > 0);
	*result = (struct kt_subprocess_result){ .out = KT_BUF_MAX(KT_SUBPROCESS_OUT_BYTES_MAX),
						 .err = KT_BUF_MAX(KT_SUBPROCESS_ERR_BYTES_MAX) };
	r = start(spec, &child, err);
	if (r)
		return r;
	for (;;) {
		struct pollfd fds[] = { { child.ends[OUT], POLLIN, 0 },
					{ child.ends[ERR], POLLIN, 0 },
					{ child.ends[STATUS], POLLIN, 0 },
					{ child.pidfd, POLLIN, 0 } };
		int n = poll(fds, 4, TICK_MS);

		for (int i = 0; i < FAILED && n > 0; i++)
			if (fds[i].revents)
				drain(spec, &child, i, result);
		if (n > 0 && fds[3].revents)
			break;
		if (n == 0 && spec->tick)
			spec->tick(spec->arg, NULL);
		if (kt_clock_now_ns() >= end_ns)
			return kt_err_set(err, KT_FAULT_HOST, ETIMEDOUT,
					  "%s did not end within %lld s and was killed",
					  spec->argv[0],
					  (long long)(spec->deadline_ns / KT_NS_PER_S));
	}
	/* What it wrote is in the pipes; helpers that still hold an end are not waited for. */
	for (int i = 0; i < FAILED; i++)
		drain(spec, &child, i, result);
	while (waitpid(child.pid, &status, 0) < 0)
		if (errno != EINTR)
			return kt_err_sys(err, KT_FAULT_HOST, errno, "waiting for %s",
					  spec->argv[0]);
	kill(-child.pid, SIGKILL); /* helpers of a program that crashed */
	child.pid = 0;
	result->exit_status = WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
	return 0;
}

static bool is_error_line(const char *line, size_t len)
{
	return len > 2 && line[0] == 'E' && line[1] == ':';
}

void kt_subprocess_reason(const struct kt_subprocess_result *result, char *text, size_t bytes)
{
	const char *lines[REASON_LINES];
	size_t lens[REASON_LINES], n = 0, used = 0;

	text[0] = 0;
	/* errors if there are any, else whatever was said last */
	for (int errors = 1; errors >= 0 && n == 0; errors--) {
		const char *at = kt_buf_text(&result->err);

		while (*at) {
			size_t len = strcspn(at, "\n");

			if (len > 0 && (!errors || is_error_line(at, len))) {
				if (n == REASON_LINES) {
					memmove(lines, lines + 1, sizeof lines - sizeof lines[0]);
					memmove(lens, lens + 1, sizeof lens - sizeof lens[0]);
					n--;
				}
				lines[n] = at;
				lens[n++] = len;
			}
			at += len + (at[len] == '\n');
		}
	}
	for (size_t i = 0; i < n && used < bytes; i++)
		used += (size_t)snprintf(text + used, bytes - used, "%s%.*s", i ? "; " : "",
					 (int)lens[i], lines[i]);
	for (char *c = text; *c; c++)
		if ((unsigned char)*c < ' ')
			*c = ' ';
	if (!text[0])
		snprintf(text, bytes, "it gave no reason (exit status %d)", result->exit_status);
}

void kt_subprocess_release(struct kt_subprocess_result *result)
{
	kt_buf_destroy(&result->out);
	kt_buf_destroy(&result->err);
}
