#include "proto/base/safefile.h"
#include "proto/base/must.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

static char dir[64];

static void make_dir(void)
{
	strcpy(dir, "/tmp/kt-safe-XXXXXX");
	cr_assert(mkdtemp(dir));
}

static void remove_dir(void)
{
	cr_assert(rmdir(dir) == 0, "something is left in %s", dir);
}

TestSuite(safefile, .init = make_dir, .fini = remove_dir);

static mode_t mode_of(const char *path)
{
	struct stat file;

	cr_assert(lstat(path, &file) == 0);
	return file.st_mode & 07777;
}

Test(safefile, what_is_written_is_read_back_and_only_replaced_on_request)
{
	static const struct {
		enum kt_safefile_kind kind;
		mode_t mode;
	} rows[] = { { KT_SAFEFILE_SECRET, 0600 }, { KT_SAFEFILE_TRUSTED, 0644 } };
	KT_AUTO_FREE char *path = kt_must_asprintf("%s/file", dir);

	for (size_t i = 0; i < 2; i++) {
		struct kt_buf bytes = { 0 };
		struct kt_err err = { 0 };
		mode_t mode = 0;

		cr_assert(kt_safefile_write(path, rows[i].kind, false, "one", 3, &err) == 0, "%s",
			  err.text);
		cr_assert(kt_safefile_write(path, rows[i].kind, false, "two", 3, &err) == -EEXIST);
		cr_assert(err.fault == KT_FAULT_INPUT);
		cr_assert(kt_safefile_read(path, 3, &bytes, &mode, &err) == 0);
		cr_assert(bytes.len == 3 && memcmp(bytes.data, "one", 3) == 0);
		cr_assert(mode == rows[i].mode && mode_of(path) == rows[i].mode);
		cr_assert(kt_safefile_guard(path, mode, rows[i].kind, &err) == 0);
		kt_safefile_wipe(&bytes);
		cr_assert(kt_safefile_write(path, rows[i].kind, true, "three", 5, &err) == 0);
		cr_assert(kt_safefile_read(path, 4, &bytes, &mode, &err) == -EFBIG);
		kt_safefile_wipe(&bytes);
		cr_assert(kt_safefile_read(path, 5, &bytes, &mode, &err) == 0);
		cr_assert(bytes.len == 5);
		kt_safefile_wipe(&bytes);
		cr_assert(!bytes.data && !bytes.len);
		unlink(path);
	}
}

Test(safefile, modes_that_give_others_a_right_are_refused_with_the_chmod)
{
	static const struct {
		enum kt_safefile_kind kind;
		mode_t mode;
		const char *mend; /* NULL: it is well */
	} rows[] = {
		{ KT_SAFEFILE_SECRET, 0600, NULL },
		{ KT_SAFEFILE_SECRET, 0400, NULL },
		{ KT_SAFEFILE_SECRET, 0640, "others can read it (mode 0640): chmod 600 F" },
		{ KT_SAFEFILE_SECRET, 0604, "chmod 600 F" },
		{ KT_SAFEFILE_SECRET, 0620, "chmod 600 F" },
		{ KT_SAFEFILE_SECRET, 0601, "chmod 600 F" },
		{ KT_SAFEFILE_TRUSTED, 0644, NULL },
		{ KT_SAFEFILE_TRUSTED, 0600, NULL },
		{ KT_SAFEFILE_TRUSTED, 0664, "others can change it (mode 0664): chmod 644 F" },
		{ KT_SAFEFILE_TRUSTED, 0646, "chmod 644 F" },
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct kt_err err = { 0 };
		int status = kt_safefile_guard("F", rows[i].mode, rows[i].kind, &err);

		cr_assert(status == (rows[i].mend ? -EPERM : 0), "row %zu", i);
		cr_assert(!rows[i].mend || strstr(err.text, rows[i].mend), "%s", err.text);
	}
}

Test(safefile, only_a_regular_file_of_our_own_is_read)
{
	KT_AUTO_FREE char *file = kt_must_asprintf("%s/file", dir);
	KT_AUTO_FREE char *link = kt_must_asprintf("%s/link", dir);
	KT_AUTO_FREE char *fifo = kt_must_asprintf("%s/fifo", dir);
	struct kt_buf bytes = { 0 };
	struct kt_err err = { 0 };
	mode_t mode = 0;

	cr_assert(kt_safefile_write(file, KT_SAFEFILE_SECRET, false, "x", 1, &err) == 0);
	cr_assert(symlink(file, link) == 0 && mkfifo(fifo, 0600) == 0);
	const struct {
		const char *path;
		int status;
		const char *why;
	} rows[] = {
		{ link, -EINVAL, "is a symbolic link" },
		{ fifo, -EINVAL, "is not a regular file" },
		{ dir, -EINVAL, "is not a regular file" },
		{ "/nonexistent/file", -ENOENT, "opening /nonexistent/file" },
	};
	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		cr_assert(kt_safefile_read(rows[i].path, 10, &bytes, &mode, &err) == rows[i].status,
			  "row %zu: %s", i, err.text);
		cr_assert(strstr(err.text, rows[i].why), "%s", err.text);
		cr_assert(err.fault == KT_FAULT_INPUT);
	}
	if (geteuid() == 0) { /* only root can give a file away */
		cr_assert(chown(file, 65534, (gid_t)-1) == 0);
		cr_assert(kt_safefile_read(file, 10, &bytes, &mode, &err) == -EINVAL);
		cr_assert(strstr(err.text, "belongs to another user (uid 65534)"), "%s", err.text);
	}
	kt_safefile_wipe(&bytes);
	unlink(link);
	unlink(fifo);
	unlink(file);
}

Test(safefile, a_place_that_cannot_be_written_leaves_nothing)
{
	struct kt_err err = { 0 };

	cr_assert(kt_safefile_write("/nonexistent/file", KT_SAFEFILE_SECRET, true, "x", 1, &err) ==
		  -ENOENT);
	cr_assert(err.fault == KT_FAULT_INPUT);
	cr_assert(kt_safefile_write(dir, KT_SAFEFILE_SECRET, true, "x", 1, &err) < 0);
	/* No temporary file beside it: make_dir()'s sibling names are this test's own. */
	cr_assert(!strstr(err.text, "XXXXXX"), "%s", err.text);
}
