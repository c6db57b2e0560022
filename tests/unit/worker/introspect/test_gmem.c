#include "worker/introspect/gmem.h"

#include "proto/base/own.h"
#include "tests/unit/worker/introspect/other.h"

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
		{ UINT64_MAX - 7, 9, false, 0 }, /* does not come round to 0 */
	};

	cr_assert_geq(fd, 0);
	for (uint64_t at = 0; at < 8 * MIB; at += 8) /* each says where it is */
		cr_assert_eq(pwrite(fd, &at, 8, (off_t)at), 8);
	cr_assert_eq(kt_gmem_open(path, 8 * MIB, 3 * MIB, &gmem, NULL), 0);
	cr_assert_eq(kt_gmem_end(gmem), 4 * GIB + 5 * MIB);
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t at[2];
		int rc = kt_gmem_read(gmem, cases[i].gpa, at, cases[i].len);

		cr_assert_eq(kt_gmem_holds(gmem, cases[i].gpa, cases[i].len), cases[i].there,
			     "case %zu", i);
		cr_assert_eq(rc, cases[i].there ? 0 : -EFAULT, "case %zu", i);
		if (cases[i].there)
			cr_assert_eq(at[0], cases[i].at, "case %zu", i);
	}
}

Test(gmem, nodes_follow_one_another)
{
	KT_AUTO(kt_gmem_destroy) struct kt_gmem *gmem = NULL;
	char path[2][64];
	KT_AUTO_FD int first = make(2 * MIB, path[0]);
	KT_AUTO_FD int second = make(4 * MIB, path[1]);
	char text[16] = "";

	cr_assert_geq(first, 0);
	cr_assert_eq(kt_gmem_open(path[0], 2 * MIB, 5 * MIB, &gmem, NULL), 0);
	cr_assert_eq(kt_gmem_add(gmem, path[1], 4 * MIB, NULL), 0);
	cr_assert_eq(pwrite(first, "node0", 5, 2 * MIB - 5), 5);
	cr_assert_eq(pwrite(second, "node1", 5, 0), 5);
	cr_assert_eq(pwrite(second, "high", 4, 3 * MIB), 4);
	cr_assert_eq(memcmp(kt_gmem_at(gmem, 2 * MIB, 16), "node1", 5), 0);
	cr_assert_eq(memcmp(kt_gmem_at(gmem, 4 * GIB, 16), "high", 4), 0);
	cr_assert_eq(kt_gmem_read(gmem, 2 * MIB - 5, text, 10), 0);
	cr_assert_str_eq(text, "node0node1");
	cr_assert_not(kt_gmem_holds(gmem, 2 * MIB - 2, 4), "not one run of memory");
}

Test(gmem, gathered_is_what_ram_holds_in_one_run)
{
	KT_AUTO(kt_gmem_destroy) struct kt_gmem *gmem = NULL;
	const uint64_t gpas[] = { 0xffe, 2 * MIB - 2, 3 * MIB, UINT64_MAX - 3, 1 };
	char path[64];
	KT_AUTO_FD int fd = make(2 * MIB, path);
	char text[21];

	cr_assert_eq(pwrite(fd, "0123", 4, 0xffe), 4);
	cr_assert_eq(pwrite(fd, "abcdefgh", 8, 0), 8);
	cr_assert_eq(kt_gmem_open(path, 2 * MIB, 2 * MIB, &gmem, NULL), 0);
	memset(text, 'x', sizeof(text));
	kt_gmem_gather(gmem, gpas, 5, 4, (uint8_t *)text);
	cr_assert_eq(memcmp(text, "0123\0\0\0\0\0\0\0\0\0\0\0\0bcdex", 21), 0);
}

/* ---- of a process ---- */

#define NODE (2 * MIB)

/* A QEMU: maps its nodes privately, and writes into them what the files do not have. */
struct qemu {
	int fds[2];
	int n;
	uint8_t *at[2];
};

static void obey(void *arg, char letter)
{
	struct qemu *qemu = arg;
	int protection = PROT_READ | PROT_WRITE;

	for (int i = 0; i < qemu->n && letter == 0; i++) {
		qemu->at[i] = mmap(NULL, NODE, protection, MAP_PRIVATE, qemu->fds[i], 0);
		/* as QEMU does, and as splits the mapping */
		madvise(qemu->at[i] + MIB, MIB, MADV_DONTDUMP);
		snprintf((char *)qemu->at[i], 16, "private %d", i);
		snprintf((char *)qemu->at[i] + MIB - 4, 16, "across %d", i);
	}
	switch (letter) {
	case 'c':
		memcpy(qemu->at[0], "changed", 8);
		break;
	case 'w':
		if (strcmp((char *)qemu->at[0] + MIB - 4, "written across"))
			_exit(1);
		break;
	}
}

static void start(struct other *other, struct qemu *qemu, int nodes)
{
	char path[64];

	*qemu = (struct qemu){ .n = nodes };
	for (int i = 0; i < nodes; i++) {
		qemu->fds[i] = make(NODE, path);
		cr_assert_eq(pwrite(qemu->fds[i], "the template", 13, 0), 13);
	}
	other_start(other, obey, qemu);
}

