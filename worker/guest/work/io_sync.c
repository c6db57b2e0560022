#include "worker/guest/gwork.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

struct disk {
	int fd;
};

static int begin(struct kt_gself *self, struct kt_err *err)
{
	struct disk *disk = self->state;

	disk->fd = open("/tmp", O_TMPFILE | O_RDWR | O_DSYNC | O_CLOEXEC, 0600);
	if (disk->fd < 0)
		return kt_err_sys(err, KT_FAULT_GUEST, errno, "making a file in /tmp");
	return kt_gself_map(self, (size_t)self->params[KT_WORK_PARAM_io_sync_bytes], err);
}

static uint64_t round_of(struct kt_gself *self)
{
	ssize_t bytes = self->params[KT_WORK_PARAM_io_sync_bytes];
	const struct disk *disk = self->state;

	if (pwrite(disk->fd, self->memory, (size_t)bytes, 0) != bytes)
		return 0; /* tmpfs is full */
	kt_gself_sleep(self, self->params[KT_WORK_PARAM_io_sync_latency]);
	return 1;
}

static void end(struct kt_gself *self)
{
	const struct disk *disk = self->state;

	if (disk->fd >= 0)
		close(disk->fd);
}

const struct kt_gwork kt_io_sync_work = {
	.state_bytes = sizeof(struct disk),
	.begin = begin,
	.round = round_of,
	.end = end,
};
