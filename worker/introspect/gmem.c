#include "worker/introspect/gmem.h"

#include "proto/base/must.h"
#include "worker/introspect/procmaps.h"
#include "worker/introspect/remote.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>

#define PAGE      KT_GMEM_PAGE
#define PARTS_MAX 64 /* NUMA nodes of a topology */
#define FOUR_GIB  (4ull << 30)

struct part {
	uint64_t at; /* where it is mapped: in our memory, or in the process's */
	uint64_t first; /* byte of RAM that it begins with */
	uint64_t bytes;
};

struct kt_gmem {
	uint64_t bytes;
	uint64_t lowmem_bytes;
	size_t n_parts;
	struct part parts[PARTS_MAX];
	struct kt_remote *remote; /* NULL: files, mapped by us */
};

static struct kt_gmem *new (uint64_t lowmem_bytes)
{
	struct kt_gmem *gmem = kt_must_calloc(1, sizeof(*gmem));

	kt_must(lowmem_bytes <= FOUR_GIB);
	gmem->lowmem_bytes = lowmem_bytes;
	return gmem;
}

static void add(struct kt_gmem *gmem, uint64_t at, uint64_t bytes)
{
	kt_must(gmem->n_parts < PARTS_MAX);
	gmem->parts[gmem->n_parts++] = (struct part){ at, gmem->bytes, bytes };
	gmem->bytes += bytes;
}

int kt_gmem_add(struct kt_gmem *gmem, const char *path, uint64_t bytes, struct kt_err *err)
{
	KT_AUTO_FD int fd = open(path, O_RDWR | O_CLOEXEC);
	struct stat st;
	void *base;

	if (fd < 0 || fstat(fd, &st))
		return kt_err_sys(err, KT_FAULT_HOST, errno, "opening guest memory %s", path);
	if ((uint64_t)st.st_size < bytes || !bytes || bytes % PAGE)
		return kt_err_set(err, KT_FAULT_HOST, EINVAL,
				  "guest memory %s has %lld bytes, not %llu in pages", path,
				  (long long)st.st_size, (unsigned long long)bytes);
	base = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (base == MAP_FAILED)
		return kt_err_sys(err, KT_FAULT_HOST, errno, "mapping guest memory %s", path);
	add(gmem, (uintptr_t)base, bytes);
	return 0;
}

int kt_gmem_open(const char *path, uint64_t bytes, uint64_t lowmem_bytes, struct kt_gmem **gmem_p,
		 struct kt_err *err)
{
	KT_AUTO(kt_gmem_destroy) struct kt_gmem *gmem = new (lowmem_bytes);
	int rc;

	rc = kt_gmem_add(gmem, path, bytes, err);
	if (!rc)
		*gmem_p = kt_take(&gmem);
	return rc;
}

int kt_gmem_open_process(pid_t pid, const int *ram_fds, const uint64_t *node_bytes, size_t n,
			 uint64_t lowmem_bytes, struct kt_gmem **gmem_p, struct kt_err *err)
{
	KT_AUTO(kt_gmem_destroy) struct kt_gmem *gmem = new (lowmem_bytes);
	KT_AUTO_BUF maps = { 0 };
	int rc;

	rc = kt_procmaps_read(pid, &maps, err);
	if (!rc)
		rc = kt_remote_open(pid, &gmem->remote, err);
	for (size_t i = 0; i < n && !rc; i++) {
		struct stat st;
		uint64_t at;

		kt_must(node_bytes[i] % PAGE == 0);
		if (node_bytes[i] == 0)
			continue;
		if (fstat(ram_fds[i], &st))
			return kt_err_sys(err, KT_FAULT_HOST, errno, "guest memory, node %zu", i);
		rc = kt_procmaps_find(kt_buf_text(&maps), maps.len, st.st_dev, st.st_ino,
				      node_bytes[i], &at);
		if (rc)
			return kt_err_set(err, KT_FAULT_HOST, -rc,
					  "process %d does not map guest memory, node %zu",
					  (int)pid, i);
		add(gmem, at, node_bytes[i]);
	}
	if (!rc)
		*gmem_p = kt_take(&gmem);
	return rc;
}

