#include "worker/introspect/vmcache.h"

#include "proto/base/must.h"
#include "proto/base/own.h"

#include <archive.h>
#include <archive_entry.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <fcntl.h>
#include <glob.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#define ELF_LEN 300000
#define PAYLOAD (5 * 512)

static char dir[64];
static char image[128];

/* A bzImage around something that begins like an ELF file. */
static void make_image(void)
{
	static uint8_t elf[ELF_LEN], bytes[ELF_LEN];
	struct archive *archive = archive_write_new();
	struct archive_entry *entry = archive_entry_new();
	size_t used = 0;
	uint32_t len;
	FILE *file;

	strcpy(dir, "/tmp/kt-vmcache-XXXXXX");
	cr_assert_not_null(mkdtemp(dir));
	snprintf(image, sizeof(image), "%s/vmlinuz", dir);
	for (size_t i = 0; i < ELF_LEN; i++)
		elf[i] = (uint8_t)(i >> 4);
	memcpy(elf, "\x7f\x45LF", 4);
	archive_write_add_filter_zstd(archive);
	archive_write_set_format_raw(archive);
	archive_write_open_memory(archive, bytes + PAYLOAD, sizeof(bytes) - PAYLOAD, &used);
	archive_entry_set_filetype(entry, AE_IFREG);
	archive_write_header(archive, entry);
	archive_write_data(archive, elf, ELF_LEN);
	archive_write_close(archive);
	archive_entry_free(entry);
	archive_write_free(archive);
	bytes[0x1f1] = 4;
	bytes[0x1fe] = 0x55;
	bytes[0x1ff] = 0xaa;
	memcpy(bytes + 0x202, "HdrS\x0f\x02", 6);
	len = (uint32_t)used + 4;
	memcpy(bytes + 0x24c, &len, 4);
	file = fopen(image, "wb");
	cr_assert_eq(fwrite(bytes, 1, PAYLOAD + len, file), PAYLOAD + len);
	fclose(file);
}

static void remove_all(void)
{
	KT_AUTO_FREE char *pattern = kt_must_asprintf("%s/*", dir);
	glob_t found;

	if (!glob(pattern, 0, NULL, &found)) {
		for (size_t i = 0; i < found.gl_pathc; i++)
			unlink(found.gl_pathv[i]);
		globfree(&found);
	}
	rmdir(dir);
}

TestSuite(vmcache, .init = make_image, .fini = remove_all);

static void flip(const char *path, off_t at)
{
	KT_AUTO_FD int fd = open(path, O_RDWR);
	uint8_t byte;

	cr_assert_eq(pread(fd, &byte, 1, at), 1);
	byte ^= 1;
	cr_assert_eq(pwrite(fd, &byte, 1, at), 1);
}

static void expect_whole(const struct kt_vmcache *vmcache)
{
	cr_assert_eq(vmcache->len, ELF_LEN);
	cr_assert_eq(memcmp(vmcache->bytes, "\x7f\x45LF", 4), 0);
	cr_assert_eq(vmcache->bytes[ELF_LEN - 1], (uint8_t)((ELF_LEN - 1) >> 4));
}

Test(vmcache, the_second_time_the_file_is_there_and_readable_by_all)
{
	struct kt_vmcache first, second;
	struct stat st, again;
	struct kt_err err = { 0 };

	cr_assert_eq(kt_vmcache_open(image, NULL, dir, &first, &err), 0, "%s", err.text);
	expect_whole(&first);
	cr_assert_eq(stat(first.path, &st), 0);
	cr_assert_eq(st.st_mode & 0777, 0644);
	cr_assert_eq(kt_vmcache_open(image, NULL, dir, &second, &err), 0);
	cr_assert_eq(stat(second.path, &again), 0);
	cr_assert_eq(st.st_ino, again.st_ino, "not written again");
	kt_vmcache_destroy(&first);
	kt_vmcache_destroy(&second);
}

