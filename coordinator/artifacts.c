#include "coordinator/artifacts.h"
#include "proto/base/digest.h"
#include "proto/base/must.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <uthash.h>

struct artifact {
	struct kt_digest digest; /* key */
	uint64_t bytes;
	int fd;
	UT_hash_handle hh;
};

struct kt_artifacts {
	char *dir;
	struct artifact *all;
};

int kt_artifacts_open(const char *state_dir, struct kt_artifacts **artifacts, struct kt_err *err)
{
	struct kt_artifacts *a = kt_must_calloc(1, sizeof(*a));

	a->dir = kt_must_asprintf("%s/artifacts", state_dir);
	if (mkdir(a->dir, 0755) < 0 && errno != EEXIST) {
		int status = kt_err_sys(err, KT_FAULT_HOST, errno, "making %s", a->dir);

		kt_artifacts_destroy(&a);
		return status;
	}
	*artifacts = a;
	return 0;
}

void kt_artifacts_destroy(struct kt_artifacts **artifacts_p)
{
	struct kt_artifacts *a = kt_take(artifacts_p);
	struct artifact *one;
	struct artifact *next;

	if (!a)
		return;
	HASH_ITER (hh, a->all, one, next) {
		HASH_DEL(a->all, one);
		close(one->fd);
		free(one);
	}
	free(a->dir);
	free(a);
}

static struct artifact *find(const struct kt_artifacts *a, const struct kt_digest *digest)
{
	struct artifact *one;

	HASH_FIND(hh, a->all, digest, sizeof(*digest), one);
	return one;
}

void kt_artifacts_path(const struct kt_artifacts *a, const struct kt_digest *digest,
		       char path[PATH_MAX])
{
	char hex[KT_DIGEST_HEX_BYTES];

	kt_digest_hex(digest, hex);
	snprintf(path, PATH_MAX, "%s/%s", a->dir, hex);
}

int kt_artifacts_add_known(struct kt_artifacts *a, const struct kt_digest *digest,
			   struct kt_err *err)
{
	char path[PATH_MAX];
	struct kt_digest found;
	struct artifact *one;
	uint64_t bytes;
	int status;

	if (find(a, digest))
		return 0;
	kt_artifacts_path(a, digest, path);
	KT_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "artifact %s", path);
	status = kt_digest_of_fd(fd, &found, &bytes, err);
	if (status < 0)
		return status;
	if (!kt_digest_equal(&found, digest)) {
		unlink(path); /* so that the next sweep puts a good one there */
		return kt_err_set(err, KT_FAULT_HOST, EBADMSG,
				  "artifact %s is damaged: its content is not its name", path);
	}
	one = kt_must_calloc(1, sizeof(*one));
	one->digest = *digest;
	one->bytes = bytes;
	one->fd = kt_own_take_fd(&fd);
	HASH_ADD(hh, a->all, digest, sizeof(one->digest), one);
	return 0;
}

/* Content first, name last: whoever finds the name finds all of the content. */
static int copy_in(int from, uint64_t bytes, const char *path, struct kt_err *err)
{
	char temp[PATH_MAX];
	KT_AUTO_FD int to = -1;
	off_t at = 0;
	int status = 0;

	if (snprintf(temp, sizeof(temp), "%s.XXXXXX", path) >= (int)sizeof(temp))
		return kt_err_set(err, KT_FAULT_INPUT, ENAMETOOLONG, "%s is too long", path);
	to = mkostemp(temp, O_CLOEXEC);
	if (to < 0)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "making %s", temp);
	while (status == 0 && (uint64_t)at < bytes) {
		ssize_t n = sendfile(to, from, &at, bytes - (uint64_t)at);

		if (n <= 0)
			status = kt_err_sys(err, KT_FAULT_HOST, n < 0 ? errno : EIO,
					    "copying to %s", temp);
	}
	if (status == 0 && (fchmod(to, 0444) < 0 || fsync(to) < 0 || rename(temp, path) < 0))
		status = kt_err_sys(err, KT_FAULT_HOST, errno, "keeping %s", path);
	if (status < 0)
		unlink(temp);
	return status;
}

int kt_artifacts_add(struct kt_artifacts *a, const char *path, struct kt_digest *digest,
		     uint64_t *bytes, struct kt_err *err)
{
	char kept[PATH_MAX];
	struct stat st;
	KT_AUTO_FD int fd = open(path, O_RDONLY | O_CLOEXEC);
	int status;

	if (fd < 0)
		return kt_err_sys(err, KT_FAULT_INPUT, errno, "%s", path);
	if (fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "%s is not a file", path);
	if ((uint64_t)st.st_size > KT_FILE_BYTES_MAX)
		return kt_err_set(err, KT_FAULT_INPUT, EFBIG, "%s is larger than 1 GiB", path);
	status = kt_digest_of_fd(fd, digest, bytes, err);
	if (status < 0)
		return status;
	kt_artifacts_path(a, digest, kept);
	if (access(kept, F_OK) < 0) {
		status = copy_in(fd, *bytes, kept, err);
		if (status < 0)
			return status;
	}
	status = kt_artifacts_add_known(a, digest, err);
	if (status != -EBADMSG)
		return status;
	/* What lay there was damaged and is gone now. */
	status = copy_in(fd, *bytes, kept, err);
	return status < 0 ? status : kt_artifacts_add_known(a, digest, err);
}

int kt_artifacts_fd(const struct kt_artifacts *a, const struct kt_digest *digest)
{
	const struct artifact *one = find(a, digest);

	return one ? one->fd : -1;
}

uint64_t kt_artifacts_bytes(const struct kt_artifacts *a, const struct kt_digest *digest)
{
	const struct artifact *one = find(a, digest);

	return one ? one->bytes : 0;
}

static bool read_all(int fd, uint8_t *room, size_t len, uint64_t offset)
{
	while (len > 0) {
		ssize_t n = pread(fd, room, len, (off_t)offset);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return false;
		room += n;
		len -= (size_t)n;
		offset += (uint64_t)n;
	}
	return true;
}

void kt_artifacts_fetch(const struct kt_artifacts *a, const struct kt_msg_fetch *fetch,
			uint8_t *room, struct kt_msg_chunk *chunk)
{
	const struct artifact *one =
		fetch->digest.len == KT_DIGEST_BYTES
			? find(a, (const struct kt_digest *)(const void *)fetch->digest.data)
			: NULL;
	uint64_t left;

	memset(chunk, 0, sizeof(*chunk));
	chunk->digest = fetch->digest;
	chunk->offset = fetch->offset;
	chunk->missing = "";
	if (!one) {
		chunk->missing = "this sweep has no such artifact";
		return;
	}
	chunk->total = one->bytes;
	left = fetch->offset < one->bytes ? one->bytes - fetch->offset : 0;
	if (left > fetch->len)
		left = fetch->len;
	/* An empty piece would say "wait". */
	if (!read_all(one->fd, room, left, fetch->offset))
		chunk->missing = "the coordinator cannot read it any more";
	else
		chunk->body = (struct kt_bin){ room, left };
}
