#include "worker/initramfs.h"
#include "proto/base/own.h"

#include <archive.h>
#include <archive_entry.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <string.h>
#include <sys/stat.h>

Test(initramfs, holds_init_and_a_console_and_any_user_may_read_it)
{
	static const char *const paths[] = { "dev", "dev/console", "init" };
	KT_AUTO_FD int fd = -1;
	struct archive *reader = archive_read_new();
	struct archive_entry *entry;
	struct kt_err err = { 0 };
	struct stat self;
	struct stat made;

	cr_assert_eq(stat("/proc/self/exe", &self), 0);
	cr_assert_eq(kt_initramfs_make("/proc/self/exe", &fd, &err), 0, "%s", err.text);
	cr_assert_eq(fstat(fd, &made), 0);
	cr_assert_eq(made.st_mode & 0777, 0444);
	archive_read_support_format_cpio(reader);
	cr_assert_eq(lseek(fd, 0, SEEK_SET), 0);
	cr_assert_eq(archive_read_open_fd(reader, fd, 4096), ARCHIVE_OK);
	for (size_t i = 0; i < 3; i++) {
		cr_assert_eq(archive_read_next_header(reader, &entry), ARCHIVE_OK);
		cr_assert_str_eq(archive_entry_pathname(entry), paths[i]);
	}
	cr_assert_eq(archive_entry_size(entry), self.st_size);
	cr_assert_eq(archive_entry_perm(entry), 0755);
	cr_assert_eq(archive_read_next_header(reader, &entry), ARCHIVE_EOF);
	archive_read_free(reader);
}

Test(initramfs, without_ktguest_says_so)
{
	struct kt_err err = { 0 };
	int fd = -1;

	cr_assert_eq(kt_initramfs_make("/nope/ktguest", &fd, &err), -ENOENT);
	cr_assert(strstr(err.text, "/nope/ktguest"));
}
