#include "worker/guest/gfiles.h"
#include "proto/base/must.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

bool kt_gfiles_path_ok(const char *path)
{
	const char *at = path + sizeof(KT_GFILES_ROOT) - 1;
	size_t len;

	if (strncmp(path, KT_GFILES_ROOT "/", sizeof(KT_GFILES_ROOT)) != 0 ||
	    strlen(path) > KT_PATH_BYTES_MAX)
		return false;
	while (*at == '/') {
		at++;
		len = strcspn(at, "/");
		if (len == 0 || len > NAME_MAX)
			return false;
		if (strncmp(at, "..", len) == 0 && len <= 2)
			return false;
		at += len;
	}
	return true;
}

/* openat2(2) below /kt: no symbolic link is followed, nothing outside is reached, whatever the
 * scheduler that ran before left there.
 */
static int open_below(int root, const char *path, int flags, unsigned int mode)
{
	struct open_how how = {
		.flags = (uint64_t)(flags | O_CLOEXEC),
		.mode = mode,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS,
	};

	return (int)syscall(SYS_openat2, root, path, &how, sizeof(how));
}

static int make_folders(int root, const char *relative)
{
	char path[KT_PATH_BYTES_MAX + 1];

	for (const char *slash = strchr(relative, '/'); slash; slash = strchr(slash + 1, '/')) {
		memcpy(path, relative, (size_t)(slash - relative));
		path[slash - relative] = 0;
		/* mkdirat follows links in the middle, but each middle was checked the round before */
		if (mkdirat(root, path, 0755) < 0 && errno != EEXIST)
			return -errno;
		KT_AUTO_FD int folder = open_below(root, path, O_PATH | O_DIRECTORY, 0);

		if (folder < 0)
			return -errno;
	}
	return 0;
}

int kt_gfiles_begin(struct kt_gfiles *files, const struct kt_msg_guest_file *file,
		    struct kt_err *err)
{
	KT_AUTO_FD int root = -1;
	const char *relative;
	int status;

	kt_own_close(&files->fd);
	files->is_skipping = true;
	if (!kt_gfiles_path_ok(file->path))
		return kt_err_set(err, KT_FAULT_PEER, EINVAL,
				  "%.200s is no plain path below " KT_GFILES_ROOT, file->path);
	if (file->bytes > KT_FILE_BYTES_MAX - files->total)
		return kt_err_set(err, KT_FAULT_PEER, EFBIG, "%.200s: more than %llu bytes in all",
				  file->path, KT_FILE_BYTES_MAX);
	relative = file->path + sizeof(KT_GFILES_ROOT);
	root = open(KT_GFILES_ROOT, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (root < 0)
		return kt_err_sys(err, KT_FAULT_GUEST, errno, "opening " KT_GFILES_ROOT);
	status = make_folders(root, relative);
	if (status < 0)
		return kt_err_sys(err, KT_FAULT_GUEST, -status, "folders of %.200s", file->path);
	/* A program that still runs cannot be written over (ETXTBSY): a new file takes its name. */
	unlinkat(root, relative, 0);
	files->fd = open_below(root, relative, O_WRONLY | O_CREAT | O_EXCL | O_TRUNC, 0600);
	if (files->fd < 0 || fchmod(files->fd, (mode_t)file->mode) < 0)
		return kt_err_sys(err, KT_FAULT_GUEST, errno, "opening %.200s", file->path);
	files->is_skipping = false;
	files->total += file->bytes;
	files->left = file->bytes;
	if (files->left)
		return 0;
	kt_own_close(&files->fd);
	return 1;
}

int kt_gfiles_data(struct kt_gfiles *files, const struct kt_bin *body, struct kt_err *err)
{
	size_t done = 0;
	ssize_t n;

	if (files->is_skipping)
		return 0;
	if (files->fd < 0)
		return kt_err_set(err, KT_FAULT_PEER, EPROTO, "data without a file");
	files->is_skipping = true;
	if (body->len > files->left)
		return kt_err_set(err, KT_FAULT_PEER, EPROTO, "more data than the file has");
	while (done < body->len) {
		n = write(files->fd, body->data + done, body->len - done);
		if (n < 0)
			return kt_err_sys(err, KT_FAULT_GUEST, errno, "writing a file");
		done += (size_t)n;
	}
	files->is_skipping = false;
	files->left -= body->len;
	if (files->left)
		return 0;
	kt_own_close(&files->fd);
	return 1;
}
