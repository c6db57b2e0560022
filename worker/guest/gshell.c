#include "worker/guest/gshell.h"
#include "proto/base/must.h"
#include "proto/base/own.h"
#include "worker/guest/sysfile.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#define SETTLE_NS      (200 * KT_NS_PER_MS) /* a pty's last bytes are moved by a kworker */
#define SETTLE_LOOK_NS (10 * KT_NS_PER_MS)
#define KILL_ROUNDS    3 /* processes that are being killed may fork */

/* What the child gets as 0, 1 and 2. */
struct ends {
	int fds[3];
};

void kt_gshell_init(struct kt_gshell *shell, const struct kt_gshell_events *events)
{
	*shell = (struct kt_gshell){
		.events = *events,
		.in_fd = -1,
		.out_fds = { -1, -1 },
		.typed = KT_BUF_MAX(KT_SHELL_WINDOW_BYTES),
	};
}

/* ---- start ---- */

static void close_ends(struct ends *ends)
{
	for (int i = 0; i < 3; i++)
		kt_own_close(&ends->fds[i]);
}

static void close_ours(struct kt_gshell *shell)
{
	kt_own_close(&shell->in_fd);
	kt_own_close(&shell->out_fds[0]);
	kt_own_close(&shell->out_fds[1]);
}

static int open_pipes(struct kt_gshell *shell, struct ends *ends)
{
	int *const ours[] = { &shell->in_fd, &shell->out_fds[0], &shell->out_fds[1] };

	for (int i = 0; i < 3; i++) {
		int pair[2];

		if (pipe2(pair, O_CLOEXEC) < 0)
			return -errno;
		*ours[i] = pair[i == 0 ? 1 : 0];
		ends->fds[i] = pair[i == 0 ? 0 : 1];
		fcntl(*ours[i], F_SETFL, O_NONBLOCK);
	}
	return 0;
}

