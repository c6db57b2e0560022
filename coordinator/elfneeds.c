#include "coordinator/elfneeds.h"
#include "proto/base/limits.h"
#include "proto/base/must.h"

#include <errno.h>
#include <gelf.h>
#include <stdint.h>
#include <string.h>

struct image {
	const uint8_t *bytes;
	size_t len;
	Elf *elf;
	size_t n_segments;
	const char *strings; /* DT_STRTAB */
	size_t strings_len;
};

static int damaged(const char *what, struct kt_err *err)
{
	return kt_err_set(err, KT_FAULT_INPUT, EINVAL, "damaged: %s", what);
}

/* A text of at most KT_PATH_BYTES_MAX bytes that ends within `len`; NULL when it does not. */
static const char *text_at(const char *bytes, size_t len, uint64_t at)
{
	size_t most;

	if (at >= len)
		return NULL;
	most = len - at < KT_PATH_BYTES_MAX ? len - (size_t)at : KT_PATH_BYTES_MAX;
	return memchr(bytes + at, 0, most) ? bytes + at : NULL;
}

static bool segment_at(const struct image *image, size_t i, uint32_t type, GElf_Phdr *segment)
{
	return gelf_getphdr(image->elf, (int)i, segment) && segment->p_type == type &&
	       segment->p_offset <= image->len &&
	       segment->p_filesz <= image->len - segment->p_offset;
}

/* Where the file keeps what the loader finds at an address. */
static bool find_address(const struct image *image, uint64_t address, const uint8_t **at,
			 size_t *len)
{
	GElf_Phdr segment;

	for (size_t i = 0; i < image->n_segments; i++) {
		if (!segment_at(image, i, PT_LOAD, &segment) || address < segment.p_vaddr ||
		    address - segment.p_vaddr >= segment.p_filesz)
			continue;
		*at = image->bytes + segment.p_offset + (address - segment.p_vaddr);
		*len = (size_t)(segment.p_filesz - (address - segment.p_vaddr));
		return true;
	}
	return false;
}

static bool entry_at(const uint8_t *dynamic, size_t len, size_t i, Elf64_Dyn *entry)
{
	if (i >= len / sizeof(*entry))
		return false;
	memcpy(entry, dynamic + i * sizeof(*entry), sizeof(*entry)); /* may stand anywhere */
	return entry->d_tag != DT_NULL;
}

static int find_strings(struct image *image, const uint8_t *dynamic, size_t len, struct kt_err *err)
{
	const uint8_t *at = NULL;
	uint64_t bytes = UINT64_MAX;
	Elf64_Dyn entry;
	size_t room = 0;

	for (size_t i = 0; entry_at(dynamic, len, i, &entry); i++) {
		if (entry.d_tag == DT_STRSZ)
			bytes = entry.d_un.d_val;
		else if (entry.d_tag == DT_STRTAB &&
			 !find_address(image, entry.d_un.d_ptr, &at, &room))
			return damaged("its dynamic strings are not in the file", err);
	}
	image->strings = (const char *)at;
	image->strings_len = bytes < room ? (size_t)bytes : room;
	return 0;
}

static int take_entry(const struct image *image, const Elf64_Dyn *entry, struct kt_elfneeds *needs,
		      struct kt_err *err)
{
	const char **text = entry->d_tag == DT_SONAME    ? &needs->soname
			    : entry->d_tag == DT_RPATH   ? &needs->rpath
			    : entry->d_tag == DT_RUNPATH ? &needs->runpath
							 : NULL;

	if (entry->d_tag == DT_FLAGS_1)
		needs->no_default_dirs = entry->d_un.d_val & DF_1_NODEFLIB;
	if (entry->d_tag == DT_NEEDED) {
		if (needs->n_needed == KT_ELFNEEDS_MAX)
			return kt_err_set(err, KT_FAULT_INPUT, E2BIG,
					  "needs more than %d libraries", KT_ELFNEEDS_MAX);
		text = &needs->needed[needs->n_needed++];
	}
	if (!text)
		return 0;
	*text = image->strings ? text_at(image->strings, image->strings_len, entry->d_un.d_val)
			       : NULL;
	return *text ? 0 : damaged("a dynamic string is not in the file", err);
}

static int read_dynamic(struct image *image, const GElf_Phdr *segment, struct kt_elfneeds *needs,
			struct kt_err *err)
{
	const uint8_t *dynamic = image->bytes + segment->p_offset;
	Elf64_Dyn entry;
	int status = find_strings(image, dynamic, segment->p_filesz, err);

	for (size_t i = 0; status == 0 && entry_at(dynamic, segment->p_filesz, i, &entry); i++)
		status = take_entry(image, &entry, needs, err);
	if (needs->runpath)
		needs->rpath = NULL; /* glibc, elf/get-dynamic-info.h: the latter is ignored */
	return status;
}

static int read_image(struct image *image, struct kt_elfneeds *needs, struct kt_err *err)
{
	GElf_Phdr segment;
	GElf_Ehdr header;
	int status = 0;

	if (!image->elf || elf_kind(image->elf) != ELF_K_ELF ||
	    !gelf_getehdr(image->elf, &header) || header.e_ident[EI_CLASS] != ELFCLASS64 ||
	    header.e_ident[EI_DATA] != ELFDATA2LSB || header.e_machine != EM_X86_64 ||
	    (header.e_type != ET_EXEC && header.e_type != ET_DYN))
		return kt_err_set(err, KT_FAULT_INPUT, ENOEXEC,
				  "no program or library for x86-64 (ELF)");
	if (elf_getphdrnum(image->elf, &image->n_segments) < 0 || image->n_segments > UINT16_MAX)
		return damaged("its program headers are not in the file", err);
	for (size_t i = 0; i < image->n_segments && status == 0; i++) {
		if (segment_at(image, i, PT_DYNAMIC, &segment)) {
			status = read_dynamic(image, &segment, needs, err);
		} else if (segment_at(image, i, PT_INTERP, &segment)) {
			needs->interpreter = text_at((const char *)image->bytes + segment.p_offset,
						     segment.p_filesz, 0);
			if (!needs->interpreter)
				status = damaged("the name of its interpreter has no end", err);
		}
	}
	return status;
}

int kt_elfneeds_read(const void *bytes, size_t len, struct kt_elfneeds *needs, struct kt_err *err)
{
	struct image image = { .bytes = bytes, .len = len };
	int status;

	memset(needs, 0, sizeof(*needs));
	kt_must(elf_version(EV_CURRENT) != EV_NONE);
	/* libelf takes the bytes as its own but, asked for headers only, writes nothing to them. */
	image.elf = elf_memory((char *)(uintptr_t)bytes, len);
	status = read_image(&image, needs, err);
	elf_end(image.elf);
	return status;
}
