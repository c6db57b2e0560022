#include "proto/base/must.h"
#include "proto/base/own.h"
#include "proto/base/wholefile.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/kt-wholefile.XXXXXX";
static char path[64];

static void setup(void)
{
	cr_assert(mkdtemp(folder));
	snprintf(path, sizeof(path), "%s/file", folder);
}

static void teardown(void)
{
	unlink(path);
	rmdir(folder);
}

TestSuite(wholefile, .init = setup, .fini = teardown);

Test(wholefile, what_was_written_is_read_as_a_whole_or_not_at_all)
{
	static const size_t sizes[] = { 0, 1, 65535, 65536, 65537, 200000 };

	for (size_t i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		KT_AUTO_FREE char *bytes = kt_must_calloc(1, sizes[i] + 1);
		KT_AUTO_BUF read = { 0 };
		struct kt_err err = { 0 };

		for (size_t k = 0; k < sizes[i]; k++)
			bytes[k] = (char)(k * 7);
		kt_buf_append(&read, "head", 4);
		cr_assert_eq(kt_wholefile_write(path, bytes, sizes[i], &err), 0, "%s", err.text);
		cr_assert_eq(kt_wholefile_read(path, sizes[i], &read, &err), 0, "%s", err.text);
		cr_assert_eq(read.len, sizes[i] + 4);
		cr_assert_eq(memcmp(read.data, "head", 4), 0);
		cr_assert_eq(memcmp(read.data + 4, bytes, sizes[i]), 0);
		if (sizes[i] == 0)
			continue;
		read.len = 4;
		cr_assert_eq(kt_wholefile_read(path, sizes[i] - 1, &read, &err), -EFBIG);
		cr_assert_eq(read.len, 4, "nothing is appended");
		cr_assert_eq(err.fault, KT_FAULT_INPUT);
	}
}

Test(wholefile, what_cannot_be_read_is_named)
{
	KT_AUTO_BUF read = { 0 };
	struct kt_err err = { 0 };

	cr_assert_eq(kt_wholefile_read(path, 10, &read, &err), -ENOENT);
	cr_assert(strstr(err.text, path), "%s", err.text);
	cr_assert_eq(kt_wholefile_read(folder, 10, &read, &err), -EISDIR);
	cr_assert(strstr(err.text, "folder"), "%s", err.text);
}
