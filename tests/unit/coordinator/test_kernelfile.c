#include "coordinator/kernelfile.h"

#include <criterion/criterion.h>
#include <elf.h>
#include <string.h>

static uint8_t head[0x1000];

/* A bzImage of `bytes` bytes by its own header: one sector of boot code, setup_sects of setup. */
static void make_bzimage(uint8_t setup_sects, uint32_t paragraphs)
{
	memset(head, 0, sizeof head);
	head[0x1f1] = setup_sects;
	memcpy(head + 0x1f4, &paragraphs, 4);
	head[0x1fe] = 0x55;
	head[0x1ff] = 0xaa;
	memcpy(head + 0x202, "HdrS", 4);
	head[0x20f] = 1; /* kernel_version at 0x200 + 0x100 */
	strcpy((char *)head + 0x300, "7.2.13+deb14-cloud-amd64 (someone) #1 SMP");
}

static Elf64_Ehdr make_elf(uint64_t segment_bytes)
{
	Elf64_Ehdr header = { .e_ident = { ELFMAG0, ELFMAG1, ELFMAG2, ELFMAG3, ELFCLASS64,
					   ELFDATA2LSB },
			      .e_type = ET_EXEC,
			      .e_machine = EM_X86_64,
			      .e_phoff = sizeof header,
			      .e_phnum = 1,
			      .e_phentsize = sizeof(Elf64_Phdr) };
	Elf64_Phdr segment = { .p_offset = 0x1000, .p_filesz = segment_bytes };

	memset(head, 0, sizeof head);
	memcpy(head, &header, sizeof header);
	memcpy(head + sizeof header, &segment, sizeof segment);
	return header;
}

Test(kernelfile, a_bzimage_tells_its_release_and_its_length)
{
	struct kt_kernelfile file;
	struct kt_err err;

	make_bzimage(39, 1000);
	cr_assert_eq(kt_kernelfile_look(head, sizeof head, 40 * 512 + 16000, &file, &err), 0, "%s",
		     err.text);
	cr_assert_eq(file.kind, KT_KERNELFILE_BZIMAGE);
	cr_assert_eq(file.bytes_min, 40 * 512 + 16000);
	cr_assert_str_eq(file.release, "7.2.13+deb14-cloud-amd64");
	/* a signature behind it is no harm */
	cr_assert_eq(kt_kernelfile_look(head, sizeof head, 40 * 512 + 17000, &file, &err), 0);
	/* "if setup_sects is 0 the real value is 4" */
	make_bzimage(0, 1000);
	cr_assert_eq(kt_kernelfile_look(head, sizeof head, 1 << 20, &file, &err), 0);
	cr_assert_eq(file.bytes_min, 5 * 512 + 16000);
}

Test(kernelfile, an_image_that_ends_early_is_truncated)
{
	struct kt_kernelfile file;
	struct kt_err err;

	make_bzimage(39, 1000);
	cr_assert_lt(kt_kernelfile_look(head, sizeof head, 40 * 512 + 15999, &file, &err), 0);
	cr_assert(strstr(err.text, "truncated"), "%s", err.text);
	cr_assert_eq(err.fault, KT_FAULT_INPUT);
	make_elf(0x5000);
	cr_assert_lt(kt_kernelfile_look(head, sizeof head, 0x5fff, &file, &err), 0);
	cr_assert(strstr(err.text, "truncated"), "%s", err.text);
	cr_assert_eq(kt_kernelfile_look(head, sizeof head, 0x6000, &file, &err), 0);
	cr_assert_eq(file.kind, KT_KERNELFILE_ELF);
	cr_assert_lt(kt_kernelfile_look(head, 20, 20, &file, &err), 0);
}

Test(kernelfile, an_elf_whose_numbers_overflow_is_corrupt)
{
	struct kt_kernelfile file;
	struct kt_err err;

	make_elf(UINT64_MAX - 10);
	cr_assert_lt(kt_kernelfile_look(head, sizeof head, 1 << 20, &file, &err), 0);
	cr_assert(strstr(err.text, "corrupt"), "%s", err.text);
}

Test(kernelfile, what_is_no_kernel_is_called_what_it_is)
{
	static const struct {
		const char *bytes, *says;
		size_t len;
	} rows[] = {
		{ "", "empty", 0 },
		{ "!<arch>\ndebian-binary", ".deb", 21 },
		{ "\x1f\x8b\x08", "gzip", 3 },
		{ "\x28\xb5\x2f\xfd.", "zstd", 5 },
		{ "#!/bin/sh\n", "script", 10 },
		{ "MZ\0\0", "EFI", 4 },
		{ "hello", "neither", 5 },
	};
	struct kt_kernelfile file;
	struct kt_err err;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		cr_assert_lt(kt_kernelfile_look(rows[i].bytes, rows[i].len, rows[i].len, &file,
						&err),
			     0);
		cr_assert(strstr(err.text, rows[i].says), "row %zu: %s", i, err.text);
		cr_assert_eq(err.fault, KT_FAULT_INPUT);
	}
}

Test(kernelfile, an_elf_for_another_machine_is_refused)
{
	struct kt_kernelfile file;
	struct kt_err err;
	Elf64_Ehdr header = make_elf(16);

	header.e_machine = EM_AARCH64;
	memcpy(head, &header, sizeof header);
	cr_assert_lt(kt_kernelfile_look(head, sizeof head, 1 << 20, &file, &err), 0);
	cr_assert(strstr(err.text, "x86-64"), "%s", err.text);
	header.e_machine = EM_X86_64;
	header.e_type = ET_REL;
	memcpy(head, &header, sizeof header);
	cr_assert_lt(kt_kernelfile_look(head, sizeof head, 1 << 20, &file, &err), 0);
	cr_assert(strstr(err.text, "vmlinux"), "%s", err.text);
}
