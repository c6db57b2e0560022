#include "proto/base/wholefile.h"
#include "proto/base/must.h"
#include "proto/base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#define PIECE_BYTES (64u << 10)

int kt_wholefile_read(const char *path, size_t bytes_max, struct kt_buf *bytes, struct kt_err *err)
{
	KT_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	size_t before = bytes->len;
	struct stat info;

	if (fd < 0)
		return kt_err_sys(err, KT_FAULT_INPUT, errno, "%s", path);
	if (fstat(fd, &info) == 0 && S_ISDIR(info.st_mode))
		return kt_err_set(err, KT_FAULT_INPUT, EISDIR, "%s: a folder, not a file", path);
	for (;;) {
		uint8_t *room = kt_buf_reserve(bytes, PIECE_BYTES);
		ssize_t n = room ? read(fd, room, PIECE_BYTES) : -1;
		int no = errno;

		if (n == 0)
			return 0;
		if (room && n < 0 && no == EINTR)
			continue;
		if (!room || (n > 0 && bytes->len - before + (size_t)n > bytes_max)) {
			bytes->len = before;
			return kt_err_set(err, KT_FAULT_INPUT, EFBIG, "%s: longer than %zu bytes",
					  path, bytes_max);
		}
		if (n < 0) {
			bytes->len = before;
			return kt_err_sys(err, KT_FAULT_HOST, no, "%s", path);
		}
		bytes->len += (size_t)n;
	}
}

static int write_all(int fd, const uint8_t *bytes, size_t len)
{
	for (size_t at = 0; at < len;) {
		ssize_t n = write(fd, bytes + at, len - at);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		at += (size_t)n;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

int kt_wholefile_write(const char *path, const void *bytes, size_t len, struct kt_err *err)
{
	KT_AUTO_FREE char *temp = kt_must_asprintf("%s.XXXXXX", path);
	KT_AUTO_FD int fd = mkostemp(temp, O_CLOEXEC);
	int status;

	if (fd < 0)
		return kt_err_sys(err, KT_FAULT_INPUT, errno, "writing %s", path);
	status = write_all(fd, bytes, len);
	if (status == 0 && (fchmod(fd, 0644) < 0 || rename(temp, path) < 0))
		status = -errno;
	if (status == 0)
		return 0;
	unlink(temp);
	return kt_err_sys(err, KT_FAULT_HOST, -status, "writing %s", path);
}
