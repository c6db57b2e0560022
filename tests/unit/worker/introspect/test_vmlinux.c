#include "worker/introspect/vmlinux.h"

#include <criterion/criterion.h>
#include <elf.h>
#include <errno.h>
#include <string.h>

#define VA 0xffffffff81000000ull
#define PA 0x1000000ull

/* One segment, sections .rodata and .BTF in it, their names. */
struct image {
	Elf64_Ehdr header;
	Elf64_Phdr segment;
	Elf64_Shdr sections[4];
	char names[32];
	char rodata[64];
	char btf[32];
};

static void make(struct image *image)
{
	*image = (struct image){
		.header = { .e_ident = { 0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT },
			    .e_type = ET_EXEC,
			    .e_machine = EM_X86_64,
			    .e_version = EV_CURRENT,
			    .e_phoff = offsetof(struct image, segment),
			    .e_shoff = offsetof(struct image, sections),
			    .e_ehsize = sizeof(Elf64_Ehdr),
			    .e_phentsize = sizeof(Elf64_Phdr),
			    .e_phnum = 1,
			    .e_shentsize = sizeof(Elf64_Shdr),
			    .e_shnum = 4,
			    .e_shstrndx = 1 },
		.segment = { .p_type = PT_LOAD,
			     .p_offset = offsetof(struct image, rodata),
			     .p_vaddr = VA,
			     .p_paddr = PA,
			     .p_filesz = 96,
			     .p_memsz = 4096 },
		.names = "\0.shstrtab\0.rodata\0.BTF",
		.rodata = "Linux version",
		.btf = "types",
	};
	image->sections[1] = (Elf64_Shdr){ .sh_name = 1,
					   .sh_type = SHT_STRTAB,
					   .sh_offset = offsetof(struct image, names),
					   .sh_size = sizeof(image->names) };
	image->sections[2] = (Elf64_Shdr){ .sh_name = 11,
					   .sh_type = SHT_PROGBITS,
					   .sh_addr = VA,
					   .sh_offset = offsetof(struct image, rodata),
					   .sh_size = 64 };
	image->sections[3] = (Elf64_Shdr){ .sh_name = 19,
					   .sh_type = SHT_PROGBITS,
					   .sh_addr = VA + 64,
					   .sh_offset = offsetof(struct image, btf),
					   .sh_size = 32 };
}

Test(vmlinux, sections_and_addresses_are_found)
{
	struct image image;
	struct kt_vmlinux vmlinux;
	struct kt_err err = { 0 };
	uint64_t pa = 0;

	make(&image);
	cr_assert_eq(kt_vmlinux_open(&image, sizeof(image), &vmlinux, &err), 0, "%s", err.text);
	cr_assert_eq(vmlinux.rodata.va, VA);
	cr_assert_eq(vmlinux.rodata.len, 64);
	cr_assert_str_eq((const char *)vmlinux.btf.bytes, "types");
	cr_assert_str_eq((const char *)kt_vmlinux_at(&vmlinux, VA + 6, 58), "version");
	cr_assert_null(kt_vmlinux_at(&vmlinux, VA + 90, 7), "runs out of the file's bytes");
	cr_assert_null(kt_vmlinux_at(&vmlinux, VA - 1, 1));
	cr_assert_null(kt_vmlinux_at(&vmlinux, UINT64_MAX, 1));
	cr_assert(kt_vmlinux_pa(&vmlinux, VA + 5, &pa));
	cr_assert_eq(pa, PA + 5);
}

Test(vmlinux, an_image_that_is_none_is_refused_in_words)
{
	static const struct {
		size_t at; /* what is changed ... */
		uint64_t to; /* ... to this, 2 bytes when it fits */
		size_t bytes;
		const char *says;
	} cases[] = {
		{ offsetof(Elf64_Ehdr, e_machine), EM_AARCH64, 2, "another architecture" },
		{ EI_CLASS, ELFCLASS32, 1, "" },
		{ offsetof(Elf64_Ehdr, e_phnum), 0, 2, "no segments" },
		{ offsetof(struct image, segment) + offsetof(Elf64_Phdr, p_filesz), 1u << 30, 8,
		  "truncated" },
		{ offsetof(struct image, segment) + offsetof(Elf64_Phdr, p_offset), UINT64_MAX - 8,
		  8, "truncated" },
		{ offsetof(struct image, sections) + 3 * sizeof(Elf64_Shdr) +
			  offsetof(Elf64_Shdr, sh_size),
		  1u << 30, 8, "truncated" },
		{ offsetof(struct image, names) + 19, 'x', 1, "CONFIG_DEBUG_INFO_BTF" },
		{ offsetof(struct image, names) + 11, 'x', 1, ".rodata" },
		{ 0, 0, 1, "not an ELF" },
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct image image;
		struct kt_vmlinux vmlinux;
		struct kt_err err = { 0 };

		make(&image);
		memcpy((char *)&image + cases[i].at, &cases[i].to, cases[i].bytes);
		cr_assert_eq(kt_vmlinux_open(&image, sizeof(image), &vmlinux, &err), -EINVAL,
			     "case %zu", i);
		cr_assert_eq(err.fault, KT_FAULT_INPUT);
		cr_assert(strstr(err.text, cases[i].says), "case %zu: %s", i, err.text);
	}
}

Test(vmlinux, an_image_cut_anywhere_is_refused)
{
	struct image image;
	struct kt_vmlinux vmlinux;

	make(&image);
	for (size_t len = 0; len < sizeof(image); len++)
		cr_assert_eq(kt_vmlinux_open(&image, len, &vmlinux, NULL), -EINVAL, "len %zu", len);
}
