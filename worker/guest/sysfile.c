#include "worker/guest/sysfile.h"
#include "proto/base/must.h"
#include "proto/base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>

int kt_sysfile_read(const char *path, char *text, size_t size)
{
	KT_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n;

	kt_must(size > 0);
	text[0] = 0;
	if (fd < 0)
		return -errno;
	n = read(fd, text, size - 1);
	if (n < 0)
		return -errno;
	text[n] = 0;
	if (n && text[n - 1] == '\n')
		text[--n] = 0;
	return (int)n;
}

int kt_sysfile_write(const char *path, const char *text)
{
	KT_AUTO_FD int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (write(fd, text, strlen(text)) < 0)
		return -errno;
	return 0;
}
