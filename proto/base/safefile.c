#include "proto/base/safefile.h"
#include "proto/base/must.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static const struct {
	mode_t mode;
	mode_t forbidden;
	const char *can; /* what others can do with it */
} kinds[] = {
	[KT_SAFEFILE_SECRET] = { 0600, 077, "read" },
	[KT_SAFEFILE_TRUSTED] = { 0644, 022, "change" },
};

static int read_all(int fd, uint8_t *bytes, size_t room, size_t *len)
{
	*len = 0;
	while (*len < room) {
		ssize_t n = read(fd, bytes + *len, room - *len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			return 0;
		*len += (size_t)n;
	}
	return 0;
}

int kt_safefile_read(const char *path, size_t bytes_max, struct kt_buf *bytes, mode_t *mode,
		     struct kt_err *err)
{
	/* O_NONBLOCK: a FIFO of that name must not hold us. */
	KT_AUTO_FD int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat file;
	uint8_t *room;
	size_t len = 0;
	int status;

	if (fd < 0 && errno == ELOOP)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "%s is a symbolic link: name the file itself", path);
	if (fd < 0)
		return kt_err_sys(err, KT_FAULT_INPUT, errno, "opening %s", path);
	if (fstat(fd, &file) < 0)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "looking at %s", path);
	if (!S_ISREG(file.st_mode))
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "%s is not a regular file", path);
	if (file.st_uid != geteuid() && file.st_uid != 0)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "%s belongs to another user (uid %u): make it yours (chown)",
				  path, (unsigned int)file.st_uid);
	room = kt_buf_reserve(bytes, bytes_max + 1);
	kt_must(room);
	status = read_all(fd, room, bytes_max + 1, &len);
	bytes->len += len;
	if (status < 0)
		return kt_err_sys(err, KT_FAULT_HOST, -status, "reading %s", path);
	if (len > bytes_max)
		return kt_err_set(err, KT_FAULT_INPUT, EFBIG, "%s has more than %zu bytes", path,
				  bytes_max);
	*mode = file.st_mode & 07777;
	return 0;
}

int kt_safefile_guard(const char *path, mode_t mode, enum kt_safefile_kind kind, struct kt_err *err)
{
	if (!(mode & kinds[kind].forbidden))
		return 0;
	return kt_err_set(err, KT_FAULT_INPUT, EPERM,
			  "%s: others can %s it (mode %04o): chmod %o %s", path, kinds[kind].can,
			  (unsigned int)mode, (unsigned int)kinds[kind].mode, path);
}

static int write_all(int fd, const uint8_t *bytes, size_t len)
{
	while (len) {
		ssize_t n = write(fd, bytes, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		bytes += n;
		len -= (size_t)n;
	}
	return fsync(fd) < 0 ? -errno : 0;
}

/* So that the name is there after a loss of power as well. */
static int sync_folder(const char *path)
{
	KT_AUTO_FREE char *folder = kt_must_strdup(path);
	char *slash = strrchr(folder, '/');
	KT_AUTO_FD int fd = -1;

	if (slash == folder)
		slash++;
	if (slash)
		*slash = 0;
	fd = open(slash ? folder : ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

static int give_name(const char *temp, const char *path, bool replace)
{
	if (replace)
		return rename(temp, path) < 0 ? -errno : 0;
	if (renameat2(AT_FDCWD, temp, AT_FDCWD, path, RENAME_NOREPLACE) == 0)
		return 0;
	if (errno != EINVAL && errno != ENOSYS)
		return -errno;
	/* A file system that has no such rename. */
	if (link(temp, path) < 0)
		return -errno;
	return unlink(temp) < 0 ? -errno : 0;
}

int kt_safefile_write(const char *path, enum kt_safefile_kind kind, bool replace, const void *bytes,
		      size_t len, struct kt_err *err)
{
	KT_AUTO_FREE char *temp = kt_must_asprintf("%s.XXXXXX", path);
	KT_AUTO_FD int fd = mkostemp(temp, O_CLOEXEC); /* O_EXCL, mode 0600 */
	int status;

	if (fd < 0)
		return kt_err_sys(err, KT_FAULT_INPUT, errno, "writing %s", path);
	status = write_all(fd, bytes, len);
	if (status == 0 && fchmod(fd, kinds[kind].mode) < 0)
		status = -errno;
	if (status == 0)
		status = give_name(temp, path, replace);
	if (status < 0)
		unlink(temp);
	else
		status = sync_folder(path);
	if (status == -EEXIST)
		return kt_err_set(err, KT_FAULT_INPUT, EEXIST, "%s is there already", path);
	return status < 0 ? kt_err_sys(err, KT_FAULT_HOST, -status, "writing %s", path) : 0;
}

void kt_safefile_wipe(struct kt_buf *bytes)
{
	if (bytes->data)
		explicit_bzero(bytes->data, bytes->cap);
	kt_buf_destroy(bytes);
}
