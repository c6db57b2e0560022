#include "worker/introspect/bzimage.h"

#include <archive.h>
#include <archive_entry.h>
#include <errno.h>
#include <string.h>

#define HEADER_BYTES 0x250
#define SECTOR       512u

/* What people hand in by mistake, told apart by a few bytes. */
static const struct {
	size_t at;
	const char *magic;
	size_t len;
	const char *what;
} strangers[] = {
	{ 0x38, "ARM\x64", 4, "an arm64 kernel image; this worker runs x86-64 guests" },
	{ 0x38, "RSC\x05", 4, "a RISC-V kernel image; this worker runs x86-64 guests" },
	{ 0x04, "zimg", 4, "an EFI zboot image of another architecture; a bzImage is needed" },
	{ 0x00, "\x1f\x8b", 2, "a gzip file, not a bzImage or an ELF vmlinux" },
	{ 0x00, "\x28\xb5\x2f\xfd", 4, "a zstd file, not a bzImage or an ELF vmlinux" },
	{ 0x00, "!<arch>", 7, "an archive (a .deb?), not the kernel image inside it" },
	{ 0x00, "070701", 6, "a cpio archive (an initramfs?), not a kernel image" },
};

static uint16_t le16(const uint8_t *at)
{
	return (uint16_t)(at[0] | at[1] << 8);
}

static uint32_t le32(const uint8_t *at)
{
	return (uint32_t)le16(at) | (uint32_t)le16(at + 2) << 16;
}

bool kt_bzimage_is_elf(const uint8_t *image, size_t len)
{
	return len >= 4 && !memcmp(image, "\x7f\x45LF", 4);
}

/* Where the compressed vmlinux lies. */
static int find_payload(const uint8_t *image, size_t len, const uint8_t **payload,
			size_t *payload_bytes, struct kt_err *err)
{
	uint64_t sectors, code, begin, bytes;

	for (size_t i = 0; i < sizeof(strangers) / sizeof(strangers[0]); i++) {
		if (len >= strangers[i].at + strangers[i].len &&
		    !memcmp(image + strangers[i].at, strangers[i].magic, strangers[i].len))
			return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "this is %s",
					  strangers[i].what);
	}
	if (len < HEADER_BYTES)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "%zu bytes are too few for a kernel image", len);
	if (le16(image + 0x1fe) != 0xaa55 || memcmp(image + 0x202, "HdrS", 4))
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "neither a bzImage (no boot header) nor an ELF vmlinux");
	if (le16(image + 0x206) < 0x0208)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "boot protocol %u.%02u is too old to say where the payload is",
				  image[0x207], image[0x206]);
	sectors = image[0x1f1] ? image[0x1f1] : 4;
	code = (sectors + 1) * SECTOR;
	begin = code + le32(image + 0x248);
	bytes = le32(image + 0x24c);
	if (begin + bytes > len || code + (uint64_t)le32(image + 0x1f4) * 16 > len)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "truncated: its header promises a payload up to byte %llu, "
				  "the file ends at %zu",
				  (unsigned long long)(begin + bytes), len);
	if (bytes < 16)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "its header names no payload");
	*payload = image + begin;
	*payload_bytes = bytes;
	return 0;
}

static void reader_destroy(struct archive **archive_p)
{
	if (*archive_p)
		archive_read_free(*archive_p);
}

static int decompress(const uint8_t *payload, size_t len, struct kt_buf *vmlinux,
		      struct kt_err *err)
{
	KT_AUTO(reader_destroy) struct archive *archive = archive_read_new();
	struct archive_entry *entry;
	la_ssize_t got;

	/* Every compressor but gzip has the uncompressed length appended (scripts/Makefile.lib,
	 * size_append): not part of its stream.
	 */
	if (memcmp(payload, "\x1f\x8b", 2) != 0)
		len -= 4;
	if (!archive || archive_read_support_filter_zstd(archive) != ARCHIVE_OK ||
	    archive_read_support_filter_gzip(archive) != ARCHIVE_OK ||
	    archive_read_support_filter_xz(archive) != ARCHIVE_OK ||
	    archive_read_support_filter_bzip2(archive) != ARCHIVE_OK ||
	    archive_read_support_filter_lzma(archive) != ARCHIVE_OK ||
	    archive_read_support_filter_lz4(archive) != ARCHIVE_OK ||
	    archive_read_support_format_raw(archive) != ARCHIVE_OK)
		return kt_err_set(err, KT_FAULT_HOST, ENOTSUP,
				  "libarchive lacks a decompressor: %s",
				  archive ? archive_error_string(archive) : "out of memory");
	if (archive_read_open_memory(archive, payload, len) != ARCHIVE_OK ||
	    archive_read_next_header(archive, &entry) != ARCHIVE_OK)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "corrupt: its payload cannot be decompressed (%s)",
				  archive_error_string(archive));
	if (archive_filter_count(archive) < 2)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "its payload is compressed in a way that is not known here");
	for (;;) {
		const void *block;
		size_t bytes;
		la_int64_t offset;

		got = archive_read_data_block(archive, &block, &bytes, &offset);
		if (got == ARCHIVE_EOF)
			break;
		if (got != ARCHIVE_OK)
			return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
					  "corrupt: its payload breaks off after %zu bytes (%s)",
					  vmlinux->len, archive_error_string(archive));
		kt_buf_append(vmlinux, block, bytes);
		if (vmlinux->full)
			return kt_err_set(err, KT_FAULT_INPUT, EFBIG,
					  "its payload is larger than %zu bytes", vmlinux->max);
	}
	return 0;
}

int kt_bzimage_extract(const uint8_t *image, size_t len, struct kt_buf *vmlinux, struct kt_err *err)
{
	const uint8_t *payload = NULL;
	size_t payload_bytes = 0;
	int rc;

	rc = find_payload(image, len, &payload, &payload_bytes, err);
	if (rc)
		return rc;
	rc = decompress(payload, payload_bytes, vmlinux, err);
	if (rc)
		return rc;
	if (!kt_bzimage_is_elf(vmlinux->data, vmlinux->len))
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "corrupt: its payload is no ELF kernel");
	return 0;
}
