#include "worker/initramfs.h"
#include "proto/base/own.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define CONSOLE_MAJOR 5
#define CONSOLE_MINOR 1

struct node {
	const char *path;
	mode_t type;
	mode_t mode;
};

/* The kernel opens /dev/console before init runs; without it init has no stderr. */
static const struct node nodes[] = {
	{ "dev", AE_IFDIR, 0755 },
	{ "dev/console", AE_IFCHR, 0600 },
	{ "init", AE_IFREG, 0755 },
};

static void free_entry(struct archive_entry **entry_p)
{
	archive_entry_free(*entry_p);
}

static void free_writer(struct archive **writer_p)
{
	archive_write_free(*writer_p);
}

static int copy(struct archive *writer, int from_fd, struct kt_err *err)
{
	char bytes[1 << 16];
	ssize_t n;

	while ((n = read(from_fd, bytes, sizeof(bytes))) > 0)
		if (archive_write_data(writer, bytes, (size_t)n) != n)
			return kt_err_set(err, KT_FAULT_HOST, EIO, "writing the initramfs: %s",
					  archive_error_string(writer));
	if (n < 0)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "reading ktguest");
	return 0;
}

static int add(struct archive *writer, const struct node *node, int from_fd, off_t bytes,
	       struct kt_err *err)
{
	KT_AUTO(free_entry) struct archive_entry *entry = archive_entry_new();

	archive_entry_set_pathname(entry, node->path);
	archive_entry_set_filetype(entry, node->type);
	archive_entry_set_perm(entry, node->mode);
	archive_entry_set_nlink(entry, 1);
	archive_entry_set_size(entry, node->type == AE_IFREG ? bytes : 0);
	if (node->type == AE_IFCHR) {
		archive_entry_set_rdevmajor(entry, CONSOLE_MAJOR);
		archive_entry_set_rdevminor(entry, CONSOLE_MINOR);
	}
	if (archive_write_header(writer, entry) != ARCHIVE_OK)
		return kt_err_set(err, KT_FAULT_HOST, EIO, "writing the initramfs: %s",
				  archive_error_string(writer));
	return node->type == AE_IFREG ? copy(writer, from_fd, err) : 0;
}

static int write_all(int to_fd, int from_fd, off_t bytes, struct kt_err *err)
{
	KT_AUTO(free_writer) struct archive *writer = archive_write_new();
	int rc = 0;

	archive_write_set_format_cpio_newc(writer);
	archive_write_set_bytes_in_last_block(writer, 1);
	if (archive_write_open_fd(writer, to_fd) != ARCHIVE_OK)
		return kt_err_set(err, KT_FAULT_HOST, EIO, "opening the initramfs: %s",
				  archive_error_string(writer));
	for (size_t i = 0; rc == 0 && i < sizeof(nodes) / sizeof(nodes[0]); i++)
		rc = add(writer, &nodes[i], from_fd, bytes, err);
	if (rc == 0 && archive_write_close(writer) != ARCHIVE_OK)
		rc = kt_err_set(err, KT_FAULT_HOST, EIO, "closing the initramfs: %s",
				archive_error_string(writer));
	return rc;
}

int kt_initramfs_make(const char *ktguest, int *fd, struct kt_err *err)
{
	KT_AUTO_FD int from_fd = open(ktguest, O_RDONLY | O_CLOEXEC);
	KT_AUTO_FD int to_fd = -1;
	struct stat st;
	int rc;

	if (from_fd < 0 || fstat(from_fd, &st) < 0)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "opening %s", ktguest);
	to_fd = memfd_create("kt-initramfs", MFD_CLOEXEC);
	if (to_fd < 0 || fchmod(to_fd, 0444) < 0)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "making a memfd");
	rc = write_all(to_fd, from_fd, st.st_size, err);
	if (rc == 0)
		*fd = kt_own_take_fd(&to_fd);
	return rc;
}

int kt_initramfs_digest(const char *ktguest, struct kt_digest *digest, struct kt_err *err)
{
	KT_AUTO_FD int fd = -1;
	int rc = kt_initramfs_make(ktguest, &fd, err);

	if (rc < 0)
		return rc;
	if (lseek(fd, 0, SEEK_SET) < 0)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "reading the initramfs");
	return kt_digest_of_fd(fd, digest, NULL, err);
}
