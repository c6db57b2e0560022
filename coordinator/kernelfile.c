#include "coordinator/kernelfile.h"

#include <elf.h>
#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>
#include <string.h>

#define SETUP_SECTS    0x1f1
#define SYSSIZE        0x1f4
#define BOOT_FLAG      0x1fe
#define HEADER_MAGIC   0x202
#define KERNEL_VERSION 0x20e
#define SETUP_END      0x210 /* of the fields read here */
#define SECTOR_BYTES   512
#define SETUP_SECTS_0  4 /* "for backwards compatibility, if setup_sects is 0 the real value is 4" */

/* Files people mistake for kernels, by their first bytes. */
static const struct {
	const char *magic;
	size_t len;
	const char *what;
} others[] = {
	{ "!<arch>\n", 8, "a .deb or an ar archive: give the vmlinuz inside it" },
	{ "\x1f\x8b", 2, "compressed by gzip: decompress it first" },
	{ "\x28\xb5\x2f\xfd", 4, "compressed by zstd: decompress it first" },
	{ "\xfd"
	  "7zXZ",
	  5, "compressed by xz: decompress it first" },
	{ "MZ", 2, "an EFI program without an x86 boot header (a kernel for another machine?)" },
	{ "#!", 2, "a script" },
};

static uint16_t u16(const uint8_t *bytes)
{
	return (uint16_t)(bytes[0] | bytes[1] << 8);
}

static uint32_t u32(const uint8_t *bytes)
{
	return u16(bytes) | (uint32_t)u16(bytes + 2) << 16;
}

static int truncated(uint64_t bytes, uint64_t bytes_min, struct kt_err *err)
{
	return kt_err_set(err, KT_FAULT_INPUT, EBADMSG,
			  "the kernel image is truncated: %" PRIu64
			  " bytes are there, its header asks for %" PRIu64,
			  bytes, bytes_min);
}

/* The release is the first word of the version text; a text that is not there is no error. */
static void take_release(const uint8_t *head, size_t len, struct kt_kernelfile *file)
{
	size_t offset = u16(head + KERNEL_VERSION), n = 0;

	if (offset == 0)
		return;
	for (offset += 0x200; offset < len && n + 1 < sizeof file->release; offset++) {
		if (head[offset] <= ' ' || head[offset] > '~')
			break;
		file->release[n++] = (char)head[offset];
	}
	if (offset >= len || n + 1 >= sizeof file->release)
		n = 0;
	file->release[n] = 0;
}

static int look_bzimage(const uint8_t *head, size_t len, uint64_t bytes, struct kt_kernelfile *file,
			struct kt_err *err)
{
	unsigned int sects = head[SETUP_SECTS] ? head[SETUP_SECTS] : SETUP_SECTS_0;

	file->kind = KT_KERNELFILE_BZIMAGE;
	file->bytes_min = (sects + 1ull) * SECTOR_BYTES + u32(head + SYSSIZE) * 16ull;
	take_release(head, len, file);
	return bytes < file->bytes_min ? truncated(bytes, file->bytes_min, err) : 0;
}

static bool end_of(uint64_t offset, uint64_t size, uint64_t *end)
{
	uint64_t sum;

	if (__builtin_add_overflow(offset, size, &sum))
		return false;
	if (sum > *end)
		*end = sum;
	return true;
}

static int look_elf(const uint8_t *head, size_t len, uint64_t bytes, struct kt_kernelfile *file,
		    struct kt_err *err)
{
	Elf64_Ehdr header;
	uint64_t end = sizeof header;

	file->kind = KT_KERNELFILE_ELF;
	if (len < sizeof header)
		return truncated(bytes, sizeof header, err);
	memcpy(&header, head, sizeof header);
	if (header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_ident[EI_DATA] != ELFDATA2LSB ||
	    header.e_machine != EM_X86_64)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "the image is an ELF file, but not for x86-64 (machine %u)",
				  header.e_machine);
	if ((header.e_type != ET_EXEC && header.e_type != ET_DYN) || header.e_phnum == 0 ||
	    header.e_phentsize != sizeof(Elf64_Phdr))
		return kt_err_set(
			err, KT_FAULT_INPUT, EINVAL,
			"the image is an ELF file, but not a program (a vmlinux is wanted)");
	if (!end_of(header.e_phoff, (uint64_t)header.e_phnum * header.e_phentsize, &end) ||
	    !end_of(header.e_shoff, (uint64_t)header.e_shnum * header.e_shentsize, &end))
		return kt_err_set(
			err, KT_FAULT_INPUT, EBADMSG,
			"the kernel image is corrupt: its ELF tables lie beyond any file");
	for (unsigned int i = 0; i < header.e_phnum; i++) {
		uint64_t at = header.e_phoff + i * sizeof(Elf64_Phdr);
		Elf64_Phdr segment;

		if (at > len || len - at < sizeof segment)
			break; /* far from the head: the tables' own end still counts */
		memcpy(&segment, head + at, sizeof segment);
		if (!end_of(segment.p_offset, segment.p_filesz, &end))
			return kt_err_set(
				err, KT_FAULT_INPUT, EBADMSG,
				"the kernel image is corrupt: segment %u lies beyond any file", i);
	}
	file->bytes_min = end;
	return bytes < end ? truncated(bytes, end, err) : 0;
}

int kt_kernelfile_look(const void *head, size_t len, uint64_t bytes, struct kt_kernelfile *file,
		       struct kt_err *err)
{
	const uint8_t *byte = head;

	*file = (struct kt_kernelfile){ 0 };
	if (bytes == 0)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "the kernel image is empty");
	if (len >= SELFMAG && memcmp(head, ELFMAG, SELFMAG) == 0)
		return look_elf(head, len, bytes, file, err);
	if (len >= SETUP_END && u16(byte + BOOT_FLAG) == 0xaa55 &&
	    memcmp(byte + HEADER_MAGIC, "HdrS", 4) == 0)
		return look_bzimage(head, len, bytes, file, err);
	for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
		if (len >= others[i].len && memcmp(head, others[i].magic, others[i].len) == 0)
			return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "not a kernel image but %s",
					  others[i].what);
	return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
			  "not a kernel image: neither a bzImage nor an ELF vmlinux (%" PRIu64
			  " bytes)",
			  bytes);
}
