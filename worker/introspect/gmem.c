#include "worker/introspect/gmem.h"

#include "proto/base/must.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define PARTS_MAX 64 /* NUMA nodes of a topology */
#define FOUR_GIB  (4ull << 30)

struct part {
	uint8_t *base;
	uint64_t first; /* byte of RAM that it begins with */
	uint64_t bytes;
};

struct kt_gmem {
	uint64_t bytes;
	uint64_t lowmem_bytes;
	size_t n_parts;
	struct part parts[PARTS_MAX];
};

int kt_gmem_add(struct kt_gmem *gmem, const char *path, uint64_t bytes, struct kt_err *err)
{
	KT_AUTO_FD int fd = open(path, O_RDWR | O_CLOEXEC);
	struct stat st;
	void *base;

	kt_must(gmem->n_parts < PARTS_MAX);
	if (fd < 0 || fstat(fd, &st))
		return kt_err_sys(err, KT_FAULT_HOST, errno, "opening guest memory %s", path);
	if ((uint64_t)st.st_size < bytes || !bytes)
		return kt_err_set(err, KT_FAULT_HOST, EINVAL,
				  "guest memory %s has %lld bytes, not %llu", path,
				  (long long)st.st_size, (unsigned long long)bytes);
	base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "mapping guest memory %s", path);
	gmem->parts[gmem->n_parts++] = (struct part){ base, gmem->bytes, bytes };
	gmem->bytes += bytes;
	return 0;
}

int kt_gmem_open(const char *path, uint64_t bytes, uint64_t lowmem_bytes, struct kt_gmem **gmem_p,
		 struct kt_err *err)
{
	KT_AUTO(kt_gmem_destroy) struct kt_gmem *gmem = kt_must_calloc(1, sizeof(*gmem));
	int rc;

	kt_must(lowmem_bytes <= FOUR_GIB);
	gmem->lowmem_bytes = lowmem_bytes;
	rc = kt_gmem_add(gmem, path, bytes, err);
	if (!rc)
		*gmem_p = kt_take(&gmem);
	return rc;
}

void kt_gmem_destroy(struct kt_gmem **gmem_p)
{
	struct kt_gmem *gmem = *gmem_p;

	if (!gmem)
		return;
	for (size_t i = 0; i < gmem->n_parts; i++)
		munmap(gmem->parts[i].base, gmem->parts[i].bytes);
	free(gmem);
	*gmem_p = NULL;
}

uint64_t kt_gmem_lowmem_bytes(const char *machine, uint64_t ram_bytes)
{
	/* QEMU: hw/i386/pc_q35.c and pc_piix.c, "lowmem". */
	static const struct {
		const char *machine;
		uint64_t holds; /* up to here all of RAM is below the hole ... */
		uint64_t else_bytes; /* ... from here on only so much of it */
	} splits[] = {
		{ "q35", 0xb0000000, 0x80000000 },
		{ "pc", 0xe0000000, 0xc0000000 },
	};

	for (size_t i = 0; i < sizeof(splits) / sizeof(splits[0]); i++) {
		if (!strcmp(machine, splits[i].machine))
			return ram_bytes < splits[i].holds ? ram_bytes : splits[i].else_bytes;
	}
	return 0;
}

uint8_t *kt_gmem_at(const struct kt_gmem *gmem, uint64_t gpa, size_t len)
{
	uint64_t at = gpa;
	uint64_t end = gmem->bytes;

	if (gpa >= FOUR_GIB)
		at = gpa - FOUR_GIB + gmem->lowmem_bytes;
	else if (gmem->lowmem_bytes < end)
		end = gmem->lowmem_bytes;
	if (at < gpa - (gpa >= FOUR_GIB ? FOUR_GIB : 0) || at >= end || len > end - at)
		return NULL;
	for (size_t i = 0; i < gmem->n_parts; i++) {
		const struct part *part = &gmem->parts[i];

		if (at >= part->first && at - part->first < part->bytes)
			return len <= part->bytes - (at - part->first)
				       ? part->base + (at - part->first)
				       : NULL;
	}
	return NULL;
}

uint64_t kt_gmem_end(const struct kt_gmem *gmem)
{
	return gmem->bytes <= gmem->lowmem_bytes ? gmem->bytes
						 : FOUR_GIB + gmem->bytes - gmem->lowmem_bytes;
}