static int open_pty(struct kt_gshell *shell, struct ends *ends)
{
	int unlocked = 0;

	shell->out_fds[0] = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	if (shell->out_fds[0] < 0 || ioctl(shell->out_fds[0], TIOCSPTLCK, &unlocked) < 0)
		return -errno;
	ends->fds[0] = ioctl(shell->out_fds[0], TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	for (int i = 1; i < 3 && ends->fds[0] >= 0; i++)
		ends->fds[i] = fcntl(ends->fds[0], F_DUPFD_CLOEXEC, 3);
	shell->in_fd = fcntl(shell->out_fds[0], F_DUPFD_CLOEXEC, 3);
	return ends->fds[2] < 0 || shell->in_fd < 0 ? -errno : 0;
}

/* In the child. Only what is safe after fork. */
__attribute__((noreturn)) static void become(char **argv, char **envp, const struct ends *ends,
					     bool tty)
{
	sigset_t none;

	setsid();
	if (tty)
		ioctl(ends->fds[0], TIOCSCTTY, 0);
	for (int i = 0; i < 3; i++)
		dup2(ends->fds[i], i);
	signal(SIGPIPE, SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	kt_sysfile_write("/proc/self/oom_score_adj", "0"); /* ktguest's is its own */
	if (chdir("/") < 0)
		_exit(127);
	execve(argv[0], argv, envp);
	dprintf(STDERR_FILENO, "ktguest: cannot run %s: %s\n", argv[0], strerror(errno));
	_exit(127);
}

static char **texts_of(const struct kt_msg_arg *args, size_t n)
{
	char **texts = kt_must_calloc(n + 1, sizeof(*texts));

	for (size_t i = 0; i < n; i++)
		texts[i] = (char *)args[i].text;
	return texts;
}

static int spawn(struct kt_gshell *shell, const struct kt_msg_shell *what, struct ends *ends)
{
	KT_AUTO_FREE char **argv = texts_of(what->args, what->n_args);
	KT_AUTO_FREE char **envp = texts_of(what->env, what->n_env);
	int status = what->tty ? open_pty(shell, ends) : open_pipes(shell, ends);

	if (status < 0)
		return status;
	if (what->tty)
		kt_gshell_window(shell, what->rows, what->cols);
	shell->pid = fork();
	if (shell->pid < 0)
		return -errno;
	if (shell->pid == 0)
		become(argv, envp, ends, what->tty);
	return 0;
}

int kt_gshell_start(struct kt_gshell *shell, const struct kt_msg_shell *what, struct kt_err *err)
{
	struct ends ends = { { -1, -1, -1 } };
	int status;

	kt_must(shell->state == KT_GSHELL_IDLE);
	if (what->n_args == 0)
		return kt_err_set(err, KT_FAULT_PEER, EINVAL, "a shell without a program");
	shell->tty = what->tty;
	shell->eof = false;
	shell->credit = KT_SHELL_WINDOW_BYTES;
	kt_buf_reset(&shell->typed);
	status = spawn(shell, what, &ends);
	close_ends(&ends);
	if (status < 0) {
		close_ours(shell);
		shell->pid = 0;
		return kt_err_sys(err, KT_FAULT_GUEST, -status, "starting %.200s%s",
				  what->args[0].text, what->tty ? " on a pty" : "");
	}
	shell->session = shell->pid;
	shell->state = KT_GSHELL_OPEN;
	return 0;
}

/* ---- what is typed ---- */

int kt_gshell_typed(struct kt_gshell *shell, const struct kt_msg_guest_typed *typed,
		    struct kt_err *err)
{
	if (shell->state == KT_GSHELL_IDLE)
		return 0;
	if (shell->typed.len + typed->body.len > KT_SHELL_WINDOW_BYTES)
		return kt_err_set(err, KT_FAULT_PEER, ENOBUFS,
				  "more than %u bytes were typed and not taken in",
				  KT_SHELL_WINDOW_BYTES);
	kt_buf_append(&shell->typed, typed->body.data, typed->body.len);
	shell->eof = shell->eof || typed->eof;
	return 0;
}

void kt_gshell_window(struct kt_gshell *shell, uint64_t rows, uint64_t cols)
{
	struct winsize size = { .ws_row = (unsigned short)rows, .ws_col = (unsigned short)cols };

	if (shell->tty && shell->out_fds[0] >= 0 && rows > 0 && cols > 0)
		ioctl(shell->out_fds[0], TIOCSWINSZ, &size);
}

/* Bytes for one that reads no more count as taken: else nobody could type any more. */
static void pass_typed(struct kt_gshell *shell)
{
	size_t taken = 0;

	while (shell->typed.len > 0) {
		ssize_t n = shell->in_fd < 0
				    ? (ssize_t)shell->typed.len
				    : write(shell->in_fd, shell->typed.data, shell->typed.len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n == 0 || (n < 0 && errno == EAGAIN))
			break;
		if (n < 0) {
			kt_own_close(&shell->in_fd);
			continue;
		}
		kt_buf_consume(&shell->typed, (size_t)n);
		taken += (size_t)n;
	}
	if (taken > 0)
		shell->events.took(shell->events.arg, taken);
	if (shell->eof && shell->typed.len == 0)
		kt_own_close(&shell->in_fd);
}

/* ---- what is printed ---- */

void kt_gshell_showed(struct kt_gshell *shell, size_t bytes)
{
	shell->credit += bytes;
	if (shell->credit > KT_SHELL_WINDOW_BYTES)
		shell->credit = KT_SHELL_WINDOW_BYTES;
}

/* At most the credit, so a flood does not keep ktguest from the rest. A pty whose last process has closed it
 * says EIO.
 */
static void pass_printed(struct kt_gshell *shell, int stream)
{
	int *fd = &shell->out_fds[stream - 1];
	char piece[KT_SHELL_PIECE_BYTES_MAX];

	while (*fd >= 0 && shell->credit > 0) {
		size_t most = shell->credit < sizeof(piece) ? shell->credit : sizeof(piece);
		ssize_t n = read(*fd, piece, most);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			return;
		if (n <= 0) {
			kt_own_close(fd);
			return;
		}
		shell->credit -= (size_t)n;
		shell->events.printed(shell->events.arg, (uint64_t)stream, piece, (size_t)n);
	}
}

/* ---- the end ---- */

/* "pid (comm) state ppid pgrp session ...": proc(5). A name may hold anything, so the last ')' counts. */
static bool is_in_session(const char *pid, pid_t session)
{
	char path[64];
	char text[512];
	const char *after;
	int found;

	snprintf(path, sizeof(path), "/proc/%.20s/stat", pid);
	if (kt_sysfile_read(path, text, sizeof(text)) < 0)
		return false;
	after = strrchr(text, ')');
	return after && sscanf(after, ") %*c %*d %*d %d", &found) == 1 && found == session;
}

static size_t kill_round(pid_t session)
{
	DIR *folder = opendir("/proc");
	struct dirent *entry;
	size_t n = 0;

	while (folder && (entry = readdir(folder))) {
		if (!isdigit((unsigned char)entry->d_name[0]) ||
		    !is_in_session(entry->d_name, session))
			continue;
		kill((pid_t)strtol(entry->d_name, NULL, 10), SIGKILL);
		n++;
	}
	if (folder)
		closedir(folder);
	return n;
}

void kt_gshell_reaped(struct kt_gshell *shell, pid_t pid, int wait_status)
{
	if (shell->state != KT_GSHELL_OPEN || pid != shell->pid)
		return;
	shell->pid = 0;
	shell->wait_status = wait_status;
	shell->state = KT_GSHELL_ENDING;
	shell->ended_ns = 0;
	for (int i = 0; i < KILL_ROUNDS && kill_round(shell->session) > 0; i++)
		;
}

/* What is in the pipes now is all that counts: somebody outside of the session may hold them open for ever. */
static void end_when_all_is_sent(struct kt_gshell *shell, int64_t now_ns)
{
	bool is_open = shell->out_fds[0] >= 0 || shell->out_fds[1] >= 0;

	if (shell->ended_ns == 0)
		shell->ended_ns = now_ns;
	if (shell->credit == 0 && is_open)
		return; /* there may be more */
	if (is_open && shell->tty && now_ns - shell->ended_ns < SETTLE_NS)
		return;
	close_ours(shell);
	shell->state = KT_GSHELL_IDLE;
	kt_buf_reset(&shell->typed);
	shell->events.ended(shell->events.arg, shell->wait_status);
}

/* ---- moves ---- */

void kt_gshell_step(struct kt_gshell *shell, int64_t now_ns)
{
	if (shell->state == KT_GSHELL_IDLE)
		return;
	pass_typed(shell);
	pass_printed(shell, 1);
	pass_printed(shell, 2);
	if (shell->state == KT_GSHELL_ENDING)
		end_when_all_is_sent(shell, now_ns);
}

void kt_gshell_fds(const struct kt_gshell *shell, struct pollfd fds[KT_GSHELL_FDS])
{
	fds[0] = (struct pollfd){ .fd = shell->typed.len > 0 ? shell->in_fd : -1,
				  .events = POLLOUT };
	/* Without credit not even its end is asked for: poll() would tell of it for ever. */
	for (int i = 0; i < 2; i++)
		fds[1 + i] = (struct pollfd){ .fd = shell->credit > 0 ? shell->out_fds[i] : -1,
					      .events = POLLIN };
}

int64_t kt_gshell_due_ns(const struct kt_gshell *shell, int64_t now_ns)
{
	return shell->state == KT_GSHELL_ENDING ? now_ns + SETTLE_LOOK_NS : INT64_MAX;
}