void kt_gmem_destroy(struct kt_gmem **gmem_p)
{
	struct kt_gmem *gmem = *gmem_p;

	if (!gmem)
		return;
	for (size_t i = 0; i < gmem->n_parts && !gmem->remote; i++)
		munmap((void *)(uintptr_t)gmem->parts[i].at, gmem->parts[i].bytes);
	kt_remote_destroy(&gmem->remote);
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

/* Where len bytes of guest-physical memory are mapped in one run, in our memory or in the process's. */
static bool translate(const struct kt_gmem *gmem, uint64_t gpa, size_t len, uint64_t *mapped)
{
	uint64_t at = gpa;
	uint64_t end = gmem->bytes;

	if (gpa >= FOUR_GIB)
		at = gpa - FOUR_GIB + gmem->lowmem_bytes;
	else if (gmem->lowmem_bytes < end)
		end = gmem->lowmem_bytes;
	if (at < gpa - (gpa >= FOUR_GIB ? FOUR_GIB : 0) || at >= end || len > end - at)
		return false;
	for (size_t i = 0; i < gmem->n_parts; i++) {
		const struct part *part = &gmem->parts[i];

		if (at >= part->first && at - part->first < part->bytes) {
			*mapped = part->at + (at - part->first);
			return len <= part->bytes - (at - part->first);
		}
	}
	return false;
}

static uint8_t *ours(uint64_t mapped)
{
	return (uint8_t *)(uintptr_t)mapped;
}

bool kt_gmem_holds(const struct kt_gmem *gmem, uint64_t gpa, size_t len)
{
	uint64_t mapped;

	return translate(gmem, gpa, len, &mapped);
}

const uint8_t *kt_gmem_at(struct kt_gmem *gmem, uint64_t gpa, size_t len)
{
	uint64_t mapped;

	kt_must(len <= PAGE - gpa % PAGE);
	if (!translate(gmem, gpa, len, &mapped))
		return NULL;
	return gmem->remote ? kt_remote_at(gmem->remote, mapped, len) : ours(mapped);
}

static size_t to_end_of_page(uint64_t gpa, size_t len)
{
	size_t left = PAGE - gpa % PAGE;

	return len < left ? len : left;
}

int kt_gmem_read(struct kt_gmem *gmem, uint64_t gpa, void *into, size_t len)
{
	uint8_t *to = into;

	while (len) {
		size_t piece = to_end_of_page(gpa, len);
		const uint8_t *at = kt_gmem_at(gmem, gpa, piece);

		if (!at)
			return -EFAULT;
		memcpy(to, at, piece);
		to += piece;
		gpa += piece;
		len -= piece;
	}
	return 0;
}

int kt_gmem_write(struct kt_gmem *gmem, uint64_t gpa, const void *from, size_t len)
{
	const uint8_t *at = from;

	while (len) {
		size_t piece = to_end_of_page(gpa, len);
		uint64_t mapped;
		int rc = 0;

		if (!translate(gmem, gpa, piece, &mapped))
			return -EFAULT;
		if (gmem->remote)
			rc = kt_remote_write(gmem->remote, mapped, at, piece);
		else
			memcpy(ours(mapped), at, piece);
		if (rc)
			return rc;
		at += piece;
		gpa += piece;
		len -= piece;
	}
	return 0;
}

void kt_gmem_gather(struct kt_gmem *gmem, const uint64_t *gpas, size_t n, size_t len, uint8_t *into)
{
	uint64_t mapped[KT_GMEM_GATHER_MAX];

	kt_must(n <= KT_GMEM_GATHER_MAX);
	for (size_t i = 0; i < n; i++) {
		if (!translate(gmem, gpas[i], len, &mapped[i]))
			mapped[i] = 0; /* where no process has memory */
		if (gmem->remote)
			continue;
		if (mapped[i])
			memcpy(into + i * len, ours(mapped[i]), len);
		else
			memset(into + i * len, 0, len);
	}
	if (gmem->remote)
		kt_remote_gather(gmem->remote, mapped, n, len, into);
}

int kt_gmem_refresh(struct kt_gmem *gmem, struct kt_err *err)
{
	int rc = gmem->remote ? kt_remote_refresh(gmem->remote) : 0;

	return rc ? kt_err_set(err, KT_FAULT_HOST, -rc, "the guest's QEMU has ended") : 0;
}

uint64_t kt_gmem_end(const struct kt_gmem *gmem)
{
	return gmem->bytes <= gmem->lowmem_bytes ? gmem->bytes
						 : FOUR_GIB + gmem->bytes - gmem->lowmem_bytes;
}
