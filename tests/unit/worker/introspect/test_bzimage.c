#include "worker/introspect/bzimage.h"

#include <archive.h>
#include <archive_entry.h>
#include <criterion/criterion.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define CODE    ((4 + 1) * 512u) /* where the protected-mode part begins */
#define PAYLOAD 0x100u
#define ELF_LEN 50000

static uint8_t elf[ELF_LEN];

static void put16(uint8_t *at, uint16_t value)
{
	memcpy(at, &value, 2);
}

static void put32(uint8_t *at, uint32_t value)
{
	memcpy(at, &value, 4);
}

static size_t compress(int (*filter)(struct archive *), uint8_t *into, size_t size)
{
	struct archive *archive = archive_write_new();
	struct archive_entry *entry = archive_entry_new();
	size_t used = 0;

	cr_assert_eq(filter(archive), ARCHIVE_OK);
	archive_write_set_format_raw(archive);
	archive_write_set_bytes_per_block(archive, 0);
	archive_write_open_memory(archive, into, size, &used);
	archive_entry_set_filetype(entry, AE_IFREG);
	archive_write_header(archive, entry);
	cr_assert_eq(archive_write_data(archive, elf, ELF_LEN), ELF_LEN);
	archive_write_close(archive);
	archive_entry_free(entry);
	archive_write_free(archive);
	return used;
}

/* A bzImage of our own around it; returns its length. */
static size_t build(int (*filter)(struct archive *), uint8_t *image, size_t size)
{
	size_t payload;

	for (size_t i = 0; i < ELF_LEN; i++)
		elf[i] = (uint8_t)(i * i >> 7);
	memcpy(elf, "\x7f\x45LF", 4);
	memset(image, 0, size);
	payload = compress(filter, image + CODE + PAYLOAD, size - CODE - PAYLOAD);
	if (filter != archive_write_add_filter_gzip) {
		put32(image + CODE + PAYLOAD + payload, ELF_LEN); /* size_append */
		payload += 4;
	}
	image[0x1f1] = 4;
	put32(image + 0x1f4, (uint32_t)((PAYLOAD + payload + 15) / 16));
	put16(image + 0x1fe, 0xaa55);
	memcpy(image + 0x202, "HdrS", 4);
	put16(image + 0x206, 0x020f);
	put32(image + 0x248, PAYLOAD);
	put32(image + 0x24c, (uint32_t)payload);
	return CODE + PAYLOAD + (payload + 15) / 16 * 16;
}

static uint8_t image[128 << 10];

Test(bzimage, the_vmlinux_comes_out_whatever_it_was_compressed_with)
{
	static const struct {
		const char *name;
		int (*filter)(struct archive *);
	} cases[] = {
		{ "zstd", archive_write_add_filter_zstd },
		{ "gzip", archive_write_add_filter_gzip },
		{ "xz", archive_write_add_filter_xz },
		{ "lzma", archive_write_add_filter_lzma },
		{ "bzip2", archive_write_add_filter_bzip2 },
		{ "lz4", archive_write_add_filter_lz4 },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		KT_AUTO_BUF vmlinux = { 0 };
		struct kt_err err = { 0 };
		size_t len = build(cases[i].filter, image, sizeof(image));

		cr_assert_eq(kt_bzimage_extract(image, len, &vmlinux, &err), 0, "%s: %s",
			     cases[i].name, err.text);
		cr_assert_eq(vmlinux.len, ELF_LEN);
		cr_assert_eq(memcmp(vmlinux.data, elf, ELF_LEN), 0);
	}
}

Test(bzimage, an_image_cut_anywhere_is_refused)
{
	size_t whole = build(archive_write_add_filter_zstd, image, sizeof(image));

	for (size_t len = 0; len < whole; len += len < 0x300 ? 1 : 61) {
		KT_AUTO_BUF vmlinux = { 0 };
		KT_AUTO_FREE uint8_t *cut = malloc(len + 1);
		struct kt_err err = { 0 };

		memcpy(cut, image, len);
		cr_assert_eq(kt_bzimage_extract(cut, len, &vmlinux, &err), -EINVAL, "len %zu", len);
		cr_assert_eq(err.fault, KT_FAULT_INPUT);
	}
}

Test(bzimage, a_damaged_payload_is_refused)
{
	KT_AUTO_BUF vmlinux = { 0 };
	struct kt_err err = { 0 };
	size_t len = build(archive_write_add_filter_xz, image, sizeof(image));

	image[CODE + PAYLOAD + 2000] ^= 0x10;
	cr_assert_lt(kt_bzimage_extract(image, len, &vmlinux, &err), 0);
	cr_assert_eq(err.fault, KT_FAULT_INPUT);
	cr_assert(strstr(err.text, "corrupt"), "%s", err.text);
}

Test(bzimage, a_payload_larger_than_the_limit_is_refused)
{
	KT_AUTO_BUF vmlinux = { .max = 10000 };
	size_t len = build(archive_write_add_filter_zstd, image, sizeof(image));

	cr_assert_eq(kt_bzimage_extract(image, len, &vmlinux, NULL), -EFBIG);
}

Test(bzimage, what_is_no_x86_kernel_is_called_by_its_name)
{
	static const struct {
		size_t at;
		const char *bytes;
		size_t len;
		const char *says;
	} cases[] = {
		{ 0x38, "ARM\x64", 4, "arm64" },  { 0x38, "RSC\x05", 4, "RISC-V" },
		{ 0, "\x1f\x8b\x08", 3, "gzip" }, { 0, "!<arch>\n", 8, "archive" },
		{ 0, "070701", 6, "initramfs" },  { 0, "hello", 5, "no boot header" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		KT_AUTO_BUF vmlinux = { 0 };
		struct kt_err err = { 0 };

		memset(image, 0, 4096);
		memcpy(image + cases[i].at, cases[i].bytes, cases[i].len);
		cr_assert_eq(kt_bzimage_extract(image, 4096, &vmlinux, &err), -EINVAL);
		cr_assert_eq(err.fault, KT_FAULT_INPUT);
		cr_assert(strstr(err.text, cases[i].says), "%s", err.text);
	}
}
