#include "worker/terminal.h"
#include "proto/base/limits.h"
#include "proto/base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#define SAY_MS_MAX    1000 /* for a line of our own to be taken */
#define PIECE_BYTES   4096 /* PIPE_BUF: what poll(2) promises room for */
#define REPAINT_NS    (100 * KT_NS_PER_MS)
#define PLAIN_LINE_NS (2 * KT_NS_PER_S) /* where no line can be taken back */

/* Another description of the same pipe or terminal. A file keeps its position, so it keeps its description. */
static int open_anew(int fd)
{
	struct stat what;
	char path[32];
	int anew = -1;

	if (fstat(fd, &what) == 0 && (S_ISCHR(what.st_mode) || S_ISFIFO(what.st_mode))) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		anew = open(path, O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	}
	return anew >= 0 ? anew : fcntl(fd, F_DUPFD_CLOEXEC, 3);
}

void kt_terminal_open(struct kt_terminal *terminal)
{
	const char *term = getenv("TERM");

	*terminal = (struct kt_terminal){
		.in_fd = STDIN_FILENO,
		.out_fds = { open_anew(STDOUT_FILENO), open_anew(STDERR_FILENO) },
		.in_is_tty = isatty(STDIN_FILENO),
		.shows_status = isatty(STDERR_FILENO),
	};
	terminal->paints = terminal->shows_status && term && *term && strcmp(term, "dumb") != 0;
}

void kt_terminal_close(struct kt_terminal *terminal)
{
	kt_terminal_clear_status(terminal);
	if (terminal->is_raw)
		tcsetattr(terminal->in_fd, TCSADRAIN, &terminal->before);
	terminal->is_raw = false;
	kt_own_close(&terminal->out_fds[0]);
	kt_own_close(&terminal->out_fds[1]);
}

bool kt_terminal_size(const struct kt_terminal *terminal, uint64_t *rows, uint64_t *cols)
{
	struct winsize size;

	if (ioctl(terminal->in_fd, TIOCGWINSZ, &size) < 0 || size.ws_row == 0 || size.ws_col == 0)
		return false;
	*rows = size.ws_row;
	*cols = size.ws_col;
	return true;
}

void kt_terminal_raw(struct kt_terminal *terminal)
{
	struct termios raw;

	if (!terminal->in_is_tty || tcgetattr(terminal->in_fd, &terminal->before) < 0)
		return;
	raw = terminal->before;
	cfmakeraw(&raw);
	terminal->is_raw = tcsetattr(terminal->in_fd, TCSADRAIN, &raw) == 0;
}

/* ---- bytes ---- */

ssize_t kt_terminal_read(struct kt_terminal *terminal, void *bytes, size_t size)
{
	ssize_t n = read(terminal->in_fd, bytes, size);

	if (n < 0)
		return errno == EINTR ? -EAGAIN : -errno;
	return n;
}

ssize_t kt_terminal_write(struct kt_terminal *terminal, int stream, const void *bytes, size_t len)
{
	ssize_t n =
		write(terminal->out_fds[stream - 1], bytes, len < PIECE_BYTES ? len : PIECE_BYTES);

	if (n >= 0)
		return n;
	return errno == EAGAIN || errno == EINTR ? 0 : -errno;
}

/* ---- our own lines ---- */

static void put(struct kt_terminal *terminal, const char *text, size_t len)
{
	struct pollfd fd = { .fd = terminal->out_fds[1], .events = POLLOUT };

	while (len > 0) {
		ssize_t n = kt_terminal_write(terminal, 2, text, len);

		if (n < 0 || (n == 0 && poll(&fd, 1, SAY_MS_MAX) <= 0))
			return;
		text += n;
		len -= (size_t)n;
	}
}

static void put_text(struct kt_terminal *terminal, const char *text)
{
	put(terminal, text, strlen(text));
}

/* What others wrote must not move the cursor of one who reads ours. UTF-8 stays. */
static void make_plain(char *text)
{
	for (; *text; text++)
		if ((unsigned char)*text < 0x20 || *text == 0x7f)
			*text = ' ';
}

void kt_terminal_clear_status(struct kt_terminal *terminal)
{
	if (terminal->has_status && terminal->paints)
		put_text(terminal, "\r\033[K");
	terminal->has_status = false;
}

void kt_terminal_status(struct kt_terminal *terminal, const char *line, int64_t now_ns)
{
	char text[80]; /* one row, or it could not be taken back */

	if (!terminal->shows_status ||
	    (terminal->has_status &&
	     now_ns - terminal->status_ns < (terminal->paints ? REPAINT_NS : PLAIN_LINE_NS)))
		return;
	snprintf(text, sizeof(text), "%s", line);
	make_plain(text);
	put_text(terminal, terminal->paints ? "\r" : "");
	put_text(terminal, text);
	put_text(terminal, terminal->paints ? "\033[K" : "\n");
	terminal->has_status = true;
	terminal->status_ns = now_ns;
}

void kt_terminal_say(struct kt_terminal *terminal, const char *format, ...)
{
	char text[KT_TEXT_BYTES_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	make_plain(text);
	kt_terminal_clear_status(terminal);
	/* In raw mode the cursor stands somewhere behind what the guest printed. */
	put_text(terminal, terminal->is_raw ? "\r\nktcoord: " : "ktcoord: ");
	put_text(terminal, text);
	put_text(terminal, terminal->is_raw ? "\r\n" : "\n");
}

void kt_terminal_quote(struct kt_terminal *terminal, const char *text, size_t len)
{
	char line[1024];

	while (len > 0) {
		const char *newline = memchr(text, '\n', len);
		size_t n = newline ? (size_t)(newline - text) : len;

		snprintf(line, sizeof(line), "%.*s", (int)n, text);
		make_plain(line);
		kt_terminal_clear_status(terminal);
		put_text(terminal, "  ");
		put_text(terminal, line);
		put_text(terminal, terminal->is_raw ? "\r\n" : "\n");
		n += newline != NULL;
		text += n;
		len -= n;
	}
}
