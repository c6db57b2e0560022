#include "worker/guest/gwork.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

struct disk {
	int fd;
};

/* Filled, not only as long: a hole is read from nowhere. */
static int fill(int fd, char *block, size_t bytes, int64_t total)
{
	for (int64_t at = 0; at < total; at += (int64_t)bytes)
		if (pwrite(fd, block, bytes, at) != (ssize_t)bytes)
			return errno ? -errno : -ENOSPC;
	return 0;
}

static int begin(struct kt_gself *self, struct kt_err *err)
{
	size_t bytes = (size_t)self->params[KT_WORK_PARAM_io_rand_read_bytes];
	int64_t total = self->params[KT_WORK_PARAM_io_rand_read_file];
	struct disk *disk = self->state;
	int status;

	disk->fd = open("/tmp", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
	if (disk->fd < 0)
		return kt_err_sys(err, KT_FAULT_GUEST, errno, "making a file in /tmp");
	status = kt_gself_map(self, bytes, err);
	if (status < 0)
		return status;
	status = fill(disk->fd, self->memory, bytes, total);
	if (status < 0)
		return kt_err_sys(err, KT_FAULT_GUEST, -status, "filling a file in /tmp");
	return 0;
}

static uint64_t round_of(struct kt_gself *self)
{
	uint64_t bytes = (uint64_t)self->params[KT_WORK_PARAM_io_rand_read_bytes];
	uint64_t blocks = (uint64_t)self->params[KT_WORK_PARAM_io_rand_read_file] / bytes;
	off_t at = (off_t)(kt_gself_draw(self) % (blocks ? blocks : 1) * bytes);
	const struct disk *disk = self->state;

	if (pread(disk->fd, self->memory, bytes, at) != (ssize_t)bytes)
		return 0;
	kt_gself_sleep(self, self->params[KT_WORK_PARAM_io_rand_read_latency]);
	return 1;
}

static void end(struct kt_gself *self)
{
	const struct disk *disk = self->state;

	if (disk->fd >= 0)
		close(disk->fd);
}

const struct kt_gwork kt_io_rand_read_work = {
	.state_bytes = sizeof(struct disk),
	.begin = begin,
	.round = round_of,
	.end = end,
};
