#include "worker/introspect/gmem.h"

#include "proto/base/own.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <sys/mman.h>

#define MIB (1ull << 20)
#define GIB (1ull << 30)

static int make(uint64_t bytes, char path[64])
{
	int fd = memfd_create("ram", MFD_CLOEXEC);

	cr_assert_eq(ftruncate(fd, (off_t)bytes), 0);
	snprintf(path, 64, "/proc/self/fd/%d", fd);
	return fd;
}

Test(gmem, ram_above_the_hole_sits_behind_lowmem_in_the_file)
{
	KT_AUTO(kt_gmem_destroy) struct kt_gmem *gmem = NULL;
	char path[64];
	KT_AUTO_FD int fd = make(8 * MIB, path);
	const struct {
		uint64_t gpa;
		size_t len;
		bool there;
		uint64_t at;
	} cases[] = {
		{ 0, 8, true, 0 },
		{ 3 * MIB - 8, 8, true, 3 * MIB - 8 },
		{ 3 * MIB - 8, 9, false, 0 }, /* would run into the hole */
		{ 3 * MIB, 1, false, 0 },
		{ 4 * GIB - 1, 1, false, 0 },
		{ 4 * GIB, 8, true, 3 * MIB },
		{ 4 * GIB + 5 * MIB - 8, 8, true, 8 * MIB - 8 },
		{ 4 * GIB + 5 * MIB - 8, 9, false, 0 },
		{ 4 * GIB + 5 * MIB, 1, false, 0 },
		{ UINT64_MAX, 1, false, 0 },
		{ UINT64_MAX - 7, 8, false, 0 },
	};
	uint8_t *base;

	cr_assert_geq(fd, 0);
	cr_assert_eq(kt_gmem_open(path, 8 * MIB, 3 * MIB, &gmem, NULL), 0);
	cr_assert_eq(kt_gmem_end(gmem), 4 * GIB + 5 * MIB);
	base = kt_gmem_at(gmem, 0, 1);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint8_t *at = kt_gmem_at(gmem, cases[i].gpa, cases[i].len);

		cr_assert_eq(at != NULL, cases[i].there, "case %zu", i);
		if (at)
			cr_assert_eq((uint64_t)(at - base), cases[i].at, "case %zu", i);
	}
}

Test(gmem, nodes_follow_one_another)
{
	KT_AUTO(kt_gmem_destroy) struct kt_gmem *gmem = NULL;
	char path[2][64];
	KT_AUTO_FD int first = make(2 * MIB, path[0]);
	KT_AUTO_FD int second = make(4 * MIB, path[1]);

	cr_assert_geq(first, 0);
	cr_assert_eq(kt_gmem_open(path[0], 2 * MIB, 5 * MIB, &gmem, NULL), 0);
	cr_assert_eq(kt_gmem_add(gmem, path[1], 4 * MIB, NULL), 0);
	cr_assert_eq(pwrite(second, "node1", 5, 0), 5);
	cr_assert_eq(pwrite(second, "high", 4, 3 * MIB), 4);
	cr_assert_eq(memcmp(kt_gmem_at(gmem, 2 * MIB, 5), "node1", 5), 0);
	cr_assert_eq(memcmp(kt_gmem_at(gmem, 4 * GIB, 4), "high", 4), 0);
	cr_assert_null(kt_gmem_at(gmem, 2 * MIB - 2, 4), "not one run of memory");
}

Test(gmem, a_file_that_is_too_short_is_refused)
{
	KT_AUTO(kt_gmem_destroy) struct kt_gmem *gmem = NULL;
	char path[64];
	KT_AUTO_FD int fd = make(MIB, path);
	struct kt_err err = { 0 };

	cr_assert_geq(fd, 0);
	cr_assert_eq(kt_gmem_open(path, 2 * MIB, 2 * MIB, &gmem, &err), -EINVAL);
	cr_assert_eq(err.fault, KT_FAULT_HOST);
	cr_assert_eq(kt_gmem_open("/nonexistent", MIB, MIB, &gmem, &err), -ENOENT);
	cr_assert_null(gmem);
}

/* As `info mtree -f` of QEMU 7.2 shows it. */
Test(gmem, lowmem_is_split_as_qemu_splits_it)
{
	static const struct {
		const char *machine;
		uint64_t ram, low;
	} cases[] = {
		{ "q35", 512 * MIB, 512 * MIB },  { "q35", 2815 * MIB, 2815 * MIB },
		{ "q35", 2816 * MIB, 2 * GIB },   { "q35", 4 * GIB, 2 * GIB },
		{ "pc", 3583 * MIB, 3583 * MIB }, { "pc", 3584 * MIB, 3 * GIB },
		{ "pc", 4 * GIB, 3 * GIB },       { "toaster", 4 * GIB, 0 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++)
		cr_assert_eq(kt_gmem_lowmem_bytes(cases[i].machine, cases[i].ram), cases[i].low,
			     "case %zu", i);
}
