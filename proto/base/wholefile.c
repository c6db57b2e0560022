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