Test(vmcache, a_cached_file_that_is_not_whole_is_made_anew)
{
	static const off_t flips[] = { 0, 1000, ELF_LEN - 1, ELF_LEN, ELF_LEN + 8, ELF_LEN + 20 };
	struct kt_vmcache vmcache;

	for (size_t i = 0; i < sizeof(flips) / sizeof(flips[0]); i++) {
		cr_assert_eq(kt_vmcache_open(image, NULL, dir, &vmcache, NULL), 0);
		flip(vmcache.path, flips[i]);
		kt_vmcache_destroy(&vmcache);
		cr_assert_eq(kt_vmcache_open(image, NULL, dir, &vmcache, NULL), 0);
		expect_whole(&vmcache);
		kt_vmcache_destroy(&vmcache);
	}
	cr_assert_eq(kt_vmcache_open(image, NULL, dir, &vmcache, NULL), 0);
	cr_assert_eq(truncate(vmcache.path, 10), 0);
	kt_vmcache_destroy(&vmcache);
	cr_assert_eq(kt_vmcache_open(image, NULL, dir, &vmcache, NULL), 0);
	expect_whole(&vmcache);
	kt_vmcache_destroy(&vmcache);
}

/* What a weak sum does not see: changes that could cancel out, and bytes in another order. */
Test(vmcache, damage_in_two_places_is_seen)
{
	static const struct {
		off_t at, by;
		uint8_t mask; /* 0: the two bytes change places */
	} damages[] = {
		{ 7, 64, 0x80 },          { 7, 8, 0x80 },     { 4096, 64, 0x01 },
		{ 4103, 4096, 0x80 },     { 5000, 64, 0x00 }, { 5000, 160, 0x00 },
		{ ELF_LEN - 9, 8, 0x80 },
	};

	for (size_t i = 0; i < sizeof(damages) / sizeof(damages[0]); i++) {
		struct kt_vmcache vmcache;
		uint8_t a, b;
		int fd;

		cr_assert_eq(kt_vmcache_open(image, NULL, dir, &vmcache, NULL), 0);
		fd = open(vmcache.path, O_RDWR);
		cr_assert_eq(pread(fd, &a, 1, damages[i].at), 1);
		cr_assert_eq(pread(fd, &b, 1, damages[i].at + damages[i].by), 1);
		if (damages[i].mask) {
			a ^= damages[i].mask;
			b ^= damages[i].mask;
		} else {
			cr_assert_neq(a, b, "case %zu would change nothing", i);
			a ^= b;
			b ^= a;
			a ^= b;
		}
		cr_assert_eq(pwrite(fd, &a, 1, damages[i].at), 1);
		cr_assert_eq(pwrite(fd, &b, 1, damages[i].at + damages[i].by), 1);
		close(fd);
		kt_vmcache_destroy(&vmcache);
		cr_assert_eq(kt_vmcache_open(image, NULL, dir, &vmcache, NULL), 0);
		expect_whole(&vmcache);
		cr_assert_eq(vmcache.bytes[damages[i].at], (uint8_t)(damages[i].at >> 4),
			     "case %zu", i);
		kt_vmcache_destroy(&vmcache);
	}
}

Test(vmcache, processes_that_race_all_get_a_whole_file_and_leave_one)
{
	KT_AUTO_FREE char *pattern = kt_must_asprintf("%s/vmlinux-*", dir);
	glob_t found;

	for (int i = 0; i < 8; i++) {
		if (!fork()) {
			struct kt_vmcache vmcache;
			int rc = kt_vmcache_open(image, NULL, dir, &vmcache, NULL);

			_exit(rc || vmcache.len != ELF_LEN);
		}
	}
	for (int i = 0; i < 8; i++) {
		int status;

		cr_assert_gt(wait(&status), 0);
		cr_assert_eq(status, 0);
	}
	cr_assert_eq(glob(pattern, 0, NULL, &found), 0);
	cr_assert_eq(found.gl_pathc, 1);
	globfree(&found);
}

Test(vmcache, what_is_wrong_is_said_with_who_must_act)
{
	struct kt_vmcache vmcache;
	struct kt_err err = { 0 };

	cr_assert_eq(kt_vmcache_open("/nonexistent", NULL, dir, &vmcache, &err), -ENOENT);
	cr_assert_eq(err.fault, KT_FAULT_HOST);
	cr_assert_eq(kt_vmcache_open(dir, NULL, dir, &vmcache, &err), -EINVAL);
	cr_assert_eq(err.fault, KT_FAULT_INPUT);
	cr_assert_eq(kt_vmcache_open(image, NULL, "/proc/nowhere", &vmcache, &err), -ENOENT);
	cr_assert_eq(err.fault, KT_FAULT_HOST);
	cr_assert_eq(truncate(image, 3000), 0);
	cr_assert_eq(kt_vmcache_open(image, NULL, dir, &vmcache, &err), -EINVAL);
	cr_assert_eq(err.fault, KT_FAULT_INPUT);
	cr_assert_null(vmcache.path, "nothing is left open");
}
