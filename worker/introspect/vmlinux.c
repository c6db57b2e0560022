#include "worker/introspect/vmlinux.h"

#include "proto/base/own.h"

#include <errno.h>
#include <gelf.h>
#include <string.h>

static void elf_destroy(Elf **elf_p)
{
	elf_end(*elf_p); /* accepts NULL */
}

static int bad(struct kt_err *err, const char *what)
{
	return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "%s", what);
}

static int check_header(Elf *elf, struct kt_err *err)
{
	GElf_Ehdr header;

	if (!elf || elf_kind(elf) != ELF_K_ELF || !gelf_getehdr(elf, &header))
		return bad(err, "not an ELF file, or a truncated one");
	if (header.e_machine != EM_X86_64 || header.e_ident[EI_CLASS] != ELFCLASS64 ||
	    header.e_ident[EI_DATA] != ELFDATA2LSB)
		return kt_err_set(err, KT_FAULT_INPUT, EINVAL,
				  "an ELF file of another architecture (machine %u); "
				  "this worker runs x86-64 guests",
				  header.e_machine);
	return 0;
}

static int find_loads(Elf *elf, struct kt_vmlinux *vmlinux, struct kt_err *err)
{
	size_t n = 0;

	if (elf_getphdrnum(elf, &n) || n > 1024)
		return bad(err, "its program headers cannot be read");
	for (size_t i = 0; i < n; i++) {
		GElf_Phdr phdr;

		if (!gelf_getphdr(elf, (int)i, &phdr))
			return bad(err, "its program headers are truncated");
		if (phdr.p_type != PT_LOAD || !phdr.p_filesz)
			continue;
		if (phdr.p_offset > vmlinux->len || phdr.p_filesz > vmlinux->len - phdr.p_offset)
			return bad(err, "truncated: a segment lies beyond its end");
		if (vmlinux->n_loads == KT_VMLINUX_LOADS_MAX)
			return bad(err, "it has more segments than a kernel has");
		vmlinux->loads[vmlinux->n_loads++] = (struct kt_vmlinux_range){
			.va = phdr.p_vaddr,
			.pa = phdr.p_paddr,
			.bytes = vmlinux->bytes + phdr.p_offset,
			.len = phdr.p_filesz,
		};
	}
	if (!vmlinux->n_loads)
		return bad(err, "it has no segments: not a kernel");
	return 0;
}

static int find_sections(Elf *elf, struct kt_vmlinux *vmlinux, struct kt_err *err)
{
	const struct {
		const char *name;
		struct kt_vmlinux_range *range;
	} wanted[] = { { ".rodata", &vmlinux->rodata }, { ".BTF", &vmlinux->btf } };
	Elf_Scn *section = NULL;
	size_t names = 0;

	if (elf_getshdrstrndx(elf, &names))
		return bad(err, "its section headers cannot be read");
	while ((section = elf_nextscn(elf, section))) {
		GElf_Shdr shdr;
		const char *name;

		if (!gelf_getshdr(section, &shdr))
			return bad(err, "its section headers are truncated");
		name = elf_strptr(elf, names, shdr.sh_name);
		if (!name || shdr.sh_type == SHT_NOBITS)
			continue;
		for (size_t i = 0; i < sizeof(wanted) / sizeof(wanted[0]); i++) {
			if (strcmp(name, wanted[i].name) != 0)
				continue;
			if (shdr.sh_offset > vmlinux->len ||
			    shdr.sh_size > vmlinux->len - shdr.sh_offset)
				return bad(err, "truncated: a section lies beyond its end");
			*wanted[i].range = (struct kt_vmlinux_range){
				.va = shdr.sh_addr,
				.bytes = vmlinux->bytes + shdr.sh_offset,
				.len = shdr.sh_size,
			};
		}
	}
	if (!vmlinux->rodata.bytes)
		return bad(err, "it has no .rodata section: not a kernel, or truncated");
	if (!vmlinux->btf.bytes)
		return bad(err, "it has no .BTF section (CONFIG_DEBUG_INFO_BTF is off)");
	return 0;
}

int kt_vmlinux_open(const void *bytes, size_t len, struct kt_vmlinux *vmlinux, struct kt_err *err)
{
	KT_AUTO(elf_destroy) Elf *elf = NULL;
	int rc;

	*vmlinux = (struct kt_vmlinux){ .bytes = bytes, .len = len };
	elf_version(EV_CURRENT);
	/* elf_memory() wants a mutable pointer and writes nothing unless elf_update() is called. */
	elf = elf_memory((char *)(uintptr_t)bytes, len);
	rc = check_header(elf, err);
	if (!rc)
		rc = find_loads(elf, vmlinux, err);
	if (!rc)
		rc = find_sections(elf, vmlinux, err);
	return rc;
}

const uint8_t *kt_vmlinux_at(const struct kt_vmlinux *vmlinux, uint64_t va, size_t len)
{
	for (size_t i = 0; i < vmlinux->n_loads; i++) {
		const struct kt_vmlinux_range *load = &vmlinux->loads[i];

		if (va >= load->va && va - load->va <= load->len &&
		    len <= load->len - (va - load->va))
			return load->bytes + (va - load->va);
	}
	return NULL;
}

bool kt_vmlinux_pa(const struct kt_vmlinux *vmlinux, uint64_t va, uint64_t *pa)
{
	for (size_t i = 0; i < vmlinux->n_loads; i++) {
		const struct kt_vmlinux_range *load = &vmlinux->loads[i];

		if (va >= load->va && va - load->va < load->len) {
			*pa = load->pa + (va - load->va);
			return true;
		}
	}
	return false;
}
