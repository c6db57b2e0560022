#include "worker/guest/gentropy.h"
#include "proto/base/must.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/random.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

int kt_gentropy_add(const char *device, const struct kt_bin *bytes, struct kt_err *err)
{
	KT_AUTO_FREE struct rand_pool_info *pool = NULL;
	KT_AUTO_FD int fd = -1;

	if (bytes->len == 0)
		return 0;
	kt_must(bytes->len <= KT_ENTROPY_BYTES_MAX);
	pool = kt_must_calloc(1, sizeof(*pool) + bytes->len);
	pool->entropy_count = (int)bytes->len * 8;
	pool->buf_size = (int)bytes->len;
	memcpy(pool->buf, bytes->data, bytes->len);
	fd = open(device, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return kt_err_sys(err, KT_FAULT_GUEST, errno, "opening %s", device);
	if (ioctl(fd, RNDADDENTROPY, pool) < 0)
		return kt_err_sys(err, KT_FAULT_GUEST, errno, "RNDADDENTROPY on %s", device);
	if (ioctl(fd, RNDRESEEDCRNG) < 0)
		return kt_err_sys(err, KT_FAULT_GUEST, errno, "RNDRESEEDCRNG on %s", device);
	return 0;
}
