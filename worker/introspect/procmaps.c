#include "worker/introspect/procmaps.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/sysmacros.h>

struct area { /* one line */
	uint64_t begin, end; /* addresses */
	uint64_t offset; /* in the file */
	uint64_t major, minor, ino;
	bool readable;
};

/* What is left of a line. */
struct cursor {
	const char *at;
	const char *end;
};

static int digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : 16;
}

/* A number and the character behind it. */
static bool number(struct cursor *cursor, unsigned int base, char then, uint64_t *value)
{
	const char *from = cursor->at;

	*value = 0;
	while (cursor->at < cursor->end && digit(*cursor->at) < (int)base) {
		if (*value > (UINT64_MAX - 15) / base)
			return false;
		*value = *value * base + (uint64_t)digit(*cursor->at++);
	}
	return cursor->at > from && cursor->at < cursor->end && *cursor->at++ == then;
}

/* "7f12e4000000-7f12e8000000 rw-p 00000000 00:01 1027      /memfd:kt-ram (deleted)" */
static bool parse(struct cursor line, struct area *area)
{
	if (!number(&line, 16, '-', &area->begin) || !number(&line, 16, ' ', &area->end) ||
	    area->end <= area->begin || line.end - line.at < 5)
		return false;
	area->readable = line.at[0] == 'r';
	line.at += 5; /* "rwxp " */
	return number(&line, 16, ' ', &area->offset) && number(&line, 16, ':', &area->major) &&
	       number(&line, 16, ' ', &area->minor) && number(&line, 10, ' ', &area->ino);
}

int kt_procmaps_read(pid_t pid, struct kt_buf *text, struct kt_err *err)
{
	KT_AUTO_FD int fd = -1;
	char bytes[4096]; /* the kernel hands out a page at most */
	char path[32];
	ssize_t n;

	snprintf(path, sizeof(path), "/proc/%d/maps", (int)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "opening %s", path);
	text->max = KT_PROCMAPS_BYTES_MAX;
	while ((n = read(fd, bytes, sizeof(bytes))) > 0 && !text->full)
		kt_buf_append(text, bytes, (size_t)n);
	if (n < 0 || text->full)
		return kt_err_sys(err, KT_FAULT_HOST, text->full ? EFBIG : errno, "reading %s",
				  path);
	return 0;
}

int kt_procmaps_find(const char *text, size_t len, dev_t dev, ino_t ino, uint64_t bytes,
		     uint64_t *va)
{
	const char *end = text + len;
	struct area run = { 0 }; /* empty: nothing of the file's beginning so far */

	for (const char *at = text; at < end;) {
		const char *newline = memchr(at, '\n', (size_t)(end - at));
		const char *line_end = newline ? newline : end;
		struct area area;

		if (parse((struct cursor){ at, line_end }, &area) && area.readable &&
		    area.major == major(dev) && area.minor == minor(dev) && area.ino == ino) {
			if (area.begin == run.end && area.offset == run.end - run.begin)
				run.end = area.end;
			else
				run = area.offset == 0 ? area : (struct area){ 0 };
			if (run.end - run.begin >= bytes && run.end != 0) {
				*va = run.begin;
				return 0;
			}
		}
		at = line_end + 1;
	}
	return -ENOENT;
}
