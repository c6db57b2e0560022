#include "worker/introspect/procmaps.h"

#include <criterion/criterion.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

/* As QEMU 7.2 with 256 MiB, some lines left out. */
#define QEMU                                                                                       \
	"5593a6fdd000-5593a7337000 r--p 00000000 fe:01 8765                       /usr/bin/qemu\n" \
	"7f2a17e00000-7f2a27e00000 rw-s 00000000 00:01 4711                       "                \
	"/memfd:kt-ram (deleted)\n"                                                                \
	"7f2a27e00000-7f2a27e01000 ---p 00000000 00:00 0 \n"                                       \
	"7ffd4d5a3000-7ffd4d5c4000 rw-p 00000000 00:00 0                          [stack]\n"

#define MIB (1ull << 20)

static int find(const char *text, uint64_t bytes, uint64_t *va)
{
	return kt_procmaps_find(text, strlen(text), makedev(0, 1), 4711, bytes, va);
}

Test(procmaps, a_file_is_found_where_it_is_mapped_from_its_beginning)
{
	static const struct {
		const char *text;
		uint64_t bytes, va; /* 0: it is not found */
	} cases[] = {
		{ QEMU, 256 * MIB, 0x7f2a17e00000 },
		{ QEMU, MIB, 0x7f2a17e00000 },
		{ QEMU, 256 * MIB + 1, 0 },
		{ "", 1, 0 },
		/* private, no path, no newline at the end */
		{ "1000-3000 rw-p 00000000 00:01 4711 ", 0x2000, 0x1000 },
		/* split by madvise() and mprotect() */
		{ "1000-2000 rw-p 00000000 00:01 4711 x\n2000-4000 r--p 00001000 00:01 4711 x\n",
		  0x3000, 0x1000 },
		/* split, but not going on: in the address space, in the file */
		{ "1000-2000 rw-p 00000000 00:01 4711 x\n3000-4000 rw-p 00001000 00:01 4711 x\n",
		  0x2000, 0 },
		{ "1000-2000 rw-p 00000000 00:01 4711 x\n2000-4000 rw-p 00002000 00:01 4711 x\n",
		  0x2000, 0 },
		/* a hole in the middle, and the whole of it elsewhere */
		{ "1000-2000 rw-p 00000000 00:01 4711 x\n3000-4000 rw-p 00002000 00:01 4711 x\n"
		  "5000-8000 rw-p 00000000 00:01 4711 x\n",
		  0x3000, 0x5000 },
		/* mapped twice in a row: the second is a beginning, no continuation */
		{ "1000-2000 rw-p 00000000 00:01 4711 x\n2000-4000 rw-p 00000000 00:01 4711 x\n",
		  0x2000, 0x2000 },
		/* not from its beginning; of another file; of another device; not to be read */
		{ "1000-2000 rw-p 00001000 00:01 4711 x\n", 1, 0 },
		{ "1000-2000 rw-p 00000000 00:01 471 x\n", 1, 0 },
		{ "1000-2000 rw-p 00000000 01:00 4711 x\n", 1, 0 },
		{ "1000-2000 ---p 00000000 00:01 4711 x\n", 1, 0 },
		/* no such lines: skipped */
		{ "\n-\nrw-p\n1000-\n1000-2000\n1000-2000 rw\n1000-2000 rw-p 0 00:01 4711\n"
		  "2000-1000 rw-p 00000000 00:01 4711 x\n"
		  "11111111111111111-2 rw-p 00000000 00:01 4711 x\n"
		  "1000-2000 rw-p 00000000 00:01 4711 x\n",
		  0x1000, 0x1000 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		uint64_t va = 0;
		int rc = find(cases[i].text, cases[i].bytes, &va);

		cr_assert_eq(rc, cases[i].va ? 0 : -ENOENT, "case %zu", i);
		cr_assert_eq(va, cases[i].va, "case %zu: %#llx", i, (unsigned long long)va);
	}
}

Test(procmaps, what_the_kernel_writes_is_read)
{
	int fd = memfd_create("with a space\nand a line", MFD_CLOEXEC);
	KT_AUTO_BUF text = { 0 };
	struct kt_err err = { 0 };
	struct stat st;
	uint64_t va = 0;
	uint8_t *at;

	cr_assert_eq(ftruncate(fd, 8 * 4096), 0);
	cr_assert_eq(fstat(fd, &st), 0);
	at = mmap(NULL, 8 * 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
	cr_assert_eq(madvise(at + 2 * 4096, 4096, MADV_DONTDUMP), 0);
	cr_assert_eq(mprotect(at + 4 * 4096, 4096, PROT_READ), 0);
	cr_assert_eq(kt_procmaps_read(getpid(), &text, &err), 0, "%s", err.text);
	cr_assert_eq(kt_procmaps_find(kt_buf_text(&text), text.len, st.st_dev, st.st_ino, 8 * 4096,
				      &va),
		     0);
	cr_assert_eq(va, (uintptr_t)at);
	/* split it was */
	cr_assert_eq(mprotect(at + 2 * 4096, 4096, PROT_NONE), 0);
	kt_buf_reset(&text);
	cr_assert_eq(kt_procmaps_read(getpid(), &text, &err), 0, "%s", err.text);
	cr_assert_eq(kt_procmaps_find(kt_buf_text(&text), text.len, st.st_dev, st.st_ino, 8 * 4096,
				      &va),
		     -ENOENT);
	close(fd);
}

Test(procmaps, a_process_that_is_not_there_is_an_error)
{
	KT_AUTO_BUF text = { 0 };
	struct kt_err err = { 0 };

	cr_assert_eq(kt_procmaps_read(0x7fffffff, &text, &err), -ENOENT);
	cr_assert_eq(err.fault, KT_FAULT_HOST);
}