static int open_it(const struct other *other, const struct qemu *qemu, uint64_t lowmem_bytes,
		   struct kt_gmem **gmem, struct kt_err *err)
{
	uint64_t node_bytes[8];

	for (int i = 0; i < qemu->n; i++)
		node_bytes[i] = NODE;
	return kt_gmem_open_process(other->pid, qemu->fds, node_bytes, (size_t)qemu->n,
				    lowmem_bytes, gmem, err);
}

Test(gmem, private_memory_of_a_process_is_read_and_the_file_is_not)
{
	OTHER_AUTO other;
	KT_AUTO(kt_gmem_destroy) struct kt_gmem *gmem = NULL;
	struct kt_err err = { 0 };
	struct qemu qemu;
	char text[16] = "";

	start(&other, &qemu, 1);
	cr_assert_eq(open_it(&other, &qemu, NODE, &gmem, &err), 0, "%s", err.text);
	cr_assert_eq(pread(qemu.fds[0], text, 13, 0), 13);
	cr_assert_str_eq(text, "the template");
	cr_assert_str_eq((const char *)kt_gmem_at(gmem, 0, 16), "private 0");
	cr_assert_eq(kt_gmem_read(gmem, MIB - 4, text, 9), 0);
	cr_assert_str_eq(text, "across 0");
	other_tell(&other, 'c');
	cr_assert_str_eq((const char *)kt_gmem_at(gmem, 0, 16), "private 0");
	cr_assert_eq(kt_gmem_refresh(gmem, &err), 0);
	cr_assert_str_eq((const char *)kt_gmem_at(gmem, 0, 16), "changed");
}

Test(gmem, nodes_and_the_hole_are_those_of_the_machine)
{
	OTHER_AUTO other;
	KT_AUTO(kt_gmem_destroy) struct kt_gmem *gmem = NULL;
	const uint64_t gpas[] = { 0, NODE, 3 * MIB, 4 * GIB - 8, MIB - 4 };
	struct kt_err err = { 0 };
	struct qemu qemu;
	char text[5][8];

	start(&other, &qemu, 2);
	cr_assert_eq(open_it(&other, &qemu, 3 * MIB, &gmem, &err), 0, "%s", err.text);
	cr_assert_eq(kt_gmem_end(gmem), 4 * GIB + MIB);
	cr_assert_str_eq((const char *)kt_gmem_at(gmem, NODE, 16), "private 1");
	cr_assert_str_eq((const char *)kt_gmem_at(gmem, 4 * GIB, 16) + 4, "");
	cr_assert_eq(memcmp(kt_gmem_at(gmem, 4 * GIB, 16), "ss 1", 4), 0, "behind the hole");
	cr_assert_null(kt_gmem_at(gmem, 3 * MIB, 16));
	cr_assert_null(kt_gmem_at(gmem, 4 * GIB + MIB, 16));
	kt_gmem_gather(gmem, gpas, 5, 8, (uint8_t *)text);
	cr_assert_eq(memcmp(text, "private private \0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0across 0", 40),
		     0);
}

Test(gmem, what_is_written_reaches_the_process_and_not_the_file)
{
	OTHER_AUTO other;
	KT_AUTO(kt_gmem_destroy) struct kt_gmem *gmem = NULL;
	struct kt_err err = { 0 };
	struct qemu qemu;
	char text[16] = "";

	start(&other, &qemu, 1);
	cr_assert_eq(open_it(&other, &qemu, NODE, &gmem, &err), 0, "%s", err.text);
	cr_assert_eq(kt_gmem_write(gmem, MIB - 4, "written across", 15), 0);
	cr_assert_eq(kt_gmem_read(gmem, MIB - 4, text, 15), 0);
	cr_assert_str_eq(text, "written across");
	other_tell(&other, 'w'); /* it would end */
	memset(text, 'x', 16);
	cr_assert_eq(pread(qemu.fds[0], text, 15, MIB - 4), 15);
	cr_assert_eq(text[0], 0);
	cr_assert_eq(kt_gmem_write(gmem, NODE - 4, "over the end", 12), -EFAULT);
}

Test(gmem, a_process_without_the_memory_or_without_life_is_an_error)
{
	OTHER_AUTO other;
	KT_AUTO(kt_gmem_destroy) struct kt_gmem *gmem = NULL;
	struct kt_gmem *none = NULL;
	struct kt_err err = { 0 };
	struct qemu qemu, stranger;
	char path[64];

	start(&other, &qemu, 1);
	stranger = (struct qemu){ { make(NODE, path) }, .n = 1 };
	cr_assert_eq(open_it(&other, &stranger, NODE, &none, &err), -ENOENT);
	cr_assert_eq(err.fault, KT_FAULT_HOST);
	cr_assert_eq(open_it(&other, &qemu, NODE, &gmem, &err), 0, "%s", err.text);
	other_kill(&other);
	cr_assert_null(kt_gmem_at(gmem, 0, 16));
	cr_assert_eq(kt_gmem_refresh(gmem, &err), -ESRCH);
	cr_assert_eq(err.fault, KT_FAULT_HOST);
	cr_assert_lt(open_it(&other, &qemu, NODE, &none, &err), 0);
	cr_assert_null(none);
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
	cr_assert_eq(kt_gmem_open(path, MIB - 1, MIB, &gmem, &err), -EINVAL, "not whole pages");
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
