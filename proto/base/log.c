#include "proto/base/log.h"
#include "proto/base/clock.h"
#include "proto/base/limits.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#define QUOTES_N     8
#define QUOTE_BYTES  1200
#define LINE_BYTES   (QUOTES_N * QUOTE_BYTES + 1024) /* more than any event says: none is cut */
#define WAITING_MAX  (64 << 10)
#define PATH_BYTES   4096
#define LOOKED_EVERY 64 /* lines: children write into a log on stderr as well */

static const char *program_name = "kt";
static bool is_enabled = true;

static struct {
	char path[PATH_BYTES];
	int fd; /* -1: none */
	bool is_stderr;
	size_t bytes_max;
	size_t bytes;
	unsigned int lines; /* since bytes was looked at */
	char waiting[WAITING_MAX];
	size_t n_waiting;
} file = { .fd = -1 };

void kt_log_open(const char *program, bool enabled)
{
	program_name = program;
	is_enabled = enabled;
}

/* ---- the file ---- */

static int open_file(void)
{
	struct stat st;
	int fd = open(file.path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);

	if (fd < 0)
		return -errno;
	file.bytes = fstat(fd, &st) == 0 ? (size_t)st.st_size : 0;
	if (file.is_stderr) {
		dup2(fd, STDERR_FILENO);
		close(fd);
		fd = STDERR_FILENO;
	} else if (file.fd >= 0) {
		close(file.fd);
	}
	file.fd = fd;
	return 0;
}

/* When that fails, the file grows on: better than to lose what is said. */
static void rotate(void)
{
	char old[PATH_BYTES + 2];

	snprintf(old, sizeof(old), "%s.1", file.path);
	if (rename(file.path, old) == 0)
		open_file();
}

static int begin_file(const char *path, size_t bytes_max, bool is_stderr)
{
	static bool registered;
	int status;

	snprintf(file.path, sizeof(file.path), "%s", path);
	file.bytes_max = bytes_max;
	file.is_stderr = is_stderr;
	file.fd = -1;
	status = open_file();
	if (status < 0)
		return status;
	if (file.bytes > bytes_max)
		rotate();
	if (!registered)
		atexit(kt_log_flush);
	registered = true;
	return 0;
}

int kt_log_file(const char *path, size_t bytes_max)
{
	return begin_file(path, bytes_max, false);
}

int kt_log_stderr(const char *path, size_t bytes_max)
{
	return begin_file(path, bytes_max, true);
}

void kt_log_flush(void)
{
	size_t at = 0;

	while (file.fd >= 0 && at < file.n_waiting) {
		ssize_t n = write(file.fd, file.waiting + at, file.n_waiting - at);

		if (n <= 0 && errno != EINTR)
			break; /* a full disk: the journal has what matters */
		at += n > 0 ? (size_t)n : 0;
	}
	file.bytes += at;
	file.n_waiting = 0;
	if (file.fd >= 0 && !file.is_stderr && file.bytes > file.bytes_max)
		rotate();
}

static void put(const char *line, size_t len)
{
	struct stat st;

	if (is_enabled) {
		fwrite(line, 1, len, stderr);
		if (file.is_stderr && ++file.lines >= LOOKED_EVERY) {
			file.lines = 0;
			if (fstat(STDERR_FILENO, &st) == 0 && (size_t)st.st_size > file.bytes_max)
				rotate();
		}
	}
	if (file.fd < 0 || file.is_stderr)
		return;
	if (file.n_waiting + len > sizeof(file.waiting))
		kt_log_flush();
	memcpy(file.waiting + file.n_waiting, line, len);
	file.n_waiting += len;
}

/* ---- lines ---- */

void kt_log_line(const char *event, const char *format, ...)
{
	char stamp[32];
	char line[LINE_BYTES];
	char whole[LINE_BYTES + 256];
	int64_t wall_ns = kt_clock_wall_ns();
	time_t wall_s = (time_t)(wall_ns / KT_NS_PER_S);
	struct tm tm;
	va_list args;
	int len;

	if (!is_enabled && file.fd < 0)
		return;
	gmtime_r(&wall_s, &tm);
	strftime(stamp, sizeof(stamp), "%Y-%m-%dT%H:%M:%S", &tm);
	va_start(args, format);
	vsnprintf(line, sizeof(line), format, args);
	va_end(args);
	len = snprintf(whole, sizeof(whole), "%s.%03dZ %s %s%s%s\n", stamp,
		       (int)(wall_ns % KT_NS_PER_S / KT_NS_PER_MS), program_name, event,
		       line[0] ? " " : "", line);
	put(whole, (size_t)len < sizeof(whole) ? (size_t)len : sizeof(whole) - 1);
}

const char *kt_log_quote(const char *text)
{
	static char ring[QUOTES_N][QUOTE_BYTES];
	static unsigned int next;
	char *out = ring[next++ % QUOTES_N];
	char *at = out;
	bool plain = *text != 0;

	for (const char *c = text; *c && plain; c++)
		plain = isgraph((unsigned char)*c) && *c != '"' && *c != '=' && *c != '\\';
	if (plain && strlen(text) < sizeof(ring[0]))
		return strcpy(out, text);
	*at++ = '"';
	for (const char *c = text; *c && at < out + sizeof(ring[0]) - 8; c++) {
		if (*c == '"' || *c == '\\')
			at += sprintf(at, "\\%c", *c);
		else if (*c == '\n')
			at += sprintf(at, "\\n");
		else if ((unsigned char)*c < 0x20 || *c == 0x7f)
			at += sprintf(at, "\\x%02x", (unsigned char)*c);
		else
			*at++ = *c;
	}
	strcpy(at, "\"");
	return out;
}
